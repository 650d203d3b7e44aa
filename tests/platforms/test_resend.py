# amaranth: UnusedElaboratable=no
"""Tests of platforms/resend.py."""

import random
import re

import pytest
from amaranth.sim import Simulator

from quinnoa.platforms.resend import ResendBuffer

DEPTH = 8


class Reader:
    """Takes words as they are shown, loses some of them, and acknowledges what it has in order."""

    def __init__(self, seed, loss):
        self.rng, self.loss, self.words, self.gap = random.Random(seed), loss, [], False

    def look(self, position, word):
        """See a word; return whether it is the next one."""
        if self.rng.random() < self.loss or position > len(self.words):
            self.gap = True
        elif position == len(self.words):
            self.words.append(word)


def run(seed, loss, count=150):
    """Send words through; return those sent and those read."""
    dut, reader, rng = ResendBuffer(depth=DEPTH), Reader(seed, loss), random.Random(seed + 1)
    sent = [rng.getrandbits(32) for _ in range(count)]

    async def source(ctx):
        for word in sent:
            await ctx.tick().repeat(1 + rng.randrange(3))
            ctx.set(dut.i.payload, word)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        for _ in range(400 * count):
            ctx.set(dut.take, 0)
            ctx.set(dut.acknowledge, 0)
            if len(reader.words) == count:
                return
            if rng.random() < 0.1:
                # As told, or as it was some time ago, or nonsense: then nothing is to happen.
                wanted = rng.choice([len(reader.words)] * 6 + [
                    max(0, len(reader.words) - DEPTH - 1), rng.getrandbits(32)])
                ctx.set(dut.wanted, wanted)
                ctx.set(dut.rewind, reader.gap)
                await ctx.tick().repeat(3)
                ctx.set(dut.acknowledge, 1)
                reader.gap &= wanted != len(reader.words)
            if rng.random() < 0.5 and ctx.get(dut.some):
                reader.look(ctx.get(dut.position), ctx.get(dut.word))
                ctx.set(dut.take, 1)
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(source, background=True)
    sim.add_testbench(sink)
    sim.run()
    return sent, reader.words


@pytest.mark.parametrize("loss", [0, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_words_come_in_order_and_again_until_they_are_acknowledged(seed, loss):
    sent, got = run(seed, loss)
    assert got == sent


def test_it_takes_no_more_than_it_holds_and_clear_drops_all():
    dut = ResendBuffer(depth=DEPTH)

    async def bench(ctx):
        for filled in (1, 2):
            ctx.set(dut.i.valid, 1)
            taken = 0
            for _ in range(3 * DEPTH):
                taken += ctx.get(dut.i.ready)
                ctx.set(dut.i.payload, 100 * filled + taken - 1)
                await ctx.tick()
            assert taken == DEPTH
            ctx.set(dut.i.valid, 0)
            # Taking frees nothing.
            for n in range(3):
                assert ctx.get(dut.some)
                assert (ctx.get(dut.position), ctx.get(dut.word)) == (n, 100 * filled + n)
                ctx.set(dut.take, 1)
                await ctx.tick()
                ctx.set(dut.take, 0)
                await ctx.tick().repeat(3)
            assert not ctx.get(dut.i.ready)
            ctx.set(dut.clear, 1)
            await ctx.tick()
            ctx.set(dut.clear, 0)
            await ctx.tick()
            assert ctx.get(dut.i.ready) and not ctx.get(dut.some) and ctx.get(dut.position) == 0

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()


def test_refuses_depths_that_cannot_be():
    with pytest.raises(ValueError, match=re.escape(
            "depth must be a power of two from 2 on: it is 12")):
        ResendBuffer(depth=12)
