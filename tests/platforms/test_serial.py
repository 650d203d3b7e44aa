# amaranth: UnusedElaboratable=no
"""Tests of platforms/serial.py."""

import random
import re

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.serial import Rate, SerialReceiver, SerialTransmitter

CLOCK = 25_000_000


def line_of(data, *, period, gap=lambda: 0.0, stop=lambda n: 1):
    """Return (time in cycles, level) of each edge of the words of ``data``, and the end."""
    edges, now = [], 3.0
    for n, byte in enumerate(data):
        for bit in [0, *(byte >> k & 1 for k in range(8)), stop(n)]:
            edges.append((now, bit))
            now += period
        edges.append((now, 1))
        now += gap() * period
    return edges, now


def receive(edges, end, *, baud):
    """Put edges on the line; return the bytes, an error being None."""
    dut, out = SerialReceiver(clock_hz=CLOCK, baud=baud), []

    async def bench(ctx):
        at = 0
        for cycle in range(int(end) + 40):
            while at < len(edges) and edges[at][0] <= cycle:
                ctx.set(dut.rx, edges[at][1])
                at += 1
            await ctx.tick()
            if ctx.get(dut.valid):
                out.append(ctx.get(dut.byte))
            if ctx.get(dut.error):
                out.append(None)

    sim = Simulator(dut)
    sim.add_clock(1 / CLOCK)
    sim.add_testbench(bench)
    sim.run()
    return out


@pytest.mark.parametrize("off", [-0.02, 0.0, 0.02])
@pytest.mark.parametrize("baud", [3_125_000, 3_000_000, 1_000_000])
def test_receives_at_two_percent_off(baud, off):
    rng = random.Random(1)
    data = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, *rng.randbytes(50)]
    edges, end = line_of(data, period=CLOCK / baud / (1 + off))
    assert receive(edges, end, baud=baud) == data


def test_receives_after_gaps_of_any_length():
    rng = random.Random(2)
    data = list(rng.randbytes(60))
    edges, end = line_of(data, period=CLOCK / 3e6, gap=lambda: 3 * rng.random())
    assert receive(edges, end, baud=3_000_000) == data


def test_a_word_without_stop_bit_is_an_error_and_the_next_one_is_whole():
    data = [0x5A, 0x00, 0xC3]
    edges, end = line_of(data, period=25, gap=lambda: 1.0, stop=lambda n: n != 1)
    assert receive(edges, end, baud=1_000_000) == [0x5A, None, 0xC3]


@pytest.mark.parametrize("at", [0.5, 10 / 8 + 0.5])
def test_one_wrong_sample_of_three_is_outvoted(at):
    period = 80
    edges, end = line_of([0x6E], period=period)
    # A pulse about a sample in the middle of a bit, from 3.5 to 4.5 eighths.
    start = 3 + (int(at) + 3.5 / 8) * period
    level = [bit for time, bit in edges if time <= start][-1]
    edges = sorted([*edges, (start, 1 - level), (start + period / 8, level)])
    assert receive(edges, end, baud=CLOCK // period) == [0x6E]


def test_a_glitch_is_no_word():
    assert receive([(3, 0), (9, 1)], 600, baud=1_000_000) == []


def send(data, *, baud, gap=lambda: 0):
    """Return the level of the line in each cycle."""
    dut, line = SerialTransmitter(clock_hz=CLOCK, baud=baud), []

    async def source(ctx):
        for byte in data:
            await ctx.tick().repeat(1 + gap())
            ctx.set(dut.i.payload, byte)
            ctx.set(dut.i.valid, 1)
            await ctx.tick().until(dut.i.ready)
            ctx.set(dut.i.valid, 0)

    async def sink(ctx):
        for _ in range(int((len(data) + 1) * 12 * CLOCK / baud)):
            line.append(ctx.get(dut.tx))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1 / CLOCK)
    sim.add_testbench(source, background=True)
    sim.add_testbench(sink)
    sim.run()
    return line


@pytest.mark.parametrize("baud", [3_125_000, 3_000_000, 921_600])
def test_bytes_stand_on_the_line_back_to_back_at_the_rate(baud):
    data = [0x00, 0xFF, 0x55, *random.Random(3).randbytes(20)]
    line = send(data, baud=baud)
    start, period = line.index(0), CLOCK / baud
    bits = [bit for byte in data for bit in (0, *(byte >> k & 1 for k in range(8)), 1)]
    # Every edge is within a cycle and the error of the rate of where it belongs.
    for n, bit in enumerate(bits):
        assert line[start + int((n + 0.5) * period)] == bit, n
        if bit != bits[n - 1] and n:
            edge = n * period * (1 - Rate(CLOCK, baud).error)
            window = line[start + int(edge) - 1:start + int(edge) + 3]
            assert window[0] != bit and window[-1] == bit, n
    assert set(line[start + int(len(bits) * period) + 1:]) == {1}


@given(st.integers(1_000_000, 500_000_000), st.floats(8, 100_000), st.sampled_from([1, 8]))
@settings(deadline=None, derandomize=True)
def test_the_rate_is_within_half_a_percent(clock, cycles, ticks):
    baud = max(1, int(clock / cycles))
    rate = Rate(clock, baud, ticks)
    # step / 2^bits ticks a cycle
    made = rate.step / 2**rate.bits * clock / ticks
    assert made / baud - 1 == pytest.approx(rate.error, abs=1e-9)
    assert abs(rate.error) < 0.005


@pytest.mark.parametrize("clock, baud, error, message", [
    (20_000_000, 3_000_000, QuinnoaError,
     "3000000 baud needs 8 clock cycles a bit, 24 MHz: the clock is 20 MHz"),
    (500_000_000, 110, QuinnoaError,
     "110 baud at 500 MHz would be +8.37 % off: at most 1 % will do"),
    (0, 110, ValueError, "clock and baud must be at least 1: clock_hz is 0, baud is 110"),
])
def test_refuses_rates_the_clock_cannot_make(clock, baud, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        SerialTransmitter(clock_hz=clock, baud=baud)
