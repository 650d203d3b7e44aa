"""Tests of quinnoa/flow.py: compiled folders, and simulation from them."""

import json
import shutil

import numpy as np
import pytest

import quinnoa
from quinnoa.errors import QuinnoaError
from tests.models import inputs, mlp, reference

WIDTHS = (16, 8, 8, 4)
KEYS = {"layers", "bound_cycles", "latency", "fps", "clock_mhz", "totals"}
LAYER_KEYS = {"name", "kind", "cycles", "lut", "ff", "bram36", "uram", "dsp"}


@pytest.fixture(scope="module")
def model():
    return mlp(WIDTHS, w_bits=2, a_bits=2, seed=3)


@pytest.fixture(scope="module")
def frames():
    return inputs(WIDTHS, 40, i_bits=2, seed=3)


@pytest.fixture(scope="module")
def compiled(model, frames, tmp_path_factory):
    """Return a compiled folder, its report, and a file of frames."""
    folder = tmp_path_factory.mktemp("flow")
    np.save(folder / "x.npy", frames)
    report = quinnoa.compile_network(quinnoa.load(model), folder / "out", fps=5e6)
    return folder / "out", report, folder / "x.npy"


def test_a_compiled_folder_holds_what_the_design_fixes(compiled):
    folder, report, _ = compiled
    names = {path.name for path in folder.iterdir()}
    assert {f"{report['name']}.v", "fold.toml", "report.html", "report.json"} <= names
    assert json.loads((folder / "report.json").read_text()) == report
    assert report.keys() >= KEYS
    assert all(layer.keys() >= LAYER_KEYS for layer in report["layers"])
    assert f"module {report['name']}(" in (folder / f"{report['name']}.v").read_text()


def test_the_same_network_gives_the_same_bytes(compiled, model, tmp_path):
    folder, report, _ = compiled
    quinnoa.compile_network(quinnoa.load(model), tmp_path / "again", fps=5e6)
    for name in (f"{report['name']}.v", "fold.toml", "build.json"):
        assert (tmp_path / "again" / name).read_bytes() == (folder / name).read_bytes()


def test_the_rtl_gives_what_the_executor_gives(compiled, model, frames):
    folder, report, x = compiled
    result = quinnoa.simulate(folder, input=x, against="onnx")
    assert (result["frames"], result["mismatches"], result["mismatches_onnx"]) == (40, 0, 0)
    assert result["cycles_per_frame"] == report["bound_cycles"]
    assert result["latency"] == report["latency"]
    assert json.loads((folder / "simulation.json").read_text()) == result
    assert np.array_equal(np.load(folder / "outputs.npy"), reference(model, frames))


def test_verilog_that_computes_something_else_is_found(compiled, tmp_path):
    folder, report, x = compiled
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    verilog = broken / f"{report['name']}.v"
    text = verilog.read_text()
    assert "m_axis_tdata = " in text
    verilog.write_text(text.replace("m_axis_tdata = ", "m_axis_tdata = ~", 1))
    assert quinnoa.simulate(broken, input=x, limit=5)["mismatches"] == 5


def test_the_accuracy_counts_the_labels_met(compiled, model, frames, tmp_path):
    folder, _, x = compiled
    labels = reference(model, frames).argmax(axis=1)
    labels[:10] = (labels[:10] + 1) % 4
    np.save(tmp_path / "y.npy", labels)
    result = quinnoa.simulate(folder, input=x, labels=tmp_path / "y.npy", level="model")
    assert result["accuracy"] == 0.75
    assert (result["level"], result["cycles_per_frame"]) == ("model", None)


def test_an_edited_fold_file_serves_the_next_compilation(model, tmp_path):
    network = quinnoa.load(model)
    slow = quinnoa.compile_network(network, tmp_path, fps=1e6)
    fold = tmp_path / "fold.toml"
    text = "[mvtu0]\npe = 8\nsimd = 16\n[mvtu1]\npe = 8\nsimd = 8\n[mvtu2]\npe = 4\nsimd = 8\n"
    fold.write_text(text)
    fast = quinnoa.compile_network(network, tmp_path)
    assert slow["bound_cycles"] > fast["bound_cycles"] == 1
    assert (tmp_path / "fold.toml.old").read_text() == text


def test_an_edited_fold_file_is_not_taken_for_the_one_that_was_compiled(compiled, tmp_path):
    folder, _, x = compiled
    edited = tmp_path / "edited"
    shutil.copytree(folder, edited)
    with (edited / "fold.toml").open("a") as file:
        file.write("# mine\n")
    with pytest.raises(QuinnoaError, match=f"^{edited / 'fold.toml'} was edited since {edited} was "
                                           f"compiled; compile again, with -o {edited}$"):
        quinnoa.simulate(edited, input=x, limit=1)


@pytest.mark.parametrize("content", ["notes.txt", "build.json.bak"])
def test_a_folder_of_somebody_else_is_left_alone(model, tmp_path, content):
    (tmp_path / content).write_text("mine")
    with pytest.raises(QuinnoaError, match=rf"^{tmp_path} holds other files \({content}\) and no "
                                           r"compiled network; give an empty folder with -o, or "
                                           r"--force$"):
        quinnoa.compile_network(quinnoa.load(model), tmp_path, fps=1e6)
    assert [path.name for path in tmp_path.iterdir()] == [content]


@pytest.mark.parametrize("name, message", [
    ("notes.txt", "{path} is a file, not a folder; give another name with -o"),
    ("notes.txt/out", "Not a directory: {path}; give another folder with -o"),
    ("x" * 300, "File name too long: {path}; give another folder with -o")])
def test_refuses_what_can_be_no_folder(model, tmp_path, name, message):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(QuinnoaError) as error:
        quinnoa.compile_network(quinnoa.load(model), tmp_path / name, fps=1e6)
    assert str(error.value) == message.format(path=tmp_path / name)


@pytest.mark.parametrize("made, message", [
    ("{", "{folder} is not a compiled folder; make one with: quinnoa compile MODEL -o DIR"),
    ("[]", "{folder} was compiled by another version of quinnoa; compile again"),
    ('{"format": 1, "name": "x"}', "{folder}/build.json is damaged: it has no family, clock_mhz, "
     "top, input, model_sha256, beats_in, beats_out, i_lanes, o_lanes; compile again")])
def test_refuses_a_folder_that_lacks_something(compiled, tmp_path, made, message):
    folder, _, x = compiled
    shutil.copytree(folder, tmp_path / "out")
    (tmp_path / "out" / "build.json").write_text(made)
    with pytest.raises(QuinnoaError) as error:
        quinnoa.simulate(tmp_path / "out", input=x, limit=1)
    assert str(error.value) == message.replace("{folder}", str(tmp_path / "out"))


def test_refuses_what_cannot_be_simulated_or_written(compiled, tmp_path):
    folder, _, x = compiled
    for options, message in (
            ({"level": "silicon"}, "unknown level silicon; the levels are model, rtl, gates"),
            ({"against": "torch"}, "cannot compare with torch; --against takes onnx")):
        with pytest.raises(QuinnoaError, match=f"^{message}$"):
            quinnoa.simulate(folder, input=x, **options)
    shutil.copytree(folder, tmp_path / "out")
    (tmp_path / "out" / "outputs.npy").unlink(missing_ok=True)
    (tmp_path / "out" / "outputs.npy").mkdir()
    with pytest.raises(QuinnoaError, match=r"outputs\.npy cannot be written: Is a directory$"):
        quinnoa.simulate(tmp_path / "out", input=x, limit=1, level="model")
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("text, message", [
    (None, "{path} cannot be read: No such file or directory; compile again"),
    ("module other(); endmodule", "the Verilog has no module {name} with a port s_axis_tdata")])
def test_refuses_verilog_that_is_none(compiled, tmp_path, text, message):
    folder, report, x = compiled
    path = tmp_path / "out" / f"{report['name']}.v"
    shutil.copytree(folder, path.parent)
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(QuinnoaError) as error:
        quinnoa.simulate(path.parent, input=x, limit=1)
    assert str(error.value) == message.format(path=path, name=report["name"])


def test_another_network_leaves_nothing_of_the_one_before(compiled, model, tmp_path):
    folder, report, _ = compiled
    shutil.copytree(folder, tmp_path / "out")
    quinnoa.compile_network(quinnoa.load(model).renamed("other"), tmp_path / "out", fps=5e6)
    assert [path.name for path in (tmp_path / "out").glob("*.v")] == ["other.v"]


def test_force_writes_beside_what_is_there(model, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    quinnoa.compile_network(quinnoa.load(model), tmp_path, fps=1e6, force=True)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_raw_integers_may_enter(model, tmp_path):
    network = quinnoa.load(model, input=("int8", 0.25, 0.0))
    quinnoa.compile_network(network, tmp_path / "out", fps=5e6)
    raw = np.random.default_rng(0).integers(-9, 9, (30, WIDTHS[0]), dtype=np.int8)
    np.save(tmp_path / "x.npy", raw)
    assert quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy")["mismatches"] == 0
    outputs = np.load(tmp_path / "out" / "outputs.npy")
    assert np.array_equal(outputs, reference(model, (raw * 0.25).astype(np.float32)))
