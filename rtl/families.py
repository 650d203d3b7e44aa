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
    """

    name: str
    lut6: bool = False
    carry: int = 4


GENERIC = Family("generic")
XC7 = Family("xc7", lut6=True)
XCUP = Family("xcup", lut6=True, carry=8)
ECP5 = Family("ecp5")
FAMILIES = {family.name: family for family in (GENERIC, XC7, XCUP, ECP5)}
