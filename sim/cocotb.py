"""Cocotb: runs the benches of ``bench.py`` on Verilated tops, with cocotb's own runner."""

import contextlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError

from .streams import Payload
from .verilator import build_program

__all__ = ["Bench", "Bundle", "build"]


class Bundle(wiring.Component):
    """Units side by side as one top, so that one build serves all: ports ``NAME_i``, ``NAME_o``."""

    def __init__(self, units: Mapping[str, wiring.Component]):
        self.units = dict(units)
        super().__init__({
            f"{name}_{port}": flow(getattr(unit, port).signature if flow is Out
                                   else getattr(unit, port).signature.flip())
            for name, unit in self.units.items() for port, flow in (("i", In), ("o", Out))})

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            m.submodules[name] = unit
            wiring.connect(m, wiring.flipped(getattr(self, f"{name}_i")), unit.i)
            wiring.connect(m, unit.o, wiring.flipped(getattr(self, f"{name}_o")))
        return m


@dataclass(frozen=True)
class Bench:
    """A Verilated top that cocotb can drive.

    Parameters
    ----------
    folder : Path
        Where it was built.
    top : str
        Name of its module.
    """

    folder: Path
    top: str

    def run_bundle(self, tasks: Mapping[str, tuple[wiring.Component, Sequence, Sequence]], *,
                   density: float, seed: int = 0, deadline: int = 10_000) -> None:
        """Drive the units of a ``Bundle``, stalled at random, and compare what comes out.

        Parameters
        ----------
        tasks : mapping
            For each unit's name the unit, the beats for ``i`` and the beats expected from ``o``.
        density : float
            Probability that a cycle is idle, on every stream.
        seed : int
            Of the stalls.
        deadline : int
            Cycles within which all of it must happen.

        Raises
        ------
        QuinnoaError
            A beat is not as expected, missing or too many, or a stream breaks its contract.
        """
        def words(stream, beats):
            payload = Payload(stream.payload.shape())
            return [hex(payload.encode(beat)) for beat in beats]

        self.run(f"{__package__}.bench", "bundle", {
            "density": density, "seed": seed, "deadline": deadline,
            "units": {name: (words(unit.i, given), words(unit.o, expected))
                      for name, (unit, given, expected) in tasks.items()}})

    def run_axi(self, frames_in: np.ndarray, frames_out: np.ndarray, *, density: float,
                seed: int = 0, deadline: int = 100_000) -> None:
        """Send frames through an AXI-Stream top by cocotbext-axi's source and sink.

        Parameters
        ----------
        frames_in, frames_out : array of uint8, (frames, bytes)
            What is sent, and what is expected.
        density : float
            Probability that a cycle is a pause, on either side.
        seed : int
            Of the pauses.
        deadline : int
            Cycles within which the next frame must come.

        Raises
        ------
        QuinnoaError
            A frame is not as expected, missing or too many, or ``tlast`` is wrong.
        """
        self.run(f"{__package__}.bench", "axi", {
            "density": density, "seed": seed, "deadline": deadline,
            "frames": [(sent.tobytes().hex(), expected.tobytes().hex())
                       for sent, expected in zip(frames_in, frames_out, strict=True)]})

    def run(self, module: str, bench: str, task: dict) -> None:
        """Run one bench of a module; the file of QUINNOA_TASK tells it what to do.

        Parameters
        ----------
        module, bench : str
            The module, as it is imported, and its test.
        task : dict
            As JSON has it; ``seed`` among it.

        Raises
        ------
        QuinnoaError
            The bench failed; the message has the end of its log.
        """
        from cocotb_tools.check_results import get_results
        from cocotb_tools.runner import get_runner

        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            job, results, log = (Path(scratch, name) for name in ("task", "results.xml", "log"))
            job.write_text(json.dumps(task))
            # Under pytest the runner leaves by SystemExit where a bench fails.
            with contextlib.suppress(SystemExit):
                get_runner("verilator").test(
                    module, self.top, hdl_toplevel_lang="verilog",
                    testcase=bench, seed=task["seed"], build_dir=self.folder, test_dir=scratch,
                    results_xml=str(results), log_file=log, extra_env={"QUINNOA_TASK": str(job)})
            tests, failed = get_results(results) if results.exists() else (0, 1)
            if failed or tests != 1:
                raise QuinnoaError(f"the cocotb bench {bench} failed:\n"
                                   f"{log.read_text(errors='replace')[-4000:]}")


def build(verilog: str, top: str, folder: Path) -> Bench:
    """Build a top, a ``Bundle`` or one with AXI streams, for cocotb.

    Parameters
    ----------
    verilog : str
        The text.
    top : str
        Name of the top module.
    folder : Path
        Where to build; it must exist, and stay as long as the bench is used.
    """
    if util.find_spec("cocotb_tools") is None:
        raise QuinnoaError("cocotb is missing: pip install cocotb cocotbext-axi")
    from cocotb_tools import config

    # Cocotb reaches the ports of the top and nothing else.
    control = folder / "public.vlt"
    control.write_text(f'`verilator_config\npublic_flat_rw -module "{top}" -var "*"\n')
    build_program(verilog, top, folder, config.share_dir / "lib" / "verilator" / "verilator.cpp",
                  optimize=0, flags=["--vpi", str(control)],
                  libraries=[f"-Wl,-rpath,{config.libs_dir}", f"-L{config.libs_dir}",
                             "-lcocotbvpi_verilator"])
    return Bench(folder, top)
