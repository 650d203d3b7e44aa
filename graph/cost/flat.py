"""Cost of an MVTU that makes a vector a cycle: constant weights, folded into plain logic."""

import numpy as np

from quinnoa.rtl.plain import plain_latency
from quinnoa.rtl.shapes import is_bipolar

from .amounts import Parts
from .banks import bank
from .control import outlet
from .facts import Facts

__all__ = ["flat"]


def flat(facts: Facts, family: str, *, style: str = "auto", exact: bool = True) -> Parts:
    """Return the parts of an MVTU with PE = MH and SIMD = MW.

    Rows share what they have in common: of three inputs there is one sum, and there are four
    carries, up to inversion.
    """
    parts, mh, mw, width = Parts(), facts.mh, facts.mw, facts.width
    if is_bipolar(facts.x_shape) and is_bipolar(facts.w_shape):
        _popcounts(parts, facts)
    else:
        _sums(parts, facts)
    # The start is added, and one step is the top bit.
    parts.add("accumulate", mh * width, mh * width)
    steps = facts.steps
    first = plain_latency(mw, facts.x_shape, facts.w_shape)
    searches = facts.searches(style)
    beat_at = first + 1 + (facts.bank(mh, family, exact)[0].latency if searches else steps > 1)
    if searches:
        bank(parts, *facts.bank(mh, family, exact), family)
    elif steps > 1:
        parts.add("compare_fixed", mh * (steps - 1) * width / 4)
        parts.add("count", mh * facts.y_bits, mh * steps)
    parts.ff += first + beat_at
    parts.add("control", 4)
    outlet(parts, mh * facts.y_bits, beat_at, family, 1)
    return parts


def _popcounts(parts: Parts, facts: Facts) -> None:
    heights, level = [facts.mw], 0
    while max(heights) > 3:
        adders = sum(n // 3 for n in heights[:facts.width])
        # Adders of level 0 see three inputs, those after it nine and more.
        sums, carries = (min(facts.mh, 1), min(facts.mh, 4)) if level == 0 else (facts.mh,) * 2
        parts.add("adders" if level else "first_adders", adders * (sums + carries))
        heights = [a - 2 * (a // 3) + b // 3
                   for a, b in zip([*heights, 0], [0, *heights], strict=True)]
        if not heights[-1]:
            heights.pop()
        if level % 2:
            parts.ff += facts.mh * sum(heights[:facts.width])
        level += 1
    bits = min(facts.width, sum(n << k for k, n in enumerate(heights)).bit_length())
    parts.add("sums", facts.mh * bits * (max(heights) - 1), facts.mh * bits)


def _sums(parts: Parts, facts: Facts) -> None:
    weights, x = np.abs(facts.weights), facts.x_bits
    # Additions that products take: digits that are not 0, less one.
    digits = np.zeros(weights.shape, int)
    for k in range(int(weights.max(initial=1)).bit_length()):
        digits += weights >> k & 1
    parts.add("products", float(np.maximum(digits - 1, 0).sum()) * (x + 1))
    terms = int((weights > 0).sum())
    bits = min(facts.width, x + max(1, int(weights.max(initial=1)).bit_length()) + 1)
    parts.ff += min(terms, 2 * len(np.unique(facts.weights)) * facts.mw) * bits
    parts.add("sums", terms * (bits + 1))
    count, level = facts.mw, 0
    while count > 1:
        count, bits = (count + 3) // 4, min(facts.width, bits + 2)
        parts.ff += facts.mh * count * bits
        level += 1
