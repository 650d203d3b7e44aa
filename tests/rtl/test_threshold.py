# amaranth: UnusedElaboratable=no
"""Tests of rtl/threshold.py, rtl/bank.py and rtl/steps.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.threshold import ThresholdUnit, bank
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim.streams import run_vectors, schedule_cycles, stalls

SENSES = ["rising", "falling", "both", "any"]


def make_thresholds(rng, *, channels, i_shape, shape, steps, sense="rising"):
    """Make random step functions that use the whole of ``shape``, as far as ``steps`` do."""
    low, high = range_of(i_shape)
    # Two beyond both ends: steps that all reach, and that none does.
    values = np.sort(rng.integers(low - 2, high + 4, size=(channels, steps)), axis=1)
    falls = np.zeros((channels, steps), bool)
    if sense == "any":
        falls[:] = np.arange(steps) % 2
    elif sense != "rising":
        falls[:] = sense == "falling" or rng.integers(2, size=(channels, 1))
    bottom, top = (0, 1) if is_bipolar(shape) else range_of(shape)
    levels = np.cumsum(np.where(falls, -1, 1), axis=1)
    room = (top - np.maximum(levels.max(axis=1, initial=0), 0),
            bottom - np.minimum(levels.min(axis=1, initial=0), 0))
    base = rng.integers(room[1], room[0] + 1) if sense == "both" else room[1]
    return Thresholds(values, shape, base, falls)


def make_vectors(rng, shape, size):
    """Make vectors with the extremes of ``shape`` among them."""
    low, high = range_of(shape)
    x = rng.integers(low, high + 1, size=size)
    if is_bipolar(shape):
        x = np.where(x > 0, 1, -1)
    return np.concatenate([x, np.full((1, size[1]), low), np.full((1, size[1]), high)])


def run_and_compare(dut, i_shape, *, seed=0, vectors=6, **options):
    x = make_vectors(np.random.default_rng(seed), i_shape, (vectors, dut.channels))
    y, run = run_vectors(dut, x, dut.channels, **options)
    assert y.tolist() == dut.model(x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return run


UNITS = [
    # style, channels, lanes, i_shape, shape, steps, alike
    ("parallel", 6, 2, unsigned(5), BIPOLAR, 1, False),
    ("parallel", 6, 6, signed(5), BIPOLAR, 1, False),
    ("parallel", 5, 2, signed(6), unsigned(2), 3, False),
    ("parallel", 5, 2, signed(6), unsigned(2), 3, True),
    ("parallel", 4, 2, unsigned(8), signed(4), 15, False),
    ("parallel", 4, 2, unsigned(8), signed(4), 14, True),
    ("parallel", 3, 2, BIPOLAR, unsigned(2), 2, False),
    ("parallel", 3, 1, signed(1), unsigned(1), 0, False),
    ("parallel", 2, 1, signed(9), unsigned(5), 27, False),
    ("search", 6, 2, unsigned(5), BIPOLAR, 1, False),
    ("search", 6, 6, signed(5), unsigned(2), 3, False),
    ("search", 5, 2, signed(6), unsigned(3), 6, False),
    ("search", 5, 2, signed(6), signed(3), 7, True),
    ("search", 4, 2, unsigned(8), signed(4), 15, False),
    ("search", 3, 2, BIPOLAR, unsigned(2), 2, False),
    ("search", 1, 1, signed(12), unsigned(8), 255, False),
    # Block RAM.
    ("parallel", 150, 1, signed(16), unsigned(2), 3, False),
    ("search", 260, 2, signed(16), unsigned(2), 3, False),
]


def make_unit(style, channels, lanes, i_shape, shape, steps, alike, sense="rising", seed=0):
    rng = np.random.default_rng(seed)
    thresholds = make_thresholds(rng, channels=1 if alike else channels, i_shape=i_shape,
                                 shape=shape, steps=steps, sense=sense)
    return ThresholdUnit(thresholds, channels=channels, lanes=lanes, i_shape=i_shape, style=style)


@pytest.mark.parametrize("unit, sense", [
    (unit, sense) for unit in UNITS for sense in SENSES if (unit[0], sense) != ("search", "any")])
def test_equals_its_model_and_keeps_its_schedule(unit, sense):
    run_and_compare(make_unit(*unit, sense=sense), unit[3])


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("i_density, o_density", [(.5, 0), (0, .5), (.4, .4), (.1, .8)])
def test_keeps_its_schedule_stalled(unit, i_density, o_density):
    run_and_compare(make_unit(*unit, sense="both"), unit[3], vectors=20,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(["parallel", "search", "auto"]), st.integers(1, 6), st.integers(1, 7),
       st.sampled_from([BIPOLAR, signed(1), unsigned(1), signed(4), unsigned(7)]),
       st.sampled_from([BIPOLAR, unsigned(1), signed(3), unsigned(4)]),
       st.integers(0, 12), st.booleans(), st.sampled_from(SENSES), st.integers(0, 999))
def test_equals_its_model(style, channels, lanes, i_shape, shape, steps, alike, sense, seed):
    # One way, the levels must fit the shape.
    low, high = (0, 1) if is_bipolar(shape) else range_of(shape)
    steps = min(steps, high - low)
    style = "auto" if sense == "any" else style
    dut = make_unit(style, channels, lanes, i_shape, shape, steps, alike, sense, seed)
    run_and_compare(dut, i_shape, seed=seed)


@pytest.mark.parametrize("unit", UNITS)
def test_ii_and_latency_are_as_stated(unit):
    dut = make_unit(*unit)
    run = run_and_compare(dut, unit[3], vectors=10)
    assert dut.ii == -(-dut.channels // dut.lanes)
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency
    assert set(np.diff(run.o_cycles)) == {1}


@pytest.mark.parametrize("style, steps, alike, latency", [
    ("parallel", 1, True, 1),         # compare
    ("parallel", 1, False, 1 + 1),    # read, compare
    ("parallel", 6, False, 1 + 1 + 1),
    ("parallel", 7, False, 1 + 1 + 2),
    ("parallel", 13, False, 1 + 1 + 3),
    ("search", 3, True, 1 + 2),       # the first threshold is a constant
    ("search", 15, False, 4 * 2),
])
def test_bank_latency_is_what_it_does(style, steps, alike, latency):
    values = np.arange(1, steps + 1) + np.zeros((1 if alike else 8, 1), int)
    values[-1] += not alike
    thresholds = Thresholds(values, unsigned(4))
    made = bank(thresholds=thresholds, lanes=2, channels=8, a_shape=unsigned(6), style=style)
    assert made.latency == latency


def test_block_ram_takes_a_cycle_more():
    made = make_unit("parallel", 150, 1, signed(16), unsigned(2), 3, False)._bank
    assert (made._table.style, made.latency) == ("block", 2 + 1 + 1)
    made = make_unit("search", 260, 2, signed(16), unsigned(2), 3, False)._bank
    assert [table.style for table, _ in made._tables[1]] == ["block"] * 2
    assert made.latency == (1 + 1) + (2 + 1)


def test_thresholds_not_in_use_have_no_memory():
    thresholds = Thresholds([[3, 40, 99], [3, 60, 99], [3, 40, 99], [3, 60, 99]], unsigned(2))
    made = bank(thresholds=thresholds, lanes=2, channels=4, a_shape=unsigned(6), style="parallel")
    assert made.latency == 2          # compare, count: the two groups are alike
    constant = Thresholds([[-5, 99]] * 4, unsigned(2))
    unit = ThresholdUnit(constant, channels=4, lanes=2, i_shape=unsigned(6))
    assert run_and_compare(unit, unsigned(6)).beats[0] == [1, 1]


@pytest.mark.parametrize("falls, steps, style", [
    (0, 6, "Comparators"), (0, 7, "Search"), (1, 7, "Search"), ([[0, 1] * 4], 8, "Comparators")])
def test_auto_searches_many_steps_where_it_can(falls, steps, style):
    falls = np.broadcast_to(np.array(falls, bool), (1, steps))
    thresholds = Thresholds([np.arange(steps)], unsigned(4), [steps * falls[0, 0]], falls)
    made = bank(thresholds=thresholds, lanes=1, channels=1, a_shape=unsigned(6))
    assert type(made).__name__ == style


RISING = Thresholds([[1, 2]] * 3, unsigned(2))
UNEVEN = Thresholds([[1, 2], [1, 2]], unsigned(2), falls=[[0, 0], [0, 1]])


@pytest.mark.parametrize("thresholds, channels, lanes, style, message", [
    (RISING, 4, 2, "auto", "there must be thresholds for 1 channel or for all 4: they are for 3"),
    (RISING, 3, 0, "auto", "channels and lanes must be at least 1: they are 3 and 0"),
    (RISING, 3, 1, "tree", "style must be auto, parallel, search: it is 'tree'"),
    (UNEVEN, 2, 1, "search", ("a search needs channels that only rise or only fall: "
                              "channel 1 does both")),
])
def test_refuses(thresholds, channels, lanes, style, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        ThresholdUnit(thresholds, channels=channels, lanes=lanes, i_shape=unsigned(4), style=style)
