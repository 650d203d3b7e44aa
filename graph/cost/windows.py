"""Cost of sliding-window units, as `rtl/swu.py`, `rtl/wide_swu.py` and `rtl/ring.py` lay them."""

from math import ceil
from typing import Any

import numpy as np

from .amounts import Parts
from .control import bits_of, chunked, counter, flag_ff, outlet
from .facts import bits_of_shape
from .memories import block, distributed

__all__ = ["swu", "wide_swu"]


def swu(unit: Any, family: str) -> Parts:
    """Return the parts of a ``SWU``."""
    parts, windows = Parts(), unit.windows
    beat = unit.lanes * bits_of_shape(unit.shape)
    outlet(parts, beat, unit._read_at, family)
    (oh, ow), (kh, kw) = windows.shape, windows.kernel
    _places(parts, unit, (unit.cf, kw, kh, ow, oh))
    address = bits_of(unit.depth)
    parts.add("write", address, address)
    # The step of the read address is one of as many as there are counts with more than one value.
    moves = 1 + sum(n > 1 for n in (unit.cf, kw, kh, ow, oh))
    parts.add("walk", address * moves / 2, address)
    _memory(parts, unit.depth, beat, unit.memory, family)
    parts.ff += unit._read_at + beat * (unit.memory != "lutram")
    if unit._pad_bits or any(windows.pads):
        parts.add("pads", beat / 2)
    edges = 0
    for axis, length in ((1, kw), (0, kh)):
        outside = windows.outside(axis)
        if outside.any():
            edges += 1
            parts.add("edges", length + _changes(outside), length)
    parts.ff += (unit._read_at - 1) * bool(edges)
    return parts


def wide_swu(unit: Any, family: str) -> Parts:
    """Return the parts of a ``WideSWU``."""
    parts, windows = Parts(), unit.windows
    bits = unit.channels * bits_of_shape(unit.shape)
    (oh, ow), (kh, kw) = windows.shape, windows.kernel
    word, o_beat = kw * bits, unit.lanes * bits_of_shape(unit.shape)
    outlet(parts, o_beat, 2, family)
    _places(parts, unit, (unit.ring.steps, ow, oh))
    address, phase = bits_of(unit.depth), bits_of(unit.banks)
    # Written: the pixels before this one, and where.
    parts.ff += bits * (kw - 1) * windows.dilation[1]
    parts.add("write", address, address)
    if unit.banks > 1:
        counter(parts, windows.width)
        counter(parts, unit.banks)
        parts.add("phase", 2 * phase, 2 * phase)
        parts.add("write", unit.banks)
    for _ in range(unit.banks):
        _memory(parts, unit.depth, word, unit.memory, family)
        parts.ff += word * (unit.memory == "lutram") - word * (unit.memory == "lutram")
    # Read: where each bank is, and which bank is which row.
    rows_apart = {(f + i * windows.dilation[0]) // unit.banks
                  for f in range(unit.banks) for i in range(unit.rows)}
    parts.add("walk", address * (2 + len(rows_apart)), address * len(rows_apart))
    parts.add("choose_address", unit.banks * address * (len(rows_apart) > 1))
    parts.add("choose", o_beat * ceil((unit.banks - 1) / 2))
    # Past the edges.
    skip = int(unit._skip.max())
    if any(windows.pads):
        parts.add("pads", o_beat * (1 + skip) / 2)
        parts.ff += (unit.rows if windows.outside(0).any() else 0) + kw
        for axis, length in ((1, kw), (0, kh)):
            outside = windows.outside(axis)
            if outside.any():
                parts.add("edges", length + _changes(outside), length)
    parts.ff += 2 + o_beat
    return parts


def _memory(parts: Parts, depth: int, width: int, memory: str, family: str) -> None:
    """Add a ring's memory, its register if it is LUTRAM."""
    if memory == "ultra":
        parts.uram += ceil(width / 72) * ceil(depth / 4096)
        return
    if memory == "block":
        made = block(depth, width, family, written=True)
        parts.halves += made.halves
        parts.ff += bits_of(made.chunks)
    else:
        made = distributed(depth, width, family)
        parts.exact += made.sites
        parts.ff += width
    chunked(parts, made.chunks, width, depth)


def _places(parts: Parts, unit: Any, lengths: tuple[int, ...]) -> None:
    """Add the counts of a walk, and the balances of the ring."""
    for length in lengths:
        counter(parts, length)
    ring = unit.ring
    parts.add("control", 4)
    parts.ff += flag_ff(ring.steps)
    needed, dropped = ring.needed, ring.dropped
    held = getattr(unit, "_held", unit.depth)
    after_needed, after_dropped = (np.append(each[1:], each[0] + ring.beats_in)
                                   for each in (needed, dropped))
    most = max(int((after_dropped - needed).max()), int(dropped[0]))
    least = -int(max((after_needed - needed).max(), needed[0]))
    space = max(bits_of(held + most), 1) + 1
    ahead = max((-least - 1).bit_length(), (held + int((dropped - needed).max())).bit_length()) + 1
    parts.add("balance", space + ahead, space + ahead)
    for amounts, rest in ((after_dropped - dropped - 1, -1), (needed - after_needed, 0)):
        _change(parts, ring, amounts, rest)


def _change(parts: Parts, ring: Any, amounts: Any, rest: int) -> None:
    """Add what chooses the change of a balance at the end of a window."""
    by_window = amounts.reshape(ring.shape)
    moves = (by_window[:, :-1] != rest).any(axis=1)
    within = np.append(by_window[np.argmax(moves), :-1], rest)
    bits = 0
    for values in (moves, within, by_window[:, -1]):
        different = np.unique(values)
        if len(different) > 1:
            kept = bits_of(len(different))
            parts.add("lookup", kept + _changes(values[:, None]), kept)
            spread = int(np.bitwise_or.reduce(different ^ different[0])).bit_length() \
                if different.min() >= 0 else int(max(abs(different))).bit_length() + 1
            bits = max(bits, spread)
    parts.add("amount", bits * 1.0)


def _changes(values: Any) -> int:
    """Return at how many counts the next value is another one, as bits of a comparison each."""
    values = np.asarray(values, np.int64)
    return int(np.any(values[1:] != values[:-1], axis=1).sum())
