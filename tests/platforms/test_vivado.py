# amaranth: UnusedElaboratable=no
"""Tests of platforms/toolchains/vivado.py: scripts in a Tcl interpreter, reports read back."""

import os
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.toolchains import vivado
from quinnoa.platforms.toolchains.plan import execute, plan_for
from quinnoa.platforms.toolchains.tool import Area, Tool, ToolError
from tests.platforms.tiny import tiny_shell

HERE = Path(__file__).parent
WITH_VIVADO = [board for board in BOARDS.values() if "vivado" in board.toolchains]


def run_tcl(folder, name="top"):
    """Run a plan's script in Tcl; return the Vivado commands as lists of words."""
    tclsh = shutil.which("tclsh")
    if tclsh is None:
        if "CI" in os.environ:
            pytest.fail("tclsh is missing: install tcl")
        pytest.skip("tclsh is missing: install tcl")
    said = subprocess.run([tclsh, HERE / "vivado_recorder.tcl", f"{name}.tcl", "commands.log"],
                          cwd=folder, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    # Every word here is plain, in braces, or a string without braces.
    return [[braced or plain for braced, plain in re.findall(r"\{([^{}]*)\}|(\S+)", line)]
            for line in (folder / "commands.log").read_text().splitlines()]


def values(commands, command, *, after):
    """Return what follows the option ``after`` in each call of a command."""
    return [words[words.index(after) + 1] for words in commands
            if words[0] == command and after in words]


@pytest.fixture(scope="module", params=WITH_VIVADO, ids=lambda board: board.name)
def built(request, tmp_path_factory):
    """Return board, plan, folder and the commands that its script gave."""
    board = request.param
    plan = plan_for(board, tiny_shell(board), name="top")
    folder = tmp_path_factory.mktemp(board.name)
    plan.files.extract(folder)
    return board, plan, folder, run_tcl(folder)


def test_the_script_builds_the_right_part_to_a_bitstream(built):
    board, _, _, commands = built
    names = [words[0] for words in commands]
    assert values(commands, "create_project", after="-part") == [board.part]
    assert values(commands, "synth_design", after="-top") == ["top"]
    steps = ["synth_design", "opt_design", "place_design", "route_design", "write_bitstream",
             "quit"]
    places = [names.index(step) for step in steps]
    assert places == sorted(places)
    assert ["write_bitstream", "-force", "-bin_file", "top.bit"] in commands


def test_every_file_the_script_reads_is_in_the_plan_and_every_report_is_written(built):
    board, plan, folder, commands = built
    read = [words[-1] for words in commands
            if words[0] in ("add_files", "read_xdc", "read_verilog")]
    assert sorted(read) == ["jitter.xdc"] * (board.shell != "uart") + ["top.v", "top.xdc"]
    assert all((folder / name).is_file() for name in read)
    written = values(commands, "report_utilization", after="-file") + values(
        commands, "report_timing_summary", after="-file") + ["top.bit"]
    assert set(vivado._products(plan)) <= set(written)


def test_the_pins_are_those_of_the_ports_and_of_the_board(built):
    board, _, folder, commands = built
    pins = {words[3]: words[2] for words in commands
            if words[:2] == ["set_property", "LOC"]}
    standards = {words[3] for words in commands if words[:2] == ["set_property", "IOSTANDARD"]}
    verilog = (folder / "top.v").read_text()
    [ports] = re.findall(r"^module top\((.*?)\);", verilog, re.MULTILINE | re.DOTALL)
    assert set(pins) == standards == {port.strip() for port in ports.split(",")} - {""}
    if board.shell != "uart":
        assert not pins
        return
    platform = board.platform()
    uart = {io.name: io.ios[0].names[0] for io in platform.lookup(board.uart).ios}
    assert pins == {f"{board.oscillator}_0__io":
                    platform.lookup(board.oscillator).ios[0].names[0],
                    "uart_0__rx__io": uart["rx"], "uart_0__tx__io": uart["tx"]}


def test_the_clock_is_constrained_where_it_enters(built):
    board, plan, folder, commands = built
    [clock] = [words for words in commands if words[0] == "create_clock"]
    mhz = board.oscillator_mhz or plan.clock_mhz
    assert float(clock[clock.index("-period") + 1]) == pytest.approx(1000 / mhz)
    net = clock[-1]
    top = re.search(r"^module top\(.*?^endmodule", (folder / "top.v").read_text(),
                    re.MULTILINE | re.DOTALL)[0]
    assert re.search(rf"^  (wire|input|inout) {net};", top, re.MULTILINE)


def test_the_jitter_of_a_ps_is_that_of_the_vendors_constraints(built):
    board, plan, _, commands = built
    # 0.3 ns at 100 MHz, 0.24 ns at 125: processing_system7's set_input_jitter.
    expected = [["set_input_jitter", "ps_clock", f"{30 / plan.clock_mhz:.4f}"]]
    assert [words for words in commands if words[0] == "set_input_jitter"] \
        == expected * (board.shell != "uart")
    # It is of a clock that is there by then.
    names = [words[0] for words in commands]
    assert "set_input_jitter" not in names[:names.index("create_clock")]


def test_paths_into_the_reset_synchroniser_are_not_timed(built):
    _, _, folder, commands = built
    verilog = (folder / "top.v").read_text()
    # The cells that the script looks for are marked, and their PRE is what it names.
    assert len(re.findall(r"amaranth.vivado.false_path_pre +=", verilog)) == verilog.count("FDPE #")
    assert ["get_pins", "-of", "reset_register", "-filter", "REF_PIN_NAME == PRE"] in commands
    assert [words for words in commands if words[0] == "set_false_path"] \
        == [["set_false_path", "-to", "reset_register/PRE"]]


def test_the_same_design_gives_the_same_plan():
    board = BOARDS["pynq-z1"]
    digests = {plan_for(board, tiny_shell(board), name="top").files.digest() for _ in range(2)}
    assert len(digests) == 1


def test_a_clock_that_is_asked_is_the_one_that_is_constrained(tmp_path):
    board = BOARDS["zcu104"]
    plan = plan_for(board, tiny_shell(board), name="top", clock_mhz=333)
    assert f"-period {1000 / 333}" in plan.files.files["top.xdc"]
    assert plan.clock_mhz == 333 and plan.part == "xczu7ev-ffvc1156-2-e"


def test_out_of_context_script_runs_and_names_part_and_clock(tmp_path):
    plan = vivado.out_of_context("module net(input clk); endmodule\n", name="net",
                                 part="xcvu9p-flga2104-2-i", clock_mhz=400)
    plan.files.extract(tmp_path)
    commands = run_tcl(tmp_path, "net")
    assert ["synth_design", "-mode", "out_of_context", "-top", "net", "-part",
            "xcvu9p-flga2104-2-i"] in commands
    assert ["create_clock", "-name", "clk", "-period", "2.5000", "clk"] in commands
    assert not any(words[0] == "write_bitstream" for words in commands)
    reports = values(commands, "report_utilization", after="-file") + values(
        commands, "report_timing_summary", after="-file")
    assert sorted(reports) == sorted(vivado._products(plan))


def test_names_that_could_be_commands_never_reach_a_script():
    board = BOARDS["pynq-z1"]
    for name in ("x;exec ls", "[exit]", "a b", "", "1net", "net/../x"):
        for attempt in (lambda name=name: plan_for(board, tiny_shell(board), name=name),
                        lambda name=name: vivado.out_of_context("", name=name, part="xc7z020",
                                                                clock_mhz=1)):
            with pytest.raises(QuinnoaError, match="a letter first: not "):
                attempt()
    with pytest.raises(ToolError) as error:
        vivado.out_of_context("", name="net", part="xc7z020;exit", clock_mhz=1)
    assert str(error.value) == "a part is letters, digits and -: not 'xc7z020;exit'"
    with pytest.raises(ToolError, match="^clock is 0 MHz, but must be above 0$"):
        vivado.out_of_context("", name="net", part="xc7z020", clock_mhz=0)


def test_a_board_is_built_by_its_own_toolchains_only():
    board = BOARDS["pynq-z1"]
    with pytest.raises(QuinnoaError) as error:
        plan_for(board, tiny_shell(board), name="top", toolchain="ecp5")
    assert str(error.value) == "pynq-z1 is not built by ecp5, but by vivado"


# Reports, in the format of UG906, as Vivado 2020.2 writes them.

TIMING = """\
------------------------------------------------------------------------------------------------
| Design Timing Summary
| ---------------------
------------------------------------------------------------------------------------------------

    WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)      THS(ns)  THS Failing Endpoints  THS Total Endpoints     WPWS(ns)     TPWS(ns)  TPWS Failing Endpoints  TPWS Total Endpoints
    -------      -------  ---------------------  -------------------      -------      -------  ---------------------  -------------------     --------     --------  ----------------------  --------------------
     {wns}      -13.146                     57                 1696        0.082        0.000                      0                 1696        3.750        0.000                       0                  1218


Max Delay Paths
--------------------------------------------------------------------------------------
Slack ({state}) :        {wns}ns  (required time - arrival time)
  Source:                 shell/flow/core/mvtu0/x_reg[0]/C
                            (rising edge-triggered cell FDRE clocked by ps_clock  {{rise@0.000ns}})
  Destination:            shell/flow/core/mvtu1/sum_reg[31]/D
                            (rising edge-triggered cell FDRE clocked by ps_clock  {{rise@0.000ns}})
  Path Group:             ps_clock
  Path Type:              Setup (Max at Slow Process Corner)
  Requirement:            10.000ns  (ps_clock rise@10.000ns - ps_clock rise@0.000ns)

Slack (MET) :             5.000ns  (required time - arrival time)
  Source:                 shell/port/x_reg[0]/C
  Destination:            shell/flow/core/mvtu2/y_reg[0]/D

Min Delay Paths
--------------------------------------------------------------------------------------
Slack (MET) :             -9.000ns  (arrival time - required time)
  Source:                 shell/port/y_reg[0]/C
  Destination:            shell/port/z_reg[0]/D
"""  # noqa: E501

UTILIZATION_7 = """\
+----------------------------+-------+-------+-----------+-------+
|          Site Type         |  Used | Fixed | Available | Util% |
+----------------------------+-------+-------+-----------+-------+
| Slice LUTs                 | 37302 |     0 |     53200 | 70.12 |
|   LUT as Logic             | 33125 |     0 |     53200 | 62.27 |
| Slice Registers            | 51015 |     0 |    106400 | 47.95 |
|   Register as Flip Flop    | 51015 |     0 |    106400 | 47.95 |
+----------------------------+-------+-------+-----------+-------+
| Block RAM Tile    | 106.5 |     0 |       140 | 76.07 |
|   RAMB36/FIFO*    |    90 |     0 |       140 | 64.29 |
| DSPs      |   24 |     0 |       220 | 10.91 |
"""

UTILIZATION_UP = """\
+----------------------------+------+-------+------------+-----------+-------+
|          Site Type         | Used | Fixed | Prohibited | Available | Util% |
+----------------------------+------+-------+------------+-----------+-------+
| CLB LUTs*                  | 8354 |     0 |          0 |    230400 |  3.63 |
| CLB Registers              | 5005 |     0 |          0 |    460800 |  1.09 |
| Block RAM Tile             |  2.5 |     0 |          0 |       312 |  0.80 |
| URAM                       |    4 |     0 |          0 |        96 |  4.17 |
| DSPs                       |    3 |     0 |          0 |      1728 |  0.17 |
"""

HIERARCHY = """\
1. Utilization by Hierarchy
---------------------------

+------------------+---------+------------+------------+---------+------+------+--------+--------+------+------------+
|     Instance     |  Module | Total LUTs | Logic LUTs | LUTRAMs | SRLs |  FFs | RAMB36 | RAMB18 | URAM | DSP Blocks |
+------------------+---------+------------+------------+---------+------+------+--------+--------+------+------------+
| top              |   (top) |       8354 |       6026 |    2328 |    0 | 5005 |      2 |      1 |    4 |          3 |
|   (top)          |   (top) |       1097 |       1097 |       0 |    0 | 4423 |      0 |      0 |    0 |          0 |
|   shell          |   shell |       7257 |       4929 |    2328 |    0 |  582 |      2 |      1 |    4 |          3 |
|     mvtu0        |   mvtu0 |       7000 |       4672 |    2328 |    0 |  500 |      2 |      1 |    4 |          3 |
|       (mvtu0)    |   mvtu0 |          1 |          1 |       0 |    0 |    0 |      0 |      0 |    0 |          0 |
|     fifo1        |   fifo1 |        257 |        257 |       0 |    0 |   82 |      0 |      0 |    0 |          0 |
+------------------+---------+------------+------------+---------+------+------+--------+--------+------+------------+
"""  # noqa: E501


@lru_cache(maxsize=1)
def a_plan():
    board = BOARDS["pynq-z1"]
    return plan_for(board, tiny_shell(board), name="top",
                    layers=("mvtu0", "fifo1", "mvtu1", "mvtu2"))


def test_area_is_read_from_reports_of_both_families():
    assert vivado.read_area(UTILIZATION_7) == Area(37302, 51015, 106.5, 0, 24)
    assert vivado.read_area(UTILIZATION_UP) == Area(8354, 5005, 2.5, 4, 3)
    with pytest.raises(ToolError, match="^the utilization report has no row Slice LUTs or CLB"):
        vivado.read_area("| CLB Registers | 7 |")


def test_area_by_layer_is_read_from_the_hierarchy():
    assert vivado.read_layers(HIERARCHY, a_plan()) == {
        "mvtu0": Area(7000, 500, 2.5, 4, 3), "fifo1": Area(257, 82, 0, 0, 0)}


def test_worst_slack_and_path_are_those_of_setup():
    report = TIMING.format(wns="-2.500", state="VIOLATED")
    assert vivado.read_timing(report) == (
        -2.5, "shell/flow/core/mvtu0/x_reg[0]/C", "shell/flow/core/mvtu1/sum_reg[31]/D")
    with pytest.raises(ToolError, match="^the timing report has no constrained path: no clock"):
        vivado.read_timing(TIMING.format(wns="NA", state="MET").replace("-13.146", "NA"))
    with pytest.raises(ToolError, match="^the timing report has no Design Timing Summary$"):
        vivado.read_timing("")


def test_a_design_that_fails_at_hold_or_pulse_width_is_no_result():
    report = TIMING.format(wns="1.000", state="MET")
    assert vivado.read_timing(report)[0] == 1
    for was, instead, message in [
            ("0.082", "-0.082", "Vivado left a path whose signal comes 0.082 ns too soon (hold), "
             "at any clock; see Min Delay Paths in the timing report, and try another Vivado or a "
             "smaller design"),
            ("3.750", "-0.155", "the clock is 0.155 ns too short for a cell that it drives; see "
             "Pulse Width Checks in the timing report, and build with a slower --clock")]:
        with pytest.raises(ToolError) as error:
            vivado.read_timing(report.replace(f" {was} ", f" {instead} "))
        assert str(error.value) == message


FAKE = """#!/bin/sh
[ "$1" = -version ] && echo "{version}" && exit 0
{action}
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that lays a program in the place of Vivado."""
    monkeypatch.setattr(vivado, "USUAL", ())
    for variable in ("VIVADO", "XILINX_VIVADO", "AMARANTH_ENV_VIVADO"):
        monkeypatch.delenv(variable, raising=False)

    def lay(*, version="Vivado v2022.1 (64-bit)", action="true"):
        path = tmp_path / "bin" / "vivado"
        path.parent.mkdir(exist_ok=True)
        path.write_text(FAKE.format(version=version, action=action))
        path.chmod(0o755)
        monkeypatch.setenv("VIVADO", str(path))
        return path

    return lay


def reports(folder, wns):
    """Write the reports and return the shell commands that lay them beside the script."""
    state = "VIOLATED" if wns.startswith("-") else "MET"
    for name, text in {"timing": TIMING.format(wns=wns, state=state),
                       "utilization_place": UTILIZATION_7,
                       "utilization_hierarchical_place": HIERARCHY}.items():
        (folder / f"top_{name}.rpt").write_text(text)
    return f"cp {folder}/top_*.rpt . && echo bits > top.bit"


def test_vivado_is_found_by_its_variables_and_says_its_version(fake, monkeypatch):
    path = fake()
    assert vivado.find() == Tool("Vivado", "2022.1", path)
    monkeypatch.delenv("VIVADO")
    monkeypatch.setenv("PATH", str(path.parent))
    assert vivado.find().path == path
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("XILINX_VIVADO", str(path.parent.parent))
    assert vivado.find().path == path
    monkeypatch.delenv("XILINX_VIVADO")
    monkeypatch.setenv("AMARANTH_ENV_VIVADO", str(path.parent.parent / "settings64.sh"))
    assert vivado.find().path == path


def test_the_newest_vivado_of_the_usual_folders_is_taken(fake, tmp_path, monkeypatch):
    path = fake()
    monkeypatch.delenv("VIVADO")
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(vivado, "USUAL", (str(tmp_path),))
    for folder in ("Vivado/2019.2", "Vivado/2022.1", "2025.1/Vivado", "Vivado/2024.2"):
        installed = tmp_path / "Xilinx" / folder / "bin" / "vivado"
        installed.parent.mkdir(parents=True)
        shutil.copy(path, installed)
    newest = tmp_path / "Xilinx" / "2025.1" / "Vivado"
    assert vivado.find().path == newest / "bin" / "vivado"
    shutil.rmtree(newest)
    assert vivado.find().path == installed


def test_a_missing_or_old_vivado_is_told_with_what_to_install(fake, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolError) as error:
        vivado.find()
    assert str(error.value) == (
        "Vivado is missing; install Vivado 2020.1 or newer (the free edition has the parts of all "
        "boards but zc706, zcu102 and rfsoc4x2) and put it on the PATH, or name its folder in "
        "XILINX_VIVADO")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    path = fake(version="Vivado v2019.2 (64-bit)")
    with pytest.raises(ToolError, match=f"^{path} is Vivado 2019.2, too old; install Vivado"):
        vivado.find()
    fake(version="something else")
    with pytest.raises(ToolError, match=f"^{path} does not say its version as Vivado does; "):
        vivado.find()
    monkeypatch.setenv("VIVADO", str(path.parent / "none"))
    with pytest.raises(ToolError, match="none does not run "):
        vivado.find()


def test_a_build_gives_bitstream_area_layers_and_clock(fake, tmp_path):
    (tmp_path / "made").mkdir()
    fake(action="echo Command: synth_design -top top; echo '# place_design'; "
                "echo Command: place_design; " + reports(tmp_path / "made", "2.000"))
    stages = []
    result = execute(a_plan(), tmp_path / "build", progress=lambda stage, *_: stages.append(stage))
    assert result.bitstream.read_text() == "bits\n"
    assert result.reached_mhz == pytest.approx(125) and result.met
    assert result.explain() == "100 MHz met: up to 125.0 MHz"
    assert result.area == Area(37302, 51015, 106.5, 0, 24)
    assert result.layers["mvtu0"].lut == 7000
    assert stages == ["running Vivado 2022.1", "synthesis", "placing"]


def test_an_out_of_context_build_has_no_bitstream(fake, tmp_path):
    made = tmp_path / "made"
    made.mkdir()
    reports(made, "0.500")
    for path in made.iterdir():
        path.rename(made / path.name.replace("top_", "net_"))
    fake(action=f"cp {made}/net_*.rpt .")
    plan = vivado.out_of_context("module net(input clk); endmodule\n", name="net",
                                 part="xczu7ev-ffvc1156-2-e", clock_mhz=400, layers=("mvtu0",))
    result = execute(plan, tmp_path / "build")
    assert result.bitstream is None
    # 2.5 ns less 0.5 ns to spare.
    assert result.reached_mhz == pytest.approx(500)
    assert list(result.layers) == ["mvtu0"]


def test_a_clock_that_is_not_met_is_told_with_the_layer(fake, tmp_path):
    (tmp_path / "made").mkdir()
    fake(action=reports(tmp_path / "made", "-2.500"))
    result = execute(a_plan(), tmp_path / "build")
    assert not result.met and result.worst == "mvtu1"
    assert result.explain() == (
        "100 MHz not met: 80.0 MHz reached; the slowest path ends in mvtu1; build with --clock 80, "
        "or fold further where the path is")


def test_a_build_that_fails_says_its_last_lines_and_leaves_no_bitstream(fake, tmp_path):
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "top.bit").write_text("of an earlier build")
    fake(action="echo ERROR: no license; exit 1")
    with pytest.raises(QuinnoaError) as error:
        execute(a_plan(), tmp_path / "build")
    assert str(error.value) == ("Vivado failed with status 1:\nERROR: no license\n"
                                f"{tmp_path}/build/top.out has it all")
    assert not (tmp_path / "build" / "top.bit").exists()
    fake(action="true")
    with pytest.raises(ToolError, match="^Vivado ended without top.bit, top_timing.rpt, top_util"):
        execute(a_plan(), tmp_path / "build")


def test_a_part_that_this_vivado_has_not_is_told_with_what_to_install(fake, tmp_path):
    fake(action="echo 'ERROR: [Coretcl 2-106] Specified part could not be found.'; exit 1")
    with pytest.raises(ToolError) as error:
        execute(a_plan(), tmp_path / "build")
    assert str(error.value).endswith(
        "has it all\nThis Vivado has no xc7z020clg400-1: add its family with Vivado's installer, "
        "or take a newer Vivado, or an edition that has it")


def test_a_remote_host_is_checked_and_serves_vivado_only(tmp_path, monkeypatch):
    with pytest.raises(ToolError) as error:
        execute(a_plan(), tmp_path, host="me@host;rm")
    assert str(error.value) == "a host is [USER@]NAME[:PORT], not 'me@host;rm'"
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(ToolError) as error:
        execute(a_plan(), tmp_path, host="there")
    assert str(error.value) == ("paramiko is missing, by which remote hosts are reached: "
                                "pip install paramiko")
    board = BOARDS["arty-a7-100t"]
    plan = plan_for(board, tiny_shell(board), name="top", toolchain="xc7open")
    with pytest.raises(ToolError) as error:
        execute(plan, tmp_path, host="there")
    assert str(error.value) == "xc7open runs here only; a host serves Vivado"


def test_a_remote_build_fetches_what_the_host_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "paramiko", SimpleNamespace(SSHException=EOFError))
    made = tmp_path / "made"
    made.mkdir()
    reports(made, "1.000")
    (made / "top.bit").write_text("bits")
    plan, calls = a_plan(), {}

    def remote(*, connect_to, root):
        calls.update(connect_to, root=root)
        return SimpleNamespace(get=lambda name: (made / name).read_bytes())
    monkeypatch.setattr(plan.files, "execute_remote_ssh", remote)
    result = execute(plan, tmp_path / "build", host="me@there:2222")
    assert result.bitstream.read_text() == "bits" and result.met
    assert calls == {"hostname": "there", "username": "me", "port": 2222,
                     "root": f"quinnoa_top_{plan.files.digest(8).hex()}"}
    (made / "top.bit").unlink()
    with pytest.raises(ToolError) as error:
        execute(plan, tmp_path / "build2", host="me@there:2222")
    assert str(error.value) == (
        "the build on me@there:2222 gave no top.bit: No such file or directory; see "
        f"quinnoa_top_{plan.files.digest(8).hex()}/top.log there, or whether Vivado is on the PATH "
        "there")


@pytest.mark.parametrize("error, said", [
    (OSError(-2, "Name or service not known"), "Name or service not known"),
    (EOFError("Authentication failed."), "Authentication failed.")])
def test_a_remote_host_that_cannot_be_reached_is_told(tmp_path, monkeypatch, error, said):
    monkeypatch.setitem(sys.modules, "paramiko", SimpleNamespace(SSHException=EOFError))
    plan = a_plan()

    def remote(**_):
        raise error
    monkeypatch.setattr(plan.files, "execute_remote_ssh", remote)
    with pytest.raises(ToolError) as refusal:
        execute(plan, tmp_path / "build", host="there")
    assert str(refusal.value) == (f"there cannot be used: {said}; `ssh there` must work without a "
                                  "password")
