# amaranth: UnusedElaboratable=no
"""Tests of platforms/axistream.py."""

import random

import pytest
from amaranth import signed, unsigned
from amaranth.sim import Simulator

from quinnoa.platforms.axistream import AxiStream
from tests.platforms.tiny import Slot


def run(dut, words, density):
    """Send words; return (tdata, tlast) of every transfer on m_axis."""
    rng = random.Random(0)
    out = []

    async def bench(ctx):
        sent = 0
        for _ in range(50 * len(words)):
            if not ctx.get(dut.s_axis_tvalid) and sent < len(words) and rng.random() >= density:
                ctx.set(dut.s_axis_tvalid, 1)
                ctx.set(dut.s_axis_tdata, words[sent])
            ctx.set(dut.m_axis_tready, rng.random() >= density)
            taken = ctx.get(dut.s_axis_tvalid & dut.s_axis_tready)
            if ctx.get(dut.m_axis_tvalid & dut.m_axis_tready):
                out.append((ctx.get(dut.m_axis_tdata), ctx.get(dut.m_axis_tlast)))
            await ctx.tick()
            if taken:
                sent += 1
                ctx.set(dut.s_axis_tvalid, 0)
            if len(out) == len(words):
                return

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return out


@pytest.mark.parametrize("density", [0, 0.6])
@pytest.mark.parametrize("beats", [1, 2, 3, 4, 5])
def test_tlast_marks_the_last_beat_of_every_frame(beats, density):
    out = run(AxiStream(Slot(8, 1), beats_in=beats, beats_out=beats), list(range(4 * beats)),
              density)
    assert out == [(n, n % beats == beats - 1) for n in range(4 * beats)]


@pytest.mark.parametrize("shape", [unsigned(3), signed(3)])
def test_words_are_filled_up_with_zeros(shape):
    dut = AxiStream(Slot(shape, 3), beats_in=1, beats_out=1)
    assert (len(dut.s_axis_tdata), len(dut.m_axis_tdata)) == (16, 16)
    # Nine bits of payload; whatever is above them does not come out.
    assert run(dut, [0xFFFF, 0x0155], 0) == [(0x01FF, 1), (0x0155, 1)]


@pytest.mark.parametrize("beats, message", [
    ({"beats_in": 0, "beats_out": 1}, "beats_in must be at least 1: it is 0"),
    ({"beats_in": 1, "beats_out": -1}, "beats_out must be at least 1: it is -1"),
])
def test_refuses_frames_of_no_beats(beats, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        AxiStream(Slot(8, 1), **beats)
