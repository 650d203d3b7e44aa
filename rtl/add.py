# amaranth: UnusedElaboratable=no
"""Add: computes ``y = thresholds(sum_k multipliers[k] * x[k])`` for the vectors of its inputs."""

from typing import NamedTuple

import numpy as np
from amaranth import Cat, Const, Module, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .bank import bank
from .control import count, delay, shifted
from .families import GENERIC
from .outlet import Outlet
from .schedule import Schedule
from .shapes import is_bipolar, range_of, shape_for
from .writable_bank import writable_bank
from .writes import Contents, writes_signature

__all__ = ["AddUnit"]


class AddUnit(wiring.Component):
    """Add: ``y = thresholds(sum_k multipliers[k] * x[k])``, or the sums themselves.

    Vectors enter and leave as ``channels / lanes`` beats, in natural order, lowest index in lane 0.
    A beat is taken from all inputs in the same cycle: the ``ready`` of each waits for the ``valid``
    of the others (a register of whatever feeds it, which waits for no ``ready``: no loop).

    Products are sums of shifted inputs, and all these are added up by a tree, two by two.

    Timing: ``II = channels / lanes`` cycles a vector. A beat is offered ``latency`` cycles after
    it was taken: one for each level of the tree, those of the thresholds, and the outlet's.

    Parameters
    ----------
    multipliers : sequence of int
        One an input, none of them 0.
    shapes : sequence of Shape or BIPOLAR
        Shape of one element of each input.
    channels : int
        Elements of a vector.
    lanes : int
        Channels side by side; must divide ``channels``.
    thresholds : Thresholds, optional
        For ``channels`` channels, or one for all of them.
    style : str
        How thresholds are compared, "parallel" or "search": as those of a ``ThresholdUnit``.
    writable : bool
        The thresholds, which there must be, can be written at run time, as those of a
        ``ThresholdUnit``.
    family : Family
        What memories cost that are written.

    Members
    -------
    i, i_1, ... : In(stream), shapes[k] * lanes
    o : Out(stream), thresholds.shape * lanes
        Without thresholds the narrowest shape of the sums.
    writes : In(writes_signature(words))
        Only if writable. A write is done two cycles later.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, multipliers, shapes, channels, lanes, thresholds=None, style="auto",
                 writable=False, family=GENERIC):
        if not len(multipliers) == len(shapes) >= 1:
            raise ValueError(f"every input has a multiplier and a shape: there are "
                             f"{len(multipliers)} multipliers and {len(shapes)} shapes")
        if 0 in multipliers:
            raise ValueError(f"multipliers must not be 0: they are {list(multipliers)}")
        if lanes < 1 or channels % lanes or channels < 1:
            raise ValueError(f"lanes must divide channels: channels is {channels}, "
                             f"lanes is {lanes}")
        if writable and thresholds is None:
            raise ValueError("only thresholds of an Add can be written: there are none")
        self.writable = writable
        self.multipliers = tuple(int(factor) for factor in multipliers)
        self.channels, self.lanes, self.thresholds = channels, lanes, thresholds
        self.shapes = tuple(shape if is_bipolar(shape) else Shape.cast(shape) for shape in shapes)

        # The sums span [sum of the least products, sum of the greatest].
        ends = [[factor * end for end in range_of(shape)]
                for factor, shape in zip(self.multipliers, self.shapes, strict=True)]
        self.sum_shape = shape_for(sum(map(min, ends)), sum(map(max, ends)))
        self._terms, self._offset = _split(self.multipliers, self.shapes)
        self._levels = max((len(self._terms) + (self._offset != 0) - 1).bit_length(), 1)
        options = {"thresholds": thresholds, "lanes": lanes, "channels": channels,
                   "a_shape": self.sum_shape, "style": style, "family": family}
        self._bank = (None if thresholds is None else
                      writable_bank(**options) if writable else bank(**options))
        self._pipeline = self._levels + (0 if thresholds is None else self._bank.latency)

        o_shape = self.sum_shape if thresholds is None else thresholds.shape
        o_layout = data.ArrayLayout(o_shape, lanes)
        self._outlet = Outlet(o_layout, latency=self._pipeline)
        self._names = ["i", *(f"i_{k}" for k in range(1, len(shapes)))]
        members = {name: In(stream.Signature(data.ArrayLayout(shape, lanes)))
                   for name, shape in zip(self._names, self.shapes, strict=True)}
        members["o"] = Out(stream.Signature(o_layout))
        if writable:
            self._contents = Contents(self._bank.memories)
            members["writes"] = In(writes_signature(self.words))
        super().__init__(members)

    @property
    def schedule(self):
        """Every step takes a beat from every input and gives one."""
        beats = np.ones(self.channels // self.lanes, bool)
        return Schedule(np.tile(beats, (len(self._names), 1)), beats[None], self.latency,
                        self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from the beats taken to their sum offered."""
        return self._pipeline + self._outlet.latency

    @property
    def words(self):
        """Addresses of ``writes``."""
        return self._contents.words

    def contents(self, thresholds):
        """Return what the addresses hold, uint32, for thresholds to the same shape."""
        return self._contents.image(self._bank.words(thresholds))

    def model(self, *x):
        """Compute what the gateware computes: ``(..., channels)`` each to ``(..., channels)``."""
        sums = sum(factor * np.asarray(each, np.int64)
                   for factor, each in zip(self.multipliers, x, strict=True))
        return sums if self.thresholds is None else self.thresholds.model(sums)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Take a beat of all inputs, or of none.
        inputs = [getattr(self, name) for name in self._names]
        step = Signal()
        m.d.comb += step.eq(Cat(outlet.ready, *(each.valid for each in inputs)).all())
        for each in inputs:
            others = [other.valid for other in inputs if other is not each]
            m.d.comb += each.ready.eq(Cat(outlet.ready, *others).all())
        went = shifted(m, step, self._pipeline)
        m.d.comb += [outlet.give.eq(step), outlet.push.eq(went[-1])]

        # Add: from here on nothing waits.
        sums = Cat(self._sum(m, [self._lane(each, k, p) for k, each in enumerate(inputs)])
                   for p in range(self.lanes))
        if self.thresholds is None:
            m.d.comb += Value.cast(outlet.data).eq(sums)
            return m

        if self.writable:
            self._contents.connect(m, self.writes)

        # Compare.
        m.submodules.bank = bank = self._bank
        group, _ = count(m, "group", bank.groups, step)
        m.d.comb += [
            Value.cast(bank.a).eq(sums),
            bank.group.eq(delay(m, group, self._levels)),
            outlet.data.eq(bank.y),
        ]
        return m

    def _lane(self, each, k, p):
        """Return lane ``p`` of input ``k`` as an integer; of a bipolar one its bit."""
        shape = Shape.cast(self.shapes[k])
        bits = Value.cast(each.payload).word_select(p, shape.width)
        return bits.as_signed() if shape.signed else bits

    def _sum(self, m, x):
        """Return ``sum_k multipliers[k] * x[k]``, ``_levels`` cycles later."""
        parts = [_Part(x[term.k] << term.shift, term.minus, *term.range) for term in self._terms]
        if self._offset:
            parts.append(_Part(Const(abs(self._offset)), self._offset < 0,
                               self._offset, self._offset))
        for level in range(self._levels):
            ends = level == self._levels - 1
            parts = [_add(m, parts[k:k + 2], ends) for k in range(0, len(parts), 2)]
        total, = parts
        return total.value[:self.sum_shape.width]


class _Term(NamedTuple):
    """``x[k] << shift``, to be added or, if ``minus``, subtracted; and what then is its range."""

    k: int
    shift: int
    minus: bool
    range: tuple[int, int]


class _Part(NamedTuple):
    """``value``, to be added or, if ``minus``, subtracted: then it lies in [low, high]."""

    value: Value
    minus: bool
    low: int
    high: int


def _split(multipliers, shapes):
    """Return the terms and the constant that the sum of all products is made of."""
    terms, offset = [], 0
    for k, (factor, shape) in enumerate(zip(multipliers, shapes, strict=True)):
        low, high = range_of(shape)
        if is_bipolar(shape):
            # factor * (2 * bit - 1)
            offset, factor, low, high = offset - factor, 2 * factor, 0, 1
        for shift, digit in _digits(factor):
            ends = sorted((digit * low << shift, digit * high << shift))
            terms.append(_Term(k, shift, digit < 0, tuple(ends)))
    return terms, offset


def _digits(factor):
    """Return the fewest (shift, digit) with ``factor == sum(digit << shift)``, digits -1 and +1.

    The non-adjacent form: of two neighbours one is 0.
    """
    shift = 0
    while factor:
        if factor & 1:
            digit = 2 - factor % 4
            yield shift, digit
            factor -= digit
        factor, shift = factor >> 1, shift + 1


def _add(m, parts, ends):
    """Return the sum of one or two parts, one cycle later; not ``minus`` if that ``ends`` it."""
    first, *rest = sorted(parts, key=lambda part: part.minus)
    if isinstance(first.value, Const) and not rest:
        return first
    low, high = sum(part.low for part in parts), sum(part.high for part in parts)
    value, minus = first.value, first.minus
    for part in rest:
        value = value + part.value if part.minus == minus else value - part.value
    if minus and ends:
        value, minus = -value, False
    total = Signal(shape_for(-high, -low) if minus else shape_for(low, high), name="sum",
                   reset_less=True)
    m.d.sync += total.eq(value)
    return _Part(total, minus, low, high)
