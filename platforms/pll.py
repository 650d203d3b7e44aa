"""PLL: makes the accelerator's clock from a board's oscillator, where there is no PS to do it."""

from dataclasses import dataclass

from amaranth import ClockSignal, Const, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from quinnoa.errors import QuinnoaError

__all__ = ["ECP5_PLL", "MHZ", "PLL", "PLLLimits", "PLLSetting", "XC7_PLL"]

MHZ = 1_000_000


@dataclass(frozen=True)
class PLLLimits:
    """What a PLL can do: ranges, both ends included, frequencies in Hz.

    The VCO runs at ``source * M / D`` and the output at that divided by Q.

    Parameters
    ----------
    name : str
        Of the primitive.
    source, detector, vco, output : (int, int)
        Frequencies of the source, at the phase detector (source / D), of the VCO and the output.
    divide, multiply, output_divide : (int, int)
        Ranges of D, M and Q.
    """

    name: str
    source: tuple[int, int]
    detector: tuple[int, int]
    vco: tuple[int, int]
    output: tuple[int, int]
    divide: tuple[int, int]
    multiply: tuple[int, int]
    output_divide: tuple[int, int]


# PLLE2 of speed grade -1, the slowest there is: DS181, PLL specification, and UG472, attributes of
# PLLE2. LiteX's S7PLL has the same source, VCO and D.
XC7_PLL = PLLLimits(
    "PLLE2", source=(19 * MHZ, 800 * MHZ), detector=(19 * MHZ, 450 * MHZ),
    vco=(800 * MHZ, 1600 * MHZ), output=(6_250_000, 464 * MHZ),     # 464: BUFG, DS181
    divide=(1, 56), multiply=(2, 64), output_divide=(1, 128))

# EHXPLLL: FPGA-DS-02012, sysCLOCK PLL timing, and FPGA-TN-02200, dividers; LiteX's ECP5PLL has the
# same, Trellis' ecppll a detector from 3.125 MHz on. M is the divider of CLKOP, by which the loop
# closes; the output is CLKOS, with a divider of its own: finer steps so.
ECP5_PLL = PLLLimits(
    "EHXPLLL", source=(10 * MHZ, 400 * MHZ), detector=(10 * MHZ, 400 * MHZ),
    vco=(400 * MHZ, 800 * MHZ), output=(3_125_000, 400 * MHZ),
    divide=(1, 128), multiply=(1, 128), output_divide=(1, 128))


@dataclass(frozen=True)
class PLLSetting:
    """Dividers of a PLL, and what they make, in Hz."""

    divide: int
    multiply: int
    output_divide: int
    vco_hz: float
    output_hz: float

    @classmethod
    def nearest(cls, limits: PLLLimits, *, source_hz: int, asked_hz: int) -> "PLLSetting":
        """Find the setting whose output is nearest to ``asked_hz`` and not above it.

        Among equals the one with the least D and then the fastest VCO wins: least jitter.
        Raises ``QuinnoaError`` with the numbers if the PLL cannot take the one or make the other.
        """
        for what, hz, (low, high) in (("takes", source_hz, limits.source),
                                      ("makes", asked_hz, limits.output)):
            if not low <= hz <= high:
                raise QuinnoaError(f"the PLL ({limits.name}) {what} {low / MHZ:g} to "
                                   f"{high / MHZ:g} MHz, not {hz / MHZ:g} MHz")
        found = [setting for setting in cls._all(limits, source_hz)
                 if setting.output_hz <= asked_hz]
        if not found:
            least = min(setting.output_hz for setting in cls._all(limits, source_hz))
            raise QuinnoaError(f"the PLL ({limits.name}) makes at least {least / MHZ:g} MHz from "
                               f"{source_hz / MHZ:g} MHz, not {asked_hz / MHZ:g} MHz")
        return max(found, key=lambda setting: (setting.output_hz, -setting.divide, setting.vco_hz))

    @classmethod
    def _all(cls, limits, source_hz):
        """Yield every setting within the limits."""
        for d in range(limits.divide[0], limits.divide[1] + 1):
            if not limits.detector[0] * d <= source_hz <= limits.detector[1] * d:
                continue
            for m in range(limits.multiply[0], limits.multiply[1] + 1):
                # vco = source * M / D, output = vco / Q.
                if not limits.vco[0] * d <= source_hz * m <= limits.vco[1] * d:
                    continue
                for q in range(limits.output_divide[0], limits.output_divide[1] + 1):
                    if limits.output[0] * d * q <= source_hz * m <= limits.output[1] * d * q:
                        yield cls(d, m, q, source_hz * m / d, source_hz * m / (d * q))


class PLL(Elaboratable):
    """PLL: drives the domain ``sync``, which the top defines, from a board's oscillator.

    The domain is held in reset until the PLL has locked. Elaborate it once, with the board's
    platform.

    Parameters
    ----------
    oscillator : str
        Resource of the platform.
    setting : PLLSetting
        Its dividers.
    limits : PLLLimits
        ``XC7_PLL`` or ``ECP5_PLL``, for which the setting was found.
    """

    def __init__(self, *, oscillator, setting, limits):
        self.oscillator, self.setting, self.limits = oscillator, setting, limits

    def elaborate(self, platform):
        m = Module()
        m.submodules.pad = pad = io.Buffer("i", platform.request(self.oscillator, dir="-"))
        locked = Signal()
        make = {"PLLE2": self._plle2, "EHXPLLL": self._ehxplll}[self.limits.name]
        make(m, pad.i, locked)
        m.submodules.reset = ResetSynchronizer(~locked, domain="sync")
        return m

    def _plle2(self, m, source, locked):
        setting = self.setting
        feedback, fast = Signal(name="feedback"), Signal(name="fast")
        m.submodules.pll = Instance(
            "PLLE2_BASE",
            p_CLKIN1_PERIOD=1e9 * setting.multiply / (setting.vco_hz * setting.divide),
            p_DIVCLK_DIVIDE=setting.divide,
            p_CLKFBOUT_MULT=setting.multiply,
            p_CLKOUT0_DIVIDE=setting.output_divide,
            i_CLKIN1=source, i_CLKFBIN=feedback, i_RST=Const(0), i_PWRDWN=Const(0),
            o_CLKFBOUT=feedback, o_CLKOUT0=fast, o_LOCKED=locked)
        m.submodules.buffer = Instance("BUFG", i_I=fast, o_O=ClockSignal())

    def _ehxplll(self, m, source, locked):
        setting, feedback = self.setting, Signal(name="feedback")
        m.submodules.pll = Instance(
            "EHXPLLL",
            # The loop filter, as the vendor's tool and ecppll set it.
            a_ICP_CURRENT="12", a_LPF_RESISTOR="8",
            a_MFG_ENABLE_FILTEROPAMP="1", a_MFG_GMCREF_SEL="2",
            p_CLKI_DIV=setting.divide,
            p_FEEDBK_PATH="CLKOP",
            p_CLKFB_DIV=1,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_DIV=setting.multiply,
            p_CLKOP_CPHASE=setting.multiply - 1,
            p_CLKOS_ENABLE="ENABLED",
            p_CLKOS_DIV=setting.output_divide,
            p_CLKOS_CPHASE=setting.output_divide - 1,
            i_CLKI=source, i_CLKFB=feedback, i_RST=Const(0), i_STDBY=Const(0),
            i_ENCLKOP=Const(0), i_ENCLKOS=Const(0), i_PLLWAKESYNC=Const(0),
            i_PHASESEL0=Const(0), i_PHASESEL1=Const(0), i_PHASEDIR=Const(0),
            i_PHASESTEP=Const(0), i_PHASELOADREG=Const(0),
            o_CLKOP=feedback, o_CLKOS=ClockSignal(), o_LOCK=locked)
