"""Long work: how its progress is told, and outside programs, followed to their end."""

import os
import signal
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from quinnoa.errors import QuinnoaError

__all__ = ["Progress", "follow", "silent"]

# Called with a stage's name, and, where it is known, the share done.
Progress = Callable[..., None]

LAST_WORDS = 12                  # lines of a failed program that its error quotes
# Ends a group of processes once its input is closed: whoever holds the other end is no more.
GUARD = ("sh", "-c", 'read -r _; kill -s KILL -- "-$1"', "guard")


def silent(stage: str, done: int = 0, total: int = 0) -> None:
    """Take progress and say nothing."""


def follow(command: Sequence[str], what: str, *, folder: Path, log: Path, input: str = "",
           told: Callable[[str], None] | None = None, timeout: float | None = None,
           **options) -> None:
    """Run a program to its end, which is no later than that of this process, however it ends.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments.
    what : str
        What it does, for the error: "synthesis".
    folder : Path
        Where it runs.
    log : Path
        What it says, on either stream.
    input : str
        Its standard input.
    told : callable, optional
        Given each line it says, as it comes.
    timeout : float, optional
        Seconds after which it is ended.

    Raises
    ------
    QuinnoaError
        It cannot be started, ends with a status other than 0, or is not done in time.
    """
    late = threading.Event()
    with tempfile.TemporaryFile("w+", encoding="utf-8") as given:
        given.write(input)
        given.seek(0)
        try:
            # A session of its own: what a script starts ends with it.
            process = subprocess.Popen(
                command, cwd=folder, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace", start_new_session=True, **options)
        except OSError as error:
            raise QuinnoaError(f"{what}: {command[0]} cannot be run: {error.strerror}") from None

    def end() -> None:
        late.set()
        _end(process)

    timer = threading.Timer(timeout, end) if timeout else None
    last: deque[str] = deque(maxlen=LAST_WORDS)
    with _guarded(process):
        try:
            if timer:
                timer.start()
            with log.open("w", encoding="utf-8") as copy:
                for line in process.stdout or ():
                    copy.write(line)
                    last.append(line.rstrip())
                    if told:
                        told(line.rstrip())
            status = process.wait()
        finally:
            if timer:
                timer.cancel()
    if late.is_set():
        raise QuinnoaError(f"{what} was ended after {timeout:g} s, its time limit; "
                           f"{log} shows how far it came")
    if status:
        words = "\n".join(line for line in last if line)
        raise QuinnoaError(f"{what} failed with status {status}:\n{words}\n{log} has it all")


@contextmanager
def _guarded(process: subprocess.Popen) -> Iterator[None]:
    """Have a program end with this process; and now, where it is left behind."""
    guard = subprocess.Popen([*GUARD, str(process.pid)], stdin=subprocess.PIPE,
                             stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()
        if process.poll() is None:           # an exception, or Ctrl-C
            _end(process)
            process.wait()
        process.stdout.close()               # type: ignore[union-attr]


def _end(process: subprocess.Popen) -> None:
    """End a program and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
