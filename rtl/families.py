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
    """

    name: str
    lut6: bool = False


GENERIC = Family("generic")
XC7 = Family("xc7", lut6=True)
XCUP = Family("xcup", lut6=True)
ECP5 = Family("ecp5")
FAMILIES = {family.name: family for family in (GENERIC, XC7, XCUP, ECP5)}
