"""Vivado: finds it, runs a plan here or on a remote host, reads its reports back."""

import os
import re
import shutil
from pathlib import Path

from amaranth.build.run import BuildPlan

from quinnoa.errors import QuinnoaError
from quinnoa.process import Progress, follow, silent

from .tool import Area, Plan, Result, Tool, ToolError, said_by

__all__ = ["LEAST_VERSION", "build", "build_remote", "find", "out_of_context", "read_area",
           "read_layers", "read_result", "read_timing"]

LEAST_VERSION = (2020, 1)
INSTALL = ("install Vivado 2020.1 or newer (the free edition has the parts of all boards but "
           "zc706, zcu102 and rfsoc4x2) and put it on the PATH, or name its folder in "
           "XILINX_VIVADO")

# Where the installer puts it by default; 2025.1 turned the two folders around.
USUAL = ("/tools", "/opt")
INSTALLED = ("Xilinx/Vivado/20*/bin/vivado", "Xilinx/20*/Vivado/bin/vivado")

# What becomes of the names that stand in a script or a path.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PART = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")


def _path() -> str | None:
    """Return the program: as variables name it, on the PATH, or the newest in the usual folders."""
    if "VIVADO" in os.environ:
        return os.environ["VIVADO"]
    # settings64.sh sets the one and may be named by the other, as Amaranth's scripts have it.
    if "XILINX_VIVADO" in os.environ:
        return str(Path(os.environ["XILINX_VIVADO"], "bin", "vivado"))
    if "AMARANTH_ENV_VIVADO" in os.environ:
        return str(Path(os.environ["AMARANTH_ENV_VIVADO"]).parent / "bin" / "vivado")
    installed = [str(path) for root in USUAL for pattern in INSTALLED
                 for path in Path(root).glob(pattern)]
    newest = max(installed, key=lambda path: re.findall(r"/(20[\d.]+)/", path), default=None)
    return shutil.which("vivado") or newest


def find() -> Tool:
    """Find Vivado: ``VIVADO`` (the program), ``XILINX_VIVADO`` (its folder), or the PATH."""
    path = _path()
    if path is None:
        raise ToolError(f"Vivado is missing; {INSTALL}")
    match = re.search(r"vivado v(\d+)\.(\d+)", said_by(path, "-version", INSTALL), re.IGNORECASE)
    if match is None:
        raise ToolError(f"{path} does not say its version as Vivado does; {INSTALL}")
    version = int(match[1]), int(match[2])
    if version < LEAST_VERSION:
        raise ToolError(f"{path} is Vivado {match[1]}.{match[2]}, too old; {INSTALL}")
    return Tool("Vivado", f"{match[1]}.{match[2]}", Path(path))


# What Vivado says when it starts on a step, and what to call it.
_COMMAND = re.compile(r"Command: (\w+)")
_STAGES = {"synth_design": "synthesis", "opt_design": "optimisation", "place_design": "placing",
           "route_design": "routing", "write_bitstream": "writing the bitstream"}


def _tell(line: str, progress: Progress) -> None:
    """Turn a line of Vivado's into progress."""
    match = _COMMAND.match(line)
    if match and match[1] in _STAGES:
        progress(_STAGES[match[1]])


def build(plan: Plan, folder, progress: Progress = silent) -> Result:
    """Run Vivado on ``plan`` in ``folder``, and read back what came of it."""
    tool, folder = find(), plan.files.extract(folder)
    for name in _products(plan):
        (folder / name).unlink(missing_ok=True)         # an earlier build's
    progress(f"running Vivado {tool.version}")
    try:
        follow(["sh", f"{plan.files.script}.sh"], "Vivado", folder=folder,
               log=folder / f"{plan.name}.out", told=lambda line: _tell(line, progress),
               env={**os.environ, "VIVADO": str(tool.path)})
    except QuinnoaError as error:
        raise _explain(plan, error) from None
    return read_result(plan, folder, tool)


def _explain(plan: Plan, error: QuinnoaError) -> ToolError:
    """Say what would help against an error of Vivado's, where that is known."""
    if "[Coretcl 2-106]" in str(error):
        return ToolError(f"{error}\nThis Vivado has no {plan.part}: add its family with Vivado's "
                         "installer, or take a newer Vivado, or an edition that has it")
    return ToolError(str(error))


def build_remote(plan: Plan, folder, host: str, *, progress: Progress = silent) -> Result:
    """Run Vivado on ``host`` (``user@name:port``) over SSH, and fetch what came of it.

    Vivado must be on the PATH there, as ``~/.profile`` sets it. The folder there is named after the
    plan's digest, so that what lies in it is never another plan's.
    """
    match = re.fullmatch(r"(?:([\w.-]+)@)?([\w.-]+)(?::(\d+))?", host)
    if match is None:
        raise ToolError(f"a host is [USER@]NAME[:PORT], not {host!r}")
    try:
        from paramiko import SSHException
    except ImportError:
        raise ToolError("paramiko is missing, by which remote hosts are reached: "
                        "pip install paramiko") from None
    connect = {"hostname": match[2], **({"username": match[1]} if match[1] else {}),
               **({"port": int(match[3])} if match[3] else {})}
    root = f"quinnoa_{plan.name}_{plan.files.digest(8).hex()}"
    folder = plan.files.extract(folder)
    progress(f"running Vivado on {match[2]}")
    try:
        products = plan.files.execute_remote_ssh(connect_to=connect, root=root)
    except (OSError, SSHException) as error:
        said = getattr(error, "strerror", None) or error
        raise ToolError(f"{host} cannot be used: {said}; `ssh {host}` must work without a "
                        "password") from None
    for name in _products(plan):
        try:
            (folder / name).write_bytes(products.get(name))
        except (OSError, SSHException) as error:
            said = getattr(error, "strerror", None) or error
            raise ToolError(f"the build on {host} gave no {name}: {said}; see "
                            f"{root}/{plan.name}.log there, or whether Vivado is on the PATH "
                            "there") from None
    return read_result(plan, folder, Tool("Vivado", f"on {match[2]}", Path(root)))


def _products(plan: Plan) -> list[str]:
    """Return the files that a build is read back from."""
    name = plan.name
    return [*([] if plan.toolchain == "vivado-ooc" else [f"{name}.bit"]), f"{name}_timing.rpt",
            f"{name}_utilization_place.rpt", f"{name}_utilization_hierarchical_place.rpt"]


OUT_OF_CONTEXT = """\
read_verilog {name}.v
read_xdc -mode out_of_context {name}.xdc
synth_design -mode out_of_context -top {name} -part {part}
opt_design
place_design
route_design
phys_opt_design
report_utilization -file {name}_utilization_place.rpt
report_utilization -hierarchical -file {name}_utilization_hierarchical_place.rpt
report_timing_summary -max_paths 10 -file {name}_timing.rpt
quit
"""


def out_of_context(verilog: str, *, name: str, part: str, clock_mhz: float,
                   layers: tuple[str, ...] = ()) -> Plan:
    """Plan synthesis, placement and timing of a bare module on ``part``: no pins, no bitstream.

    Parameters
    ----------
    verilog : str
        Module ``name``, with the clock on its port ``clk``.
    name, part : str
    clock_mhz : float
    layers : tuple of str
        Instances to report on.
    """
    if not _NAME.fullmatch(name):
        raise ToolError(f"a module's name is letters, digits and _, a letter first: not {name!r}")
    if not _PART.fullmatch(part):
        raise ToolError(f"a part is letters, digits and -: not {part!r}")
    if not clock_mhz > 0:
        raise ToolError(f"clock is {clock_mhz:g} MHz, but must be above 0")
    files = BuildPlan(script=f"build_{name}")
    files.add_file(f"{name}.v", verilog)
    files.add_file(f"{name}.xdc", f"create_clock -name clk -period {1000 / clock_mhz:.4f} "
                                  "[get_ports clk]\n")
    files.add_file(f"{name}.tcl", OUT_OF_CONTEXT.format(name=name, part=part))
    files.add_file(f"build_{name}.sh",
                   f'#!/bin/sh\nset -e\n: ${{VIVADO:=vivado}}\n"$VIVADO" -mode batch '
                   f"-log {name}.log -source {name}.tcl\n")
    return Plan("vivado-ooc", name, part, clock_mhz, files, layers)


def read_result(plan: Plan, folder: Path, tool: Tool) -> Result:
    """Read the reports of a finished build."""
    missing = [name for name in _products(plan) if not (folder / name).is_file()]
    if missing:
        raise ToolError(f"Vivado ended without {', '.join(missing)}; see "
                        f"{folder / plan.name}.log")
    text = {name: (folder / f"{plan.name}_{name}.rpt").read_text(errors="replace") for name in
            ("timing", "utilization_place", "utilization_hierarchical_place")}
    slack, source, destination = read_timing(text["timing"])
    period = 1000 / plan.clock_mhz
    bitstream = folder / f"{plan.name}.bit"
    return Result(
        tool=tool, bitstream=None if plan.toolchain == "vivado-ooc" else bitstream,
        clock_mhz=plan.clock_mhz, reached_mhz=1000 / (period - slack),
        area=read_area(text["utilization_place"]),
        layers=read_layers(text["utilization_hierarchical_place"], plan),
        worst=plan.layer_of(destination) or plan.layer_of(source))


# The row of the table "Design Timing Summary": WNS, WHS and WPWS, each with three more (UG906).
_SUMMARY = re.compile(r"^ *" + " +".join([r"(-?\d+\.\d+|NA) +\S+ +\S+ +\S+"] * 3) + " *$",
                      re.MULTILINE)


def read_timing(report: str) -> tuple[float, str, str]:
    """Return worst slack in ns, and source and destination of that path ("" if none is shown).

    Format: UG906, report_timing_summary: the table "Design Timing Summary", and the first of the
    paths with the least slack. A design that breaks what no slower clock mends is refused, and so
    is a clock that is too fast for a cell, whatever the paths are.
    """
    row = _SUMMARY.search(report.partition("Design Timing Summary")[2])
    if row is None:
        raise ToolError("the timing report has no Design Timing Summary")
    if row[1] == "NA":
        raise ToolError("the timing report has no constrained path: no clock reached the design")
    if row[2].startswith("-"):
        raise ToolError(f"Vivado left a path whose signal comes {row[2][1:]} ns too soon (hold), "
                        "at any clock; see Min Delay Paths in the timing report, and try another "
                        "Vivado or a smaller design")
    if row[3].startswith("-"):
        raise ToolError(f"the clock is {row[3][1:]} ns too short for a cell that it drives; see "
                        "Pulse Width Checks in the timing report, and build with a slower --clock")
    paths = re.findall(r"Slack \((?:MET|VIOLATED)\) :\s*(-?\d+\.\d+)ns\s+\(required time - arrival "
                       r"time\)\s+Source:\s+(\S+).*?\s+Destination:\s+(\S+)", report, re.DOTALL)
    _, source, destination = min(paths, key=lambda path: float(path[0]), default=(0, "", ""))
    return float(row[1]), source, destination


def _rows(report: str) -> list[list[str]]:
    """Return the cells of every table row, spaces at the right cut off."""
    return [[cell.rstrip() for cell in line[1:-1].split("|")]
            for line in map(str.strip, report.splitlines()) if line.startswith("|")]


def read_area(report: str) -> Area:
    """Return what the whole design takes, from ``report_utilization``.

    7 series call their rows Slice LUTs and Slice Registers, UltraScale+ CLB LUTs and CLB Registers
    (UG906).
    """
    used: dict[str, float] = {}
    for cells in _rows(report):
        if len(cells) > 1 and re.fullmatch(r"\s*\d+(\.\d+)?", cells[1]):
            used.setdefault(cells[0].strip().rstrip("*"), float(cells[1]))
    kind = "Slice" if "Slice LUTs" in used else "CLB"
    if f"{kind} LUTs" not in used:
        raise ToolError("the utilization report has no row Slice LUTs or CLB LUTs")
    return Area(lut=int(used[f"{kind} LUTs"]), ff=int(used.get(f"{kind} Registers", 0)),
                bram36=used.get("Block RAM Tile", 0), uram=int(used.get("URAM", 0)),
                dsp=int(used.get("DSPs", 0)))


def read_layers(report: str, plan: Plan) -> dict[str, Area]:
    """Return what each layer takes, from ``report_utilization -hierarchical``."""
    layers: dict[str, Area] = {}
    titles: list[str] = []
    for cells in _rows(report):
        names = [cell.strip() for cell in cells]
        if names[0] == "Instance":
            titles = names
        elif len(names) == len(titles) and names[0] in plan.layers:
            area = _area_of(dict(zip(titles, names, strict=True)))
            layers[names[0]] = layers.get(names[0], Area()) + area
    return layers


def _area_of(row: dict[str, str]) -> Area:
    """Return one row of the hierarchical report; DSPs are titled by the version."""
    def count(*titles):
        return sum(int(row.get(title, 0)) for title in titles)
    return Area(lut=count("Total LUTs"), ff=count("FFs"),
                bram36=count("RAMB36") + count("RAMB18") / 2, uram=count("URAM"),
                dsp=count("DSP48 Blocks", "DSP Blocks"))
