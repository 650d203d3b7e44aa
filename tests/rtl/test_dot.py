# amaranth: UnusedElaboratable=no
"""Tests of rtl/dot.py, rtl/raw.py and rtl/plain.py."""

import numpy as np
import pytest
from amaranth import Module, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.sim import Simulator

from quinnoa.rtl.dot import Dot
from quinnoa.rtl.families import ECP5, GENERIC, XC7, XCUP
from quinnoa.rtl.raw import RawSum, weight_bits
from quinnoa.rtl.shapes import BIPOLAR, encode, is_bipolar, range_of
from quinnoa.sim.equivalence import difference

SHAPES = [
    # x, w
    (BIPOLAR, BIPOLAR),
    (BIPOLAR, signed(2)),
    (BIPOLAR, signed(8)),
    (unsigned(1), BIPOLAR),
    (unsigned(8), BIPOLAR),
    (signed(4), BIPOLAR),
    (signed(16), BIPOLAR),
    (unsigned(2), signed(2)),
    (unsigned(3), signed(3)),
    (signed(5), signed(3)),
    (unsigned(8), signed(8)),
    (unsigned(16), unsigned(2)),
    (signed(4), signed(1)),
]


def values(rng, size, shape):
    """Draw values of ``shape``, its extremes among them."""
    low, high = range_of(shape)
    drawn = rng.choice([-1, 1], size) if is_bipolar(shape) else rng.integers(low, high + 1, size)
    drawn[0], drawn[-1] = low, high
    return drawn


def bits(values, shape):
    """Return the payload, as one integer, of each row of lanes; 0 in a bipolar lane is bit 0."""
    width = 1 if is_bipolar(shape) else shape.width
    raw = (values == 1) if is_bipolar(shape) else encode(values, shape)
    return [sum(int(v) << (width * c) for c, v in enumerate(row)) for row in raw]


def pack(raw, width):
    return [sum(int(v) << (width * c) for c, v in enumerate(row)) for row in raw]


def run(dut, x, w):
    """Feed a pair every cycle; return what ``y`` shows ``latency`` cycles after each."""
    shown = []

    async def bench(ctx):
        for k in range(len(x) + dut.latency):
            if k < len(x):
                ctx.set(Value.cast(dut.x), x[k])
                ctx.set(Value.cast(dut.w), w[k])
            if k >= dut.latency:
                shown.append(ctx.get(dut.y))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return shown


@pytest.mark.parametrize("x_shape, w_shape", SHAPES)
@pytest.mark.parametrize("family", [GENERIC, ECP5], ids=lambda family: family.name)
@pytest.mark.parametrize("simd", [1, 2, 3, 7, 16, 49])
def test_plain_logic_equals_model_in_every_cycle(x_shape, w_shape, simd, family):
    rng = np.random.default_rng(simd)
    x, w = values(rng, (6, simd), x_shape), values(rng, (6, simd), w_shape)
    dut = Dot(simd=simd, x_shape=x_shape, w_shape=w_shape, width=11, family=family)
    width = 1 if is_bipolar(w_shape) else w_shape.width
    shown = run(dut, bits(x, x_shape), pack(weight_bits(w, w_shape), width))
    assert shown == dut.model(x, w).tolist()


@pytest.mark.parametrize("x_shape, w_shape", SHAPES)
def test_padded_lanes_add_nothing(x_shape, w_shape):
    rng = np.random.default_rng(0)
    x, w = values(rng, (6, 7), x_shape), values(rng, (6, 7), w_shape)
    x[:, 4:], w[:, 4:] = 0, 0
    dut = Dot(simd=7, x_shape=x_shape, w_shape=w_shape, width=24)
    width = 1 if is_bipolar(w_shape) else w_shape.width
    shown = run(dut, bits(x, x_shape), pack(weight_bits(w, w_shape), width))
    products = dut.scale * np.array(shown) + dut.offset(w)
    assert ((products - (x * w).sum(axis=1)) % (1 << 24) == 0).all()
    assert dut.model(x, w).tolist() == shown


class Aligned(wiring.Component):
    """A ``Dot``, ``latency`` cycles late, of which every lane adds ``bias``."""

    def __init__(self, dot, *, latency, bias):
        self.dot, self.late, self.bias = dot, latency - dot.latency, bias
        super().__init__(dict(dot.signature.members.items()))

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = self.dot
        m.d.comb += [dot.x.eq(self.x), dot.w.eq(self.w)]
        y = dot.y + dot.simd * (self.bias - dot.raw.bias)
        for _ in range(self.late):
            later = Signal(dot.width, reset_less=True)
            m.d.sync += later.eq(y)
            y = later
        m.d.comb += self.y.eq(y)
        return m


@pytest.mark.parametrize("family", [XC7, XCUP], ids=lambda family: family.name)
@pytest.mark.parametrize("x_shape, w_shape, simd", [
    *((BIPOLAR, BIPOLAR, simd) for simd in (1, 2, 4, 7, 12)),
    (BIPOLAR, signed(2), 5),
    (BIPOLAR, signed(4), 3),
    (unsigned(3), BIPOLAR, 4),
    (signed(4), BIPOLAR, 3),
    (unsigned(2), signed(2), 4),
    (signed(3), signed(3), 2),
    (unsigned(4), unsigned(3), 1),
])
def test_primitives_are_proven_equal_to_plain_logic(x_shape, w_shape, simd, family):
    parameters = dict(simd=simd, x_shape=x_shape, w_shape=w_shape, width=7)
    plain, dut = Dot(**parameters), Dot(**parameters, family=family)
    latency = max(plain.latency, dut.latency)
    assert not difference(
        Aligned(plain, latency=latency, bias=dut.raw.bias),
        Aligned(dut, latency=latency, bias=dut.raw.bias), cycles=latency + 1, xilinx=True)


def test_a_wrong_constant_is_told_apart():
    dut = Dot(simd=3, x_shape=BIPOLAR, w_shape=BIPOLAR, width=3, family=XC7)
    right, wrong = (Aligned(dut, latency=4, bias=bias) for bias in (0, 1))
    assert "model found: FAIL!" in difference(right, wrong, cycles=5, xilinx=True)


@pytest.mark.parametrize("x_shape, w_shape", SHAPES)
@pytest.mark.parametrize("inverts", [False, True])
def test_offset_turns_the_raw_sum_of_all_beats_into_the_product(x_shape, w_shape, inverts):
    rng = np.random.default_rng(1)
    x, w = values(rng, (12,), x_shape), values(rng, (3, 12), w_shape)
    raw = RawSum(4, x_shape, w_shape, inverts=inverts)
    sums = sum(raw.model(x[k:k + 4], w[:, k:k + 4]) for k in range(0, 12, 4))
    assert (raw.scale * sums + raw.offset(w)).tolist() == (w @ x).tolist()


@pytest.mark.parametrize("parameters, latency", [
    (dict(simd=1, x_shape=BIPOLAR, w_shape=BIPOLAR), 1),
    (dict(simd=64, x_shape=BIPOLAR, w_shape=BIPOLAR), 4),
    (dict(simd=1, x_shape=unsigned(2), w_shape=signed(2)), 1),
    (dict(simd=4, x_shape=unsigned(2), w_shape=signed(2)), 2),
    (dict(simd=5, x_shape=unsigned(2), w_shape=signed(2)), 3),
])
def test_latency_of_plain_logic(parameters, latency):
    assert Dot(width=8, **parameters, family=GENERIC).latency == latency


def test_refuses_no_lanes():
    with pytest.raises(ValueError, match=r"^SIMD must be at least 1: it is 0$"):
        Dot(simd=0, x_shape=BIPOLAR, w_shape=BIPOLAR, width=1)


def test_refuses_no_bits():
    with pytest.raises(ValueError, match=r"^width must be at least 1: it is 0$"):
        Dot(simd=1, x_shape=BIPOLAR, w_shape=BIPOLAR, width=0)


def test_refuses_rows_that_do_not_fill_their_last_beat():
    dot = Dot(simd=4, x_shape=BIPOLAR, w_shape=BIPOLAR, width=4)
    with pytest.raises(ValueError, match=r"^MW must be a multiple of SIMD: MW is 6, SIMD is 4$"):
        dot.offset(np.ones((2, 6)))
