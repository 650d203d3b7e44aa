# amaranth: UnusedElaboratable=no
"""Resend buffer: keeps the words of a stream until whoever reads them says that it has them."""

from amaranth import Module, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ResendBuffer"]


class ResendBuffer(wiring.Component):
    """Resend buffer: gives the words of ``i`` by their positions, again if need be.

    Words are numbered from 0. Those before ``kept`` have been acknowledged and are gone. The next
    one to go out stands at ``position``; an acknowledgement may set it back to ``kept``.

    Parameters
    ----------
    depth : int
        Words it holds, a power of two.

    Members
    -------
    i : In(stream), 32
    some : Out(1)
        There is a word at ``position``, in ``word``; low for two cycles at least after ``take``,
        ``acknowledge`` and ``clear``.
    position, word : Out(32)
    take : In(1)
        Go to the next position.
    acknowledge : In(1)
        All words before ``wanted``, which has been the same for two cycles, have been received. If
        no words up to there are kept, nothing happens.
    wanted : In(32)
    rewind : In(1)
        With ``acknowledge``: the words from ``wanted`` on are to go out again.
    jump : Out(1)
        The next ``position`` need not be this one or the one after.
    clear : In(1)
        Drop all words; the next one has number 0.
    """

    i: stream.Interface

    def __init__(self, *, depth):
        if depth < 2 or depth & (depth - 1):
            raise ValueError(f"depth must be a power of two from 2 on: it is {depth}")
        self.depth = depth
        super().__init__({
            "i": In(stream.Signature(32)),
            "some": Out(1), "position": Out(32), "word": Out(32), "take": In(1),
            "acknowledge": In(1), "wanted": In(32), "rewind": In(1), "jump": Out(1),
            "clear": In(1),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = words = memory.Memory(shape=32, depth=self.depth, init=[],
                                                   attrs={"ram_style": "block"})
        w_port, r_port = words.write_port(), words.read_port()

        # position = kept + ahead, made = kept + held, ahead <= held <= depth
        count = len(w_port.addr) + 1
        made, kept = Signal(count - 1), Signal(32)
        held, ahead = Signal(count), Signal(count)
        m.d.comb += [
            self.position.eq(kept + ahead),
            # held == depth where its highest bit is 1.
            self.i.ready.eq(~held[-1] & ~self.clear),
            w_port.en.eq(self.i.valid & self.i.ready),
            w_port.addr.eq(made), w_port.data.eq(self.i.payload),
            r_port.addr.eq(self.position),
        ]
        m.d.sync += [made.eq(made + w_port.en), held.eq(held + w_port.en)]

        # The word at `position` is in the port's register a cycle after that has changed, and in
        # `word`, to leave the block RAM fast, another one later.
        moving, moved, more = Signal(), Signal(), Signal()
        m.d.comb += moving.eq(self.take | self.acknowledge | self.clear)
        m.d.sync += [self.word.eq(r_port.data), moved.eq(moving), more.eq(ahead != held),
                     self.some.eq(more & ~moving & ~moved)]
        with m.If(self.take):
            m.d.sync += ahead.eq(ahead + 1)

        # received = wanted - kept: how many of the words kept are not needed any more
        received, known, passed = Signal(32), Signal(), Signal()
        m.d.sync += received.eq(self.wanted - kept)
        m.d.comb += [
            known.eq((received[count:] == 0) & (received[:count] <= held)),
            passed.eq(ahead <= received[:count]),
            self.jump.eq(self.acknowledge & known & (self.rewind | passed)),
        ]
        with m.If(self.acknowledge & known):
            m.d.sync += [kept.eq(self.wanted), ahead.eq(ahead + self.take - received[:count]),
                         held.eq(held + w_port.en - received[:count])]
        with m.If(self.jump):
            m.d.sync += ahead.eq(0)

        with m.If(self.clear):
            m.d.sync += [made.eq(0), kept.eq(0), held.eq(0), ahead.eq(0)]
        return m
