"""Bad input of every kind gives one clear error and leaves nothing behind."""

import io
import os
from contextlib import redirect_stderr, redirect_stdout

import pytest

from quinnoa.cli import main
from tests import bad_models, bad_networks, bad_requests
from tests.bad_models import compiling, good


def run(argv):
    """Run the command in this process; return its exit status, standard output and error."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            main(argv)
        except SystemExit as end:
            status = end.code or 0
    return status, out.getvalue(), err.getvalue()


def contents(folder):
    """Return every file, folder and link below ``folder``, with what the files hold."""
    return {path: path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))}


KINDS = bad_models.KINDS + bad_networks.KINDS + bad_requests.KINDS


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_bad_input_gives_one_error_and_leaves_nothing_behind(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    bad = kind(tmp_path)
    before, here = contents(tmp_path), sorted(os.listdir())
    status, out, err = run(bad.argv)
    assert status == bad.status, err
    assert not out
    assert "Traceback" not in err
    if status == 1:
        assert err.startswith("error: ") and err.count("error:") == 1
    for word in bad.words:
        assert word.lower() in err.lower(), f"{word!r} is not in: {err}"
    assert contents(tmp_path) == before
    assert sorted(os.listdir()) == here


def test_the_network_that_the_kinds_are_made_from_is_sound(tmp_path):
    bad = compiling(tmp_path, good())
    status, _, err = run(bad.argv)
    assert status == 0, err
    assert (tmp_path / "out" / "net.v").is_file()


NAMES = ["$(touch pwned)", "`touch pwned`", "a; touch pwned", "a\nb", "..", "-o", "été 网络",
         "x" * 200, "module", "1", "a\"b'c"]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_does_harm(name, tmp_path, monkeypatch):
    # The file, the graph, a node and a tensor are all called so.
    monkeypatch.chdir(tmp_path)
    model = good()
    model.graph.name = f"../{name}"
    model.graph.node[2].name = name
    for node in model.graph.node:
        for names in (node.input, node.output):
            for i, tensor in enumerate(names):
                names[i] = name if tensor == "MatMul_0_out" else tensor
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    status, _, err = run(["compile", str(path), "-o", str(folder / "out")])
    assert status in (0, 1) and "Traceback" not in err
    assert sorted(os.listdir(folder)) == sorted([path.name] + ["out"] * (status == 0))
    assert sorted(os.listdir(tmp_path)) == ["deep"]
    if status == 0:
        # The top module's name is plain, and nothing of the name is a word of the Verilog.
        verilog, = (folder / "out").glob("*.v")
        assert verilog.stem.isidentifier() and verilog.stem.isascii()
        assert "touch pwned" not in verilog.read_text().replace(verilog.stem, "")
