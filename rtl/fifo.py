# amaranth: UnusedElaboratable=no
"""FIFO: holds up to ``depth`` beats, with both sides registered; and the store inside it."""

import numpy as np
from amaranth import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .ram import ram
from .schedule import Schedule

__all__ = ["FIFO", "STYLES", "Credits", "Store", "fifo_latency"]

STYLES = ("registers", "srl", "lutram", "block")
# Shift registers that feed back the XNOR of the last bit and this one run through all states but
# the one of ones (Xilinx XAPP 052, table 3); a LUT where a counter needs one for each bit.
_TAPS = {2: 0, 3: 1, 4: 2, 5: 2, 6: 4}


def cheapest_style(depth, width):
    """Choose the style of a store of ``depth`` beats of ``width`` bits."""
    if depth == 2:
        return "registers"
    # A half block RAM holds 16384 bits; as LUTRAM a quarter of that costs some 100 LUTs.
    return "lutram" if depth <= 64 or depth * width <= 4096 else "block"


def move(m, value, up, down):
    """Count ``up`` or ``down``, or neither if both."""
    # A bit toggles if all below it are 1, or, on the way down, 0: a LUT each in a short counter.
    below = [bit ^ down for bit in value]
    toggles = Cat(Cat(below[:k]).all() for k in range(len(value)))
    after = value ^ toggles if len(value) <= 6 else value + Mux(down, -1, 1)
    with m.If(up ^ down):
        m.d.sync += value.eq(after)


def fifo_latency(depth):
    """Return the cycles from a beat's way in to its offer: 1 from registers, 2 from a memory."""
    return 1 if depth == 2 else 2


class Credits(wiring.Component):
    """Counts the credits of a FIFO: ``credits(t+1) = credits(t) - give(t) + taken(t)``.

    Parameters
    ----------
    room : int
        Credits at the start, and at most.

    Members
    -------
    give : In(1)
        Spends a credit. Must not be high while ``ready`` is low.
    taken : In(1)
        Returns a credit.
    ready : Out(1)
        There is a credit. A register.
    """

    def __init__(self, *, room):
        self.room = room
        super().__init__({"give": In(1), "taken": In(1), "ready": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        credits = Signal(range(self.room + 1), init=self.room)
        move(m, credits, self.taken, self.give)
        # ready == (credits != 0) without waiting for the count.
        spent = ~self.ready | ((credits == 1) & self.give)
        m.d.sync += self.ready.eq(self.taken | ~spent)
        return m


class Store(wiring.Component):
    """Keeps beats in order until ``o`` takes them; who pushes must know that there is room.

    A beat pushed in cycle t is offered in cycle ``t + latency``, or in the cycle after the beat
    before it is taken. ``o.valid`` and ``o.payload`` are registers (or a block RAM's latch).

    Parameters
    ----------
    shape : Shape
        Shape of a beat.
    depth : int
        Beats it holds, the one on ``o`` included: 2 in registers, at least 3 in a memory.
    style : str
        One of ``STYLES``, or "auto" for the cheapest.

    Members
    -------
    push : In(1)
        ``data`` is a beat to keep.
    data : In(shape)
    o : Out(stream)
    """

    o: stream.Interface

    def __init__(self, shape, *, depth, style="auto"):
        if depth < 2:
            raise ValueError(f"depth must be at least 2: it is {depth}")
        if style == "auto":
            style = cheapest_style(depth, Shape.cast(shape).width)
        if style not in STYLES:
            raise ValueError(f"style must be auto, {', '.join(STYLES)}: it is {style!r}")
        if (style == "registers") != (depth == 2):
            raise ValueError(f"style registers is for depth 2, the others for more: "
                             f"style is {style}, depth is {depth}")
        if style == "srl" and depth > 65:
            raise ValueError(f"style srl holds at most 65 beats: depth is {depth}")
        self.depth, self.style, self._width = depth, style, Shape.cast(shape).width
        super().__init__({"push": In(1), "data": In(shape), "o": Out(stream.Signature(shape))})

    @property
    def latency(self):
        """Cycles from ``push`` to ``o.valid``."""
        return fifo_latency(self.depth)

    def elaborate(self, platform):
        m = Module()
        if self.style == "registers":
            self._registers(m)
        elif self.style == "srl":
            self._shift_registers(m)
        else:
            self._memory(m)
        return m

    def _registers(self, m):
        """Offer from one register; a second one keeps the beat that comes while it is refused."""
        o_payload = Signal.like(self.o.payload, reset_less=True)
        spare = Signal.like(self.data, reset_less=True)
        has_spare = Signal()
        m.d.comb += self.o.payload.eq(o_payload)
        with m.If(self.push):
            m.d.sync += spare.eq(self.data)
        with m.If(self.o.ready | ~self.o.valid):
            m.d.sync += [
                self.o.valid.eq(has_spare | self.push),
                o_payload.eq(Mux(has_spare, spare, self.data)),
                has_spare.eq(has_spare & self.push),
            ]
        with m.Elif(self.push):
            m.d.sync += has_spare.eq(1)

    def _load(self, m, some):
        """Return whether the register of ``o`` takes the next beat, of which there is ``some``."""
        load = Signal()
        m.d.comb += load.eq(some & (self.o.ready | ~self.o.valid))
        m.d.sync += self.o.valid.eq(load | (self.o.valid & ~self.o.ready))
        return load

    def _shift_registers(self, m):
        """Shift every beat in; the oldest one stands as deep as there are others."""
        some = Signal()
        load = self._load(m, some)
        # A power of two, and all rows told apart, is what synthesis makes an SRL of.
        rows = 1 << (self.depth - 2).bit_length()
        oldest = Signal(range(rows), init=rows - 1)
        move(m, oldest, self.push, load)
        m.d.sync += some.eq(self.push | (some & ~(load & (oldest == 0))))

        data, o_payload = Value.cast(self.data), Signal(self._width, reset_less=True)
        for b in range(self._width):
            row, bit = Signal(rows, name=f"row_{b}", reset_less=True), Signal(name=f"oldest_{b}")
            with m.If(self.push):
                m.d.sync += row.eq(Cat(data[b], row))
            with m.Switch(oldest):
                for k in range(rows):
                    with m.Case(k):
                        m.d.comb += bit.eq(row[k])
            with m.If(load):
                m.d.sync += o_payload[b].eq(bit)
        m.d.comb += Value.cast(self.o.payload).eq(o_payload)

    def _memory(self, m):
        """Offer from the read register of a memory, loaded ahead."""
        # The beat on `o` has left the memory.
        size = (self.depth - 1).bit_length()
        shifts = size in _TAPS
        rows = 1 << size if shifts else self.depth - 1
        w_port, r_port = ram(m, "rows", width=self._width, depth=rows, style=self.style)

        # No row is read in the cycle in which it is written: there is some from the next one on.
        some = Signal()
        load = self._load(m, some)
        write, read, after = Signal(range(rows)), Signal(range(rows)), Signal(range(rows), init=1)
        for address, step in ((write, self.push), (after, load)):
            self._advance(m, address, step, None if shifts else rows)
        o_payload = Signal(self._width, reset_less=True)
        with m.If(load):
            m.d.sync += [read.eq(after), o_payload.eq(r_port.data)]
        m.d.sync += some.eq(self.push | (some & ~(load & (after == write))))
        m.d.comb += [
            w_port.en.eq(self.push), w_port.addr.eq(write), w_port.data.eq(Value.cast(self.data)),
            r_port.addr.eq(read), Value.cast(self.o.payload).eq(o_payload),
        ]

    def _advance(self, m, address, step, rows):
        """Go to the row after ``address``: of ``rows`` counted ones, or of a shift register's."""
        if rows is None:
            back = ~(address[-1] ^ address[_TAPS[len(address)]])
            with m.If(step):
                m.d.sync += address.eq(Cat(back, address[:-1]))
            return
        last = Signal()
        with m.If(step):
            m.d.sync += [address.eq(Mux(last, 0, address + 1)), last.eq(address == rows - 2)]


class FIFO(wiring.Component):
    """First in, first out: ``o`` gives the beats of ``i``, up to ``depth`` beats later.

    Takes and gives a beat in every cycle, at any depth. ``i.ready`` and ``o.valid`` are registers:
    ``i.ready`` is high in a cycle exactly if fewer than ``depth`` beats are held in it, and a beat
    is held from the cycle after its transfer on ``i`` to the cycle of its transfer on ``o``.

    Timing: II 1. A beat taken in cycle t is offered in cycle ``t + latency``, or in the cycle after
    the beat before it is taken. ``latency`` is 1 for style "registers" and 2 for the others.

    Parameters
    ----------
    shape : Shape
        Shape of a beat (of the payload, all lanes).
    depth : int
        Beats it holds, at least 2.
    style : str
        "registers" (depth 2 only), "srl" (shift-register LUTs of Xilinx, up to depth 65), "lutram"
        or "block"; "auto" takes the cheapest on any family, never "srl".

    Members
    -------
    i : In(stream)
    o : Out(stream)
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, shape, *, depth, style="auto"):
        self._store = Store(shape, depth=depth, style=style)
        self.depth, self.style = depth, self._store.style
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    @property
    def latency(self):
        """Cycles from a transfer on ``i`` to the first cycle in which the beat is on ``o``."""
        return self._store.latency

    @property
    def schedule(self):
        """One step, which takes a beat and gives it."""
        return Schedule(np.ones(1, bool), np.ones(1, bool), self.latency, self.depth)

    @property
    def ii(self):
        """Cycles a beat."""
        return self.schedule.period

    def model(self, x):
        """Return ``x``."""
        return np.asarray(x)

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = self._store
        m.submodules.credits = credits = Credits(room=self.depth)
        wiring.connect(m, store.o, wiring.flipped(self.o))
        m.d.comb += [
            self.i.ready.eq(credits.ready),
            store.push.eq(self.i.valid & self.i.ready), store.data.eq(self.i.payload),
            credits.give.eq(store.push), credits.taken.eq(self.o.valid & self.o.ready),
        ]
        return m
