"""Zynq: what the PS must be set to before an accelerator runs: its clock, the widths of its ports.

Registers are those of UG585 (Zynq-7000: SLCR, AFI) and UG1087 (Zynq UltraScale+: CRL_APB, FPD_SLCR,
AFIFM). The same stand in Linux (clk/zynq/clkc.c, zynq-afi.c), in the vendor's psu_init.c and in its
PMU firmware (afi.h).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Tuple

from .errors import DriverError

__all__ = ["BASES", "PS", "divisors"]

# Where an accelerator's registers are: M_AXI_GP0 (UG585, table 4-1), M_AXI_HPM0_FPD (UG1085,
# table 10-1).
BASES = {"zynq7": 0x40000000, "zynqmp": 0xA0000000}
MOST_DIVISOR = 63                        # 6 bits
TOLERANCE = 1e-3                         # above the asked clock: crystals of 33.33 and 33.333 MHz


class _Family(NamedTuple):
    """What one family has where."""

    device_tree: Tuple[str, ...]         # where Linux keeps the frequency of the PS's crystal
    clock: int                           # register of the PL's first clock
    source: int                          # mask of the bits that choose its PLL
    enable: int                          # bits of it that let the clock run
    plls: Mapping[int, int]              # control register of the PLL of each choice


ZYNQ7 = _Family(
    device_tree=("slcr@f8000000/clkc@100/ps-clk-frequency",
                 "*/slcr@f8000000/clkc@100/ps-clk-frequency"),
    clock=0xF8000170,                    # FPGA0_CLK_CTRL
    source=0x30, enable=0,
    # SRCSEL, bits 5:4: 0x IO PLL, 10 ARM PLL, 11 DDR PLL
    plls={0x00: 0xF8000108, 0x10: 0xF8000108, 0x20: 0xF8000100, 0x30: 0xF8000104})
ZYNQMP = _Family(
    device_tree=("pss_ref_clk/clock-frequency", "pss-ref-clk/clock-frequency"),
    clock=0xFF5E00C0,                    # PL0_REF_CTRL
    source=0x7, enable=1 << 24,
    # SRCSEL, bits 2:0: 000 IOPLL, 010 RPLL
    plls={0: 0xFF5E0020, 2: 0xFF5E0030})

# Zynq-7000.
SLCR_UNLOCK, SLCR_KEY = 0xF8000008, 0xDF0D
FPGA0_THR_CNT = 0xF8000178               # 1 stops the clock: Linux's gate
AFI0_READ, AFI0_WRITE = 0xF8008000, 0xF8008014   # AFI_RDCHAN_CTRL, AFI_WRCHAN_CTRL of S_AXI_HP0
AFI_32_BIT = 1 << 0
# Zynq UltraScale+. S_AXI_HP0_FPD is behind AFIFM2 (UG1085, table 35-2).
AFI_FS = 0xFD615000                      # DW_SS0_SEL, bits 9:8: 0 is 32 bits, 1 is 64, 2 is 128
AFI_FS_HPM0 = 0x300
AFIFM2_READ, AFIFM2_WRITE = 0xFD380000, 0xFD380014   # FABRIC_WIDTH, bits 1:0: 0 is 128 bits
AFIFM_WIDTH = 0x3


class PS:
    """The processing system of a Zynq, through its registers.

    Parameters
    ----------
    shell : str
        "zynq7" or "zynqmp".
    registers : callable
        From a base address and a size to ``read32`` and ``write32`` of that region.
    root : path
        Of the file system: Linux keeps the crystal's frequency in its device tree.
    crystal_mhz : float, optional
        Of the PS, where the device tree does not say.
    """

    def __init__(self, shell: str, registers: Callable[[int, int], Any], root: Path = Path("/"),
                 crystal_mhz: Optional[float] = None) -> None:
        self.shell, self.family = shell, {"zynq7": ZYNQ7, "zynqmp": ZYNQMP}[shell]
        self._registers = registers
        self._regions: Dict[int, Any] = {}
        self.crystal_mhz = crystal_mhz or self._crystal(root)

    @property
    def clock_mhz(self) -> float:
        """What the PL's first clock is set to."""
        clock = self._read(self.family.clock)
        divisor = (clock >> 8 & 0x3F) * (clock >> 20 & 0x3F if self.shell == "zynq7"
                                         else clock >> 16 & 0x3F)
        if not divisor:
            raise DriverError("the PL's clock has a divisor of 0: 0x%08x" % clock)
        return self._pll_mhz(clock) / divisor

    def set_clock(self, clock_mhz: float) -> float:
        """Set the PL's first clock to the nearest that is not above; return that."""
        clock = self._read(self.family.clock)
        first, second = divisors(self._pll_mhz(clock), clock_mhz)
        shift = 20 if self.shell == "zynq7" else 16
        kept = clock & ~(0x3F << 8 | 0x3F << shift)
        if self.shell == "zynq7":
            self._write(SLCR_UNLOCK, SLCR_KEY)
        self._write(self.family.clock, kept | first << 8 | second << shift | self.family.enable)
        if self.shell == "zynq7":
            self._write(FPGA0_THR_CNT, self._read(FPGA0_THR_CNT) & ~1)
        self.check_clock(clock_mhz)
        return self.clock_mhz

    def check_clock(self, clock_mhz: float) -> None:
        """Refuse a clock that is faster than the accelerator was built for."""
        found = self.clock_mhz
        if found > clock_mhz * (1 + TOLERANCE):
            raise DriverError("the PL's clock is %.3f MHz, the accelerator was built for %g MHz"
                              % (found, clock_mhz))

    def set_widths(self) -> None:
        """Set the ports to the widths of the shell: 64 bits on Zynq-7000, 128 on UltraScale+."""
        if self.shell == "zynq7":
            for address in (AFI0_READ, AFI0_WRITE):
                self._write(address, self._read(address) & ~AFI_32_BIT)
        else:
            for address in (AFIFM2_READ, AFIFM2_WRITE):
                self._write(address, self._read(address) & ~AFIFM_WIDTH)
            # The control port has the wide one's lanes; 2 is 128 bits.
            self._write(AFI_FS, self._read(AFI_FS) & ~AFI_FS_HPM0 | 2 << 8)

    def close(self) -> None:
        """Give the registers back."""
        for region in self._regions.values():
            getattr(region, "close", lambda: None)()
        self._regions.clear()

    def _pll_mhz(self, clock: int) -> float:
        """Return the frequency of the PLL that a clock register chooses."""
        if self.crystal_mhz is None:
            raise DriverError("the device tree does not say how fast the PS's crystal is: give "
                              "crystal_mhz, for example 50 for a PYNQ-Z2, 33.333 for most boards")
        choice = clock & self.family.source
        if choice not in self.family.plls:
            raise DriverError("the PL's clock comes from PLL %d, which this driver does not know: "
                              "0x%08x" % (choice, clock))
        control = self._read(self.family.plls[choice])
        if self.shell == "zynq7":
            # PLL_FDIV, bits 18:12; PLL_BYPASS_FORCE, bit 4
            return self.crystal_mhz * (1 if control & 1 << 4 else control >> 12 & 0x7F)
        # FBDIV, bits 14:8; DIV2, bit 16; BYPASS, bit 3
        if control & 1 << 3:
            return self.crystal_mhz
        return self.crystal_mhz * (control >> 8 & 0x7F) / (2 if control & 1 << 16 else 1)

    def _crystal(self, root: Path) -> Optional[float]:
        base = root / "sys" / "firmware" / "devicetree" / "base"
        for pattern in self.family.device_tree:
            for path in sorted(base.glob(pattern)):
                return int.from_bytes(path.read_bytes()[:4], "big") / 1e6
        return None

    def _region(self, address: int) -> Any:
        base = address & ~0xFFF
        if base not in self._regions:
            self._regions[base] = self._registers(base, 0x1000)
        return self._regions[base]

    def _read(self, address: int) -> int:
        return int(self._region(address).read32(address & 0xFFF))

    def _write(self, address: int, value: int) -> None:
        self._region(address).write32(address & 0xFFF, value)


def divisors(pll_mhz: float, clock_mhz: float) -> Tuple[int, int]:
    """Return the two divisors that give the fastest clock not above the one asked."""
    if not clock_mhz > 0:
        raise DriverError("clock is %g MHz, but must be above 0" % clock_mhz)
    least = pll_mhz / (clock_mhz * (1 + TOLERANCE))
    found: List[Tuple[int, int, int]] = [
        (first * second, second, first) for second in range(1, MOST_DIVISOR + 1)
        for first in range(1, MOST_DIVISOR + 1) if first * second >= least]
    if not found:
        raise DriverError("a PLL of %g MHz gives no clock as slow as %g MHz: the least is %.3f MHz"
                          % (pll_mhz, clock_mhz, pll_mhz / MOST_DIVISOR ** 2))
    _, second, first = min(found)
    return first, second
