"""Device families: the parts in which one layer differs from device to device."""

from dataclasses import dataclass

__all__ = ["ECP5", "FAMILIES", "GENERIC", "XC7", "XCUP", "Family"]


@dataclass(frozen=True)
class Family:
    """A device family, as the layer generators see it.

    Parameters
    ----------
    name : str
        "generic", "xc7", "xcup" or "ecp5".
    lut6 : bool
        Dot products are laid down in LUT6, LUT6_2 and carry primitives; else in plain logic.
    carry : int
        Places of a carry primitive: 4 (CARRY4) or 8 (CARRY8).
    ram_rows, ram_luts : int, float
        Rows of RAM in LUTs, and the LUTs for each bit of so many: 64 x 3 in the four of a RAM64M;
        16 x 4 in the six of a DPR16X4, and as many again to choose among four of them.
    rom_rows : int
        Words of a ROM that a LUT has a bit of: 64 of a LUT6, 16 of a LUT4.
    block_price : int
        What a half block RAM (18 kbit) may cost in LUTs, a third of those there are for each: a
        xc7z020 has 190, an LFE5U 400. Dot products want LUTs and nothing else wants block RAM.
    narrow : int
        Products with a factor of up to so many bits are sums of rows in LUTs, others multipliers:
        an LFE5U has one for 540 LUTs, and a product of 4 x 4 bits takes 34, of 8 x 4 bits 62.
    apart : bool
        Sums of two are kept apart, each on a carry chain: of several at once Yosys makes adders in
        LUTs first, two LUT4 a bit.
    """

    name: str
    lut6: bool = False
    carry: int = 4
    ram_rows: int = 64
    ram_luts: float = 4 / 3
    rom_rows: int = 64
    block_price: int = 64
    narrow: int = 0
    apart: bool = False


GENERIC = Family("generic")
XC7 = Family("xc7", lut6=True)
XCUP = Family("xcup", lut6=True, carry=8)
ECP5 = Family("ecp5", ram_rows=16, ram_luts=2.5, rom_rows=16, block_price=128, narrow=4,
              apart=True)
FAMILIES = {family.name: family for family in (GENERIC, XC7, XCUP, ECP5)}
