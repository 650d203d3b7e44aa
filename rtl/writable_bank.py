# amaranth: UnusedElaboratable=no
"""Threshold banks whose thresholds can be written at run time: siblings of those in ``bank.py``."""

import numpy as np
from amaranth import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .bank import SEARCH_FROM, STYLES, count_ones
from .control import delay
from .families import GENERIC
from .shapes import is_bipolar, range_of
from .steps import raw_shape
from .weights import pack_words
from .writes import WritableMemory

__all__ = ["WritableComparators", "WritableSearch", "writable_bank"]


def writable_bank(*, thresholds, lanes, channels, a_shape, style="auto", family=GENERIC):
    """Make the bank of ``style``; "auto" searches from ``SEARCH_FROM`` levels on."""
    if style not in ("auto", *STYLES):
        raise ValueError(f"style must be auto, {', '.join(STYLES)}: it is {style!r}")
    if style == "auto":
        levels = (1 << Shape.cast(thresholds.shape).width) - 1
        style = "search" if levels >= SEARCH_FROM else "parallel"
    kind = WritableSearch if style == "search" else WritableComparators
    return kind(thresholds=thresholds, lanes=lanes, channels=channels, a_shape=a_shape,
                family=family)


class _WritableBank(wiring.Component):
    """The ports of a bank, and what its memories hold.

    ``y = low + (falls[c] ^ sum_k (a >= values[c, k]))``, with a step for every level: ``low`` is
    the lowest, and ``falls`` inverts all bits of the sum.
    """

    # Whatever they are at first, thresholds may come to depend on the group.
    by_group = True

    def __init__(self, *, thresholds, lanes, channels, a_shape, family=GENERIC):
        if lanes < 1 or channels < 1:
            raise ValueError(f"channels and lanes must be at least 1: "
                             f"they are {channels} and {lanes}")
        self.thresholds, self.lanes, self.channels = thresholds, lanes, channels
        self.groups = -(-channels // lanes)
        self._a_shape, self._bipolar = raw_shape(a_shape), is_bipolar(a_shape)
        # A threshold is at most one above the highest a: a bit more.
        self._t_shape = Shape(self._a_shape.width + 1, signed=self._a_shape.signed)
        self._y_shape = Shape.cast(thresholds.shape)
        self.bits = self._y_shape.width
        self.memories = {name: WritableMemory(words, width=width, family=family)
                         for name, (words, width) in self._lay(thresholds).items()}
        super().__init__({
            "a": In(data.ArrayLayout(a_shape, lanes)),
            "group": In(range(self.groups)),
            "y": Out(data.ArrayLayout(thresholds.shape, lanes)),
        })

    def words(self, thresholds):
        """Return by name the words of the memories for thresholds of the same shape."""
        return {name: words for name, (words, _) in self._lay(thresholds).items()}

    def model(self, a):
        """Compute what the gateware computes: ``(..., channels)`` to ``(..., channels)``."""
        return self.thresholds.model(a)

    def _rows(self, thresholds):
        """Return values (groups * lanes, N), on the bits of a, and falls (groups * lanes,)."""
        full, (low, high) = thresholds.full(self.channels), range_of(self._a_shape)
        values = full.values
        if self._bipolar:
            # 2*bit - 1 >= value   <=>   bit >= ceil((value + 1) / 2)
            values = (np.clip(values, -2, 2) + 2) // 2
        spare = self.groups * self.lanes - self.channels
        values = np.pad(np.clip(values, low, high + 1), ((0, spare), (0, 0)))
        # Channels past the end give 0: so many steps above the lowest level.
        zero = 1 << (self.bits - 1) if self._y_shape.signed else 0
        values[self.channels:] = np.where(np.arange(full.steps) < zero, low, high + 1)
        return values, np.pad(full.falls[:, 0], (0, spare))

    def _pack(self, values):
        """Return words of thresholds (depth, elements), and their width."""
        width = self._t_shape.width
        return pack_words(values & ((1 << width) - 1), width), values.shape[1] * width

    def _threshold(self, word, k):
        """Return the k-th threshold of a word."""
        bits = word.word_select(k, self._t_shape.width)
        return bits.as_signed() if self._t_shape.signed else bits

    def _lane(self, p):
        """Return ``a[p]`` as the integer of its bits."""
        bits = Value.cast(self.a).word_select(p, self._a_shape.width)
        return bits.as_signed() if self._a_shape.signed else bits

    def _read(self, m, name, address, wait):
        """Return the word of a memory, ``wait`` cycles, or as many as it needs, later."""
        m.submodules[name] = store = self.memories[name]
        m.d.comb += store.addr.eq(delay(m, address, wait - store.latency))
        return store.data

    def _level(self, count, fall):
        """Return the bits of the level that a sum means."""
        level = count ^ fall.replicate(self.bits)
        return Cat(level[:-1], ~level[-1]) if self._y_shape.signed else level


class WritableComparators(_WritableBank):
    """Threshold bank with a comparator for every level: ``Comparators`` that can be written.

    Timing: thresholds are read in 1 cycle, or 2 from block RAM, or 0 where there is one group;
    comparing takes 1, and counting more than one step 1 and another for each doubling of more
    than six.
    """

    def _lay(self, thresholds):
        values, falls = self._rows(thresholds)
        rows = values.reshape(self.groups, -1)
        return {"steps": self._pack(rows),
                "falls": (pack_words(falls.reshape(self.groups, -1), 1), self.lanes)}

    @property
    def _wait(self):
        return max(memory.latency for memory in self.memories.values())

    @property
    def _levels(self):
        chunks = -(-((1 << self.bits) - 1) // 6)
        return 0 if self.bits == 1 else 1 + (chunks - 1).bit_length()

    @property
    def latency(self):
        """Cycles from ``a`` to ``y``."""
        return self._wait + 1 + self._levels

    def elaborate(self, platform):
        m = Module()
        steps = (1 << self.bits) - 1

        # Read the thresholds of the group.
        word = self._read(m, "steps", self.group, self._wait)
        falls = self._read(m, "falls", self.group, self.latency)
        for p in range(self.lanes):
            a = delay(m, self._lane(p), self._wait)

            # Compare.
            bits = []
            for k in range(steps):
                bit = Signal(name=f"bit_{p}_{k}", reset_less=True)
                m.d.sync += bit.eq(a >= self._threshold(word, p * steps + k))
                bits.append(bit)

            # Count: six bits at first, then sums of two.
            sums = [count_ones(bits[k:k + 6]) for k in range(0, steps, 6)]
            for _ in range(self._levels):
                sums = [delay(m, total[:self.bits], 1) for total in sums]
                sums = [sum(sums[k + 1:k + 2], sums[k]) for k in range(0, len(sums), 2)]
            m.d.comb += Value.cast(self.y).word_select(p, self.bits).eq(
                self._level(sums[0][:self.bits], falls[p]))
        return m


class WritableSearch(_WritableBank):
    """Threshold bank that finds the level by binary search: ``Search`` that can be written.

    A level of the search, one for every bit of ``y``, reads the threshold in the middle of what is
    left from a memory of its own for every lane, and compares.

    Timing: each level takes 1 cycle and those of the read: 1, or 2 from block RAM, 0 for one word.
    What falls is read with the last level.
    """

    def _lay(self, thresholds):
        values, falls = self._rows(thresholds)
        laid = {"falls": (pack_words(falls.reshape(self.groups, -1), 1), self.lanes)}
        for level in range(self.bits):
            # Row g*2^level + x: the middle of the 2^(bits - level) - 1 after x such runs.
            run = 2 ** (self.bits - level)
            for p in range(self.lanes):
                nodes = values[p::self.lanes, run // 2 - 1::run].reshape(-1, 1)
                laid[f"nodes_{level}_{p}"] = self._pack(nodes)
        return laid

    def _wait(self, level):
        return self.memories[f"nodes_{level}_0"].latency

    @property
    def latency(self):
        """Cycles from ``a`` to ``y``."""
        return sum(self._wait(level) + 1 for level in range(self.bits))

    def elaborate(self, platform):
        m = Module()
        a = [self._lane(p) for p in range(self.lanes)]
        counts, group = [Const(0, 0)] * self.lanes, self.group
        falls = self._read(m, "falls", group, self.latency)
        for level in range(self.bits):
            # Read the middle of what is left.
            wait = self._wait(level)
            nodes = [self._read(m, f"nodes_{level}_{p}", Cat(counts[p], group), wait)
                     for p in range(self.lanes)]

            # Compare: the next bit of the count, from the highest.
            for p, node in enumerate(nodes):
                bit = Signal(name=f"bit_{level}_{p}", reset_less=True)
                m.d.sync += bit.eq(delay(m, a[p], wait) >= self._threshold(node, 0))
                a[p], counts[p] = delay(m, a[p], wait + 1), Cat(bit, delay(m, counts[p], wait + 1))
            group = delay(m, group, wait + 1)
        for p, count in enumerate(counts):
            m.d.comb += Value.cast(self.y).word_select(p, self.bits).eq(
                self._level(count, falls[p]))
        return m
