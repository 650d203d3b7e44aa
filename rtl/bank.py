# amaranth: UnusedElaboratable=no
"""Threshold banks: free-running pipelines that compute ``y = thresholds(a)``, lane by lane."""

import numpy as np
from amaranth import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .families import GENERIC
from .shapes import range_of
from .steps import Steps, raw_shape, stored
from .table import Table
from .thresholds import NEVER

__all__ = ["SEARCH_FROM", "STYLES", "Comparators", "Search", "bank", "can_search",
           "cheapest_style"]

STYLES = ("parallel", "search")
# 16 lanes of 64 channels, LUTs by Yosys for xc7, in parallel and by search: 3 steps of 10 bits
# 368 and 369, 7 steps of 10 bits 871 and 644, 15 steps of 12 bits 2398 and 1064.
SEARCH_FROM = 7


def bank(*, thresholds, lanes, channels, a_shape, style="auto", family=GENERIC):
    """Make the bank of ``style``; "auto" searches from ``SEARCH_FROM`` steps on, if it can."""
    if style not in ("auto", *STYLES):
        raise ValueError(f"style must be auto, {', '.join(STYLES)}: it is {style!r}")
    if style == "auto":
        style = cheapest_style(thresholds)
    kind = Search if style == "search" else Comparators
    return kind(thresholds=thresholds, lanes=lanes, channels=channels, a_shape=a_shape,
                family=family)


def can_search(thresholds):
    """Tell whether every channel only rises or only falls."""
    real, falls = thresholds.values < NEVER, thresholds.falls
    return not ((falls & real).any(axis=1) & (~falls & real).any(axis=1)).any()


def cheapest_style(thresholds):
    """Return "search" for many steps, where they can be searched for."""
    many = thresholds.steps >= SEARCH_FROM
    return "search" if many and can_search(thresholds) else "parallel"


def delayed(m, value, cycles):
    """Return ``value`` as it was ``cycles`` cycles ago; a constant stays itself."""
    for _ in range(0 if isinstance(value, Const) else cycles):
        after = Signal(value.shape(), name="delayed", reset_less=True)
        m.d.sync += after.eq(value)
        value = after
    return value


def count_ones(bits):
    """Return the number of ones among ``bits``, as gates: of six or fewer a LUT6 for each bit."""
    total, bits = [], list(bits)
    while bits:
        # Full adders, one power of two at a time.
        carries = []
        while len(bits) > 1:
            a, b, c = (*bits[:2], bits[2] if len(bits) > 2 else Const(0, 1))
            bits = [*bits[3:], a ^ b ^ c]
            carries.append((a & b) | (c & (a ^ b)))
        total.append(bits[0])
        bits = carries
    return Cat(total)


class _Bank(wiring.Component):
    """The ports of a bank, and its steps."""

    def __init__(self, *, thresholds, lanes, channels, a_shape, steps=None, family=GENERIC):
        if lanes < 1 or channels < 1:
            raise ValueError(f"channels and lanes must be at least 1: "
                             f"they are {channels} and {lanes}")
        self.thresholds, self.lanes, self.channels = thresholds, lanes, channels
        self.groups, self._family = -(-channels // lanes), family
        self.steps = Steps.of(thresholds, channels=channels, lanes=lanes, a_shape=a_shape,
                              steps=steps)
        self._a_shape = raw_shape(a_shape)
        self._y_shape = Shape(Shape.cast(thresholds.shape).width)
        super().__init__({
            "a": In(data.ArrayLayout(a_shape, lanes)),
            "group": In(range(self.groups)),
            "y": Out(data.ArrayLayout(thresholds.shape, lanes)),
        })

    def model(self, a):
        """Compute what the gateware computes: ``(..., channels)`` to ``(..., channels)``."""
        return self.thresholds.model(a)

    def _lane(self, p):
        """Return ``a[p]`` as the integer of its bits."""
        bits = Value.cast(self.a).word_select(p, self._a_shape.width)
        return bits.as_signed() if self._a_shape.signed else bits


class Comparators(_Bank):
    """Threshold bank with a comparator for every step.

    In every cycle it takes the ``a`` of one group of ``lanes`` channels and the group's number;
    ``latency`` cycles later it shows their ``y``: no valid, no reset, no stall. Channels past the
    end show 0 bits. Steps that no ``a`` crosses, and constants, cost nothing.

    Timing: thresholds that differ from group to group are read in 1 cycle, or 2 in block RAM,
    comparing takes 1, and counting more than one step 1 and another for each doubling of more than
    six.

    Parameters
    ----------
    thresholds : Thresholds
        For ``channels`` channels, or one for all of them.
    lanes : int
        Channels side by side. Need not divide ``channels``.
    channels : int
        Channels of a vector.
    a_shape : Shape or BIPOLAR
        Shape of one ``a``.
    family : Family
        What memories cost.

    Members
    -------
    a : In(a_shape * lanes)
    group : In(range(groups))
        Its channels are ``group * lanes`` and up.
    y : Out(thresholds.shape * lanes)
    """

    def __init__(self, *, thresholds, lanes, channels, a_shape, family=GENERIC):
        super().__init__(thresholds=thresholds, lanes=lanes, channels=channels, a_shape=a_shape,
                         family=family)
        # Of every lane p: what is added, and the steps that some a of some group crosses.
        self._parts = [self._split(p) for p in range(lanes)]
        # Row g of the table: for every lane the base of its channel, and of every step the
        # threshold and whether it falls.
        columns, shapes = [], []
        for base, crossed in self._parts:
            columns += [base, *(column for value, fall in crossed for column in (value[0], fall))]
            shapes += [self._y_shape,
                       *(shape for value, _ in crossed for shape in (value[1], Shape(1)))]
        self._table = Table(np.stack(columns, axis=1), shapes, family=family)
        most = max(len(crossed) for _, crossed in self._parts)
        plain = all(not crossed or (len(crossed) == 1 and not base.any())
                    for base, crossed in self._parts)
        self._chunks = max(-(-most // 6), 1)
        self._levels = 0 if plain else 1 + (self._chunks - 1).bit_length()

    def _split(self, p):
        """Return of lane ``p``, for every group, the base and (stored thresholds, falls)."""
        low, high = range_of(self._a_shape)
        base, crossed = self.steps.base[p::self.lanes], []
        for values, falls in zip(self.steps.values[p::self.lanes].T,
                                 self.steps.falls[p::self.lanes].T, strict=True):
            if np.all((values == low) | (values == high + 1)):
                base = base + (falls ^ (values == low))
            else:
                crossed.append((stored(values, self._a_shape), falls))
        return base % (1 << self._y_shape.width), crossed

    @property
    def by_group(self):
        """Whether thresholds depend on the group."""
        return self._table.width > 0

    @property
    def latency(self):
        """Cycles from ``a`` to ``y``."""
        return self._table.latency + 1 + self._levels

    def elaborate(self, platform):
        m = Module()

        # Read the thresholds of the group, if they depend on it.
        columns = iter(self._table.read(m, "steps", self.group))
        for p, (_, crossed) in enumerate(self._parts):
            a = delayed(m, self._lane(p), self._table.latency)
            base = delayed(m, next(columns), 1)

            # Compare.
            bits = []
            for (_, _, strict), _ in crossed:
                value, fall = next(columns), next(columns)
                bit = Signal(name=f"bit_{p}_{len(bits)}", reset_less=True)
                m.d.sync += bit.eq((a > value if strict else a >= value) ^ fall)
                bits.append(bit)

            # Count: six bits at first, then sums of two.
            sums = [count_ones(bits[6 * k:6 * k + 6]) for k in range(self._chunks)]
            sums[0] = sums[0] + base if bits else base
            for _ in range(self._levels):
                sums = [delayed(m, total[:self._y_shape.width], 1) for total in sums]
                sums = [sum(sums[k + 1:k + 2], sums[k]) for k in range(0, len(sums), 2)]
            m.d.comb += Value.cast(self.y).word_select(p, self._y_shape.width).eq(sums[0])
        return m


class Search(_Bank):
    """Threshold bank that finds the level of ``y`` by binary search, a comparator for every bit.

    It stands in for ``Comparators`` where every channel only rises or only falls: the same ports
    and parameters. A level of the search reads the threshold in the middle of what is left, from
    a memory with the nodes of that level alone, and compares.

    Timing: each of the ``ceil(log2(steps + 1))`` levels takes 2 cycles, 3 where it reads block RAM,
    1 where its threshold is always the same; setting off the base or the sense of a channel takes
    1.
    """

    def __init__(self, *, thresholds, lanes, channels, a_shape, family=GENERIC):
        self.levels = max(thresholds.steps.bit_length(), 1)
        super().__init__(thresholds=thresholds, lanes=lanes, channels=channels, a_shape=a_shape,
                         steps=2 ** self.levels - 1, family=family)
        if len(self.steps.uneven):
            raise ValueError("a search needs channels that only rise or only fall: "
                             f"channel {self.steps.uneven[0]} does both")
        # y = base + (count ^ falls)
        falls = self.steps.falls[:, 0] * (2 ** self.levels - 1)
        self._tables = [[self._nodes(level, p) for p in range(lanes)]
                        for level in range(self.levels)]
        self._ends = Table(
            np.stack([self.steps.base, falls], axis=1).reshape(-1, 2 * lanes),
            [self._y_shape, Shape(self.levels)] * lanes, style="logic")
        self._plain = not self.steps.base.any() and not falls.any()

    def _nodes(self, level, p):
        """Return the table of a level and a lane, and whether to compare by >."""
        # Row g*2^level + x: among 2^(levels - level) - 1 thresholds after x such runs, the middle.
        run = 2 ** (self.levels - level)
        values = self.steps.values[p::self.lanes, run // 2 - 1::run].reshape(-1)
        values, shape, strict = stored(values, self._a_shape)
        return Table(values[:, None], [shape], family=self._family), strict

    def _read_latency(self, level):
        return max(table.latency for table, _ in self._tables[level])

    @property
    def by_group(self):
        """Whether thresholds depend on the group."""
        return len(self.steps.values) > self.lanes

    @property
    def latency(self):
        """Cycles from ``a`` to ``y``."""
        reads = sum(self._read_latency(level) for level in range(self.levels))
        return reads + self.levels + (not self._plain)

    def elaborate(self, platform):
        m = Module()
        a = [self._lane(p) for p in range(self.lanes)]
        counts = [Const(0, 0)] * self.lanes
        group = self.group if self.by_group else Const(0, 0)

        for level, tables in enumerate(self._tables):
            # Read the middle of what is left.
            wait = self._read_latency(level)
            nodes = [delayed(m, table.read(m, f"nodes_{level}_{p}", Cat(counts[p], group))[0],
                             wait - table.latency) for p, (table, _) in enumerate(tables)]

            # Compare: the next bit of the count, from the highest.
            for p, (_, strict) in enumerate(tables):
                a[p], counts[p] = delayed(m, a[p], wait), delayed(m, counts[p], wait)
                bit = Signal(name=f"bit_{level}_{p}", reset_less=True)
                m.d.sync += bit.eq(a[p] > nodes[p] if strict else a[p] >= nodes[p])
                a[p], counts[p] = delayed(m, a[p], 1), Cat(bit, delayed(m, counts[p], 1))
            last, group = group, delayed(m, group, wait + 1)

        # Set off the base and the sense.
        if not self._plain:
            ends = self._ends.read(m, "ends", delayed(m, last, wait))
            for p, (base, falls) in enumerate(zip(ends[::2], ends[1::2], strict=True)):
                counts[p] = delayed(m, (base + (counts[p] ^ falls))[:self._y_shape.width], 1)
        for p, count in enumerate(counts):
            m.d.comb += Value.cast(self.y).word_select(p, self._y_shape.width).eq(count)
        return m
