# amaranth: UnusedElaboratable=no
"""Tests of platforms/toolchains/ecp5.py: the tools, the report read back, and real bitstreams."""

import copy
import json
import re

import pytest

import quinnoa
from quinnoa.errors import QuinnoaError
from quinnoa.graph.build import build as build_network
from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.deploy import frame_formats
from quinnoa.platforms.toolchains import ecp5
from quinnoa.platforms.toolchains.plan import execute, plan_for
from quinnoa.platforms.toolchains.tool import Area, ToolError
from quinnoa.platforms.uart import UARTShell
from quinnoa.rtl.families import ECP5
from quinnoa.synthesis import Cells
from tests.models import mlp
from tests.platforms.tiny import tiny_shell

INSTALL = ("pip install quinnoa[pnr] brings both; or put nextpnr-ecp5 and ecppack on the PATH, or "
           "name them in NEXTPNR_ECP5 and ECPPACK")


def path(clock, *cells):
    return {"from": f"posedge {clock}", "to": f"posedge {clock}",
            "path": [{"delay": 1, "type": "routing", "from": {"cell": a}, "to": {"cell": b}}
                     for a, b in zip(cells, cells[1:], strict=False)]}


# As nextpnr writes it: of each clock the slowest path, and the paths between clocks and pins.
REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 125.0, "constraint": 100.0},
             "$glbnet$osc": {"achieved": 300.0, "constraint": 25.0}},
    "critical_paths": [
        path("$glbnet$osc", "pll.a", "pll.b"),
        {**path("$glbnet$clk", "rx.a", "shell.core.mvtu0.a"), "from": "<async>"},
        path("$glbnet$clk", "shell.core.mvtu0.x_TRELLIS_FF_Q", "shell.core.mvtu1.y_LUT4_Z",
             "shell.core.mvtu1.acc3.y_TRELLIS_FF_Q")],
    "utilization": {"TRELLIS_COMB": {"available": 83640, "used": 100},
                    "TRELLIS_RAMW": {"available": 10455, "used": 3},
                    "TRELLIS_FF": {"available": 83640, "used": 70},
                    "DP16KD": {"available": 208, "used": 5},
                    "MULT18X18D": {"available": 156, "used": 2}}}


@pytest.fixture(scope="module")
def plan():
    board = BOARDS["ulx3s-85f"]
    return plan_for(board, tiny_shell(board), name="top", clock_mhz=100, layers=("mvtu0", "mvtu1"))


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Return a function that lays programs in the places of both tools, and names them."""
    monkeypatch.setattr(ecp5, "synthesise", lambda *args, **options: {
        "": Cells({"LUT4": 9}), "mvtu0": Cells({"LUT4": 5, "TRELLIS_FF": 2}),
        "fifo0": Cells({"TRELLIS_FF": 1})})

    def lay(report=REPORT, *, version="nextpnr-0.9", nextpnr="", ecppack="for f; do case $f in "
            "*.part) echo bits > $f; esac; done"):
        (tmp_path / "said.json").write_text(json.dumps(report))
        for variable, name, action in (
                ("NEXTPNR_ECP5", "nextpnr-ecp5",
                 f'[ "$1" = --version ] && echo "nextpnr-ecp5 -- Next Generation Place and Route '
                 f'(Version {version})" && exit 0\necho "$@" > given\n'
                 f"cp {tmp_path}/said.json report.json\n{nextpnr}"),
                ("ECPPACK", "ecppack", ecppack)):
            program = tmp_path / name
            program.write_text(f"#!/bin/sh\n{action}\n")
            program.chmod(0o755)
            monkeypatch.setenv(variable, str(program))
    return lay


def test_missing_tools_are_named_with_what_brings_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NEXTPNR_ECP5", raising=False)
    monkeypatch.delenv("ECPPACK", raising=False)
    monkeypatch.setattr(ecp5.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError) as error:
        ecp5.find()
    assert str(error.value) == f"nextpnr-ecp5 and ecppack missing; {INSTALL}"


def test_tools_named_in_variables_come_first(tools, tmp_path):
    tools(version="nextpnr-0.8-12-gabcdef")
    found = ecp5.find()
    assert (found.name, found.version) == ("nextpnr-ecp5", "0.8-12-gabcdef")
    assert found.path == tmp_path / "nextpnr-ecp5"


def test_a_tool_that_is_too_old_is_refused(tools, tmp_path):
    tools(version="nextpnr-0.4")
    with pytest.raises(ToolError) as error:
        ecp5.find()
    assert str(error.value) == (f"{tmp_path / 'nextpnr-ecp5'} is nextpnr 0.4, too old: 0.5 at "
                                f"least; {INSTALL}")


def test_a_build_gives_bitstream_clock_area_and_layers(plan, tools, tmp_path):
    tools()
    stages = []
    result = execute(plan, tmp_path / "build",
                     progress=lambda stage, done=0, total=0: stages.append(stage))
    assert result.bitstream == tmp_path / "build" / "top.bit"
    assert result.bitstream.read_text() == "bits\n"
    assert (result.clock_mhz, result.reached_mhz, result.met) == (100, 125, True)
    # A DPR16X4 takes the slice of its write port, too.
    assert result.area == Area(lut=106, ff=70, bram36=2.5, dsp=2)
    assert result.layers == {"mvtu0": Area(lut=5, ff=2)}
    assert result.worst == "mvtu1"
    assert stages[-1] == "packing the bitstream"


def test_nextpnr_is_given_the_board_and_the_clock(plan, tools, tmp_path):
    tools()
    execute(plan, tmp_path / "build")
    given = (tmp_path / "build" / "given").read_text()
    assert "--85k --package CABGA381 --speed 6 --json top.json --lpf top.lpf" in given
    assert "--freq 100 " in given and "--quiet" not in given


def test_a_clock_that_is_missed_names_the_layer(plan, tools, tmp_path):
    report = copy.deepcopy(REPORT)
    report["fmax"]["$glbnet$clk"]["achieved"] = 87.65
    tools(report)
    result = execute(plan, tmp_path / "build")
    assert not result.met
    assert result.explain().startswith("100 MHz not met: 87.7 MHz reached; the slowest path ends "
                                       "in mvtu1; ")


def test_a_path_outside_of_the_layers_names_the_shell(plan, tools, tmp_path):
    report = copy.deepcopy(REPORT)
    report["critical_paths"][-1]["path"][-1]["to"]["cell"] = "shell.results.words_DOB6_LUT4_C"
    tools(report)
    assert execute(plan, tmp_path / "build").worst == "shell"


def test_the_clock_furthest_behind_counts():
    report = copy.deepcopy(REPORT)
    report["fmax"]["$glbnet$osc"]["achieved"] = 20.0
    reached, _, end = ecp5.read_report(report, 100.0)
    assert (reached, end) == (80.0, "pll.b")


def test_a_design_without_a_clock_is_refused():
    with pytest.raises(ToolError, match="^nextpnr names no clock: nothing in the design is "
                                        "clocked$"):
        ecp5.read_report(REPORT | {"fmax": {}}, 100.0)


@pytest.mark.parametrize("programs, what", [
    ({"nextpnr": "echo no room; exit 1"},
     r"place and route \(nextpnr-ecp5\) failed with status 1:\nno room\n"),
    ({"ecppack": "for f; do echo half > $f; done; exit 1"},
     r"packing \(ecppack\) failed with status 1:\n"),
    ({"ecppack": "true"}, r"ecppack ended without top\.svf; see "),
    ({"nextpnr": "echo '{' > report.json"}, r"nextpnr's report \S+ cannot be read: ")])
def test_a_build_that_fails_says_why(plan, tools, tmp_path, programs, what):
    tools(**programs)
    with pytest.raises(QuinnoaError, match=f"^{what}"):
        execute(plan, tmp_path / "build")


@pytest.mark.parametrize("programs", [
    {"nextpnr": "exit 1"}, {"ecppack": "for f; do echo half > $f.part; done; exit 1"},
    {"ecppack": "for f; do case $f in *.part) echo half > $f; esac; done; kill -9 $$"}])
def test_a_build_that_fails_leaves_no_bitstream(plan, tools, tmp_path, programs):
    tools()
    execute(plan, tmp_path / "build")
    assert (tmp_path / "build" / "top.bit").exists()
    tools(**programs)
    with pytest.raises(QuinnoaError):
        execute(plan, tmp_path / "build")
    assert not (tmp_path / "build" / "top.bit").exists()
    assert not (tmp_path / "build" / "top.svf").exists()


def test_what_takes_too_long_is_ended(plan, tools, tmp_path):
    tools(nextpnr="exec sleep 60")
    log = re.escape(str(tmp_path / "build" / "top.out"))
    with pytest.raises(QuinnoaError, match=rf"^place and route \(nextpnr-ecp5\) was ended after "
                                           rf"0\.5 s, its time limit; {log} shows"):
        ecp5.build(plan, tmp_path / "build", timeout=0.5)


def whole(bitstream, idcode):
    """Tell whether a bitstream is one for the device: preamble, and VERIFY_ID with its code."""
    data = bitstream.read_bytes()
    return b"\xff\xff\xbd\xb3" in data and b"\xe2\x00\x00\x00" + idcode in data


# JTAG codes of FPGA-TN-02039: LFE5U-85F 41113043, LFE5UM5G-85F 81113043.
@pytest.mark.slow
def test_a_small_network_becomes_a_bitstream_for_ulx3s(tmp_path):
    board = BOARDS["ulx3s-85f"]
    network = quinnoa.fold(quinnoa.load(mlp((16, 8, 4), w_bits=1, a_bits=1, seed=1)), fps=2e6,
                           family="ecp5")
    core, planned = build_network(network, family=ECP5)
    shell = UARTShell(core, *frame_formats(planned, board.word_bits), network_id=1,
                      clock_hz=80_000_000, baud=1_000_000)
    plan = plan_for(board, shell, name="small", clock_mhz=80,
                    layers=tuple(unit.name for unit in planned.units))
    stages = set()
    result = execute(plan, tmp_path, progress=lambda stage, done=0, total=0: stages.add(stage))
    assert whole(result.bitstream, b"\x41\x11\x30\x43")
    assert result.met and result.clock_mhz == 80
    assert result.layers["mvtu0"].ff > 0
    assert result.area.ff > sum(area.ff for area in result.layers.values())
    assert {"placing", "routing"} <= stages


@pytest.mark.slow
def test_a_shell_becomes_a_bitstream_for_ecpix5(tmp_path):
    board = BOARDS["ecpix5-85f"]
    result = execute(plan_for(board, tiny_shell(board), name="top"), tmp_path)
    assert whole(result.bitstream, b"\x81\x11\x30\x43")
    assert result.met
