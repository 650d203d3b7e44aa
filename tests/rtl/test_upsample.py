# amaranth: UnusedElaboratable=no
"""Tests of rtl/upsample.py."""

import re

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.upsample import UpsampleUnit
from quinnoa.sim.streams import run_vectors, schedule_cycles, stalls

UNITS = [
    # height, width, channels, factor, lanes, shape
    (2, 3, 4, (2, 2), 2, unsigned(3)),
    (2, 3, 6, (2, 3), 2, signed(4)),      # three beats a pixel
    (3, 5, 3, (3, 1), 1, BIPOLAR),        # rows alone
    (2, 2, 3, (1, 2), 1, unsigned(1)),    # columns alone
    (2, 2, 3, (1, 3), 3, unsigned(2)),    # one beat is kept
    (3, 1, 2, (2, 1), 2, unsigned(2)),
    (3, 1, 1, (2, 2), 1, signed(1)),
    (2, 2, 4, (1, 1), 2, unsigned(2)),
    (1, 1, 1, (1, 1), 1, BIPOLAR),
]


def make_images(rng, shape, count, *dims):
    """Make images; the first and the last are the extremes."""
    low, high = range_of(shape)
    x = rng.integers(low, high + 1, size=(count, *dims))
    if is_bipolar(shape):
        x = np.where(x > 0, 1, -1)
    x[0], x[-1] = low, high
    return x


def run_and_compare(height, width, channels, factor, lanes, shape, *, frames=5, seed=0, **options):
    dut = UpsampleUnit(height=height, width=width, channels=channels, factor=factor, lanes=lanes,
                       shape=shape)
    x = make_images(np.random.default_rng(seed), shape, frames, height, width, channels)
    expected = dut.model(x).reshape(frames, -1)
    y, run = run_vectors(dut, x.reshape(frames, -1), expected.shape[1], **options)
    assert y.tolist() == expected.tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return dut, run


def test_model_repeats_pixels_and_rows():
    unit = UpsampleUnit(height=1, width=2, channels=1, factor=(2, 3), lanes=1, shape=unsigned(2))
    assert unit.model([[[1], [2]]]).tolist() == [[[1], [1], [1], [2], [2], [2]]] * 2


@pytest.mark.parametrize("height, width, channels, factor, lanes, shape", UNITS)
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4), (.1, .9)])
def test_keeps_its_schedule_and_equals_its_model(height, width, channels, factor, lanes, shape,
                                                 i_density, o_density):
    run_and_compare(height, width, channels, factor, lanes, shape,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.integers(1, 3), st.integers(1, 4), st.integers(1, 4), st.integers(1, 2),
       st.tuples(st.integers(1, 3), st.integers(1, 3)),
       st.sampled_from([BIPOLAR, unsigned(1), signed(3)]), st.integers(0, 999))
def test_equals_its_model(height, width, cf, lanes, factor, shape, seed):
    run_and_compare(height, width, cf * lanes, factor, lanes, shape, frames=3, seed=seed,
                    i_gap=stalls(seed, .2))


@pytest.mark.parametrize("height, width, channels, factor, lanes, shape", UNITS)
def test_ii_and_latency_are_as_stated(height, width, channels, factor, lanes, shape):
    dut, run = run_and_compare(height, width, channels, factor, lanes, shape)
    assert dut.ii == height * width * factor[0] * factor[1] * channels // lanes
    assert run.o_cycles == list(range(dut.latency, dut.latency + 5 * dut.ii))


@pytest.mark.parametrize("change, message", [
    ({"width": 0}, "height, width and channels must be at least 1: they are 2, 0 and 4"),
    ({"factor": (2, 0)}, "factors must be at least 1: they are 2 and 0"),
    ({"lanes": 3}, "lanes must divide channels: channels is 4, lanes is 3"),
    ({"lanes": 0}, "lanes must divide channels: channels is 4, lanes is 0"),
])
def test_refuses(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        UpsampleUnit(**{"height": 2, "width": 3, "channels": 4, "factor": (2, 2), "lanes": 2,
                        "shape": unsigned(3), **change})
