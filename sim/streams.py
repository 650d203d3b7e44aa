"""Drive a unit's streams from an Amaranth testbench, stalled or not, and watch their contract."""

import random
from dataclasses import dataclass, field

import numpy as np
from amaranth import Const, Shape, Value
from amaranth.hdl import ShapeCastable
from amaranth.lib import data
from amaranth.sim import Simulator

from .predict import schedule_cycles, schedule_streams

__all__ = ["Payload", "Run", "run_streams", "run_unit", "run_vectors",
           "schedule_cycles", "schedule_streams", "stalls"]


def stalls(seed, density):
    """Return a gap function: every cycle is idle with probability ``density``, seeded.

    One gap in sixteen is up to 64 cycles longer, so that what holds beats fills and drains.
    """
    if not 0 <= density < 1:
        raise ValueError(f"density must lie in [0, 1): it is {density}")
    rng = random.Random(seed)

    def gap():
        cycles = 0
        while rng.random() < density:
            cycles += 1
        return cycles + rng.randrange(64) if cycles and rng.random() < 1 / 16 else cycles

    return gap


class Payload:
    """Between the lane values of a beat and the integer of its bits."""

    def __init__(self, shape):
        self.is_array = isinstance(shape, data.ArrayLayout)
        self.element = shape.elem_shape if self.is_array else shape
        self.lanes = shape.length if self.is_array else 1
        self.cast = Shape.cast(self.element)
        self._bits, self._values = {}, {}

    def _encode(self, value):
        if isinstance(self.element, ShapeCastable):
            return Const.cast(self.element.const(value)).value & ((1 << self.cast.width) - 1)
        if Const(value, self.cast).value != value:
            raise ValueError(f"{value} does not fit {self.cast!r}")
        return value & ((1 << self.cast.width) - 1)

    def _decode(self, bits):
        if isinstance(self.element, ShapeCastable):
            return self.element.from_bits(bits)
        return Const(bits, self.cast).value

    def encode(self, beat):
        """Return the bits of a beat: a list of lane values, or one value where it is no array."""
        values = [int(value) for value in (beat if self.is_array else [beat])]
        if len(values) != self.lanes:
            raise ValueError(f"a beat has {self.lanes} lanes, not {len(values)}")
        bits = 0
        for value in reversed(values):
            if value not in self._bits:
                self._bits[value] = self._encode(value)
            bits = bits << self.cast.width | self._bits[value]
        return bits

    def decode(self, bits):
        """Return the beat of these bits: the inverse of ``encode``."""
        values, mask = [], (1 << self.cast.width) - 1
        for _ in range(self.lanes):
            lane = bits & mask
            if lane not in self._values:
                self._values[lane] = self._decode(lane)
            values.append(self._values[lane])
            bits >>= self.cast.width
        return values if self.is_array else values[0]


@dataclass
class Run:
    """What went over the streams of a unit. Cycle 0 is the first one after reset.

    From ``run_streams`` every field is a list of these, an entry a stream.

    Parameters
    ----------
    beats : list
        The beats that came out, each a list of lane values.
    i_cycles, o_cycles : list of int
        The cycle of every transfer on ``i`` and on ``o``.
    i_offers : list of int
        The first cycle in which each beat was valid on ``i``.
    o_ready : list of bool
        Whether ``o.ready`` was high, cycle by cycle.
    """

    beats: list = field(default_factory=list)
    i_cycles: list = field(default_factory=list)
    o_cycles: list = field(default_factory=list)
    i_offers: list = field(default_factory=list)
    o_ready: list = field(default_factory=list)


def _streams(dut, first):
    """Return the names of the streams ``first``, ``first_1``, ``first_2``, ... of a unit."""
    names = [first]
    while hasattr(dut, f"{first}_{len(names)}"):
        names.append(f"{first}_{len(names)}")
    return names


class _Source:
    """Offers beats on a stream of the unit, each when its gap is over."""

    def __init__(self, stream, beats, gap):
        payload = Payload(stream.payload.shape())
        self.stream, self.gap = stream, gap
        self.payload = Value.cast(stream.payload)
        self.words = [payload.encode(beat) for beat in beats]
        self.cycles, self.offers = [], []
        self.taken, self.wait = False, gap() if self.words else 0

    @property
    def done(self):
        return len(self.cycles) == len(self.words)

    def offer(self, ctx, cycle):
        if not self.done and len(self.cycles) == len(self.offers) and self.wait <= 0:
            ctx.set(self.stream.valid, 1)
            ctx.set(self.payload, self.words[len(self.cycles)])
            self.offers.append(cycle)
        self.wait -= 1

    def look(self, ctx):
        """See whether the beat is taken at the end of this cycle."""
        self.taken = len(self.offers) > len(self.cycles) and ctx.get(self.stream.ready)

    def end(self, ctx, cycle):
        """After the cycle's end: a beat that was taken is gone."""
        if self.taken:
            self.cycles.append(cycle)
            ctx.set(self.stream.valid, 0)
            self.wait = 0 if self.done else self.gap()


class _Sink:
    """Takes beats from a stream of the unit, each when its gap is over, and watches it."""

    def __init__(self, name, stream, count_out, gap):
        self.name, self.stream, self.count, self.gap = name, stream, count_out, gap
        self.layout = Payload(stream.payload.shape())
        self.payload = Value.cast(stream.payload)
        self.beats, self.cycles, self.ready = [], [], []
        self.held, self.wait = None, gap() if count_out else 0

    @property
    def done(self):
        return len(self.cycles) == self.count

    def look(self, ctx):
        """See whether a beat is offered, before any ``ready`` changes."""
        self.valid = ctx.get(self.stream.valid)

    def set_ready(self, ctx):
        self.ready.append(not self.done and self.wait <= 0)
        self.wait -= 1
        if ctx.get(self.stream.ready) != self.ready[-1]:
            ctx.set(self.stream.ready, self.ready[-1])

    def take(self, ctx, cycle):
        """Watch the contract, and take what is offered if ``ready`` is high."""
        name, ready = self.name, self.ready[-1]
        valid = ctx.get(self.stream.valid)
        assert valid == self.valid, f"{name}.valid follows a ready in cycle {cycle}"
        payload = ctx.get(self.payload) if valid else None
        if self.held is not None:
            assert valid, f"{name} took its beat back in cycle {cycle}"
            assert payload == self.held, f"{name} changed its beat in cycle {cycle}"
        self.held = payload if valid and not ready else None
        if valid and ready:
            self.beats.append(self.layout.decode(payload))
            self.cycles.append(cycle)
            self.wait = 0 if self.done else self.gap()


def run_streams(dut, beats, counts, *, i_gaps=None, o_gaps=None, deadline=100_000):
    """Feed ``beats[k]`` to ``dut.i_k``, take ``counts[k]`` beats from ``dut.o_k``; ``run_unit``.

    Parameters
    ----------
    dut : Component
        With streams ``i``, ``i_1``, ... and ``o``, ``o_1``, ...
    beats : list of sequences, one an input stream
    counts : list of int, one an output stream
    i_gaps, o_gaps : list of callables, one a stream
    deadline : int
        As in ``run_unit``.

    Returns
    -------
    Run
        Its fields are lists with an entry a stream.
    """
    i_names, o_names = _streams(dut, "i"), _streams(dut, "o")
    i_gaps = i_gaps or [lambda: 0] * len(i_names)
    o_gaps = o_gaps or [lambda: 0] * len(o_names)
    sources = [_Source(getattr(dut, name), given, gap)
               for name, given, gap in zip(i_names, beats, i_gaps, strict=True)]
    sinks = [_Sink(name, getattr(dut, name), wanted, gap)
             for name, wanted, gap in zip(o_names, counts, o_gaps, strict=True)]

    async def bench(ctx):
        cycle = 0
        while not all(end.done for end in (*sources, *sinks)):
            assert cycle < deadline, (
                f"after {deadline} cycles only {_told(len(sink.cycles) for sink in sinks)} of "
                f"{_told(counts)} beats came out, {_told(len(each.cycles) for each in sources)} "
                f"of {_told(len(each.words) for each in sources)} went in")
            for source in sources:
                source.offer(ctx, cycle)
            for sink in sinks:
                sink.look(ctx)
            for sink in sinks:
                sink.set_ready(ctx)
            for sink in sinks:
                sink.take(ctx, cycle)
            for source in sources:
                source.look(ctx)
            await ctx.tick()
            for source in sources:
                source.end(ctx, cycle)
            cycle += 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return Run([sink.beats for sink in sinks], [source.cycles for source in sources],
               [sink.cycles for sink in sinks], [source.offers for source in sources],
               [sink.ready for sink in sinks])


def _told(numbers):
    return "/".join(map(str, numbers))


def run_unit(dut, beats, count_out, *, i_gap=lambda: 0, o_gap=lambda: 0, deadline=100_000):
    """Feed ``beats`` to ``dut.i``, take ``count_out`` beats from ``dut.o``; return the ``Run``.

    ``o`` is held to the stream contract all the while: an offered beat stays as it is until it is
    taken, and ``valid`` does not follow ``ready``.

    Parameters
    ----------
    dut : Component
        With streams ``i`` and ``o``.
    beats : sequence
        Each a list of lane values, lane 0 first.
    count_out : int
        Beats to take.
    i_gap, o_gap : callable returning int
        Idle cycles before the next beat is offered on ``i``, taken on ``o``; see ``stalls``.
    deadline : int
        Cycles within which all of it must happen.

    Raises
    ------
    AssertionError
        ``o`` breaks the contract, or the deadline passes; the message tells how far it came.
    """
    run = run_streams(dut, [beats], [count_out], i_gaps=[i_gap], o_gaps=[o_gap], deadline=deadline)
    return Run(*(part for part, in (run.beats, run.i_cycles, run.o_cycles, run.i_offers,
                                    run.o_ready)))


def run_vectors(dut, x, elements_out, **options):
    """Run whole vectors through ``dut``: cut into beats, padded with 0 bits, and put together.

    Parameters
    ----------
    dut : Component
        With streams ``i`` and ``o`` of ``ArrayLayout`` payloads.
    x : array of int, (vectors, elements)
        Values, in natural order.
    elements_out : int
        Elements of an output vector.
    **options
        Those of ``run_unit``.

    Returns
    -------
    y : array of int, (vectors, elements_out)
    run : Run

    Raises
    ------
    AssertionError
        Besides the reasons of ``run_unit``: a lane past the end of a vector is not 0 on ``o``.
    """
    x = np.asarray(x)
    i_lanes, o_lanes = dut.i.payload.shape().length, dut.o.payload.shape().length
    padded = np.zeros((len(x), -(-x.shape[1] // i_lanes) * i_lanes), dtype=np.int64)
    padded[:, :x.shape[1]] = x
    beats_out = -(-elements_out // o_lanes)
    run = run_unit(dut, padded.reshape(-1, i_lanes).tolist(), len(x) * beats_out, **options)
    y = np.array(run.beats, dtype=np.int64).reshape(len(x), beats_out * o_lanes)
    zero = Payload(dut.o.payload.shape()).decode(0)[0]
    assert np.all(y[:, elements_out:] == zero), "o drives a lane past the end of its vector"
    return y[:, :elements_out], run
