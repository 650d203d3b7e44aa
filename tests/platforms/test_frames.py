# amaranth: UnusedElaboratable=no
"""Tests of platforms/frames.py."""

import re

import numpy as np
import pytest
from amaranth import Shape, signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.frames import FrameFormat, FrameReader, FrameWriter
from quinnoa.rtl.shapes import BIPOLAR, encode, range_of
from quinnoa.sim.streams import run_unit, stalls

SHAPES = [BIPOLAR, unsigned(1), signed(2), unsigned(3), unsigned(8), signed(8), signed(13),
          signed(32)]


def words_of(values, form):
    """Lay the elements of frames into words, one after another, with Python's own integers."""
    words = []
    for frame in values:
        bits = 0
        for k, code in enumerate(encode(frame, form.shape).tolist()):
            if form.signed and code >> (form.bits - 1):
                code += (1 << form.slot) - (1 << form.bits)
            bits |= code << k * form.slot
        words += [bits >> k * form.word_bits & (1 << form.word_bits) - 1
                  for k in range(form.words)]
    return words


def frames_of(form, seed, count=3):
    low, high = range_of(form.shape)
    values = np.random.default_rng(seed).integers(low, high + 1, (count, form.elements))
    return np.where(values == 0, 1, values) if form.bipolar else values


def beats_of(values, form):
    return values.reshape(-1, form.lanes).tolist()


@given(st.sampled_from(SHAPES), st.integers(1, 12), st.integers(1, 9),
       st.sampled_from([32, 64, 128]), st.sampled_from([0, 0.4]), st.integers(0, 99))
@settings(deadline=None, derandomize=True, max_examples=25)
def test_words_become_beats_and_beats_words(shape, lanes, beats, word_bits, density, seed):
    form = FrameFormat.of(shape, lanes=lanes, beats=beats, word_bits=word_bits)
    values = frames_of(form, seed)
    words, beats = words_of(values, form), beats_of(values, form)
    gaps = {"i_gap": stalls(seed, density), "o_gap": stalls(seed + 1, density)}
    assert run_unit(FrameReader(form), words, len(beats), **gaps).beats == beats
    assert run_unit(FrameWriter(form), beats, len(words), **gaps).beats == words
    assert np.array_equal(FrameReader(form).model(values), values)


@pytest.mark.parametrize("shape, lanes, beats, word_bits", [
    (unsigned(8), 8, 6, 64), (unsigned(8), 49, 16, 64), (BIPOLAR, 10, 7, 32),
    (signed(9), 1, 10, 64), (unsigned(2), 3, 23, 64)])
def test_ii_is_as_stated(shape, lanes, beats, word_bits):
    form = FrameFormat.of(shape, lanes=lanes, beats=beats, word_bits=word_bits)
    values = frames_of(form, 0, count=6)
    words, beats = words_of(values, form), beats_of(values, form)
    for unit, i, o in (FrameReader(form), words, beats), (FrameWriter(form), beats, words):
        run = run_unit(unit, i, len(o))
        assert unit.ii == max(form.words, form.beats)
        assert run.o_cycles[-1] - run.o_cycles[-1 - len(o) // 3] == 2 * unit.ii


@pytest.mark.parametrize("shape, slot", [
    (BIPOLAR, 1), (unsigned(1), 1), (signed(2), 2), (unsigned(3), 4), (unsigned(5), 8),
    (signed(8), 8), (unsigned(9), 16), (unsigned(17), 32), (signed(32), 32)])
def test_a_slot_is_the_next_power_of_two(shape, slot):
    form = FrameFormat.of(shape, lanes=7, beats=5, word_bits=64)
    assert form.slot == slot
    assert form.words == -(-35 * slot // 64) and form.bytes == 8 * form.words


def test_a_format_is_told_and_made_by_its_dict():
    form = FrameFormat.of(signed(5), lanes=3, beats=4, word_bits=128)
    assert form.as_dict() == {"bits": 5, "signed": True, "bipolar": False, "lanes": 3, "beats": 4,
                              "word_bits": 128}
    assert FrameFormat(**form.as_dict()) == form
    assert Shape.cast(form.shape) == signed(5)


@pytest.mark.parametrize("change, error, message", [
    ({"bits": 33}, QuinnoaError,
     "elements of a frame in memory have at most 32 bits: these have 33"),
    ({"bits": 0}, ValueError,
     "bits, lanes and beats must be at least 1: bits is 0, lanes is 1, beats is 1"),
    ({"lanes": 0}, ValueError,
     "bits, lanes and beats must be at least 1: bits is 1, lanes is 0, beats is 1"),
    ({"beats": -1}, ValueError,
     "bits, lanes and beats must be at least 1: bits is 1, lanes is 1, beats is -1"),
    ({"bipolar": True, "bits": 2}, ValueError,
     "a bipolar element is one bit without a sign: bits is 2, signed is False"),
    ({"bipolar": True, "signed": True}, ValueError,
     "a bipolar element is one bit without a sign: bits is 1, signed is True"),
    ({"word_bits": 16}, ValueError, "word_bits must be a power of two from 32 on: it is 16"),
    ({"word_bits": 96}, ValueError, "word_bits must be a power of two from 32 on: it is 96"),
])
def test_refuses_formats_that_cannot_be(change, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        FrameFormat(**{"bits": 1, "signed": False, "bipolar": False, "lanes": 1, "beats": 1,
                       "word_bits": 64} | change)
