# amaranth: UnusedElaboratable=no
"""Facts: what the cost of a layer depends on besides its fold, found once for its contents."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
from amaranth import Shape, ShapeCastable, signed

from quinnoa.rtl.bank import Search, can_search, cheapest_style
from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.raw import RawSum
from quinnoa.rtl.rows import Rows, simplify_steps, type_range, value_range
from quinnoa.rtl.shapes import shape_for
from quinnoa.rtl.thresholds import Thresholds

__all__ = ["Facts", "Same", "bits_of_shape", "columns_of", "matrix_facts"]

# Lanes of a bank that stand for all where an estimate will do.
_FEW = 4


class Same:
    """An object as a key: alike is only what is the same one."""

    __slots__ = ("it",)

    def __init__(self, it: Any) -> None:
        self.it = it

    def __hash__(self) -> int:
        return id(self.it)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.it is other.it


def bits_of_shape(shape: Shape | ShapeCastable) -> int:
    """Return the bits of an element."""
    return Shape.cast(shape).width


@dataclass(eq=False)
class Facts:
    """Of a matrix and its thresholds.

    Attributes
    ----------
    mh, mw : int
    x_shape, w_shape : Shape or BIPOLAR
    x_bits, w_bits, y_bits : int
    width : int
        Of the accumulators.
    steps : int
        Thresholds a row; without thresholds 0.
    constants : dict of str to (array, int)
        By name what the rows need: (MH, elements) and the bits of an element.
    searchable : Thresholds, optional
        Of the bank that searches for steps, where one can.
    writable : bool
        Weights and constants are written at run time: widths are those that any may need.
    """

    mh: int
    mw: int
    x_shape: Shape | ShapeCastable
    w_shape: Shape | ShapeCastable
    x_bits: int
    w_bits: int
    y_bits: int
    width: int
    steps: int
    scale: int
    constants: dict[str, tuple[np.ndarray, int]]
    weights: np.ndarray
    writable: bool
    searchable: Thresholds | None = None
    _columns: dict[tuple[str, int], tuple[int, int, int]] = field(default_factory=dict)
    _banks: dict[tuple[int, int, str], Search] = field(default_factory=dict)

    def columns(self, name: str, pe: int) -> tuple[int, int, int]:
        """Return of a constant's words the bits, those that vary, and how many of them differ."""
        found = self._columns.get((name, pe))
        if found is None:
            values, bits = self.constants[name]
            found = self._columns[name, pe] = columns_of(values, bits, pe)
        return found

    def searches(self, style: str) -> bool:
        """Tell whether steps are searched for, in one style or another."""
        if self.searchable is None:
            return False
        return (cheapest_style(self.searchable) if style == "auto" else style) == "search"

    def bank(self, pe: int, family: str, exact: bool = True) -> tuple[Search, float]:
        """Return the bank that searches for the steps of ``pe`` rows at a time.

        Or, where it need not be ``exact``, that of a few of its lanes; and how often to count it.
        """
        lanes = pe if exact else min(pe, _FEW)
        if (pe, lanes, family) not in self._banks:
            all_of, kept = self.searchable, np.flatnonzero(np.arange(self.mh) % pe < lanes)
            assert all_of is not None and all_of.base is not None and all_of.falls is not None
            self._banks[pe, lanes, family] = Search(
                thresholds=Thresholds(all_of.values[kept], all_of.shape, all_of.base[kept],
                                      all_of.falls[kept]),
                lanes=lanes, channels=len(kept), a_shape=signed(self.width),
                family=FAMILIES[family])
        return self._banks[pe, lanes, family], pe / lanes


def columns_of(values: np.ndarray, bits: int, lanes: int) -> tuple[int, int, int]:
    """Return of words of ``lanes`` rows of values the bits, those that vary, how many differ.

    Padded rows repeat the last one.
    """
    rows, elements = values.shape
    groups = -(-rows // lanes)
    values = np.pad(values, ((0, groups * lanes - rows), (0, 0)), mode="edge")
    planes = (values[:, :, None] >> np.arange(bits) & 1).astype(np.uint8)
    table = planes.reshape(groups, lanes * elements * bits)
    varied = table[:, (table != table[:1]).any(axis=0)]
    if not varied.shape[1]:
        return table.shape[1], 0, 0
    packed = np.packbits(varied, axis=0).T
    return table.shape[1], varied.shape[1], len(np.unique(packed, axis=0))


@lru_cache(maxsize=512)
def _matrix_facts(weights: Same, thresholds: Same, x_shape: Any, w_shape: Any,
                  inverts: bool, writable: bool) -> Facts:
    """Make what ``MVTU._lay_rows`` and ``_lay_constants`` make."""
    w, steps = np.asarray(weights.it, np.int64), thresholds.it
    mh, mw = w.shape
    if writable:
        low, high = (np.full(mh, end) for end in type_range(mw, x_shape, w_shape))
        if steps is not None:
            full = steps.full(mh)
            stepped = [full.values, full.falls, full.base]
    else:
        if steps is not None:
            w, *stepped = simplify_steps(w, x_shape, w_shape, steps)
        low, high = value_range(w, x_shape)
    raw = RawSum(1, x_shape, w_shape, inverts=inverts)
    meaning: dict[str, Any] = {"scale": raw.scale, "offset": raw.offset(w)}
    if steps is None:
        rows = Rows.of_values(low, high, **meaning)
        y_bits = shape_for(low.min(), high.max()).width
    else:
        rows = Rows.of_steps(low, high, *stepped, **meaning, alike=writable)
        y_bits = bits_of_shape(steps.shape)
    constants = {"start": (rows.start.reshape(mh, 1), rows.width)}
    constants |= _row_constants(rows, y_bits, writable)
    searchable = None if steps is None or writable else rows.thresholds(steps.shape)
    if searchable is not None and not can_search(searchable):
        searchable = None
    return Facts(mh, mw, x_shape, w_shape, bits_of_shape(x_shape), bits_of_shape(w_shape), y_bits,
                 rows.width, rows.steps, rows.scale, constants, w, writable, searchable)


def _row_constants(rows: Rows, y_bits: int, writable: bool) -> dict[str, tuple[np.ndarray, int]]:
    """Return what rows need besides their start, where steps are not searched for."""
    constants = {}
    if rows.steps > 1:
        constants["compare"] = rows.compare, rows.width
    if writable and rows.steps:
        constants["falls"] = rows.falls[:, :1].astype(np.int64), 1
    elif rows.falls.any():
        constants["falls"] = rows.falls.astype(np.int64), 1
    if rows.base.any():
        constants["base"] = rows.base.reshape(-1, 1), y_bits
    if rows.rest.any() or (writable and rows.scale == 2 and not rows.steps):
        constants["rest"] = rows.rest.reshape(-1, 1), 1
    return constants


def matrix_facts(weights: np.ndarray, thresholds: Thresholds | None,
                 x_shape: Shape | ShapeCastable, w_shape: Shape | ShapeCastable,
                 inverts: bool, writable: bool = False) -> Facts:
    """Return the facts of a matrix; the same object for the same arrays."""
    return _matrix_facts(Same(weights), Same(thresholds), x_shape, w_shape, inverts, writable)
