# amaranth: UnusedElaboratable=no
"""Tests of rtl/control.py."""

import random

import pytest
from amaranth import ClockDomain, Module, Signal, Value
from amaranth.sim import Simulator

from quinnoa.rtl.control import count, delay, flag, shifted


def watch(m, stimulus, bits, shown):
    """Drive ``stimulus`` with ``bits``, one a cycle; return what is ``shown`` in each."""
    m.domains.sync = ClockDomain()
    rows = []

    async def bench(ctx):
        for bit in bits:
            ctx.set(stimulus, bit)
            rows.append(tuple(ctx.get(Value.cast(value)) for value in shown))
            await ctx.tick()

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return rows


@pytest.mark.parametrize("addresses", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 4, 7, 8, 9])
def test_counts_steps_and_foresees_the_end(length, addresses):
    m, step = Module(), Signal()
    value, last = count(m, "k", length, step, addresses=addresses)
    first = flag(m, "first", last, step)
    rng, done, expected = random.Random(length), 0, []
    bits = [rng.randrange(2) for _ in range(50)]
    for bit in bits:
        k = done % length
        expected.append((k, k == length - 1, k == 0))
        done += bit
    assert watch(m, step, bits, [value, last, first]) == expected


@pytest.mark.parametrize("cycles", [0, 1, 3])
def test_delays_by_cycles(cycles):
    m, bit = Module(), Signal()
    rng = random.Random(cycles)
    bits = [rng.randrange(2) for _ in range(30)]
    later = delay(m, bit, cycles), shifted(m, bit, cycles)[cycles]
    delayed = ([0] * cycles + bits)[:len(bits)]
    assert watch(m, bit, bits, later) == list(zip(delayed, delayed, strict=True))
    assert len(shifted(Module(), bit, cycles)) == cycles + 1
