# amaranth: UnusedElaboratable=no
"""Register port: 32-bit registers behind an AXI3, AXI4 or AXI4-Lite subordinate port."""

from itertools import pairwise

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["ReadPort", "RegisterPort", "WritePort"]


def WritePort(address_bits):
    """Return the signature of writes of whole 32-bit words, which are never refused."""
    return wiring.Signature({"valid": Out(1), "address": Out(address_bits), "data": Out(32)})


def ReadPort(address_bits):
    """Return the signature of reads: ``data`` is that of the ``address`` two cycles before."""
    return wiring.Signature({"address": Out(address_bits), "data": In(32)})


class RegisterPort(wiring.Component):
    """Register port: 32-bit registers behind an AXI3, AXI4 or AXI4-Lite subordinate port.

    Every burst is answered, beat by beat, one burst at a time in each direction, with its ID and
    OKAY. A word is written if all four of its strobes are high, and left alone otherwise; every
    word of a beat is read, so reading must do nothing else.

    Parameters
    ----------
    signature : AXI3, AXI4 or AXI4Lite
        As the manager drives it.
    address_bits : int
        Low bits of an address that tell registers apart; those above are ignored.

    Members
    -------
    bus : In(signature)
    write : Out(WritePort)
        One pulse a word.
    read : Out(ReadPort)
    """

    def __init__(self, signature, *, address_bits):
        if not 3 <= address_bits <= signature.address_bits:
            raise ValueError(f"address_bits must lie in [3, {signature.address_bits}]: "
                             f"it is {address_bits}")
        self.address_bits = address_bits
        # Words of 32 bits in a beat.
        self.lanes = signature.data_bits // 32
        super().__init__({
            "bus": In(signature),
            "write": Out(WritePort(address_bits - 2)),
            "read": Out(ReadPort(address_bits - 2)),
        })

    def elaborate(self, platform):
        m = Module()
        self._writes(m)
        self._reads(m)
        return m

    def _burst(self, m, channel, step):
        """Return the address of the present beat, whether it is the last one, and the taking.

        ``take`` loads the burst on the address channel; ``step`` goes on to its next beat.
        """
        bus, bits = self.bus, self.address_bits

        def side(name, absent):
            return getattr(bus, channel + name, absent)

        full = (self.lanes * 4).bit_length() - 1
        length, size = side("len", Const(0, 1)), side("size", Const(full, 3))
        kind = side("burst", Const(0b01, 2))
        address, rest = Signal(bits, reset_less=True), Signal.like(length, reset_less=True)
        told = [Signal.like(value, reset_less=True) for value in (length, size, kind)]
        take = [address.eq(getattr(bus, f"{channel}addr")), rest.eq(length),
                *(kept.eq(value) for kept, value in zip(told, (length, size, kind), strict=True))]
        # after(a) = (a & ~moves) | ((align(a) + bytes) & moves); of a burst that wraps,
        # moves = bytes * beats - 1, of one that does not, all, of a fixed one, none.
        length, size, kind = told
        low, moves = Signal(7, reset_less=True), Signal(bits, reset_less=True)
        wraps, after = Signal(bits), Signal(bits)
        m.d.comb += [wraps.eq((length << size) | ((1 << size) - 1)),
                     after.eq((address | low) + 1)]
        m.d.sync += [low.eq((1 << size) - 1),
                     moves.eq(Mux(kind[1], wraps, kind[0].replicate(bits)))]
        with m.If(step):
            m.d.sync += [address.eq((address & ~moves) | (after & moves)), rest.eq(rest - 1)]
        return address, rest == 0, take

    def _words(self, address, lane):
        """Return the address of a word: that of the beat, its lane in place of the low bits."""
        k = self.lanes.bit_length() - 1
        return Cat(lane[:k], address[2 + k:])

    def _echo(self, m, channel, answer, take):
        """Keep the ID of a burst for its answer."""
        if hasattr(self.bus, f"{channel}id"):
            kept = Signal.like(getattr(self.bus, f"{channel}id"), reset_less=True)
            m.d.comb += getattr(self.bus, f"{answer}id").eq(kept)
            take.append(kept.eq(getattr(self.bus, f"{channel}id")))

    def _writes(self, m):
        bus, step = self.bus, Signal()
        address, is_last, take = self._burst(m, "aw", step)
        self._echo(m, "aw", "b", take)
        data, strobes = (Signal.like(value, reset_less=True) for value in (bus.wdata, bus.wstrb))
        lane = Signal(range(max(self.lanes, 2)))
        m.d.sync += self.write.valid.eq(0)
        with m.FSM(name="writes"):
            with m.State("ADDRESS"):
                m.d.comb += bus.awready.eq(1)
                m.d.sync += take
                with m.If(bus.awvalid):
                    m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += bus.wready.eq(1)
                m.d.sync += [data.eq(bus.wdata), strobes.eq(bus.wstrb), lane.eq(0)]
                with m.If(bus.wvalid):
                    m.next = "WORDS"
            with m.State("WORDS"):
                # A word a cycle, the lowest first.
                m.d.sync += [
                    self.write.valid.eq(strobes[:4].all()), self.write.data.eq(data[:32]),
                    self.write.address.eq(self._words(address, lane)),
                    data.eq(data >> 32), strobes.eq(strobes >> 4), lane.eq(lane + 1),
                ]
                with m.If(lane == self.lanes - 1):
                    m.d.comb += step.eq(1)
                    with m.If(is_last):
                        m.next = "ANSWER"
                    with m.Else():
                        m.next = "DATA"
            with m.State("ANSWER"):
                m.d.comb += bus.bvalid.eq(1)
                with m.If(bus.bready):
                    m.next = "ADDRESS"

    def _reads(self, m):
        bus, step = self.bus, Signal()
        address, is_last, take = self._burst(m, "ar", step)
        self._echo(m, "ar", "r", take)
        data, lane = Signal.like(bus.rdata, reset_less=True), Signal(range(max(self.lanes, 2)))
        m.d.comb += bus.rdata.eq(data)
        if hasattr(bus, "rlast"):
            m.d.comb += bus.rlast.eq(is_last)
        m.d.sync += self.read.address.eq(self._words(address, lane))
        with m.FSM(name="reads"):
            with m.State("ADDRESS"):
                m.d.comb += bus.arready.eq(1)
                m.d.sync += [*take, lane.eq(0)]
                with m.If(bus.arvalid):
                    m.next = "ASK"
            for state, after in pairwise(("ASK", "WAIT_1", "WAIT_2", "WORD")):
                with m.State(state):
                    m.next = after
            with m.State("WORD"):
                m.d.sync += [data.eq(Cat(data, self.read.data)[32:]), lane.eq(lane + 1)]
                with m.If(lane == self.lanes - 1):
                    m.d.sync += lane.eq(0)
                    m.next = "ANSWER"
                with m.Else():
                    m.next = "ASK"
            with m.State("ANSWER"):
                m.d.comb += bus.rvalid.eq(1)
                with m.If(bus.rready):
                    m.d.comb += step.eq(1)
                    with m.If(is_last):
                        m.next = "ADDRESS"
                    with m.Else():
                        m.next = "ASK"
