"""Tests of quinnoa/process.py."""

import re
import sys
import time

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.process import follow


def python(code, folder, **options):
    follow([sys.executable, "-c", code], "counting", folder=folder, log=folder / "log", **options)


def test_lines_are_told_and_logged_as_they_come(tmp_path):
    told = []
    python("import sys; print(sys.stdin.read()); print('two', file=sys.stderr)", tmp_path,
           input="one", told=told.append)
    assert sorted(told) == ["one", "two"]
    assert sorted((tmp_path / "log").read_text().split()) == ["one", "two"]


def test_it_runs_in_its_folder(tmp_path):
    python("open('made', 'w').close()", tmp_path)
    assert (tmp_path / "made").exists()


def test_a_failure_quotes_the_last_words(tmp_path):
    log = re.escape(str(tmp_path / "log"))
    with pytest.raises(QuinnoaError, match=f"^counting failed with status 3:\nat 7\n{log} has it "
                                           "all$"):
        python("print('at 7'); raise SystemExit(3)", tmp_path)


def test_what_takes_too_long_is_ended(tmp_path):
    log, started = re.escape(str(tmp_path / "log")), time.monotonic()
    with pytest.raises(QuinnoaError, match=f"^counting was ended after 0.5 s, its time limit; {log}"
                                           " shows how far it came$"):
        python("import time; time.sleep(60)", tmp_path, timeout=0.5)
    assert time.monotonic() - started < 30


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(QuinnoaError, match=r"^counting: /no/such/tool cannot be run: No such file "
                                           r"or directory$"):
        follow(["/no/such/tool"], "counting", folder=tmp_path, log=tmp_path / "log")


def test_input_that_nobody_reads_is_no_failure(tmp_path):
    python("pass", tmp_path, input="x" * 1_000_000)
