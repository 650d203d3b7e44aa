"""Cost of threshold banks, as `rtl/bank.py` lays them."""

from functools import lru_cache
from typing import Any

import numpy as np
from amaranth import Shape

from quinnoa.rtl.bank import Comparators
from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.table import Table
from quinnoa.rtl.writable_bank import WritableComparators, WritableSearch

from .amounts import Parts
from .arithmetic import ordered, ordered_fixed
from .control import bits_of, block_rom, chain, counter, outlet
from .facts import bits_of_shape
from .memories import rom_luts
from .written import connected, sizes, written

__all__ = ["bank", "threshold"]


def threshold(unit: Any, family: str) -> Parts:
    """Return the parts of a ``ThresholdUnit``."""
    parts, made = Parts(), unit._bank
    bank(parts, made, 1, family)
    outlet(parts, unit.lanes * bits_of_shape(unit.thresholds.shape), made.latency, family)
    parts.add("control", 4, made.latency)
    if made.by_group:
        counter(parts, made.groups, family, addresses=True)
    if unit.writable:
        connected(parts, sizes(made.memories))
    return parts


def bank(parts: Parts, made: Any, times: float, family: str, *, before: int = 0) -> None:
    """Add a bank so many ``times``, without what tells it the group.

    With the registers that stand ``before`` it, in a row with its own.
    """
    one = Parts()
    if isinstance(made, Comparators):
        _comparators(one, made, family, before)
    elif isinstance(made, WritableComparators | WritableSearch):
        _written(one, made, family, before)
    else:
        _search(one, made, family, before)
    parts.take(one, times)


def _only_signs(a_shape: Shape, values: Any) -> bool:
    """Tell whether a comparison takes no more than the sign."""
    return bool(a_shape.signed and (values == 0).all())


def _table(parts: Parts, table: Table, family: str) -> None:
    """Add the memory of a table."""
    if not table.width:
        return
    if table.style == "block":
        block_rom(parts, table.rows, table.width, family)
        return
    parts.ff += table.width
    for part, sites in _rom_sites(table, family).items():
        parts.add(part, sites)


@lru_cache(maxsize=1 << 12)
def _rom_sites(table: Table, family: str) -> dict[str, float]:
    """Return the LUT sites of a table: of each column those for the address bits it depends on."""
    rows, size = table.rows, -(-table.width // 8)
    words = np.frombuffer(b"".join(word.to_bytes(size, "little") for word in table.words), np.uint8)
    planes = np.unpackbits(words.reshape(rows, size), axis=1, bitorder="little")[:, :table.width]
    depends = np.zeros(table.width, int)
    for bit in range(bits_of(rows)):
        there = np.flatnonzero((np.arange(rows) ^ 1 << bit) < rows)
        depends += (planes[there] != planes[there ^ 1 << bit]).any(axis=0)
    sites: dict[str, float] = {}
    leaf, repeats = FAMILIES[family].rom_rows, np.ones(table.width)
    if rows > leaf and len(set(table.words)) < rows:
        # Of the LUTs of a column those that are alike, but for inversion, are one.
        leaves = np.resize(planes, (-(-rows // leaf), leaf, table.width))
        for column, own in enumerate(np.moveaxis(leaves ^ leaves[:, :1], 2, 0)):
            repeats[column] = min(1, (len(np.unique(own, axis=0)) + 1) / len(leaves))
    for bits in np.unique(depends):
        depth = min(rows, 1 << int(bits))
        columns = float((repeats if depth > leaf else np.ones(table.width))[depends == bits].sum())
        # Columns of a few rows are alike, but for inversion.
        columns = min(columns, (1 << min(depth, 32) - 1) - 1)
        part = "nodes" if depth > 64 else "rom"
        sites[part] = sites.get(part, 0) + rom_luts(depth, columns, family)
    return sites


def _comparators(parts: Parts, made: Any, family: str, before: int) -> None:
    table, a_bits, y_bits = made._table, made._a_shape.width, made._y_shape.width
    _table(parts, table, family)
    for base, crossed in made._parts:
        signs = all(_only_signs(made._a_shape, values) for (values, _, _), _ in crossed)
        chain(parts, 1 if signs else a_bits, family, before + table.latency)
        if (base != base[0]).any():
            parts.ff += int(max(base) ^ min(base)).bit_length()
        for (values, shape, _), fall in crossed:
            told = bits_of(len(np.unique(values)))
            if _only_signs(made._a_shape, values):
                parts.ff += 1
            else:
                zeros = 0 if told else _zeros_below(int(values[0]))
                _compare(parts, shape.width - zeros, told, family)
            if fall.any() and not fall.all():
                parts.add("falls", 1)
        if made._levels:
            _count(parts, len(crossed), y_bits)
        if base.any():
            parts.add("base", y_bits)


def _count(parts: Parts, steps: int, y_bits: int) -> None:
    """Add the count of ``steps`` bits: six at first, then sums of two."""
    counts = [min(6, steps - k).bit_length() for k in range(0, steps, 6)] or [y_bits]
    parts.add("count", sum(counts), sum(min(y_bits, n) for n in counts))
    while len(counts) > 1:
        counts = [max(counts[k:k + 2]) + (len(counts[k:k + 2]) > 1)
                  for k in range(0, len(counts), 2)]
        parts.add("count", sum(counts), sum(min(y_bits, n) for n in counts))


def _written(parts: Parts, made: Any, family: str, before: int) -> None:
    """Add a bank whose thresholds are written."""
    lanes, bits, y_bits = made.lanes, made._a_shape.width, made.bits
    for memory in made.memories.values():
        written(parts, memory.depth, memory.width, memory.style, family)
    group, falls = bits_of(made.groups), made.latency - made.memories["falls"].latency
    # All bits of a level that falls are inverted.
    parts.add("falls", lanes * y_bits)
    if isinstance(made, WritableComparators):
        chain(parts, lanes * bits, family, before + made._wait)
        chain(parts, group, family, made._wait - made.memories["steps"].latency, falls)
        steps = (1 << y_bits) - 1
        for _ in range(lanes):
            for _ in range(steps):
                _compare(parts, bits + 1, bits + 1, family)
            if made._levels:
                _count(parts, steps, y_bits)
        return
    at, compared, asked = before, [], [falls]
    for level in range(y_bits):
        wait = made._wait(level)
        asked.append(at - before)
        at += wait
        compared.append(at)
        at += 1
        parts.ff += lanes * level * (wait + 1)
        for _ in range(lanes):
            _compare(parts, bits + 1, bits + 1, family)
    chain(parts, lanes * bits, family, *compared)
    chain(parts, group, family, *asked)


def _zeros_below(value: int) -> int:
    """Return how many of the lowest bits of a number are 0, which need not be compared."""
    return (value & -value).bit_length() - 1 if value else 0


def _number(place: Any) -> int:
    """Return a bit of a table that is the same in all rows; 0 for one that is not."""
    return 0 if isinstance(place, int) else int(place.value)


def _compare(parts: Parts, bits: int, told: int, family: str) -> None:
    """Add a comparison and its register, of a threshold whose values so many bits tell apart."""
    if told:
        parts.add("compare", ordered(bits, family, told), 1)
    else:
        parts.add("compare_fixed", ordered_fixed(bits, family), 1)


def _search(parts: Parts, made: Any, family: str, before: int) -> None:
    a_bits, y_bits, lanes = made._a_shape.width, made._y_shape.width, made.lanes
    group = bits_of(made.groups) * made.by_group
    at, whole, sign = before, [], []
    for level, tables in enumerate(made._tables):
        wait = made._read_latency(level)
        for table, _ in tables:
            _table(parts, table, family)
            parts.ff += table.width * (wait - table.latency)
            shape: Shape = table._shapes[0]
            signs = not table.width and made._a_shape.signed and not any(
                _number(place) for place in table._places[0])
            if signs:
                parts.ff += 1
            else:
                _compare(parts, shape.width, table.width, family)
        last = level == len(made._tables) - 1
        at += wait
        sign.append(at)
        if not signs:
            whole.append(at)
        at += 1
        parts.ff += lanes * level * (wait + 1)
        if not last:
            parts.ff += group * (wait + 1)
    chain(parts, lanes * (a_bits - 1), family, *whole)
    chain(parts, lanes, family, *sign)
    if not made._plain:
        _table(parts, made._ends, family)
        parts.add("base", lanes * y_bits, lanes * y_bits)
        parts.ff += group * wait


