"""Element shapes: the integers that travel in the lanes of a stream, and their limits."""

import numpy as np
from amaranth import Const, Shape, ShapeCastable, Value, unsigned

__all__ = ["BIPOLAR", "Bipolar", "decode", "encode", "is_bipolar", "range_of", "shape_for"]


class Bipolar(ShapeCastable):
    """One bit that stands for −1 (bit 0) or +1 (bit 1)."""

    def as_shape(self):
        return unsigned(1)

    def __call__(self, value):
        return Value.cast(value)

    def const(self, init):
        """Make the constant for the value −1 or +1; ``None`` and 0 (a padded lane) give bit 0."""
        if init not in (None, -1, 0, 1):
            raise ValueError(f"a bipolar constant is -1 or +1, not {init!r}")
        return Const(init == 1, 1)

    def from_bits(self, raw):
        """Return the value of a bit: 0 gives −1, 1 gives +1."""
        return 2 * raw - 1

    def format(self, value, spec):
        from amaranth import Format
        return Format("{}", value)

    def __eq__(self, other):
        return isinstance(other, Bipolar)

    def __hash__(self):
        return hash(Bipolar)

    def __repr__(self):
        return "bipolar"


BIPOLAR = Bipolar()


def is_bipolar(shape):
    """Tell whether an element of ``shape`` is −1 or +1."""
    return isinstance(shape, Bipolar)


def range_of(shape):
    """Return the lowest and the highest integer that ``shape`` holds."""
    if is_bipolar(shape):
        return -1, 1
    shape = Shape.cast(shape)
    if shape.signed:
        return -2 ** (shape.width - 1), 2 ** (shape.width - 1) - 1
    return 0, 2 ** shape.width - 1


def shape_for(low, high):
    """Return the narrowest shape, signed only if ``low`` is negative, that holds [low, high]."""
    low, high = int(low), int(high)
    if low < 0:
        return Shape(max((-low - 1).bit_length(), high.bit_length()) + 1, signed=True)
    return Shape(max(high.bit_length(), 1))


def encode(values, shape):
    """Turn integers into the bits that travel, as non-negative int64; refuse what does not fit."""
    values = np.asarray(values)
    low, high = range_of(shape)
    if values.size and (values.min() < low or values.max() > high):
        raise ValueError(f"values must lie in [{low}, {high}] to fit {shape!r}: "
                         f"they span [{values.min()}, {values.max()}]")
    if is_bipolar(shape):
        if np.any(values == 0):
            raise ValueError("bipolar values are -1 or +1: there is a 0 among them")
        return (values.astype(np.int64) + 1) >> 1
    return values.astype(np.int64) & ((1 << Shape.cast(shape).width) - 1)


def decode(bits, shape):
    """Turn the bits that travel back into integers: the inverse of ``encode``."""
    bits = np.asarray(bits, dtype=np.int64)
    if is_bipolar(shape):
        return 2 * bits - 1
    shape = Shape.cast(shape)
    if shape.signed:
        sign = 1 << (shape.width - 1)
        return (bits ^ sign) - sign
    return bits
