"""Long work: how its progress is told, and outside programs, followed to their end."""

import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from quinnoa.errors import QuinnoaError

__all__ = ["Progress", "follow", "silent"]

# Called with a stage's name, and, where it is known, the share done.
Progress = Callable[..., None]

LAST_WORDS = 12                  # lines of a failed program that its error quotes


def silent(stage: str, done: int = 0, total: int = 0) -> None:
    """Take progress and say nothing."""


def follow(command: Sequence[str], what: str, *, folder: Path, log: Path, input: str = "",
           told: Callable[[str], None] | None = None, timeout: float | None = None,
           **options) -> None:
    """Run a program to its end.

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
            process = subprocess.Popen(
                command, cwd=folder, stdin=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, encoding="utf-8", errors="replace", **options)
        except OSError as error:
            raise QuinnoaError(f"{what}: {command[0]} cannot be run: {error.strerror}") from None

    def end() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout, end) if timeout else None
    last: deque[str] = deque(maxlen=LAST_WORDS)
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
        if process.poll() is None:           # an exception, or Ctrl-C
            process.kill()
            process.wait()
        process.stdout.close()               # type: ignore[union-attr]
    if late.is_set():
        raise QuinnoaError(f"{what} was ended after {timeout:g} s, its time limit; "
                           f"{log} shows how far it came")
    if status:
        words = "\n".join(line for line in last if line)
        raise QuinnoaError(f"{what} failed with status {status}:\n{words}\n{log} has it all")
