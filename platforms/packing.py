"""Host data to the words of an AXI stream and back, as arrays."""

import numpy as np
from amaranth import Shape
from amaranth.hdl import ShapeCastable

__all__ = ["bytes_per_beat", "pack", "unpack"]


def bytes_per_beat(shape, lanes):
    """Return the bytes of a beat of ``lanes`` elements of ``shape``."""
    return -(-Shape.cast(shape).width * lanes // 8)


def _values_of(shape):
    """Return the value of every code of a ``ShapeCastable`` of few bits."""
    return np.array([shape.from_bits(code) for code in range(1 << Shape.cast(shape).width)])


def _to_codes(values, shape):
    """Turn values into the non-negative integers of their bits."""
    width = Shape.cast(shape).width
    if isinstance(shape, ShapeCastable):
        known = _values_of(shape)
        order = np.argsort(known)
        place = np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)
        codes = order[place]
        wrong = known[codes] != values
    else:
        signed = Shape.cast(shape).signed
        low, high = (-1 << width - 1, (1 << width - 1) - 1) if signed else (0, (1 << width) - 1)
        codes = values & ((1 << width) - 1)
        wrong = (values < low) | (values > high)
    if wrong.any():
        raise ValueError(f"{values[wrong].flat[0]} does not fit {shape!r}")
    return codes


def _from_codes(codes, shape):
    """Turn the integers of their bits into values: the inverse of ``_to_codes``."""
    if isinstance(shape, ShapeCastable):
        return _values_of(shape)[codes]
    shape = Shape.cast(shape)
    if shape.signed:
        sign = 1 << (shape.width - 1)
        return (codes ^ sign) - sign
    return codes


def pack(values, shape, *, lanes):
    """Lay vectors into beats: lane 0 in the lowest bits, each beat filled up to whole bytes.

    Lanes past the end of a vector, and bits past the last lane, are 0.

    Parameters
    ----------
    values : array of int, (vectors, elements)
        The integers, not their bits.
    shape : Shape or ShapeCastable
        Shape of an element, at most 62 bits.
    lanes : int
        Elements of a beat.

    Returns
    -------
    array of uint8, (vectors * ceil(elements / lanes), bytes of a beat)
        The lowest bits in byte 0.
    """
    values = np.asarray(values, dtype=np.int64)
    vectors, elements = values.shape
    width, beats = Shape.cast(shape).width, -(-elements // lanes)
    words = np.empty((vectors, beats, bytes_per_beat(shape, lanes)), dtype=np.uint8)
    planes = np.arange(width)
    # A slice at a time: a byte a bit would take too much memory for a whole test set.
    for at in range(0, vectors, step := max(1, (1 << 23) // (beats * lanes * width))):
        codes = np.zeros((len(values[at:at + step]), beats * lanes), dtype=np.int64)
        codes[:, :elements] = _to_codes(values[at:at + step], shape)
        # bit[n, beat, lane, plane] = codes[n, beat, lane] >> plane & 1
        bits = (codes[..., None] >> planes & 1).astype(np.uint8)
        words[at:at + step] = np.packbits(
            bits.reshape(len(codes), beats, lanes * width), axis=-1, bitorder="little")
    return words.reshape(vectors * beats, -1)


def unpack(words, shape, *, lanes, elements):
    """Take vectors of ``elements`` out of beats: the inverse of ``pack``.

    Parameters
    ----------
    words : array of uint8, (vectors * ceil(elements / lanes), bytes of a beat)
        The lowest bits in byte 0.
    shape, lanes
        As ``pack`` takes them.
    elements : int
        Elements of a vector.

    Returns
    -------
    array of int64, (vectors, elements)
    """
    words = np.asarray(words, dtype=np.uint8)
    width, beats = Shape.cast(shape).width, -(-elements // lanes)
    expected = bytes_per_beat(shape, lanes)
    if words.ndim != 2 or words.shape[1] != expected or len(words) % beats:
        raise ValueError(f"words must be a multiple of {beats} beats of {expected} bytes: "
                         f"they are {words.shape}")
    bits = np.unpackbits(words, axis=-1, count=lanes * width, bitorder="little")
    bits = bits.reshape(len(words), lanes, width)
    codes = np.zeros((len(words), lanes), dtype=np.int64)
    for plane in range(width):
        codes |= bits[..., plane].astype(np.int64) << plane
    codes = codes.reshape(len(words) // beats, beats * lanes)[:, :elements]
    return _from_codes(codes, shape)
