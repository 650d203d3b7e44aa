"""Tests of platforms/packing.py."""

import numpy as np
import pytest
from amaranth import Shape, signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.platforms.packing import bytes_per_beat, pack, unpack
from quinnoa.rtl.shapes import BIPOLAR, encode, range_of

SHAPES = [BIPOLAR, unsigned(1), signed(1), unsigned(3), signed(4), unsigned(8), signed(21)]


def slowly(values, shape, lanes):
    """Pack one bit after another."""
    width, words = Shape.cast(shape).width, []
    for vector in values:
        for at in range(0, len(vector), lanes):
            word = 0
            for lane, code in enumerate(encode(vector[at:at + lanes], shape).tolist()):
                word |= code << lane * width
            words.append(list(word.to_bytes(-(-width * lanes // 8), "little")))
    return words


@given(st.sampled_from(SHAPES), st.integers(1, 4), st.integers(1, 9), st.integers(1, 20),
       st.integers(0, 2**32 - 1))
@settings(deadline=None, derandomize=True)
def test_packs_as_bit_after_bit_does_and_back(shape, vectors, elements, lanes, seed):
    low, high = range_of(shape)
    step = 2 if shape is BIPOLAR else 1
    values = np.random.default_rng(seed).choice(
        np.unique([low, high, *range(low, min(high, low + 64), step)]), size=(vectors, elements))
    words = pack(values, shape, lanes=lanes)
    assert words.tolist() == slowly(values, shape, lanes)
    assert unpack(words, shape, lanes=lanes, elements=elements).tolist() == values.tolist()


def test_a_long_set_is_packed_in_slices_without_a_seam():
    values = np.arange(3 << 20, dtype=np.int64).reshape(-1, 3) & 0xFFF
    words = pack(values, unsigned(12), lanes=2)
    assert words.shape == (2 << 20, 3)
    assert np.array_equal(unpack(words, unsigned(12), lanes=2, elements=3), values)


@pytest.mark.parametrize("shape, lanes, expected", [
    (BIPOLAR, 8, 1), (BIPOLAR, 9, 2), (unsigned(3), 3, 2), (signed(8), 49, 49)])
def test_a_beat_is_filled_up_to_whole_bytes(shape, lanes, expected):
    assert bytes_per_beat(shape, lanes) == expected


@pytest.mark.parametrize("value, shape, message", [
    (0, BIPOLAR, "0 does not fit bipolar"),
    (2, BIPOLAR, "2 does not fit bipolar"),
    (8, unsigned(3), r"8 does not fit unsigned\(3\)"),
    (-1, unsigned(3), r"-1 does not fit unsigned\(3\)"),
    (4, signed(3), r"4 does not fit signed\(3\)"),
    (-5, signed(3), r"-5 does not fit signed\(3\)"),
])
def test_refuses_values_that_do_not_fit(value, shape, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        pack([[value]], shape, lanes=1)


def test_refuses_words_of_another_width():
    with pytest.raises(ValueError, match=r"^words must be a multiple of 2 beats of 1 bytes: "
                                         r"they are \(3, 1\)$"):
        unpack(np.zeros((3, 1), np.uint8), unsigned(4), lanes=2, elements=3)
