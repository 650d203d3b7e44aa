# amaranth: UnusedElaboratable=no
"""Tests of platforms/toolchains/xc7open.py: the plan, the tools, the log read back."""

import re

import pytest
from amaranth import Cat, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from pyosys import libyosys

from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.toolchains import xc7open
from quinnoa.platforms.toolchains.plan import LUT_PAIR, execute, plan_for
from quinnoa.platforms.toolchains.tool import Area, ToolError
from tests.platforms.tiny import tiny_shell

# nextpnr's own words: placement first, then routing.
LOG = """\
Info: Device utilisation:
Info: 	          SLICE_LUTX:   452/126800     0%
Info: 	           SLICE_FFX:   310/253600     0%
Info: 	   RAMB18E1_RAMB18E1:     1/  270     0%
Info: 	   RAMB36E1_RAMB36E1:     2/  135     1%
Info: 	     DSP48E1_DSP48E1:     3/  240     1%

Info: Max frequency for clock 'clock': 150.00 MHz (PASS at 100.00 MHz)
Info: Critical path report for clock 'clock' (posedge -> posedge):
Info: curr total
Info:  0.5  0.5  Source shell.core.mvtu0.x_reg.Q
Info:  1.0  1.5    Net x budget 1.000000 ns (1,1) -> (2,2)
Info:  0.1  1.6  Setup shell.core.mvtu0.y_reg.D
Info: Max frequency for clock 'clock': {mhz} MHz ({verdict} at 100.00 MHz)
Info: Max frequency for clock 'oscillator': 400.00 MHz (PASS at 12.00 MHz)
Info: Critical path report for clock 'clock' (posedge -> posedge):
Info: curr total
Info:  0.5  0.5  Source shell.core.mvtu0.x_reg.Q
Info:  1.0  1.5    Net x budget 1.000000 ns (1,1) -> (2,2)
Info:  0.1  1.6  Setup shell.core.mvtu1.z_reg.D
"""


@pytest.fixture(scope="module")
def plan():
    board = BOARDS["arty-a7-100t"]
    return plan_for(board, tiny_shell(board), name="top", toolchain="xc7open", clock_mhz=100,
                    layers=("mvtu0", "mvtu1"))


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Return a function that lays programs in the places of the four tools."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def lay(action="true", names=xc7open.TOOLS):
        for name in names:
            (folder / name).write_text("#!/bin/sh\n"
                                       '[ "$1" = --version ] && echo "nextpnr-xilinx -- Next '
                                       'Generation Place and Route (Version 0.8.2)" && exit 0\n'
                                       + (action if name == "nextpnr-xilinx" else "true\n")
                                       + ("\necho bits > top.bit" if name.startswith("xc7") else
                                          ""))
            (folder / name).chmod(0o755)
    return lay


def test_the_plan_names_part_pins_and_clock(plan):
    script, xdc = plan.files.files["build_top.sh"], plan.files.files["top.xdc"]
    assert "--chipdb $CHIPDB_DIR/xc7a100t.bin" in script
    assert "--part xc7a100tcsg324-1 --db-root $DB_DIR/artix7" in script
    assert "--json top.json --freq 100 --write" in script
    assert set(re.findall(r"LOC (\S+) ", xdc)) == {"E3", "A9", "D10"}
    assert "synth_xilinx" in script and "top.v" in plan.files.files


class Pair(wiring.Component):
    """A LUT6_2 behind the pins of a UART shell."""

    rx: In(1)
    tx: Out(1)

    def elaborate(self, platform):
        m = Module()
        x, o5, o6 = Signal(6), Signal(), Signal()
        m.d.sync += [x.eq(Cat(x, self.rx)[1:]), self.tx.eq(o5 ^ o6)]
        m.submodules.pair = Instance("LUT6_2", p_INIT=Const(0x0123_4567_89AB_CDEF, 64), o_O5=o5,
                                     o_O6=o6, **{f"i_I{k}": x[k] for k in range(6)})
        return m


def test_pairs_of_luts_are_laid_apart_for_nextpnr_alone():
    board = BOARDS["arty-a7-100t"]
    texts = {}
    for toolchain in board.toolchains:
        plan = plan_for(board, Pair(), name="top", toolchain=toolchain)
        texts[toolchain] = plan.files.files["top.v"]
    assert "LUT6_2 #" in texts["vivado"] and "lut_pair" not in texts["vivado"]
    assert "LUT6_2 #" not in texts["xc7open"] and "lut_pair #" in texts["xc7open"]


@pytest.mark.parametrize("init", ["0123456789abcdef", "fedc00aa55ff1248"])
def test_two_luts_do_what_the_pair_does(init, tmp_path):
    ports = ", ".join(f".I{k}(x[{k}])" for k in range(6))
    (tmp_path / "both.v").write_text(LUT_PAIR + f"""
module both (input [5:0] x, output same);
  wire a5, a6, b5, b6;
  LUT6_2 #(.INIT(64'h{init})) a (.O5(a5), .O6(a6), {ports});
  lut_pair #(.INIT(64'h{init})) b (.O5(b5), .O6(b6), {ports});
  assign same = {{a5, a6}} == {{b5, b6}};
endmodule
""")
    design = libyosys.Design()
    for command in ("read_verilog +/xilinx/cells_sim.v", f"read_verilog {tmp_path}/both.v",
                    "hierarchy -top both", "proc", "flatten", "opt",
                    "sat -verify -prove same 1"):
        libyosys.Pass.call(design, f"tee -q {command}")


def test_missing_tools_are_all_named(tools, monkeypatch):
    tools(names=("yosys", "fasm2frames"))
    with pytest.raises(ToolError) as error:
        xc7open.find()
    assert str(error.value) == (
        "nextpnr-xilinx and xc7frames2bit missing; install openXC7 (its installer brings all "
        "four), put its bin on the PATH, and name its databases in DB_DIR (prjxray-db) and "
        "CHIPDB_DIR (chip databases)")
    tools()
    assert xc7open.find().version == "0.8.2"


@pytest.mark.parametrize("mhz, verdict, met", [("123.45", "PASS", True), ("87.65", "FAIL", False)])
def test_a_build_gives_bitstream_area_and_the_clock_after_routing(plan, tools, tmp_path, mhz,
                                                                  verdict, met):
    (tmp_path / "said").write_text(LOG.format(mhz=mhz, verdict=verdict))
    tools(action=f"cat {tmp_path}/said")
    result = execute(plan, tmp_path / "build")
    assert result.bitstream.read_text() == "bits\n"
    assert result.reached_mhz == float(mhz) and result.met == met
    assert result.area == Area(452, 310, 2.5, 0, 3)
    assert result.worst == "mvtu1"


def test_a_log_without_a_clock_is_refused():
    with pytest.raises(ToolError, match="^nextpnr-xilinx names no clock: nothing in the design"):
        xc7open.read_log("")


def test_a_tool_that_does_not_run_is_told(tools, tmp_path):
    tools()
    program = tmp_path / "bin" / "nextpnr-xilinx"
    program.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(ToolError, match=rf"^{program} does not run \(.*Exec format error.*\); "
                                        "install openXC7"):
        xc7open.find()
