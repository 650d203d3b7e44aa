"""Memories: block RAMs, LUTRAM and LUT-ROMs, and which of them Yosys makes of a memory.

Yosys chooses by cost among the forms that a RAM can take (passes/memory/memory_libmap.cc,
``MemMapping::handle_geom``, and share/xilinx/*.txt, share/lattice/*.txt for what a RAM costs). A
memory deeper than a form is several of its chunks, whose bits stand side by side::

    chunks = ceil(depth / form depth),    rams = ceil(chunks * width / form width)
    cost   = price * rams + (chunks - 1) * width / 2 + (chunks / 2 if it is written, chunks > 1)
"""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil

from quinnoa.rtl.families import FAMILIES

from .arithmetic import has_lut4

__all__ = ["Memory", "block", "distributed", "distinct", "rom_luts"]

# Depth and width of the forms, price, and halves of 36 kbit: of what `brams_xc4v.txt` calls SDP
# (HALF, FULL), and of Lattice's DP16KD and PDPW16KD (`brams_16kd.txt`).
_HALF = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))
_FULL = ((32768, 1), (16384, 2), (8192, 4), (4096, 9), (2048, 18), (1024, 36), (512, 72))
_BLOCKS = {
    "xc7": ((_HALF, 129, 1), (_FULL, 257, 2)),
    "xcup": ((_HALF, 129, 1), (_FULL, 257, 2)),
    "ecp5": ((_HALF, 128, 1),),
}


@dataclass(frozen=True)
class Memory:
    """What a memory becomes: RAMs in LUTs (sites), 18 kbit halves, and what chooses the chunk."""

    sites: int = 0
    halves: int = 0
    chunks: int = 1


@lru_cache(maxsize=1 << 16)
def block(depth: int, width: int, family: str, *, written: bool) -> Memory:
    """Return the block RAMs of a memory, read by one port and written by another, or by none."""
    best: tuple[float, Memory] | None = None
    for forms, price, halves in _BLOCKS["xc7" if family == "generic" else family]:
        for rows, bits in forms:
            chunks = ceil(depth / rows)
            # A byte of 9 bits has a write enable.
            byte = min(9, bits) if written else 1
            rams = ceil(chunks * ceil(width / byte) * byte / bits)
            cost = price * rams + (chunks - 1) * width / 2
            if written and chunks > 1:
                cost += chunks / 2
            if best is None or cost < best[0]:
                best = cost, Memory(halves=rams * halves, chunks=chunks)
    assert best is not None
    return best[1]


# LUT sites, depth and width of what LUTRAM comes in, price, and how much of that goes by the bits
# used: RAM32X1D to RAM128X1D, RAM32M and RAM64M (`lutrams_xc5v.txt`); RAM32M16, RAM64M8 and their
# dual-port forms (`lutrams_xcu.txt`); DPR16X4, four LUTs and two to write (`lutrams_trellis.txt`).
_LUTRAMS = {
    "xc7": ((32, 4, 8, 8, 2), (64, 2, 8, 8, 4), (128, 1, 8, 8, 8),
            (32, 6, 8, 7, 0), (64, 3, 8, 7, 0)),
    "xcup": ((32, 8, 16, 16, 0), (64, 4, 16, 16, 0), (128, 2, 16, 16, 0), (256, 1, 16, 16, 0),
             (32, 14, 16, 16, 0), (64, 7, 16, 16, 0)),
    "ecp5": ((16, 4, 4, 0, 0),),
}


@lru_cache(maxsize=1 << 16)
def distributed(depth: int, width: int, family: str) -> Memory:
    """Return the LUTRAM of a memory, read by one port within the cycle and written by another."""
    best: tuple[float, Memory] | None = None
    for rows, bits, price, scaled, each in _LUTRAMS["xc7" if family == "generic" else family]:
        chunks = ceil(depth / rows)
        rams = chunks * ceil(width / bits)
        cost = ((price - scaled) * rams + scaled * chunks * width / bits
                + (chunks - 1) * width / 2 + (chunks / 2 if chunks > 1 else 0))
        # A site each bit, or a slice for each RAM.
        slice_sites = {"ecp5": 6, "xcup": 8}.get(family, 4)
        sites = each * width * chunks if each else slice_sites * rams
        if best is None or cost < best[0]:
            best = cost, Memory(sites=sites, chunks=chunks)
    assert best is not None
    return best[1]


def rom_luts(depth: int, columns: float, family: str) -> float:
    """Return the LUTs of a ROM of so many columns.

    A LUT6 has 64 words, a LUT4 of ECP5 16; two or four, of LUT4 up to eight, are joined by
    multiplexers that are no LUTs.
    """
    if depth <= 1:
        return 0
    words = ceil(depth / FAMILIES[family].rom_rows)
    if has_lut4(family):
        if depth <= 64:
            return columns * words
        # Measured: what joins the words, more of it if they are no power of two; and what all
        # columns have in common.
        each = words * (1.24 if words & (words - 1) == 0 else 1.37) - 1.3
        return columns * each + 0.35 * words
    if depth <= 64:
        return columns * words
    if depth <= 256:
        return columns * (1 << (words - 1).bit_length())
    return columns * 1.3 * depth / 64


def distinct(depth: int, columns: float) -> float:
    """Return how many of random columns of a ROM differ, and are not all 0 or 1.

    With D = 2**depth - 2 columns possible: D * (1 - (1 - 1/D)**columns).
    """
    if depth <= 1:
        return 0
    if depth > 40:
        return columns
    possible = 2.0 ** depth - 2
    varied = columns * possible / 2.0 ** depth
    return possible * (1 - (1 - 1 / possible) ** varied) if possible > 1 else min(varied, 1)
