# amaranth: UnusedElaboratable=no
"""Zynq tops: a shell beside the processing system (PS), from which clock, reset and memory come.

The PS is instantiated as the bare primitive. Its pads (DDR, MIO, clock, resets) are bonded to it
alone and stay open: no constraint names them. What the boot loader or the driver must have set
stands in ``docs/decisions/0010-ps-without-block-design.md``.
"""

from amaranth import ClockDomain, ClockSignal, Const, Elaboratable, Instance, Module, Mux, Signal
from amaranth.lib.cdc import ResetSynchronizer

from .axi import AXI3, AXI4
from .primitives import Primitive

__all__ = ["Zynq7Top", "ZynqMPTop"]

# Cycles of reset after configuration: the clock runs while registers wake.
WAKE = 16

_ADDRESS = ("addr", "len", "size", "burst", "lock", "cache", "prot", "qos", "id", "valid")


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
            raise ValueError(f"the PS gives clocks of up to {self.most_mhz} MHz, "
                             f"not {clock_mhz:g} MHz")
        self.shell, self.clock_mhz = shell, clock_mhz
        self.ps = Primitive(self.primitive, ones=self.ones)

        # IDs come back as they went; an address must reach all the bus, data be all of a beat.
        control, memory = shell.s_axi.signature, shell.m_axi.signature
        ps_id, ps_address = len(self.ps[f"{self.gp}AWID"]), len(self.ps[f"{self.hp}AWADDR"])
        ps_data = len(self.ps[f"{self.hp}WDATA"])
        if control.id_bits < ps_id:
            raise ValueError(f"s_axi must have {ps_id} bits of ID: it has {control.id_bits}")
        if control.data_bits not in (32, len(self.ps[f"{self.gp}WDATA"])):
            raise ValueError(f"s_axi must have 32 or {len(self.ps[f'{self.gp}WDATA'])} bits of "
                             f"data: it has {control.data_bits}")
        if memory.address_bits > ps_address:
            raise ValueError(f"m_axi must have at most {ps_address} bits of address: it has "
                             f"{memory.address_bits}")
        if memory.data_bits != ps_data:
            raise ValueError(f"m_axi must have {ps_data} bits of data: it has {memory.data_bits}")

    def elaborate(self, platform):
        m = Module()
        m.submodules.ps = self.ps
        m.submodules.shell = self.shell
        self._clock(m, platform)
        for clock in self.clocks:
            m.d.comb += self.ps[clock].eq(ClockSignal())
        self._control(m)
        self._memory(m)
        return m

    def _clock(self, m, platform):
        """Make the domain ``sync``: the PS's first clock, held in reset while the PS says so."""
        raw, clock = Signal(name="ps_clock"), Signal(name="clock")
        m.d.comb += raw.eq(self.ps[self.clock][0])
        m.submodules.buffer = Instance(self.buffer, i_I=raw, o_O=clock)
        platform.add_clock_constraint(raw, self.clock_mhz * 1e6)
        m.domains += [ClockDomain("sync"), ClockDomain("wake", reset_less=True)]
        m.d.comb += [ClockSignal("sync").eq(clock), ClockSignal("wake").eq(clock)]
        waking = Signal(WAKE, init=-1)
        m.d.wake += waking.eq(waking >> 1)
        m.submodules.reset = ResetSynchronizer(waking[0] | self._reset(), domain="sync")

    def _control(self, m):
        """Connect ``s_axi`` to the PS's general-purpose port."""
        ps, bus = {name: self.ps[self.gp + name.upper()] for name in self._names("manager")}, \
            self.shell.s_axi
        for name in ps:
            if name in ("wdata", "wstrb", "rdata"):
                continue
            if name.startswith(("b", "r")) ^ name.endswith("ready"):
                m.d.comb += ps[name].eq(getattr(bus, name))     # from the shell
            elif hasattr(bus, name):
                m.d.comb += getattr(bus, name).eq(ps[name])
        if len(ps["wdata"]) == len(bus.wdata):
            m.d.comb += [bus.wdata.eq(ps["wdata"]), bus.wstrb.eq(ps["wstrb"]),
                         ps["rdata"].eq(bus.rdata)]
            return
        # A wide port before a narrow bus: a word is where its strobes are, and is read on all
        # lanes. So accesses of 32 bits are right whatever width the PS has been set to.
        # Set to 32 bits, it uses the lowest: that goes first.
        lanes = len(ps["wdata"]) // 32
        data, strobes = Const(0, 32), Const(0, 4)
        for lane in reversed(range(lanes)):
            here = ps["wstrb"].word_select(lane, 4)
            data = Mux(here.any(), ps["wdata"].word_select(lane, 32), data)
            strobes = Mux(here.any(), here, strobes)
        m.d.comb += [bus.wdata.eq(data), bus.wstrb.eq(strobes),
                     ps["rdata"].eq(bus.rdata.replicate(lanes))]

    def _memory(self, m):
        """Connect ``m_axi`` to the PS's high-performance port."""
        bus = self.shell.m_axi
        for name in self._names("subordinate"):
            port = self.ps[self.hp + name.upper()]
            if name.startswith(("b", "r")) ^ name.endswith("ready"):
                m.d.comb += getattr(bus, name).eq(port)
            else:
                m.d.comb += port.eq(getattr(bus, name))

    def _names(self, side):
        """Return the members of AXI that the port of the PS has."""
        prefix = self.gp if side == "manager" else self.hp
        names = [*(f"{channel}{name}" for channel in ("aw", "ar") for name in (*_ADDRESS, "ready")),
                 "wid", "wdata", "wstrb", "wlast", "wvalid", "wready",
                 "bid", "bresp", "bvalid", "bready",
                 "rid", "rdata", "rresp", "rlast", "rvalid", "rready"]
        return [name for name in names if prefix + name.upper() in self.ps.ports]


class Zynq7Top(_ZynqTop):
    """Zynq-7000: a shell between ``M_AXI_GP0`` (AXI3, 32 bit) and ``S_AXI_HP0`` (AXI3, 64 bit).

    The clock is ``FCLK0``, the reset ``FCLKRESETN[0]``. Registers lie at 0x4000_0000 (UG585,
    table 4-1).
    """

    primitive, ones = "PS7", ()
    gp, hp = "MAXIGP0", "SAXIHP0"
    control = AXI3(address_bits=32, data_bits=32, id_bits=12)
    memory = AXI3(address_bits=32, data_bits=64, id_bits=6)
    clock, buffer, most_mhz = "FCLKCLK", "BUFG", 250        # 250: DS187 table 10, -1
    clocks = ("MAXIGP0ACLK", "SAXIHP0ACLK")

    def _reset(self):
        return ~self.ps["FCLKRESETN"][0]


class ZynqMPTop(_ZynqTop):
    """Zynq UltraScale+: a shell between ``M_AXI_HPM0_FPD`` and ``S_AXI_HP0_FPD`` (AXI4, 128 bit).

    The primitive calls them ``MAXIGP0`` and ``SAXIGP2``. The clock is ``PL_CLK0``; the reset
    ``pl_resetn0`` is bit 95 of the GPIO behind EMIO (bank 5, bit 31), which counts only once it is
    made an output: a PS booted without a design of its own leaves it an input at 0. Registers lie
    at 0xA000_0000 (UG1085, table 10-1).
    """

    primitive = "PS8"
    # Low active or "not there", by the vendor's own wrapper.
    ones = ("NFIQ0LPDRPU", "NFIQ1LPDRPU", "NIRQ0LPDRPU", "NIRQ1LPDRPU")
    gp, hp = "MAXIGP0", "SAXIGP2"
    # 32 bits of the 128: see _control. 40 bits reach all of the memory (UG1085, table 10-1).
    control = AXI4(address_bits=40, data_bits=32, id_bits=16)
    memory = AXI4(address_bits=40, data_bits=128, id_bits=6)
    clock, buffer, most_mhz = "PLCLK", "BUFG_PS", 400       # 400: DS925, table of PL clocks
    clocks = ("MAXIGP0ACLK", "SAXIGP2RCLK", "SAXIGP2WCLK")

    def _reset(self):
        return self.ps["EMIOGPIOTN"][95] & ~self.ps["EMIOGPIOO"][95]
