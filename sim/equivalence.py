"""Proof by Yosys that two components compute the same, Xilinx primitives included."""

import tempfile
from pathlib import Path

from quinnoa.verilog import to_rtlil

__all__ = ["difference"]


def difference(gold, gate, *, cycles=1, xilinx=False):
    """Return "" where no inputs tell the components apart, else Yosys' report of some that do.

    The two have the same ports. They are compared in cycle ``cycles`` (the first is 1) after any
    inputs in any cycle up to it: for a pipeline that keeps nothing longer, that is all cycles.

    Parameters
    ----------
    gold, gate : Component
        A ``gate`` that shows what ``gold`` leaves open is told apart, too.
    cycles : int
        Registers on the longest way from input to output, and one.
    xilinx : bool
        The components have Xilinx primitives in them: take Yosys' description of them.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, component in (("gold", gold), ("gate", gate)):
            path = f"{folder}/{name}.il"
            Path(path).write_text(to_rtlil(component, name=name))
            _run(f'read_rtlil "{path}"',
                 *(["read_verilog +/xilinx/cells_sim.v"] if xilinx else []),
                 f"hierarchy -top {name}", "proc", "flatten", "opt_clean -purge",
                 f'write_rtlil "{path}"')
        _run(f'read_rtlil "{folder}/gold.il"', f'read_rtlil "{folder}/gate.il"',
             "miter -equiv -flatten -make_outputs gold gate miter",
             "hierarchy -top miter", "opt",
             f'tee -o "{folder}/report" sat -seq {cycles} -prove-skip {cycles - 1} '
             "-prove trigger 0 -show-ports miter")
        report = Path(folder, "report").read_text()
    return "" if "SAT proof finished - no model found: SUCCESS!" in report else report


def _run(*commands):
    """Run Yosys commands on a new design, quietly."""
    from pyosys import libyosys

    design = libyosys.Design()
    for command in commands:
        libyosys.Pass.call(design, f"tee -q {command}")
