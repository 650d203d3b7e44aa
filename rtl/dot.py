"""Dot product of SIMD lanes: a raw sum modulo ``2**width`` every cycle, pipelined, free-running."""

from amaranth import Cat, Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .compressor import sum_plan
from .families import GENERIC
from .plain import plain_latency, plain_sum
from .raw import RawSum, weight_bits

__all__ = ["Dot", "weight_bits"]


class Dot(wiring.Component):
    """Dot product: computes the raw sum of ``x[c] * w[c]`` over SIMD lanes, one a cycle.

    What *raw* is says ``RawSum``. Over rows of weights ``(MH, MW)``, summed over all MW columns and
    modulo ``2**width``: ``W @ x == scale * raw + offset(W)``.

    A padded lane has x of 0 bits, and w as ``weight_bits`` makes it of weight 0: all bits 0, but 1
    where w is bipolar.

    Timing: free-running. ``y`` shows the sum of a pair ``latency`` cycles after the pair; no valid,
    no reset.

    Parameters
    ----------
    simd : int
        Lanes.
    x_shape, w_shape : Shape or BIPOLAR
        Shapes of one lane of x and of w.
    width : int
        Bits of the sum; it is exact modulo ``2**width``.
    family : Family
        Plain logic, or primitives of a device family.

    Members
    -------
    x : In, x_shape * SIMD
    w : In, w_shape * SIMD
    y : Out(unsigned(width))
    """

    def __init__(self, *, simd, x_shape, w_shape, width, family=GENERIC):
        if width < 1:
            raise ValueError(f"width must be at least 1: it is {width}")
        self.raw = RawSum(simd, x_shape, w_shape, inverts=family.lut6)
        self.simd, self.width, self.family = simd, width, family
        super().__init__({
            "x": In(data.ArrayLayout(self.raw.x_shape, simd)),
            "w": In(data.ArrayLayout(self.raw.w_shape, simd)),
            "y": Out(width),
        })

    @property
    def scale(self):
        """What one count of raw is worth: 2 for bipolar x, else 1."""
        return self.raw.scale

    @property
    def latency(self):
        """Cycles from a pair to its sum."""
        if self.family.lut6:
            return self._plan().latency
        return plain_latency(self.simd, self.raw.x_shape, self.raw.w_shape)

    def _plan(self):
        return sum_plan(self.simd, self.raw.x_shape, self.raw.w_shape, self.width)

    def offset(self, weights):
        """Return what ``scale * raw`` lacks: ``(MH, MW)`` weights, 0 where padded, to ``(MH,)``."""
        return self.raw.offset(weights)

    def model(self, x, w):
        """Compute ``y`` from values ``(..., SIMD)``; w is 0 in a padded lane."""
        return self.raw.model(x, w) % 2 ** self.width

    def elaborate(self, platform):
        m = Module()
        if self.family.lut6:
            bits = [*self.x.as_value(), *self.w.as_value()]
            columns = self._plan().lay(m, bits, family=self.family)
            m.d.comb += self.y.eq(Cat(bit for column in columns for bit in column))
        else:
            m.d.comb += self.y.eq(plain_sum(m, self.x, self.w, self.raw.x_shape,
                                            self.raw.w_shape, self.width,
                                            family=self.family))
        return m
