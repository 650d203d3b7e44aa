"""Rewritten: a writable component, its contents written anew in the middle of a run."""

import numpy as np
from amaranth import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.data import StructLayout
from amaranth.lib.wiring import In, Out

__all__ = ["Rewritten"]

# Cycles after the last write in which it is done, at the latest: a relay for each of 60 units.
PATIENCE = 64


class Rewritten(wiring.Component):
    """A writable core that takes some beats, gives some beats, is written, and goes on.

    Parameters
    ----------
    core : Component
        With streams ``i`` and ``o``, and ``writes``.
    image : array of uint32
        Written in an order drawn from ``seed``, every word once.
    beats_in, beats_out : int
        Beats on ``i`` and on ``o`` before that.
    """

    def __init__(self, core, image, *, beats_in, beats_out, seed=0):
        self.core, self.beats_in, self.beats_out = core, beats_in, beats_out
        order = np.random.default_rng(seed).permutation(len(image))
        self.writes = [{"address": k, "data": int(image[k])} for k in order.tolist()]
        self._inputs = [name for name in core.signature.members if name.startswith("i")]
        super().__init__({
            **{name: In(getattr(core, name).signature.flip()) for name in self._inputs},
            "o": Out(core.o.signature)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.core = core = self.core
        shape = StructLayout({"address": len(core.writes.address), "data": 32})
        m.submodules.rom = rom = memory.Memory(shape=shape, depth=len(self.writes),
                                               init=self.writes)
        port = rom.read_port()

        for name in self._inputs:
            wiring.connect(m, wiring.flipped(getattr(self, name)), getattr(core, name))
        wiring.connect(m, core.o, wiring.flipped(self.o))
        taken, given = Signal(range(self.beats_in + 1)), Signal(range(self.beats_out + 1))
        next_, end = Signal(range(len(self.writes) + PATIENCE + 1)), len(self.writes) + PATIENCE
        closed = (taken == self.beats_in) & (next_ != end)
        m.d.comb += [
            core.i.valid.eq(self.i.valid & ~closed), self.i.ready.eq(core.i.ready & ~closed),
            port.addr.eq(next_),
            core.writes.address.eq(port.data.address), core.writes.data.eq(port.data.data),
        ]
        with m.If((taken != self.beats_in) & self.i.valid & self.i.ready):
            m.d.sync += taken.eq(taken + 1)
        with m.If((given != self.beats_out) & self.o.valid & self.o.ready):
            m.d.sync += given.eq(given + 1)
        m.d.sync += core.writes.valid.eq(0)
        with m.If((taken == self.beats_in) & (given == self.beats_out) & (next_ != end)):
            m.d.sync += [next_.eq(next_ + 1), core.writes.valid.eq(next_ < len(self.writes))]
        return m
