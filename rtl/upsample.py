# amaranth: UnusedElaboratable=no
"""Upsample: every pixel of an image several times, by rows and by columns (nearest neighbour)."""

import numpy as np
from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count, delay, flag, shifted
from .outlet import Outlet
from .ram import ram
from .schedule import Schedule
from .weights import block_is_cheaper

__all__ = ["UpsampleUnit"]


class UpsampleUnit(wiring.Component):
    """Upsample: every pixel ``factor[1]`` times in every row, every row ``factor[0]`` times.

    Images enter and leave row by row, pixel by pixel, channels fastest: ``CF = channels / lanes``
    beats a pixel. Steps are (y, r, x, s, c), c fastest, for the time r of row y and the time s of
    pixel x: each gives a beat, and takes it if r == 0 and s == 0. What is given once more is kept
    until then: a row if rows repeat, else a pixel.

    Timing: II is the beats of an image of ``o``, ``height * factor[0] * width * factor[1] * CF``.
    A beat is offered ``latency`` cycles after it was taken.

    Parameters
    ----------
    height, width, channels : int
        Of an image of ``i``.
    factor : (int, int)
        How often every row, and every pixel of a row, is given.
    lanes : int
        Elements of a beat; must divide ``channels``.
    shape : Shape or BIPOLAR
        Shape of one element.

    Members
    -------
    i : In(stream), shape * lanes
    o : Out(stream), shape * lanes
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, height, width, channels, factor, lanes, shape):
        rows, columns = factor
        if min(height, width, channels) < 1:
            raise ValueError(f"height, width and channels must be at least 1: "
                             f"they are {height}, {width} and {channels}")
        if min(rows, columns) < 1:
            raise ValueError(f"factors must be at least 1: they are {rows} and {columns}")
        if lanes < 1 or channels % lanes:
            raise ValueError(f"lanes must divide channels: channels is {channels}, "
                             f"lanes is {lanes}")
        self.height, self.width, self.channels = height, width, channels
        self.factor, self.lanes, self.cf = (rows, columns), lanes, channels // lanes
        self.shape = shape
        # Beats that are kept: of a row, of a pixel, or none but the present one.
        self.kept = width * self.cf if rows > 1 else self.cf if columns > 1 else 1
        self._pipeline = 1 if self.kept == 1 else 2
        layout = data.ArrayLayout(shape, lanes)
        self._outlet = Outlet(layout, latency=self._pipeline)
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    @property
    def schedule(self):
        """Every step gives a beat; the first for each beat takes it."""
        rows, columns = self.factor
        takes = np.zeros((self.height, rows, self.width, columns, self.cf), bool)
        takes[:, 0, :, 0] = True
        return Schedule(takes.reshape(-1), np.ones(takes.size, bool), self.latency,
                        self._outlet.room)

    @property
    def ii(self):
        """Cycles an image."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from a beat taken to the same beat offered for the first time."""
        return self._pipeline + self._outlet.latency

    def model(self, x):
        """Compute what the gateware computes.

        ``(..., height, width, channels)`` to ``(..., height * rows, width * columns, channels)``.
        """
        rows, columns = self.factor
        return np.asarray(x).repeat(rows, axis=-3).repeat(columns, axis=-2)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Stage 0: the step, which waits for its credit, and for its beat if it takes one.
        step, takes, pixel_ends, row_ends = Signal(), Signal(), Signal(), Signal()
        c, c_last = count(m, "c", self.cf, step)
        _, s_last = count(m, "s", self.factor[1], step & c_last)
        x, x_last = count(m, "x", self.width, pixel_ends)
        _, r_last = count(m, "r", self.factor[0], row_ends)
        m.d.comb += [
            pixel_ends.eq(step & c_last & s_last),
            row_ends.eq(pixel_ends & x_last),
            takes.eq(flag(m, "s_first", s_last, step & c_last)
                     & flag(m, "r_first", r_last, row_ends)),
            self.i.ready.eq(takes & outlet.ready),
            step.eq((self.i.valid | ~takes) & outlet.ready),
            outlet.give.eq(step),
        ]

        # What is kept; a step gives the beat that it took, too, from there.
        address = c if self.factor[0] == 1 else self._address(m, x, c, pixel_ends, x_last)
        m.d.comb += [
            Value.cast(outlet.data).eq(self._keep(m, takes, address)),
            outlet.push.eq(shifted(m, step, self._pipeline)[-1]),
        ]
        return m

    def _address(self, m, x, c, pixel_ends, x_last):
        """Return x*CF + c: side by side if CF is a power of two."""
        if self.cf & (self.cf - 1) == 0:
            return Cat(c, x)
        start = Signal(range(self.kept))
        with m.If(pixel_ends):
            m.d.sync += start.eq(Mux(x_last, 0, start + self.cf))
        return (start + c)[:len(start)]

    def _keep(self, m, takes, address):
        """Return the beat of every step, ``_pipeline`` cycles later."""
        # While a step waits for its beat its word is written in every cycle, last with the beat,
        # and is read in the cycle after: control waits for no `valid`.
        beat = Value.cast(self.i.payload)
        if self.kept == 1:
            kept = Signal.like(beat, name="kept", reset_less=True)
            with m.If(takes):
                m.d.sync += kept.eq(beat)
            return kept
        deep = block_is_cheaper(self.kept, len(beat), written=True)
        write, read = ram(m, "kept", width=len(beat), depth=self.kept,
                          style="block" if deep else "lutram")
        m.d.comb += [
            write.addr.eq(address), write.data.eq(beat), write.en.eq(takes),
            read.addr.eq(delay(m, address, 1)),
        ]
        return delay(m, read.data, 1)
