"""Drive a unit's streams from an Amaranth testbench, stalled or not, and watch their contract."""

import random
from dataclasses import dataclass, field

import numpy as np
from amaranth import Const, Shape, Value
from amaranth.hdl import ShapeCastable
from amaranth.lib import data
from amaranth.sim import Simulator

__all__ = ["Payload", "Run", "get", "put", "run_unit", "run_vectors", "schedule_cycles", "stalls"]


async def put(ctx, stream, payload):
    """Offer one payload and wait until it is taken."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx, stream):
    """Take one payload, waiting for it."""
    ctx.set(stream.ready, 1)
    payload, = await ctx.tick().sample(stream.payload).until(stream.valid)
    ctx.set(stream.ready, 0)
    return payload


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
    source, sink = Payload(dut.i.payload.shape()), Payload(dut.o.payload.shape())
    words = [source.encode(beat) for beat in beats]
    run = Run()

    async def bench(ctx):
        i_payload, o_payload = Value.cast(dut.i.payload), Value.cast(dut.o.payload)
        i_wait, o_wait = i_gap() if words else 0, o_gap() if count_out else 0
        held, cycle = None, 0
        while len(run.i_cycles) < len(words) or len(run.o_cycles) < count_out:
            assert cycle < deadline, (
                f"after {deadline} cycles only {len(run.o_cycles)} of {count_out} beats came out, "
                f"{len(run.i_cycles)} of {len(words)} went in")

            # Offer the next beat when its gap is over.
            sent, offering = len(run.i_cycles), len(run.i_offers)
            if sent < len(words) and sent == offering and i_wait <= 0:
                ctx.set(dut.i.valid, 1)
                ctx.set(i_payload, words[sent])
                run.i_offers.append(cycle)
            i_wait -= 1

            # Take the next beat when its gap is over; see whether valid follows ready.
            ready = len(run.o_cycles) < count_out and o_wait <= 0
            o_wait -= 1
            valid = ctx.get(dut.o.valid)
            if ctx.get(dut.o.ready) != ready:
                ctx.set(dut.o.ready, ready)
                assert ctx.get(dut.o.valid) == valid, f"o.valid follows o.ready in cycle {cycle}"
            run.o_ready.append(ready)

            # The contract.
            payload = ctx.get(o_payload) if valid else None
            if held is not None:
                assert valid, f"o took its beat back in cycle {cycle}"
                assert payload == held, f"o changed its beat in cycle {cycle}"
            held = payload if valid and not ready else None

            # The transfers of this cycle.
            if valid and ready:
                run.beats.append(sink.decode(payload))
                run.o_cycles.append(cycle)
                o_wait = o_gap() if len(run.o_cycles) < count_out else 0
            taken = len(run.i_offers) > sent and ctx.get(dut.i.ready)
            await ctx.tick()
            if taken:
                run.i_cycles.append(cycle)
                ctx.set(dut.i.valid, 0)
                i_wait = i_gap() if len(run.i_cycles) < len(words) else 0
            cycle += 1

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return run


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


def schedule_cycles(schedule, i_offers, o_ready, count_out):
    """Predict the transfers of a unit that keeps ``schedule``, stalled or not.

    ``schedule_cycles(dut.schedule, run.i_offers, run.o_ready, len(run.beats))`` equals
    ``(run.i_cycles, run.o_cycles)`` where the gateware keeps it cycle for cycle.

    Parameters
    ----------
    schedule : object
        With ``takes`` and ``gives``, arrays of bool over the steps of a period; ``latency`` and
        ``room``, int.
    i_offers : sequence of int
        The first cycle in which each beat is valid on ``i``.
    o_ready : sequence of bool
        ``o.ready``, cycle by cycle; after the end of it, high.
    count_out : int
        Beats that are taken from ``o``; those after them are not.

    Returns
    -------
    i_cycles, o_cycles : list of int
    """
    i_cycles, o_cycles, made = [], [], 0
    step, cycle = 0, -1
    while len(i_cycles) < len(i_offers) or len(o_cycles) < count_out:
        # A step happens in the first cycle after the step before it ...
        cycle += 1
        if schedule.takes[step]:
            # ... in which its beat is valid on i ...
            if len(i_cycles) == len(i_offers):
                break
            cycle = max(cycle, i_offers[len(i_cycles)])
        if schedule.gives[step]:
            # ... and a credit is there: beat n spends the one that beat n - room gave back.
            if made >= schedule.room:
                if made - schedule.room >= len(o_cycles):
                    break
                cycle = max(cycle, o_cycles[made - schedule.room] + 1)
            if made < count_out:
                out = max(cycle + schedule.latency, o_cycles[-1] + 1 if o_cycles else 0)
                while out < len(o_ready) and not o_ready[out]:
                    out += 1
                o_cycles.append(out)
            made += 1
        if schedule.takes[step]:
            i_cycles.append(cycle)
        step = (step + 1) % len(schedule.takes)
    return i_cycles, o_cycles
