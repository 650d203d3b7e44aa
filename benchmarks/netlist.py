"""Netlists of Yosys for Xilinx devices: LUT sites, and the levels of the longest path."""

import json
import tempfile
from collections import Counter
from functools import lru_cache
from pathlib import Path

from quinnoa.synthesis import RECIPES, SITES, Cells, run_yosys
from quinnoa.verilog import to_rtlil

__all__ = ["Netlist", "synthesize"]

_LUTS = {*(f"LUT{n}" for n in range(1, 7)), "LUT6_2", "INV"}
# Within a slice, no level of their own.
_CARRIES = {"CARRY4", "CARRY8", "MUXF7", "MUXF8"}
# Read within the cycle: a level from the read address to the data.
_LUTRAMS = {cell for cell in SITES if cell.startswith("RAM")}
_CLOCKS = {"C", "CLK", "WCLK", "CLKARDCLK", "CLKBWRCLK"}


class Netlist:
    """A flat netlist; cells that are neither LUT nor carry begin and end paths.

    Parameters
    ----------
    module : dict
        One module of ``write_json``.
    """

    def __init__(self, module):
        self.cells = module["cells"]
        self._driver = {}
        for name, cell in self.cells.items():
            for port, bits in cell["connections"].items():
                if cell["port_directions"][port] == "output":
                    self._driver.update(dict.fromkeys((b for b in bits if isinstance(b, int)),
                                                      name))

    def kinds(self):
        """Count the cells of each kind."""
        return Counter(cell["type"] for cell in self.cells.values())

    def sites(self, under=""):
        """Count the LUT sites of the cells whose names start with ``under``."""
        return sum(SITES.get(cell["type"], 0) for name, cell in self.cells.items()
                   if name.startswith(under))

    def block_rams(self):
        """Count the block RAMs of 36 kbit, those of 18 kbit as halves."""
        return Cells(self.kinds()).as_dict()["bram36"]

    def _inputs(self, name):
        cell = self.cells[name]
        for port, bits in cell["connections"].items():
            if cell["port_directions"][port] == "input" and port not in _CLOCKS:
                yield from (bit for bit in bits if isinstance(bit, int))

    def longest(self):
        """Return (LUT levels, carry cells) of the longest path from register to register.

        More levels count as longer, and among as many levels more carries. Paths from the ports
        of the top module are not counted.
        """
        nothing = (-1, 0)                    # no register behind this net

        @lru_cache(maxsize=None)
        def through(name):
            kind = self.cells[name]["type"]
            if kind not in _LUTS | _CARRIES | _LUTRAMS:
                return (0, 0)
            if kind in _LUTRAMS:             # its contents are registers: one level at least
                return (1, 0)
            levels, carries = behind(name)
            if levels < 0:
                return nothing
            return (levels + (kind in _LUTS), carries + (kind in _CARRIES))

        def behind(name):
            drivers = {self._driver[bit] for bit in self._inputs(name) if bit in self._driver}
            return max((through(driver) for driver in drivers), default=nothing)

        ends = [name for name, cell in self.cells.items()
                if cell["type"] not in _LUTS | _CARRIES]
        return max((behind(name) for name in ends), default=nothing)


def synthesize(component, *, name="top", without=(), family="xc7"):
    """Synthesize ``component`` by Yosys, flattened; submodules named ``without`` stay outside.

    Returns a ``Netlist``; what is left outside is a cell that begins and ends paths.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "top.il"), Path(folder, "top.json")
        source.write_text(to_rtlil(component, name=name))
        outside = " ".join(f"{name}.{submodule}" for submodule in without)
        run_yosys(["read_rtlil top.il", *([f"blackbox {outside}"] if outside else []),
                   "proc", "flatten", "rename -hide w:*[*", "opt_clean -purge",
                   f"{RECIPES[family]} -top {name}", "write_json top.json"], folder=Path(folder))
        return Netlist(json.loads(target.read_text())["modules"][name])
