"""The folders import one another one way only, by their full names."""

import ast
from pathlib import Path

import pytest

import quinnoa.rtl

ROOT = Path(__file__).resolve().parents[1]
MAY_IMPORT: dict[str, set[str]] = {
    "rtl": {"errors"},
    "graph": {"errors", "native", "rtl"},
    "platforms": {"errors", "process", "rtl", "synthesis", "verilog"},
    "sim": {"errors", "native", "synthesis", "verilog"},
}


def absolute_imports(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_folder_imports_only_what_lies_below_it(folder):
    for path in (ROOT / folder).rglob("*.py"):
        for name in absolute_imports(path):
            head, _, rest = name.partition(".")
            assert head not in MAY_IMPORT, f"{path}: write quinnoa.{name}, not {name}"
            if head == "quinnoa":
                assert rest.split(".")[0] in MAY_IMPORT[folder] | {folder}, f"{path}: {name}"


def test_the_tests_run_against_this_checkout():
    assert Path(quinnoa.rtl.__file__).is_relative_to(ROOT)
