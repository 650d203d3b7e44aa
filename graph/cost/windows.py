# amaranth: UnusedElaboratable=no
"""Cost of sliding-window units, as `rtl/swu.py`, `rtl/wide_swu.py` and `rtl/ring.py` lay them."""

from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np
from amaranth import Shape

from quinnoa.rtl.swu import SWU
from quinnoa.rtl.wide_swu import WideSWU
from quinnoa.rtl.windows import Windows

from .amounts import Parts
from .arithmetic import chosen, has_lut4
from .control import bits_of, counter, flag_ff, outlet, ram
from .facts import bits_of_shape

__all__ = ["swu", "wide_swu", "window_parts"]


@lru_cache(maxsize=1 << 12)
def window_parts(windows: Windows, channels: int, bits: int, lanes: int,
                 family: str, memory: str = "auto") -> tuple[str, Parts]:
    """Return the kind and the parts of the unit of so many ``lanes``, without making it."""
    if lanes <= channels:
        kind = "swu" if windows.taps > 1 else "point"
        return kind, swu(_UnlaidSWU(windows, channels, bits, lanes, memory), family)
    return "wide", wide_swu(_UnlaidWideSWU(windows, channels, bits, lanes, memory), family)


class _Unlaid:
    """A sliding-window unit that is reckoned with, but not made: its ports would take long."""

    _lay: Any

    def __init__(self, windows: Windows, channels: int, bits: int, lanes: int,
                 memory: str) -> None:
        self.shape = Shape(bits)
        self._lay(windows, channels, lanes, memory)


class _UnlaidSWU(_Unlaid, SWU):
    pass


class _UnlaidWideSWU(_Unlaid, WideSWU):
    pass


def swu(unit: Any, family: str) -> Parts:
    """Return the parts of a ``SWU``."""
    parts, windows = Parts(), unit.windows
    beat = unit.lanes * bits_of_shape(unit.shape)
    outlet(parts, beat, unit._read_at, family)
    (oh, ow), (kh, kw) = windows.shape, windows.kernel
    # Strides are multiples of CF: below, there is next to nothing to add.
    zeros = (unit.cf & -unit.cf).bit_length() - 1
    _places(parts, unit, (unit.cf, kw, kh, ow, oh if _frame_ends(unit) else 1), family, zeros)
    address = bits_of(unit.depth)
    parts.add("write", address, address)
    # A bit of the step of the read address depends on five flags: with the address's one LUT6.
    parts.add("walk", address - min(zeros, address), address)
    _memory(parts, unit.depth, beat, unit.memory, family)
    parts.ff += unit._read_at + beat * (unit.memory != "lutram")
    edges = 0
    for axis, length in ((1, kw), (0, kh)):
        outside = windows.outside(axis)
        if outside.any():
            edges += 1
            parts.add("edges", length + _changes(outside), length)
    parts.ff += (unit._read_at - 1) * bool(edges)
    return parts


def _frame_ends(unit: Any) -> bool:
    """Tell whether the last row of windows is followed by another step than the others.

    If not, nobody asks which row it is: `SWU._walk` and `Ring.balances`.
    """
    windows, ring = unit.windows, unit.ring
    rows, per_row = windows.shape[0], windows.stride[0] * windows.width * unit.cf
    after = ring.beats_in - (rows - 1) * per_row
    steady = [np.ptp(np.diff(each.reshape(ring.shape), axis=0)) == 0 if rows > 1 else True
              for each in (ring.needed, ring.dropped)]
    return bool(windows.outside(0).any() or (after - per_row) % unit.depth or not all(steady)
                or after != per_row)


def wide_swu(unit: Any, family: str) -> Parts:
    """Return the parts of a ``WideSWU``."""
    parts, windows = Parts(), unit.windows
    bits = unit.channels * bits_of_shape(unit.shape)
    (oh, ow), (kh, kw) = windows.shape, windows.kernel
    word, o_beat = kw * bits, unit.lanes * bits_of_shape(unit.shape)
    outlet(parts, o_beat, 2, family)
    _places(parts, unit, (unit.ring.steps, ow, oh), family)
    address, phase = bits_of(unit.depth), bits_of(unit.banks)
    # Written: the pixels before this one, and where.
    parts.ff += bits * (kw - 1) * windows.dilation[1]
    parts.add("write", address, address)
    if unit.banks > 1:
        counter(parts, windows.width, family)
        counter(parts, unit.banks, family)
        parts.add("phase", 2 * phase, 2 * phase)
        parts.add("write", unit.banks)
    for _ in range(unit.banks):
        _memory(parts, unit.depth, word, unit.memory, family)
    # Read: where each bank is, and which bank is which row.
    rows_apart = {(f + i * windows.dilation[0]) // unit.banks
                  for f in range(unit.banks) for i in range(unit.rows)}
    parts.add("walk", address * (2 + len(rows_apart)), address * len(rows_apart))
    parts.add("choose_address", unit.banks * address * (len(rows_apart) > 1))
    # One of as many words as there are banks, and of its pixels one of those that pixel ``kx`` may
    # be where the row sticks out. Past the edges the register behind is set or reset.
    skip = int(unit._skip.max())
    for kx in range(kw):
        ways = unit.banks * (1 + min(skip, kw - 1 - kx))
        luts = (chosen(ways, family) if has_lut4(family) else
                ceil((ways - 1) / 2) if ways > 4 else ways > 1)
        parts.add("choose", unit.rows * bits * luts)
    if any(windows.pads):
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
    ram(parts, depth, width, family, deep=memory == "block")


def _places(parts: Parts, unit: Any, lengths: tuple[int, ...], family: str,
            zeros: int = 0) -> None:
    """Add the counts of a walk, and the balances of the ring, of multiples of ``2**zeros``."""
    for length in lengths:
        counter(parts, length, family)
    ring = unit.ring
    # Windows of several steps: with LUT4 their begin and end take LUTs of their own.
    parts.add("control", 4 + 6 * (has_lut4(family) and ring.steps > 1))
    parts.ff += flag_ff(ring.steps)
    needed, dropped = ring.needed, ring.dropped
    held = getattr(unit, "_held", unit.depth)
    after_needed, after_dropped = (np.append(each[1:], each[0] + ring.beats_in)
                                   for each in (needed, dropped))
    most = max(int((after_dropped - needed).max()), int(dropped[0]))
    least = -int(max((after_needed - needed).max(), needed[0]))
    space = max(bits_of(held + most), 1) + 1
    ahead = max((-least - 1).bit_length(), (held + int((dropped - needed).max())).bit_length()) + 1
    parts.add("balance", space + ahead - zeros, space + ahead)
    for amounts, rest in ((after_dropped - dropped - 1, -1), (needed - after_needed, 0)):
        _change(parts, ring, amounts, rest, zeros)


def _change(parts: Parts, ring: Any, amounts: Any, rest: int, zeros: int) -> None:
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
    parts.add("amount", max(bits - zeros, 0))


def _changes(values: Any) -> int:
    """Return at how many counts the next value is another one, as bits of a comparison each."""
    values = np.asarray(values, np.int64)
    return int(np.any(values[1:] != values[:-1], axis=1).sum())
