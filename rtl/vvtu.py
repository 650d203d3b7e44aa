# amaranth: UnusedElaboratable=no
"""Vector-vector-threshold unit: the depthwise product, every channel with its own kernels alone."""

import numpy as np
from amaranth import Cat, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .accumulator import Accumulator
from .bank import bank
from .checks import check_alike, check_thresholds, check_weights
from .control import count, delay, flag, shifted
from .dot import Dot
from .families import GENERIC
from .outlet import Outlet
from .ram import ram
from .raw import RawSum, weight_bits
from .rows import Rows, type_range, value_range
from .schedule import Schedule
from .shapes import is_bipolar, shape_for
from .thresholds import NEVER, Thresholds
from .weights import block_is_cheaper, pack_words
from .writable_bank import writable_bank
from .writes import Contents, make_memory, writes_signature

__all__ = ["VVTU"]


class VVTU(wiring.Component):
    """Vector-vector-threshold unit: ``y[c*M + j] = thresholds(sum_k W[c*M + j, k] * x[k, c])``.

    A window enters as K vectors of C channels, ``G = C / PE`` beats each, as an ``SWU`` gives them;
    ``y`` leaves as G beats of ``PE * M`` lanes, in natural order. Steps are (k, g), g fastest: step
    (k, g) takes a beat and adds its products to the accumulators of channels ``g*PE ..``, which are
    kept in a memory of G words meanwhile; it gives beat g if k == K - 1.

    Timing: ``II = K * G`` cycles a window. Steps happen as ``schedule`` says; from there they run
    free through the pipeline: operands, products, accumulators, thresholds, outlet.

    Parameters
    ----------
    weights : array of int, (C * M, K)
        ``W``. Row ``c*M + j`` is the j-th kernel of channel c.
    multiplier : int
        M.
    pe : int
        Channels side by side. Divides C.
    x_shape, w_shape : Shape or BIPOLAR
        Shapes of one element of ``x`` and of ``W``.
    thresholds : Thresholds, optional
        Step functions of all rows, or one for every row. Without, ``y`` is the sums.
    memory : str
        Where the weights are: "auto", "logic", "lutrom" or "block"; see ``WeightMemory``.
    style : str
        How thresholds are compared, "parallel" or "search": as those of a ``ThresholdUnit``.
    family : Family
        How products are built.
    writable : bool
        Weights and thresholds can be written at run time, as those of an ``MVTU``.

    Members
    -------
    i : In(stream), x_shape * PE
        K * G beats a window.
    o : Out(stream), y_shape * (PE * M)
        G beats a window. ``y_shape`` is that of the thresholds, or the narrowest of the sums.
    writes : In(writes_signature(words))
        Only if writable. A write is done two cycles later.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, weights, *, multiplier=1, pe, x_shape, w_shape, thresholds=None,
                 memory="auto", style="auto", family=GENERIC, writable=False):
        weights = check_weights(weights, w_shape)
        rows, self.k = weights.shape
        check_thresholds(thresholds, rows)
        if multiplier < 1 or rows % multiplier:
            raise ValueError(f"M must divide the rows of the weights: there are {rows}, "
                             f"M is {multiplier}")
        self.multiplier, self.channels = multiplier, rows // multiplier
        if pe < 1 or self.channels % pe:
            raise ValueError(f"PE must divide C: C is {self.channels}, PE is {pe}")
        self.pe, self.lanes, self.groups = pe, pe * multiplier, self.channels // pe
        self.x_shape = x_shape if is_bipolar(x_shape) else Shape.cast(x_shape)
        self.w_shape = w_shape if is_bipolar(w_shape) else Shape.cast(w_shape)
        self.weights, self.thresholds, self._family = weights, thresholds, family
        self.writable, self._style = writable, style

        words, width = self._lay_weights(weights)
        self._weights = make_memory(words, width=width, memory=memory, writable=writable,
                                    family=family)
        start, rest = self._lay_rows()
        self._start = make_memory(self._start_words(start), width=self.lanes * self.acc_width,
                                  writable=writable, family=family)
        self._rest = None if rest is None else make_memory(
            self._rest_words(rest), width=self.lanes, writable=writable, family=family)

        # Sums over several vectors of several groups are kept in a memory: LUTRAM is read a cycle
        # ahead, block RAM two.
        self._keeps = self.k > 1 and self.groups > 1
        self._deep = self.groups >= 4 and block_is_cheaper(
            self.groups, self.lanes * self.acc_width, written=True, family=family)
        self._ahead = (1 + self._deep) * self._keeps

        # Cycles from a step to its operands, its products, its sum, and its beat.
        product = self._dot().latency if self._keeps else self._accumulator().init_latency
        self._operands_at = max(self._weights.latency, self._ahead - product)
        self._product_at = max(self._operands_at + product, self._start.latency,
                               self._rest.latency - 1 if self._rest else 0)
        self._operands_at = self._product_at - product
        self._sum_at = self._product_at + 1
        self._beat_at = self._sum_at + (self._bank.latency if thresholds else 0)

        o_layout = data.ArrayLayout(self.y_shape, self.lanes)
        self._outlet = Outlet(o_layout, latency=self._beat_at,
                              interval=self.k if self.groups == 1 else 1)
        members = {"i": In(stream.Signature(data.ArrayLayout(self.x_shape, pe))),
                   "o": Out(stream.Signature(o_layout))}
        if writable:
            self._contents = Contents({
                "weights": self._weights, "start": self._start,
                **({"rest": self._rest} if self._rest else {}),
                **(self._bank.memories if thresholds else {})})
            members["writes"] = In(writes_signature(self.words))
        super().__init__(members)

    def _lay_weights(self, weights):
        """Lay the weights: words, and their width."""
        # Weight word k*G + g holds W[g*PE*M : (g+1)*PE*M, k].
        bits = weight_bits(weights, self.w_shape).reshape(self.groups, self.lanes, self.k)
        width = Shape.cast(self.w_shape).width
        words = bits.transpose(2, 0, 1).reshape(-1, self.lanes)
        return pack_words(words, width), self.lanes * width

    def _start_words(self, start):
        rows = start.reshape(self.groups, -1) % (1 << self.acc_width)
        return pack_words(rows, self.acc_width)

    def _rest_words(self, rest):
        return pack_words(rest.reshape(self.groups, -1), 1)

    def _dot(self):
        return Dot(simd=1, x_shape=self.x_shape, w_shape=self.w_shape, width=self.acc_width,
                   family=self._family)

    def _accumulator(self):
        return Accumulator(simd=1, x_shape=self.x_shape, w_shape=self.w_shape,
                           width=self.acc_width, family=self._family, init=True)

    def _lay_rows(self):
        """Choose shape and width of the sums, and what is done with them.

        An accumulator is ``start + raw``. Without thresholds the sum is ``scale * acc + rest``;
        with them ``start`` puts the middle step of every row at 0, where it is but the sign.
        Returns start, and rest if the scale is 2.
        """
        if self.writable:
            return self._lay_any_rows()
        low, high = value_range(self.weights, self.x_shape)
        scale, offset = self._raw_sum.scale, self._raw_sum.offset(self.weights)
        if self.thresholds is None:
            rows = Rows.of_values(low, high, scale=scale, offset=offset)
            self.y_shape, self.acc_width = shape_for(low.min(), high.max()), rows.width
            return rows.start, rows.rest if scale == 2 else None

        # scale * raw + offset >= T   <=>   raw >= ceil((T - offset) / scale)
        def raw(value):
            return -((offset[:, None] - value) // scale)

        count = len(self.weights)
        values = np.broadcast_to(self.thresholds.values, (count, self.thresholds.steps))
        raw_low, raw_high = raw(low[:, None]), raw(high[:, None])
        steps = np.clip(raw(values), raw_low, raw_high + 1)
        # Where there are no steps at all, anything will do.
        middle = steps[:, steps.shape[1] // 2, None] if steps.size else raw_low
        apart = np.concatenate([raw_low, raw_high, steps], axis=1) - middle
        a_shape = signed(shape_for(min(apart.min(), -1), apart.max()).width)
        moved = Thresholds(np.where(values == NEVER, NEVER, steps - middle), self.thresholds.shape,
                           base=np.broadcast_to(self.thresholds.base, count),
                           falls=np.broadcast_to(self.thresholds.falls, values.shape))
        self.y_shape, self.acc_width = self.thresholds.shape, a_shape.width
        self._bank = bank(thresholds=moved, lanes=self.lanes, channels=count, a_shape=a_shape,
                          style=self._style, family=self._family)
        return -middle[:, 0], None

    @property
    def _raw_sum(self):
        return RawSum(1, self.x_shape, self.w_shape, inverts=self._family.lut6)

    def _any_rows(self, weights):
        """Return what makes the sums of these weights, with the widths that any may need."""
        low, high = (np.full(len(weights), end)
                     for end in type_range(self.k, self.x_shape, self.w_shape))
        raw_sum = self._raw_sum
        return Rows.of_values(low, high, scale=raw_sum.scale, offset=raw_sum.offset(weights))

    def _lay_any_rows(self):
        """Choose the same for any weights; thresholds compare the sum itself."""
        rows = self._any_rows(self.weights)
        sum_shape = shape_for(*type_range(self.k, self.x_shape, self.w_shape))
        self.acc_width, self.y_shape = rows.width, sum_shape
        if self.thresholds is not None:
            self._bank = writable_bank(thresholds=self.thresholds, lanes=self.lanes,
                                       channels=len(self.weights), a_shape=sum_shape,
                                       style=self._style, family=self._family)
            self.y_shape = self.thresholds.shape
        return rows.start, rows.rest if rows.scale == 2 else None

    @property
    def schedule(self):
        """Steps (k, g), g fastest."""
        steps = np.arange(self.k * self.groups)
        return Schedule(takes=steps >= 0, gives=steps >= (self.k - 1) * self.groups,
                        latency=self._beat_at + self._outlet.latency, room=self._outlet.room)

    @property
    def weight_memory(self):
        """The weight memory: its style, width and depth."""
        return self._weights

    @property
    def words(self):
        """Addresses of ``writes``."""
        return self._contents.words

    def contents(self, weights, thresholds=None):
        """Return what the addresses hold, uint32, for weights and thresholds of the same shapes."""
        weights = check_weights(weights, self.w_shape)
        check_alike(self, weights, thresholds)
        rows = self._any_rows(weights)
        words = {"weights": self._lay_weights(weights)[0], "start": self._start_words(rows.start),
                 "rest": self._rest_words(rows.rest)}
        if thresholds is not None:
            words |= self._bank.words(thresholds)
        return self._contents.image(words)

    @property
    def ii(self):
        """Cycles a window."""
        return self.k * self.groups

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return (self.k - 1) * self.groups + self.schedule.latency

    def model(self, x):
        """Compute ``y`` for values ``(..., K * C)``: ``(..., C * M)``."""
        x = np.asarray(x, np.int64)
        windows = x.reshape(*x.shape[:-1], self.k, self.channels, 1)
        kernels = self.weights.reshape(self.channels, self.multiplier, self.k)
        sums = sum(windows[..., k, :, :] * kernels[..., k] for k in range(self.k))
        sums = sums.reshape(*x.shape[:-1], len(self.weights))
        return sums if self.thresholds is None else self.thresholds.model(sums)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Steps: which one is next, and whether it happens now. All that decides is registers.
        step = Signal()
        g, g_last = count(m, "g", self.groups, step, addresses=True)
        k, gives = count(m, "k", self.k, step & g_last, addresses=True)
        first = flag(m, "first", gives, step & g_last)
        m.d.comb += [
            self.i.ready.eq(outlet.ready | ~gives),
            step.eq(self.i.valid & self.i.ready),
            outlet.give.eq(step & gives),
        ]
        steps = shifted(m, step, self._sum_at)
        made = shifted(m, outlet.give, self._beat_at)

        # Operands: the weights and the beat of a step, in the same cycle.
        m.submodules.weights, m.submodules.start = weights, start = self._weights, self._start
        address = Cat(g, k)
        if self.groups & (self.groups - 1) and self.k > 1:
            address, _ = count(m, "address", self.k * self.groups, step, addresses=True)
        m.d.comb += [
            weights.addr.eq(delay(m, address, self._operands_at - weights.latency)),
            start.addr.eq(delay(m, g, self._product_at - start.latency)),
        ]
        x = data.View(self.i.payload.shape(),
                      delay(m, self.i.payload.as_value(), self._operands_at))

        # Sums.
        if self._keeps:
            sums = self._sum_in_memory(m, x, g, first, steps)
        else:
            sums = self._sum_in_registers(m, x, first, step)

        if self.writable:
            self._contents.connect(m, self.writes)

        # Values, and out.
        sums = self._values(m, sums, g)
        if self.thresholds is not None:
            m.submodules.bank = thresholds = self._bank
            m.d.comb += [lane.eq(acc) for lane, acc in zip(thresholds.a, sums, strict=True)]
            m.d.comb += [thresholds.group.eq(delay(m, g, self._sum_at)),
                         outlet.data.eq(thresholds.y)]
        else:
            m.d.comb += [outlet.data[p].eq(lane) for p, lane in enumerate(sums)]
        m.d.comb += outlet.push.eq(made[-1])
        return m

    def _factors(self, x, p):
        """Return what lane ``p`` multiplies: its channel, and its weight of this step."""
        width = Shape.cast(self.w_shape).width
        return x[p // self.multiplier], self._weights.data.word_select(p, width)

    def _sum_in_registers(self, m, x, first, step):
        """Return the accumulators: one a lane, since there is one group or nothing to add up."""
        first = delay(m, first, self._operands_at)
        hold = delay(m, ~step, self._operands_at) if self.k > 1 else 0
        sums = []
        for p in range(self.lanes):
            m.submodules[f"acc{p}"] = acc = self._accumulator()
            channel, weight = self._factors(x, p)
            m.d.comb += [
                acc.x[0].eq(channel), acc.w[0].eq(weight), acc.first.eq(first), acc.hold.eq(hold),
                acc.init.eq(self._start.data.word_select(p, self.acc_width)),
            ]
            sums.append(acc.y)
        return sums

    def _sum_in_memory(self, m, x, g, first, steps):
        """Add to the word of each group, read ahead and written back; return the sums.

        The next step of a group comes G cycles later or more. LUTRAM is read in the cycle before
        the addition and written in that of it: two cycles before it can be read again, and G is at
        least 2. Block RAM is read two cycles before and written one after: four, and G is at least
        4.
        """
        write, read = ram(m, "kept", width=self.lanes * self.acc_width, depth=self.groups,
                          style="block" if self._deep else "lutram")
        m.d.comb += read.addr.eq(delay(m, g, self._product_at - self._ahead))
        old = delay(m, read.data, self._ahead)

        # sum = (start if first else old) + raw
        first = delay(m, first, self._product_at)
        sums, following = [], []
        for p in range(self.lanes):
            m.submodules[f"dot{p}"] = dot = self._dot()
            channel, weight = self._factors(x, p)
            m.d.comb += [dot.x[0].eq(channel), dot.w[0].eq(weight)]
            before, start = (word.word_select(p, self.acc_width)
                             for word in (old, self._start.data))
            total = Signal(self.acc_width, name=f"total_{p}")
            m.d.comb += total.eq(Mux(first, start, before) + dot.y)
            following.append(total)
            sums.append(delay(m, total, 1))

        late = int(self._deep)
        m.d.comb += [
            write.addr.eq(delay(m, g, self._product_at + late)),
            write.data.eq(Cat(sums if late else following)),
            write.en.eq(steps[self._product_at + late]),
        ]
        return sums

    def _values(self, m, sums, g):
        """Return ``scale * acc + rest``, or, where there is no rest, acc as it is."""
        if self._rest is None:
            return sums
        m.submodules.rest = rest = self._rest
        m.d.comb += rest.addr.eq(delay(m, g, self._sum_at - rest.latency))
        return [Cat(rest.data[p], acc) for p, acc in enumerate(sums)]
