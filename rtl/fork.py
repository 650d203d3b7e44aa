# amaranth: UnusedElaboratable=no
"""Fork: gives every beat of its input on several output streams."""

import numpy as np
from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .outlet import Outlet
from .schedule import Schedule

__all__ = ["ForkUnit"]


class ForkUnit(wiring.Component):
    """Fork: gives every beat of ``i`` on ``o``, ``o_1``, ... ``o_<ways - 1>``.

    A beat is taken when there is a credit for it on every output. The outputs are taken from
    independently of one another, until one of them is two beats behind.

    Timing: II 1; a beat is offered ``latency`` cycles after it was taken.

    Parameters
    ----------
    shape : Shape
        Shape of a beat (of the payload, all lanes).
    ways : int
        Output streams.

    Members
    -------
    i : In(stream)
    o, o_1, ... : Out(stream)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, ways):
        if ways < 1:
            raise ValueError(f"ways must be at least 1: it is {ways}")
        self.ways = ways
        self._outlets = [Outlet(shape, latency=0) for _ in range(ways)]
        names = ["o", *(f"o_{k}" for k in range(1, ways))]
        super().__init__({
            "i": In(stream.Signature(shape)),
            **{name: Out(stream.Signature(shape)) for name in names},
        })
        self._names = names

    @property
    def schedule(self):
        """One step, which takes a beat and gives it to all."""
        return Schedule(np.ones((1, 1), bool), np.ones((self.ways, 1), bool), self.latency,
                        self._outlets[0].room)

    @property
    def ii(self):
        """Cycles a beat."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from a beat taken to the same beat offered."""
        return self._outlets[0].latency

    def model(self, x):
        """Return ``x`` once for every output."""
        return (np.asarray(x),) * self.ways

    def elaborate(self, platform):
        m = Module()
        step = Signal()
        m.d.comb += [
            self.i.ready.eq(Cat(outlet.ready for outlet in self._outlets).all()),
            step.eq(self.i.valid & self.i.ready),
        ]
        for name, outlet in zip(self._names, self._outlets, strict=True):
            m.submodules[name] = outlet
            wiring.connect(m, outlet.o, wiring.flipped(getattr(self, name)))
            m.d.comb += [outlet.give.eq(step), outlet.push.eq(step),
                         outlet.data.eq(self.i.payload)]
        return m
