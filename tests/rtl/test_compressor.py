"""Tests of rtl/compressor.py and rtl/plan.py."""

import numpy as np
import pytest
from amaranth import Cat, Module, Mux, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from quinnoa.rtl.compressor import accumulate_plan, sum_plan
from quinnoa.rtl.families import XC7, XCUP
from quinnoa.rtl.plan import Carry, Lut
from quinnoa.rtl.raw import RawSum, weight_bits
from quinnoa.rtl.shapes import BIPOLAR, encode, is_bipolar, range_of
from quinnoa.sim.equivalence import difference


def lane_bits(bits, shape):
    """Spread the bits of every lane: ``(..., SIMD)`` to ``(..., SIMD * width)``."""
    width = 1 if is_bipolar(shape) else shape.width
    return (bits[..., None] >> np.arange(width) & 1).reshape(*bits.shape[:-1], -1).astype(bool)


def draw(rng, size, shape):
    """Draw values, the first rows all at one extreme or the other."""
    low, high = range_of(shape)
    drawn = rng.choice([-1, 1], size) if is_bipolar(shape) else rng.integers(low, high + 1, size)
    drawn[0], drawn[1], drawn[2, ::2], drawn[2, 1::2] = low, high, low, high
    return drawn


@pytest.mark.parametrize("rows", [1, 2])
@pytest.mark.parametrize("x_shape, w_shape, simd", [
    *((BIPOLAR, BIPOLAR, simd) for simd in (1, 2, 3, 4, 5, 7, 10, 16, 49, 64, 256)),
    *((unsigned(2), signed(2), simd) for simd in (1, 3, 16, 49)),
    (BIPOLAR, signed(4), 16),
    (unsigned(8), BIPOLAR, 49),
    (signed(3), BIPOLAR, 16),
    (signed(4), signed(4), 16),
    (unsigned(8), signed(8), 9),
    (unsigned(16), signed(6), 5),
])
@pytest.mark.parametrize("width", [3, 26])
def test_plan_equals_raw_sum(x_shape, w_shape, simd, rows, width):
    rng = np.random.default_rng(simd)
    x, w = draw(rng, (300, simd), x_shape), draw(rng, (300, simd), w_shape)
    x[3] = x[0]
    bits = np.concatenate([lane_bits(encode(x, x_shape), x_shape),
                           lane_bits(weight_bits(w, w_shape), w_shape)], axis=-1)
    plan = sum_plan(simd, x_shape, w_shape, width, rows)
    raw = RawSum(simd, x_shape, w_shape, inverts=True).model(x, w)
    assert ((plan.total(bits) - raw) % (1 << width) == 0).all()
    assert max(plan.heights) <= rows


@pytest.mark.parametrize("simd", [1, 2, 3, 4, 5, 6, 7, 8])
def test_plan_equals_popcount_for_all_inputs(simd):
    inputs = (np.arange(4 ** simd)[:, None] >> np.arange(2 * simd) & 1).astype(bool)
    equal = (inputs[:, :simd] == inputs[:, simd:]).sum(axis=1)
    assert (sum_plan(simd, BIPOLAR, BIPOLAR, 4).total(inputs) == equal).all()


SITES = [
    # x, w, simd, most sites of the sum, and with an 11- or 20-bit accumulator
    (BIPOLAR, BIPOLAR, 16, 15, 23),
    (BIPOLAR, BIPOLAR, 32, 28, 38),
    (BIPOLAR, BIPOLAR, 49, 41, 52),
    (BIPOLAR, BIPOLAR, 64, 56, 64),
    (BIPOLAR, BIPOLAR, 128, 113, 122),
    (unsigned(2), signed(2), 16, 57, 73),
    (unsigned(4), signed(4), 16, 221, 237),
]


@pytest.mark.parametrize("x_shape, w_shape, simd, most, most_with_accumulator", SITES)
def test_sites_stay_within_what_was_reached(x_shape, w_shape, simd, most, most_with_accumulator):
    width = 11 if is_bipolar(x_shape) else 20
    assert sum_plan(simd, x_shape, w_shape, width).sites <= most
    rows = sum_plan(simd, x_shape, w_shape, width, 2)
    accumulate = accumulate_plan(rows.heights, width, True)
    assert rows.sites + accumulate.sites <= most_with_accumulator


@pytest.mark.parametrize("simd, x_shape, w_shape", [
    (64, BIPOLAR, BIPOLAR), (49, unsigned(2), signed(2)), (9, unsigned(8), signed(8)),
])
def test_no_stage_is_deeper_than_three_luts_and_a_chain(simd, x_shape, w_shape):
    rows = sum_plan(simd, x_shape, w_shape, 20, 2)
    accumulate = accumulate_plan(rows.heights, 20, True)
    for stage in [*sum_plan(simd, x_shape, w_shape, 20).stages, *rows.stages, *accumulate.stages]:
        depth = {0: 0}
        for primitive in stage:
            if isinstance(primitive, Lut):
                level = 1 + max(depth.get(n, 0) for n in primitive.inputs)
                depth |= {primitive.o: level, primitive.o5: level}
        assert max(depth.values()) <= 3


def test_every_net_has_one_driver_and_comes_before_its_use():
    plan = sum_plan(64, BIPOLAR, BIPOLAR, 11)
    known = set(range(2 + plan.inputs))
    for stage in plan.stages:
        for primitive in stage:
            if isinstance(primitive, Lut):
                assert len(primitive.inputs) <= (6 if primitive.o5 is None else 5)
            reads = (primitive.inputs if isinstance(primitive, Lut)
                     else (*primitive.s, *primitive.di, primitive.ci))
            assert set(reads) <= known
            assert not set(primitive.makes) & known
            known |= set(primitive.makes)
    assert {net for column in plan.outputs for net in column} <= known


def test_a_chain_is_fed_at_its_start_by_the_bypass_or_by_its_carry_in_never_both():
    # CARRY4 takes CYINIT and a DI[0] that no LUT drives from the same pin of the slice.
    for simd in (16, 49, 64, 128):
        plan = sum_plan(simd, BIPOLAR, BIPOLAR, 11)
        luts = {p.o5 for stage in plan.stages for p in stage if isinstance(p, Lut)}
        for chain in (p for stage in plan.stages for p in stage if isinstance(p, Carry)):
            assert chain.ci == 0 or chain.di[0] in luts


def test_planning_again_gives_the_same_plan():
    plan = sum_plan(49, BIPOLAR, BIPOLAR, 11)
    again = sum_plan.__wrapped__(49, BIPOLAR, BIPOLAR, 11)
    assert (again.stages, again.outputs) == (plan.stages, plan.outputs)
    assert again is not plan


class Accumulation(wiring.Component):
    """One step of an accumulator, in plain logic or as planned."""

    def __init__(self, heights, width, init, family):
        self.heights, self.init_port, self.family = heights, init, family
        super().__init__({"rows": In(sum(heights)), "total": In(width), "first": In(1),
                          **({"init": In(width)} if init else {}), "y": Out(width)})

    def elaborate(self, platform):
        m = Module()
        start = self.init if self.init_port else 0
        if self.family is None:
            rows, place = 0, 0
            for k, height in enumerate(self.heights):
                for bit in self.rows[place:place + height]:
                    rows += bit << k
                place += height
            m.d.comb += self.y.eq(Mux(self.first, start, self.total) + rows)
            return m
        plan = accumulate_plan(self.heights, len(self.y), self.init_port)
        bits = [*self.rows, *self.total, self.first, *(self.init if self.init_port else ())]
        columns = plan.lay(m, bits, family=self.family, registers=False)
        m.d.comb += self.y.eq(Cat(bit for bit, in columns))
        return m


@pytest.mark.parametrize("family", [XC7, XCUP], ids=lambda family: family.name)
@pytest.mark.parametrize("init", [False, True])
@pytest.mark.parametrize("heights, width", [
    ((1,), 1), ((2,), 1), ((1,), 5), ((2, 2, 2, 2), 4), ((2, 2, 2, 2, 1, 1), 11),
    ((1, 2, 1, 2, 2), 9), ((1, 0, 2, 1), 6), ((0, 2, 0, 1), 6),
])
def test_accumulation_is_proven_equal_to_plain_logic(heights, width, init, family):
    assert not difference(Accumulation(heights, width, init, None),
                          Accumulation(heights, width, init, family), xilinx=True)
