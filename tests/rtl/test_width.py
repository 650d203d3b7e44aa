# amaranth: UnusedElaboratable=no
"""Tests of rtl/width.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.chain import Chain
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.width import WidthConverter, width_converters
from quinnoa.sim.streams import run_unit, run_vectors, schedule_cycles, stalls

SIGNED = signed(5)
CONVERTERS = [
    # elements, i_lanes, o_lanes
    (8, 2, 2),
    (12, 1, 4),
    (12, 6, 2),
    (12, 2, 3),      # a gearbox
    (24, 6, 4),
    (40, 4, 10),
    (7, 2, 2),       # the last beats are not full
    (11, 1, 4),
    (11, 4, 1),
    (13, 6, 2),
    (17, 2, 5),
    (17, 5, 3),
    (64, 10, 16),
    (61, 7, 3),      # the gearbox goes round more than once, and does not end with the vector
    (3, 8, 5),       # less than a beat
    (3, 1, 16),
    (1, 1, 1),
    (7, 4, 5),       # two beats of o from the last of i
    (64, 10, 21),
]


def make_vectors(rng, shape, count, elements):
    low, high = range_of(shape)
    x = rng.integers(low, high + 1, size=(count, elements))
    return np.where(x > 0, 1, -1) if is_bipolar(shape) else x


def run_and_compare(elements, i_lanes, o_lanes, *, shape=SIGNED, vectors=6, seed=0, **options):
    dut = WidthConverter(shape, elements=elements, i_lanes=i_lanes, o_lanes=o_lanes)
    rng = np.random.default_rng(seed)
    x = make_vectors(rng, shape, vectors, elements)
    # What is past the end of a vector on i does not matter.
    beats_in, beats_out = -(-elements // i_lanes), -(-elements // o_lanes)
    x_padded = make_vectors(rng, shape, vectors, beats_in * i_lanes)
    x_padded[:, :elements] = x
    run = run_unit(dut, x_padded.reshape(-1, i_lanes).tolist(), vectors * beats_out, **options)
    y = np.full((vectors, beats_out * o_lanes), -1 if is_bipolar(shape) else 0)
    y[:, :elements] = dut.model(x)
    assert np.reshape(run.beats, y.shape).tolist() == y.tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return dut, run


@pytest.mark.parametrize("elements, i_lanes, o_lanes", CONVERTERS)
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4), (.1, .8)])
def test_keeps_its_schedule_and_its_vectors(elements, i_lanes, o_lanes, i_density, o_density):
    run_and_compare(elements, i_lanes, o_lanes,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 12),
       st.sampled_from([BIPOLAR, unsigned(1), unsigned(3), signed(4)]), st.integers(0, 999),
       st.floats(0, .7), st.floats(0, .7))
def test_converts_any_lanes(elements, i_lanes, o_lanes, shape, seed, i_density, o_density):
    run_and_compare(elements, i_lanes, o_lanes, shape=shape, seed=seed, vectors=4,
                    i_gap=stalls(seed, i_density), o_gap=stalls(seed + 1, o_density))


@pytest.mark.parametrize("elements, i_lanes, o_lanes", CONVERTERS)
def test_ii_and_latency_are_as_stated(elements, i_lanes, o_lanes):
    dut, run = run_and_compare(elements, i_lanes, o_lanes, vectors=8)
    beats_in, beats_out = -(-elements // i_lanes), -(-elements // o_lanes)
    two_from_the_last = i_lanes < o_lanes and (
        elements - (beats_in - 1) * i_lanes > elements - (beats_out - 1) * o_lanes)
    assert dut.ii == max(beats_in, beats_out) + two_from_the_last
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency
    assert set(np.diff(run.o_cycles[beats_out - 1::beats_out])) == {dut.ii}


@pytest.mark.parametrize("elements, i_lanes, o_lanes, takes, gives", [
    (8, 1, 4, "11111111", "00010001"),
    (8, 4, 1, "10001000", "11111111"),
    (12, 2, 3, "111111", "011011"),
    (12, 3, 2, "110110", "111111"),
    (7, 4, 5, "110", "011"),
])
def test_schedule_is_as_stated(elements, i_lanes, o_lanes, takes, gives):
    schedule = WidthConverter(
        unsigned(1), elements=elements, i_lanes=i_lanes, o_lanes=o_lanes).schedule
    assert "".join(str(int(take)) for take in schedule.takes) == takes
    assert "".join(str(int(give)) for give in schedule.gives) == gives


@pytest.mark.parametrize("elements, i_lanes, o_lanes, units", [
    (12, 4, 4, 0), (12, 2, 3, 1), (7, 4, 5, 2), (64, 10, 21, 2)])
def test_converters_do_not_slow_a_chain_down(elements, i_lanes, o_lanes, units):
    made = width_converters(SIGNED, elements=elements, i_lanes=i_lanes, o_lanes=o_lanes)
    assert len(made) == units
    beats_in, beats_out = -(-elements // i_lanes), -(-elements // o_lanes)
    if made:
        x = make_vectors(np.random.default_rng(0), SIGNED, 12, elements)
        y, run = run_vectors(Chain(*made), x, elements)
        assert y.tolist() == x.tolist()
        ends = run.o_cycles[beats_out - 1::beats_out]
        assert set(np.diff(ends[2:])) == {max(beats_in, beats_out)}


@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_ii_of_converters_is_that_of_either_side(elements, i_lanes, o_lanes):
    for unit in width_converters(BIPOLAR, elements=elements, i_lanes=i_lanes, o_lanes=o_lanes):
        assert unit.ii <= max(-(-elements // i_lanes), -(-elements // o_lanes))


def test_refuses_no_lanes():
    with pytest.raises(ValueError, match="^elements and lanes must be at least 1: elements is 4, "
                                         "i_lanes is 0, o_lanes is 2$"):
        WidthConverter(unsigned(1), elements=4, i_lanes=0, o_lanes=2)
