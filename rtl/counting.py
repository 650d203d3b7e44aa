"""Counting: how many of some bits are high, level by level, with a register between two levels."""

from .control import delay

__all__ = ["count_latency", "counted"]


def count_latency(bits):
    """Return the cycles that ``counted`` takes for so many bits."""
    return len(_levels(bits)) - 1


def counted(m, bits):
    """Return how many of the ``bits``, at least one, are high, ``count_latency`` cycles later."""
    terms, last = bits, count_latency(len(bits))
    for level, size in enumerate(_levels(len(bits))):
        groups = [terms[k:k + size] for k in range(0, len(terms), size)]
        terms = [delay(m, sum(group[1:], group[0]), level < last) for group in groups]
    total, = terms
    return total


def _levels(bits):
    """Return how many terms are added at once, level by level.

    Six bits are a LUT6 for each bit of their count, three counts a carry chain.
    """
    levels = [6]
    terms = -(-bits // 6)
    while terms > 1:
        levels.append(3)
        terms = -(-terms // 3)
    return levels
