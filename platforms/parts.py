"""Parts: what each device offers, from the vendors' product tables."""

from dataclasses import dataclass

from quinnoa.errors import QuinnoaError

__all__ = ["PARTS", "Part", "part_named"]


@dataclass(frozen=True)
class Part:
    """A device: its family as ``rtl.families`` knows it, and its resources.

    ``bram36`` counts block RAMs of 36 kbit (ECP5: its 18 kbit blocks, halved).
    """

    name: str
    family: str
    lut: int
    ff: int
    bram36: float
    uram: int
    dsp: int


# Sources: DS190 (Zynq-7000), DS180 (7 series), DS891 (Zynq UltraScale+), DS926 (RFSoC), DS890
# (UltraScale+), DS987 (K26), FPGA-DS-02012 (ECP5).
PARTS = {part.name: part for part in (
    Part("xc7z010", "xc7", 17_600, 35_200, 60, 0, 80),
    Part("xc7z020", "xc7", 53_200, 106_400, 140, 0, 220),
    Part("xc7z045", "xc7", 218_600, 437_200, 545, 0, 900),
    Part("xc7a35t", "xc7", 20_800, 41_600, 50, 0, 90),
    Part("xc7a100t", "xc7", 63_400, 126_800, 135, 0, 240),
    Part("xck26", "xcup", 117_120, 234_240, 144, 64, 1_248),
    Part("xczu3eg", "xcup", 70_560, 141_120, 216, 0, 360),
    Part("xczu5ev", "xcup", 117_120, 234_240, 144, 64, 1_248),
    Part("xczu7ev", "xcup", 230_400, 460_800, 312, 96, 1_728),
    Part("xczu9eg", "xcup", 274_080, 548_160, 912, 0, 2_520),
    Part("xczu48dr", "xcup", 425_280, 850_560, 1_080, 80, 4_272),
    Part("xcvu9p", "xcup", 1_182_240, 2_364_480, 2_160, 960, 6_840),
    Part("lfe5u-25f", "ecp5", 24_288, 24_288, 28, 0, 28),
    Part("lfe5u-45f", "ecp5", 43_848, 43_848, 54, 0, 72),
    Part("lfe5u-85f", "ecp5", 83_640, 83_640, 104, 0, 156),
    Part("lfe5um5g-85f", "ecp5", 83_640, 83_640, 104, 0, 156),
)}


def part_named(name: str) -> Part:
    """Find a part by its name, package and speed grade left out or not (xc7z020clg400-1)."""
    lowered = name.lower()
    for part in PARTS.values():
        if lowered == part.name or (lowered.startswith(part.name)
                                    and not lowered[len(part.name)].isdigit()):
            return part
    raise QuinnoaError(f"unknown device {name}; known are {', '.join(PARTS)}")
