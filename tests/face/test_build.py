"""Tests of quinnoa/build.py: from a model to a board's bitstream, by the command."""

import json
from pathlib import Path

import numpy as np
import pytest

from quinnoa import cli
from quinnoa.platforms.boards import BOARDS
from tests.models import inputs, mlp
from tests.platforms.vivado_reports import FAKE, HIERARCHY, TIMING, UTILIZATION_7

WIDTHS = (16, 8, 4)


def run(capsys, *arguments):
    """Run the command; return its exit status, and what it printed."""
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return end.value.code, said.out + said.err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "tiny.onnx"
    path.write_bytes(mlp(WIDTHS, w_bits=1, a_bits=1, seed=1).SerializeToString())
    return path


@pytest.fixture
def no_vivado(monkeypatch):
    """Leave this machine without Vivado, whatever it has."""
    for name in ("VIVADO", "XILINX_VIVADO", "AMARANTH_ENV_VIVADO"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("quinnoa.platforms.toolchains.vivado.USUAL", ())


def test_every_board_is_listed(capsys):
    status, said = run(capsys, "boards")
    assert status == 0
    assert all(name in said for name in BOARDS)


@pytest.mark.parametrize("board, shell", [
    ("pynq-z1", "zynq7"), ("kv260", "zynqmp"), ("arty-a7-100t", "uart")])
def test_a_project_is_prepared(capsys, tmp_path, model, board, shell):
    status, said = run(capsys, "build", model, "--board", board, "-o", tmp_path / "out",
                       "--prepare", "--fps", "1000000")
    project = tmp_path / "out" / board
    assert status == 0, said
    assert said.replace("\n", "").endswith(f"{project} holds the project for vivado")
    script = (project / "tiny.tcl").read_text()
    assert f"-part {BOARDS[board].part}" in script
    assert "tiny.v" in script and (project / "tiny.v").read_text().count("module tiny(") == 1
    assert BOARDS[board].shell == shell
    assert not (tmp_path / "out" / "deploy").exists()


def test_without_its_tool_a_build_says_what_to_install_and_leaves_the_project(
        capsys, tmp_path, model, no_vivado):
    status, said = run(capsys, "build", model, "--board", "zcu104", "-o", tmp_path / "out")
    assert status == 1
    assert "Vivado is missing" in said and "The project is in" in said
    assert (tmp_path / "out" / "zcu104" / "build_tiny.sh").is_file()
    assert not (tmp_path / "out" / "deploy").exists()


def test_a_compiled_folder_is_built_as_it_is(capsys, tmp_path, model):
    out = tmp_path / "out"
    assert run(capsys, "compile", model, "-o", out, "--device", "xc7z020", "--writable")[0] == 0
    verilog = (out / "tiny.v").read_bytes()
    status, said = run(capsys, "build", out, "--board", "pynq-z2", "--prepare")
    assert status == 0, said
    assert (out / "tiny.v").read_bytes() == verilog
    status, said = run(capsys, "build", out, "--board", "ulx3s-85f", "--prepare")
    assert status == 1
    assert "was compiled for xc7, but ulx3s-85f's lfe5u-85f is ecp5" in said
    for option in ("--fps", "--input-scale"):
        status, said = run(capsys, "build", out, "--board", "pynq-z2", option, "5")
        assert status == 2 and f"{option}: a compiled folder is built as it is" in said
    status, said = run(capsys, "build", out, "--part", "xc7z020clg400-1", "--baud", "5")
    assert status == 2 and "--baud: of no use without a board" in said


def test_a_deploy_folder_of_somebody_else_is_refused_before_any_tool_runs(
        capsys, tmp_path, model, no_vivado):
    mine = tmp_path / "out" / "deploy" / "mine.txt"
    arguments = "build", tmp_path / "out", "--board", "pynq-z1"
    assert run(capsys, "compile", model, "-o", tmp_path / "out", "--device", "xc7z020")[0] == 0
    mine.parent.mkdir()
    mine.write_text("kept")
    status, said = run(capsys, *arguments)
    assert status == 1 and "Vivado" not in said
    assert "holds what was not written here, or was changed since: mine.txt" in said
    status, said = run(capsys, *arguments, "--force")
    assert status == 1 and "Vivado is missing" in said


def test_a_part_that_is_too_small_is_refused_with_the_numbers(capsys, tmp_path, model):
    out = tmp_path / "out"
    assert run(capsys, "compile", model, "-o", out, "--device", "xc7z020")[0] == 0
    report = json.loads((out / "report.json").read_text())
    report["totals"] |= {"lut": 60_000, "bram36": 141}
    (out / "report.json").write_text(json.dumps(report))
    status, said = run(capsys, "build", out, "--board", "pynq-z1")
    assert status == 1
    assert ("pynq-z1 (xc7z020) is too small: the design takes 60000 LUT of 53200, 141 BRAM36 of "
            "140; fold further, or take a larger board") in " ".join(said.split())


def test_a_folder_that_is_not_whole_or_cannot_be_written_is_refused(capsys, tmp_path, model):
    out = tmp_path / "out"
    assert run(capsys, "compile", model, "-o", out, "--device", "xc7z020")[0] == 0
    (out / "pynq-z1").write_text("in the way")
    status, said = run(capsys, "build", out, "--board", "pynq-z1", "--prepare")
    assert status == 1
    assert f"error: {out / 'pynq-z1'} cannot be written: File exists" in " ".join(said.split())
    (out / "tiny.v").unlink()
    status, said = run(capsys, "build", out, "--board", "pynq-z2", "--prepare")
    assert status == 1
    assert (f"error: {out / 'tiny.v'} cannot be read: No such file or directory; compile again"
            in " ".join(said.split()))


@pytest.mark.parametrize("frames, classes, words", [
    ((4, 15), None, "takes arrays of shape (frames, 16): (4, 15) is given"),
    ((0, 16), None, "x.npy has no frames"),
    ((4, 16), np.zeros(3, int), "y.npy has 3 labels for 4 frames"),
    ((4, 16), np.full(4, 0.5), "y.npy holds float64: labels are integers, a class for each frame"),
])
def test_frames_and_labels_are_checked_before_any_tool_runs(capsys, tmp_path, model, no_vivado,
                                                            frames, classes, words):
    np.save(tmp_path / "x.npy", np.zeros(frames, np.float32))
    options = ["--images", tmp_path / "x.npy"]
    if classes is not None:
        np.save(tmp_path / "y.npy", classes)
        options += ["--labels", tmp_path / "y.npy"]
    status, said = run(capsys, "build", model, "--board", "pynq-z1", "-o", tmp_path / "out",
                       *options)
    said = " ".join(said.split())
    assert status == 1 and words in said and "Vivado" not in said


@pytest.mark.parametrize("options, words", [
    (["--board", "pink-z1"], "unknown board pink-z1 (did you mean pynq-z1?)"),
    (["--board", "pynq-z1", "--tool", "ise"], "pynq-z1 is not built by ise, but by vivado"),
    (["--board", "ulx3s-85f", "--clock", "5000"], "5000 MHz"),
    (["--board", "ulx3s-85f", "--baud", "80000000"], "80000000"),
    (["--board", "pynq-z1", "--labels", "y.npy"], "labels are of no use without images"),
    (["--board", "pynq-z1", "--images", "none.npy"], "none.npy: there is no such file"),
    (["--board", "zcu104", "--host", "a b"], "a host is [USER@]NAME[:PORT], not 'a b'"),
])
def test_wrong_requests_are_refused(capsys, tmp_path, model, options, words):
    status, said = run(capsys, "build", model, "-o", tmp_path / "out", *options)
    assert status == 1
    assert words in " ".join(said.split())
    assert not (tmp_path / "out" / "deploy").exists()


def test_a_part_gets_the_accelerator_alone(capsys, tmp_path, model, no_vivado, monkeypatch):
    out, part = tmp_path / "out", "xc7z020clg400-1"
    assert run(capsys, "compile", model, "-o", out, "--device", "xc7z020")[0] == 0
    assert run(capsys, "build", out, "--part", part, "--prepare")[0] == 0
    project = out / part
    assert f"-part {part}" in (project / "tiny.tcl").read_text()
    assert "-period 10.0000 [get_ports clk]" in (project / "tiny.xdc").read_text()
    # What stands in the place of Vivado leaves reports as it does.
    made = {"timing": TIMING.format(wns="1.000", state="MET"), "utilization_place": UTILIZATION_7,
            "utilization_hierarchical_place": HIERARCHY}
    for name, text in made.items():
        (tmp_path / f"tiny_{name}.rpt").write_text(text)
    program = tmp_path / "vivado"
    program.write_text(FAKE.format(version="Vivado v2022.1 (64-bit)",
                                   action=f"cp {tmp_path}/tiny_*.rpt ."))
    program.chmod(0o755)
    monkeypatch.setenv("VIVADO", str(program))
    status, said = run(capsys, "build", out, "--part", part)
    # 10 ns less 1 ns to spare.
    assert status == 0 and "100 MHz met, up to 111.11" in " ".join(said.split()), said
    assert "out of context: the accelerator alone" in (out / "report.html").read_text()
    assert not (out / "deploy").exists()


@pytest.mark.parametrize("options, words", [
    (["--part", "xc7z020"], "package and speed grade are missing"),
    (["--part", "xczu7ev-ffvc1156-2-e"], "compiled for xc7, but xczu7ev is xcup"),
    (["--part", "xq2"], "unknown device xq2"),
    (["--part", "xc7z020clg400-1", "--clock", "inf"], "clock is inf MHz, but must be above 0"),
    (["--part", "xc7z020clg400-1;exit"], "a part is letters, digits and -"),
])
def test_wrong_parts_are_refused(capsys, tmp_path, model, options, words):
    assert run(capsys, "compile", model, "-o", tmp_path / "out", "--device", "xc7z020")[0] == 0
    status, said = run(capsys, "build", tmp_path / "out", *options, "--prepare")
    assert status == 1
    assert words in " ".join(said.split())


@pytest.mark.parametrize("options", [[], ["--part", "xc7z020clg400-1"],
                                     ["--part", "xc7z020clg400-1", "--board", "pynq-z1"]])
def test_a_model_goes_to_a_board(capsys, model, options):
    status, said = run(capsys, "build", model, *options)
    assert status == 2 and "give a board, or the part" in said


@pytest.mark.slow
def test_one_command_makes_a_bitstream_and_what_runs_it(capsys, tmp_path, model):
    x = inputs(WIDTHS, 20, i_bits=1, seed=2)
    np.save(tmp_path / "x.npy", x)
    out = tmp_path / "out"
    status, said = run(capsys, "build", model, "--board", "ulx3s-85f", "-o", out,
                       "--fps", "2000000", "--images", tmp_path / "x.npy")
    assert status == 0, said
    assert "80 MHz met" in said
    deploy, report = out / "deploy", json.loads((out / "report.json").read_text())
    metadata = json.loads((deploy / "accelerator.json").read_text())
    assert (deploy / metadata["bitstream"]["file"]).read_bytes() == \
        (out / "ulx3s-85f" / "tiny.bit").read_bytes()
    assert len(np.load(deploy / "expected.npy")) == 20
    assert (deploy / "driver" / "accelerator.py").is_file()
    build = report["build"]
    assert build["met"] and build["reached_mhz"] > 80
    assert build["lut"] > sum(layer["lut"] for layer in build["layers"].values()) > 0
    assert "nextpnr-ecp5" in Path(out / "report.html").read_text()
