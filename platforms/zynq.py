# amaranth: UnusedElaboratable=no
"""Zynq tops: a shell beside the processing system (PS), from which clock, reset and memory come.

The PS is instantiated as the bare primitive. Its pads (DDR, MIO, clock, resets) are bonded to it
alone and stay open: no constraint names them. What the boot loader or the driver must have set
stands in ``docs/decisions/0010-ps-without-block-design.md``.
"""

from amaranth import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib.cdc import ResetSynchronizer
from amaranth.lib.wiring import Out

from .axi import AXI3, AXI4
from .primitives import Primitive

__all__ = ["Zynq7Top", "ZynqMPTop"]

# Cycles of reset after configuration: the clock runs while registers wake.
WAKE = 16
# Of the PS's clock, in periods: what the constraints of the vendor's processing_system7 say. Its
# zynq_ultra_ps_e has Vivado compute it from the PLL's dividers, which the driver chooses here.
JITTER = 0.03


class _ZynqTop(Elaboratable):
    """Common to both: a PS, its clock and reset, and the shell's two ports on it.

    Parameters
    ----------
    shell : Component
        With ``s_axi`` and ``m_axi``, for example of the signatures ``control`` and ``memory``.
    clock_mhz : float
        What the PS must be set to give, and what timing is asked for.
    """

    def __init__(self, shell, *, clock_mhz):
        if not 0 < clock_mhz <= self.most_mhz:
            raise ValueError(f"the PS and its ports run at up to {self.most_mhz} MHz, "
                             f"not {clock_mhz:g} MHz")
        self.shell, self.clock_mhz = shell, clock_mhz
        self.ps = Primitive(self.primitive, ones=self.ones)

        # IDs come back as they went; data are all of a beat.
        self._check("s_axi", shell.s_axi.signature, self.gp, "ARID", "RDATA")
        self._check("m_axi", shell.m_axi.signature, self.hp, None, "WDATA")
        address_bits = len(self.ps[f"{self.hp}AWADDR"])
        if shell.m_axi.signature.address_bits > address_bits:
            raise ValueError(f"m_axi must have at most {address_bits} bits of address: it has "
                             f"{shell.m_axi.signature.address_bits}")

    def _check(self, name, signature, port, id_port, data_port):
        """Compare a bus with its port of the PS."""
        data_bits = len(self.ps[port + data_port])
        if signature.data_bits != data_bits:
            raise ValueError(f"{name} must have {data_bits} bits of data: it has "
                             f"{signature.data_bits}")
        if id_port and signature.id_bits < len(self.ps[port + id_port]):
            raise ValueError(f"{name} must have {len(self.ps[port + id_port])} bits of ID: it has "
                             f"{signature.id_bits}")

    def elaborate(self, platform):
        m = Module()
        m.submodules.ps = self.ps
        m.submodules.shell = self.shell
        self._clock(m, platform)
        for clock in self.clocks:
            m.d.comb += self.ps[clock].eq(ClockSignal())
        self._connect(m, self.gp, self.shell.s_axi, self.control, ps_drives=True)
        self._connect(m, self.hp, self.shell.m_axi, self.memory, ps_drives=False)
        return m

    def _clock(self, m, platform):
        """Make the domain ``sync``: the PS's first clock, held in reset while the PS says so."""
        raw, clock = Signal(name="ps_clock"), Signal(name="clock")
        m.d.comb += raw.eq(self.ps[self.clock][0])
        m.submodules.buffer = Instance(self.buffer, i_I=raw, o_O=clock)
        platform.add_clock_constraint(raw, self.clock_mhz * 1e6)
        platform.add_file("jitter.xdc", f"set_input_jitter {raw.name} "
                                        f"{JITTER * 1000 / self.clock_mhz:.4f}\n")
        m.domains += [ClockDomain("sync"), ClockDomain("wake", reset_less=True)]
        m.d.comb += [ClockSignal("sync").eq(clock), ClockSignal("wake").eq(clock)]
        waking = Signal(WAKE, init=-1)
        m.d.wake += waking.eq(waking >> 1)
        m.submodules.reset = ResetSynchronizer(waking[0] | self._reset(), domain="sync")

    def _connect(self, m, port, bus, signature, *, ps_drives):
        """Connect a bus to a port of the PS, which drives what a manager drives, or all else."""
        for name, member in signature.members.items():
            there, here = self.ps[port + name.upper()], getattr(bus, name)
            if (member.flow is Out) == ps_drives:
                m.d.comb += here.eq(there)
            else:
                m.d.comb += there.eq(here)


class Zynq7Top(_ZynqTop):
    """Zynq-7000: a shell between ``M_AXI_GP0`` (AXI3, 32 bit) and ``S_AXI_HP0`` (AXI3, 64 bit).

    The clock is ``FCLK0``, the reset ``FCLKRESETN[0]``. Registers lie at 0x4000_0000 (UG585,
    table 4-1).
    """

    primitive, ones = "PS7", ()
    gp, hp = "MAXIGP0", "SAXIHP0"
    control = AXI3(address_bits=32, data_bits=32, id_bits=12)
    memory = AXI3(address_bits=32, data_bits=64, id_bits=6)
    clock, buffer, most_mhz = "FCLKCLK", "BUFG", 250        # 250: what the vendor's dialog takes
    clocks = ("MAXIGP0ACLK", "SAXIHP0ACLK")

    def _reset(self):
        return ~self.ps["FCLKRESETN"][0]


class ZynqMPTop(_ZynqTop):
    """Zynq UltraScale+: a shell between ``M_AXI_HPM0_FPD`` and ``S_AXI_HP0_FPD`` (AXI4, 128 bit).

    The primitive calls them ``MAXIGP0`` and ``SAXIGP2``. The clock is ``PL_CLK0``; the reset
    ``pl_resetn0`` is bit 95 of the GPIO behind EMIO (bank 5, bit 31), which counts only once it is
    made an output: a PS booted without a design leaves it an input at 0. Registers lie at
    0xA000_0000 (UG1085, table 10-1).
    """

    primitive = "PS8"
    # Low active or "not there", by the vendor's own wrapper.
    ones = ("NFIQ0LPDRPU", "NFIQ1LPDRPU", "NIRQ0LPDRPU", "NIRQ1LPDRPU")
    gp, hp = "MAXIGP0", "SAXIGP2"
    # The port's full width, which it has after reset. 40 bits reach all memory (UG1085, 10-1).
    control = AXI4(address_bits=40, data_bits=128, id_bits=16)
    memory = AXI4(address_bits=40, data_bits=128, id_bits=6)
    clock, buffer, most_mhz = "PLCLK", "BUFG_PS", 333       # 333: FAXICLK, DS925, any grade
    clocks = ("MAXIGP0ACLK", "SAXIGP2RCLK", "SAXIGP2WCLK")

    def _reset(self):
        return self.ps["EMIOGPIOTN"][95] & ~self.ps["EMIOGPIOO"][95]
