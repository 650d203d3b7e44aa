# amaranth: UnusedElaboratable=no
"""Tests of rtl/writes.py, and of thresholds with a step for every level."""

import numpy as np
import pytest
from amaranth import Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.dataflow import addresses
from quinnoa.rtl.families import ECP5, GENERIC
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.weights import WeightMemory
from quinnoa.rtl.writes import (
    Contents,
    WritableMemory,
    make_memory,
    relay,
    spread,
    writes_signature,
)
from quinnoa.verilog import to_verilog


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=12))
def test_ranges_are_aligned_and_apart(sizes):
    starts, words = spread(sizes)
    taken = set()
    for start, size in zip(starts, sizes, strict=True):
        assert start % (1 << (size - 1).bit_length()) == 0
        addresses = set(range(start, start + size))
        assert not addresses & taken
        taken |= addresses
    # Less than twice what is needed: a power of two each, and nothing between.
    assert max(taken) < words < 2 * sum(sizes) + 1


class Unit(wiring.Component):
    """Memories with writes, and nothing else."""

    def __init__(self, memories):
        self.contents = Contents(memories)
        self.words = self.contents.words
        super().__init__({"writes": In(writes_signature(self.words))})

    def elaborate(self, platform):
        m = Module()
        for name, memory in self.contents.memories.items():
            m.submodules[name] = memory
        self.contents.connect(m, self.writes)
        return m


class Units(wiring.Component):
    """Units with their writes one behind another."""

    def __init__(self, units):
        self.units = units
        self.starts, self.words = addresses(units)
        super().__init__({"writes": In(writes_signature(self.words))})

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            m.submodules[name] = unit
        relay(m, self.writes, {name: (self.starts[name], self.units[name])
                               for name in self.starts})
        return m


def random_words(rng, depth, width):
    return [int.from_bytes(rng.bytes(-(-width // 8)), "little") % (1 << width)
            for _ in range(depth)]


MEMORIES = [
    # depth, width, memory, style
    (1, 5, "auto", "registers"),
    (1, 100, "block", "registers"),
    (7, 32, "auto", "lutram"),
    (8, 700, "lutrom", "lutram"),       # more parts than one register of data serves
    (33, 33, "block", "block"),
    (600, 3, "auto", "lutram"),
]


@pytest.mark.parametrize("seed", range(3))
def test_every_word_is_written_where_the_image_says(seed):
    rng = np.random.default_rng(seed)
    made = {f"m{k}": WritableMemory(random_words(rng, depth, width), width=width, memory=memory)
            for k, (depth, width, memory, _) in enumerate(MEMORIES)}
    names = rng.permutation(list(made)).tolist()
    units = {"a": Unit({name: made[name] for name in names[:2]}),
             "b": Unit({name: made[name] for name in names[2:]})}
    dut = Units(units)
    new = {name: random_words(rng, memory.depth, memory.width) for name, memory in made.items()}
    image = np.zeros(dut.words, np.uint32)
    for name, unit in units.items():
        part = unit.contents.image({each: new[each] for each in unit.contents.memories})
        image[dut.starts[name]:][:len(part)] = part
    shown = {"before": {}, "after": {}}

    async def read(ctx, when):
        for name, memory in made.items():
            shown[when][name] = []
            for k in range(memory.depth):
                ctx.set(memory.addr, k)
                await ctx.tick().repeat(2)
                shown[when][name].append(ctx.get(memory.data))

    async def bench(ctx):
        await read(ctx, "before")
        for address in rng.permutation(len(image)).tolist():
            ctx.set(dut.writes.valid, 1)
            ctx.set(dut.writes.address, address)
            ctx.set(dut.writes.data, int(image[address]))
            await ctx.tick()
        # What is not valid changes nothing.
        ctx.set(dut.writes.valid, 0)
        for address in range(len(image)):
            ctx.set(dut.writes.address, address)
            ctx.set(dut.writes.data, 0x5555_5555)
            await ctx.tick()
        await read(ctx, "after")

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    assert shown["before"] == {name: memory.words for name, memory in made.items()}
    assert shown["after"] == new


@pytest.mark.parametrize("depth, width, memory, style", MEMORIES)
def test_a_memory_is_where_it_should_be(depth, width, memory, style):
    dut = WritableMemory([0] * depth, width=width, memory=memory)
    assert (dut.style, dut.latency) == (style, {"registers": 0, "lutram": 1, "block": 2}[style])
    told = {"registers": None, "lutram": "distributed", "block": "block"}[style]
    assert ('ram_style = "%s"' % told in to_verilog(dut, name="top")) == (told is not None)


@pytest.mark.parametrize("depth, width, styles", [
    (64, 784, ("lutram", "block")),     # 1046 LUTs or 22 halves of 64; 7840 or 22 of 128
    (16, 784, ("lutram", "lutram")),    # 1960 on ECP5
    (8, 16, ("lutram", "lutram")),      # 40 there
])
def test_families_have_ram_of_their_own(depth, width, styles):
    assert styles == tuple(WritableMemory([0] * depth, width=width, family=family).style
                           for family in (GENERIC, ECP5))


def test_what_is_not_writable_pays_nothing():
    memory = make_memory([1, 2], width=2)
    assert isinstance(memory, WeightMemory)
    rng = np.random.default_rng(0)
    unit = MVTU(rng.choice([-1, 1], (4, 6)), pe=2, simd=3, x_shape=BIPOLAR, w_shape=BIPOLAR)
    assert list(unit.signature.members) == ["i", "o"]


@pytest.mark.parametrize("shape", [BIPOLAR, unsigned(1), unsigned(3), signed(2)])
def test_a_step_for_every_level_is_the_same_function(shape):
    rng = np.random.default_rng(5)
    low, high = (0, 1) if is_bipolar(shape) else range_of(shape)
    for steps in range(high - low + 1):
        falls = rng.random(6) < .5
        values = np.sort(rng.integers(-9, 9, (6, steps)))
        spare = rng.integers(high - low - steps + 1)
        thresholds = Thresholds(values, shape, np.where(falls, high - spare, low + spare),
                                np.repeat(falls[:, None], steps, axis=1))
        full = thresholds.full(6)
        a = np.repeat(np.arange(-12, 12)[:, None], 6, axis=1)
        assert full.values.shape == (6, high - low)
        assert full.model(a).tolist() == thresholds.model(a).tolist()


def test_one_channel_stands_for_all():
    full = Thresholds([[1, 4]], unsigned(2)).full(3)
    assert (full.channels, full.steps) == (3, 3)
    with pytest.raises(ValueError) as raised:
        Thresholds([[1]] * 2, BIPOLAR).full(3)
    assert str(raised.value) == ("there must be thresholds for 1 channel or for all 3: they are "
                                 "for 2")
