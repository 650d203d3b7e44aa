"""Plans: from a shell and a board to all the files of a build, before any tool runs."""

import re
from importlib import import_module

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.boards import Board
from quinnoa.platforms.top import top_for
from quinnoa.process import Progress, silent
from quinnoa.verilog import rtlil_to_verilog

from .tool import Plan, Result, ToolError

__all__ = ["execute", "plan_for"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

# What Amaranth calls the toolchains.
AMARANTH_NAME = {"vivado": "Vivado", "xc7open": "Xray", "ecp5": "Trellis"}


# nextpnr-xilinx does not route LUT6_2: there the pair is two LUTs (UG953, LUT6_2).
LUT_PAIR = """
module lut_pair (output O5, O6, input I0, I1, I2, I3, I4, I5);
  parameter [63:0] INIT = 0;
  LUT5 #(.INIT(INIT[31:0])) five (.O(O5), .I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4));
  LUT6 #(.INIT(INIT)) six (.O(O6), .I0(I0), .I1(I1), .I2(I2), .I3(I3), .I4(I4), .I5(I5));
endmodule
"""


def _without_pairs(verilog: str) -> str:
    """Return Verilog with every instance of LUT6_2 as two LUTs."""
    replaced, count = re.subn(r"^( *)LUT6_2 #", r"\1lut_pair #", verilog, flags=re.MULTILINE)
    return replaced + LUT_PAIR if count else verilog


def _prepared(cls, clock_mhz):
    """Return ``cls`` with file templates that need no Yosys program: Verilog is made afterwards."""

    class Prepared(cls):
        @property
        def file_templates(self):
            templates = dict(super().file_templates)
            templates.pop("{{name}}.debug.v")
            if "{{name}}.v" in templates:
                templates["{{name}}.v"] = "{{emit_rtlil()}}"
            return templates

        @property
        def command_templates(self):
            # nextpnr-xilinx reads no clock constraints from XDC.
            return [template.replace("--json {{name}}.json\n            --write",
                                     f"--json {{{{name}}}}.json --freq {clock_mhz:g} --write")
                    for template in super().command_templates]

    return Prepared


def plan_for(board: Board, shell, *, name: str, clock_mhz: float | None = None,
             toolchain: str | None = None, layers: tuple[str, ...] = ()) -> Plan:
    """Plan the build of ``shell`` for ``board``.

    Parameters
    ----------
    board : Board
    shell : Component
        A ``MemoryShell`` or ``UARTShell``, as the board wants.
    name : str
        Of the top module and of the files.
    clock_mhz : float, optional
        The board's usual clock by default.
    toolchain : str, optional
        One of the board's; the first by default.
    layers : tuple of str
        Names of the instances that count as layers when reports are read back.
    """
    if not _NAME.fullmatch(name):
        raise QuinnoaError(f"a design's name is letters, digits and _, a letter first: "
                           f"not {name!r}")
    toolchain = toolchain or board.toolchains[0]
    if toolchain not in board.toolchains:
        raise QuinnoaError(f"{board.name} is not built by {toolchain}, but by "
                           f"{' or '.join(board.toolchains)}")
    top = top_for(board, shell, clock_mhz=clock_mhz)
    platform = _prepared(board.platform, top.clock_mhz)(toolchain=AMARANTH_NAME[toolchain])
    files = platform.prepare(top, name, emit_src=False)
    if f"{name}.v" in files.files:
        verilog = rtlil_to_verilog(files.files[f"{name}.v"])
        files.files[f"{name}.v"] = (_without_pairs(verilog) if toolchain == "xc7open"
                                    else verilog)
    return Plan(toolchain, name, board.part, top.clock_mhz, files, layers)


def execute(plan: Plan, folder, *, host: str | None = None, progress: Progress = silent) -> Result:
    """Run a plan's toolchain in ``folder``, here or, with Vivado, on ``host`` over SSH."""
    module = import_module(f".{plan.toolchain.partition('-')[0]}", __package__)
    if host is None:
        return module.build(plan, folder, progress)
    if not hasattr(module, "build_remote"):
        raise ToolError(f"{plan.toolchain} runs here only; a host serves Vivado")
    return module.build_remote(plan, folder, host, progress=progress)
