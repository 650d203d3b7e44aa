"""Cost of the units that pass elements on: width converters, FIFOs, forks, joins, pools."""

from math import ceil
from typing import Any

import numpy as np

from quinnoa.rtl.weights import block_is_cheaper

from .amounts import Parts
from .arithmetic import added, greater, has_lut4
from .control import bits_of, counter, flag_ff, outlet, ram, store
from .facts import bits_of_shape

__all__ = ["concat", "fifo", "fork", "pool", "slice_", "upsample", "width"]


def fifo(depth: int, width: int, style: str, family: str) -> Parts:
    """Return the parts of a ``FIFO``."""
    parts = Parts()
    parts.take(store(depth, width, style, family))
    parts.add("control", 2)
    return parts


def fork(ways: int, width: int, family: str) -> Parts:
    """Return the parts of a ``ForkUnit``."""
    parts = Parts()
    for _ in range(ways):
        outlet(parts, width, 0, family)
    parts.add("control", (10 if has_lut4(family) else 4) * ways)
    # All keep the same beat to spare.
    parts.ff -= (ways - 1) * width
    return parts


def width(unit: Any, family: str) -> Parts:
    """Return the parts of a ``WidthConverter``."""
    parts = Parts()
    bits = bits_of_shape(unit.shape)
    loop, times, rest = unit._loop()
    steps = [*loop, *rest]
    kinds = list(dict.fromkeys(steps))
    interval = _interval([step.gives for step in unit._steps])
    outlet(parts, unit.o_lanes * bits, 2, family, interval)

    # Which step is next, and what it does; each kind of step may be but one step.
    state, kind = bits_of(len(steps)), bits_of(len(kinds))
    one_in = all(step.offset is not None for step in steps)
    one_out = all(step.gives for step in steps)
    parts.add("control", 6, 3 + (not one_in) + (not one_out))
    own = len(kinds) == len(steps)
    parts.add("steps", (len(steps) > 1) * (state + kind + 2 + len(steps) / 8),
              state + kind * (1 if own else 2))
    if rest:
        counter(parts, times, family)
    # What came in, and of every cell what it takes in one step or another, and when it does.
    parts.ff += unit.i_lanes * bits
    size = max(unit.o_lanes, *((step.offset or 0) + unit.i_lanes for step in kinds))
    moves = _moves(unit, kinds, size)
    ordered = np.sort(moves, axis=0)
    ways = 1 + (ordered[1:] != ordered[:-1]).sum(axis=0) - (ordered[0] == _STAY)
    # A LUT6 has elements to choose from and the kind of the step; MUXF7 join two. Of LUT4, up to
    # six inputs are two or three, and each further one is more.
    inputs = ways[ways > 1] + kind
    if has_lut4(family):
        cells = np.where(inputs > 4, np.where(inputs == 5, 2, 1.4 * inputs - 5), 1)
    else:
        cells = -(-(inputs - 1) // 5)
    parts.add("cells", bits * float(cells.sum()), bits * size)
    enables = set(map(bytes, np.packbits(moves == _STAY, axis=0).T))
    each = max(1, ceil((kind - 1) / 3)) if has_lut4(family) else 1
    parts.add("enables", len(enables) * each + kind)
    return parts


# What a cell takes besides an element of the beat, by its number; the least is to stay.
_STAY, _ZERO, _NEXT = -3, -2, -1


def _moves(unit: Any, kinds: list[Any], size: int) -> np.ndarray:
    """Return what each cell takes in each kind of step: (kinds, size)."""
    moves = np.full((len(kinds), size), _STAY)
    for row, step in zip(moves, kinds, strict=True):
        if step.shift:
            row[:max(size - unit.o_lanes, 0)] = _NEXT
        if step.offset is not None:
            row[step.offset:step.offset + unit.i_lanes] = np.arange(unit.i_lanes)
        row[step.end:unit.o_lanes] = _ZERO
    return moves


def _interval(gives: list[bool]) -> int:
    """Return the cycles from one beat given to the next at the fastest."""
    at = np.flatnonzero(gives)
    return int(np.diff(at, append=at[0] + len(gives)).min())


def concat(unit: Any, family: str) -> Parts:
    """Return the parts of a ``ConcatUnit``."""
    parts = Parts()
    inputs, beat = len(unit.channels), unit.lanes * bits_of_shape(unit.shape)
    outlet(parts, beat, 0, family)
    beats = sum(unit.channels) // unit.lanes
    parts.ff += inputs
    bits, power = bits_of(beats), not beats & (beats - 1)
    # The flag of its end is not looked at where the count is a power of two.
    parts.ff += bits + (not power)
    if has_lut4(family):
        # One of an odd number takes another LUT4 in the store. The count is in LUTs up to four bits
        # and on carries above; an end of more, where there is no flag, takes LUTs behind LUTs.
        parts.add("select", beat * (0.6 * inputs if inputs > 3 else (1, 1, 1, 3)[inputs]))
        parts.add("control", 14 + 4 * inputs)
        parts.add("ends", 6 * inputs * (power and bits > 4))
        return parts
    parts.add("control", 4 + inputs * 2 + bits + ceil(bits / 6) * inputs)
    parts.add("select", beat * (inputs // 2 + (inputs == 3)))
    # Ends that are not all at the same few bits of the count are told apart by all of them.
    length = unit.channels[0] // unit.lanes
    if bits > 4 and (length & (length - 1) or len(set(unit.channels)) > 1):
        parts.add("ends", 2 * inputs)
    return parts


def slice_(unit: Any, family: str) -> Parts:
    """Return the parts of a ``SliceUnit``."""
    parts = Parts()
    alone = unit.stop - unit.start == unit.lanes
    outlet(parts, unit.lanes * bits_of_shape(unit.shape), 0, family, unit.beats if alone else 1)
    parts.add("control", 3)
    if unit.stop - unit.start < unit.channels:
        bits = bits_of(unit.beats)
        parts.add("control", 2 + bits + 2 * ceil(bits / 6),
                  bits + 1 + bool(unit.beats & (unit.beats - 1)))
        if has_lut4(family):
            odd = bool(unit.beats & (unit.beats - 1))
            parts.add("ends", 4 + 2 * bits + 8 * (unit.start > 0) + 4 * odd)
    return parts


def upsample(unit: Any, family: str) -> Parts:
    """Return the parts of an ``UpsampleUnit``."""
    parts = Parts()
    beat, (rows, columns) = unit.lanes * bits_of_shape(unit.shape), unit.factor
    outlet(parts, beat, unit._pipeline, family)
    parts.add("control", 6, unit._pipeline)
    # Where no row comes again nobody asks for its end.
    for length in (unit.cf, columns, unit.width if rows > 1 else 1, rows):
        counter(parts, length, family)
    parts.ff += flag_ff(columns) + flag_ff(rows)
    if unit.kept == 1:
        parts.ff += beat
        return parts
    address = bits_of(unit.kept)
    parts.ff += address
    if rows > 1 and unit.cf & (unit.cf - 1):
        parts.add("control", 2 * address, address)
    ram(parts, unit.kept, beat, family, deep=block_is_cheaper(unit.kept, beat, written=True))
    return parts


def pool(unit: Any, family: str) -> Parts:
    """Return the parts of a ``ReduceUnit``."""
    parts = Parts()
    i_bits, o_bits = bits_of_shape(unit.shape), bits_of_shape(unit.o_shape)
    i_beat, o_beat = unit.lanes * i_bits, unit.lanes * o_bits
    outlet(parts, o_beat, 2, family, unit.vectors if unit.cf == 1 else 1)
    parts.add("control", 3, 3)
    counter(parts, unit.cf, family)
    counter(parts, unit.vectors, family)
    parts.ff += flag_ff(unit.vectors) * 2 + i_beat + o_beat
    if unit.cf == 2:
        parts.ff += o_beat
    elif unit.cf > 2:
        parts.ff += 2 * bits_of(unit.cf) + 1
        ram(parts, unit.cf, o_beat, family, deep=block_is_cheaper(unit.cf, o_beat, written=True))
    # The sum: a LUT a bit. The greater one: one for some two bits compared, and one a bit to
    # choose, unless what is kept stays where it is. A LUT4 has no room for the first one, too.
    if has_lut4(family):
        parts.add(*("sum", unit.lanes * (o_bits + added(o_bits, family))) if unit.op == "sum" else
                  ("greater", unit.lanes * (greater(i_bits, family, alone=unit.cf == 1))))
    elif unit.op == "sum":
        parts.add("sum", o_beat)
    else:
        parts.add("greater", unit.lanes * (0.55 * i_bits if i_bits > 2 else unit.cf == 1))
        parts.add("choose", o_beat * (unit.cf > 1))
    return parts
