"""The pages of docs/ are built, with warnings as errors, and tell of all that is public."""

import ast
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import quinnoa

pytest.importorskip("furo", reason="needs the docs extra: pip install quinnoa[docs]")
pytest.importorskip("myst_parser", reason="needs the docs extra: pip install quinnoa[docs]")
sphinx = pytest.importorskip("sphinx", reason="needs the docs extra: pip install quinnoa[docs]")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build all pages; return their folder and what the tool said."""
    folder = tmp_path_factory.mktemp("docs")
    run = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-d", folder / "trees",
         ROOT / "docs", folder / "html"],
        capture_output=True, text=True)
    return folder / "html", run


@pytest.mark.slow
def test_the_pages_are_built_without_a_warning(built):
    folder, run = built
    assert run.returncode == 0, run.stderr
    pages = {path.relative_to(ROOT / "docs").with_suffix(".html")
             for path in (ROOT / "docs").rglob("*.md") if path.name != "template.md"}
    assert pages and not [str(page) for page in pages if not (folder / page).is_file()]


@pytest.mark.slow
def test_the_api_pages_tell_of_every_unit_and_every_call(built):
    from sphinx.util.inventory import InventoryFile
    with open(built[0] / "objects.inv", "rb") as file:
        inventory = InventoryFile.load(file, "", os.path.join)
    told = {name for kind in ("py:class", "py:function") for name in inventory[kind]}
    units = {f"quinnoa.rtl.{path.stem}.{name}" for path in (ROOT / "rtl").glob("*.py")
             for name in units_of(path)}
    assert "quinnoa.rtl.mvtu.MVTU" in units and len(units) > 15
    calls = {f"quinnoa.flow.{name}" for name in quinnoa.__all__ if name != "__version__"}
    others = {"quinnoa.build.build_bitstream", "quinnoa.graph.network.Network",
              "quinnoa.platforms.driver.accelerator.Accelerator"}
    assert sorted((units | calls | others) - told) == []


def units_of(path):
    """Name the public components of a file that have streams ``i`` and ``o``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = next((ast.literal_eval(node.value) for node in tree.body if isinstance(
        node, ast.Assign) and node.targets[0].id == "__all__"), [])
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in public:
            names = {each.target.id for each in node.body if isinstance(each, ast.AnnAssign)}
            if {"i", "o"} <= names:
                yield node.name


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "api").glob("*.md")), ids=lambda p: p.stem)
def test_api_pages_name_what_there_is(page):
    found = re.findall(r"automodule:: (\S+)\n(?:   :members: *(.*)\n)?", page.read_text())
    assert found
    for module, members in found:
        there = vars(import_module(module))
        for name in filter(None, re.split(r",\s*", members)):
            # What a module imports from another one is not shown.
            assert there[name].__module__ == module, name
