"""AXI-Stream top: byte-wide words and ``tlast`` around any component with streams."""

from amaranth import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AxiStream"]


class AxiStream(wiring.Component):
    """AXI-Stream top: carries the beats of ``s_axis`` to ``core.i`` and those of ``core.o`` out.

    A word is a beat, lane 0 in the lowest bits, filled up to whole bytes: the bits past the beat
    are ignored on ``s_axis`` and 0 on ``m_axis``. ``m_axis_tlast`` marks the last beat of every
    frame. ``s_axis_tlast`` is not needed: frames are counted from reset, so it is accepted and
    ignored.

    Timing: that of ``core``; every path through the top is combinational.

    Parameters
    ----------
    core : Component
        With streams ``i`` and ``o``.
    beats_in, beats_out : int
        Beats of a frame on ``i`` and on ``o``.

    Members
    -------
    s_axis_tdata, s_axis_tvalid, s_axis_tlast : In
    s_axis_tready : Out
    m_axis_tdata, m_axis_tvalid, m_axis_tlast : Out
    m_axis_tready : In
    """

    def __init__(self, core, *, beats_in, beats_out):
        for name, beats in (("beats_in", beats_in), ("beats_out", beats_out)):
            if beats < 1:
                raise ValueError(f"{name} must be at least 1: it is {beats}")
        self.core, self.beats_in, self.beats_out = core, beats_in, beats_out

        def whole_bytes(payload):
            return -(-len(Value.cast(payload)) // 8) * 8

        super().__init__({
            "s_axis_tdata": In(whole_bytes(core.i.payload)),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(whole_bytes(core.o.payload)),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core

        m.d.comb += [
            Value.cast(core.i.payload).eq(self.s_axis_tdata),
            core.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(core.i.ready),
            self.m_axis_tdata.eq(Value.cast(core.o.payload).as_unsigned()),
            self.m_axis_tvalid.eq(core.o.valid),
            core.o.ready.eq(self.m_axis_tready),
        ]

        # Beat n is on offer; last is n == beats_out - 1, known a transfer ahead.
        n = Signal(range(self.beats_out))
        last = Signal(init=self.beats_out == 1)
        m.d.comb += self.m_axis_tlast.eq(last)
        if self.beats_out > 1:
            with m.If(self.m_axis_tvalid & self.m_axis_tready):
                m.d.sync += [n.eq(n + 1), last.eq(n == self.beats_out - 2)]
                with m.If(last):
                    m.d.sync += n.eq(0)
        return m
