# amaranth: UnusedElaboratable=no
"""Slice: some neighbouring channels of every vector of the input stream."""

import numpy as np
from amaranth import Const, Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count
from .outlet import Outlet
from .schedule import Schedule

__all__ = ["SliceUnit"]


class SliceUnit(wiring.Component):
    """Slice: of every vector of ``channels`` elements those from ``start`` up to ``stop``.

    Vectors enter and leave in beats of ``lanes`` elements, in natural order, lowest index in lane
    0. Every step takes a beat; those inside give it.

    Timing: ``II = channels / lanes`` cycles a vector; a beat is offered ``schedule.latency`` cycles
    after it was taken.

    Parameters
    ----------
    shape : Shape or BIPOLAR
        Shape of one element.
    channels : int
        Elements of a vector of ``i``.
    start, stop : int
        The first channel inside, and the first one after it that is not.
    lanes : int
        Elements of a beat; must divide ``channels``, ``start`` and ``stop``.

    Members
    -------
    i : In(stream), shape * lanes
    o : Out(stream), shape * lanes
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, shape, channels, start, stop, lanes):
        if not 0 <= start < stop <= channels:
            raise ValueError(f"start and stop must be ascending and lie in [0, {channels}], the "
                             f"number of channels: they are {start} and {stop}")
        if lanes < 1 or any(each % lanes for each in (channels, start, stop)):
            raise ValueError(f"lanes must divide channels, start and stop: channels is {channels}, "
                             f"start is {start}, stop is {stop}, lanes is {lanes}")
        self.shape, self.channels, self.lanes = shape, channels, lanes
        self.start, self.stop = start, stop
        self.beats = channels // lanes
        layout = data.ArrayLayout(shape, lanes)
        alone = stop - start == lanes
        self._outlet = Outlet(layout, latency=0, interval=self.beats if alone else 1)
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    @property
    def schedule(self):
        """Every step takes a beat; those inside give one."""
        first = np.arange(self.beats) * self.lanes
        return Schedule(np.ones(self.beats, bool), (self.start <= first) & (first < self.stop),
                        self._outlet.latency, self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return self.start // self.lanes + self._outlet.latency

    def model(self, x):
        """Compute what the gateware computes: ``(..., channels)`` to ``(..., stop - start)``."""
        return np.asarray(x)[..., self.start:self.stop]

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        step = Signal()
        inside = self._inside(m, step)
        m.d.comb += [
            self.i.ready.eq(outlet.ready | ~inside),
            step.eq(self.i.valid & self.i.ready),
            outlet.give.eq(step & inside), outlet.push.eq(outlet.give),
            outlet.data.eq(self.i.payload),
        ]
        return m

    def _inside(self, m, step):
        """Return a register that tells whether the next beat is inside."""
        start, stop = self.start // self.lanes, self.stop // self.lanes
        if stop - start == self.beats:
            return Const(1)
        beat, _ = count(m, "beat", self.beats, step)
        inside = Signal(init=start == 0)
        with m.If(step & (beat == (start - 1) % self.beats)):
            m.d.sync += inside.eq(1)
        with m.If(step & (beat == stop - 1)):
            m.d.sync += inside.eq(0)
        return inside
