# amaranth: UnusedElaboratable=no
"""Width converter: the same vectors in beats of another number of lanes."""

from math import gcd
from typing import NamedTuple

import numpy as np
from amaranth import Cat, Module, Mux, Shape, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .outlet import Outlet
from .schedule import Schedule

__all__ = ["WidthConverter", "width_converters"]


def width_converters(shape, *, elements, i_lanes, o_lanes, kind=None):
    """Return the units, in order, that change the lanes without slowing a chain down.

    One converter, or none where the lanes are the same; where one would need a cycle more than
    either side, two, by way of ``2 * i_lanes`` lanes. ``kind`` is the class that makes them.
    """
    if i_lanes == o_lanes:
        return []
    kind = kind or WidthConverter
    made = kind(shape, elements=elements, i_lanes=i_lanes, o_lanes=o_lanes)
    if made.ii == max(-(-elements // i_lanes), -(-elements // o_lanes)):
        return [made]
    return [kind(shape, elements=elements, i_lanes=i_lanes, o_lanes=2 * i_lanes),
            kind(shape, elements=elements, i_lanes=2 * i_lanes, o_lanes=o_lanes)]


class _Step(NamedTuple):
    """What happens in a step.

    The elements held move down by a beat of ``o`` if ``shift``. The beat of ``i``, if it takes
    one, goes into the cells from ``offset`` on. If it gives one, the lowest cells are the beat of
    ``o``, of which those from ``end`` on are 0.
    """

    offset: int | None
    shift: bool
    gives: bool
    end: int


class WidthConverter(wiring.Component):
    """Width converter: the same vectors in beats of another number of lanes.

    A vector enters as ``ceil(elements / i_lanes)`` beats and leaves as ``ceil(elements /
    o_lanes)``, in natural order, lowest index in lane 0. Lanes past the end of a vector are 0
    bits on ``o``, whatever they were on ``i``; no beat holds elements of two vectors.

    Steps: each takes a beat if fewer elements are held than the next beat of ``o`` needs, and
    gives that beat if then there are enough.

    Timing: ``II = max(beats in, beats out)`` cycles a vector; one more if the last beat of ``i``
    holds more elements than the last one of ``o``, which is wider: then two beats of ``o`` come
    from the last one of ``i``. That is never so if ``o_lanes`` divides ``elements``; otherwise see
    ``width_converters``.

    Parameters
    ----------
    shape : Shape or BIPOLAR
        Shape of one element.
    elements : int
        Elements of a vector.
    i_lanes, o_lanes : int
        Elements of a beat; need not divide ``elements``, nor one another.

    Members
    -------
    i : In(stream), shape * i_lanes
    o : Out(stream), shape * o_lanes
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, elements, i_lanes, o_lanes):
        if min(elements, i_lanes, o_lanes) < 1:
            raise ValueError(f"elements and lanes must be at least 1: elements is {elements}, "
                             f"i_lanes is {i_lanes}, o_lanes is {o_lanes}")
        self.shape, self.elements = shape, elements
        self.i_lanes, self.o_lanes = i_lanes, o_lanes
        self._steps = self._make_steps()
        gives = np.flatnonzero([step.gives for step in self._steps])
        interval = int(np.diff(gives, append=gives[0] + len(self._steps)).min())
        o_layout = data.ArrayLayout(shape, o_lanes)
        self._outlet = Outlet(o_layout, latency=2, interval=interval)
        super().__init__({
            "i": In(stream.Signature(data.ArrayLayout(shape, i_lanes))),
            "o": Out(stream.Signature(o_layout)),
        })

    def _make_steps(self):
        """Return the steps of a vector."""
        steps, taken, given, gave = [], 0, 0, False
        while given < self.elements:
            # Cells below `held` are in use; those below `end` make the next beat of `o`.
            held, end = taken - given, min(self.o_lanes, self.elements - given)
            takes, shift = held < end, gave and held > 0
            offset = held if takes else None
            taken = min(taken + self.i_lanes * takes, self.elements)
            gave = taken - given >= end
            steps.append(_Step(offset, shift, gave, end if gave else self.o_lanes))
            given += self.o_lanes * gave
        return steps

    @property
    def schedule(self):
        """See ``Steps`` above."""
        return Schedule(np.array([step.offset is not None for step in self._steps]),
                        np.array([step.gives for step in self._steps]),
                        2 + self._outlet.latency, self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        schedule = self.schedule
        return int(np.argmax(schedule.gives)) + schedule.latency

    def model(self, x):
        """Return ``x``: the elements are the same."""
        return np.asarray(x)

    def _loop(self):
        """Return the steps of a loop, how often it runs in a vector, and the steps after that."""
        unit = gcd(self.i_lanes, self.o_lanes)
        size = max(self.i_lanes, self.o_lanes) // unit
        steps, times = self._steps, 1
        while steps[times * size:(times + 1) * size] == steps[:size]:
            times += 1
        if times * size >= len(steps):
            return steps[:size], 1, []
        return (steps[:size], times, steps[times * size:]) if times > 1 else (steps, 1, [])

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Stage 0: the step, which waits for its beat and for its credit.
        loop, times, rest = self._loop()
        kinds = list(dict.fromkeys(loop + rest))
        go = Signal()
        takes, gives, kind = self._sequence(m, go, loop, times, rest, kinds)
        m.d.comb += [
            self.i.ready.eq(takes & (outlet.ready | ~gives)),
            go.eq((self.i.valid | ~takes) & (outlet.ready | ~gives)),
            outlet.give.eq(go & gives),
        ]

        # Stage 1: from here on nothing waits.
        payload = Signal(Shape.cast(self.i.payload.shape()), reset_less=True)
        went, gave, moved = Signal(), Signal(), Signal.like(kind, reset_less=True)
        m.d.sync += [
            payload.eq(self.i.payload), moved.eq(kind),
            went.eq(go), gave.eq(go & gives), outlet.push.eq(gave),
        ]

        # Stage 2: the cells, the lowest of which are the beat.
        width = Shape.cast(self.shape).width
        size = max(self.o_lanes, *((step.offset or 0) + self.i_lanes for step in kinds))
        cells = [Signal(width, name=f"cell_{u}", reset_less=True) for u in range(size)]
        with m.If(went), m.Switch(moved):
            for k, step in enumerate(kinds):
                with m.Case(k):
                    m.d.sync += self._moves(step, cells, payload)
        m.d.comb += outlet.data.eq(Cat(cells[:self.o_lanes]))
        return m

    def _sequence(self, m, go, loop, times, rest, kinds):
        """Go through the steps, one after each ``go``; return what the present one is.

        All are registers: whether it takes, whether it gives, its number among ``kinds``.
        """
        steps = loop + rest
        first = steps[0]
        state = Signal(range(len(steps)))
        takes = Signal(init=first.offset is not None)
        gives = Signal(init=first.gives)
        kind = Signal(range(len(kinds)))
        ends = Signal()                      # this is the last time through the loop

        def enter(k):
            return [state.eq(k), takes.eq(steps[k].offset is not None), gives.eq(steps[k].gives),
                    kind.eq(kinds.index(steps[k]))]

        with m.If(go), m.Switch(state):
            for k in range(len(steps)):
                with m.Case(k):
                    m.d.sync += enter((k + 1) % len(steps))
                    if rest and k == len(loop) - 1:
                        count = Signal(range(times))
                        m.d.sync += [count.eq(Mux(ends, 0, count + 1)),
                                     ends.eq(count == times - 2)]
                        with m.If(~ends):
                            m.d.sync += enter(0)
        return takes, gives, kind

    def _moves(self, step, cells, payload):
        """Return the assignments of a step; cells that are not in use after it may be anything."""
        for u, cell in enumerate(cells):
            if step.end <= u < self.o_lanes:
                yield cell.eq(0)
            elif step.offset is not None and step.offset <= u < step.offset + self.i_lanes:
                yield cell.eq(payload.word_select(u - step.offset, len(cell)))
            elif step.shift and u + self.o_lanes < len(cells):
                yield cell.eq(cells[u + self.o_lanes])
