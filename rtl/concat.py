# amaranth: UnusedElaboratable=no
"""Concat: the vectors of several inputs behind one another."""

import numpy as np
from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count
from .outlet import Outlet
from .schedule import Schedule

__all__ = ["ConcatUnit"]


class ConcatUnit(wiring.Component):
    """Concat: a vector of ``o`` is one vector of every input, behind one another.

    Vectors of ``channels[k]`` elements enter ``i``, ``i_1``, ... in beats of ``lanes``, in natural
    order, lowest index in lane 0; vectors of ``sum(channels)`` leave. A step takes a beat from one
    input and gives it.

    Timing: ``II = sum(channels) / lanes`` cycles a vector; a beat is offered ``latency`` cycles
    after it was taken.

    Parameters
    ----------
    shape : Shape or BIPOLAR
        Shape of one element.
    channels : tuple of int
        Elements of a vector of each input.
    lanes : int
        Elements of a beat; must divide all ``channels``.

    Members
    -------
    i, i_1, ... : In(stream), shape * lanes
    o : Out(stream), shape * lanes
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, shape, channels, lanes):
        if not channels:
            raise ValueError("a concat needs at least one input")
        if lanes < 1 or any(each < 1 or each % lanes for each in channels):
            raise ValueError(f"lanes must divide channels: channels are {list(channels)}, "
                             f"lanes is {lanes}")
        self.shape, self.channels, self.lanes = shape, tuple(channels), lanes
        # The beats of input k are those of a vector of `o` below ends[k].
        self._ends = np.cumsum(self.channels) // lanes
        layout = data.ArrayLayout(shape, lanes)
        self._outlet = Outlet(layout, latency=0)
        self._names = ["i", *(f"i_{k}" for k in range(1, len(self.channels)))]
        super().__init__({
            **{name: In(stream.Signature(layout)) for name in self._names},
            "o": Out(stream.Signature(layout)),
        })

    @property
    def schedule(self):
        """Every step takes a beat from one input, and gives it."""
        source = np.searchsorted(self._ends, np.arange(self._ends[-1]), side="right")
        takes = source == np.arange(len(self._names))[:, None]
        return Schedule(takes, np.ones((1, len(source)), bool), self.latency, self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from a beat taken to the same beat offered."""
        return self._outlet.latency

    def model(self, *x):
        """Compute what the gateware computes: ``(..., channels[k])`` to ``(..., sum)``."""
        return np.concatenate(x, axis=-1)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))
        inputs = [getattr(self, name) for name in self._names]

        # A step takes a beat from the input whose turn it is: one bit of `turn` is high.
        step, turn = Signal(), Signal(len(inputs), init=1)
        beat, _ = count(m, "beat", int(self._ends[-1]), step)
        with m.If(step):
            for end in self._ends.tolist():
                with m.If(beat == end - 1):
                    m.d.sync += turn.eq(turn.rotate_left(1))
        m.d.comb += step.eq(outlet.ready & (turn & Cat(each.valid for each in inputs)).any())
        for mine, each in zip(turn, inputs, strict=True):
            m.d.comb += each.ready.eq(mine & outlet.ready)

        # Its beat goes straight to the outlet.
        payloads = [Mux(mine, Value.cast(each.payload), 0)
                    for mine, each in zip(turn, inputs, strict=True)]
        m.d.comb += [
            outlet.give.eq(step), outlet.push.eq(step),
            Value.cast(outlet.data).eq(_any(payloads)),
        ]
        return m


def _any(values):
    """Return the OR of all values."""
    total, *rest = values
    for value in rest:
        total = total | value
    return total
