"""Thresholds say what the function says, whatever it does."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.graph import steps
from quinnoa.graph.steps import TooManySteps, thresholds_of
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import NEVER


def grid(low, high):
    """Return all integers of each channel; the shorter ones repeat their last."""
    count = int((high - low).max()) + 1
    return np.minimum(low + np.arange(count)[:, None], high)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_table_is_reproduced(data):
    channels = data.draw(st.integers(1, 4))
    low = np.array(data.draw(st.lists(st.integers(-9, 3), min_size=channels, max_size=channels)))
    high = low + data.draw(st.integers(0, 12))
    table = np.array(data.draw(st.lists(st.integers(-4, 3), min_size=22 * channels,
                                        max_size=22 * channels))).reshape(22, channels)

    def function(a):
        return table[np.clip(a + 9, 0, 21), np.arange(channels)]

    found = thresholds_of(function, low, high, signed(3))
    a = grid(low, high)
    np.testing.assert_array_equal(found.model(a), function(a))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 1 << 32), chunk=st.sampled_from([4, 7, 1 << 19]))
def test_bisection_and_table_agree_in_chunks_of_any_size(seed, chunk):
    rng = np.random.default_rng(seed)
    channels = int(rng.integers(1, 5))
    gain, shift = rng.normal(0, 0.3, channels), rng.normal(0, 5, channels)

    def function(a):
        return np.clip(np.rint(a * gain + shift), -4, 3).astype(int)

    low, high = rng.integers(-60, 0, channels), rng.integers(0, 60, channels)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "CHUNK", chunk)
        table = thresholds_of(function, low, high, signed(3), monotone=True)
        patch.setattr(steps, "MAX_TABLE", 0)
        bisected = thresholds_of(function, low, high, signed(3), monotone=True)
    for found in (table, bisected):
        np.testing.assert_array_equal(found.model(grid(low, high)), function(grid(low, high)))
    np.testing.assert_array_equal(table.values, bisected.values)


def test_bipolar_steps_count_bits():
    found = thresholds_of(lambda a: np.where(a >= [3, -2], 1, -1), np.array([-5, -5]),
                          np.array([5, 5]), BIPOLAR)
    assert found.values.tolist() == [[3], [-2]] and found.base.tolist() == [0, 0]
    np.testing.assert_array_equal(found.model(np.array([[2, -3], [3, -2]])), [[-1, -1], [1, 1]])


def test_channels_alike_are_one():
    found = thresholds_of(lambda a: (a >= 3) + 1 * (a >= 7), np.full(5, -9), np.full(5, 9),
                          unsigned(2))
    assert found.values.tolist() == [[3, 7]]


def test_steps_that_no_integer_reaches_are_left_out():
    found = thresholds_of(lambda a: np.clip(a, 0, 7), np.array([-2, 3]), np.array([2, 5]),
                          unsigned(3))
    assert found.values.tolist() == [[1, 2], [4, 5]] and found.base.tolist() == [0, 3]


def test_a_constant_has_one_step_that_is_not_reached():
    found = thresholds_of(lambda a: a * 0 + 2, np.array([-4]), np.array([4]), unsigned(2))
    assert found.values.tolist() == [[NEVER]] and found.base.tolist() == [2]


def test_refuses_what_is_too_long_or_too_fine():
    low, high = np.zeros(4, int), np.full(4, 1 << 30)
    with pytest.raises(TooManySteps) as long:
        thresholds_of(lambda a: a % 2, low, high, unsigned(1))
    assert str(long.value) == ("neither rises nor falls, and 4294967300 values of it are too many "
                               "for a table; at most 268435456 are expected")
    with pytest.raises(TooManySteps) as fine:
        thresholds_of(lambda a: a >> 8, low, high, unsigned(23), monotone=True)
    assert str(fine.value) == ("4194304 steps in 4 channels; at most 4194304 in all are expected")
