"""Cost of sums, of top-K and of depthwise products, as their generators lay them."""

from math import ceil
from typing import Any

import numpy as np

from quinnoa.rtl.families import FAMILIES

from .amounts import Parts
from .arithmetic import added, has_lut4, ordered
from .banks import bank
from .control import bits_of, chain, counter, flag_ff, outlet, ram
from .dots import accumulator_sites, tree
from .facts import bits_of_shape, columns_of
from .matrix import rom
from .memories import distinct
from .plain import plain
from .written import connected, sizes, written

__all__ = ["add", "topk", "vvtu"]


def add(unit: Any, family: str) -> Parts:
    """Return the parts of an ``AddUnit``."""
    parts = Parts()
    o_bits = bits_of_shape(unit.o.payload.shape().elem_shape)
    outlet(parts, unit.lanes * o_bits, unit._pipeline, family)
    parts.add("control", 3 + 2 * len(unit.shapes), unit._pipeline)
    # The tree of terms, added two by two: (low, high, bits at the bottom that are always 0).
    level = [(*term.range, term.shift) for term in unit._terms]
    if unit._offset:
        level.append((unit._offset, unit._offset, 0))
    for depth in range(unit._levels):
        following = []
        ends = depth == unit._levels - 1 and unit.thresholds is not None
        for k in range(0, len(level), 2):
            pair = level[k:k + 2]
            low, high = sum(each[0] for each in pair), sum(each[1] for each in pair)
            zeros = [each[2] for each in pair]
            bits = max((-low - 1).bit_length() if low < 0 else 0, high.bit_length()) + (low < 0)
            if len(pair) > 1:
                # Below the first bit of both there is nothing to add, nor above the last one of
                # what has no sign.
                tops = [each[1].bit_length() if each[0] >= 0 else bits for each in pair]
                places = max(min(tops) - max(zeros), 0)
                if has_lut4(family) and places:
                    # On its way up a carry takes places of a CCU2C as well. A few bits share LUTs
                    # with those that follow.
                    above = bits - max(zeros)
                    places = min(added(above, family, whole=True), above + 1 + above % 2)
                parts.add("sum", unit.lanes * places)
            parts.ff += unit.lanes * (bits - min(zeros)) * (not ends)
            following.append((low, high, min(zeros)))
        level = following
    if unit.thresholds is not None:
        made = unit._bank
        bank(parts, made, 1, family, before=1)
        if unit.writable:
            connected(parts, sizes(made.memories))
        if made.by_group:
            counter(parts, made.groups, family)
            chain(parts, bits_of(made.groups), family, unit._levels)
    return parts


def topk(unit: Any, family: str) -> Parts:
    """Return the parts of a ``TopKUnit``."""
    parts = Parts()
    bits, index = bits_of_shape(unit.shape), unit._index_shape.width
    lanes, key = min(unit.lanes, unit.elements), bits + index
    outlet(parts, index * unit.k, unit._pipeline, family, unit.beats)
    parts.add("control", 6, 2 + (unit.beats > 1) * (index + 1) + 1 + unit._pipeline)
    if unit.beats > 1:
        parts.add("control", index + ceil(index / 6))
        parts.add("index", lanes * index)
    parts.ff += unit.lanes * bits + index * (unit.beats > 1)
    # Indices compare and are kept inverted.
    parts.add("inverse", index * (unit.k + (lanes if unit.beats > 1 else 0)))
    # Every lane compares with what it keeps, and shifts.
    lists = []
    for p in range(lanes):
        count = len(range(p, unit.elements, unit.lanes))
        length = min(unit.k, count)
        compare = ordered(bits, family) if has_lut4(family) else bits / 2
        parts.add("greater", length * (compare + 2) * (unit.beats > 1 or length > 1))
        parts.add("choose", (length - 1) * key * (1 + has_lut4(family)))
        parts.ff += length * key
        # Lanes of as many elements have them at once.
        parts.ff += length * (p == 0 or count != len(range(p - 1, unit.elements, unit.lanes)))
        lists.append(length)
    for depth in unit._merges():
        following = []
        for k in range(0, len(lists), 2):
            pair = lists[k:k + 2]
            total = min(unit.k, sum(pair))
            size = 1 << depth
            compared, chosen = _merged(*pair, *[0] * (2 - len(pair)), depth=depth, most=unit.k)
            compare = ordered(key, family) if has_lut4(family) else key / 2
            parts.add("merge", compared * (compare + 1))
            # Of what leaves only the indices are wanted.
            ends = len(lists) <= 2
            parts.add("choose", chosen * key - ends * total * bits)
            # After each stage those that the greatest ones may be among.
            blocks = [1 << level for level in range(depth + 1)]
            parts.ff += key * sum(min(size, sum(pair), -(-total // b) * b) for b in blocks)
            following.append(total)
        lists = following
        if len(lists) == 1:
            # Of what leaves only the indices are wanted.
            parts.ff -= bits * lists[0]
    return parts


def _merged(left: int, right: int, *, depth: int, most: int) -> tuple[int, int]:
    """Return how many pairs of keys a merge of two lists compares, and how many keys it chooses."""
    # Which keys there are before each stage, as `TopKUnit._merge` pairs them: the greater in front.
    size = 1 << depth
    first = [j < left for j in range(size)], [j >= size - right for j in range(size)]
    there = [a or b for a, b in zip(*first, strict=True)]
    stages = []
    for distance in (size >> level for level in range(1, depth + 1)):
        pairs = [(j, j + distance) for j in range(size) if not j & distance]
        stages.append((pairs, list(there)))
        for a, b in pairs:
            there[a], there[b] = there[a] or there[b], there[a] and there[b]
    # And which of them the greatest may be among: from the last stage back.
    wanted = {j for j in range(min(most, size)) if there[j]}
    compared = chosen = 0
    for pairs, before in reversed(stages):
        for a, b in pairs:
            some = wanted & {a, b}
            if some and before[a] and before[b]:
                compared, chosen = compared + 1, chosen + len(some)
            if some:
                wanted |= {j for j in (a, b) if before[j]}
                wanted -= {j for j in (a, b) if not before[j]}
    both = sum(first[0][j] and first[1][j] for j in wanted)
    return compared + both, chosen + both


def vvtu(unit: Any, family: str) -> Parts:
    """Return the parts of a ``VVTU``."""
    parts = Parts()
    lanes, groups, k, width = unit.lanes, unit.groups, unit.k, unit.acc_width
    x_bits, w_bits, y_bits = map(bits_of_shape, (unit.x_shape, unit.w_shape, unit.y_shape))
    outlet(parts, lanes * y_bits, unit._beat_at, family, k if groups == 1 else 1)
    _vvtu_memories(parts, unit, family)

    # Control.
    parts.add("control", 4)
    counter(parts, groups, family, addresses=True)
    counter(parts, k, family, addresses=True)
    parts.ff += flag_ff(k)
    address = bits_of(k)
    if groups & (groups - 1) and k > 1:
        address = counter(parts, k * groups, family, addresses=True)
    chain(parts, address, family, unit._operands_at - unit._weights.latency)
    parts.ff += unit._beat_at + lanes // unit.multiplier * x_bits * unit._operands_at

    # Products and sums.
    if not FAMILIES[family].lut6:
        plain(parts, lanes, 1, unit.x_shape, unit.w_shape, width, family)
        # Of a few bits, and fewer of a product, the sum is in LUTs alone.
        few = width * (x_bits * w_bits if 1 in (x_bits, w_bits) else x_bits + w_bits)
        parts.exact += lanes * (width + min(added(width, family), few))
        parts.ff += lanes * width * (not unit._keeps)
    elif unit._keeps:
        dot = tree(1, unit.x_shape, unit.w_shape, width, 1)
        parts.exact += lanes * (dot.sites + dot.srl + dot.shared_srl / unit.multiplier)
        parts.ff += lanes * (dot.ff + dot.shared_ff / unit.multiplier)
        parts.add("sum", lanes * width)
    else:
        dot = tree(1, unit.x_shape, unit.w_shape, width, 2)
        parts.exact += lanes * (dot.sites + accumulator_sites(dot.heights, width) + dot.srl
                                + dot.shared_srl / unit.multiplier)
        parts.ff += lanes * (dot.ff + dot.shared_ff / unit.multiplier + width)
        parts.add("pe", lanes * (k > 1))
        parts.ff += (unit._operands_at + dot.latency) * (1 + (k > 1))
    # The group, when it is asked for; what is first, when its sum is.
    at = {unit._operands_at - unit._weights.latency, unit._product_at - unit._start.latency}
    if unit.thresholds is not None and unit._bank.by_group:
        at.add(unit._sum_at)
    if unit._rest is not None:
        at.add(unit._sum_at - unit._rest.latency)
    if unit._keeps:
        at |= {unit._product_at - unit._ahead, unit._product_at + unit._deep}
        chain(parts, 1, family, unit._product_at)
        ram(parts, groups, lanes * width, family, deep=unit._deep)
    chain(parts, bits_of(groups), family, *at)
    # The register of the sums: kept for what is written, or in front of the thresholds.
    ahead = unit._keeps and not unit._deep
    if unit._keeps and (unit._deep or unit.thresholds is None):
        parts.ff += lanes * width
    # Block RAM passes another.
    parts.ff += lanes * width * (unit._keeps and unit._deep)
    if unit.thresholds is not None:
        bank(parts, unit._bank, 1, family, before=int(ahead))
    return parts


def _vvtu_memories(parts: Parts, unit: Any, family: str) -> None:
    """Add the weights, and what is added to the sums."""
    lanes, groups, k, width = unit.lanes, unit.groups, unit.k, unit.acc_width
    if unit.writable:
        for memory in (unit._weights, unit._start, unit._rest):
            if memory is not None:
                written(parts, memory.depth, memory.width, memory.style, family)
        connected(parts, sizes(unit._contents.memories))
        return
    word = lanes * bits_of_shape(unit.w_shape)
    rom(parts, "weights", k * groups, word, distinct(k * groups, word), unit._weights.latency,
        family)
    start = unit._start
    if start.style != "constant":
        values = _values(start.words, lanes, width)
        rom(parts, "constants", groups, *columns_of(values, width, lanes)[1:], start.latency,
            family)
    if unit._rest is not None and unit._rest.style != "constant":
        values = _values(unit._rest.words, lanes, 1)
        rom(parts, "constants", groups, *columns_of(values, 1, lanes)[1:], unit._rest.latency,
            family)


def _values(words: list[int], lanes: int, width: int) -> Any:
    """Return the words of a memory as rows of lanes."""
    mask = (1 << width) - 1
    return np.array([[word >> p * width & mask] for word in words for p in range(lanes)], np.int64)
