"""Control: counters, delays, credits and stores, as `rtl/control.py` and `rtl/fifo.py` lay them."""

from functools import lru_cache
from math import ceil

from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.fifo import cheapest_style

from .amounts import Parts
from .arithmetic import chosen, has_lut4
from .memories import block, distributed

__all__ = ["bits_of", "block_rom", "chain", "counter", "flag_ff", "outlet", "ram", "room_of",
           "store"]

# Counts of these bits are shift registers with feedback (`rtl.fifo`).
_SHIFTED = (2, 3, 4, 5, 6)


def bits_of(length: int) -> int:
    """Return the bits of a count from 0 to ``length - 1``."""
    return (length - 1).bit_length()


def counter(parts: Parts, length: int, family: str, *, addresses: bool = False) -> int:
    """Add a count and the flag of its end; return the bits of the count.

    A power of two needs no way back to 0: a CARRY4 has but an inverter in front. What ``addresses``
    a ROM has no carry chain.
    """
    bits = bits_of(length)
    if length > 1:
        # Of a count of two the flag is the count itself.
        power = not addresses and not length & (length - 1)
        carried = 1 if power and FAMILIES[family].lut6 else bits
        parts.add("powers" if power else "control", carried + ceil(bits / 6) * (length > 2),
                  bits + (length > 2))
    return bits


def flag_ff(length: int) -> int:
    """Return the flip-flops of the flag of a count's beginning."""
    return int(length > 1)


def room_of(latency: int, interval: int = 1) -> int:
    """Return the room of an ``Outlet``."""
    return 2 if latency + 2 <= 2 * interval else -(-(latency + 3) // interval)


def outlet(parts: Parts, width: int, latency: int, family: str, interval: int = 1) -> None:
    """Add an ``Outlet``: a store and its credits."""
    room = room_of(latency, interval)
    parts.take(store(room, width, cheapest_style(room, width), family))


@lru_cache(maxsize=1 << 14)
def store(depth: int, width: int, style: str, family: str) -> Parts:
    """Return what a store of ``depth`` beats and its credits take."""
    parts = Parts()
    credits = depth.bit_length()
    parts.ff += credits + 1
    if style == "registers":
        # A multiplexer a bit; the credits, which flags are next.
        parts.add("store", width)
        parts.add("flags", 5, 2 * width + 2)
        return parts
    # Whether there is some, whether a beat is offered.
    parts.ff += 2
    if style == "srl":
        rows = 1 << (depth - 2).bit_length()
        parts.exact += width * ceil(rows / 32)
        size = bits_of(rows)
        parts.add("credits", 6 + size + credits, width + size)
        return parts
    size = (depth - 1).bit_length()
    if size in _SHIFTED:
        # Of the row that is read all bits but one are those of the row after it, one further.
        parts.add("credits", 6 + size + credits, 2 * size + 1)
        rows = 1 << size
    else:
        rows, size = depth - 1, bits_of(depth - 1)
        addresses = 8.5 * size if has_lut4(family) else 9 + 4 * size + credits
        parts.add("addresses", addresses, 3 * size + 2)
    ram(parts, rows, width, family, deep=style == "block")
    return parts


def chain(parts: Parts, bits: float, family: str, *taps: int) -> None:
    """Add registers without reset in a row, seen after so many cycles each.

    Of three and more in a row, none of them seen but the last, synthesis makes a shift register in
    LUTs, where a LUT6 can be one.
    """
    before = 0
    for at in sorted({tap for tap in taps if tap > 0}):
        if at - before >= 3 and FAMILIES[family].lut6:
            parts.exact += bits
        else:
            parts.ff += bits * (at - before)
        before = at


def ram(parts: Parts, depth: int, width: int, family: str, *, deep: bool) -> None:
    """Add a memory that is written and read, in block RAM (``deep``) or LUTRAM with a register."""
    if deep:
        memory = block(depth, width, family, written=True)
        parts.halves += memory.halves
        parts.ff += bits_of(memory.chunks)
    else:
        memory = distributed(depth, width, family)
        parts.exact += memory.sites
        parts.ff += width
    _chunked(parts, memory.chunks, width, family)


def block_rom(parts: Parts, depth: int, width: int, family: str) -> None:
    """Add a memory that is but read, in block RAM, with a register behind."""
    memory = block(depth, width, family, written=False)
    parts.halves += memory.halves
    # And what chooses the chunk.
    parts.ff += width + bits_of(memory.chunks)
    _chunked(parts, memory.chunks, width, family, written=False)


def _chunked(parts: Parts, chunks: int, width: int, family: str, written: bool = True) -> None:
    """Add what joins the chunks of a memory: multiplexers behind them, and write enables."""
    if chunks > 1:
        # To tell more than eight chunks apart takes more than a LUT4.
        enables = chunks * (1.5 if chunks > 8 and has_lut4(family) else 1)
        parts.add("join", width * chosen(chunks, family) + written * enables)
