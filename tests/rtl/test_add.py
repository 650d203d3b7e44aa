# amaranth: UnusedElaboratable=no
"""Tests of rtl/add.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.bank import Search
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim.streams import run_streams, schedule_streams, stalls

STEPS = Thresholds([[-20, 0, 3]], unsigned(2))
# Seven steps a channel: these are searched.
MANY = Thresholds(np.arange(7) * 5 + np.arange(6)[:, None] - 20, signed(4), base=[-4] * 6)

UNITS = [
    # multipliers, shapes, channels, lanes, thresholds
    ((1, 1), (unsigned(4), unsigned(4)), 4, 2, None),
    ((1, 1), (unsigned(4), unsigned(4)), 6, 6, STEPS),
    ((3, -5), (signed(4), unsigned(3)), 6, 2, MANY),
    ((-1, -7), (signed(3), signed(5)), 6, 3, STEPS),
    ((1, 1), (BIPOLAR, BIPOLAR), 3, 1, None),
    ((5, -1, 2), (BIPOLAR, unsigned(1), signed(6)), 4, 4, None),
    ((-11,), (signed(4),), 2, 1, None),
    ((1,), (unsigned(3),), 1, 1, None),
    ((1, 2, 3, 4, -5), (signed(2),) * 5, 2, 2, STEPS),
]


def make_vectors(rng, shape, count, channels):
    """Make vectors; the first and the last are the extremes."""
    low, high = range_of(shape)
    x = rng.integers(low, high + 1, size=(count, channels))
    if is_bipolar(shape):
        x = np.where(x > 0, 1, -1)
    x[0], x[-1] = low, high
    return x


def run_and_compare(multipliers, shapes, channels, lanes, thresholds, *, vectors=12, seed=0,
                    i_densities=(0,), o_density=0, style="auto"):
    dut = AddUnit(multipliers=multipliers, shapes=shapes, channels=channels, lanes=lanes,
                  thresholds=thresholds, style=style)
    rng = np.random.default_rng(seed)
    x = [make_vectors(rng, shape, vectors, channels) for shape in shapes]
    # The extremes of the sum, too.
    for each, factor in zip(x, multipliers, strict=True):
        each[1] = each[0] if factor > 0 else each[-1]
        each[2] = each[-1] if factor > 0 else each[0]
    count = vectors * channels // lanes
    run = run_streams(
        dut, [each.reshape(-1, lanes).tolist() for each in x], [count],
        i_gaps=[stalls(k, i_densities[k % len(i_densities)]) for k in range(len(x))],
        o_gaps=[stalls(99, o_density)])
    y = np.array(run.beats[0]).reshape(vectors, channels)
    assert y.tolist() == dut.model(*x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_streams(
        dut.schedule, run.i_offers, run.o_ready, [count])
    return dut, run


def test_model_adds_products_and_counts_thresholds():
    unit = AddUnit(multipliers=(2, -1), shapes=(signed(4), signed(4)), channels=2, lanes=1)
    assert unit.model([[3, -8]], [[1, 7]]).tolist() == [[5, -23]]
    assert unit.o.payload.shape().elem_shape == unit.sum_shape == signed(6)
    unit = AddUnit(multipliers=(2, -1), shapes=(signed(4), signed(4)), channels=2, lanes=1,
                   thresholds=STEPS)
    assert unit.model([[3, -8]], [[1, 7]]).tolist() == [[3, 0]]


@pytest.mark.parametrize("multipliers, shapes, channels, lanes, thresholds", UNITS)
@pytest.mark.parametrize("i_densities, o_density", [
    ((0,), 0), ((.5, 0), 0), ((0,), .5), ((.2, .6), .4), ((.1,), .9)])
def test_keeps_its_schedule_and_equals_its_model(multipliers, shapes, channels, lanes, thresholds,
                                                 i_densities, o_density):
    run_and_compare(multipliers, shapes, channels, lanes, thresholds,
                    i_densities=i_densities, o_density=o_density)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_equals_its_model(draw):
    ways, lanes, groups = (draw.draw(st.integers(1, top)) for top in (4, 3, 3))
    factors = st.integers(-20, 20).filter(bool)
    multipliers = tuple(draw.draw(factors) for _ in range(ways))
    shapes = tuple(draw.draw(st.sampled_from([BIPOLAR, unsigned(1), signed(1), signed(3),
                                              unsigned(8)])) for _ in range(ways))
    steps = draw.draw(st.lists(st.integers(-99, 99), min_size=1, max_size=9))
    thresholds = draw.draw(st.sampled_from([None, Thresholds([sorted(steps)], unsigned(4))]))
    run_and_compare(multipliers, shapes, lanes * groups, lanes, thresholds, vectors=5,
                    seed=draw.draw(st.integers(0, 99)))


@pytest.mark.parametrize("multipliers, shapes, channels, lanes, thresholds", UNITS)
def test_ii_and_latency_are_as_stated(multipliers, shapes, channels, lanes, thresholds):
    dut, run = run_and_compare(multipliers, shapes, channels, lanes, thresholds)
    assert dut.ii == channels // lanes
    assert run.o_cycles[0][0] - run.i_cycles[0][0] == dut.latency
    assert set(np.diff(run.o_cycles[0])) == {1}


@pytest.mark.parametrize("multipliers, shapes, channels, lanes, message", [
    ((1, 2), (unsigned(1),), 4, 2,
     "every input has a multiplier and a shape: there are 2 multipliers and 1 shapes"),
    ((), (), 4, 2,
     "every input has a multiplier and a shape: there are 0 multipliers and 0 shapes"),
    ((1, 0), (unsigned(1),) * 2, 4, 2, r"multipliers must not be 0: they are \[1, 0\]"),
    ((1, 1), (unsigned(1),) * 2, 4, 3, "lanes must divide channels: channels is 4, lanes is 3"),
    ((1, 1), (unsigned(1),) * 2, 4, 0, "lanes must divide channels: channels is 4, lanes is 0"),
])
def test_refuses(multipliers, shapes, channels, lanes, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        AddUnit(multipliers=multipliers, shapes=shapes, channels=channels, lanes=lanes)


@pytest.mark.parametrize("style", ["parallel", "search"])
def test_thresholds_are_compared_as_asked(style):
    thresholds = Thresholds(np.arange(-6, 6).reshape(4, 3), unsigned(2))
    dut, _ = run_and_compare((1, -2), (unsigned(3), unsigned(2)), 4, 2, thresholds, style=style)
    assert isinstance(dut._bank, Search) == (style == "search")
