"""Checks: what a product's weights and thresholds must be."""

import numpy as np

from .shapes import is_bipolar, range_of
from .thresholds import Thresholds

__all__ = ["check_alike", "check_fold", "check_thresholds", "check_weights"]


def check_weights(weights, w_shape):
    """Return the weights as an array of int64; refuse what is none, or does not fit."""
    weights = np.asarray(weights)
    if weights.dtype.kind not in "iu":
        raise TypeError(f"weights must be integers: they are {weights.dtype}")
    if weights.ndim != 2 or weights.size == 0:
        raise ValueError(f"weights must be a matrix (MH, MW): they have shape {weights.shape}")
    low, high = range_of(w_shape)
    if weights.min() < low or weights.max() > high:
        raise ValueError(f"weights must lie in [{low}, {high}] to fit {w_shape!r}: "
                         f"they span [{weights.min()}, {weights.max()}]")
    if is_bipolar(w_shape) and np.any(weights == 0):
        raise ValueError("bipolar weights are -1 or +1: there is a 0 among them")
    return weights.astype(np.int64)


def check_thresholds(thresholds, mh):
    """Refuse what are no thresholds for 1 row or for all ``mh``."""
    if thresholds is None:
        return
    if not isinstance(thresholds, Thresholds):
        raise TypeError(f"thresholds must be Thresholds: they are {type(thresholds).__name__}")
    if thresholds.channels not in (1, mh):
        raise ValueError(f"there must be thresholds for 1 row or for all: MH is {mh}, "
                         f"they are for {thresholds.channels}")


def check_alike(unit, weights, thresholds):
    """Refuse weights and thresholds that are not of the dims and shape of a unit's own."""
    if weights.shape != unit.weights.shape:
        raise ValueError(f"weights must be {unit.weights.shape}: they are {weights.shape}")
    check_thresholds(thresholds, len(weights))
    shapes = [None if each is None else each.shape for each in (unit.thresholds, thresholds)]
    if shapes[0] != shapes[1] or is_bipolar(shapes[0]) != is_bipolar(shapes[1]):
        raise ValueError(f"thresholds must be of {shapes[0]!r}: they are of {shapes[1]!r}")


def check_fold(whole, length, part, lanes, pad):
    """Return ``length / lanes``, rounded up if ``pad``; refuse what does not divide."""
    if lanes < 1:
        raise ValueError(f"{part} must be at least 1: it is {lanes}")
    fold = -(-length // lanes)
    if length % lanes and not pad:
        divisors = [d for d in range(1, length + 1) if length % d == 0]
        near = [max(d for d in divisors if d < lanes), *[d for d in divisors if d > lanes][:1]]
        raise ValueError(
            f"{part} must divide {whole}: {whole} is {length}, {part} is {lanes} "
            f"({' or '.join(map(str, near))} would do, or pad=True, which pads {whole} to "
            f"{fold * lanes})")
    return fold
