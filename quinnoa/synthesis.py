"""Synthesis: from Verilog or RTLIL to the cells of a device family, by Yosys.

Yosys is a Python module, but an error inside it ends the process: so it runs in one of its own.
"""

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quinnoa.errors import QuinnoaError
from quinnoa.process import follow

__all__ = ["RECIPES", "SITES", "Cells", "run_yosys", "share_folder", "synthesise", "unit_of",
           "yosys_version"]

# One command a line of the standard input.
CHILD = """
import sys
from pyosys import libyosys
design = libyosys.Design()
for command in sys.stdin.read().splitlines():
    libyosys.Pass.call(design, command)
"""

# By family. No buffers of pads or clocks: what is synthesised is to be built in.
RECIPES = {
    "xc7": "synth_xilinx -family xc7 -flatten -noiopad -noclkbuf",
    "xcup": "synth_xilinx -family xcup -flatten -noiopad -noclkbuf",
    "ecp5": "synth_ecp5",
}

# LUT sites a cell takes. A LUT6_2 is one, and a RAM32M is the four LUTs of its slice (UG474); a
# CCU2C is two, and a DPR16X4 three slices of two (FPGA-DS-02012). A multiplexer between LUTs of a
# slice takes none.
SITES = {
    **{f"LUT{n}": 1 for n in range(1, 7)}, "LUT6_2": 1, "INV": 1,
    "SRL16E": 1, "SRLC16E": 1, "SRLC32E": 1,
    "RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1S": 2, "RAM128X1D": 4,
    "RAM256X1S": 4, "RAM32M": 4, "RAM64M": 4, "RAM32M16": 8, "RAM64M8": 8,
    "CCU2C": 2, "TRELLIS_DPR16X4": 6,
}
FLIP_FLOPS = {"FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1",
              "TRELLIS_FF"}
# In blocks of 36 kbit.
BLOCK_RAMS = {"RAMB36E1": 1.0, "RAMB36E2": 1.0, "RAMB18E1": 0.5, "RAMB18E2": 0.5, "DP16KD": 0.5,
              "PDPW16KD": 0.5}
ULTRA_RAMS = {"URAM288"}
DSPS = {"DSP48E1", "DSP48E2", "MULT18X18D"}

_MODULE = re.compile(r"^module \\?([\w.]+)", re.M)
_PASS = re.compile(r"^\d+(?:\.\d+)*\. Executing (.+?)(?: pass)?(?: \((.+)\))?\.")


@dataclass(frozen=True)
class Cells:
    """Cells of a netlist, or of a unit in it.

    Parameters
    ----------
    kinds : mapping from str to int
        How many of each kind.
    """

    kinds: Mapping[str, int]

    def __add__(self, other: "Cells") -> "Cells":
        return Cells(Counter(self.kinds) + Counter(other.kinds))

    def _sum(self, weights: Mapping[str, float]) -> float:
        return sum((weights.get(kind, 0) * count for kind, count in self.kinds.items()), 0.0)

    def as_dict(self) -> dict[str, Any]:
        """Return LUT sites, FF, block RAMs of 36 kbit, URAM and DSP, as a report has them."""
        bram36 = self._sum(BLOCK_RAMS)
        return {"lut": int(self._sum(SITES)), "ff": int(self._sum(dict.fromkeys(FLIP_FLOPS, 1))),
                "bram36": int(bram36) if bram36.is_integer() else bram36,
                "uram": int(self._sum(dict.fromkeys(ULTRA_RAMS, 1))),
                "dsp": int(self._sum(dict.fromkeys(DSPS, 1)))}


def share_folder() -> Path:
    """Return Yosys' own files: descriptions of the families' cells."""
    from importlib import util
    spec = util.find_spec("pyosys")
    if spec is None or not spec.submodule_search_locations:
        raise QuinnoaError("Yosys is missing: pip install pyosys")
    return Path(spec.submodule_search_locations[0], "share")


def yosys_version() -> str:
    """Return the version of Yosys."""
    from importlib import metadata
    share_folder()
    return metadata.version("pyosys")


def run_yosys(commands: Sequence[str], *, folder: Path, log: str = "yosys.log",
              what: str = "synthesis", told: Callable[[str], None] | None = None,
              timeout: float | None = None) -> None:
    """Run Yosys commands on a new design, in ``folder``.

    Parameters
    ----------
    commands : sequence of str
        Files in them are named as seen from ``folder``.
    folder : Path
    log : str
        File in ``folder`` for what Yosys says.
    what : str
        What it does, for the error.
    told : callable, optional
        Given the name of each pass as it starts.
    timeout : float, optional
        Seconds.

    Raises
    ------
    QuinnoaError
        Yosys is missing, finds an error, or is not done in time.
    """
    share_folder()

    def line(text: str) -> None:
        if told and (found := _PASS.match(text)):
            told(found[2] or found[1])

    # -P: nothing in the folder is imported.
    follow([sys.executable, "-P", "-c", CHILD], what, folder=folder, log=folder / log,
           input="\n".join(commands) + "\n", told=line, timeout=timeout)


def unit_of(module: str) -> str | None:
    """Return the unit that a module is, by its name, such as ``tfc.core.mvtu0``; or None.

    Amaranth names modules by their place in the hierarchy, and every shell has the accelerator as
    its submodule ``core``.
    """
    path = module.split(".")
    if "core" not in path:
        return None
    # A shell's core may be another shell, with a core of its own.
    below = path.index("core")
    while path[below:below + 1] == ["core"]:
        below += 1
    return path[below] if len(path) == below + 1 else None


def synthesise(source: str, *, top: str, family: str, folder: Path, outputs: Sequence[str],
               progress: Callable[..., None] | None = None, timeout: float | None = None,
               options: str = "") -> dict[str, Cells]:
    """Synthesise ``folder/source``; return the cells of every unit, and under "" those between.

    The units stay modules of their own, so that a netlist tells whose a cell is.

    Parameters
    ----------
    source : str
        Verilog (``.v``) or RTLIL (``.il``), in ``folder``.
    top : str
        Its top module.
    family : str
        One of ``RECIPES``.
    folder : Path
    outputs : sequence of str
        What to write there: the netlist as ``.v``, ``.json`` or ``.il``.
    progress : callable, optional
        Called with what is being done.
    timeout : float, optional
        Seconds.
    options : str
        More options of the family's command.

    Raises
    ------
    QuinnoaError
        There is no synthesis for the family; or as ``run_yosys``.
    """
    if family not in RECIPES:
        raise QuinnoaError(f"Yosys has no cells for the family {family}: take one of "
                           f"{', '.join(RECIPES)}")
    text = (folder / source).read_text()
    units = [module for module in _MODULE.findall(text) if unit_of(module)]
    read = {".v": "read_verilog", ".il": "read_rtlil"}[Path(source).suffix]
    write = {".v": "write_verilog -noattr", ".json": "write_json", ".il": "write_rtlil"}
    run_yosys([
        f"{read} {source}",
        # abc9 takes what Amaranth calls x[0] for a bit of x, and fails where x is gone.
        "rename -hide w:*[*",
        *(f"setattr -mod -set keep_hierarchy 1 {unit}" for unit in units),
        f"{RECIPES[family]} {options} -top {top}",
        *(f"{write[Path(name).suffix]} {name}" for name in outputs),
        f"tee -q -o cells.json stat -json -top {top}",
    ], folder=folder, log="synthesis.log", timeout=timeout,
        told=lambda step: progress(f"synthesising: {step}") if progress else None)
    modules = json.loads((folder / "cells.json").read_text())["modules"]
    return _count(modules, top)


def _count(modules: Mapping[str, Any], top: str) -> dict[str, Cells]:
    """Return the cells by unit, each module as often as it is there."""
    counts: dict[str, Cells] = {}

    def count(module: str, unit: str) -> None:
        unit = unit or unit_of(module) or ""
        kinds = modules["\\" + module]["num_cells_by_type"]
        inside = {kind: n for kind, n in kinds.items() if "\\" + kind in modules}
        own = {kind: n for kind, n in kinds.items() if kind not in inside and kind[0] != "$"}
        counts[unit] = counts.get(unit, Cells({})) + Cells(own)
        for kind, n in inside.items():
            for _ in range(n):
                count(kind, unit)

    count(top, "")
    return counts
