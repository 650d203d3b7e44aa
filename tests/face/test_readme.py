"""The commands and the code of README.md and of the user guide are run as they stand."""

import re
import shlex
import tomllib
from pathlib import Path

import pytest

from quinnoa import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs/user-guide.md").read_text(encoding="utf-8")


def blocks(text, language):
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """Work in a folder that has the examples and nothing else."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_commands_of_the_readme_run(clone, capsys):
    commands = [line for block in blocks(README, "sh") for line in block.splitlines()]
    assert [shlex.split(line)[1] for line in commands] == ["check", "compile", "simulate", "report"]
    for command in commands:
        with pytest.raises(SystemExit) as end:
            cli.main(shlex.split(command)[1:])
        assert end.value.code == 0, f"{command}\n{capsys.readouterr().err}"
    assert Path("build/tfc/simulation.json").is_file()


def test_the_python_of_the_readme_runs(clone, capsys):
    source, = blocks(README, "python")
    names = {}
    exec(source, names)
    assert names["report"]["fps"] >= 100_000
    assert capsys.readouterr().out.split()[0] == str(names["report"]["bound_cycles"])


def test_the_fold_file_of_the_guide_is_one(tmp_path, capsys):
    source, = blocks(GUIDE, "toml")
    assert tomllib.loads(source) == {"mvtu0": {"pe": 16, "simd": 49, "memory": "auto"}}
    (tmp_path / "fold.toml").write_text(source)
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
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8")):
            assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"
