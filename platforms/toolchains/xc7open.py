"""The open flow for 7 series: Yosys, nextpnr-xilinx and Project X-Ray, as Amaranth plans it."""

import os
import re
import shutil
from pathlib import Path

from quinnoa.process import Progress, follow, silent

from .tool import Area, Plan, Result, Tool, ToolError, said_by

__all__ = ["TOOLS", "build", "find", "read_log"]

TOOLS = ("yosys", "nextpnr-xilinx", "fasm2frames", "xc7frames2bit")
INSTALL = ("install openXC7 (its installer brings all four), put its bin on the PATH, and "
           "name its databases in DB_DIR (prjxray-db) and CHIPDB_DIR (chip databases)")


def _variable(tool: str) -> str:
    """Return the environment variable in which Amaranth's script looks for a tool."""
    return tool.upper().replace("-", "_")


def find() -> Tool:
    """Find the four tools, each by its variable (``NEXTPNR_XILINX``) or on the PATH."""
    paths = {tool: shutil.which(os.environ.get(_variable(tool), tool)) for tool in TOOLS}
    missing = [tool for tool, path in paths.items() if path is None]
    if missing:
        raise ToolError(f"{' and '.join(missing)} missing; {INSTALL}")
    path = paths["nextpnr-xilinx"]
    assert path is not None
    match = re.search(r"Version ([^)\s]+)", said_by(path, "--version", INSTALL))
    return Tool("nextpnr-xilinx", match[1] if match else "unknown", Path(path))


def build(plan: Plan, folder, progress: Progress = silent) -> Result:
    """Run the tools on ``plan`` in ``folder``, and read back what they say."""
    tool, folder = find(), plan.files.extract(folder)
    bitstream, log = folder / f"{plan.name}.bit", folder / f"{plan.name}.out"
    bitstream.unlink(missing_ok=True)
    progress(f"running Yosys and nextpnr-xilinx {tool.version}")
    follow(["sh", f"{plan.files.script}.sh"], "the open flow (Yosys, nextpnr-xilinx)",
           folder=folder, log=log)
    if not bitstream.is_file():
        raise ToolError(f"nextpnr-xilinx ended without {bitstream.name}; see {log}")
    reached, area, end = read_log(log.read_text(errors="replace"))
    return Result(tool=tool, bitstream=bitstream, clock_mhz=plan.clock_mhz, reached_mhz=reached,
                  area=area, worst=plan.layer_of(end, "."))


def read_log(log: str) -> tuple[float, Area, str]:
    """Return the clock reached in MHz, the area, and the cell in which the slowest path ends.

    nextpnr says both clock and path before routing and after it: the last of each counts. Of
    several clocks it is the one of the most MHz asked: the accelerator's.
    """
    clocks = re.findall(r"Max frequency for clock\s+'[^']*': ([\d.]+) MHz \(\w+ at ([\d.]+) MHz\)",
                        log)
    if not clocks:
        raise ToolError("nextpnr-xilinx names no clock: nothing in the design is clocked")
    most = max(float(asked) for _, asked in clocks)
    reached = [float(mhz) for mhz, asked in clocks if float(asked) == most][-1]
    used = {cell: int(count) for cell, count in
            re.findall(r"^Info:\s+(\w+):\s*(\d+)/\s*\d+\s+\d+%", log, re.MULTILINE)}

    def count(*cells):
        return sum(used.get(cell, 0) for cell in cells)
    area = Area(lut=count("SLICE_LUTX"), ff=count("SLICE_FFX"),
                bram36=count("RAMB36E1_RAMB36E1", "RAMBFIFO36E1_RAMBFIFO36E1")
                + count("RAMB18E1_RAMB18E1") / 2,
                dsp=count("DSP48E1_DSP48E1"))
    # The path's last line: "delay total Setup cell.port"; later versions write "setup" in front.
    ends = re.findall(r"^Info:\s+(?:[\d.-]+\s+[\d.-]+\s+Setup|setup\s+[\d.-]+\s+[\d.-]+\s+Source)"
                      r"\s+(\S+)", log, re.MULTILINE)
    return reached, area, ends[-1] if ends else ""
