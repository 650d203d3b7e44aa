"""The layer of docs/new-layer.md works: laid in a copy of the checkout, its tests pass."""

import shutil
import subprocess
import sys

import pytest

from tests.snippets import ROOT, Snippet, lay, snippets

PAGE = "docs/new-layer.md"
FOLDERS = ("rtl", "graph", "platforms", "sim", "quinnoa")


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """Copy the checkout and lay the page's files and changes in it; return the copy."""
    root = tmp_path_factory.mktemp("checkout")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder,
                        ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tests/rtl").mkdir(parents=True)
    (root / "tests/graph").mkdir()
    for file in ("pyproject.toml", "tests/models.py"):
        shutil.copy(ROOT / file, root / file)
    for snippet in snippets(PAGE):
        lay(snippet, root)
    return root


def run(root, *arguments):
    """Run a module of Python in a checkout."""
    return subprocess.run([sys.executable, "-m", *arguments], cwd=root, capture_output=True,
                          text=True, timeout=600)


@pytest.mark.slow
def test_the_tests_of_the_page_pass_in_the_copy(copy):
    result = run(copy, "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "16 passed" in result.stdout


@pytest.mark.slow
def test_the_copy_is_written_as_the_house_is(copy):
    files = [path for snippet in snippets(PAGE) for path in snippet.paths]
    assert len(files) == 11
    result = run(copy, "ruff", "check", "--no-cache", *files)
    assert result.returncode == 0, result.stdout


def test_changes_to_what_is_not_there_are_refused(tmp_path):
    (tmp_path / "a.py").write_text("one\ntwo\n")
    lay(Snippet("page.md:1", "diff", "--- a.py\n@@ here\n one\n+more\n@@ there\n-two\n+2\n"),
        tmp_path)
    assert (tmp_path / "a.py").read_text() == "one\nmore\n2\n"
    with pytest.raises(AssertionError, match="page.md:1: a.py has 0 times\ntwo"):
        lay(Snippet("page.md:1", "diff", "--- a.py\n@@\n-two\n+2\n"), tmp_path)
