"""Tests of quinnoa/cli.py: what is parsed, printed, and returned as exit status."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import quinnoa
from quinnoa import cli

ROOT = Path(__file__).resolve().parents[2]
MNIST = ROOT / "examples/mnist"
MODEL = str(MNIST / "tfc_w1a1.onnx")
DIGITS = str(MNIST / "digits.npy")
LABELS = str(MNIST / "labels.npy")


def run(*arguments):
    """Run the command; return its exit status."""
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    return end.value.code


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a folder compiled at the folds of the 2017 paper; tests must leave it as it is."""
    folder = tmp_path_factory.mktemp("compiled") / "tfc"
    status = run("compile", MODEL, "-o", str(folder), "--fold", str(MNIST / "tfc_fold.toml"))
    assert status == 0
    return folder


def test_version_is_shown(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"quinnoa {quinnoa.__version__}\n"


def test_help_imports_nothing_heavy():
    code = "import sys; from quinnoa.cli import main; main(['--help'])"
    done = subprocess.run([sys.executable, "-X", "importtime", "-c", code], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "quinnoa.cli" in imported
    assert imported.isdisjoint({"onnx", "amaranth", "pyosys", "qonnx", "onnxruntime", "jinja2"})


@pytest.mark.parametrize("command", ["check", "compile", "simulate", "report"])
def test_every_command_explains_itself(command, capsys):
    assert run(command, "--help") == 0
    assert "Usage" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [
    ("nonsense",),
    ("check",),
    ("compile", MODEL),
    ("compile", MODEL, "-o", "out", "--fps", "many"),
    ("compile", MODEL, "-o", "out", "--fps", "1", "--fold", "fold.toml"),
    ("compile", MODEL, "-o", "out", "--fps", "1", "--max", "--device", "xc7z020"),
    ("compile", MODEL, "-o", "out", "--max"),
    ("compile", MODEL, "-o", "out", "--family", "abacus"),
    ("compile", MODEL, "-o", "out", "--top", "0"),
    ("compile", MODEL, "-o", "out", "--clock", "0"),
    ("compile", MODEL, "-o", "out", "--input-scale", "2"),
    ("simulate", "out"),
    ("simulate", "out", "--input", DIGITS, "--level", "silicon"),
    ("simulate", "out", "--input", DIGITS, "--limit", "0"),
])
def test_wrong_usage_is_status_2_and_makes_nothing(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    assert "Usage" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [
    ("check", "absent.onnx"), ("compile", "absent.onnx", "-o", "out"), ("report", "absent"),
    ("simulate", "absent", "--input", DIGITS)])
def test_input_at_fault_is_status_1_and_one_message(arguments, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 1
    err = capsys.readouterr().err
    assert err.startswith("error: ") and "absent" in err
    assert "Traceback" not in err
    assert not list(tmp_path.iterdir())


def test_an_error_nobody_expected_keeps_its_traceback(monkeypatch, tmp_path):
    def broken(*_, **__):
        raise ZeroDivisionError("a defect")
    monkeypatch.setattr("quinnoa.flow.load", broken)
    with pytest.raises(ZeroDivisionError, match="^a defect$"):
        cli.main(["check", MODEL])


def test_messages_show_names_as_they_are_and_no_control_characters(monkeypatch, capsys):
    def refuse(*_, **__):
        raise quinnoa.errors.ModelError("node [bold]x\x1b[31m\x07é: first\nsecond")
    monkeypatch.setattr("quinnoa.flow.load", refuse)
    assert run("check", MODEL) == 1
    assert capsys.readouterr().err == "error: node [bold]x\\x1b[31m\\x07é: first\nsecond\n"


def test_check_shows_what_each_node_becomes(capsys):
    assert run("check", MODEL) == 0
    out = capsys.readouterr().out
    for layer in ("mvtu0", "mvtu1", "mvtu2", "mvtu3"):
        assert layer in out
    assert "tfc_w1a1 can be compiled: 4 layers" in out


def test_compile_makes_what_the_guide_lists(compiled, capsys):
    made = {path.name for path in compiled.iterdir()}
    assert made == {"tfc_w1a1.v", "fold.toml", "report.html", "report.json", "model.onnx",
                    "build.json", "component.xml", "package_ip.tcl"}
    assert re.search(r"^module tfc_w1a1\(", (compiled / "tfc_w1a1.v").read_text(), re.MULTILINE)


def test_the_report_has_the_promised_keys(compiled):
    report = json.loads((compiled / "report.json").read_text())
    assert report["bound_cycles"] == 64
    assert report["fps"] == 100e6 / 64
    assert report["clock_mhz"] == 100
    assert report["latency"] >= 64
    totals = dict.fromkeys(("lut", "ff", "bram36", "uram", "dsp"), 0)
    for layer in report["layers"]:
        assert {"name", "kind", "cycles"} <= set(layer)
        for key in totals:
            totals[key] += layer[key]
    assert totals == report["totals"]
    assert max(layer["cycles"] for layer in report["layers"]) == 64


def test_compile_prints_the_layers(tmp_path, capsys):
    assert run("compile", MODEL, "-o", str(tmp_path / "out"), "--fps", "50000") == 0
    out = capsys.readouterr().out
    assert "mvtu0" in out and "mvtu3" in out
    assert json.loads((tmp_path / "out/report.json").read_text())["fps"] >= 50000


def test_nothing_but_the_result_is_said(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "quinnoa.cli", "compile", str(MNIST / "mlp32_a4w4.onnx"), "-o",
         str(tmp_path / "out"), "--fps", "1000", "--device", "xc7z020"], cwd=ROOT,
        capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == f"{tmp_path / 'out' / 'report.html'} shows it whole"


def test_report_draws_the_page_again(compiled, capsys):
    page = compiled / "report.html"
    before = page.read_text(encoding="utf-8")
    page.unlink()
    assert run("report", str(compiled)) == 0
    assert page.read_text(encoding="utf-8") == before
    assert "mvtu0" in capsys.readouterr().out


def test_simulate_of_the_model_tells_the_accuracy(compiled, tmp_path, capsys):
    compiled = shutil.copytree(compiled, tmp_path / "copy")
    assert run("simulate", str(compiled), "--input", DIGITS, "--labels", LABELS,
               "--level", "model", "--limit", "200") == 0
    result = json.loads((compiled / "simulation.json").read_text())
    assert (result["level"], result["frames"], result["mismatches"]) == ("model", 200, 0)
    outputs = np.load(compiled / "outputs.npy").reshape(200, 10)
    labels = np.load(LABELS)[:200]
    assert result["accuracy"] == pytest.approx(np.mean(outputs.argmax(axis=1) == labels))
    assert result["accuracy"] > 0.85
    assert f"accuracy {100 * result['accuracy']:.2f} %" in capsys.readouterr().out
    assert "Measured" in (compiled / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_simulate_of_the_verilog_keeps_the_bound(compiled, tmp_path, capsys):
    folder = shutil.copytree(compiled, tmp_path / "copy")
    assert run("simulate", str(folder), "--input", DIGITS, "--limit", "20",
               "--against", "onnx") == 0
    result = json.loads((folder / "simulation.json").read_text())
    report = json.loads((folder / "report.json").read_text())
    assert (result["level"], result["frames"], result["mismatches"]) == ("rtl", 20, 0)
    assert result["cycles_per_frame"] == report["bound_cycles"] == 64
    assert result["latency"] == report["latency"]
    assert (result["mismatches_onnx"], result["executor_rounds"]) == (0, 0)
    assert "0 with the ONNX executor" in capsys.readouterr().out


@pytest.mark.parametrize("more, status, message", [
    ({"mismatches": 2}, 1, "2 of 7 frames differ from the integer model"),
    ({"mismatches_onnx": 3}, 1,
     "3 of 7 frames differ from the ONNX executor, its own rounding apart"),
    ({"mismatches_onnx": 0, "executor_rounds": 2}, 0, ""),
])
def test_simulate_that_differs_is_status_1(more, status, message, monkeypatch, compiled, capsys):
    result = {"level": "rtl", "frames": 7, "mismatches": 0, "seconds": 0.1} | more
    monkeypatch.setattr("quinnoa.flow.simulate", lambda *_, **__: result)
    assert run("simulate", str(compiled), "--input", DIGITS) == status
    captured = capsys.readouterr()
    assert captured.out.startswith("rtl: 7 frames")
    assert captured.err == (f"error: {message}\n" if message else "")
