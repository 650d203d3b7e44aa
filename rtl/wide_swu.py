# amaranth: UnusedElaboratable=no
"""Wide sliding-window unit: gives a row of the kernel, or a whole window, in every cycle."""

import numpy as np
from amaranth import Array, Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count, delay, flag, shifted
from .outlet import Outlet
from .ram import RAM_STYLES, ram
from .ring import Place, Ring
from .shapes import encode, is_bipolar
from .swu import SWU
from .weights import block_is_cheaper
from .windows import Windows

__all__ = ["WideSWU", "sliding_window"]


def sliding_window(*, channels, lanes, **options):
    """Return the unit that gives ``lanes`` elements of a window a cycle: ``SWU`` or ``WideSWU``."""
    kind = SWU if lanes <= channels else WideSWU
    return kind(channels=channels, lanes=lanes, **options)


class WideSWU(wiring.Component):
    """Wide sliding-window unit: gives a row of the kernel, or a whole window, in every cycle.

    It stands in for ``SWU`` where more than a pixel of a window is wanted a cycle: the same windows
    of the same images. A beat of ``i`` is a pixel; one of ``o`` is a row of a window, ``KW * C``
    lanes, or a window, ``KH * KW * C`` lanes.

    For every pixel a word is kept of it and those to its left that a kernel's row sees with it. So
    a row of a window is one word; a whole window is KH words, and rows that it sees together are
    in different banks.

    Timing: ``II = max(H * W, OH * OW * beats a window)`` cycles a frame.

    Parameters
    ----------
    height, width, channels, kernel, stride, dilation, pads, pad_value, shape, memory
        As ``SWU`` has them; ``memory`` is "lutram", "block", "ultra" or "auto".
    lanes : int
        Elements of a beat of ``o``: ``KW * C`` or ``KH * KW * C``.

    Members
    -------
    i : In(stream), shape * C
        H * W beats a frame.
    o : Out(stream), shape * lanes

    Attributes
    ----------
    banks, depth : int
        Banks, and words of each.
    memory : str
        Where they are.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, height, width, channels, kernel, stride=(1, 1), dilation=(1, 1),
                 pads=(0, 0, 0, 0), pad_value=0, shape, lanes, memory="auto"):
        if memory not in ("auto", *RAM_STYLES):
            raise ValueError(f"memory must be auto, {', '.join(RAM_STYLES)}: it is {memory!r}")
        windows = Windows(height, width, kernel, stride, dilation, pads)
        kh, kw = windows.kernel
        if lanes not in (kw * channels, kh * kw * channels):
            raise ValueError(f"lanes must be those of a row of the kernel, {kw * channels}, or of "
                             f"a window, {kh * kw * channels}: they are {lanes}")
        self.shape = shape if is_bipolar(shape) else Shape.cast(shape)
        self.pad_value = pad_value
        self._pad_bits = int(encode(pad_value, shape)) if any(pads) else 0
        self._lay(windows, channels, lanes, memory)
        o_layout = data.ArrayLayout(self.shape, lanes)
        # The words are there a cycle after their addresses, put in order a cycle later.
        self._outlet = Outlet(o_layout, latency=2)
        super().__init__({
            "i": In(stream.Signature(data.ArrayLayout(self.shape, channels))),
            "o": Out(stream.Signature(o_layout)),
        })

    def _lay(self, windows, channels, lanes, memory):
        """Lay the ring: its banks, how deep they are, and where."""
        self.windows, self.channels, self.lanes = windows, channels, lanes
        (kh, kw), (dy, dx), width = windows.kernel, windows.dilation, windows.width
        self.rows = lanes // (kw * channels)                 # of the kernel, in a beat

        # The word of a row of window ox is that of column at[ox]; where the row reaches past the
        # right edge, one further to the left, skip[ox] pixels of which are not seen.
        last = windows.start(1) + (kw - 1) * dx
        self._skip = np.clip(-((width - 1 - last) // dx), 0, kw - 1)
        self._at = np.clip(last - self._skip * dx, 0, width - 1)
        self.ring = Ring(needed=windows.needed(self._at + 1), dropped=windows.dropped(self._at),
                         steps=kh // self.rows, beats_in=windows.pixels)

        # Row y is in bank y mod banks; all that a window sees are in different ones.
        self.banks = self.rows
        while len({i * dy % self.banks for i in range(self.rows)}) < self.rows:
            self.banks += 1
        # A word takes the place of that which came depth words before it in its bank: at least
        # banks * depth - (banks - 1) * (W - 1) pixels before.
        overlap = (self.banks - 1) * (width - 1)
        least = -(-(self.ring.least_depth + overlap) // self.banks)
        self.depth = max(2, 1 << (least - 1).bit_length())
        self._held = self.banks * self.depth - overlap

        bits = kw * channels * Shape.cast(self.shape).width
        if memory == "auto":
            memory = "block" if block_is_cheaper(self.depth, bits, written=True) else "lutram"
        self.memory = memory

    @property
    def schedule(self):
        """Two processes, the writer and the reader: see ``Ring``."""
        return self.ring.schedule(self._held, latency=2 + self._outlet.latency,
                                  room=self._outlet.room)

    @property
    def ii(self):
        """Cycles a frame."""
        return self.ring.period

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return int(self.ring.needed[0]) + 2 + self._outlet.latency

    def model(self, x):
        """Cut values ``(..., H, W, C)`` into windows: ``(..., OH, OW, KH * KW * C)``."""
        return self.windows.model(x, pad_value=self.pad_value)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Where the next step is in its window, and the window in its frame.
        step, take = Signal(), Signal()
        (oh, ow), steps = self.windows.shape, self.ring.steps
        _, ky_last = count(m, "ky", steps, step)
        first, ends = flag(m, "first", ky_last, step), step & ky_last
        ox, ox_last = count(m, "ox", ow, ends)
        row_ends = ends & ox_last
        oy, oy_last = count(m, "oy", oh, row_ends)

        # Which beats are there: all that decides is registers.
        column, row = Place(m, ox, ox_last, ends), Place(m, oy, oy_last, row_ends)
        space, ahead = self.ring.balances(m, self._held, take, ends, column, row)
        m.d.comb += [
            self.i.ready.eq(~space[-1]),
            take.eq(self.i.valid & self.i.ready),
            step.eq(outlet.ready & ~(first & ahead[-1])),
            outlet.give.eq(step),
        ]

        # A word of every row that the step gives.
        phase = self._phase(m, row_ends, oy_last)
        addresses = self._walk(m, step, phase, ky_last, ox_last, oy_last, column)
        words = self._banks(m, take, addresses)
        phase = delay(m, phase, 1)
        dy = self.windows.dilation[0]
        words = [Array(words[(f + i * dy) % self.banks] for f in range(self.banks))[phase]
                 for i in range(self.rows)]

        # Out, past the edges padding.
        outside_y = ([row.edges("outside_y", self.windows.outside(0), step)] if self.rows == 1 else
                     self._flags(row, self.windows.outside(0)))
        outside_x = self._flags(column, self.windows.outside(1))
        skip = delay(m, column.lookup(self._skip), 1)
        width = Shape.cast(self.shape).width
        pad = Const(self._pad_bits, width).replicate(self.channels)
        taps = [Mux(delay(m, y | x, 1), pad, self._tap(word, skip, kx))
                for word, y in zip(words, outside_y, strict=True)
                for kx, x in enumerate(outside_x)]
        m.d.comb += [
            outlet.push.eq(shifted(m, step, 2)[-1]),
            Value.cast(outlet.data).eq(
                delay(m, Cat(taps), 1, init=Const.cast(pad.replicate(len(taps))).value)),
        ]
        return m

    def _flags(self, place, outside):
        """Return ``outside[count, k]`` for all k."""
        if not outside.any():
            return [Const(0)] * outside.shape[1]
        numbers = place.lookup((outside << np.arange(outside.shape[1])).sum(axis=1))
        kept = Signal(outside.shape[1], name="outside")
        place.m.d.comb += kept.eq(numbers)
        return list(kept)

    def _tap(self, word, skip, kx):
        """Return pixel ``kx`` of a row: of its word, ``skip`` further to the right."""
        bits = self.channels * Shape.cast(self.shape).width
        kw = self.windows.kernel[1]
        pixels = [word.word_select(min(kx + k, kw - 1), bits)
                  for k in range(int(self._skip.max()) + 1)]
        return Array(pixels)[skip]

    def _phase(self, m, row_ends, oy_last):
        """Return the bank of the first row that the step's window sees."""
        if self.banks == 1:
            return Const(0, 0)
        phase = Signal(range(self.banks), init=-self.windows.pads[0] % self.banks)
        by_row, by_frame = (Array(Const((f + rows) % self.banks) for f in range(self.banks))
                            for rows in self._rows_on())
        with m.If(row_ends):
            m.d.sync += phase.eq(Mux(oy_last, by_frame[phase], by_row[phase]))
        return phase

    def _rows_on(self):
        """Return how many rows a window is below that of the row before, and of the last frame."""
        stride = self.windows.stride[0]
        return stride, self.windows.height - (self.windows.shape[0] - 1) * stride

    def _walk(self, m, step, phase, ky_last, ox_last, oy_last, column):
        """Step the addresses through the windows; return that of every bank.

        Pixel (y, x) of all rows there ever were is word ``(y // banks) * W + x`` of its bank,
        modulo depth. Past the edges an address points anywhere.
        """
        w, dy, at = self.windows.width, self.windows.dilation[0], self._at
        back = (self.ring.steps - 1) * dy * w
        width = (self.depth - 1).bit_length()

        def by_phase(rows):
            return Array(Const((rows + f) // self.banks * w - back + int(at[0] - at[-1]))
                         for f in range(self.banks))[phase]

        by_row, by_frame = map(by_phase, self._rows_on())
        in_row = column.lookup(np.append(np.diff(at), 0) - back)
        amount = Signal(width)
        m.d.comb += amount.eq(
            Mux(~ky_last, dy * w, Mux(~ox_last, in_row, Mux(oy_last, by_frame, by_row))))

        # Row i of a window is in bank (phase + i*DY) mod banks, and so many rows further there.
        further = [{(f + i * dy) % self.banks: (f + i * dy) // self.banks
                    for i in range(self.rows)} for f in range(self.banks)]
        bases = {}
        for rows in sorted({rows for each in further for rows in each.values()}):
            start = (-self.windows.pads[0] // self.banks + rows) * w + int(at[0])
            bases[rows] = Signal(width, name=f"base_{rows}", init=start % self.depth)
            with m.If(step):
                m.d.sync += bases[rows].eq(bases[rows] + amount)
        return [Array(bases[each.get(bank, min(bases))] for each in further)[phase]
                for bank in range(self.banks)]

    def _banks(self, m, take, addresses):
        """Write the words; return those at ``addresses`` a cycle later."""
        # Of every pixel, it and those to its left.
        (_, kw), (_, dx), w = self.windows.kernel, self.windows.dilation, self.windows.width
        pixel = self.i.payload.as_value()
        past = [pixel]
        for k in range((kw - 1) * dx):
            past.append(Signal(len(pixel), name=f"past_{k}", reset_less=True))
            with m.If(take):
                m.d.sync += past[-1].eq(past[-2])
        word = Cat(reversed(past[::dx]))

        # From row to row the next bank; after the last, the next words of the first.
        x_last, bank, bank_last = Const(1), Const(0, 0), Const(1)
        if self.banks > 1:
            _, x_last = count(m, "x", w, take)
            bank, bank_last = count(m, "bank", self.banks, take & x_last)
        address = Signal(range(self.depth))
        with m.If(take):
            m.d.sync += address.eq(address + Mux(x_last & ~bank_last, 1 - w, 1))

        words = []
        for b, read_address in enumerate(addresses):
            write, read = ram(m, f"bank{b}", width=len(word), depth=self.depth, style=self.memory)
            # Where there is space something is written in every cycle, last the word.
            m.d.comb += [write.addr.eq(address), write.data.eq(word),
                         write.en.eq(self.i.ready & (bank == b)), read.addr.eq(read_address)]
            words.append(delay(m, read.data, 1))
        return words
