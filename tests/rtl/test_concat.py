# amaranth: UnusedElaboratable=no
"""Tests of rtl/concat.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.concat import ConcatUnit
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.sim.streams import run_streams, schedule_streams, stalls

UNITS = [
    # shape, channels, lanes
    (unsigned(3), (4, 2), 2),
    (BIPOLAR, (1, 3, 2), 1),
    (signed(4), (3, 3), 3),
    (unsigned(1), (2, 2, 4, 2), 2),
    (signed(2), (3,), 1),
]


def run_and_compare(shape, channels, lanes, *, vectors=12, seed=0, i_densities=(0,), o_density=0):
    dut = ConcatUnit(shape=shape, channels=channels, lanes=lanes)
    rng, (low, high) = np.random.default_rng(seed), range_of(shape)
    x = [rng.integers(low, high + 1, size=(vectors, each)) for each in channels]
    if is_bipolar(shape):
        x = [np.where(each > 0, 1, -1) for each in x]
    count = vectors * sum(channels) // lanes
    run = run_streams(
        dut, [each.reshape(-1, lanes).tolist() for each in x], [count],
        i_gaps=[stalls(k, i_densities[k % len(i_densities)]) for k in range(len(x))],
        o_gaps=[stalls(99, o_density)])
    y = np.array(run.beats[0]).reshape(vectors, -1)
    assert y.tolist() == dut.model(*x).tolist() == [sum(row, []) for row in zip(
        *(each.tolist() for each in x), strict=True)]
    assert (run.i_cycles, run.o_cycles) == schedule_streams(
        dut.schedule, run.i_offers, run.o_ready, [count])
    return dut, run


@pytest.mark.parametrize("shape, channels, lanes", UNITS)
@pytest.mark.parametrize("i_densities, o_density", [
    ((0,), 0), ((.5, 0), 0), ((0,), .5), ((.2, .6), .4), ((.1,), .9)])
def test_keeps_its_schedule_and_equals_its_model(shape, channels, lanes, i_densities, o_density):
    run_and_compare(shape, channels, lanes, i_densities=i_densities, o_density=o_density)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from([BIPOLAR, unsigned(1), signed(3)]), st.integers(1, 3),
       st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 99))
def test_equals_its_model(shape, lanes, groups, seed):
    run_and_compare(shape, tuple(lanes * each for each in groups), lanes, vectors=4, seed=seed,
                    i_densities=(.3,))


@pytest.mark.parametrize("shape, channels, lanes", UNITS)
def test_ii_and_latency_are_as_stated(shape, channels, lanes):
    dut, run = run_and_compare(shape, channels, lanes)
    assert dut.ii == sum(channels) // lanes
    assert dut.latency == 1
    assert run.o_cycles == [list(range(1, 1 + 12 * dut.ii))]


@pytest.mark.parametrize("channels, lanes, message", [
    ((), 1, "a concat needs at least one input"),
    ((4, 3), 2, r"lanes must divide channels: channels are \[4, 3\], lanes is 2"),
    ((4, 0), 2, r"lanes must divide channels: channels are \[4, 0\], lanes is 2"),
    ((4, 2), 0, r"lanes must divide channels: channels are \[4, 2\], lanes is 0"),
])
def test_refuses(channels, lanes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ConcatUnit(shape=unsigned(2), channels=channels, lanes=lanes)
