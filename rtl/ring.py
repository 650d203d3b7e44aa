"""Ring: the counts of a memory that one process fills and another reads, window by window."""

from functools import cached_property

import numpy as np
from amaranth import Array, C, Cat, Const, Mux, Signal

from .schedule import Process, Schedule, Wait
from .shapes import shape_for

__all__ = ["Place", "Ring"]


class Ring:
    """A ring of beats between two processes: how deep it is, and who has to wait.

    The *writer* puts in a beat a step, ``beats_in`` a frame. The *reader* reads a window in
    ``steps`` steps; before window v it needs the first ``needed[v]`` beats of the frame, and when
    it comes to window v the first ``dropped[v]`` beats are not needed any more. Both wait for the
    steps of the other that they depend on, and begin in the cycle after them.

    Parameters
    ----------
    needed, dropped : array of int, (OH, OW)
        Of every window, in raster order; neither ever falls.
    steps : int
        Beats of a window.
    beats_in : int
        Beats of a frame that are put in.
    """

    def __init__(self, *, needed, dropped, steps, beats_in):
        self.shape = needed.shape
        self.needed, self.dropped = needed.ravel(), dropped.ravel()
        self.steps, self.beats_in = steps, beats_in
        self.beats_out = needed.size * steps

    @property
    def period(self):
        """Cycles a frame, if the ring is deep enough."""
        return max(self.beats_in, self.beats_out)

    @cached_property
    def least_depth(self):
        """Return the fewest beats with which neither process slows the slower one down.

        Window v begins in cycle ``v * steps`` if the reader never waits, and not before cycle
        ``needed[v]``. Beat ``dropped[j - 1] + depth`` is the first that has to wait for windows
        up to j - 1. From window j - 1 to v, by way of the writer if j <= v, or from beat to beat,
        by way of the reader if v < j, it takes no longer than on the straight way if

            depth >= needed[v] - dropped[j - 1] + (j - v) * steps.
        """
        frame = np.array([[-self.beats_in], [0]])
        needed, dropped = ((frame + each).ravel() for each in (self.needed, self.dropped))
        begins = np.arange(len(needed)) * self.steps
        until = begins[1:] - dropped[:-1]                    # of j = 1, 2, ...
        after = needed - begins                              # of v = 0, 1, ...
        if self.beats_out >= self.beats_in:
            slack = after[1:] + np.maximum.accumulate(until)
        else:
            slack = until + np.maximum.accumulate(after)[:-1]
        return max(2, int((needed - dropped).max()), int(slack.max()))

    def schedule(self, depth, *, latency, room):
        """Return the schedule of the two processes over a ring of ``depth`` beats.

        Step n of the writer waits for the first j windows to be read, with the least j for which
        fewer than ``depth`` of the beats up to n are still needed. The steps of window v wait for
        the first ``needed[v]`` beats.
        """
        frames, beats = np.divmod(np.arange(self.beats_in) - depth, self.beats_in)
        windows = np.searchsorted(self.dropped, beats, side="right")
        read = (frames * self.needed.size + windows) * self.steps
        written = np.repeat(self.needed, self.steps)

        def process(steps, takes, waits):
            takes, gives = (np.broadcast_to(each, (1, steps)) for each in (takes, not takes))
            return Process(takes, gives, (waits,))

        none = np.zeros(0, bool)
        return Schedule(none, none, latency, room, (
            process(self.beats_in, True, Wait(1, read, delay=1)),
            process(self.beats_out, False, Wait(0, written, delay=1))))

    def balances(self, m, depth, take, ends, column, row):
        """Count what is written against what may be, and against what the next window needs.

        space = dropped + depth - 1 - written, ahead = written - needed: below 0 is not enough.
        """
        needed, dropped = self.needed, self.dropped
        after_needed, after_dropped = (np.append(each[1:], each[0] + self.beats_in)
                                       for each in (needed, dropped))
        most = max(int((after_dropped - needed).max()), int(dropped[0]))
        space = Signal(range(-1, depth + most), init=depth - 1 + int(dropped[0]))
        ahead = Signal(range(-int(max((after_needed - needed).max(), needed[0])),
                             depth + int((dropped - needed).max()) + 1),
                       init=-int(needed[0]))

        def change(balance, amounts, carry):
            """Add ``amounts`` of the window if it ends, and ``carry``, by one adder."""
            amounts, rest = amounts
            by_window = amounts.reshape(self.shape)
            moves = (by_window[:, :-1] != rest).any(axis=1)
            within = np.append(by_window[np.argmax(moves), :-1], rest)
            in_row = Mux(row.lookup(moves), column.lookup(within), rest)
            amount = Signal.like(balance, name="amount")
            m.d.comb += amount.eq(
                Mux(ends, Mux(column.last, row.lookup(by_window[:, -1]), in_row), rest))
            total = Cat(C(1, 1), balance) + Cat(carry, amount)
            m.d.sync += balance.eq(total[1:])

        change(space, (after_dropped - dropped - 1, -1), ~take)
        change(ahead, (needed - after_needed, 0), take)
        return space, ahead

class Place:
    """A count, and what depends on it, told ahead: registers that change with it."""

    def __init__(self, m, value, last, step):
        self.m, self.value, self.last, self.step = m, value, last, step

    def _choose(self, kept, values):
        """Set ``kept`` to the value of the next count, where that is another one."""
        m = self.m
        with m.If(self.step):
            for k in np.flatnonzero(np.any(values[1:] != values[:-1], axis=1)).tolist():
                with m.If(self.value == k):
                    m.d.sync += kept.eq(_number(values[k + 1]))
            with m.If(self.last):
                m.d.sync += kept.eq(_number(values[0]))

    def lookup(self, values):
        """Return ``values[count]``."""
        different, number = np.unique(values, return_inverse=True)
        shape = shape_for(different.min(), different.max())
        constants = [Const(int(value), shape) for value in different]
        if len(constants) == 1:
            return constants[0]
        kept = Signal(range(len(constants)), name="run", init=int(number[0]))
        width = kept.shape().width
        self._choose(kept, (number[:, None] >> np.arange(width)) & 1)
        return Array(constants)[kept]

    def edges(self, name, outside, turn):
        """Return ``outside[count, k]``, where k is how often ``turn`` was high since the last."""
        if not outside.any():
            return Const(0)
        kept = Signal(outside.shape[1], name=name, init=_number(outside[0]))
        with self.m.If(turn):
            self.m.d.sync += kept.eq(kept.rotate_right(1))
        self._choose(kept, outside)
        return kept[0]


def _number(bits):
    """Return the number of these bits, lowest first."""
    return sum(int(bit) << k for k, bit in enumerate(bits))
