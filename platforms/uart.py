# amaranth: UnusedElaboratable=no
"""UART shell: an accelerator behind a serial line, by the packets of docs/uart-protocol.md."""

from amaranth import Cat, Const, Module, Mux, ResetInserter, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .frames import FrameReader, FrameWriter
from .memory_shell import MAGIC
from .packets import HEADER_WORDS, Answer, Flag, Kind, PacketReceiver, PacketSender
from .resend import ResendBuffer
from .serial import SerialReceiver, SerialTransmitter

__all__ = ["UARTShell"]

VERSION = 1                              # of the protocol
# Cycles for which a reset is held: more than any unit needs.
RESET_CYCLES = 16
# Words of a reply: with its CRC, one less than a COBS block.
REPLY_WORDS = 62
# Frames that may be between the first word of one and the last of another.
FRAMES_BITS = 16


class UARTShell(wiring.Component):
    """UART shell: carries frames between a serial line and ``core``.

    The words of all frames of an epoch are numbered; so are those of the results. Words are taken
    in order from undamaged packets alone, and each once; results are kept until they are
    acknowledged. A new epoch begins with a reset of everything but what was written into the core.

    Parameters
    ----------
    core : Component
        With streams ``i`` and ``o``, and ``writes`` if it is writable.
    i_format, o_format : FrameFormat
        Of its frames, in words of 32 bits.
    network_id, shape_id : int
        Identities, of 64 bits; ``shape_id`` is 0 if the core is not writable.
    clock_hz, baud : int
        Clock cycles and bits a second; at least 8 cycles a bit.
    i_depth, o_depth : int
        Words of the memories before and behind the core; powers of two.

    Members
    -------
    rx : In(1)
        The line to the shell, of any clock.
    tx : Out(1)
        The line to the host.
    """

    def __init__(self, core, i_format, o_format, *, network_id, shape_id=0, clock_hz, baud,
                 i_depth=1024, o_depth=512):
        for name, format in (("i_format", i_format), ("o_format", o_format)):
            if format.word_bits != 32:
                raise ValueError(f"word_bits of {name} must be 32: it is {format.word_bits}")
        for name, identity in (("network_id", network_id), ("shape_id", shape_id)):
            if not 0 <= identity < 1 << 64:
                raise ValueError(f"{name} must be of 64 bits: it is {identity:#x}")
        self.core, self.i_format, self.o_format = core, i_format, o_format
        self.network_id, self.shape_id = network_id, shape_id
        self._reader, self._writer = FrameReader(i_format), FrameWriter(o_format)
        for left, right in ((self._reader.o, core.i), (core.o, self._writer.i)):
            if left.payload.shape() != right.payload.shape():
                raise ValueError(f"the formats give {left.payload.shape()!r}, "
                                 f"but the core has {right.payload.shape()!r}")
        self._receiver = SerialReceiver(clock_hz=clock_hz, baud=baud)
        self._transmitter = SerialTransmitter(clock_hz=clock_hz, baud=baud)
        self._packets = PacketReceiver(depth=i_depth)
        self._results = ResendBuffer(depth=o_depth)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def identity(self):
        """Return the constant words of an identity."""
        def words(value):
            return [value & 0xFFFFFFFF, value >> 32]

        return [MAGIC, VERSION, *words(self.network_id), *words(self.shape_id),
                self.i_format.bytes, self.o_format.bytes, self._packets.room, self._results.depth]

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = self._receiver
        m.submodules.transmitter = transmitter = self._transmitter
        m.submodules.packets = packets = self._packets
        m.submodules.results = results = self._results
        m.submodules.sender = sender = PacketSender()
        wiring.connect(m, sender.o, transmitter.i)
        m.d.comb += [
            receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx),
            packets.valid.eq(receiver.valid), packets.byte.eq(receiver.byte),
            packets.error.eq(receiver.error),
        ]

        epoch, tag, contents = Signal(32), Signal(8), Signal()
        reset, asked, identify = Signal(), Signal(), Signal()
        m.d.comb += [packets.clear.eq(reset), results.clear.eq(reset)]
        cycles, busy = self._add_core(m, reset, contents)
        self._add_replies(m, sender, asked, identify, reset, [
            Cat(Const(Answer.STATUS, 8), tag, packets.left), epoch, packets.taken,
            results.position], cycles, busy)
        self._add_requests(m, epoch, tag, contents, reset, asked, identify)
        return m

    def _add_core(self, m, reset, contents):
        """Lay the frames' way from packets to results; return the counters of cycles."""
        held = ResetInserter(reset)
        m.submodules.core = held(self.core)
        m.submodules.reader = held(self._reader)
        m.submodules.writer = held(self._writer)
        words, reader, writer = self._packets.o, self._reader, self._writer
        wiring.connect(m, reader.o, self.core.i)
        wiring.connect(m, self.core.o, writer.i)
        wiring.connect(m, writer.o, self._results.i)

        m.d.comb += [
            reader.i.payload.eq(words.payload),
            reader.i.valid.eq(words.valid & ~contents),
            words.ready.eq(reader.i.ready | contents),
        ]
        if hasattr(self.core, "writes"):
            writes = self.core.writes
            address = Signal.like(writes.address)
            m.d.comb += [writes.valid.eq(words.valid & contents), writes.data.eq(words.payload),
                         writes.address.eq(address)]
            with m.If(reset):
                m.d.sync += address.eq(0)
            with m.Elif(writes.valid):
                m.d.sync += address.eq(address + 1)

        # Busy from the first word of a frame to its last result.
        cycles, busy, frames = Signal(32), Signal(32), Signal(FRAMES_BITS)
        begins, _ = _ends(m, reader.i, self.i_format.words, reset)
        _, ends = _ends(m, writer.o, self.o_format.words, reset)
        with m.If(reset):
            m.d.sync += frames.eq(0)
        with m.Elif(begins ^ ends):
            m.d.sync += frames.eq(frames + Mux(ends, -1, 1))
        m.d.sync += [cycles.eq(cycles + 1), busy.eq(busy + (frames != 0))]
        return cycles, busy

    def _add_requests(self, m, epoch, tag, contents, reset, asked, identify):
        """Do what an undamaged packet asks for."""
        packets, results = self._packets, self._results
        header = packets.header

        # The comparisons of 32 bits have two cycles; the header stands for longer.
        arrived, now, ours, in_order = Signal(), Signal(), Signal(), Signal()
        m.d.sync += [
            arrived.eq(packets.arrived), now.eq(arrived),
            ours.eq(header.epoch == epoch), in_order.eq(header.position == packets.taken),
        ]

        left = Signal(range(RESET_CYCLES + 1))
        m.d.sync += reset.eq(left != 0)
        with m.If(left != 0):
            m.d.sync += left.eq(left - 1)

        m.d.comb += [results.wanted.eq(header.wanted), results.rewind.eq(header.flags[Flag.REWIND])]
        with m.If(now):
            m.d.sync += tag.eq(header.tag)
            with m.Switch(header.kind):
                with m.Case(Kind.IDENTIFY):
                    m.d.sync += identify.eq(1)
                with m.Case(Kind.RESET):
                    m.d.sync += asked.eq(1)
                    with m.If(~ours):
                        m.d.sync += [epoch.eq(header.epoch), left.eq(RESET_CYCLES), reset.eq(1),
                                     contents.eq(header.flags[Flag.CONTENTS])]
                with m.Case(Kind.DATA):
                    m.d.sync += asked.eq(1)
                    m.d.comb += [results.acknowledge.eq(ours),
                                 packets.accept.eq(ours & in_order & packets.fits)]

    def _add_replies(self, m, sender, asked, identify, reset, header, cycles, busy):
        """Send a status when asked or when there are results, and an identity when asked."""
        results = self._results
        identity, word, n = Signal(), Signal(32, reset_less=True), Signal(range(REPLY_WORDS + 1))
        lane, jumped, more = Signal(2), Signal(), Signal()
        constants = [Const(value, 32) for value in self.identity()]
        told = [*header, *constants, cycles, busy]
        m.d.comb += [
            # A packet's results lie side by side, whatever is acknowledged meanwhile.
            more.eq(Mux(identity, n < len(told),
                        results.some & ~jumped & (n < REPLY_WORDS)) | (n < HEADER_WORDS)),
            sender.byte.eq(word), sender.drop.eq(reset),
        ]
        with m.If(results.jump):
            m.d.sync += jumped.eq(1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [n.eq(0), lane.eq(0), jumped.eq(0)]
                with m.If(sender.ready & ~reset & (asked | identify | results.some)):
                    m.d.sync += identity.eq(identify)
                    with m.If(identify):
                        m.d.sync += identify.eq(0)
                    with m.Else():
                        m.d.sync += asked.eq(0)
                    m.next = "WORD"
            with m.State("WORD"):
                with m.If(more):
                    m.d.sync += [word.eq(results.word), n.eq(n + 1)]
                    with m.Switch(n):
                        for k, value in enumerate(told):
                            with m.Case(k):
                                with m.If(identity | (k < HEADER_WORDS)):
                                    m.d.sync += word.eq(value)
                    with m.If(identity & (n == 0)):
                        m.d.sync += word[:8].eq(Answer.IDENTITY)
                    m.d.comb += results.take.eq(~identity & (n >= HEADER_WORDS))
                    m.next = "BYTES"
                with m.Else():
                    m.d.comb += sender.close.eq(1)
                    with m.If(sender.ready):
                        m.next = "IDLE"
                with m.If(reset):
                    m.next = "IDLE"
            with m.State("BYTES"):
                m.d.comb += sender.push.eq(1)
                with m.If(sender.ready):
                    m.d.sync += [word.eq(word >> 8), lane.eq(lane + 1)]
                    with m.If(lane == 3):
                        m.next = "WORD"
                with m.If(reset):
                    m.next = "IDLE"


def _ends(m, words, count, reset):
    """Return whether the first, and the last, of ``count`` words of a frame passes."""
    n, first, last, passes = Signal(range(count)), Signal(), Signal(), Signal()
    m.d.comb += [passes.eq(words.valid & words.ready),
                 first.eq(passes & (n == 0)), last.eq(passes & (n == count - 1))]
    with m.If(passes):
        m.d.sync += n.eq(Mux(last, 0, n + 1))
    with m.If(reset):
        m.d.sync += n.eq(0)
    return first, last
