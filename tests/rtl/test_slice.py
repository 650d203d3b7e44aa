# amaranth: UnusedElaboratable=no
"""Tests of rtl/slice.py."""

import re

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.slice import SliceUnit
from quinnoa.sim.streams import run_vectors, schedule_cycles, stalls

UNITS = [
    # shape, channels, start, stop, lanes
    (unsigned(3), 8, 2, 6, 2),
    (BIPOLAR, 6, 0, 4, 1),        # from the first
    (signed(4), 9, 3, 9, 3),      # to the last
    (unsigned(2), 6, 2, 4, 2),    # one beat
    (signed(1), 4, 0, 2, 2),
    (unsigned(2), 4, 2, 4, 2),
    (unsigned(4), 6, 0, 6, 2),    # all
    (unsigned(4), 2, 0, 2, 2),
]


def run_and_compare(shape, channels, start, stop, lanes, *, vectors=12, seed=0, **options):
    dut = SliceUnit(shape=shape, channels=channels, start=start, stop=stop, lanes=lanes)
    low, high = range_of(shape)
    x = np.random.default_rng(seed).integers(low, high + 1, size=(vectors, channels))
    x = np.where(x > 0, 1, -1) if is_bipolar(shape) else x
    y, run = run_vectors(dut, x, stop - start, **options)
    assert y.tolist() == dut.model(x).tolist() == [row[start:stop] for row in x.tolist()]
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return dut, run


@pytest.mark.parametrize("shape, channels, start, stop, lanes", UNITS)
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4), (.1, .9)])
def test_keeps_its_schedule_and_equals_its_model(shape, channels, start, stop, lanes,
                                                 i_density, o_density):
    run_and_compare(shape, channels, start, stop, lanes,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_equals_its_model(draw):
    lanes, beats = draw.draw(st.integers(1, 3)), draw.draw(st.integers(1, 7))
    start = draw.draw(st.integers(0, beats - 1))
    stop = draw.draw(st.integers(start + 1, beats))
    shape = draw.draw(st.sampled_from([BIPOLAR, unsigned(1), signed(3)]))
    run_and_compare(shape, *(lanes * each for each in (beats, start, stop)), lanes, vectors=5,
                    i_gap=stalls(draw.draw(st.integers(0, 99)), .2))


@pytest.mark.parametrize("shape, channels, start, stop, lanes", UNITS)
def test_ii_and_latency_are_as_stated(shape, channels, start, stop, lanes):
    dut, run = run_and_compare(shape, channels, start, stop, lanes)
    assert dut.ii == channels // lanes
    assert run.i_cycles == list(range(12 * dut.ii))
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency
    assert set(np.diff(run.o_cycles[::(stop - start) // lanes])) == {dut.ii}


@pytest.mark.parametrize("start, stop, lanes, message", [
    (4, 2, 2, "start and stop must be ascending and lie in [0, 8], the number of channels: "
              "they are 4 and 2"),
    (2, 10, 2, "start and stop must be ascending and lie in [0, 8], the number of channels: "
               "they are 2 and 10"),
    (1, 4, 2, "lanes must divide channels, start and stop: channels is 8, start is 1, stop is 4, "
              "lanes is 2"),
    (2, 4, 0, "lanes must divide channels, start and stop: channels is 8, start is 2, stop is 4, "
              "lanes is 0"),
])
def test_refuses(start, stop, lanes, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        SliceUnit(shape=unsigned(2), channels=8, start=start, stop=stop, lanes=lanes)
