# amaranth: UnusedElaboratable=no
"""Tests of rtl/ram.py."""

import pytest
from amaranth import Module, Signal
from amaranth.lib.data import ArrayLayout
from amaranth.sim import Simulator

from benchmarks.calibrate import synthesize
from quinnoa.rtl.control import delay
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.ram import RAM_STYLES, ram


@pytest.mark.parametrize("style", RAM_STYLES)
def test_shows_what_was_written_in_the_cycle_after(style):
    m, shown, seen = Module(), Signal(8), []
    write, read = ram(m, "rows", width=8, depth=5, style=style, init=[7, 8])
    m.d.comb += shown.eq(delay(m, read.data, 1))

    async def bench(ctx):
        for address, value in ((3, 30), (1, 10), (3, 31)):
            ctx.set(write.en, 1)
            ctx.set(write.addr, address)
            ctx.set(write.data, value)
            ctx.set(read.addr, 1 if address == 3 else 3)
            await ctx.tick()
            seen.append(ctx.get(shown))
        ctx.set(write.en, 0)
        ctx.set(read.addr, 3)
        await ctx.tick()
        seen.append(ctx.get(shown))

    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert seen == [8, 30, 10, 31]


@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_block_ram_needs_nothing_beside_it(family):
    # A way past it would keep the 36 bits that were written.
    fifo, = synthesize([FIFO(ArrayLayout(1, 36), depth=500, style="block")], family)
    assert fifo.as_dict()["bram36"] == 0.5
    assert fifo.as_dict()["ff"] < 36 + 9
