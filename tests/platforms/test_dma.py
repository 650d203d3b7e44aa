# amaranth: UnusedElaboratable=no
"""Tests of platforms/dma.py."""

import random
import re

import pytest
from amaranth import Module, Shape, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from quinnoa.platforms.axi import AXI3, AXI4
from quinnoa.platforms.dma import Bursts, ReadDMA, WriteDMA, transfer_layout
from quinnoa.sim.streams import run_unit, stalls
from tests.platforms.axi_memory import AXIMemory

BUSES = {"axi3": AXI3(address_bits=32, data_bits=64, id_bits=6),
         "axi4": AXI4(address_bits=49, data_bits=128, id_bits=6)}
SIZE = 1 << 14


def transfers(signature, seed, count=8):
    """Return (word address, words): the first and the last word of the memory, and any."""
    rng, words = random.Random(f"transfers {seed}"), SIZE * 8 // signature.data_bits
    made = [(0, 1), (words - 1, 1), (words - 40, 40)]
    while len(made) < count:
        length = rng.randint(1, 150)
        made.append((rng.randrange(words - length), length))
    rng.shuffle(made)
    return made


class Flat(wiring.Component):
    """A unit whose payloads are plain bits."""

    def __init__(self, unit):
        self.unit = unit
        super().__init__({"i": In(stream.Signature(Shape.cast(unit.i.payload.shape()))),
                          "o": Out(stream.Signature(Shape.cast(unit.o.payload.shape())))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = self.unit
        for left, right in (self.i, unit.i), (unit.o, self.o):
            m.d.comb += [Value.cast(right.payload).eq(Value.cast(left.payload)),
                         right.valid.eq(left.valid), left.ready.eq(right.ready)]
        return m


async def until(ctx, condition, deadline=20_000):
    """Go on to the edge at which a condition holds."""
    for _ in range(deadline):
        if (await ctx.tick().sample(condition))[-1]:
            return
    raise AssertionError(f"{condition!r} is low for {deadline} cycles")


class Bench:
    """A DMA, the memory behind it, and its streams."""

    def __init__(self, kind, version, *, seed=0, density=0.0, latency=0, burst=16, depth=64,
                 **options):
        self.signature = BUSES[version]
        self.dut = kind(self.signature, burst=burst, depth=depth)
        self.memory = AXIMemory(self.dut.bus, version=version, size=SIZE, density=density,
                                latency=latency, seed=seed, beats=burst, **options)
        self.density, self.rng = density, random.Random(f"streams {seed}")
        self.taken, self.errors, self.acknowledged, self.cycles = [], 0, [], []
        self.sim = Simulator(self.dut)
        self.sim.add_clock(1e-6)
        self.sim.add_testbench(self.memory.serve, background=True)
        self.sim.add_testbench(self.watch, background=True)

    async def watch(self, ctx):
        while True:
            self.errors += (await ctx.tick().sample(self.dut.error))[-1]

    async def command(self, ctx, given):
        """Send the commands."""
        stream = self.dut.command
        for address, words in given:
            ctx.set(stream.payload, {"address": address, "words": words})
            ctx.set(stream.valid, 1)
            await until(ctx, stream.ready)
            ctx.set(stream.valid, 0)

    async def take(self, ctx, count, deadline=20_000):
        """Take words from ``o``."""
        o = self.dut.o
        for cycle in range(deadline):
            if len(self.taken) == count:
                return
            ctx.set(o.ready, self.rng.random() >= self.density)
            _, _, valid, ready, payload = await ctx.tick().sample(o.valid, o.ready, o.payload)
            if valid and ready:
                self.taken.append(payload)
                self.cycles.append(cycle)
        raise AssertionError(f"{len(self.taken)} of {count} words came")

    async def give(self, ctx, words):
        """Give words to ``i``."""
        i = self.dut.i
        for word in words:
            while self.rng.random() < self.density:
                await ctx.tick()
            ctx.set(i.payload, word)
            ctx.set(i.valid, 1)
            await until(ctx, i.ready)
            ctx.set(i.valid, 0)

    async def acknowledge(self, ctx, count, deadline=20_000):
        """Wait until so many words are acknowledged."""
        done = self.dut.acknowledged
        for _ in range(deadline):
            if sum(self.acknowledged) == count:
                return
            _, _, valid, words = await ctx.tick().sample(done.valid, done.words)
            if valid:
                self.acknowledged.append(words)
        raise AssertionError(f"{sum(self.acknowledged)} of {count} words were acknowledged")

    def run(self, *benches):
        for bench in benches:
            async def run(ctx, bench=bench):
                await bench(ctx)
            self.sim.add_testbench(run)
        self.sim.run()


def fill(memory, seed):
    """Fill the memory with random bytes; return its words."""
    memory.data[:] = random.Random(f"bytes {seed}").randbytes(len(memory.data))
    return [int.from_bytes(memory.data[k:k + memory.word], "little")
            for k in range(0, len(memory.data), memory.word)]


@pytest.mark.parametrize("density, latency", [(0, 0), (0.4, 30), (0.7, 5)])
@pytest.mark.parametrize("version, burst", [("axi3", 16), ("axi4", 32), ("axi4", 2)])
def test_every_word_is_read_once_and_in_order(version, burst, density, latency):
    bench = Bench(ReadDMA, version, density=density, latency=latency, burst=burst, depth=64)
    words = fill(bench.memory, 0)
    given = transfers(bench.signature, version)
    expected = [words[address + k] for address, count in given for k in range(count)]
    bench.run(lambda ctx: bench.command(ctx, given), lambda ctx: bench.take(ctx, len(expected)))
    assert bench.taken == expected and bench.errors == 0
    bench.memory.checker.finish()
    assert max(bench.memory.checker.bursts["ar"]) == burst


@pytest.mark.parametrize("density, latency", [(0, 0), (0.4, 30), (0.7, 5)])
@pytest.mark.parametrize("version, burst", [("axi3", 16), ("axi4", 32), ("axi4", 2)])
def test_every_word_is_written_once_and_where_it_belongs(version, burst, density, latency):
    bench = Bench(WriteDMA, version, density=density, latency=latency, burst=burst, depth=64)
    expected = fill(bench.memory, 0)
    rng, words = random.Random(1), []
    given = transfers(bench.signature, version)
    for address, count in given:
        for k in range(count):
            words.append(rng.getrandbits(8 * bench.memory.word))
            expected[address + k] = words[-1]
    bench.run(lambda ctx: bench.command(ctx, given), lambda ctx: bench.give(ctx, words),
              lambda ctx: bench.acknowledge(ctx, len(words)))
    assert bench.memory.data == b"".join(
        word.to_bytes(bench.memory.word, "little") for word in expected)
    assert bench.errors == 0
    bench.memory.checker.finish()
    assert bench.acknowledged == bench.memory.checker.bursts["aw"]
    assert max(bench.acknowledged) == burst


@pytest.mark.parametrize("latency", [0, 40])
def test_a_word_is_read_in_every_cycle(latency):
    bench = Bench(ReadDMA, "axi3", latency=0, depth=128)
    bench.memory._wait = lambda: bench.memory.checker.cycles + latency
    fill(bench.memory, 0)
    bench.run(lambda ctx: bench.command(ctx, [(5, 400), (1000, 400)]),
              lambda ctx: bench.take(ctx, 800))
    assert bench.cycles[-1] - bench.cycles[0] == 799


def test_no_more_is_asked_for_than_the_store_holds():
    bench = Bench(ReadDMA, "axi4", depth=64)
    fill(bench.memory, 0)

    async def refuse(ctx):
        await bench.command(ctx, [(0, 200)])
        await ctx.tick().repeat(300)
        # What is on `o` has left the memory, but not the store.
        assert sum(bench.memory.checker.bursts["ar"]) == 64
        assert bench.memory.checker.counts["r"] == 64

    bench.run(refuse)


def test_a_word_is_written_in_every_cycle():
    bench = Bench(WriteDMA, "axi3", latency=0)
    cycles = []

    async def watch(ctx):
        n, bus = 0, bench.dut.bus
        while True:
            cycles.extend([n] * (await ctx.tick().sample(bus.wvalid & bus.wready))[-1])
            n += 1

    bench.sim.add_testbench(watch, background=True)
    bench.run(lambda ctx: bench.command(ctx, [(5, 400), (1000, 400)]),
              lambda ctx: bench.give(ctx, range(800)),
              lambda ctx: bench.acknowledge(ctx, 800))
    assert len(cycles) == 800
    assert cycles[-1] - cycles[0] <= 799 + 16


def test_no_burst_begins_before_its_words_are_there():
    bench = Bench(WriteDMA, "axi4")

    async def starve(ctx):
        await bench.command(ctx, [(0, 40)])
        await bench.give(ctx, range(15))
        await ctx.tick().repeat(60)
        assert bench.memory.checker.counts["aw"] == 0
        await bench.give(ctx, range(1))
        await ctx.tick().repeat(60)
        assert bench.memory.checker.bursts["aw"] == [16]

    bench.run(starve)


@pytest.mark.parametrize("kind", [ReadDMA, WriteDMA])
def test_an_error_is_told(kind):
    bench = Bench(kind, "axi3", bad=range(400, 408))
    words = 100
    other = ((lambda ctx: bench.take(ctx, words)),) if kind is ReadDMA else (
        (lambda ctx: bench.give(ctx, range(words))), (lambda ctx: bench.acknowledge(ctx, words)))
    bench.run(lambda ctx: bench.command(ctx, [(0, words)]), *other)
    assert bench.errors == 1


@pytest.mark.parametrize("at", range(6, 90, 7))
@pytest.mark.parametrize("kind", [ReadDMA, WriteDMA])
def test_stopped_it_ends_what_has_begun(kind, at):
    bench = Bench(kind, "axi3", density=0.3, latency=20, seed=at)
    dut, checker = bench.dut, bench.memory.checker

    async def stop(ctx):
        await ctx.tick().repeat(at)
        ctx.set(dut.stop, 1)
        # A burst that was chosen in this cycle counts as begun.
        await ctx.tick()
        begun = len(checker.bursts["ar"]) + len(checker.bursts["aw"]) + len(checker._held)
        await until(ctx, dut.quiet)
        await ctx.tick().repeat(50)
        assert ctx.get(dut.quiet)
        checker.finish()
        assert len(checker.bursts["ar"]) + len(checker.bursts["aw"]) <= begun

    if kind is WriteDMA:
        async def give(ctx):
            await bench.give(ctx, range(300))
        bench.sim.add_testbench(give, background=True)

    async def command(ctx):
        await bench.command(ctx, [(5, 300), (0, 3)])
    bench.sim.add_testbench(command, background=True)
    bench.run(stop)
    assert at < 30 or checker.bursts["ar"] or checker.bursts["aw"]


@pytest.mark.parametrize("density", [0, 0.5])
def test_bursts_end_at_multiples_and_with_the_transfer(density):
    layout = transfer_layout(BUSES["axi3"])
    rng, given, expected = random.Random(0), [], []
    for _ in range(60):
        address, words = rng.randrange(1 << 29), rng.choice([1, 2, 15, 16, 17, 31, 33, 90])
        given.append({"address": address, "words": words})
        while words:
            length = min(words, 16 - address % 16)
            expected.append((address, length - 1))
            address, words = address + length, words - length
    words = [word["address"] | word["words"] << 29 for word in given]
    dut = Flat(Bursts(layout, burst=16))
    run = run_unit(dut, words, len(expected), i_gap=stalls(0, density), o_gap=stalls(1, density))
    assert [(beat & (1 << 29) - 1, beat >> 29) for beat in run.beats] == expected


@pytest.mark.parametrize("kind, signature, options, message", [
    (ReadDMA, "axi3", {"burst": 32, "depth": 64},
     "burst must be a power of two in [2, 16]: it is 32"),
    (WriteDMA, "axi4", {"burst": 512, "depth": 64},
     "burst must be a power of two in [2, 256]: it is 512"),
    (ReadDMA, "axi4", {"burst": 24, "depth": 64},
     "burst must be a power of two in [2, 256]: it is 24"),
    (ReadDMA, "axi3", {"burst": 16, "depth": 31},
     "depth must hold two bursts of 16 words: it is 31"),
    (WriteDMA, "axi3", {"burst": 16, "depth": 64, "outstanding": 1},
     "outstanding must be at least 2: it is 1"),
])
def test_refuses_what_cannot_be(kind, signature, options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind(BUSES[signature], **options)
