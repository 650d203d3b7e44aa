"""Cost of memories that are written at run time, and of their addresses, as `rtl/writes.py` has."""

from collections.abc import Iterable, Mapping
from typing import Any

from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.weights import block_is_cheaper
from quinnoa.rtl.writes import LEAF, PART, spread

from .amounts import Parts
from .control import bits_of, ram

__all__ = ["connected", "relayed", "sizes", "written", "written_style"]


def written_style(depth: int, width: int, memory: str, family: str) -> str:
    """Return the style of a ``WritableMemory``."""
    if depth == 1:
        return "registers"
    if memory == "auto" and block_is_cheaper(depth, width, written=True, family=FAMILIES[family]):
        return "block"
    return "block" if memory == "block" else "lutram"


def _widths(width: int) -> list[int]:
    """Return the bits of the parts of a word."""
    return [min(PART, width - low) for low in range(0, width, PART)]


def written(parts: Parts, depth: int, width: int, style: str, family: str) -> int:
    """Add a ``WritableMemory``; return its latency."""
    if style == "registers":
        parts.ff += width
        return 0
    for bits in _widths(width):
        ram(parts, depth, bits, family, deep=style == "block")
    if style == "lutram":
        return 1
    # Block RAM passes a register, too.
    parts.ff += width
    return 2


def sizes(memories: Mapping[str, Any]) -> list[tuple[int, int]]:
    """Return words and bits of ``WritableMemory``s."""
    return [(memory.depth, memory.width) for memory in memories.values()]


def connected(parts: Parts, sizes: Iterable[tuple[int, int]]) -> None:
    """Add what ``Contents.connect`` lays for memories of so many words of so many bits."""
    laid = [(depth, bits) for depth, width in sizes for bits in _widths(width)]
    starts, words = spread([depth for depth, _ in laid])
    address = max(bits_of(words), 1)
    order = sorted(range(len(laid)), key=starts.__getitem__)
    for first in range(0, len(order), LEAF):
        leaf = [laid[k] for k in order[first:first + LEAF]]
        parts.ff += bits_of(max(depth for depth, _ in leaf)) + max(bits for _, bits in leaf)
    # Four bits of an address and what is above them are a LUT; ranges share them.
    gates = {(start >> bits, bits) for start, (depth, _) in zip(starts, laid, strict=True)
             for bits in range(bits_of(depth), address, 4)}
    parts.add("decode", len(gates), len(laid))


def relayed(words: int, units: int) -> Parts:
    """Return what passes writes on from unit to unit: ``relay``."""
    parts, bits = Parts(), max(bits_of(words), 1)
    parts.add("decode", units * -(-bits // 4), units * (1 + bits + PART))
    return parts
