"""Resources of a device; and parts: LUTs by what they are for, before calibration."""

from dataclasses import dataclass, field

__all__ = ["Parts", "Resources"]


@dataclass(frozen=True)
class Resources:
    """LUT sites, flip-flops, block RAMs of 36 kbit (18 kbit is a half), UltraRAMs, DSP slices."""

    lut: int = 0
    ff: int = 0
    bram36: float = 0
    uram: int = 0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.lut + other.lut, self.ff + other.ff, self.bram36 + other.bram36,
                         self.uram + other.uram, self.dsp + other.dsp)


@dataclass
class Parts:
    """What the structure of a unit adds up to.

    Attributes
    ----------
    exact : float
        LUT sites of primitives that synthesis keeps as they are.
    lut : dict of str to float
        LUT sites by what they are for: each kind has a coefficient of its own in the calibration.
    ff, halves, uram, dsp : int
        Flip-flops, block RAMs of 18 kbit, UltraRAMs, DSP slices.
    """

    exact: float = 0
    lut: dict[str, float] = field(default_factory=dict)
    ff: float = 0
    halves: int = 0
    uram: int = 0
    dsp: int = 0

    def add(self, part: str, lut: float = 0, ff: float = 0) -> None:
        """Add LUTs for ``part``, and flip-flops."""
        self.lut[part] = self.lut.get(part, 0) + lut
        self.ff += ff

    def take(self, other: "Parts", times: float = 1) -> None:
        """Add all of another's, so many ``times``."""
        self.exact += times * other.exact
        for part, lut in other.lut.items():
            self.lut[part] = self.lut.get(part, 0) + times * lut
        self.ff += times * other.ff
        self.halves += round(times * other.halves)
        self.uram += round(times * other.uram)
        self.dsp += round(times * other.dsp)
