# amaranth: UnusedElaboratable=no
"""Matrix-vector-threshold unit: computes ``y = thresholds(W @ x)`` for every vector ``x``."""

import numpy as np
from amaranth import Cat, Const, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .accumulator import Accumulator
from .bank import STYLES, bank, cheapest_style
from .checks import check_alike, check_fold, check_thresholds, check_weights
from .control import count, delay, flag, shifted
from .counting import count_latency, counted
from .families import GENERIC
from .matvec import matvec
from .outlet import Outlet
from .ram import ram
from .raw import RawSum, weight_bits
from .rows import Rows, simplify_steps, type_range, value_range
from .schedule import Schedule
from .shapes import is_bipolar, shape_for
from .weights import block_is_cheaper, pack_words
from .writes import Contents, make_memory, writes_signature

__all__ = ["MVTU"]

# Constants of the rows that depend on weights and thresholds.
_WRITTEN = ("start", "compare", "falls", "rest")


class MVTU(wiring.Component):
    """Matrix-vector-threshold unit: computes ``y = thresholds(W @ x)`` for every vector ``x``.

    A vector enters as ``SF = MW / SIMD`` beats and leaves as ``NF = MH / PE`` beats, in natural
    order, lowest index in lane 0. Steps are (f, s), s fastest: step (f, s) adds the products of
    rows ``f*PE ..`` and columns ``s*SIMD ..``; it takes beat s of the vector if f == 0, and gives
    beat f if s == SF - 1. The passes f > 0 replay the beats from a memory of SF words.

    Timing: ``II = NF * SF`` cycles a vector. Steps happen as ``schedule`` says; from there they
    run free through the pipeline: operands, dot product, accumulator, comparison, outlet. Many
    steps are searched for by a threshold bank behind the accumulators; few have a comparator each.

    Parameters
    ----------
    weights : array of int, (MH, MW)
        ``W``. Row ``r`` makes output ``r``.
    pe : int
        Rows computed side by side. Divides MH, or MH is padded.
    simd : int
        Columns computed side by side. Divides MW, or MW is padded.
    x_shape, w_shape : Shape or BIPOLAR
        Shapes of one element of ``x`` and of ``W``.
    thresholds : Thresholds, optional
        Step functions of all rows, or one for every row. Without, ``y`` is ``W @ x``.
    memory : str
        Where the weights are: "auto", "logic", "lutrom" or "block"; see ``WeightMemory``.
    pad : bool
        Take PE and SIMD that do not divide. The last beat of a vector then has lanes past its
        end: 0 bits, on ``i`` as on ``o``.
    style : str
        How thresholds are compared, "parallel" or "search": as those of a ``ThresholdUnit``.
    family : Family
        How dot products are built.
    writable : bool
        Weights and thresholds can be written at run time: others of the same shapes, as
        ``contents`` lays them. Widths then are those that any weights may need, and thresholds,
        which must rise or fall throughout, are a step for every level of their shape.

    Members
    -------
    i : In(stream), x_shape * SIMD
        SF beats a vector.
    o : Out(stream), y_shape * PE
        NF beats a vector. ``y_shape`` is that of the thresholds, or the narrowest of ``W @ x``.
    writes : In(writes_signature(words))
        Only if writable. A write is done two cycles later.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, weights, *, pe, simd, x_shape, w_shape, thresholds=None, memory="auto",
                 pad=False, style="auto", family=GENERIC, writable=False):
        if style not in ("auto", *STYLES):
            raise ValueError(f"style must be auto, {', '.join(STYLES)}: it is {style!r}")
        if style == "search" and writable:
            raise ValueError('thresholds that are written are compared in parallel: style is '
                             '"search"')
        weights = check_weights(weights, w_shape)
        self.mh, self.mw = weights.shape
        check_thresholds(thresholds, self.mh)
        self.pe, self.simd = pe, simd
        self.nf = check_fold("MH", self.mh, "PE", pe, pad)
        self.sf = check_fold("MW", self.mw, "SIMD", simd, pad)
        self.x_shape = x_shape if is_bipolar(x_shape) else Shape.cast(x_shape)
        self.w_shape = w_shape if is_bipolar(w_shape) else Shape.cast(w_shape)
        self.weights, self.thresholds, self.writable = weights, thresholds, writable
        # Constant weights are for synthesis to fold into plain logic.
        self._family = GENERIC if self.nf * self.sf == 1 and not writable else family

        low, high = self._sum_range(weights)
        self.y_shape = shape_for(low.min(), high.max()) if thresholds is None else thresholds.shape
        weights, self._rows = self._lay_rows(weights, thresholds)
        words, width = self._lay_weights(weights)
        self._weights = make_memory(words, width=width, memory=memory, writable=writable,
                                    family=family)

        # Are the beats of a vector kept in block RAM?
        self._deep = self.nf > 1 and block_is_cheaper(
            self.sf, simd * Shape.cast(self.x_shape).width, written=True, family=family)

        # Cycles from a step to its operands, its sum, its comparisons, and its beat. Block RAM has
        # a second register behind, to leave it fast.
        replay = 0 if self.nf == 1 else 1 if self.sf == 1 else 2 + self._deep
        self._operands_at = max(replay, self._weights.latency)
        self._sum_at = self._operands_at + self._accumulator().latency
        self._bank = self._lay_bank(style)
        steps = self._rows.steps
        self._compared_at = self._sum_at + (steps > 1)
        self._beat_at = (self._sum_at + self._bank.latency if self._bank else
                         self._compared_at + count_latency(steps))
        self._constants = {
            name: (make_memory(words, width=width, writable=writable and name in _WRITTEN,
                               family=family), at)
            for name, (words, width, at) in self._lay_constants(self._rows).items()}

        o_layout = data.ArrayLayout(self.y_shape, pe)
        self._outlet = Outlet(o_layout, latency=self._beat_at, interval=self.sf)
        members = {"i": In(stream.Signature(data.ArrayLayout(self.x_shape, simd))),
                   "o": Out(stream.Signature(o_layout))}
        if writable:
            self._contents = Contents({"weights": self._weights, **{
                name: store for name, (store, _) in self._constants.items() if name in _WRITTEN}})
            members["writes"] = In(writes_signature(self.words))
        super().__init__(members)

    def _accumulator(self):
        return Accumulator(simd=self.simd, x_shape=self.x_shape, w_shape=self.w_shape,
                           width=self.acc_width, family=self._family, init=True)

    def _sum_range(self, weights):
        """Return the lowest and the highest sum of every row; if writable, of any weights."""
        if self.writable:
            return tuple(np.full(self.mh, end)
                         for end in type_range(self.mw, self.x_shape, self.w_shape))
        return value_range(weights, self.x_shape)

    def _lay_rows(self, weights, thresholds):
        """Return the weights, and what each row adds to its raw sum and compares it with."""
        # Padded columns have weight 0, which adds nothing.
        weights = np.pad(weights, ((0, 0), (0, self.sf * self.simd - self.mw)))
        steps = None
        if thresholds is not None and self.writable:
            full = thresholds.full(self.mh)
            steps = full.values, full.falls, full.base
        elif thresholds is not None:
            weights, *steps = simplify_steps(weights, self.x_shape, self.w_shape, thresholds)
        low, high = self._sum_range(weights)
        raw = RawSum(self.simd, self.x_shape, self.w_shape, inverts=self._family.lut6)
        meaning = {"scale": raw.scale, "offset": raw.offset(weights)}
        return weights, (Rows.of_values(low, high, **meaning) if steps is None else
                         Rows.of_steps(low, high, *steps, **meaning, alike=self.writable))

    def _lay_bank(self, style):
        """Return the bank that searches for the steps of the rows; None where there are few."""
        if self.thresholds is None or self.writable:
            return None
        thresholds = self._rows.thresholds(self.y_shape)
        if (cheapest_style(thresholds) if style == "auto" else style) == "parallel":
            return None
        return bank(thresholds=thresholds, lanes=self.pe, channels=self.mh,
                    a_shape=signed(self.acc_width), style="search", family=self._family)

    def _lay_weights(self, weights):
        """Lay the weights: words, and their width."""
        # Weight word f*SF + s holds W[f*PE : (f+1)*PE, s*SIMD : (s+1)*SIMD].
        nf, pe, sf, simd = self.nf, self.pe, self.sf, self.simd
        bits = self._pad_rows(weight_bits(weights, self.w_shape))
        words = bits.reshape(nf, pe, sf, simd).swapaxes(1, 2).reshape(nf * sf, pe * simd)
        width = Shape.cast(self.w_shape).width
        return pack_words(words, width), pe * simd * width

    def _lay_constants(self, rows):
        """Lay the constants of the rows: by name words, their width, and when they are wanted."""
        constants = {}

        def lay(name, values, width, at):
            # Word f holds the constants of the rows f*PE : (f+1)*PE.
            words = self._pad_rows(values.reshape(self.mh, -1)).reshape(self.nf, -1)
            words, elements = words & ((1 << width) - 1), words.shape[1]
            constants[name] = pack_words(words, width), elements * width, at

        start_at = self._operands_at + self._accumulator().init_latency
        lay("start", rows.start, self.acc_width, start_at)
        if self._bank:
            return constants            # its rows past the end are 0 already
        if rows.steps > 1:
            lay("compare", rows.compare, self.acc_width, self._sum_at)
        if (self.writable and rows.steps) or rows.falls.any():
            # Where they are written all steps of a row fall, or none does.
            falls = rows.falls[:, :1] if self.writable else rows.falls
            lay("falls", falls.astype(np.int64), 1, self._sum_at)
        if rows.base.any():
            lay("base", rows.base, Shape.cast(self.y_shape).width, self._beat_at)
        if rows.rest.any() or (self.writable and rows.scale == 2 and not rows.steps):
            lay("rest", rows.rest, 1, self._sum_at)
        if self.nf * self.pe > self.mh:
            # Is this row of lanes without padding?
            constants["full"] = [1] * (self.nf - 1) + [0], 1, self._beat_at
        return constants

    def _pad_rows(self, rows):
        """Repeat the last row, so that padded rows cost nothing."""
        return np.pad(rows, ((0, self.nf * self.pe - self.mh), (0, 0)), mode="edge")

    @property
    def acc_width(self):
        """Bits of an accumulator."""
        return self._rows.width

    @property
    def weight_memory(self):
        """The ``WeightMemory`` that holds W."""
        return self._weights

    @property
    def words(self):
        """Addresses of ``writes``."""
        return self._contents.words

    def contents(self, weights, thresholds=None):
        """Return what the addresses hold, uint32, for weights and thresholds of the same shapes."""
        weights = check_weights(weights, self.w_shape)
        check_alike(self, weights, thresholds)
        weights, rows = self._lay_rows(weights, thresholds)
        constants = self._lay_constants(rows)
        return self._contents.image({
            name: self._lay_weights(weights)[0] if name == "weights" else constants[name][0]
            for name in self._contents.memories})

    @property
    def schedule(self):
        """Steps (f, s), s fastest."""
        steps = np.arange(self.nf * self.sf)
        return Schedule(takes=steps < self.sf, gives=steps % self.sf == self.sf - 1,
                        latency=self._beat_at + self._outlet.latency, room=self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.nf * self.sf

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return self.sf - 1 + self.schedule.latency

    def model(self, x):
        """Compute ``y`` for values ``(..., MW)``: ``(..., MH)``."""
        sums = matvec(self.weights, x)
        return sums if self.thresholds is None else self.thresholds.model(sums)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Steps: which one is next, and whether it happens now. All that decides is registers.
        step, row_ends = Signal(), Signal()
        weights = self._weights
        direct = weights.style == "lutrom" and weights.latency == self._operands_at
        s, gives = count(m, "s", self.sf, step, addresses=direct)
        f, f_last = count(m, "f", self.nf, row_ends, addresses=direct)
        first, takes = flag(m, "first", gives, step), flag(m, "takes", f_last, row_ends)
        may = outlet.ready | ~gives
        m.d.comb += [
            self.i.ready.eq(takes & may),
            step.eq((self.i.valid | ~takes) & may),
            row_ends.eq(step & gives),
            outlet.give.eq(row_ends),
        ]

        # Operands: the weights and the beat of a step, in the same cycle.
        m.submodules.weights = weights
        address = self._weight_address(m, s, f, step)
        m.d.comb += weights.addr.eq(delay(m, address, self._operands_at - weights.latency))
        x = self._replay(m, s, takes)
        first = delay(m, first, self._operands_at)
        hold = delay(m, ~step, self._operands_at) if self.sf > 1 else 0

        # Accumulators: acc = start + raw sum of the row.
        made = shifted(m, row_ends, self._beat_at)
        constants = self._read_constants(m, made)
        sums = []
        for p in range(self.pe):
            m.submodules[f"acc{p}"] = acc = self._accumulator()
            m.d.comb += [
                acc.x.eq(x),
                acc.w.eq(weights.data.word_select(p, weights.width // self.pe)),
                acc.first.eq(first),
                acc.hold.eq(hold),
                acc.init.eq(constants["start"].word_select(p, self.acc_width)),
            ]
            sums.append(acc.y)

        if self.writable:
            self._contents.connect(m, self.writes)

        # Values of the rows, and out.
        make = (self._searched_out if self._bank else self._sums_out if self.thresholds is None else
                self._steps_out)
        lanes = make(m, sums, constants)
        if "full" in constants:
            real = self.mh - (self.nf - 1) * self.pe
            lanes[real:] = [Mux(constants["full"], lane, 0) for lane in lanes[real:]]
        m.d.comb += outlet.push.eq(made[-1])
        m.d.comb += [outlet.data[p].eq(lane) for p, lane in enumerate(lanes)]
        return m

    def _weight_address(self, m, s, f, step):
        """Return f*SF + s: side by side if SF is a power of two, else a counter of its own."""
        if self.nf == 1 or self.sf & (self.sf - 1) == 0:
            return Cat(s, f)
        return count(m, "address", self.nf * self.sf, step, addresses=True)[0]

    def _replay(self, m, s, takes):
        """Keep the beats of the first pass; return each step's beat ``_operands_at`` later."""
        x, age = self.i.payload.as_value(), 0
        if self.nf > 1 and self.sf == 1:
            kept = Signal.like(x, name="replay", reset_less=True)
            with m.If(takes):
                m.d.sync += kept.eq(x)
            x, age = kept, 1
        elif self.nf > 1:
            # While a step waits for its beat its word is written in every cycle, last with the
            # beat, and is read in the cycle after: control waits for no `valid`.
            write, read = ram(m, "replay", width=len(x), depth=self.sf,
                              style="block" if self._deep else "lutram")
            m.d.comb += [
                write.addr.eq(s), write.data.eq(x), write.en.eq(takes),
                read.addr.eq(delay(m, s, 1)),
            ]
            x, age = delay(m, read.data, 1), 2
        return delay(m, x, self._operands_at - age)

    def _read_constants(self, m, made):
        """Return by name the constants of the row whose last step was so long ago as they want.

        ``made[k]`` is high k cycles after the last step of a row.
        """
        asked = {name: at - store.latency for name, (store, at) in self._constants.items()
                 if store.latency}
        if self._bank:
            asked["group"] = self._sum_at
        if asked:
            # One counter serves all: it steps when the first of them has been asked.
            earliest = min(asked.values())
            row, _ = count(m, "row", self.nf, made[earliest], addresses=True)
        constants = {}
        for name, (store, _) in self._constants.items():
            m.submodules[name] = store
            if name in asked:
                m.d.comb += store.addr.eq(delay(m, row, asked[name] - earliest))
            constants[name] = store.data
        if self._bank:
            constants["group"] = delay(m, row, asked["group"] - earliest)
        return constants

    def _sums_out(self, m, sums, constants):
        """Return ``scale * acc + rest``."""
        if self._rows.scale == 1:
            return sums
        rest = constants.get("rest", Const(0, self.pe))
        return [Cat(rest[p], acc) for p, acc in enumerate(sums)]

    def _searched_out(self, m, sums, constants):
        """Return what the bank finds."""
        m.submodules.bank = found = self._bank
        m.d.comb += found.group.eq(constants["group"])
        for lane, acc in zip(found.a, sums, strict=True):
            m.d.comb += lane.eq(Cat(acc[:-1], ~acc[-1]))
        return list(found.y)

    def _steps_out(self, m, sums, constants):
        """Return ``base + sum_k (c[k] ^ falls[k])``."""
        steps, width = self._rows.steps, Shape.cast(self.y_shape).width
        lanes = []
        for p, acc in enumerate(sums):
            # c[k] = acc >= compare[k]; of the middle one it is the top bit.
            bits = []
            for k in range(steps):
                c = acc[-1]
                if k != self._rows.middle:
                    c = acc >= constants["compare"].word_select(p * steps + k, self.acc_width)
                if "falls" in constants:
                    c = c ^ constants["falls"][p if self.writable else p * steps + k]
                bits.append(c)
            total = counted(m, [delay(m, bit, self._compared_at - self._sum_at) for bit in bits])
            if "base" in constants:
                total = total + constants["base"].word_select(p, width)
            lanes.append(total)
        return lanes
