"""Raw sums: what is cheap to add up in place of the products of a dot product."""

from dataclasses import dataclass

import numpy as np
from amaranth import Shape, ShapeCastable

from .shapes import encode, is_bipolar

__all__ = ["RawSum", "bit_weights", "weight_bits"]


def weight_bits(weights, w_shape):
    """Turn weights into the bits ``Dot.w`` takes; 0, a padded column, is bit 1 where bipolar."""
    weights = np.asarray(weights)
    if is_bipolar(w_shape):
        weights = np.where(weights == 0, 1, weights)
    return encode(weights, w_shape)


@dataclass(frozen=True)
class RawSum:
    """What the sum of a dot product's lanes means.

    *Raw* is what is cheap to add up. For rows of weights ``(MH, MW)``, summed over all MW columns:
    ``W @ x == scale * raw + offset(W)``.

    ======== ======== ===================================================== =====
    x        w        raw                                                   scale
    ======== ======== ===================================================== =====
    bipolar  bipolar  number of lanes where the bits of x and w are equal   2
    bipolar  integer  sum of w where the bit of x is 1                      2
    integer  bipolar  sum of x where the bit of w is 1, of ~x elsewhere     1
    integer  integer  sum of x * w                                          1
    ======== ======== ===================================================== =====

    Where bits of negative weight are counted inverted (``inverts``), raw is higher by ``bias`` in
    every lane; ``offset`` takes it back.

    Parameters
    ----------
    simd : int
        Lanes.
    x_shape, w_shape : Shape or BIPOLAR
        Shapes of one lane of x and of w.
    inverts : bool
        ``-2**k * b`` is counted as ``2**k * ~b``.
    """

    simd: int
    x_shape: Shape | ShapeCastable
    w_shape: Shape | ShapeCastable
    inverts: bool = False

    def __post_init__(self):
        if self.simd < 1:
            raise ValueError(f"SIMD must be at least 1: it is {self.simd}")
        for name in ("x_shape", "w_shape"):
            shape = getattr(self, name)
            object.__setattr__(self, name, shape if is_bipolar(shape) else Shape.cast(shape))

    @property
    def scale(self):
        """What one count of raw is worth: 2 for bipolar x, else 1."""
        return 2 if is_bipolar(self.x_shape) else 1

    @property
    def bias(self):
        """What every lane, padded or not, adds to raw over and above the table."""
        return sum(1 << k for k, negative in bit_weights(self.x_shape, self.w_shape)
                   if negative) if self.inverts else 0

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
            lanes = (1 if self.x_shape.signed else 1 - 2 ** self.x_shape.width) * (weights == -1)
        else:
            lanes = 0 * weights
        return (lanes - self.scale * self.bias).sum(axis=-1)

    def model(self, x, w):
        """Compute raw from values ``(..., SIMD)``; w is 0 in a padded lane."""
        x, w = np.asarray(x, dtype=np.int64), np.asarray(w, dtype=np.int64)
        return ((x * w).sum(axis=-1) - self.offset(w)) // self.scale


def bit_weights(x_shape, w_shape):
    """Return (log2 of its weight, whether it is negative) of every bit product, x bits slowest."""
    def bits(shape):
        width = 1 if is_bipolar(shape) else shape.width
        signed = not is_bipolar(shape) and shape.signed
        return [(k, signed and k == width - 1) for k in range(width)]

    return [(i + j, x_sign != w_sign) for i, x_sign in bits(x_shape) for j, w_sign in bits(w_shape)]
