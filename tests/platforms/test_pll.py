# amaranth: UnusedElaboratable=no
"""Tests of platforms/pll.py: the dividers against a search of their own, and the refusals."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyosys import libyosys

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.boards import BOARDS
from quinnoa.platforms.pll import ECP5_PLL, XC7_PLL, PLLSetting
from quinnoa.platforms.toolchains.plan import plan_for
from quinnoa.platforms.top import clock_of
from tests.platforms.tiny import tiny_shell

# Ranges in MHz, from the data sheets: detector, VCO, output; then D, M, Q.
RANGES = {
    "PLLE2": ((19, 450), (800, 1600), (6.25, 464), 56, range(2, 65), 128),
    "EHXPLLL": ((10, 400), (400, 800), (3.125, 400), 128, range(1, 129), 128),
}


def outputs(name, source):
    """Return every frequency in MHz that the PLL makes of ``source`` MHz."""
    detector, vco, output, most_d, ms, most_q = RANGES[name]
    d, m, q = np.meshgrid(np.arange(1, most_d + 1), np.array(ms), np.arange(1, most_q + 1),
                          indexing="ij")

    def within(value, limits):
        return (value >= limits[0] - 1e-9) & (value <= limits[1] + 1e-9)
    good = within(source / d, detector) & within(source * m / d, vco) \
        & within(source * m / d / q, output)
    return (source * m / d / q)[good]


@pytest.mark.parametrize("limits", [XC7_PLL, ECP5_PLL], ids=lambda limits: limits.name)
@given(source=st.sampled_from([12, 24, 25, 50, 100, 125, 200]), asked=st.integers(7, 400))
@settings(max_examples=12, deadline=None)
def test_the_output_is_the_nearest_that_is_not_above(limits, source, asked):
    possible = outputs(limits.name, source) if source * 1e6 >= limits.source[0] else []
    possible = [mhz for mhz in possible if mhz <= asked + 1e-9]
    if not possible:
        with pytest.raises(QuinnoaError):
            PLLSetting.nearest(limits, source_hz=source * 10**6, asked_hz=asked * 10**6)
        return
    setting = PLLSetting.nearest(limits, source_hz=source * 10**6, asked_hz=asked * 10**6)
    assert setting.output_hz / 1e6 == pytest.approx(max(possible))
    vco = source * setting.multiply / setting.divide
    assert setting.vco_hz / 1e6 == pytest.approx(vco)
    assert setting.output_hz / 1e6 == pytest.approx(vco / setting.output_divide)


def test_common_clocks_are_met_exactly():
    for limits in (XC7_PLL, ECP5_PLL):
        for source in (25, 100):
            for asked in (50, 80, 100, 120, 125, 150, 200):
                setting = PLLSetting.nearest(limits, source_hz=source * 10**6,
                                             asked_hz=asked * 10**6)
                assert setting.output_hz == asked * 1e6, (limits.name, source, asked)


def test_refusals_name_the_ranges():
    for limits, source, asked, message in [
        (XC7_PLL, 100, 500, "the PLL (PLLE2) makes 6.25 to 464 MHz, not 500 MHz"),
        (ECP5_PLL, 25, 2, "the PLL (EHXPLLL) makes 3.125 to 400 MHz, not 2 MHz"),
        (XC7_PLL, 12, 100, "the PLL (PLLE2) takes 19 to 800 MHz, not 12 MHz"),
        # 33 MHz * M / 1 in [800, 1600] starts at 825, by at most 128.
        (XC7_PLL, 33, 6.3, "the PLL (PLLE2) makes at least 6.44531 MHz from 33 MHz, not 6.3 MHz"),
    ]:
        with pytest.raises(QuinnoaError) as error:
            PLLSetting.nearest(limits, source_hz=int(source * 1e6), asked_hz=int(asked * 1e6))
        assert str(error.value) == message


def cells(plan, kind):
    """Return the parameters of all cells of a kind, by Yosys from the plan's own source."""
    name, text = next((name, text) for name, text in plan.files.files.items()
                      if name in ("top.v", "top.il"))
    design = libyosys.Design()
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, name).write_text(text)
        read = "read_verilog" if name.endswith(".v") else "read_rtlil"
        for command in (f"{read} {folder}/{name}", "proc", f"write_json {folder}/top.json"):
            libyosys.Pass.call(design, f"tee -q {command}")
        modules = json.loads(Path(folder, "top.json").read_text())["modules"]
    found = [cell for module in modules.values() for cell in module["cells"].values()
             if cell["type"] == kind]
    return [{key: int(value, 2) if set(value) <= {"0", "1"} else value.strip()
             for key, value in cell["parameters"].items()} for cell in found]


@pytest.mark.parametrize("name, kind, expected", [
    ("nexys4-ddr", "PLLE2_BASE", {"DIVCLK_DIVIDE": 1, "CLKFBOUT_MULT": 12, "CLKOUT0_DIVIDE": 10}),
    ("ulx3s-85f", "EHXPLLL", {"CLKI_DIV": 1, "CLKFB_DIV": 1, "CLKOP_DIV": 24, "CLKOS_DIV": 5,
                              "CLKOS_CPHASE": 4, "FEEDBK_PATH": "CLKOP"}),
], ids=["xc7", "ecp5"])
def test_the_primitive_has_the_dividers(name, kind, expected):
    board = BOARDS[name]
    plan = plan_for(board, tiny_shell(board), name="top", clock_mhz=120)
    [parameters] = cells(plan, kind)
    assert plan.clock_mhz == clock_of(board, 120) == 120
    assert {key: parameters[key] for key in expected} == expected


def test_with_a_ps_the_clock_is_as_asked():
    assert clock_of(BOARDS["zcu104"], 333) == 333
    assert clock_of(BOARDS["zcu104"]) == 250
    assert clock_of(BOARDS["ulx3s-85f"], 83) == pytest.approx(82.8125)
    with pytest.raises(QuinnoaError, match="^clock is 0 MHz, but must be above 0$"):
        clock_of(BOARDS["zcu104"], 0)
