"""Dot products in plain logic, as `rtl/plain.py` lays them: full adders, or additions in a tree.

Trees kept apart are what synthesis makes of them, to the LUT.
"""

from math import ceil
from typing import Any

from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.plain import plain_latency
from quinnoa.rtl.shapes import is_bipolar

from .amounts import Parts
from .arithmetic import added, has_lut4
from .facts import bits_of_shape

__all__ = ["plain"]


def plain(parts: Parts, rows: int, simd: int, x_shape: Any, w_shape: Any, width: int,
          family: str) -> int:
    """Add the dot products of ``rows`` rows over the same x; return their latency."""
    if is_bipolar(x_shape) and is_bipolar(w_shape):
        _popcount(parts, rows, simd, width, family)
    else:
        _sum(parts, rows, simd, x_shape, w_shape, width, family)
    return plain_latency(simd, x_shape, w_shape)


def _popcount(parts: Parts, rows: int, simd: int, width: int, family: str) -> None:
    """Add XNORs, levels of full adders until no weight has more than three bits, and two sums."""
    parts.add("xnor", rows * simd)
    heights, level = [simd], 0
    while max(heights) > 3:
        adders = sum(n // 3 for n in heights[:width])
        parts.add("adders", rows * adders * 2)
        heights = [a - 2 * (a // 3) + b // 3
                   for a, b in zip([*heights, 0], [0, *heights], strict=True)]
        if not heights[-1]:
            heights.pop()
        if level % 2:
            parts.ff += rows * sum(heights[:width])
        level += 1
    bits = min(width, sum(n << k for k, n in enumerate(heights)).bit_length())
    most = max(heights)
    sums = added(bits, family, whole=True) * (most - 1)
    if has_lut4(family) and bits <= 4:
        # Of three numbers one in LUTs; up to two bits with their XNORs.
        sums = max(most - 2, 0) if bits <= 2 else added(bits, family, whole=True) + 3 * (most - 2)
    parts.add("sums", rows * sums, rows * bits)


def _sum(parts: Parts, rows: int, simd: int, x_shape: Any, w_shape: Any, width: int,
         family: str) -> None:
    """Add products, and their sums two by two, with a register after every second level."""
    x_bits, w_bits = bits_of_shape(x_shape), bits_of_shape(w_shape)
    one_bit = is_bipolar(x_shape) or is_bipolar(w_shape)
    bits = min(width, x_bits * w_bits if one_bit else x_bits + w_bits)

    def add(part: str, luts: float) -> None:
        if FAMILIES[family].apart:
            parts.exact += luts
        else:
            parts.add(part, luts)

    if one_bit:
        add("xnor", rows * simd * bits)
    else:
        few, many = sorted((x_bits, w_bits))
        if few > max(FAMILIES[family].narrow, 1):
            parts.dsp += rows * simd
        else:
            # A gate for every two bits; adders of a place more, two places a CCU2C.
            adders = 0 if many == 2 else (few - 1) * 2 * ceil((many + 2) / 2)
            add("products", rows * simd * (few * many + adders))
    parts.ff += rows * simd * bits
    terms, level = simd, 0
    while terms > 1:
        for _ in range(2):
            pairs = terms // 2
            if pairs:
                bits = min(width, bits + 1)
                add("sums", rows * pairs * added(bits, family, whole=True))
            terms -= pairs
        parts.ff += rows * terms * bits
        level += 1
