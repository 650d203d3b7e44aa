# amaranth: UnusedElaboratable=no
"""Tests of rtl/fork.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from amaranth.lib.data import ArrayLayout

from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.sim.streams import run_streams, schedule_streams, stalls

UNITS = [
    # shape, lanes, ways
    (signed(3), 2, 2),
    (BIPOLAR, 5, 3),
    (unsigned(1), 1, 1),
    (unsigned(9), 1, 4),
]


def run_and_compare(shape, lanes, ways, *, beats=30, i_density=0, o_densities=(0,)):
    dut = ForkUnit(ArrayLayout(shape, lanes), ways=ways)
    bits = np.random.default_rng(0).integers(2, size=(beats, lanes))
    x = (2 * bits - 1 if shape == BIPOLAR else bits).tolist()
    o_gaps = [stalls(k, o_densities[k % len(o_densities)]) for k in range(ways)]
    run = run_streams(dut, [x], [beats] * ways, i_gaps=[stalls(9, i_density)], o_gaps=o_gaps)
    assert run.beats == [y.tolist() for y in dut.model(x)] == [x] * ways
    assert (run.i_cycles, run.o_cycles) == schedule_streams(
        dut.schedule, run.i_offers, run.o_ready, [beats] * ways)
    return dut, run


@pytest.mark.parametrize("shape, lanes, ways", UNITS)
@pytest.mark.parametrize("i_density, o_densities", [
    (0, (0,)), (.5, (0,)), (0, (.5,)), (0, (0, .8)), (.4, (.9, .1))])
def test_keeps_its_schedule_and_gives_all_to_all(shape, lanes, ways, i_density, o_densities):
    run_and_compare(shape, lanes, ways, i_density=i_density, o_densities=o_densities)


@pytest.mark.parametrize("shape, lanes, ways", UNITS)
def test_ii_and_latency_are_as_stated(shape, lanes, ways):
    dut, run = run_and_compare(shape, lanes, ways)
    assert dut.ii == dut.latency == 1
    assert run.i_cycles == [list(range(30))]
    assert run.o_cycles == [list(range(1, 31))] * ways


def test_refuses_no_ways():
    with pytest.raises(ValueError, match="^ways must be at least 1: it is 0$"):
        ForkUnit(unsigned(2), ways=0)
