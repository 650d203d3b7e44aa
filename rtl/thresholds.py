"""Thresholds: an integer step function for every channel, what every activation is turned into."""

from dataclasses import dataclass

import numpy as np
from amaranth import Shape, ShapeCastable

from .shapes import decode, is_bipolar, range_of

__all__ = ["ALWAYS", "NEVER", "Thresholds"]

NEVER = 2 ** 62                          # a threshold that no accumulator reaches
ALWAYS = -2 ** 61                       # one that all do


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Step functions: ``y = base[c] + sum_k (-1 if falls[c, k] else 1) * (a >= values[c, k])``.

    For a bipolar ``shape`` the sum gives the bit: 0 stands for -1 and 1 for +1. A rising function
    has no ``falls``; a falling one (negative batch-norm gamma) falls in every step.

    Parameters
    ----------
    values : array of int, (C, N)
        Steps of every channel, ascending. A channel with fewer steps is filled up at its end with
        ``NEVER``. C may be 1: all channels alike.
    shape : Shape or BIPOLAR
        Shape of ``y``.
    base : array of int, (C,)
        ``y`` before the first step (as a bit for a bipolar shape). Zeros by default.
    falls : array of bool, (C, N)
        Steps that go down. None by default.
    """

    values: np.ndarray
    shape: Shape | ShapeCastable
    base: np.ndarray | None = None
    falls: np.ndarray | None = None

    def __post_init__(self):
        values = np.atleast_2d(np.asarray(self.values, dtype=np.int64))
        base = np.zeros(len(values), np.int64) if self.base is None else np.asarray(self.base)
        falls = np.zeros(values.shape, bool) if self.falls is None else np.asarray(self.falls, bool)
        if values.ndim != 2:
            raise ValueError(f"thresholds are (channels, steps): these have shape {values.shape}")
        if base.shape != (len(values),) or falls.shape != values.shape:
            raise ValueError(f"{len(values)} channels of {values.shape[1]} steps need base of "
                             f"shape {(len(values),)} and falls of shape {values.shape}: they have "
                             f"{base.shape} and {falls.shape}")
        if np.any(np.diff(values, axis=1) < 0):
            raise ValueError("thresholds must ascend within every channel")
        shape = self.shape if isinstance(self.shape, ShapeCastable) else Shape.cast(self.shape)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "base", base.astype(np.int64))
        object.__setattr__(self, "falls", falls)
        object.__setattr__(self, "shape", shape)
        # Every level a channel passes must fit, whatever the accumulator.
        heights = np.where(falls, -1, 1) * (values < NEVER)
        levels = base[:, None] + np.cumsum(heights, axis=1)
        levels = np.concatenate([base[:, None], levels], axis=1)
        low, high = (0, 1) if is_bipolar(shape) else range_of(shape)
        if levels.min() < low or levels.max() > high:
            raise ValueError(f"levels must lie in [{low}, {high}] to fit {shape!r}: "
                             f"they span [{levels.min()}, {levels.max()}]")

    @property
    def channels(self):
        """C; 1 if all channels are alike."""
        return len(self.values)

    @property
    def steps(self):
        """N, thresholds a channel."""
        return self.values.shape[1]

    def full(self, channels):
        """Return the same for ``channels`` channels, with a step for every level of ``shape``.

        All channels then have as many steps, and begin at the lowest level or, where they fall, at
        the highest: values, and whether a channel falls, tell all of it. Raises ``ValueError``
        where a channel both rises and falls.
        """
        if self.channels not in (1, channels):
            raise ValueError(f"there must be thresholds for 1 channel or for all {channels}: "
                             f"they are for {self.channels}")
        low, high = (0, 1) if is_bipolar(self.shape) else range_of(self.shape)
        real, steps = self.values < NEVER, high - low
        down = (self.falls & real).any(axis=1)
        both = np.flatnonzero(down & (~self.falls & real).any(axis=1))
        if len(both):
            raise ValueError("thresholds that are written rise or fall in all steps of a channel: "
                             f"channel {both[0]} does both")
        # What a channel does not pass through it has passed at the lowest a, or never will.
        values = np.full((len(down), steps), NEVER)
        before = np.where(down, high - self.base, self.base - low)
        counts = real.sum(axis=1)
        place = np.arange(steps) - before[:, None]
        values[place < 0] = ALWAYS
        values[(place >= 0) & (place < counts[:, None])] = self.values[real]
        values, down = (np.broadcast_to(part, (channels, *part.shape[1:]))
                        for part in (values, down))
        return Thresholds(values, self.shape, np.where(down, high, low),
                          np.broadcast_to(down[:, None], values.shape))

    def model(self, a):
        """Compute ``y`` for accumulators ``a`` of shape (..., C): integers of ``shape``."""
        a = np.asarray(a)
        y = np.broadcast_to(self.base, a.shape[:-1] + (max(a.shape[-1], 1),)).copy()
        for k in range(self.steps):
            step = a >= self.values[:, k]
            y += np.where(self.falls[:, k], -1, 1) * step
        return decode(y, self.shape) if is_bipolar(self.shape) else y
