# amaranth: UnusedElaboratable=no
"""Reduce: of every run of vectors the greatest, or the sum, channel by channel: pooling."""

from math import prod

import numpy as np
from amaranth import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count, delay, flag, shifted
from .outlet import Outlet
from .ram import ram
from .schedule import Schedule
from .shapes import is_bipolar, range_of, shape_for
from .weights import block_is_cheaper

__all__ = ["ReduceUnit"]

# Cycles from a step to its result; a step that reads it from a memory must come later than that.
PIPELINE = 2


class ReduceUnit(wiring.Component):
    """Reduce: of every run of ``vectors`` vectors the greatest, or the sum, a channel.

    A vector enters and leaves as ``CF = channels / lanes`` beats, in natural order, lowest index
    in lane 0. Steps are (v, c), c fastest: each takes a beat, and the result so far of channels
    ``c * lanes`` and up becomes the greater of both, or their sum. Those of the last vector give
    their results.

    Results wait for the next vector in a line of registers, where ``CF`` is at most 2, or in a
    memory of ``CF`` words.

    Timing: ``II = vectors * CF`` cycles a run. A result is offered two cycles and those of the
    outlet after the step that completes it.

    Parameters
    ----------
    op : str
        "max" or "sum".
    vectors : int
        Vectors of a run.
    channels : int
        Elements of a vector.
    lanes : int
        Channels side by side; must divide ``channels``.
    shape : Shape or BIPOLAR
        Shape of one element of ``i``.

    Members
    -------
    i : In(stream), shape * lanes
    o : Out(stream), o_shape * lanes
        ``o_shape`` is ``shape``, or the narrowest shape of the sums.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, op, vectors, channels, lanes, shape):
        if op not in ("max", "sum"):
            raise ValueError(f"op must be max or sum: it is {op!r}")
        if vectors < 1:
            raise ValueError(f"vectors must be at least 1: it is {vectors}")
        if lanes < 1 or channels < 1 or channels % lanes:
            raise ValueError(f"lanes must divide channels: channels is {channels}, "
                             f"lanes is {lanes}")
        self.op, self.vectors, self.channels, self.lanes = op, vectors, channels, lanes
        self.shape = shape if is_bipolar(shape) else Shape.cast(shape)
        low, high = range_of(self.shape)
        self.o_shape = self.shape if op == "max" else shape_for(vectors * low, vectors * high)
        self.cf = channels // lanes
        o_layout = data.ArrayLayout(self.o_shape, lanes)
        self._outlet = Outlet(o_layout, latency=PIPELINE, interval=vectors if self.cf == 1 else 1)
        super().__init__({
            "i": In(stream.Signature(data.ArrayLayout(self.shape, lanes))),
            "o": Out(stream.Signature(o_layout)),
        })

    @property
    def schedule(self):
        """Every step takes a beat; those of the last vector of a run give one."""
        steps = np.arange(self.vectors * self.cf)
        return Schedule(np.ones(len(steps), bool), steps >= (self.vectors - 1) * self.cf,
                        PIPELINE + self._outlet.latency, self._outlet.room)

    @property
    def ii(self):
        """Cycles a run of vectors."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return (self.vectors - 1) * self.cf + self.schedule.latency

    def model(self, x):
        """Compute what the gateware computes.

        ``(..., vectors * channels)``, or ``(..., *axes, channels)`` with ``vectors`` vectors along
        ``axes``, to ``(..., channels)``.
        """
        x = np.asarray(x)
        fits = [k for k in range(1, x.ndim + 1)
                if prod(x.shape[-k:]) == self.vectors * self.channels]
        if not fits:
            raise ValueError(f"a run is {self.vectors} vectors of {self.channels} channels: "
                             f"x has shape {x.shape}")
        runs = x.reshape(*x.shape[:-fits[0]], self.vectors, self.channels)
        return runs.max(axis=-2) if self.op == "max" else runs.sum(axis=-2, dtype=np.int64)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Stage 0: take a beat; one of the last vector needs a credit.
        step, gives = Signal(), Signal()
        c, c_last = count(m, "c", self.cf, step)
        _, v_last = count(m, "v", self.vectors, step & c_last)
        v_first = flag(m, "v_first", v_last, step & c_last)
        m.d.comb += [
            self.i.ready.eq(outlet.ready | ~v_last),
            step.eq(self.i.valid & self.i.ready),
            gives.eq(step & v_last),
            outlet.give.eq(gives),
        ]

        # Stage 1: the beat, and the result so far of its channels.
        x = delay(m, Value.cast(self.i.payload), 1)
        first = delay(m, v_first, 1)
        went = shifted(m, step, PIPELINE)
        result = Signal(Shape.cast(self.o.payload.shape()), reset_less=True)
        kept = self._keep(m, result, c, went)

        # Stage 2: both as one.
        with m.If(went[1]):
            m.d.sync += result.eq(Cat(
                self._join(self._lane(x, self.shape, p), self._lane(kept, self.o_shape, p), first)
                for p in range(self.lanes)))
        m.d.comb += [
            outlet.push.eq(shifted(m, gives, PIPELINE)[-1]),
            Value.cast(outlet.data).eq(result),
        ]
        return m

    def _keep(self, m, result, c, went):
        """Return, one cycle after every step, the result of ``CF`` steps before."""
        if self.cf <= 2:
            # The results of the last steps, the last one in front.
            for _ in range(self.cf - 1):
                after = Signal.like(result, name="kept", reset_less=True)
                with m.If(went[1]):
                    m.d.sync += after.eq(result)
                result = after
            return result
        # The word of a step is written two cycles after it, so that the step CF >= 3 later reads it
        # in time; until then all that is read is of other words.
        style = "block" if block_is_cheaper(self.cf, len(result), written=True) else "lutram"
        write, read = ram(m, "kept", width=len(result), depth=self.cf, style=style)
        m.d.comb += [
            read.addr.eq(c),
            write.addr.eq(delay(m, c, PIPELINE)), write.data.eq(result), write.en.eq(went[2]),
        ]
        return delay(m, read.data, 1)

    def _lane(self, beat, shape, p):
        """Return lane ``p`` as an integer; of a bipolar one its bit."""
        shape = Shape.cast(shape)
        bits = beat.word_select(p, shape.width)
        return bits.as_signed() if shape.signed else bits

    def _join(self, x, kept, first):
        """Return the greater one, or the sum, as bits; ``x`` alone if it is the ``first``."""
        if self.op == "max":
            return Mux(first | (x > kept), x, kept)[:len(x)]
        # A bipolar bit b is worth 2*b - 1.
        x = Cat(1, ~x).as_signed() if is_bipolar(self.shape) else x
        return (Mux(first, 0, kept) + x)[:len(kept)]
