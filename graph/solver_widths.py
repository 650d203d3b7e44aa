# amaranth: UnusedElaboratable=no
"""Widths: what stands between two layers of other lanes, exactly, and at the least."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import gcd, lcm, prod
from typing import Any

from amaranth import Shape

from quinnoa.rtl.fifo import cheapest_style
from quinnoa.rtl.width import WidthConverter, width_converters

from .cost.control import bits_of
from .cost.streams import fifo as fifo_parts
from .cost.streams import width as width_parts
from .layers import Stream
from .resources import Resources, calibrated

__all__ = ["Between", "at_end", "between", "least_between"]

# Bits of a word of the bus of a family's shells, 64 where there is none.
_WORD = {"xcup": 128, "ecp5": 32}
# Bits that a shell keeps of beats wider than a word, at most: four block RAMs.
_BEAT_BITS = 4 * 36 * 1024


@dataclass(frozen=True)
class Between:
    """What width converters between two layers take, and the cycles a frame they need."""

    need: Resources
    cycles: int


class _Unlaid(WidthConverter):
    """A width converter that is reckoned with, but not laid: ports and steps would take long."""

    def __init__(self, shape: Any, *, elements: int, i_lanes: int, o_lanes: int) -> None:
        self.shape, self.elements = shape, elements
        self.i_lanes, self.o_lanes = i_lanes, o_lanes

    @cached_property
    def _steps(self) -> Any:
        return self._make_steps()

    @property
    def ii(self) -> int:
        # One more where the last beat of `i` holds more than that of `o`, which is wider.
        elements, i_lanes, o_lanes = self.elements, self.i_lanes, self.o_lanes
        last_in, last_out = ((elements - 1) % lanes + 1 for lanes in (i_lanes, o_lanes))
        more = o_lanes > i_lanes and last_in > last_out
        return max(-(-elements // i_lanes), -(-elements // o_lanes)) + more

    @property
    def least(self) -> float:
        """LUTs that it takes at the least, of which no step need be looked at.

        What gives its beats, a LUT or two for each cell with several sources, and what goes through
        the steps. Cells meet other elements in every beat of the wider side, until its beats begin
        where the first one did.
        """
        elements, i_lanes, o_lanes = self.elements, self.i_lanes, self.o_lanes
        unit, more, less = gcd(i_lanes, o_lanes), max(i_lanes, o_lanes), min(i_lanes, o_lanes)
        takes, gives = -(-elements // i_lanes), -(-elements // o_lanes)
        kind = bits_of(min(takes, o_lanes // unit))
        steps = min(max(takes, gives), more // unit)

        def luts(sources: int) -> int:
            return -(-(sources + kind - 1) // 5)

        if max(takes, gives) == 1 or (gives == 1 and o_lanes > i_lanes):
            cells = 0
        elif o_lanes % i_lanes == 0:
            cells = -elements % o_lanes * luts(2)
        elif i_lanes % o_lanes == 0 or takes == 1:
            cells = (i_lanes - o_lanes) * luts(2)
        else:
            sources = max(min(elements // more, less // unit), 2)
            cells = (more - less) * luts(sources) + less * luts(2)
        store = 0.9 if o_lanes >= 2 * i_lanes and elements % o_lanes == 0 else 0.55
        return (Shape.cast(self.shape).width * (store * o_lanes + 0.9 * cells)
                + 0.7 * (10 + (steps > 1) * (bits_of(steps) + 2 * kind + 2 + steps / 8)))


def between(given: Stream, given_lanes: int, taken: Stream, taken_lanes: int,
            family: str) -> Between:
    """Return what stands between a stream as it is given and as it is taken."""
    return _reckoned(*_as_key(given, given_lanes, taken, taken_lanes), prod(given.dims), family)


def least_between(given: Stream, given_lanes: int, taken: Stream, taken_lanes: int) -> float:
    """Return LUTs that width converters take at the least, without a look at their steps."""
    return _least(*_as_key(given, given_lanes, taken, taken_lanes))


def at_end(stream: Stream, lanes: int, family: str, *, gives: bool = False) -> Resources:
    """Return what a shell takes between the words of its bus and beats of a network's end.

    Width converters, as for frames that fill their words, and the FIFO of a frame's beats where
    these are wider than a word: as ``platforms.memory_shell`` lays them. ``gives``: the network
    gives the beats.
    """
    beats = -(-stream.channels // lanes) * stream.vectors
    return _at_end(Shape.cast(stream.shape).width, lanes, beats, family, gives)


@lru_cache(maxsize=1 << 14)
def _at_end(bits: int, lanes: int, beats: int, family: str, gives: bool) -> Resources:
    slot = 1 << (bits - 1).bit_length()
    in_word = max(_WORD.get(family, 64) // slot, 1)
    words = -(-lanes * beats // in_word)
    sides = (lanes, in_word) if gives else (in_word, lanes)
    units = width_converters(Shape(bits), elements=lcm(lanes, in_word), i_lanes=sides[0],
                             o_lanes=sides[1], kind=_Unlaid)
    # Where the lanes are the same, registers.
    depths = [] if units else [2]
    if words > beats > 2:
        depths.append(max(2, min(beats, _BEAT_BITS // (bits * lanes))))
    width = bits * lanes
    return sum((calibrated("fifo", fifo_parts(depth, width, cheapest_style(depth, width), family),
                           family) for depth in depths), _sum_of(units, family))


def _as_key(given: Stream, given_lanes: int, taken: Stream,
            taken_lanes: int) -> tuple[int, int, int, int, int]:
    """Return bits, and elements of a vector and lanes of both sides, of the same converters."""
    bits = Shape.cast(given.shape).width
    if given_lanes == taken_lanes and given.dims == taken.dims:
        return bits, given_lanes, given_lanes, given_lanes, given_lanes
    if given.channels % given_lanes == taken.channels % taken_lanes == 0:
        # Steps repeat: as many elements as both lanes fill show them all.
        elements = lcm(given_lanes, taken_lanes)
        return bits, elements, given_lanes, elements, taken_lanes
    return bits, given.channels, given_lanes, taken.channels, taken_lanes


def _units(bits: int, given: int, given_lanes: int, taken: int,
           taken_lanes: int) -> list[_Unlaid]:
    from .units import converters
    return converters(Stream((given,), Shape(bits)), given_lanes,
                      Stream((taken,), Shape(bits)), taken_lanes, _Unlaid)


@lru_cache(maxsize=1 << 16)
def _reckoned(bits: int, given: int, given_lanes: int, taken: int, taken_lanes: int, total: int,
              family: str) -> Between:
    units = _units(bits, given, given_lanes, taken, taken_lanes)
    cycles = max((unit.ii * (total // unit.elements) for unit in units), default=0)
    return Between(_sum_of(units, family), cycles)


@lru_cache(maxsize=1 << 16)
def _least(bits: int, given: int, given_lanes: int, taken: int, taken_lanes: int) -> float:
    return sum(unit.least for unit in _units(bits, given, given_lanes, taken, taken_lanes))


def _sum_of(units: list[_Unlaid], family: str) -> Resources:
    """Return what width converters take."""
    return sum((calibrated("width", width_parts(unit, family), family) for unit in units),
               Resources())
