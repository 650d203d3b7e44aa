"""Tests of quinnoa/process.py."""

import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

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


ROOT = Path(__file__).parents[2]
# Script and program hold the pipe `alive` for as long as they run.
SLEEPER = ["sh", "-c", "exec 3>alive; echo up; (sleep 60 & wait)"]


@pytest.fixture
def alive(tmp_path):
    """Yield a pipe that ends once nobody holds it any more."""
    os.mkfifo(tmp_path / "alive")
    fd = os.open(tmp_path / "alive", os.O_RDONLY | os.O_NONBLOCK)
    yield fd
    os.close(fd)


def ends(fd, seconds=10.0):
    readable, _, _ = select.select([fd], [], [], seconds)
    return bool(readable)


def test_what_a_script_started_ends_with_it(tmp_path, alive):
    started = time.monotonic()
    with pytest.raises(QuinnoaError, match=r"^sleeping was ended after 0\.5 s"):
        follow(SLEEPER, "sleeping", folder=tmp_path, log=tmp_path / "log", timeout=0.5)
    assert ends(alive)
    assert time.monotonic() - started < 30


def test_it_ends_with_whoever_follows_it_however_that_ends(tmp_path, alive):
    code = ("from pathlib import Path; from quinnoa.process import follow; "
            f"follow({SLEEPER!r}, 'sleeping', folder=Path({str(tmp_path)!r}), "
            f"log=Path({str(tmp_path / 'log')!r}), told=lambda line: print(line, flush=True))")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout.readline() == "up\n"
        assert not ends(alive, seconds=0.5)
        process.kill()
    assert ends(alive)


def test_a_program_that_is_not_there_is_named(tmp_path):
    with pytest.raises(QuinnoaError, match=r"^counting: /no/such/tool cannot be run: No such file "
                                           r"or directory$"):
        follow(["/no/such/tool"], "counting", folder=tmp_path, log=tmp_path / "log")


def test_input_that_nobody_reads_is_no_failure(tmp_path):
    python("pass", tmp_path, input="x" * 1_000_000)
