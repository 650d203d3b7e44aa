"""Tests of sim/primitives.v: each primitive equals Yosys' description of it."""

import re
from pathlib import Path

import pyosys
import pytest
from pyosys import libyosys

OURS = Path(__file__).resolve().parents[2] / "sim/primitives.v"
YOSYS = Path(pyosys.__file__).parent / "share/xilinx/cells_sim.v"
INITS = {"LUT1": (2, ["1", "2"]), "LUT2": (4, ["8", "6"]), "LUT3": (8, ["e8", "96"]),
         "LUT4": (16, ["1234", "fe01"]), "LUT5": (32, ["12345678"]),
         "LUT6": (64, ["0123456789abcdef"]), "LUT6_2": (64, ["fedcba9876543210"])}
CASES = [(name, f"{bits}'h{init}") for name, (bits, inits) in INITS.items() for init in inits]
CASES += [("CARRY4", None), ("CARRY8", '"SINGLE_CY8"'), ("CARRY8", '"DUAL_CY4"')]


def modules(path):
    """Return the source of every module of a Verilog file, by name."""
    text = path.read_text()
    return {name: text[start.start():text.index("endmodule", start.start()) + len("endmodule")]
            for start in re.finditer(r"^module (\w+)", text, re.MULTILINE)
            for name in [start[1]]}


def equal(name, value, tmp_path):
    """Tell whether the two descriptions of a primitive are equal for all inputs."""
    parameter = "CARRY_TYPE" if name == "CARRY8" else "INIT"
    ours = re.sub(r"^(module |  )(LUT|CARRY)", r"\1our_\2", OURS.read_text(), flags=re.MULTILINE)
    files = tmp_path / "ours.v", tmp_path / "yosys.v"
    files[0].write_text(ours)
    files[1].write_text(modules(YOSYS)[name])
    design = libyosys.Design()
    commands = [f"read_verilog {files[0]}", f"read_verilog {files[1]}"]
    if value is not None:
        commands += [f"chparam -set {parameter} {value} our_{name} {name}"]
    commands += ["proc", f"flatten our_{name}", f"miter -equiv -flatten our_{name} {name} miter",
                 "hierarchy -top miter", f"tee -o {tmp_path}/report sat -prove trigger 0 miter"]
    for command in commands:
        libyosys.Pass.call(design, f"tee -q {command}")
    return "no model found: SUCCESS!" in (tmp_path / "report").read_text()


@pytest.mark.parametrize("name, value", CASES)
def test_primitive_equals_that_of_yosys(name, value, tmp_path):
    assert equal(name, value, tmp_path)


def test_every_primitive_is_compared():
    assert set(modules(OURS)) == {name for name, _ in CASES}
