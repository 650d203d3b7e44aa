# amaranth: UnusedElaboratable=no
"""Tests of rtl/reduce.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.reduce import ReduceUnit
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.sim.streams import run_vectors, schedule_cycles, stalls

UNITS = [
    # vectors, channels, lanes, shape
    (4, 1, 1, unsigned(4)),       # one word
    (4, 2, 2, BIPOLAR),
    (3, 4, 2, signed(3)),         # two words
    (4, 3, 1, signed(1)),         # three: a memory
    (2, 8, 2, unsigned(1)),
    (9, 10, 2, BIPOLAR),
    (5, 4, 1, signed(8)),
    (1, 3, 3, unsigned(2)),       # one vector
    (1, 6, 2, BIPOLAR),
    (49, 6, 2, unsigned(2)),
]


def make_runs(rng, shape, count, elements):
    """Make runs of vectors; the first and the last are the extremes."""
    low, high = range_of(shape)
    x = rng.integers(low, high + 1, size=(count, elements))
    if is_bipolar(shape):
        x = np.where(x > 0, 1, -1)
    x[0], x[-1] = low, high
    # Else the greatest of many is the greatest of all.
    x[1::2] = np.where(rng.integers(8, size=x[1::2].shape) > 0, low, x[1::2])
    return x


def run_and_compare(op, vectors, channels, lanes, shape, *, runs=6, seed=0, **options):
    dut = ReduceUnit(op=op, vectors=vectors, channels=channels, lanes=lanes, shape=shape)
    x = make_runs(np.random.default_rng(seed), shape, runs, vectors * channels)
    y, run = run_vectors(dut, x, channels, **options)
    assert y.tolist() == dut.model(x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return dut, run


def test_model_pools_windows_and_whole_images():
    x = np.arange(24).reshape(2, 2, 2, 3)
    for op, y in (("max", x.max(axis=(1, 2))), ("sum", x.sum(axis=(1, 2)))):
        unit = ReduceUnit(op=op, vectors=4, channels=3, lanes=1, shape=unsigned(5))
        assert unit.model(x).tolist() == unit.model(x.reshape(2, 12)).tolist() == y.tolist()


@pytest.mark.parametrize("vectors, shape, o_shape", [
    (49, unsigned(4), unsigned(10)), (4, BIPOLAR, signed(4)), (1024, signed(2), signed(12)),
    (2, signed(1), signed(2)), (1, unsigned(1), unsigned(1))])
def test_sums_have_the_narrowest_shape(vectors, shape, o_shape):
    unit = ReduceUnit(op="sum", vectors=vectors, channels=2, lanes=2, shape=shape)
    assert unit.o.payload.shape().elem_shape == unit.o_shape == o_shape


@pytest.mark.parametrize("op", ["max", "sum"])
@pytest.mark.parametrize("vectors, channels, lanes, shape", UNITS)
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4), (.1, .9)])
def test_keeps_its_schedule_and_equals_its_model(op, vectors, channels, lanes, shape,
                                                 i_density, o_density):
    run_and_compare(op, vectors, channels, lanes, shape,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.sampled_from(["max", "sum"]), st.integers(1, 9), st.integers(1, 6), st.integers(1, 3),
       st.sampled_from([BIPOLAR, unsigned(1), unsigned(2), signed(1), signed(3), signed(9)]),
       st.integers(0, 999))
def test_equals_its_model(op, vectors, cf, lanes, shape, seed):
    run_and_compare(op, vectors, cf * lanes, lanes, shape, seed=seed, i_gap=stalls(seed, .2))


@pytest.mark.parametrize("vectors, channels, lanes, shape", UNITS)
def test_ii_and_latency_are_as_stated(vectors, channels, lanes, shape):
    dut, run = run_and_compare("sum", vectors, channels, lanes, shape)
    assert dut.ii == vectors * dut.cf
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency
    assert run.i_cycles == list(range(6 * dut.ii))
    assert set(np.diff(run.o_cycles[::dut.cf])) == {dut.ii}


@pytest.mark.parametrize("change, message", [
    ({"op": "min"}, "op must be max or sum: it is 'min'"),
    ({"vectors": 0}, "vectors must be at least 1: it is 0"),
    ({"lanes": 3}, "lanes must divide channels: channels is 4, lanes is 3"),
    ({"lanes": 0}, "lanes must divide channels: channels is 4, lanes is 0"),
])
def test_refuses(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ReduceUnit(**{"op": "max", "vectors": 4, "channels": 4, "lanes": 2, "shape": unsigned(3),
                      **change})


def test_model_refuses_what_is_no_run():
    unit = ReduceUnit(op="max", vectors=4, channels=3, lanes=1, shape=unsigned(5))
    with pytest.raises(ValueError, match=r"^a run is 4 vectors of 3 channels: "
                                         r"x has shape \(2, 9\)$"):
        unit.model(np.zeros((2, 9), int))
