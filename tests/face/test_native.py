"""Tests of quinnoa/native.py."""

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.native import cached, load_library


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("QUINNOA_CACHE", str(tmp_path / "cache"))


def test_what_was_made_once_is_not_made_again():
    made = []

    def make(folder):
        made.append(folder)
        (folder / "file").write_text("made")

    folders = [cached("thing", key, make) for key in (1, 1, 2)]
    assert len(made) == 2
    assert folders[0] == folders[1] != folders[2]
    assert (folders[1] / "file").read_text() == "made"


def test_what_fails_leaves_nothing(tmp_path):
    def make(folder):
        (folder / "half").write_text("")
        raise QuinnoaError("no")

    with pytest.raises(QuinnoaError, match=r"^no$"):
        cached("thing", 1, make)
    assert not list((tmp_path / "cache").iterdir())


def test_files_that_an_error_names_are_kept(tmp_path):
    def make(folder):
        (folder / "log").write_text("why")
        raise QuinnoaError(f"{folder / 'log'} has it all")

    for _ in range(2):
        with pytest.raises(QuinnoaError) as caught:
            cached("thing", 1, make)
    log, = (tmp_path / "cache").glob("*/log")
    assert str(caught.value) == f"{log} has it all"
    assert log.read_text() == "why"


def test_a_library_is_compiled_and_loaded(tmp_path):
    source = tmp_path / "three.cpp"
    source.write_text('extern "C" int three() { return 3; }')
    assert load_library(source).three() == 3
    source.write_text('extern "C" int three() { return 4; }')
    assert load_library(source).three() == 4


def test_a_compiler_that_fails_is_quoted(tmp_path):
    source = tmp_path / "wrong.cpp"
    source.write_text("int wrong( {}")
    with pytest.raises(QuinnoaError, match=r"(?s)^compiling wrong\.cpp failed with status 1:\n"
                                           r".*error: .*"):
        load_library(source)
