"""What a board is: part, shell, clock, and the Amaranth platform that knows its pins."""

from dataclasses import dataclass

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.parts import Part, part_named

__all__ = ["SHELLS", "WORD_BITS", "Board"]

# Bits of a word of frames in memory, by shell.
WORD_BITS = {"zynq7": 64, "zynqmp": 128, "uart": 32}
SHELLS = tuple(WORD_BITS)


@dataclass(frozen=True)
class Board:
    """A board: a flat table.

    Parameters
    ----------
    name : str
        As ``--board`` takes it: lower case.
    title : str
        As its maker writes it.
    part : str
        Device, package and speed grade in the words of the toolchain (Vivado's, nextpnr's).
    shell : str
        "zynq7", "zynqmp" or "uart".
    toolchains : tuple of str
        Modules of ``platforms.toolchains`` that build for it, the usual one first.
    clock_mhz : float
        The accelerator's clock where none is asked.
    platform : type
        Class of the Amaranth platform.
    oscillator, oscillator_mhz : str and float, optional
        Resource of the platform that clocks the PLL. None where the clock comes from the PS.
    uart : str, optional
        Resource of the platform with ``rx`` and ``tx``. None where the PS talks.
    """

    name: str
    title: str
    part: str
    shell: str
    toolchains: tuple[str, ...]
    clock_mhz: float
    platform: type
    oscillator: str | None = None
    oscillator_mhz: float | None = None
    uart: str | None = None

    @property
    def device(self) -> Part:
        """What the board's device offers."""
        return part_named(self.part)

    @property
    def word_bits(self) -> int:
        """Bits of a word of frames in memory."""
        return WORD_BITS[self.shell]

    @property
    def family(self) -> str:
        """The device's family, as ``rtl.families`` names it."""
        return self.device.family

    def check_room(self, **needs: float) -> None:
        """Refuse a design that the part cannot hold, with all that is short.

        ``needs`` are some of ``lut``, ``ff``, ``bram36``, ``uram`` and ``dsp``, the shell included.
        """
        short = [f"{need:g} {kind.upper()} of {getattr(self.device, kind):g}"
                 for kind, need in needs.items() if need > getattr(self.device, kind)]
        if short:
            raise QuinnoaError(f"{self.name} ({self.device.name}) is too small: the design takes "
                               f"{', '.join(short)}; fold further, or take a larger board")
