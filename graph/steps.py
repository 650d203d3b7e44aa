"""Steps: from a function of integers to the thresholds at which it steps.

The function is evaluated over the whole range where that is small, and by bisection where it is
known to rise or fall.
"""

from collections.abc import Callable

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.shapes import is_bipolar
from quinnoa.rtl.thresholds import NEVER, Thresholds

__all__ = ["TooManySteps", "bisected", "thresholds_of"]

MAX_TABLE = 2 ** 22                      # values * channels that are evaluated without a thought
MAX_LONG_TABLE = 2 ** 28                 # the same where nothing else helps
MAX_STEPS = 2 ** 22                      # steps * channels
CHUNK = 2 ** 19                          # values evaluated in one go

Function = Callable[[np.ndarray], np.ndarray]


class TooManySteps(Exception):
    """A function whose steps cannot be found, or are too many; the message says which."""


def thresholds_of(function: Function, low: np.ndarray, high: np.ndarray,
                  shape: Shape | ShapeCastable, *, monotone: bool = False) -> Thresholds:
    """Return the thresholds of ``function`` for integers in [low[c], high[c]] of each channel c.

    Parameters
    ----------
    function : callable
        From integers (values, channels) to integers of ``shape`` of the same dims; each depends
        on its own integer and channel alone.
    low, high : array of int, (channels,)
    shape : Shape or BIPOLAR
        Of the result.
    monotone : bool
        The function rises or falls in each channel.

    Raises ``TooManySteps``.
    """
    low, high = np.asarray(low, np.int64), np.asarray(high, np.int64)
    count = int(high.max() - low.min() + 1) * len(low)
    if count <= MAX_TABLE or not monotone and count <= MAX_LONG_TABLE:
        steps = _by_table(function, low, high)
    elif monotone:
        steps = bisected(function, low, high)
    else:
        raise TooManySteps(f"neither rises nor falls, and {count} values of it are too many for a "
                           f"table; at most {MAX_LONG_TABLE} are expected")
    return _laid(*steps, shape)


def _by_table(function: Function, low: np.ndarray,
              high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Evaluate over the range. Return base, and channel, position, height of every step."""
    first, last = int(low.min()), int(high.max())
    rows = max(CHUNK // len(low), 1)
    base = np.zeros(len(low), np.int64)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    before: np.ndarray | None = None
    for start in range(first, last + 1, rows):
        a = np.arange(start, min(start + rows, last + 1))[:, None]
        y = function(np.broadcast_to(a, (len(a), len(low)))).astype(np.int64)
        base = np.where((low >= start) & (low < start + rows),
                        y[np.clip(low - start, 0, len(y) - 1), np.arange(len(low))], base)
        rise = np.diff(y, axis=0, prepend=y[:1] if before is None else before)
        k, c = np.nonzero(rise)
        inside = (a[k, 0] > low[c]) & (a[k, 0] <= high[c])
        k, c = k[inside], c[inside]
        found.append((c, a[k, 0], rise[k, c]))
        before = y[-1:]
    channel, position, height = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.lexsort((position, channel))
    return base, channel[order], position[order], height[order]


def bisected(function: Function, low: np.ndarray,
             high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Find where each level is first reached, for all levels and channels at once."""
    base, end = function(low[None])[0].astype(np.int64), function(high[None])[0].astype(np.int64)
    sign = np.where(end < base, -1, 1)
    levels = int(np.abs(end - base).max())
    if levels * len(low) > MAX_STEPS:
        raise TooManySteps(f"{levels} steps in {len(low)} channels; at most {MAX_STEPS} in all are "
                           "expected")
    # left < first a with sign*(f(a) - base) > k <= right; beyond the end for too high a k.
    left = np.broadcast_to(low, (levels, len(low))).copy()
    right = np.broadcast_to(high, (levels, len(low))).copy()
    k = np.arange(levels)[:, None]
    while (left + 1 < right).any():
        middle = (left + right) // 2
        above = sign * (function(middle).astype(np.int64) - base) > k
        left, right = np.where(above, left, middle), np.where(above, middle, right)
    channel, level = np.nonzero((k < np.abs(end - base)).T)
    return base, channel, right[level, channel], sign[channel]


def _laid(base: np.ndarray, channel: np.ndarray, position: np.ndarray, height: np.ndarray,
          shape: Shape | ShapeCastable) -> Thresholds:
    """Lay the steps out channel by channel; a step of height h is h thresholds."""
    if is_bipolar(shape):
        # The bit, not the value, is counted up.
        base, height = (base + 1) >> 1, height >> 1
    times = np.abs(height)
    counts = np.bincount(channel, times, len(base)).astype(np.int64)
    steps = max(int(counts.max(initial=0)), 1)
    if steps * len(base) > MAX_STEPS:
        raise TooManySteps(f"{steps} steps in {len(base)} channels; at most {MAX_STEPS} in all are "
                           "expected")
    # What fills up the channels of fewer steps falls where they do: a channel stays of one kind.
    values = np.full((len(base), steps), NEVER, np.int64)
    downward = np.bincount(channel, times * (height < 0), len(base)) == counts
    falls = np.broadcast_to((downward & (counts > 0))[:, None], values.shape).copy()
    filled = np.arange(steps) < counts[:, None]
    values[filled] = np.repeat(position, times)
    falls[filled] = np.repeat(height < 0, times)
    alike = (values == values[:1]).all() and (falls == falls[:1]).all() and (base == base[0]).all()
    if alike:
        base, values, falls = base[:1], values[:1], falls[:1]
    return Thresholds(values, shape, base, falls)
