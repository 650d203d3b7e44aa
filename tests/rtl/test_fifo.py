# amaranth: UnusedElaboratable=no
"""Tests of rtl/fifo.py."""

import numpy as np
import pytest
from amaranth import signed
from amaranth.lib import data
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.fifo import FIFO
from quinnoa.sim.streams import run_unit, schedule_cycles, stalls

PAYLOAD = data.ArrayLayout(signed(5), 3)
FIFOS = [
    # style, depth
    ("registers", 2),
    ("srl", 3),
    ("srl", 18),
    ("srl", 33),
    ("lutram", 3),
    ("lutram", 4),
    ("lutram", 17),
    ("lutram", 64),
    ("lutram", 65),
    ("lutram", 70),
    ("block", 3),
    ("block", 66),
    ("block", 72),
]


def make_beats(count, seed=0):
    return np.random.default_rng(seed).integers(-16, 16, size=(count, 3)).tolist()


def run_and_compare(style, depth, beats, **options):
    dut = FIFO(PAYLOAD, depth=depth, style=style)
    run = run_unit(dut, beats, len(beats), **options)
    assert run.beats == beats
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(beats))
    return dut, run


@pytest.mark.parametrize("style, depth", FIFOS)
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4), (.1, .8)])
def test_keeps_its_schedule_and_its_beats(style, depth, i_density, o_density):
    run_and_compare(style, depth, make_beats(3 * depth + 40),
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from(["auto", "srl", "lutram", "block"]), st.integers(3, 20), st.integers(0, 99),
       st.floats(0, .8), st.floats(0, .8))
def test_keeps_its_schedule_at_any_depth(style, depth, seed, i_density, o_density):
    run_and_compare(style, depth, make_beats(40, seed),
                    i_gap=stalls(seed, i_density), o_gap=stalls(seed + 1, o_density))


@pytest.mark.parametrize("style, depth", FIFOS)
def test_latency_and_ii_are_as_stated(style, depth):
    dut, run = run_and_compare(style, depth, make_beats(50))
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency
    assert set(np.diff(run.o_cycles)) == {dut.ii} == {1}


@pytest.mark.parametrize("style, depth", FIFOS)
def test_holds_depth_beats_and_no_more(style, depth):
    waits = iter([4 * depth])
    _, run = run_and_compare(style, depth, make_beats(2 * depth),
                             o_gap=lambda: next(waits, 0))
    assert sum(cycle < run.o_cycles[0] for cycle in run.i_cycles) == depth
    # Ready rises in the cycle after the first beat is taken.
    assert run.i_cycles[depth] == run.o_cycles[0] + 1


@pytest.mark.parametrize("depth, width, style", [
    (2, 400, "registers"), (3, 1, "lutram"), (64, 400, "lutram"), (4096, 1, "lutram"),
    (66, 64, "block"), (4097, 1, "block")])
def test_auto_takes_the_cheapest_style(depth, width, style):
    assert FIFO(width, depth=depth).style == style


@pytest.mark.parametrize("depth, style, message", [
    (1, "auto", "depth must be at least 2: it is 1"),
    (4, "bram", "style must be auto, registers, srl, lutram, block: it is 'bram'"),
    (3, "registers", ("style registers is for depth 2, the others for more: "
                      "style is registers, depth is 3")),
    (2, "block", ("style registers is for depth 2, the others for more: "
                  "style is block, depth is 2")),
    (66, "srl", "style srl holds at most 65 beats: depth is 66"),
])
def test_refuses(depth, style, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        FIFO(8, depth=depth, style=style)
