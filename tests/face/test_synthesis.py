"""Tests of quinnoa/synthesis.py."""

import json
import re

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.synthesis import Cells, run_yosys, synthesise, unit_of

# A counter as unit `count0` of an accelerator, and an inverter beside it.
VERILOG = r"""
module \top.core.count0 (input clk, output reg [7:0] y);
  initial y = 0;
  always @(posedge clk) y <= y + 1;
endmodule
module \top.core (input clk, output [7:0] y);
  \top.core.count0 count0 (.clk(clk), .y(y));
endmodule
module top(input clk, a, output [7:0] y, z, output n);
  wire [7:0] w;
  \top.core core (.clk(clk), .y(y));
  \top.core.count0 again (.clk(a), .y(z));
  assign n = ~a;
endmodule
"""


@pytest.mark.parametrize("module, unit", [
    ("tfc.core.mvtu0", "mvtu0"), ("top.shell.core.fifo12", "fifo12"),
    ("top.core.core.width0", "width0"), ("tfc.core", None), ("tfc", None),
    ("tfc.core.mvtu0.acc0", None), ("tfc.encore.mvtu0", None)])
def test_a_unit_is_known_by_its_modules_name(module, unit):
    assert unit_of(module) == unit


def test_cells_are_counted_as_sites():
    cells = Cells({"LUT6": 3, "LUT6_2": 2, "RAM32M": 1, "FDRE": 5, "CARRY4": 9, "RAMB36E1": 1,
                   "RAMB18E1": 1, "DSP48E1": 2}) + Cells({"LUT6": 1, "RAMB18E1": 2})
    assert cells.as_dict() == {"lut": 10, "ff": 5, "bram36": 2.5, "uram": 0, "dsp": 2}
    assert Cells({"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 1, "PFUMX": 4, "DP16KD": 2,
                  "TRELLIS_FF": 3}).as_dict() == {"lut": 11, "ff": 3, "bram36": 1, "uram": 0,
                                                  "dsp": 0}


@pytest.mark.parametrize("family, ff, carry", [("ecp5", "TRELLIS_FF", "CCU2C"),
                                               ("xc7", "FDRE", "CARRY4")])
def test_cells_are_counted_by_unit_and_by_instance(tmp_path, family, ff, carry):
    (tmp_path / "top.v").write_text(VERILOG)
    stages = []
    cells = synthesise("top.v", top="top", family=family, folder=tmp_path,
                       outputs=["netlist.v", "netlist.json"], progress=stages.append)
    assert cells.keys() == {"", "count0"}
    # Two instances of 8 bits.
    assert cells["count0"].kinds[ff] == 16
    assert cells["count0"].kinds[carry] >= 4
    assert cells[""].as_dict()["lut"] == 1
    assert any(stage.startswith("synthesising: ") for stage in stages)
    modules = json.loads((tmp_path / "netlist.json").read_text())["modules"]
    assert "top.core.count0" in modules
    assert "module \\top.core.count0 " in (tmp_path / "netlist.v").read_text()


def test_wires_named_like_bits_are_not_taken_for_bits(tmp_path):
    (tmp_path / "top.il").write_text(
        "module \\top\n  wire width 2 input 0 \\a\n  wire output 1 \\y\n  wire width 2 \\x[0]\n"
        "  connect \\x[0] \\a\n  cell $reduce_xor \\all\n    parameter \\A_SIGNED 0\n"
        "    parameter \\A_WIDTH 2\n    parameter \\Y_WIDTH 1\n    connect \\A \\x[0]\n"
        "    connect \\Y \\y\n  end\nend\n")
    synthesise("top.il", top="top", family="ecp5", folder=tmp_path, outputs=["netlist.il"])
    netlist = (tmp_path / "netlist.il").read_text()
    assert "cell \\LUT4 " in netlist and "x[0]" not in netlist


def test_an_error_inside_yosys_is_an_error_of_ours(tmp_path):
    (tmp_path / "top.v").write_text("module top(output y); assign y = ; endmodule\n")
    log = re.escape(str(tmp_path / "synthesis.log"))
    with pytest.raises(QuinnoaError, match=rf"(?s)^synthesis failed with status 1:\n.*top\.v:1: "
                                           rf"ERROR: syntax error.*\n{log} has it all$"):
        synthesise("top.v", top="top", family="ecp5", folder=tmp_path, outputs=["netlist.v"])


def test_a_family_without_cells_is_refused(tmp_path):
    with pytest.raises(QuinnoaError, match=r"^Yosys has no cells for the family generic: take one "
                                           r"of xc7, xcup, ecp5$"):
        synthesise("top.v", top="top", family="generic", folder=tmp_path, outputs=[])


def test_nothing_in_the_folder_is_imported(tmp_path):
    (tmp_path / "pyosys.py").write_text("raise SystemExit('imported')")
    run_yosys(["help"], folder=tmp_path)
    assert "imported" not in (tmp_path / "yosys.log").read_text()
