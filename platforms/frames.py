# amaranth: UnusedElaboratable=no
"""Frames in memory: their layout, and the units between words of a bus and beats of a core."""

from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from amaranth import Cat, Const, Module, Shape, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar
from quinnoa.rtl.width import width_converters

__all__ = ["FrameFormat", "FrameReader", "FrameWriter"]


@dataclass(frozen=True)
class FrameFormat:
    """Layout of a frame in memory.

    An element takes a slot: the next power of two of bits, at least its own. The slots of all beats
    of the frame, padding lanes included, lie side by side, the first in the lowest bits of byte 0;
    zeros fill the frame up to a whole number of words. A bipolar element is 0 or 1, a signed one is
    extended to its slot.

    Parameters
    ----------
    bits : int
        Of an element, at most 32.
    signed, bipolar : bool
        What they mean: two's complement; 0 stands for −1.
    lanes, beats : int
        Elements of a beat, beats of a frame.
    word_bits : int
        Bits of a word of the bus: a power of two, from 32 on.
    """

    bits: int
    signed: bool
    bipolar: bool
    lanes: int
    beats: int
    word_bits: int

    def __post_init__(self):
        if self.bits < 1 or self.lanes < 1 or self.beats < 1:
            raise ValueError(f"bits, lanes and beats must be at least 1: bits is {self.bits}, "
                             f"lanes is {self.lanes}, beats is {self.beats}")
        if self.bits > 32:
            raise QuinnoaError(f"elements of a frame in memory have at most 32 bits: "
                               f"these have {self.bits}")
        if self.bipolar and (self.bits != 1 or self.signed):
            raise ValueError(f"a bipolar element is one bit without a sign: bits is {self.bits}, "
                             f"signed is {self.signed}")
        if self.word_bits < 32 or self.word_bits & (self.word_bits - 1):
            raise ValueError(f"word_bits must be a power of two from 32 on: it is {self.word_bits}")

    @classmethod
    def of(cls, shape, *, lanes, beats, word_bits):
        """Return the format of beats of ``lanes`` elements of ``shape``."""
        cast = Shape.cast(shape)
        return cls(cast.width, cast.signed, is_bipolar(shape), lanes, beats, word_bits)

    @property
    def shape(self):
        """Shape of an element."""
        return BIPOLAR if self.bipolar else Shape(self.bits, self.signed)

    @property
    def slot(self):
        """Bits an element takes in memory."""
        return 1 << (self.bits - 1).bit_length()

    @property
    def elements(self):
        """Elements of a frame, those of padding lanes included."""
        return self.lanes * self.beats

    @property
    def word_lanes(self):
        """Elements of a word."""
        return self.word_bits // self.slot

    @property
    def words(self):
        """Words of a frame."""
        return -(-self.elements // self.word_lanes)

    @property
    def bytes(self):
        """Bytes of a frame, the zeros at its end included."""
        return self.words * self.word_bits // 8

    def as_dict(self):
        """Return the parameters by name."""
        return asdict(self)


class _Frames(wiring.Component):
    """What reader and writer share: the units that change the lanes, II and model."""

    i: stream.Interface
    o: stream.Interface

    def __init__(self, format, *, i_lanes, o_lanes, i_shape, o_shape):
        self.format = format
        # Where the lanes are the same, registers.
        self.units = width_converters(format.shape, elements=format.elements, i_lanes=i_lanes,
                                      o_lanes=o_lanes) or [
            FIFO(data.ArrayLayout(format.shape, format.lanes), depth=2)]
        super().__init__({"i": In(stream.Signature(i_shape)), "o": Out(stream.Signature(o_shape))})

    @property
    def ii(self):
        """Cycles a frame."""
        return max(self.format.words, self.format.beats, *(unit.ii for unit in self.units))

    def model(self, x):
        """Return ``x``: the elements are the same."""
        return np.asarray(x)

    def _connect(self, m):
        """Lay the units end to end; return the stream that enters and the one that leaves."""
        for k, unit in enumerate(self.units):
            m.submodules[f"width{k}"] = unit
        for left, right in pairwise(self.units):
            wiring.connect(m, left.o, right.i)
        return self.units[0].i, self.units[-1].o


class FrameReader(_Frames):
    """Frame reader: words of the bus to beats of the core.

    Timing: ``II = max(words, beats)`` cycles a frame.

    Parameters
    ----------
    format : FrameFormat

    Members
    -------
    i : In(stream), word_bits
        ``format.words`` a frame.
    o : Out(stream), format.shape * lanes
        ``format.beats`` a frame.
    """

    def __init__(self, format):
        super().__init__(format, i_lanes=format.word_lanes, o_lanes=format.lanes,
                         i_shape=format.word_bits,
                         o_shape=data.ArrayLayout(format.shape, format.lanes))

    def elaborate(self, platform):
        m = Module()
        enters, leaves = self._connect(m)
        # An element is the lowest bits of its slot.
        slots = (self.i.payload.word_select(k, self.format.slot)
                 for k in range(self.format.word_lanes))
        m.d.comb += [
            Value.cast(enters.payload).eq(Cat(slot[:self.format.bits] for slot in slots)),
            enters.valid.eq(self.i.valid), self.i.ready.eq(enters.ready),
            Value.cast(self.o.payload).eq(Value.cast(leaves.payload)),
            self.o.valid.eq(leaves.valid), leaves.ready.eq(self.o.ready),
        ]
        return m


class FrameWriter(_Frames):
    """Frame writer: beats of the core to words of the bus.

    Timing: ``II = max(words, beats)`` cycles a frame.

    Parameters
    ----------
    format : FrameFormat

    Members
    -------
    i : In(stream), format.shape * lanes
        ``format.beats`` a frame.
    o : Out(stream), word_bits
        ``format.words`` a frame.
    """

    def __init__(self, format):
        super().__init__(format, i_lanes=format.lanes, o_lanes=format.word_lanes,
                         i_shape=data.ArrayLayout(format.shape, format.lanes),
                         o_shape=format.word_bits)

    def elaborate(self, platform):
        m = Module()
        enters, leaves = self._connect(m)
        shape, slot = Shape(self.format.bits, self.format.signed), self.format.slot
        elements = (Value.cast(leaves.payload).word_select(k, shape.width)
                    for k in range(self.format.word_lanes))
        # A signed element is extended to its slot, another one filled with zeros.
        m.d.comb += [
            Value.cast(enters.payload).eq(Value.cast(self.i.payload)),
            enters.valid.eq(self.i.valid), self.i.ready.eq(enters.ready),
            self.o.payload.eq(Cat(_fill(element, slot, shape.signed) for element in elements)),
            self.o.valid.eq(leaves.valid), leaves.ready.eq(self.o.ready),
        ]
        return m


def _fill(element, slot, signed):
    """Return the bits of ``element`` in its slot."""
    above = element[-1] if signed else Const(0)
    return Cat(element, above.replicate(slot - len(element)))
