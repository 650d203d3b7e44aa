"""Dot product of SIMD lanes: a raw sum modulo ``2**width`` every cycle, pipelined, free-running."""

import operator

import numpy as np
from amaranth import C, Cat, Module, Shape, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .families import GENERIC
from .shapes import encode, is_bipolar

__all__ = ["Dot", "weight_bits"]


def weight_bits(weights, w_shape):
    """Turn weights into the bits ``Dot.w`` takes; 0, a padded column, is bit 1 where bipolar."""
    weights = np.asarray(weights)
    if is_bipolar(w_shape):
        weights = np.where(weights == 0, 1, weights)
    return encode(weights, w_shape)


class Dot(wiring.Component):
    """Dot product: computes the raw sum of ``x[c] * w[c]`` over SIMD lanes, one a cycle.

    *Raw* is what is cheap to add up. For rows of weights ``(MH, MW)``, summed over all MW columns
    and modulo ``2**width``: ``W @ x == scale * raw + offset(W)``.

    ======== ======== ===================================================== =====
    x        w        raw                                                   scale
    ======== ======== ===================================================== =====
    bipolar  bipolar  number of lanes where the bits of x and w are equal   2
    bipolar  integer  sum of w where the bit of x is 1                      2
    integer  bipolar  sum of x where the bit of w is 1, of ~x elsewhere     1
    integer  integer  sum of x * w                                          1
    ======== ======== ===================================================== =====

    Where the family counts bits (``family.lut6``), bits of negative weight are counted inverted,
    so that raw is higher by ``bias`` in every lane; ``offset`` takes it back.

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
        if simd < 1:
            raise ValueError(f"SIMD must be at least 1: it is {simd}")
        if width < 1:
            raise ValueError(f"width must be at least 1: it is {width}")
        self.simd, self.width, self.family = simd, width, family
        self.x_shape = x_shape if is_bipolar(x_shape) else Shape.cast(x_shape)
        self.w_shape = w_shape if is_bipolar(w_shape) else Shape.cast(w_shape)
        super().__init__({
            "x": In(data.ArrayLayout(self.x_shape, simd)),
            "w": In(data.ArrayLayout(self.w_shape, simd)),
            "y": Out(width),
        })

    @property
    def scale(self):
        """What one count of raw is worth: 2 for bipolar x, else 1."""
        return 2 if is_bipolar(self.x_shape) else 1

    @property
    def bias(self):
        """What every lane, padded or not, adds to raw over and above the table."""
        return 0

    @property
    def latency(self):
        """Cycles from a pair to its sum."""
        if is_bipolar(self.x_shape) and is_bipolar(self.w_shape):
            # A register after every second level of full adders, and one after the addition.
            return len(_heights(self.simd)[1::2]) + 1
        # A register after the products, and one after every second level of additions.
        return 1 + len(range(0, _levels(self.simd), 2))

    def offset(self, weights):
        """Return what ``scale * raw`` lacks: ``(MH, MW)`` weights, 0 where padded, to ``(MH,)``."""
        weights = np.asarray(weights, dtype=np.int64)
        if weights.shape[-1] % self.simd:
            raise ValueError(f"MW must be a multiple of SIMD: MW is {weights.shape[-1]}, "
                             f"SIMD is {self.simd}")
        if is_bipolar(self.x_shape):
            # x = 2 * bit - 1, so x * w = 2 * bit * w - w; bipolar: 2 * (bit == w bit) - 1.
            lanes = -np.abs(weights) if is_bipolar(self.w_shape) else -weights
        elif is_bipolar(self.w_shape):
            # -x = ~x + 1 if x is signed, and = ~x - (2**b - 1) if it is unsigned of b bits.
            correction = 1 if self.x_shape.signed else 1 - 2 ** self.x_shape.width
            lanes = correction * (weights == -1)
        else:
            lanes = 0 * weights
        return (lanes - self.scale * self.bias).sum(axis=-1)

    def model(self, x, w):
        """Compute ``y`` from values ``(..., SIMD)``; w is 0 in a padded lane."""
        x, w = np.asarray(x, dtype=np.int64), np.asarray(w, dtype=np.int64)
        return ((x * w).sum(axis=-1) - self.offset(w)) // self.scale % 2 ** self.width

    def elaborate(self, platform):
        m = Module()
        if is_bipolar(self.x_shape) and is_bipolar(self.w_shape):
            equal = ~(self.x.as_value() ^ self.w.as_value())
            m.d.comb += self.y.eq(_popcount(m, equal, self.width))
        else:
            products = _products(self.x, self.w, self.x_shape, self.w_shape)
            m.d.comb += self.y.eq(_sum(m, products, self.width))
        return m


def _levels(n):
    """Levels of a balanced tree of two-operand adders over ``n`` terms."""
    return (n - 1).bit_length()


def _products(x, w, x_shape, w_shape):
    """Return the term of every lane, as the table of ``Dot`` has it."""
    if is_bipolar(x_shape):
        terms = [x[c].replicate(w_shape.width) & w[c].as_unsigned() for c in range(len(x))]
        return [term.as_signed() for term in terms] if w_shape.signed else terms
    if is_bipolar(w_shape):
        terms = [~(w[c].replicate(x_shape.width) ^ x[c].as_unsigned()) for c in range(len(x))]
        return [term.as_signed() for term in terms] if x_shape.signed else terms
    return [x[c] * w[c] for c in range(len(x))]


def _register(m, value, width):
    """Return ``value`` one cycle later, cut to ``width`` bits."""
    shape = value.shape()
    register = Signal(shape if shape.width < width else unsigned(width), reset_less=True)
    m.d.sync += register.eq(value)
    return register


def _sum(m, terms, width):
    """Add ``terms`` up; registers after the terms and after every second level."""
    terms = [_register(m, term, width) for term in terms]
    while len(terms) > 1:
        for _ in range(2):
            pairs = [operator.add(*terms[k:k + 2]) for k in range(0, len(terms) - 1, 2)]
            terms = pairs + terms[2 * len(pairs):]
        terms = [_register(m, term, width) for term in terms]
    return terms[0]


def _heights(n):
    """Bits of each weight before each level of full adders, until no weight has more than three."""
    levels, heights = [], [n]
    while max(heights) > 3:
        levels.append(heights)
        heights = [a - 2 * (a // 3) + b // 3
                   for a, b in zip([*heights, 0], [0, *heights], strict=True)]
        if not heights[-1]:
            heights.pop()
    return levels


def _popcount(m, bits, width):
    """Count the ones of ``bits``; a register after every second level of full adders.

    The bits of one weight are one value, and a level adds its thirds in all places at once: the
    number of expressions grows with the logarithm of the bits.
    """
    columns = [Signal(len(bits))]
    m.d.comb += columns[0].eq(bits)
    for level, _ in enumerate(_heights(len(bits))):
        # a + b + c = (a ^ b ^ c) + 2 * maj(a, b, c) in every place.
        following = [[] for _ in range(len(columns) + 1)]
        for k, column in enumerate(columns):
            a, b, c, rest = _thirds(column)
            following[k] += [a ^ b ^ c, rest]
            following[k + 1] += [(a & b) | (c & (a | b))]
        # Named by a signal, a column is translated once, however often it is used.
        columns = [Signal(sum(map(len, parts)), reset_less=True) for parts in following[:width]]
        domain = m.d.sync if level % 2 else m.d.comb
        domain += [column.eq(Cat(parts)) for column, parts in zip(columns, following, strict=False)]
        if not len(columns[-1]):
            columns.pop()
    rows = [Cat(column[r] if r < len(column) else C(0, 1) for column in columns) for r in range(3)]
    return _register(m, rows[0] + rows[1] + rows[2], width)


def _thirds(value):
    """Cut a value into three equal parts and the rest."""
    n = len(value) // 3
    return value[:n], value[n:2 * n], value[2 * n:3 * n], value[3 * n:]
