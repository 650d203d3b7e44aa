"""Sums and comparisons: LUT sites, as Yosys makes them of the LUTs and carries of a family.

On ECP5 a CCU2C has two places, whatever is known of its inputs, and up to four places are LUTs
without carry (`share/lattice/arith_map_ccu2c.v`): more of them than places.
"""

from math import ceil

from quinnoa.rtl.families import FAMILIES

__all__ = ["added", "chosen", "greater", "has_lut4", "ordered", "ordered_fixed"]

# Measured, by bits, up to four: of a sum of two numbers modulo so many, and of one with its carry;
# of a comparison, and of the greater one.
_SUMS = (0, 1, 2, 6, 14)
_WHOLE_SUMS = (0, 1, 2, 3, 7)
_ORDERS = (0, 1, 1, 4, 9)
_GREATER = (0, 1, 3.5, 12, 17)
# Of a comparison with what so many bits tell.
_TOLD = (1, 2, 4)
# Of one of so many bits, up to eight.
_CHOSEN = (0, 0, 1, 2, 3.5, 3.7, 4.5, 5.5, 6.5)


def has_lut4(family: str) -> bool:
    """Tell whether LUTs have four inputs, not six."""
    return FAMILIES[family].rom_rows == 16


def added(bits: int, family: str, *, whole: bool = False) -> int:
    """Return the LUT sites of the sum of two numbers, of so many bits; ``whole`` has its carry."""
    if not has_lut4(family):
        return bits
    return (_WHOLE_SUMS if whole else _SUMS)[bits] if bits < len(_SUMS) else bits + bits % 2


def ordered(bits: int, family: str, told: int = len(_TOLD)) -> float:
    """Return the LUT sites of a comparison of two numbers.

    A carry chain, three places of both two LUT6; a few bits in LUTs alone, fewer of them if the
    values of one number are ``told`` apart by fewer bits.
    """
    if has_lut4(family):
        if bits >= len(_ORDERS):
            return bits + bits % 2
        return min((_ORDERS[bits], *_TOLD[told:told + 1]))
    return 2 / 3 * bits + 0.5 if bits > 3 else 1


def ordered_fixed(bits: int, family: str) -> float:
    """Return the LUT sites of a comparison with a constant: up to a dozen bits in LUT6 alone."""
    if has_lut4(family):
        return bits / 4 if bits < len(_ORDERS) else bits + bits % 2
    return bits / 4 if bits <= 12 else 0.4 * bits


def greater(bits: int, family: str, *, alone: bool) -> float:
    """Return the LUT sites of the greater one of two numbers; ``alone``: it stays, or goes."""
    if has_lut4(family) and bits < len(_GREATER):
        return 9 if alone and bits == 4 else _GREATER[bits]
    return ordered(bits, family) + bits + (0 if alone else 2)


def chosen(ways: int, family: str) -> float:
    """Return the LUT sites of one of so many bits: a LUT6 takes three more in."""
    if has_lut4(family):
        return _CHOSEN[ways] if ways < len(_CHOSEN) else 1.1 * ways
    return ceil((ways - 1) / 3)
