# amaranth: UnusedElaboratable=no
"""Tests of platforms/toolchains/vivado.py: found, run here or on a host, its reports read back."""

import shutil
import sys
from functools import lru_cache
from types import SimpleNamespace

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.toolchains import vivado
from quinnoa.platforms.toolchains.plan import execute, plan_for
from quinnoa.platforms.toolchains.tool import Area, Tool, ToolError
from tests.platforms.tiny import tiny_shell
from tests.platforms.vivado_reports import FAKE, HIERARCHY, TIMING, UTILIZATION_7, UTILIZATION_UP


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
