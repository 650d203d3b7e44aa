# amaranth: UnusedElaboratable=no
"""Tests of platforms/zynq.py and primitives.py: every wire between the PS and a shell."""

import random
import re
from pathlib import Path

import pyosys
import pytest
from amaranth import ClockDomain, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator
from pyosys import libyosys

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.axi import AXI3, AXI4
from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.primitives import Primitive, ports_of
from quinnoa.platforms.toolchains.plan import plan_for
from quinnoa.platforms.top import bus_of, top_for
from quinnoa.platforms.zynq import Zynq7Top, ZynqMPTop
from tests.platforms.tiny import tiny_shell

TOPS = {"zynq7": Zynq7Top, "zynqmp": ZynqMPTop}


class Hole(wiring.Component):
    """A shell of nothing but its ports."""

    def __init__(self, control, memory):
        super().__init__({"s_axi": In(control), "m_axi": Out(memory)})

    def elaborate(self, platform):
        return Module()


def bare(cls, shell):
    """Return the wires of a top alone: no primitive, no clock."""
    class Bare(cls):
        def _clock(self, m, platform):
            m.domains.sync = ClockDomain()
    top = Bare(shell, clock_mhz=100)
    top.ps.elaborate = lambda platform: Module()
    return top


def simulate(top, bench):
    simulator = Simulator(top)
    simulator.add_testbench(bench)
    simulator.run()


def wires(top, port, bus, signature, *, ps_drives):
    """Yield (source, sink, name) for every wire of a bus; the manager drives Out."""
    for name, member in signature.members.items():
        ends = top.ps[port + name.upper()], getattr(bus, name)
        if (member.flow is Out) == ps_drives:
            yield *ends, name
        else:
            yield *reversed(ends), name


@pytest.mark.parametrize("kind", TOPS)
def test_every_wire_of_both_buses_arrives(kind):
    cls = TOPS[kind]
    shell = Hole(cls.control, cls.memory)
    top = bare(cls, shell)
    rng = random.Random(0)
    checked = []
    pairs = [*wires(top, top.gp, shell.s_axi, cls.control, ps_drives=True),
             *wires(top, top.hp, shell.m_axi, cls.memory, ps_drives=False)]

    async def bench(ctx):
        for _ in range(20):
            for source, _, _ in pairs:
                ctx.set(source, rng.getrandbits(len(source)))
            await ctx.delay(1e-9)
            for source, sink, name in pairs:
                sent, got = ctx.get(source), ctx.get(sink)
                assert got == sent & ((1 << len(sink)) - 1), name
                checked.append(name)

    simulate(top, bench)
    assert len(pairs) == len(cls.control.members) + len(cls.memory.members)
    assert len(checked) == 20 * len(pairs)


@pytest.mark.parametrize("kind, clocks", [("zynq7", ("MAXIGP0ACLK", "SAXIHP0ACLK")),
                                          ("zynqmp", ("MAXIGP0ACLK", "SAXIGP2RCLK",
                                                      "SAXIGP2WCLK"))])
def test_ports_in_use_are_clocked(kind, clocks):
    cls = TOPS[kind]
    top = bare(cls, Hole(cls.control, cls.memory))
    simulator = Simulator(top)
    simulator.add_clock(1e-6)
    seen = {clock: set() for clock in clocks}

    async def bench(ctx):
        for _ in range(8):
            await ctx.delay(0.3e-6)
            for clock in clocks:
                seen[clock].add(ctx.get(top.ps[clock]))

    simulator.add_testbench(bench)
    simulator.run_until(3e-6)
    assert seen == {clock: {0, 1} for clock in clocks}


def resets(top, values):
    """Return the reset a top asks for, for each of (port, value)s."""
    m = Module()
    reset = Signal()
    m.d.comb += reset.eq(top._reset())
    got = []

    async def bench(ctx):
        for ports in values:
            for port, value in ports.items():
                ctx.set(top.ps[port], value)
            await ctx.delay(1e-9)
            got.append(ctx.get(reset))

    simulate(m, bench)
    return got


def test_reset_is_that_of_the_ps():
    top = bare(Zynq7Top, Hole(Zynq7Top.control, Zynq7Top.memory))
    assert resets(top, [{"FCLKRESETN": 0b1110}, {"FCLKRESETN": 0b0001}]) == [1, 0]
    # pl_resetn0 counts once it is an output: not on a PS that was booted without a design.
    top = bare(ZynqMPTop, Hole(ZynqMPTop.control, ZynqMPTop.memory))
    bit = 1 << 95
    assert resets(top, [{"EMIOGPIOO": o, "EMIOGPIOTN": t} for o, t in
                        [(0, 0), (0, bit), (bit, bit), (bit, 0), (bit - 1, bit), (0, bit - 1)]]) \
        == [0, 1, 0, 0, 1, 0]


def test_the_primitives_have_the_ports_of_the_manuals():
    # UG585 chapter 5 and table 2-11; UG1085 chapters 26 and 35.
    for name, ports in {
        "PS7": {"MAXIGP0ARADDR": ("output", 32), "MAXIGP0RDATA": ("input", 32),
                "MAXIGP0AWID": ("output", 12), "MAXIGP0ARLEN": ("output", 4),
                "SAXIHP0ARADDR": ("input", 32), "SAXIHP0WDATA": ("input", 64),
                "SAXIHP0AWID": ("input", 6), "SAXIHP0ARSIZE": ("input", 2),
                "FCLKCLK": ("output", 4), "FCLKRESETN": ("output", 4), "EMIOGPIOO": ("output", 64),
                "MIO": ("inout", 54), "DDRDQ": ("inout", 32), "IRQF2P": ("input", 20)},
        "PS8": {"MAXIGP0ARADDR": ("output", 40), "MAXIGP0RDATA": ("input", 128),
                "MAXIGP0AWID": ("output", 16), "MAXIGP0ARLEN": ("output", 8),
                "SAXIGP2ARADDR": ("input", 49), "SAXIGP2WDATA": ("input", 128),
                "SAXIGP2AWID": ("input", 6), "SAXIGP2ARSIZE": ("input", 3),
                "PLCLK": ("output", 4), "EMIOGPIOO": ("output", 96), "EMIOGPIOTN": ("output", 96),
                "PSS_ALTO_CORE_PAD_MIO": ("inout", 78)},
    }.items():
        assert {port: ports_of(name)[port] for port in ports} == ports


# The library is of 1.6 MB: only what tops instantiate of it.
LIBRARY = Path(pyosys.__file__).parent / "share" / "xilinx" / "cells_xtra.v"
CELLS = ("PS7", "PS8", "BUFG_PS", "PLLE2_BASE")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pynq-z1", "kv260", "nexys4-ddr", "ulx3s-85f"])
def test_yosys_accepts_the_whole_top_with_every_input_of_the_ps_driven(name, tmp_path):
    board = BOARDS[name]
    plan = plan_for(board, tiny_shell(board), name="top")
    file = "top.il" if board.family == "ecp5" else "top.v"
    (tmp_path / file).write_text(plan.files.files[file])
    design = libyosys.Design()
    (tmp_path / "cells.v").write_text("\n".join(
        re.search(rf"^module {cell}\(.*?^endmodule", LIBRARY.read_text(), re.M | re.S)[0]
        for cell in CELLS))
    cells = {"top.il": "+/ecp5/cells_sim.v +/ecp5/cells_bb.v",
             "top.v": f"+/xilinx/cells_sim.v {tmp_path}/cells.v"}[file]
    read = {"top.il": "read_rtlil", "top.v": "read_verilog"}[file]
    for command in (f"read_verilog -lib {cells}", f"{read} {tmp_path}/{file}",
                    "hierarchy -check -top top", "proc", "flatten", "check -assert"):
        libyosys.Pass.call(design, f"tee -q {command}")
    for cell in design.top_module().selected_cells():
        if cell.type.str() in ("\\PS7", "\\PS8"):
            assert board.shell != "uart"
            driven = {port.str()[1:] for port in cell.connections()}
            ports = ports_of(cell.type.str()[1:])
            of = {kind: {port for port, (direction, _) in ports.items() if direction == kind}
                  for kind in ("input", "inout")}
            assert of["input"] <= driven and not driven & of["inout"]
            break
    else:
        assert board.shell == "uart"


def test_shells_that_do_not_fit_are_refused_with_the_numbers():
    good = ZynqMPTop.memory
    for control, memory, message in [
        (AXI4(address_bits=40, data_bits=128, id_bits=4), good,
         "s_axi must have 16 bits of ID: it has 4"),
        (AXI4(address_bits=40, data_bits=32, id_bits=16), good,
         "s_axi must have 128 bits of data: it has 32"),
        (ZynqMPTop.control, AXI4(address_bits=64, data_bits=128, id_bits=1),
         "m_axi must have at most 49 bits of address: it has 64"),
        (ZynqMPTop.control, AXI4(address_bits=40, data_bits=64, id_bits=1),
         "m_axi must have 128 bits of data: it has 64"),
    ]:
        with pytest.raises(ValueError) as error:
            ZynqMPTop(Hole(control, memory), clock_mhz=100)
        assert str(error.value) == message
    for name, cls, most, asked in [("zc706", Zynq7Top, 250, 300), ("zcu104", ZynqMPTop, 333, 334)]:
        with pytest.raises(QuinnoaError) as refusal:
            top_for(BOARDS[name], Hole(cls.control, cls.memory), clock_mhz=asked)
        assert str(refusal.value) == (f"{name}: the PS and its ports run at up to {most} MHz, "
                                      f"not {asked} MHz")
    with pytest.raises(QuinnoaError) as refusal:
        bus_of(BOARDS["ulx3s-85f"])
    assert str(refusal.value) == "ulx3s-85f has no PS: its shell is uart"


@pytest.mark.parametrize("name, cell", [("pynq-z1", "PS7"), ("kv260", "PS8")])
def test_the_ps_is_kept_although_nothing_leaves_the_device(name, cell):
    plan = plan_for(BOARDS[name], tiny_shell(BOARDS[name]), name="top")
    assert re.search(rf'^  \(\* DONT_TOUCH *= "TRUE" \*\)\n(  \(\* .* \*\)\n)*  {cell} ',
                     plan.files.files["top.v"], re.MULTILINE)


def test_primitives_refuse_ports_that_they_have_not():
    ps = Primitive("PS7")
    with pytest.raises(KeyError, match="PS7 has no port MAXIGP9ACLK"):
        ps["MAXIGP9ACLK"]
    with pytest.raises(KeyError, match="MIO of PS7 is a pad"):
        ps["MIO"]
    with pytest.raises(ValueError, match="^PS7 has no input MAXIGP0ARADDR$"):
        Primitive("PS7", ones=("MAXIGP0ARADDR",))
    with pytest.raises(ValueError, match="^Yosys' Xilinx library has no primitive PS9$"):
        Primitive("PS9")


def test_what_boards_ask_of_a_shell_is_what_their_top_takes():
    assert bus_of(BOARDS["pynq-z2"]) == (Zynq7Top.control, Zynq7Top.memory)
    assert isinstance(Zynq7Top.memory, AXI3) and Zynq7Top.memory.data_bits == 64
    assert bus_of(BOARDS["zcu104"])[1].data_bits == 128
