"""Many accelerators in one model for Verilator: to build it takes hardly longer than for one."""

from amaranth import Cat, Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["OneOf"]

INDEX = 16                               # bits


class OneOf(wiring.Component):
    """Several AXI-Stream tops; every word of ``s_axis`` says in its highest bits which one gets it.

    From reset to reset words go to one of them only: the others, which get none, give none.
    """

    def __init__(self, tops):
        self.tops = list(tops)
        self.data_in, data_out = (
            max(len(getattr(top, f"{side}_axis_tdata")) for top in self.tops) for side in "sm")
        super().__init__({
            "s_axis_tdata": In(self.data_in + INDEX), "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1), "s_axis_tlast": In(1),
            "m_axis_tdata": Out(data_out), "m_axis_tvalid": Out(1), "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        chosen = self.s_axis_tdata[self.data_in:]
        ready, valid, data, last = 0, 0, 0, 0
        for k, top in enumerate(self.tops):
            m.submodules[f"top{k}"] = top
            m.d.comb += [
                top.s_axis_tdata.eq(self.s_axis_tdata[:self.data_in]),
                top.s_axis_tvalid.eq(self.s_axis_tvalid & (chosen == k)),
                top.m_axis_tready.eq(self.m_axis_tready),
            ]
            ready |= top.s_axis_tready & (chosen == k)
            valid |= top.m_axis_tvalid
            data |= Mux(top.m_axis_tvalid, top.m_axis_tdata, 0)
            last |= top.m_axis_tvalid & top.m_axis_tlast
        m.d.comb += [self.s_axis_tready.eq(ready), self.m_axis_tvalid.eq(valid),
                     self.m_axis_tdata.eq(data), self.m_axis_tlast.eq(Cat(last))]
        return m
