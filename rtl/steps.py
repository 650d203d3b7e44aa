"""Steps: the step functions of an activation as they are laid into hardware."""

from dataclasses import dataclass

import numpy as np
from amaranth import Shape, unsigned

from .shapes import is_bipolar, range_of

__all__ = ["Steps", "raw_shape", "stored"]


def raw_shape(a_shape):
    """Return the shape of ``a`` as its bits read: a bipolar one is 0 or 1."""
    return unsigned(1) if is_bipolar(a_shape) else Shape.cast(a_shape)


def stored(values, shape):
    """Return how a column of thresholds is kept: values, their shape, and whether to compare by >.

    The lowest ``a`` reaches all of them or the highest none: then ``a > value - 1`` or
    ``a >= value`` do with the bits of ``a``; where there are both, they need one more.
    """
    low, high = range_of(shape)
    if values.max() <= high:
        return values, shape, False
    if values.min() > low:
        return values - 1, shape, True
    return values, Shape(shape.width + 1, shape.signed), False


@dataclass(frozen=True, eq=False)
class Steps:
    """``y = base[c] + sum_k (falls[c, k] ^ (a >= values[c, k]))``, modulo 2^bits of ``y``.

    The function of a ``Thresholds``, on the bits of ``a``, for whole rows of lanes: the channels
    past the end give 0. ``base`` is the same for all channels where that can be had, because a
    step that no ``a`` crosses counts 0 or 1 as needed.

    Attributes
    ----------
    values : array of int, (C, N)
        Ascending in every channel, from the lowest ``a``, which all reach, to one past the
        highest, which none does. C is ``lanes`` where all rows are alike.
    falls : array of bool, (C, N)
    base : array of int, (C,)
    """

    values: np.ndarray
    falls: np.ndarray
    base: np.ndarray

    @classmethod
    def of(cls, thresholds, *, channels, lanes, a_shape, steps=None):
        """Lay out ``thresholds`` for ``channels``; with ``steps``, as so many steps a channel."""
        if thresholds.channels not in (1, channels):
            raise ValueError(f"there must be thresholds for 1 channel or for all {channels}: "
                             f"they are for {thresholds.channels}")
        low, high = range_of(raw_shape(a_shape))
        values, falls, base = thresholds.values, thresholds.falls, thresholds.base
        if is_bipolar(a_shape):
            # 2*bit - 1 >= value   <=>   bit >= ceil((value + 1) / 2)
            values = (np.clip(values, -2, 2) + 2) // 2
        values = np.clip(values, low, high + 1)

        rows = -(-channels // lanes)
        if thresholds.channels == 1 and channels % lanes == 0:
            rows = 1
        count = min(channels, rows * lanes)
        steps = thresholds.steps if steps is None else steps
        laid = np.full((rows * lanes, steps), high + 1)
        laid_falls = np.zeros(laid.shape, bool)
        laid_base = np.zeros(len(laid), np.int64)
        laid[:count, :thresholds.steps] = values[:count]
        laid_falls[:count, :thresholds.steps] = falls[:count]
        laid_base[:count] = base[:count]
        return cls._even(laid, laid_falls, laid_base, low, high + 1,
                         1 << Shape.cast(thresholds.shape).width)

    @classmethod
    def _even(cls, values, falls, base, always, never, modulus):
        """Choose what the steps that no ``a`` crosses count, to make ``base`` the same."""
        crossed = (values > always) & (values < never)
        # A falling step counts -(a >= value) = (1 ^ (a >= value)) - 1.
        base = (base + (np.where(falls, -1, 1) * (values == always)).sum(axis=1)
                - (falls & crossed).sum(axis=1))
        # base[c] = common + the ones of the idle steps of c
        idle = (~crossed).sum(axis=1)
        for common in (0, *np.unique(base % modulus).tolist()):
            ones = (base - common) % modulus
            if np.all(ones <= idle):
                base = np.full(len(base), common)
                break
        else:
            base, ones = base % modulus, np.zeros(len(base), np.int64)

        laid, laid_falls = np.empty_like(values), np.zeros(values.shape, bool)
        for c, row in enumerate(laid):
            fall, zeros = falls[c, crossed[c]], idle[c] - ones[c]
            if len(fall) and fall.all():
                # 1 ^ (a >= never) is 1.
                first, last, laid_falls[c] = zeros, ones[c], True
            else:
                first, last = ones[c], zeros
                laid_falls[c, first:len(row) - last] = fall
            row[:first], row[len(row) - last:] = always, never
            row[first:len(row) - last] = values[c, crossed[c]]
        return cls(laid, laid_falls, base)

    @property
    def uneven(self):
        """The channels that both rise and fall."""
        return np.flatnonzero(self.falls.any(axis=1) & ~self.falls.all(axis=1))
