"""The commands and the code of all pages are run as they stand, or, where they cannot, checked."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from quinnoa import cli, load
from quinnoa.platforms import driver
from quinnoa.platforms.driver import opening
from quinnoa.platforms.driver.memory import MemoryTransport
from tests.platforms.deployed import deploy, shell_of, small
from tests.platforms.shell_model import Clock
from tests.snippets import ROOT, Snippet, look_through, pages, run, snippets

README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = "docs/user-guide.md"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Work in a folder that has the examples and nothing else."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)


def runnable(page):
    """Return the blocks of a page that are run."""
    return [snippet for snippet in snippets(page)
            if snippet.why is None and snippet.file is None and snippet.language != "diff"]


def run_page(page):
    """Run the blocks of a page in order; return the names of its code."""
    names = {}
    for snippet in runnable(page):
        run(snippet, names)
    return names


def marked(page, why):
    """Return the blocks of a page that are not run for a reason."""
    return [snippet for snippet in snippets(page) if snippet.why == why]


@pytest.mark.slow
def test_the_commands_and_the_code_of_the_readme_run(clone, capsys):
    commands = [words[1] for snippet in snippets("README.md") for words in snippet.commands
                if snippet.language == "sh" and words[0] == "quinnoa"]
    assert commands[:4] == ["check", "compile", "simulate", "report"]
    names = run_page("README.md")
    assert json.loads(Path("build/tfc/simulation.json").read_text())["mismatches"] == 0
    assert names["report"]["fps"] >= 100_000
    assert capsys.readouterr().out.splitlines()[-1].split()[0] == str(
        names["report"]["bound_cycles"])


@pytest.mark.slow
def test_the_commands_and_the_code_of_the_guide_run(clone):
    names = run_page(GUIDE)
    assert names["result"]["accuracy"] > .9
    measured = json.loads(Path("build/tfc/simulation.json").read_text())
    computed = json.loads(Path("build/tfc/report.json").read_text())
    assert (measured["mismatches"], measured["mismatches_onnx"]) == (0, 0)
    assert measured["cycles_per_frame"] == computed["cycles"]
    assert "simd = 49" in Path("build/folded/fold.toml").read_text()
    assert Path("build/writable/weights.npz").is_file()
    assert Path("build/pynq/report.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in pages() if page not in ("README.md", GUIDE)
                                  and runnable(page)])
def test_the_commands_and_the_code_of_other_pages_run(page, clone):
    run_page(page)


@pytest.mark.parametrize("page", pages())
def test_every_block_of_every_page_can_be_checked(page):
    for snippet in snippets(page):
        assert look_through(snippet), snippet.place


def test_the_driver_of_the_guide_runs_on_a_model_of_the_shell(tmp_path, monkeypatch, capsys):
    snippet, = marked(GUIDE, "needs a board")
    network, plan, images = small()
    deploy(tmp_path)
    shell, clock = shell_of(network, plan), Clock()
    monkeypatch.setitem(sys.modules, "driver", driver)
    monkeypatch.setattr(opening, "open_transport", lambda *_, **__: MemoryTransport(
        shell, shell, batch=8, sleep=clock.sleep, clock=clock))
    monkeypatch.chdir(tmp_path / "deploy")
    names = {}
    run(snippet, names)
    assert np.array_equal(names["scores"], network.run(images))
    assert np.array_equal(names["again"], names["scores"])
    assert "1000 frames" in capsys.readouterr().out


@pytest.mark.slow
def test_the_training_of_the_guide_gives_a_model_that_can_be_built(clone):
    pytest.importorskip("brevitas", reason="needs the train extra: pip install quinnoa[train]")
    snippet = marked(GUIDE, "needs the train extra")[0]
    run(snippet, {})
    assert [layer.kind for layer in load("mine.onnx").layers] == ["mvtu", "mvtu"]


@pytest.mark.parametrize("line, fault", [
    ("quinnoa compile model.onnx -o out --fpz 1", "No such option"),
    ("quinnoa bild model.onnx", "No such command"),
    ("make nothing", "targets are"),
    ("pip install quinnoa[nothing]", "nothing"),
    ("python examples/mnist/train.py --bitz 2", "has no option --bitz"),
    ("rm -rf build", "nobody checks"),
])
def test_what_is_wrong_in_a_command_is_found(line, fault):
    with pytest.raises(Exception, match=re.escape(fault)):
        look_through(Snippet("page.md:1", "sh", line))


@pytest.mark.parametrize("code", ["import quinnoa.nothing", "from quinnoa import nothing", "x = ("])
def test_what_is_wrong_in_code_is_found(code):
    with pytest.raises((ImportError, AttributeError, SyntaxError)):
        look_through(Snippet("page.md:1", "python", code))


def test_a_command_that_fails_is_a_fault(clone):
    with pytest.raises(AssertionError, match=r"page.md:1: quinnoa check none.onnx ends with 1$"):
        run(Snippet("page.md:1", "sh", "quinnoa check none.onnx"), {})


def test_the_fold_file_of_the_guide_is_one(tmp_path, capsys):
    snippet, = (each for each in snippets(GUIDE) if each.language == "toml")
    assert look_through(snippet) == [
        {"mvtu0": {"pe": 16, "simd": 49, "memory": "auto", "steps": "auto"}}]
    (tmp_path / "fold.toml").write_text(snippet.text)
    with pytest.raises(SystemExit) as end:
        cli.main(["compile", str(ROOT / "examples/mnist/tfc_w1a1.onnx"),
                  "-o", str(tmp_path / "out"), "--fold", str(tmp_path / "fold.toml")])
    assert end.value.code == 0, capsys.readouterr().err


def test_the_two_commands_are_in_the_makefile():
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands = re.findall(r"^    make (\w+)$", README, re.MULTILINE)
    assert commands == ["demo", "test"]
    assert set(commands) <= set(targets)


def test_links_lead_somewhere():
    for page in pages():
        text = (ROOT / page).read_text(encoding="utf-8")
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert ((ROOT / page).parent / link).exists(), f"{page}: {link}"
