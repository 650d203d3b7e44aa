"""The fenced blocks of the pages: found, run as they stand, or, where marked, looked through.

A block behind a comment `<!-- not run: WHY -->` is not run; one behind `<!-- file: PATH -->`, and a
`diff`, is for a copy of the checkout. All others of a page run in order, in one folder: lines of
`sh` each as a command, `python` in one set of names, `toml` is a `fold.toml`.
"""

import ast
import importlib
import re
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path

import typer

from quinnoa import cli

__all__ = ["ROOT", "Snippet", "lay", "look_through", "pages", "run", "snippets"]

ROOT = Path(__file__).resolve().parents[1]
FENCE = re.compile(r"^(?:<!-- (?:not run: (?P<why>[^\n]+)|file: (?P<file>[^\n]+)) -->\n)?"
                   r"```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Snippet:
    """A block of a page; ``why`` it is not run, or None; the ``file`` that it is, or None."""

    place: str
    language: str
    text: str
    why: str | None = None
    file: str | None = None

    @property
    def commands(self):
        """The lines of a shell block, each as a list of words."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]

    @property
    def paths(self):
        """The files that it makes or changes."""
        return [self.file] if self.file else re.findall(r"^--- (.+)$", self.text, re.MULTILINE)


def pages():
    """Return all pages of documentation, by their paths from the root."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def snippets(page):
    """Return the blocks of a page that tests know what to do with."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [Snippet(f"{page}:{text.count(chr(10), 0, match.start('text'))}", match["language"],
                    match["text"], match["why"], match["file"])
            for match in FENCE.finditer(text)
            if match["language"] in ("sh", "python", "toml", "diff")]


def lay(snippet, root):
    """Write the file that a block is, or make the changes of a diff, below ``root``."""
    if snippet.file:
        (root / snippet.file).write_text(snippet.text)
        return
    for part in re.split(r"^--- ", snippet.text, flags=re.MULTILINE)[1:]:
        path, *hunks = re.split(r"\n(?:@@.*\n)?", part, maxsplit=1)
        text = (root / path).read_text()
        for hunk in re.split(r"^@@.*\n", hunks[0], flags=re.MULTILINE):
            old, new = ("".join(line[1:] for line in hunk.splitlines(keepends=True)
                                if line[0] in kept) for kept in (" -", " +"))
            assert text.count(old) == 1, (
                f"{snippet.place}: {path} has {text.count(old)} times\n{old}")
            text = text.replace(old, new)
        (root / path).write_text(text)


def run(snippet, names):
    """Run a block in the working folder; ``names`` are those of its page's code so far."""
    if snippet.language == "toml":
        Path("fold.toml").write_text(snippet.text)
    elif snippet.language == "python":
        exec(compile(snippet.text, snippet.place, "exec"), names)
    else:
        for words in snippet.commands:
            if words[0] != "quinnoa":
                _look_through_command(words, snippet.place)
                continue
            try:
                cli.main(words[1:])
            except SystemExit as end:
                assert end.code == 0, f"{snippet.place}: {shlex.join(words)} ends with {end.code}"


def look_through(snippet):
    """Check what can be checked of a block that is not run; return what was."""
    if snippet.language == "toml":
        return [tomllib.loads(snippet.text)]
    if snippet.language == "diff" or snippet.file:
        return [snippet.text]             # `lay` checks
    if snippet.language == "sh":
        return [_look_through_command(words, snippet.place) for words in snippet.commands]
    return _look_through_code(snippet)


def _look_through_code(snippet):
    """Check that code compiles, and that what it imports from here is there."""
    tree = ast.parse(snippet.text, snippet.place)
    found = [tree]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [importlib.import_module(each.name) for each in node.names
                      if each.name.startswith("quinnoa")]
        elif isinstance(node, ast.ImportFrom) and node.module.startswith("quinnoa"):
            module = importlib.import_module(node.module)
            found += [getattr(module, each.name) for each in node.names]
    return found


def _look_through_command(words, place):
    """Check that a command is there and takes these options."""
    command, *rest = words
    if command == "quinnoa":
        group = typer.main.get_command(cli.app)
        context = group.make_context("quinnoa", list(rest))
        name, sub, rest = group.resolve_command(context, [*context._protected_args, *context.args])
        return sub.make_context(name, rest, parent=context).params
    if command == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert set(rest) <= set(targets), f"{place}: make {rest}: targets are {targets}"
        return rest
    if command == "pip":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = re.findall(r"quinnoa\[(\w+)\]", " ".join(rest))
        assert extras and set(extras) <= set(project["optional-dependencies"]), f"{place}: {rest}"
        return extras
    if command in ("python", "python3", "pytest"):
        source = "".join((ROOT / word).read_text() for word in rest if word.startswith(
            ("examples/", "benchmarks/", "tests/")))
        assert source, f"{place}: {shlex.join(words)} runs no file of the checkout"
        for option in re.findall(r"(--[\w-]+)", " ".join(rest)):
            assert f'"{option}"' in source, f"{place}: {rest[0]} has no option {option}"
        return rest
    raise AssertionError(f"{place}: nobody checks {shlex.join(words)}")
