"""Native code: the C++ compiler, and the folder in which what is compiled once is kept."""

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from quinnoa.errors import QuinnoaError

__all__ = ["cache_folder", "cached", "compiler", "compiler_version", "has_compiler",
           "load_library", "run_tool"]

FLAGS = ("-std=gnu++17", "-O2", "-fPIC", "-shared")


def compiler() -> str:
    """Return the C++ compiler: CXX of the environment, or g++."""
    return os.environ.get("CXX", "g++")


def has_compiler() -> bool:
    """Tell whether there is a C++ compiler."""
    return shutil.which(compiler()) is not None


def compiler_version() -> str:
    """Return what the compiler says of itself."""
    return subprocess.run([compiler(), "--version"], capture_output=True, text=True).stdout


def run_tool(command: list[str], what: str, **options) -> None:
    """Run a command; raise ``QuinnoaError`` with its last words where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace", **options)
    if done.returncode:
        raise QuinnoaError(f"{what} failed with status {done.returncode}:\n"
                           f"{done.stdout[-2000:].strip()}")


def cache_folder() -> Path:
    """Return the folder for what is built once: QUINNOA_CACHE, or ``quinnoa`` in the user's."""
    if named := os.environ.get("QUINNOA_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "quinnoa"


def cached(name: str, key: object, make: Callable[[Path], None]) -> Path:
    """Return the folder of what ``make`` wrote, once for this ``key``.

    ``make`` is given an empty folder, which moves to its place whole: others may be making the
    same. Where it fails with an error that names a file there, what it wrote is kept beside.
    """
    digest = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    folder = cache_folder() / f"{name}-{digest}"
    if not folder.is_dir():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise QuinnoaError(f"{folder.parent}: cannot be made ({error.strerror}); "
                               "name another folder in QUINNOA_CACHE") from None
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            made = Path(scratch, "made")
            made.mkdir()
            try:
                make(made)
            except QuinnoaError as error:
                raise _kept(error, made, folder.with_name(f"{folder.name}-failed")) from None
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return folder


def _kept(error: QuinnoaError, made: Path, folder: Path) -> QuinnoaError:
    """Keep the files that an error names; return the error that names them where they are."""
    if str(made) not in str(error):
        return error
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
    return QuinnoaError(str(error).replace(str(made), str(folder)))


def load_library(source: Path) -> ctypes.CDLL:
    """Compile one C++ file to a shared library, once for this compiler, and load it."""
    def make(folder: Path) -> None:
        run_tool([compiler(), *FLAGS, str(source), "-o", str(folder / "library.so")],
                 f"compiling {source.name}")

    key = source.read_text(), compiler_version(), FLAGS
    return ctypes.CDLL(str(cached(source.stem, key, make) / "library.so"))
