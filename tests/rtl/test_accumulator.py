# amaranth: UnusedElaboratable=no
"""Tests of rtl/accumulator.py."""

import numpy as np
import pytest
from amaranth import Module, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from quinnoa.rtl.accumulator import Accumulator
from quinnoa.rtl.families import GENERIC, XC7, XCUP
from quinnoa.rtl.raw import RawSum
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.sim.equivalence import difference


@pytest.mark.parametrize("has_init", [False, True])
@pytest.mark.parametrize("simd", [1, 6, 20])
def test_sums_the_beats_from_first_on_but_those_held(simd, has_init):
    rng = np.random.default_rng(simd)
    beats = 60
    x, w = rng.integers(0, 8, (beats, simd)), rng.integers(-4, 4, (beats, simd))
    first, hold = rng.random(beats) < 0.2, rng.random(beats) < 0.3
    init = rng.integers(0, 256, beats)
    first[0], hold[0] = True, False
    dut = Accumulator(simd=simd, x_shape=unsigned(3), w_shape=signed(3), width=8, init=has_init)
    shown = []

    async def bench(ctx):
        for k in range(beats + dut.latency):
            if k < beats:
                ctx.set(Value.cast(dut.x), sum(int(v) << 3 * c for c, v in enumerate(x[k])))
                ctx.set(Value.cast(dut.w), sum((int(v) & 7) << 3 * c for c, v in enumerate(w[k])))
                ctx.set(dut.first, int(first[k]))
                ctx.set(dut.hold, int(hold[k]))
            if has_init and 0 <= k - dut.init_latency < beats:
                ctx.set(dut.init, int(init[k - dut.init_latency]))
            if k >= dut.latency:
                shown.append(ctx.get(dut.y))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()

    sums, total = [], 0
    for raw, f, h, start in zip(RawSum(simd, unsigned(3), signed(3)).model(x, w), first, hold, init,
                                strict=True):
        if not h:
            total = ((int(start) * has_init if f else total) + int(raw)) % 256
        sums.append(total)
    assert shown == sums


class Aligned(wiring.Component):
    """An ``Accumulator`` that starts in its first cycle and shows its sums ``latency`` late.

    ``init`` is taken with ``first``; every lane adds ``bias``, whatever the family.
    """

    def __init__(self, accumulator, *, latency):
        self.inner, self.late = accumulator, latency
        raw = accumulator.raw
        super().__init__({
            "x": In(data.ArrayLayout(raw.x_shape, raw.simd)),
            "w": In(data.ArrayLayout(raw.w_shape, raw.simd)),
            "first": In(1), "hold": In(1),
            **({"init": In(accumulator.width)} if accumulator.has_init else {}),
            "y": Out(accumulator.width),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.inner = inner = self.inner

        def later(value, cycles):
            for _ in range(cycles):
                held = Signal.like(value, reset_less=True)
                m.d.sync += held.eq(value)
                value = held
            return value

        started = Signal(reset_less=True)
        m.d.sync += started.eq(1)
        m.d.comb += [
            inner.x.eq(self.x), inner.w.eq(self.w),
            inner.first.eq(self.first | ~started), inner.hold.eq(self.hold & started),
        ]
        if inner.has_init:
            m.d.comb += inner.init.eq(later(self.init, inner.init_latency))
        m.d.comb += self.y.eq(later(inner.y, self.late - inner.latency))
        return m


@pytest.mark.parametrize("family", [XC7, XCUP], ids=lambda family: family.name)
@pytest.mark.parametrize("has_init", [False, True])
@pytest.mark.parametrize("simd", [1, 2, 5])
def test_primitives_are_proven_equal_to_plain_logic_over_four_beats(simd, has_init, family):
    parameters = dict(simd=simd, x_shape=BIPOLAR, w_shape=BIPOLAR, width=5, init=has_init)
    duts = [Accumulator(**parameters, family=f) for f in (GENERIC, family)]
    latency = max(dut.latency for dut in duts)
    assert not difference(*(Aligned(dut, latency=latency) for dut in duts),
                          cycles=latency + 4, xilinx=True)


def test_an_accumulator_that_starts_elsewhere_is_told_apart():
    duts = [Accumulator(simd=2, x_shape=BIPOLAR, w_shape=BIPOLAR, width=4, family=f, init=True)
            for f in (GENERIC, XC7)]
    latency = max(dut.latency for dut in duts)
    right, wrong = (Aligned(dut, latency=latency + late) for late, dut in enumerate(duts))
    assert difference(right, wrong, cycles=latency + 4, xilinx=True)


@pytest.mark.parametrize("family", [GENERIC, XC7], ids=lambda family: family.name)
def test_scale_and_offset_are_those_of_the_raw_sum(family):
    weights = np.arange(-4, 4).reshape(2, 4)
    dut = Accumulator(simd=2, x_shape=signed(3), w_shape=signed(4), width=9, family=family)
    raw = RawSum(2, signed(3), signed(4), inverts=family.lut6)
    assert dut.scale == 1
    assert dut.offset(weights).tolist() == raw.offset(weights).tolist()


def test_refuses_no_bits():
    with pytest.raises(ValueError, match=r"^width must be at least 1: it is 0$"):
        Accumulator(simd=1, x_shape=BIPOLAR, w_shape=BIPOLAR, width=0)
