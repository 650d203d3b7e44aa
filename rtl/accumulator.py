# amaranth: UnusedElaboratable=no
"""Accumulator: the sums of a dot product's beats, one beat a cycle, free-running."""

from amaranth import C, Cat, Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .compressor import accumulate_plan, sum_plan
from .families import GENERIC
from .plain import plain_latency, plain_sum
from .raw import RawSum

__all__ = ["Accumulator"]


class Accumulator(wiring.Component):
    """Accumulator: adds up the raw sums of ``Dot`` over the beats of a row.

    Every cycle takes a beat, but for those in which ``hold`` is set: they leave the sum as it is.
    Where ``first`` is set the beat starts a sum, of ``init`` if there is one, else of 0, and what
    was summed before is dropped.

    Timing: ``y`` shows the sum up to and with a beat ``latency`` cycles after the beat; no valid,
    no reset, so before the first ``first`` it shows anything.

    Parameters
    ----------
    simd, x_shape, w_shape, width, family
        As ``Dot`` has them.
    init : bool
        A sum starts with the port ``init``.

    Members
    -------
    x, w : In
        As ``Dot`` has them.
    first, hold : In(1)
    init : In(width)
        Start of the sum, taken ``init_latency`` cycles after its ``first``: that saves the
        registers to keep it until then. Only if ``init``.
    y : Out(width)
    """

    def __init__(self, *, simd, x_shape, w_shape, width, family=GENERIC, init=False):
        if width < 1:
            raise ValueError(f"width must be at least 1: it is {width}")
        self.raw = RawSum(simd, x_shape, w_shape, inverts=family.lut6)
        self.simd, self.width, self.family, self.has_init = simd, width, family, init
        super().__init__({
            "x": In(data.ArrayLayout(self.raw.x_shape, simd)),
            "w": In(data.ArrayLayout(self.raw.w_shape, simd)),
            "first": In(1), "hold": In(1),
            **({"init": In(width)} if init else {}),
            "y": Out(width),
        })

    @property
    def latency(self):
        """Cycles from a beat to the sum with it."""
        return self.init_latency + 1

    @property
    def init_latency(self):
        """Cycles from a ``first`` to its ``init``."""
        if self.family.lut6:
            return self._plans()[0].latency
        return plain_latency(self.simd, self.raw.x_shape, self.raw.w_shape)

    @property
    def scale(self):
        """``Dot.scale``."""
        return self.raw.scale

    def offset(self, weights):
        """``Dot.offset``."""
        return self.raw.offset(weights)

    def _plans(self):
        """Return the plans of the rows and of their accumulation."""
        rows = sum_plan(self.simd, self.raw.x_shape, self.raw.w_shape, self.width, rows=2)
        return rows, accumulate_plan(rows.heights, self.width, self.has_init)

    def elaborate(self, platform):
        m = Module()

        # What goes with the beat waits until its raw sum is there; in registers that reset, since
        # shift registers in LUTs are too slow to drive so many.
        def delayed(value):
            for _ in range(self.init_latency):
                held = Signal()
                m.d.sync += held.eq(value)
                value = held
            return value

        # y' = (init if first else y) + raw
        y = Signal.like(self.y, reset_less=True)
        following = Signal.like(y)
        first, start = delayed(self.first), self.init if self.has_init else C(0, self.width)
        if self.family.lut6:
            rows, accumulate = self._plans()
            columns = rows.lay(m, [*self.x.as_value(), *self.w.as_value()], family=self.family)
            operands = Cat(bit for column in columns for bit in column)
            bits = [*operands, *y, first, *(start if self.has_init else ())]
            columns = accumulate.lay(m, bits, family=self.family, registers=False)
            m.d.comb += following.eq(Cat(bit for bit, in columns))
        else:
            raw = plain_sum(m, self.x, self.w, self.raw.x_shape, self.raw.w_shape, self.width,
                            family=self.family)
            m.d.comb += following.eq(Mux(first, start, y) + raw)
        with m.If(~delayed(self.hold)):
            m.d.sync += y.eq(following)
        m.d.comb += self.y.eq(y)
        return m
