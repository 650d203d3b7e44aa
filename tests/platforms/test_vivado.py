# amaranth: UnusedElaboratable=no
"""Tests of platforms/toolchains/vivado.py: scripts in a Tcl interpreter."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.toolchains import vivado
from quinnoa.platforms.toolchains.plan import plan_for
from quinnoa.platforms.toolchains.tool import ToolError
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
