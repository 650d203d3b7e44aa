# amaranth: UnusedElaboratable=no
"""Top-K unit: the indices of the ``k`` greatest elements of every vector of the input stream."""

from math import ceil

import numpy as np
from amaranth import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .outlet import Outlet
from .schedule import Schedule
from .shapes import shape_for

__all__ = ["TopKUnit"]


class TopKUnit(wiring.Component):
    """Top-K unit: the indices of the ``k`` greatest elements, greatest first; of equals the first.

    A vector enters as ``ceil(elements / lanes)`` beats, in natural order, lowest index in lane 0,
    and leaves as one beat. Lanes past the end of a vector are left out.

    Every lane keeps the greatest of its own elements in order; the lists of all lanes are merged,
    two by two, while those of the next vector are made.

    Timing: ``II = ceil(elements / lanes)`` cycles a vector. The beat is offered ``latency`` cycles
    after the first one was taken: besides the II, two cycles, the merges, and the outlet.

    Parameters
    ----------
    elements : int
        Elements of a vector.
    lanes : int
        Elements of a beat; need not divide ``elements``.
    shape : Shape or BIPOLAR
        Shape of one element.
    k : int
        Indices to give; at most ``elements``.

    Members
    -------
    i : In(stream), shape * lanes
    o : Out(stream), unsigned(ceil(log2(elements))) * k
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, elements, lanes, shape, k=1):
        if min(elements, lanes) < 1:
            raise ValueError(f"elements and lanes must be at least 1: "
                             f"they are {elements} and {lanes}")
        if not 1 <= k <= elements:
            raise ValueError(f"k must lie in [1, {elements}], the number of elements: it is {k}")
        self.elements, self.lanes, self.shape, self.k = elements, lanes, shape, k
        self.beats = ceil(elements / lanes)
        self._index_shape = shape_for(0, elements - 1)
        o_layout = data.ArrayLayout(self._index_shape, k)
        self._pipeline = 2 + sum(1 + depth for depth in self._merges())
        self._outlet = Outlet(o_layout, latency=self._pipeline, interval=self.beats)
        super().__init__({
            "i": In(stream.Signature(data.ArrayLayout(shape, lanes))),
            "o": Out(stream.Signature(o_layout)),
        })

    def _merges(self):
        """Return of every level of merges log2 of the length, to a power of two, of its lists."""
        lists, length, depths = min(self.lanes, self.elements), min(self.k, self.beats), []
        while lists > 1:
            lists, length = ceil(lists / 2), min(self.k, 2 * length)
            depths.append((length - 1).bit_length())
        return depths

    @property
    def schedule(self):
        """Every step takes a beat; the last of a vector gives one."""
        return Schedule(np.ones(self.beats, bool), np.arange(self.beats) == self.beats - 1,
                        self._pipeline + self._outlet.latency, self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from the first beat taken to the beat offered."""
        return self.beats - 1 + self.schedule.latency

    def model(self, x):
        """Compute what the gateware computes: ``(..., elements)`` to ``(..., k)``."""
        return np.argsort(-np.asarray(x, np.int64), axis=-1, kind="stable")[..., :self.k]

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Stage 0: take a beat; the last one of a vector needs a credit.
        go, first, last = Signal(), Signal(init=1), Signal(init=self.beats == 1)
        start = Signal(self._index_shape)    # the index of lane 0
        m.d.comb += [
            self.i.ready.eq(outlet.ready | ~last),
            go.eq(self.i.valid & self.i.ready),
            outlet.give.eq(go & last),
        ]
        if self.beats > 1:
            with m.If(go):
                m.d.sync += [start.eq(Mux(last, 0, start + self.lanes)), first.eq(last),
                             last.eq(start == (self.beats - 2) * self.lanes)]

        # Stage 1: from here on nothing waits.
        payload = Signal(Shape.cast(self.i.payload.shape()), reset_less=True)
        went, was_first, was_last = Signal(), Signal(), Signal()
        index = Signal(self._index_shape, reset_less=True)
        m.d.sync += [payload.eq(self.i.payload), index.eq(start),
                     went.eq(go), was_first.eq(first), was_last.eq(last)]

        # Stage 2: every lane puts its element into its list.
        width = Shape.cast(self.shape).width
        sign = Shape.cast(self.shape).signed << (width - 1)
        lists = []
        for p in range(min(self.lanes, self.elements)):
            # Elements compare as keys: the value without a sign, then the lower index.
            count = len(range(p, self.elements, self.lanes))
            key = Cat(~(index + p)[:self._index_shape.width],
                      payload.word_select(p, width) ^ sign)
            enable = went if count == self.beats else went & ~was_last
            # In a single beat there is nothing to compare with.
            begins = was_first if self.beats > 1 else Const(1)
            lists.append(self._insert(m, key, min(self.k, count), enable, begins))
        done = Signal()
        m.d.sync += done.eq(went & was_last)

        # Then merge them, two by two.
        for depth in self._merges():
            pairs = [lists[p:p + 2] for p in range(0, len(lists), 2)]
            lists = [self._merge(m, *pair, depth=depth) for pair in pairs]
            for _ in range(1 + depth):
                done = _register(m, done, reset_less=False)
        m.d.comb += [
            outlet.push.eq(done),
            Value.cast(outlet.data).eq(Cat(~key[:self._index_shape.width] for key in lists[0])),
        ]
        return m

    def _insert(self, m, key, length, enable, first):
        """Keep the ``length`` greatest keys since ``first``, the greatest in front."""
        keys = [Signal.like(key, name=f"key_{j}", reset_less=True) for j in range(length)]
        present = Signal(length)
        # Of equal values the one that is there came first.
        value = slice(self._index_shape.width, None)
        before = [(key[value] > kept[value]) | first | ~present[j] for j, kept in enumerate(keys)]
        with m.If(enable):
            m.d.sync += present.eq(Mux(first, 1, Cat(1, present)))
            for j, kept in enumerate(keys):
                with m.If(before[j]):
                    m.d.sync += kept.eq(Mux(before[j - 1], keys[j - 1], key) if j else key)
        return keys

    def _merge(self, m, left, right=(), *, depth):
        """Return the ``k`` greatest of two lists in order, ``1 + depth`` cycles later."""
        # A bitonic merge, with nothing (None) below every key.
        size = 1 << depth
        left = [*left, *[None] * (size - len(left))]
        right = [*[None] * (size - len(right)), *reversed(right)]
        keys = [_sort(a, b)[0] for a, b in zip(left, right, strict=True)]
        keys = [_register(m, key) for key in keys]
        for distance in (size >> level for level in range(1, depth + 1)):
            for j in range(size):
                if not j & distance:
                    keys[j], keys[j + distance] = _sort(keys[j], keys[j + distance])
            keys = [_register(m, key) for key in keys]
        return [key for key in keys[:self.k] if key is not None]


def _sort(a, b):
    """Return the greater one of two keys, and the other."""
    if a is None or b is None:
        return (a, b) if b is None else (b, a)
    return Mux(a > b, a, b), Mux(a > b, b, a)


def _register(m, value, *, reset_less=True):
    """Return ``value`` one cycle later."""
    if value is None:
        return None
    after = Signal(value.shape(), name="after", reset_less=reset_less)
    m.d.sync += after.eq(value)
    return after
