# amaranth: UnusedElaboratable=no
"""Packets on a serial line: framed by COBS, checked by CRC-32; see docs/uart-protocol.md."""

from enum import IntEnum

from amaranth import Cat, EnableInserter, Module, Mux, ResetInserter, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ISO_HDLC
from amaranth.lib.wiring import In, Out

from quinnoa.rtl.control import delay
from quinnoa.rtl.ram import ram

__all__ = ["Answer", "CobsDecoder", "Flag", "HEADER_WORDS", "Kind", "PacketReceiver",
           "PacketSender", "REQUEST"]


class Kind(IntEnum):
    """What a request wants."""

    IDENTIFY = 1
    RESET = 2
    DATA = 3


class Answer(IntEnum):
    """What a reply is."""

    IDENTITY = 0x81
    STATUS = 0x82


class Flag(IntEnum):
    """Bits of a request's flags."""

    REWIND = 0
    CONTENTS = 1


# Header of a request: the first four of its words.
REQUEST = data.StructLayout({
    "kind": 8, "tag": 8, "flags": 8, "zero": 8, "epoch": 32, "position": 32, "wanted": 32})
HEADER_WORDS = 4


class CobsDecoder(wiring.Component):
    """COBS decoder: takes the bytes of a line, gives those of packets, and says where each ends.

    Source: S. Cheshire and M. Baker, Consistent Overhead Byte Stuffing, SIGCOMM 1997.

    Timing: everything a cycle after the byte of the line.

    Members
    -------
    i_valid, i_byte, i_error : In
        A byte of the line; or that one could not be read.
    valid, byte : Out
        A byte of the packet.
    end : Out(1)
        The delimiter has come.
    whole : Out(1)
        With ``end``: no byte was unreadable, and the last block was full.
    """

    def __init__(self):
        super().__init__({"i_valid": In(1), "i_byte": In(8), "i_error": In(1),
                          "valid": Out(1), "byte": Out(8), "end": Out(1), "whole": Out(1)})

    def elaborate(self, platform):
        m = Module()
        # left is what is to come of the block; owed a zero that is due if another block follows.
        left, owed, damaged = Signal(8), Signal(), Signal()
        delimiter = Signal()
        m.d.comb += delimiter.eq(self.i_byte == 0)
        m.d.sync += [self.valid.eq(0), self.end.eq(0), self.whole.eq((left == 0) & ~damaged)]
        with m.If(self.i_valid):
            m.d.sync += self.byte.eq(self.i_byte)
            with m.If(delimiter):
                m.d.sync += [self.end.eq(1), left.eq(0), owed.eq(0), damaged.eq(0)]
            with m.Elif(left == 0):
                m.d.sync += [left.eq(self.i_byte - 1), owed.eq(~self.i_byte.all()),
                             self.valid.eq(owed), self.byte.eq(0)]
            with m.Else():
                m.d.sync += [left.eq(left - 1), self.valid.eq(1)]
        with m.If(self.i_error):
            m.d.sync += damaged.eq(1)
        return m


class PacketCRC(wiring.Component):
    """CRC-32 of a packet's bytes, a bit a cycle: bytes of a line come no faster.

    Members
    -------
    start : In(1)
        Begin a packet, whatever is under way.
    valid, byte : In
        A byte of it; not while ``busy``.
    busy : Out(1)
        High for 8 cycles after a byte.
    crc : Out(32)
        Of all bytes, while not ``busy``.
    whole : Out(1)
        They end with the CRC of those before.
    """

    def __init__(self):
        super().__init__({"start": In(1), "valid": In(1), "byte": In(8), "busy": Out(1),
                          "crc": Out(32), "whole": Out(1)})

    def elaborate(self, platform):
        m = Module()
        crc = CRC32_ISO_HDLC(data_width=1).create()
        # By enable and reset of the registers: its own `valid` and `start` take two LUTs a bit.
        m.submodules.crc = ResetInserter(self.start)(EnableInserter(self.busy)(crc))
        bits, left = Signal(8, reset_less=True), Signal(8)
        m.d.sync += [bits.eq(bits >> 1), left.eq(left >> 1)]
        with m.If(self.valid):
            m.d.sync += [bits.eq(self.byte), left.eq(-1)]
        with m.If(self.start):
            m.d.sync += left.eq(0)
        m.d.comb += [
            self.busy.eq(left[0]), crc.valid.eq(1), crc.data.eq(bits[0]),
            self.crc.eq(crc.crc), self.whole.eq(crc.match_detected),
        ]
        return m


class PacketReceiver(wiring.Component):
    """Packet receiver: keeps the words of a packet's payload until it is known to be undamaged.

    The payload lies in the block RAM behind the words accepted so far, where the next packet
    overwrites it unless it is accepted.

    Parameters
    ----------
    depth : int
        Words of the memory, a power of two. One of them is kept for the CRC of the next packet.

    Members
    -------
    valid, byte, error : In
        From the line; 10 cycles from one to the next, at least.
    arrived : Out(1)
        High for the one cycle in which an undamaged packet has come. ``header`` and ``fits`` stay
        for the time of a byte of the line.
    header : Out(REQUEST)
    fits : Out(1)
        There was room for all of the payload.
    accept : In(1)
        Accept the payload: in this time, and not in the cycle of ``arrived``.
    taken : Out(32)
        Words accepted.
    left : Out(16)
        Words that have left the memory, modulo 2^16.
    clear : In(1)
        Drop all words and start counting anew.
    o : Out(stream), 32
        The words accepted.
    """

    o: stream.Interface

    def __init__(self, *, depth):
        if depth < 8 or depth & (depth - 1) or depth > 1 << 15:
            raise ValueError(f"depth must be a power of two from 8 to 32768: it is {depth}")
        self.depth = depth
        super().__init__({
            "valid": In(1), "byte": In(8), "error": In(1),
            "arrived": Out(1), "header": Out(REQUEST), "fits": Out(1), "accept": In(1),
            "taken": Out(32), "left": Out(16), "clear": In(1),
            "o": Out(stream.Signature(32)),
        })

    @property
    def room(self):
        """Words of payload that fit while it is empty."""
        return self.depth - 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.cobs = cobs = CobsDecoder()
        m.submodules.crc = crc = PacketCRC()
        m.submodules.words = words = memory.Memory(shape=32, depth=self.depth, init=[],
                                                   attrs={"ram_style": "block"})
        w_port, r_port = words.write_port(), words.read_port()
        m.d.comb += [cobs.i_valid.eq(self.valid), cobs.i_byte.eq(self.byte),
                     cobs.i_error.eq(self.error)]

        # Bytes to words: those of the header, then those of payload and CRC.
        header = Signal(HEADER_WORDS * 32, reset_less=True)
        word = Signal(24, reset_less=True)
        lane, in_header, n = Signal(2), Signal(init=1), Signal(range(HEADER_WORDS))
        whole_word, first = Signal(), Signal()
        m.d.comb += [
            self.header.eq(header),
            whole_word.eq(cobs.valid & (lane == 3)),
            first.eq(cobs.valid & in_header & (n == 0) & (lane == 0)),
            crc.valid.eq(cobs.valid), crc.byte.eq(cobs.byte), crc.start.eq(cobs.end),
        ]
        with m.If(cobs.valid):
            m.d.sync += [word.eq(Cat(word[8:], cobs.byte)), lane.eq(lane + 1)]
            with m.If(in_header):
                m.d.sync += header.eq(Cat(header[8:], cobs.byte))
        with m.If(whole_word & in_header):
            m.d.sync += [n.eq(n + 1), in_header.eq(n != HEADER_WORDS - 1)]

        # The memory holds words from `left` to `taken`, and behind them those of this packet.
        count = len(w_port.addr) + 1
        write, some = Signal(count), Signal()
        full = Signal()
        m.d.comb += [
            full.eq((write - self.left)[:count] == self.depth),
            w_port.addr.eq(write), w_port.data.eq(Cat(word, cobs.byte)),
            w_port.en.eq(whole_word & ~in_header & ~full),
        ]
        with m.If(first):
            m.d.sync += [write.eq(self.taken), self.fits.eq(1), some.eq(0)]
        with m.If(whole_word & ~in_header):
            m.d.sync += some.eq(1)
            with m.If(full):
                m.d.sync += self.fits.eq(0)
            with m.Else():
                m.d.sync += write.eq(write + 1)

        # A packet is undamaged if the CRC over all of it, its own included, is the residue.
        m.d.sync += self.arrived.eq(0)
        with m.If(cobs.end):
            m.d.sync += [
                self.arrived.eq(cobs.whole & crc.whole & (lane == 0) & some),
                lane.eq(0), n.eq(0), in_header.eq(1), some.eq(0),
            ]

        # All words but the last, the CRC, are its payload.
        payload = Signal(count)
        m.d.sync += payload.eq(write - 1 - self.taken)
        with m.If(self.accept):
            m.d.sync += self.taken.eq(self.taken + payload)

        load = Signal()
        m.d.comb += [
            load.eq((self.left != self.taken[:16]) & (self.o.ready | ~self.o.valid)),
            r_port.en.eq(load), r_port.addr.eq(self.left), self.o.payload.eq(r_port.data),
        ]
        m.d.sync += [self.o.valid.eq(load | (self.o.valid & ~self.o.ready)),
                     self.left.eq(self.left + load)]
        with m.If(self.clear):
            m.d.sync += [self.taken.eq(0), self.left.eq(0), self.o.valid.eq(0)]
        return m


class PacketSender(wiring.Component):
    """Packet sender: collects the bytes of a packet, adds the CRC, and sends it framed by COBS.

    The memory holds a packet as it goes out: a zero is not written, its place is that of the code
    of the next block, known when that one ends. While one packet goes out, the next is collected.

    Members
    -------
    push, byte : In
        A byte of the packet; at most 248.
    close : In(1)
        The packet is complete. Not together with ``push``.
    drop : In(1)
        Forget the bytes pushed since ``close``; heard at any time.
    ready : Out(1)
        ``push`` and ``close`` are heard.
    o : Out(stream), 8
        Bytes for the line.
    """

    o: stream.Interface

    def __init__(self):
        super().__init__({"push": In(1), "byte": In(8), "close": In(1), "drop": In(1),
                          "ready": Out(1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        write, read = ram(m, "bytes", width=8, depth=512, style="block")
        end, idle, go = Signal(8, init=1), Signal(), Signal()
        # One packet is written in one half of the memory, the one before is read from the other.
        half = Signal()
        with m.If(go):
            m.d.sync += half.eq(~half)
        self._collect(m, write, half, end, idle, go)
        self._send(m, read, half, end, idle, go)
        return m

    def _collect(self, m, port, half, end, idle, go):
        """Write a packet, with its CRC, as it goes out; ``go`` once it may."""
        m.submodules.crc = crc = PacketCRC()
        # The next byte belongs at `end`, the code of its block at `code`.
        code, byte, lane = Signal(8), Signal(8), Signal(2)
        append, ends_block = Signal(), Signal()
        m.d.comb += [
            crc.byte.eq(self.byte), byte.eq(self.byte),
            ends_block.eq(~append | (byte == 0)),
            port.addr.eq(Cat(Mux(ends_block, code, end), half)),
            port.data.eq(Mux(ends_block, end - code, byte)),
        ]
        with m.If(append):
            m.d.comb += port.en.eq(1)
            m.d.sync += end.eq(end + 1)
            with m.If(ends_block):
                m.d.sync += code.eq(end)

        restart = Signal()
        with m.FSM():
            with m.State("FILL"):
                m.d.comb += [self.ready.eq(~crc.busy), append.eq(self.push & ~crc.busy),
                             crc.valid.eq(append), restart.eq(self.drop)]
                with m.If(self.close & ~crc.busy & ~self.drop):
                    m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [byte.eq(crc.crc.word_select(lane, 8)), append.eq(1)]
                m.d.sync += lane.eq(lane + 1)
                with m.If(lane == 3):
                    m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += port.en.eq(1)
                m.next = "WAIT"
            with m.State("WAIT"):
                m.d.comb += [go.eq(idle), restart.eq(idle)]
                with m.If(idle):
                    m.next = "FILL"
        m.d.comb += crc.start.eq(restart)
        with m.If(restart):
            m.d.sync += [code.eq(0), end.eq(1)]

    def _send(self, m, port, half, end, idle, go):
        """Send what was written, with a delimiter on either side.

        So what noise puts before a packet stays apart from it.
        """
        at, last = Signal(8), Signal(8, reset_less=True)
        m.d.comb += port.addr.eq(Cat(at, ~half))
        byte = delay(m, port.data, 1)
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += idle.eq(1)
                m.d.sync += [at.eq(0), last.eq(end - 1)]
                with m.If(go):
                    m.next = "OPEN"
            with m.State("OPEN"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.next = "SEND"
            with m.State("SEND"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(byte)]
                with m.If(self.o.ready):
                    m.d.sync += at.eq(at + 1)
                    m.next = "FETCH"
                    with m.If(at == last):
                        m.next = "CLOSE"
            with m.State("CLOSE"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"
