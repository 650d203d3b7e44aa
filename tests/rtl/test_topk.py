# amaranth: UnusedElaboratable=no
"""Tests of rtl/topk.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.topk import TopKUnit
from quinnoa.sim.streams import run_unit, schedule_cycles, stalls

UNITS = [
    # elements, lanes, k, shape
    (10, 1, 1, signed(12)),
    (10, 2, 1, signed(4)),
    (10, 10, 1, unsigned(4)),
    (10, 4, 1, signed(3)),      # the last beat is not full
    (10, 16, 3, signed(3)),     # one beat, not full
    (10, 1, 5, unsigned(2)),
    (9, 2, 5, signed(4)),
    (7, 3, 7, unsigned(3)),     # all, in order
    (6, 5, 2, BIPOLAR),
    (1, 1, 1, unsigned(1)),
]


def make_vectors(rng, shape, count, elements):
    """Make vectors, many with few values so that there are equals, and the extremes."""
    low, high = range_of(shape)
    x = rng.integers(low, high + 1, size=(count, elements))
    if is_bipolar(shape):
        x = np.where(x > 0, 1, -1)
    x[1::3] = np.where(rng.integers(2, size=x[1::3].shape), low, high)
    x[0], x[-1] = low, high
    return x


def run_and_compare(elements, lanes, k, shape, *, vectors=8, seed=0, **options):
    dut = TopKUnit(elements=elements, lanes=lanes, shape=shape, k=k)
    rng = np.random.default_rng(seed)
    x = make_vectors(rng, shape, vectors, elements)
    # What is past the end of a vector does not matter.
    padded = np.full((vectors, dut.beats * lanes), range_of(shape)[1])
    padded[:, :elements] = x
    run = run_unit(dut, padded.reshape(-1, lanes).tolist(), vectors, **options)
    assert run.beats == dut.model(x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, vectors)
    return dut, run


def test_model_gives_the_first_of_equals():
    unit = TopKUnit(elements=5, lanes=1, shape=signed(4), k=3)
    assert unit.model([[1, 7, -8, 7, 1]]).tolist() == [[1, 3, 0]]


@pytest.mark.parametrize("elements, lanes, k, shape", UNITS)
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4), (.1, .9)])
def test_keeps_its_schedule_and_equals_its_model(elements, lanes, k, shape, i_density, o_density):
    run_and_compare(elements, lanes, k, shape, vectors=15,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 14), st.integers(1, 9), st.integers(1, 14),
       st.sampled_from([BIPOLAR, unsigned(2), signed(1), signed(3), signed(9)]),
       st.integers(0, 999))
def test_equals_its_model(elements, lanes, k, shape, seed):
    run_and_compare(elements, lanes, min(k, elements), shape, vectors=6, seed=seed)


@pytest.mark.parametrize("elements, lanes, k, shape", UNITS)
def test_ii_and_latency_are_as_stated(elements, lanes, k, shape):
    dut, run = run_and_compare(elements, lanes, k, shape, vectors=10)
    assert dut.ii == -(-elements // lanes)
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency
    assert set(np.diff(run.o_cycles)) == {dut.ii}


@pytest.mark.parametrize("elements, lanes, k, message", [
    (0, 1, 1, "elements and lanes must be at least 1: they are 0 and 1"),
    (4, 1, 5, r"k must lie in \[1, 4\], the number of elements: it is 5"),
    (4, 1, 0, r"k must lie in \[1, 4\], the number of elements: it is 0"),
])
def test_refuses(elements, lanes, k, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        TopKUnit(elements=elements, lanes=lanes, shape=unsigned(3), k=k)
