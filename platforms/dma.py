# amaranth: UnusedElaboratable=no
"""DMA: words between memory and a stream, in bursts of AXI3 or AXI4, several in flight."""

from amaranth import Cat, Const, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.rtl.fifo import FIFO, Store

from .axi import BURST_INCR

__all__ = ["Bursts", "ReadDMA", "WriteDMA", "transfer_layout"]

# Normal memory, not cached, may be buffered; what DMA engines commonly say.
_CACHE = 0b0011


def transfer_layout(signature):
    """Return the layout of a command: words from the word ``address`` on, less than 2**32."""
    shift = (signature.data_bits // 8).bit_length() - 1
    return data.StructLayout({"address": signature.address_bits - shift, "words": 32})


def _check(signature, burst, **depths):
    size = signature.data_bits // 8
    # Bursts end at multiples of their length, so that none crosses 4 KiB if that divides 4 KiB.
    limit = min(signature.beats, 4096 // size)
    if not 2 <= burst <= limit or burst & (burst - 1):
        raise ValueError(f"burst must be a power of two in [2, {limit}]: it is {burst}")
    for name, depth in depths.items():
        if depth < 2 * burst:
            raise ValueError(f"{name} must hold two bursts of {burst} words: it is {depth}")


class Bursts(wiring.Component):
    """Cuts transfers into bursts, which end at multiples of ``burst`` words or with the transfer.

    A transfer has at least one word.

    Timing: a burst every third cycle, and one cycle more for a transfer.

    Parameters
    ----------
    layout : StructLayout
        ``transfer_layout`` of the bus.
    burst : int
        Words of the longest burst, a power of two.

    Members
    -------
    i : In(stream), layout
    o : Out(stream), {address, more}
        The word address of a burst, and its words less one.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, layout, *, burst):
        self.burst = burst
        super().__init__({
            "i": In(stream.Signature(layout)),
            "o": Out(stream.Signature(data.StructLayout({
                "address": layout["address"].shape, "more": range(burst)}))),
        })

    def elaborate(self, platform):
        m = Module()
        i, o = self.i, self.o
        k = self.burst.bit_length() - 1
        address = Signal.like(i.payload.address, reset_less=True)
        rest = Signal(32, reset_less=True)           # words of the transfer, less one
        busy, known = Signal(), Signal()
        is_short, is_end = Signal(reset_less=True), Signal(reset_less=True)

        # The transfer.
        m.d.comb += i.ready.eq(~busy)
        with m.If(~busy):
            m.d.sync += [address.eq(i.payload.address), rest.eq(i.payload.words - 1),
                         busy.eq(i.valid)]

        # The next burst of it: up to the multiple of `burst` after its address, or to its end.
        to_multiple = ~address[:k]
        ends = is_short & (rest[:k] <= to_multiple)
        m.d.sync += [is_short.eq(~rest[k:].any()), known.eq(busy & ~known & ~o.valid)]
        with m.If(known):
            m.d.sync += [o.valid.eq(1), o.payload.address.eq(address), is_end.eq(ends),
                         o.payload.more.eq(Mux(ends, rest[:k], to_multiple))]
        with m.If(o.valid & o.ready):
            m.d.sync += [o.valid.eq(0), busy.eq(~is_end),
                         address.eq(Cat(Const(0, k), address[k:] + 1)),
                         rest.eq(rest - o.payload.more - 1)]
        return m


def _offer(m, bus, channel, burst, take, size):
    """Offer a burst on an address channel from registers; return whether it is free for one."""
    def signal(name):
        return getattr(bus, channel + name)

    shift = (size - 1).bit_length()
    m.d.comb += [signal("size").eq(shift), signal("burst").eq(BURST_INCR),
                 signal("cache").eq(_CACHE)]
    address = Signal.like(burst.address, name=f"{channel}_address", reset_less=True)
    more = Signal.like(burst.more, name=f"{channel}_more", reset_less=True)
    valid = Signal(name=f"{channel}_valid")
    m.d.comb += [signal("addr").eq(address << shift), signal("len").eq(more),
                 signal("valid").eq(valid)]
    with m.If(take):
        m.d.sync += [address.eq(burst.address), more.eq(burst.more), valid.eq(1)]
    with m.Elif(signal("ready")):
        m.d.sync += valid.eq(0)
    # A burst comes every third cycle, so there is time until the next one.
    return ~valid


def _owed(m, quiet, begun, ended, most):
    """Keep ``quiet`` low from the cycle after a burst began until all have ended."""
    owed = Signal(range(most + 1))
    m.d.sync += owed.eq(owed + begun - ended)
    m.d.comb += quiet.eq(owed == 0)


class ReadDMA(wiring.Component):
    """Reads words from memory into a stream.

    A burst is asked for when there is room for all of it in the store, so R is always taken.

    Parameters
    ----------
    signature : AXI3 or AXI4
    burst : int
        Words of the longest burst: a power of two.
    depth : int
        Words of the store: what is asked for at once, at most.

    Members
    -------
    command : In(stream), transfer_layout(signature)
    stop : In(1)
        No further burst begins.
    quiet : Out(1)
        All that was asked for has come.
    error : Out(1)
        Pulses when an answer is an error.
    bus : Out(signature.reads)
    o : Out(stream), data_bits
    """

    def __init__(self, signature, *, burst, depth):
        _check(signature, burst, depth=depth)
        self.burst, self.depth = burst, depth
        self._bursts = Bursts(transfer_layout(signature), burst=burst)
        self._store = Store(signature.data_bits, depth=depth)
        super().__init__({
            "command": In(stream.Signature(transfer_layout(signature))),
            "stop": In(1), "quiet": Out(1), "error": Out(1),
            "bus": Out(signature.reads),
            "o": Out(stream.Signature(signature.data_bits)),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.bursts, m.submodules.store = bursts, store = self._bursts, self._store
        wiring.connect(m, wiring.flipped(self.command), bursts.i)
        wiring.connect(m, store.o, wiring.flipped(self.o))
        bus, burst = self.bus, bursts.o.payload

        # A burst takes its room when it is asked for; a word gives it back when it leaves.
        room = Signal(range(self.depth + 1), init=self.depth)
        take, has_room = Signal(), Signal()
        is_free = _offer(m, bus, "ar", burst, take, len(bus.rdata) // 8)
        words = Signal(range(self.burst + 1), reset_less=True)
        m.d.sync += [words.eq(burst.more + 1),
                     has_room.eq(bursts.o.valid & ~take & (room >= self.burst))]
        m.d.comb += [
            take.eq(is_free & has_room & ~self.stop),
            bursts.o.ready.eq(take),
        ]
        left = self.o.valid & self.o.ready
        m.d.sync += room.eq(room + left - Mux(take, words, 0))

        # What comes is registered, and then stored.
        came, is_last, response = Signal(), Signal(reset_less=True), Signal(2, reset_less=True)
        word = Signal.like(bus.rdata, reset_less=True)
        m.d.comb += bus.rready.eq(1)
        m.d.sync += [came.eq(bus.rvalid), word.eq(bus.rdata), is_last.eq(bus.rlast),
                     response.eq(bus.rresp)]
        m.d.comb += [store.push.eq(came), store.data.eq(word), self.error.eq(came & response[1])]
        _owed(m, self.quiet, take, came & is_last, self.depth)
        return m


class WriteDMA(wiring.Component):
    """Writes the words of a stream to memory.

    A burst begins when all its words are in the store, so W never waits for the stream, and all
    that has begun comes to its end.

    Parameters
    ----------
    signature : AXI3 or AXI4
    burst : int
        Words of the longest burst: a power of two.
    depth : int
        Words of the store.
    outstanding : int
        Bursts begun and not acknowledged, at most.

    Members
    -------
    command : In(stream), transfer_layout(signature)
    i : In(stream), data_bits
    stop : In(1)
        No further burst begins.
    quiet : Out(1)
        All that has begun is acknowledged.
    error : Out(1)
        Pulses when an answer is an error.
    acknowledged : Out({"valid", "words"})
        Pulses when a burst is acknowledged, with its words; in order.
    bus : Out(signature.writes)
    """

    def __init__(self, signature, *, burst, depth, outstanding=8):
        _check(signature, burst, depth=depth)
        if outstanding < 2:
            raise ValueError(f"outstanding must be at least 2: it is {outstanding}")
        self.burst, self.depth, self.outstanding = burst, depth, outstanding
        self.layout = transfer_layout(signature)
        super().__init__({
            "command": In(stream.Signature(self.layout)),
            "i": In(stream.Signature(signature.data_bits)),
            "stop": In(1), "quiet": Out(1), "error": Out(1),
            "acknowledged": Out(wiring.Signature({
                "valid": Out(1), "words": Out(range(burst + 1))})),
            "bus": Out(signature.writes),
        })

    def elaborate(self, platform):
        m = Module()
        bus, width = self.bus, len(self.bus.wdata)
        m.submodules.bursts = bursts = Bursts(self.layout, burst=self.burst)
        m.submodules.store = store = FIFO(width, depth=self.depth)
        # The bursts whose words are to be sent, and those to be acknowledged: words less one.
        m.submodules.sent = sent = FIFO(range(self.burst), depth=self.outstanding)
        m.submodules.owed = owed = FIFO(range(self.burst), depth=self.outstanding)
        m.submodules.beats = beats = FIFO(data.StructLayout({"data": width, "last": 1}), depth=2)
        wiring.connect(m, wiring.flipped(self.command), bursts.i)
        wiring.connect(m, wiring.flipped(self.i), store.i)
        burst = bursts.o.payload

        # A burst begins when the words in the store that belong to no other one are enough. They
        # do not get fewer while it waits, so that may be found out a cycle before.
        held, is_enough, take = Signal(range(self.depth + 1)), Signal(), Signal()
        words = Signal(range(self.burst + 1), reset_less=True)
        is_free = _offer(m, bus, "aw", burst, take, width // 8)
        m.d.sync += [
            words.eq(burst.more + 1),
            held.eq(held + (store.i.valid & store.i.ready) - Mux(take, words, 0)),
            is_enough.eq(bursts.o.valid & ~take & (held > burst.more)),
        ]
        m.d.comb += [
            take.eq(is_enough & is_free & sent.i.ready & owed.i.ready & ~self.stop),
            bursts.o.ready.eq(take),
            sent.i.valid.eq(take), sent.i.payload.eq(burst.more),
            owed.i.valid.eq(take), owed.i.payload.eq(burst.more),
        ]

        # Its words go out, counted; the next burst stands by.
        active, rest, is_last = Signal(), Signal(range(self.burst)), Signal()
        has_next, after = Signal(), Signal(range(self.burst), reset_less=True)
        is_single = Signal(reset_less=True)
        go = Signal()
        m.d.comb += [
            sent.o.ready.eq(~has_next),
            go.eq(active & store.o.valid & beats.i.ready),
            store.o.ready.eq(active & beats.i.ready), beats.i.valid.eq(active & store.o.valid),
            beats.i.payload.data.eq(store.o.payload), beats.i.payload.last.eq(is_last),
            bus.wdata.eq(beats.o.payload.data), bus.wlast.eq(beats.o.payload.last),
            bus.wstrb.eq(~0), bus.wvalid.eq(beats.o.valid), beats.o.ready.eq(bus.wready),
        ]
        with m.If(~has_next):
            m.d.sync += [has_next.eq(sent.o.valid), after.eq(sent.o.payload),
                         is_single.eq(sent.o.payload == 0)]
        with m.If(~active | (go & is_last)):
            m.d.sync += [active.eq(has_next), rest.eq(after), is_last.eq(is_single)]
            with m.If(has_next):
                m.d.sync += has_next.eq(0)
        with m.Elif(go):
            m.d.sync += [rest.eq(rest - 1), is_last.eq(rest == 1)]

        # Its answer is registered.
        came, response = Signal(), Signal(2, reset_less=True)
        m.d.comb += [bus.bready.eq(1), owed.o.ready.eq(came), self.error.eq(came & response[1])]
        m.d.sync += [
            came.eq(bus.bvalid), response.eq(bus.bresp),
            self.acknowledged.valid.eq(came), self.acknowledged.words.eq(owed.o.payload + 1),
        ]
        _owed(m, self.quiet, take, came, self.outstanding)
        return m
