"""Tests of platforms/driver/formats.py."""

import numpy as np
import pytest
from amaranth import Shape

from quinnoa.platforms.driver.errors import DriverError
from quinnoa.platforms.driver.formats import FrameFormat
from quinnoa.platforms.frames import FrameFormat as HardwareFormat
from quinnoa.rtl.shapes import BIPOLAR, encode, range_of

SHAPES = [BIPOLAR, Shape(1), Shape(1, signed=True), Shape(2), Shape(2, signed=True), Shape(3),
          Shape(3, signed=True), Shape(4, signed=True), Shape(7), Shape(8), Shape(8, signed=True),
          Shape(11, signed=True), Shape(16), Shape(24, signed=True), Shape(32),
          Shape(32, signed=True)]
LAYOUTS = [
    # dims, lanes, word_bits
    ((10,), 1, 32),
    ((10,), 4, 32),                      # padding lanes in the last beat
    ((3, 2, 5), 5, 64),
    ((3, 2, 5), 3, 128),                 # padding lanes in every pixel
    ((64,), 64, 64),                     # a frame of whole words
]


def formats(shape, dims, lanes, word_bits):
    """Return the driver's format and the hardware's."""
    beats = int(np.prod(dims[:-1])) * -(-dims[-1] // lanes)
    hardware = HardwareFormat.of(shape, lanes=lanes, beats=beats, word_bits=word_bits)
    return FrameFormat.from_dict({**hardware.as_dict(), "dims": list(dims)}, "input"), hardware


def drawn(shape, dims, frames=7, seed=0):
    low, high = range_of(shape)
    rng = np.random.default_rng(seed)
    values = rng.integers(low, high + 1, (frames, *dims))
    values[0], values[1] = low, high
    return np.where(values == 0, 1, values) if shape is BIPOLAR else values


def by_definition(values, shape, hardware, dims):
    """Lay every slot on its own, as a whole number."""
    frames = []
    for frame in values.reshape(len(values), -1, dims[-1]):
        number, place = 0, 0
        for vector in frame:
            lanes = -(-len(vector) // hardware.lanes) * hardware.lanes
            for k in range(lanes):
                if k < len(vector):
                    bits = int(encode(vector[k], shape))
                    if shape is not BIPOLAR and shape.signed:
                        bits = int(vector[k]) % 2 ** hardware.slot
                    number |= bits << place
                place += hardware.slot
        frames.append(list(number.to_bytes(hardware.bytes, "little")))
    return np.array(frames, np.uint8)


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
@pytest.mark.parametrize("dims, lanes, word_bits", LAYOUTS)
def test_packs_as_the_layout_says_and_back(shape, dims, lanes, word_bits):
    driver, hardware = formats(shape, dims, lanes, word_bits)
    assert (driver.slot, driver.words, driver.bytes) == (
        hardware.slot, hardware.words, hardware.bytes)
    values = drawn(shape, dims)
    packed = driver.pack(values)
    assert packed.dtype == np.uint8
    assert np.array_equal(packed, by_definition(values, shape, hardware, dims))
    assert np.array_equal(driver.unpack(packed), values)


def test_no_frames_are_no_bytes():
    driver, _ = formats(Shape(3), (10,), 4, 32)
    assert driver.pack(np.zeros((0, 10), np.int64)).shape == (0, 8)
    assert driver.unpack(np.zeros((0, 8), np.uint8)).shape == (0, 10)


def test_pixels_are_the_bytes_of_their_array():
    driver, _ = formats(Shape(8), (4, 4, 1), 1, 64)
    pixels = drawn(Shape(8), (4, 4, 1)).astype(np.uint8)
    assert driver.pack(pixels).tobytes() == pixels.tobytes()


@pytest.mark.parametrize("shape, value, message", [
    (Shape(2), 4, r"input takes integers in \[0, 3\]: 4 is among the values given"),
    (Shape(2), -1, r"input takes integers in \[0, 3\]: -1 is among the values given"),
    (Shape(8, signed=True), 128,
     r"input takes integers in \[-128, 127\]: 128 is among the values given"),
    (Shape(32), 2 ** 32,
     r"input takes integers in \[0, 4294967295\]: 4294967296 is among the values given"),
    (BIPOLAR, 0, r"input takes -1 and \+1: 0 is among the values given"),
    (BIPOLAR, 2, r"input takes -1 and \+1: 2 is among the values given"),
])
def test_refuses_values_that_do_not_fit(shape, value, message):
    driver, _ = formats(shape, (10,), 4, 32)
    values = np.ones((3, 10), np.int64)
    values[2, 7] = value
    with pytest.raises(DriverError, match=f"^{message}$"):
        driver.pack(values)


@pytest.mark.parametrize("values, message", [
    (np.ones((3, 9), int), r"input takes arrays of shape \(frames, 10\): \(3, 9\) is given"),
    (np.ones(10, int), r"input takes arrays of shape \(frames, 10\): \(10,\) is given"),
    (np.int64(1), r"input takes arrays of shape \(frames, 10\): \(\) is given"),
    (np.ones((3, 10)), r"input takes integers: float64 is given"),
])
def test_refuses_arrays_of_other_kinds(values, message):
    driver, _ = formats(Shape(2), (10,), 4, 32)
    with pytest.raises(DriverError, match=f"^{message}$"):
        driver.pack(values)


@pytest.mark.parametrize("data", [np.zeros((3, 7), np.uint8), np.zeros(4, np.uint8),
                                  np.zeros((3, 4), np.int8)])
def test_refuses_truncated_frames(data):
    driver, _ = formats(Shape(2), (10,), 4, 32)
    with pytest.raises(DriverError, match=r"^input has frames of 4 bytes: uint8 \(frames, 4\) is "
                                          r"expected, u?int8 \(.*\) is given$"):
        driver.unpack(data)


@pytest.mark.parametrize("change, message", [
    ({"beats": 4}, "input: 1 vectors of 10 elements do not fill 4 beats of 4 lanes"),
    ({"bits": 33}, "input: elements must have 1 to 32 bits: they have 33"),
])
def test_refuses_formats_that_cannot_be(change, message):
    values = {"bits": 2, "signed": False, "bipolar": False, "lanes": 4, "beats": 3,
              "word_bits": 32, "dims": [10]}
    with pytest.raises(DriverError, match=f"^{message}$"):
        FrameFormat.from_dict({**values, **change}, "input")


def test_says_what_metadata_lack():
    with pytest.raises(DriverError, match="^output: the metadata lack bits, dims$"):
        FrameFormat.from_dict({"signed": False, "bipolar": False, "lanes": 4, "beats": 3,
                               "word_bits": 32}, "output")
