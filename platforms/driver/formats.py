"""Formats: integers to the bytes of a frame in memory, and back, a whole batch at a time.

A frame is the slots of its elements, packed upwards from bit 0 of byte 0, zeros at its end. A slot
is the next power of two of bits, at least the element's own. Every vector (the last of ``dims``)
fills a whole number of beats: the lanes past its end are padding, 0 on the way in.
"""

from __future__ import annotations

from math import prod
from typing import Any, Mapping, Sequence

import numpy as np

from .errors import DriverError

__all__ = ["FrameFormat"]


class FrameFormat:
    """Layout of one kind of frame.

    Parameters
    ----------
    bits : int
        Of an element, 1 to 32.
    signed, bipolar : bool
        What they mean: two's complement; 0 stands for -1 and 1 for +1.
    lanes, beats : int
        Elements of a beat, beats of a frame.
    word_bits : int
        Frames fill whole words of so many bits.
    dims : sequence of int
        Of the frame as an array, channels last.
    name : str
        For messages: "input" or "output".
    """

    def __init__(self, *, bits: int, signed: bool, bipolar: bool, lanes: int, beats: int,
                 word_bits: int, dims: Sequence[int], name: str = "frame") -> None:
        self.bits, self.signed, self.bipolar = bits, signed, bipolar
        self.lanes, self.beats, self.word_bits = lanes, beats, word_bits
        self.dims, self.name = tuple(dims), name
        if not 1 <= bits <= 32:
            raise DriverError("%s: elements must have 1 to 32 bits: they have %d" % (name, bits))
        # vectors * ceil(channels / lanes) beats
        channels = self.dims[-1]
        self.vectors, self.channels = prod(self.dims[:-1]), channels
        self._vector_slots = -(-channels // lanes) * lanes
        if self.vectors * self._vector_slots != beats * lanes:
            raise DriverError("%s: %d vectors of %d elements do not fill %d beats of %d lanes" % (
                name, self.vectors, channels, beats, lanes))
        # A slot: the next power of two.
        self.slot = 1 << (bits - 1).bit_length()
        self.words = -(-beats * lanes * self.slot // word_bits)
        self.bytes = self.words * word_bits // 8

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], name: str = "frame") -> FrameFormat:
        """Return the format that the metadata of an accelerator describe."""
        wanted = ("bits", "signed", "bipolar", "lanes", "beats", "word_bits", "dims")
        missing = [key for key in wanted if key not in values]
        if missing:
            raise DriverError("%s: the metadata lack %s" % (name, ", ".join(missing)))
        return cls(name=name, **{key: values[key] for key in wanted})

    @property
    def low(self) -> int:
        """The lowest integer."""
        return -1 if self.bipolar else -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """The highest integer."""
        return 1 if self.bipolar else (1 << (self.bits - self.signed)) - 1

    def check(self, values: np.ndarray) -> np.ndarray:
        """Return integers ``(frames, *dims)`` as an array; refuse what is not of this format."""
        values = np.asarray(values)
        if values.ndim == 0 or values.shape[1:] != self.dims:
            dims = ", ".join(map(str, self.dims))
            raise DriverError("%s takes arrays of shape (frames, %s): %s is given" % (
                self.name, dims, values.shape))
        if values.dtype.kind not in "iu":
            raise DriverError("%s takes integers: %s is given" % (self.name, values.dtype))
        if not values.size:
            return values
        outside = values.min() < self.low or values.max() > self.high
        if outside or (self.bipolar and not values.all()):
            wrong = (values < self.low) | (values > self.high)
            wrong |= self.bipolar & (values == 0)
            what = "-1 and +1" if self.bipolar else "integers in [%d, %d]" % (self.low, self.high)
            raise DriverError("%s takes %s: %d is among the values given" % (
                self.name, what, values[wrong][0]))
        return values

    def pack(self, values: np.ndarray) -> np.ndarray:
        """Return the bytes (frames, bytes) of integers ``(frames, *dims)``."""
        values = self.check(values)
        frames = len(values)
        codes = values > 0 if self.bipolar else values
        codes = codes.reshape(frames, self.vectors, self.channels)
        # What is kept is the lowest bits: two's complement.
        codes = codes.astype({16: "<u2", 32: "<u4"}.get(self.slot, "u1"))
        if self._vector_slots > self.channels:
            padded = np.zeros((frames, self.vectors, self._vector_slots), codes.dtype)
            padded[:, :, :self.channels] = codes
            codes = padded
        packed = self._packed(codes.reshape(frames, self.vectors * self._vector_slots))
        if packed.shape[1] == self.bytes:
            return packed
        filled = np.zeros((frames, self.bytes), np.uint8)
        filled[:, :packed.shape[1]] = packed
        return filled

    def unpack(self, data: np.ndarray) -> np.ndarray:
        """Return the integers ``(frames, *dims)``, int64, of bytes (frames, bytes)."""
        data = np.ascontiguousarray(data)
        if data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != self.bytes:
            raise DriverError("%s has frames of %d bytes: uint8 (frames, %d) is expected, %s %s is "
                              "given" % (self.name, self.bytes, self.bytes, data.dtype, data.shape))
        codes = self._unpacked(data)[:, :self.beats * self.lanes]
        codes = codes.reshape(len(data), self.vectors, self._vector_slots)[:, :, :self.channels]
        values = codes.astype(np.int64)
        if self.bipolar:
            values = 2 * values - 1
        return values.reshape((len(data), *self.dims))

    def _packed(self, codes: np.ndarray) -> np.ndarray:
        """Pack slots (frames, slots) side by side into bytes, zeros past the last."""
        frames, slots = codes.shape
        if self.slot >= 8:
            return np.ascontiguousarray(codes).view(np.uint8).reshape(frames, -1)
        if self.slot == 1:
            return np.packbits(codes & 1, axis=1, bitorder="little")
        # byte[n] = sum_k code[n * per + k] << (k * slot)
        per, mask = 8 // self.slot, (1 << self.slot) - 1
        size = -(-slots // per)
        if size * per > slots:
            codes = np.pad(codes, ((0, 0), (0, size * per - slots)))
        packed = codes[:, 0::per] & mask
        for k in range(1, per):
            packed |= (codes[:, k::per] & mask) << (k * self.slot)
        return packed

    def _unpacked(self, data: np.ndarray) -> np.ndarray:
        """Take all slots out of bytes, those at a frame's end that are filled with zeros, too."""
        if self.slot >= 8:
            kind = "i" if self.signed else "u"
            return data.view("<%s%d" % (kind, self.slot // 8))
        if self.slot == 1:
            bits = np.unpackbits(data, axis=1, bitorder="little")
            return -bits.astype(np.int8) if self.signed else bits
        per = 8 // self.slot
        codes = np.empty((len(data), data.shape[1] * per), np.uint8)
        for k in range(per):
            codes[:, k::per] = data >> (k * self.slot)
        codes &= (1 << self.slot) - 1
        if not self.signed:
            return codes
        # Two's complement of the slot.
        sign = 1 << (self.slot - 1)
        return (codes ^ sign).astype(np.int8) - sign
