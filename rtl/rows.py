"""Rows: what an MVTU adds to the raw sum of each row of its matrix, and compares it with."""

from dataclasses import dataclass

import numpy as np

from .shapes import is_bipolar, range_of, shape_for
from .thresholds import NEVER, Thresholds

__all__ = ["Rows", "simplify_steps", "type_range", "value_range"]


def type_range(columns, x_shape, w_shape):
    """Return the lowest and the highest sum of ``columns`` products, whatever the weights."""
    products = [w * x for w in range_of(w_shape) for x in range_of(x_shape)]
    return columns * min(products), columns * max(products)


def value_range(weights, x_shape):
    """Return the lowest and the highest ``W[r] @ x`` of every row, for x of ``x_shape``."""
    low, high = range_of(x_shape)
    if is_bipolar(x_shape):
        bound = np.abs(weights).sum(axis=1)
        return -bound, bound
    above, below = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    return above * low + below * high, above * high + below * low


def simplify_steps(weights, x_shape, w_shape, thresholds):
    """Return weights, and values, falls and base of (MH, N) steps, that cost least to compute.

    - Rows that fall in every step are turned into rows that rise, if the negated weights fit:
      ``b - sum_k (a >= T[k]) == (b - N) + sum_k (-a >= 1 - T[k])`` of N steps that are reached.
    - ``base`` is made the same for all rows, where steps that are never reached can be exchanged
      for some that always are.
    """
    mh, n = len(weights), thresholds.steps
    low, high = value_range(weights, x_shape)
    values = np.clip(np.broadcast_to(thresholds.values, (mh, n)), low[:, None], high[:, None] + 1)
    falls = np.broadcast_to(thresholds.falls, (mh, n))
    base = np.broadcast_to(thresholds.base, mh)

    # What is never reached may as well fall.
    never = values > high[:, None]
    w_low, w_high = range_of(w_shape)
    turn = (falls | never).all(axis=1) & falls.any(axis=1)
    turn &= (-weights.min(axis=1) <= w_high) & (-weights.max(axis=1) >= w_low)
    turned = turn[:, None]
    weights = np.where(turned, -weights, weights)
    # What is never reached stays so, at the end.
    rising = np.sort(np.where(never, 1 - low[:, None], 1 - values), axis=1)
    values = np.where(turned, rising, values)
    falls = falls & ~turned
    base = base - (~never).sum(axis=1) * turn

    low, high = value_range(weights, x_shape)
    spare = (values > high[:, None]).sum(axis=1)
    more = base - base.min()
    if not falls.any() and np.all(more <= spare):
        exchanged = np.arange(n) >= n - more[:, None]
        values = np.sort(np.where(exchanged, low[:, None], values), axis=1)
        base = base - more
    if not n:
        # A step that is never reached, to have one at all.
        values, falls = high[:, None] + 1, np.zeros((mh, 1), bool)
    return weights, values, falls, base


@dataclass(frozen=True, eq=False)
class Rows:
    """Row by row, in the raw domain of ``Dot``: ``acc = start + raw``, of ``width`` bits.

    With thresholds, the middle step, where a search begins, needs no comparator: it is reached
    where the top bit of acc is set::

        start = 2**(width - 1) - T[middle],    c[k] = acc >= compare[k]
        y     = base + sum_k (c[k] ^ falls[k])

    Without, acc may be signed, and ``y = scale * acc + rest``: for scale 2 ``rest`` is the bit
    below acc.

    Attributes
    ----------
    start, base, rest : array of int, (MH,)
    compare, falls, never : array, (MH, N)
        ``never``: no sum reaches this step. Without thresholds N is 0.
    width : int
        The fewest bits that hold the final ``acc`` of every row; sums on the way may wrap.
    """

    start: np.ndarray
    base: np.ndarray
    rest: np.ndarray
    compare: np.ndarray
    falls: np.ndarray
    never: np.ndarray
    width: int
    scale: int

    @property
    def steps(self):
        """N."""
        return self.compare.shape[1]

    @property
    def middle(self):
        """The step that is the top bit of acc."""
        return _middle(self.steps)

    def thresholds(self, shape):
        """Return the steps as ``Thresholds`` to ``shape`` of acc with its top bit turned, signed.

        So the middle step is at 0.
        """
        values = np.where(self.never, NEVER, self.compare - (1 << (self.width - 1)))
        return Thresholds(values, shape, self.base + self.falls.sum(axis=1), self.falls)

    @classmethod
    def of_values(cls, low, high, *, scale, offset):
        """Make rows without thresholds, of values from ``low`` to ``high`` (MH,)."""
        # value == scale * raw + offset
        start, rest = offset // scale, offset % scale
        none = np.zeros((len(low), 0), np.int64)
        width = shape_for(low.min(), high.max()).width - (scale == 2)
        flags = none.astype(bool)
        return cls(start, 0 * start, rest, none, flags, flags, max(width, 1), scale)

    @classmethod
    def of_steps(cls, low, high, values, falls, base, *, scale, offset, alike=False):
        """Make rows of steps at ``values`` (MH, N >= 1).

        ``alike``: low and high are the same for all rows, and ``width`` depends on nothing else.
        """
        # value >= T   <=>   raw >= ceil((T - offset) / scale)
        def raw(value):
            return -((offset[:, None] - value) // scale)

        raw_low, raw_high = raw(low[:, None]), raw(high[:, None])
        steps = np.clip(raw(values), raw_low, raw_high + 1)
        middle = steps[:, _middle(steps.shape[1]), None]
        # All that is compared, less the middle step, has to fit a signed number.
        apart = np.concatenate([raw_low, raw_high, steps], axis=1) - middle
        width = shape_for(min(apart.min(), -1), apart.max()).width
        if alike:
            # A step is at most one past the highest raw sum, the middle one at the lowest.
            reach = -((low[0] - high[0]) // scale)
            width = shape_for(-reach - 1, reach + (steps.shape[1] > 1)).width
        zero = 1 << (width - 1)
        # A step that falls adds -c == (1 ^ c) - 1.
        return cls(zero - middle[:, 0], base - falls.sum(axis=1), 0 * base,
                   zero + steps - middle, falls, steps > raw_high, width, scale)


def _middle(steps):
    """Return which of ``steps`` a binary search compares with first."""
    return 2 ** (steps.bit_length() - 1) - 1
