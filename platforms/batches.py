# amaranth: UnusedElaboratable=no
"""Batches: from frames to words, and from words acknowledged back to frames and batches."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Dispatcher", "Progress", "batch_layout"]


def batch_layout(transfer):
    """Return the layout of a batch: the words its frames start at, and how many frames."""
    address = transfer["address"].shape
    return data.StructLayout({"source": address, "target": address, "frames": 32})


class Dispatcher(wiring.Component):
    """Makes of every batch a transfer from memory, one to memory, and a count of frames.

    A batch of no frames makes no transfers.

    Timing: ``6 + bits of frames`` cycles a batch, as products are added up bit by bit.

    Parameters
    ----------
    transfer : StructLayout
        ``dma.transfer_layout`` of the bus.
    i_words, o_words : int
        Words of a frame in and out.

    Members
    -------
    i : In(stream), batch_layout(transfer)
    reads, writes : Out(stream), transfer
    frames : Out(stream), 32
    """

    i: stream.Interface

    def __init__(self, transfer, *, i_words, o_words):
        self.i_words, self.o_words = i_words, o_words
        super().__init__({
            "i": In(stream.Signature(batch_layout(transfer))),
            "reads": Out(stream.Signature(transfer)),
            "writes": Out(stream.Signature(transfer)),
            "frames": Out(stream.Signature(32)),
        })

    def elaborate(self, platform):
        m = Module()
        batch = self.i.payload
        rest = Signal(32, reset_less=True)

        # words = sum of (words of a frame << b) over the bits b of frames
        transfers = ((self.reads.payload, batch.source, self.i_words),
                     (self.writes.payload, batch.target, self.o_words))
        busy, is_end = Signal(), Signal()
        is_free = ~(busy | self.reads.valid | self.writes.valid | self.frames.valid)
        m.d.comb += self.i.ready.eq(is_free)
        with m.If(is_free):
            m.d.sync += [rest.eq(batch.frames), self.frames.payload.eq(batch.frames),
                         busy.eq(self.i.valid), is_end.eq(0)]
        with m.Elif(busy):
            # Bits past the last 1 add nothing.
            m.d.sync += [rest.eq(rest >> 1), is_end.eq(~rest.any()), busy.eq(~is_end)]
        for k, (transfer, address, words) in enumerate(transfers):
            shifted = Signal(32, name=f"shifted_{k}", reset_less=True)
            with m.If(is_free):
                m.d.sync += [transfer.address.eq(address), transfer.words.eq(0), shifted.eq(words)]
            with m.Elif(busy):
                m.d.sync += shifted.eq(shifted << 1)
                with m.If(rest[0]):
                    m.d.sync += transfer.words.eq(transfer.words + shifted)

        # All three are offered at once, and then the next batch is taken.
        some, ends = Signal(reset_less=True), Signal()
        with m.If(is_free):
            m.d.sync += some.eq(batch.frames.any())
        m.d.comb += ends.eq(busy & is_end)
        for out, is_wanted in (self.reads, some), (self.writes, some), (self.frames, 1):
            m.d.sync += out.valid.eq((ends & is_wanted) | (out.valid & ~out.ready))
        return m


class Progress(wiring.Component):
    """Counts the frames and the batches of which all words are acknowledged.

    Parameters
    ----------
    words : int
        Words of a frame.
    burst, outstanding : int
        Words acknowledged at once, at most, and how often before this has counted them.

    Members
    -------
    i : In(stream), 32
        Frames of the batches, in order.
    acknowledged : In({"valid", "words"})
        As ``WriteDMA`` gives it.
    frames, batches : Out(32)
        Done so far, modulo 2**32.
    done : Out(1)
        Pulses with every batch.
    """

    i: stream.Interface

    def __init__(self, *, words, burst, outstanding):
        self.words, self.most = words, words + 4 * outstanding * burst
        super().__init__({
            "i": In(stream.Signature(32)),
            "acknowledged": In(wiring.Signature({"valid": Out(1), "words": Out(range(burst + 1))})),
            "frames": Out(32), "batches": Out(32), "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        shape = signed(self.most.bit_length() + 1)

        # surplus: words acknowledged and not yet counted, less those of a frame.
        surplus = Signal(shape, init=-self.words)
        gain, gain_less = Signal(shape), Signal(shape, init=-self.words)
        words = Mux(self.acknowledged.valid, self.acknowledged.words, 0)
        counting, counts = Signal(), Signal()
        m.d.comb += counts.eq(counting & ~surplus[-1])
        m.d.sync += [gain.eq(words), gain_less.eq(words - self.words),
                     surplus.eq(surplus + Mux(counts, gain_less, gain))]
        with m.If(counts):
            m.d.sync += self.frames.eq(self.frames + 1)

        # The batch: frames of it that are left, 16 * high + low. That high is 0 is known a cycle
        # late, while low is far from its end.
        low, high = Signal(4, reset_less=True), Signal(28, reset_less=True)
        is_low = Signal(reset_less=True)
        m.d.sync += [is_low.eq(~high.any()), self.done.eq(0)]
        with m.FSM():
            with m.State("TAKE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += Cat(low, high).eq(self.i.payload)
                with m.If(self.i.valid):
                    m.next = "WAIT"
            with m.State("WAIT"):
                m.next = "LOOK"
            with m.State("LOOK"):
                m.d.sync += counting.eq(~(is_low & (low == 0)))
                m.next = "COUNT"
            with m.State("COUNT"):
                with m.If(counts):
                    m.d.sync += [low.eq(low - 1), counting.eq(~(is_low & (low == 1)))]
                    with m.If(low == 0):
                        m.d.sync += high.eq(high - 1)
                with m.If(~counting):
                    m.d.sync += [self.done.eq(1), self.batches.eq(self.batches + 1)]
                    m.next = "TAKE"
        return m
