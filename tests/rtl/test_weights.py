# amaranth: UnusedElaboratable=no
"""Tests of rtl/weights.py."""

import numpy as np
import pytest
from amaranth import ClockDomain, Module
from amaranth.sim import Simulator

from quinnoa.rtl.families import ECP5
from quinnoa.rtl.weights import MEMORIES, WeightMemory, block_is_cheaper, pack_words
from quinnoa.verilog import to_verilog


def read(dut, addresses):
    """Ask for a word every cycle; return what shows ``latency`` cycles after each address."""
    shown = []

    async def bench(ctx):
        for k in range(len(addresses) + dut.latency):
            if k < len(addresses):
                ctx.set(dut.addr, addresses[k])
            if k >= dut.latency:
                shown.append(ctx.get(dut.data))
            await ctx.tick()

    m = Module()
    m.domains.sync = ClockDomain()       # a constant has none
    m.submodules.dut = dut
    sim = Simulator(m)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return shown


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("depth, width", [(2, 1), (5, 7), (64, 3), (33, 130)])
def test_shows_each_word_after_its_latency(memory, depth, width):
    rng = np.random.default_rng(depth)
    words = pack_words(rng.integers(2, size=(depth, width)), 1)
    words[-1] = 2 ** width - 1 - words[0]
    dut = WeightMemory(words, width=width, memory=memory)
    addresses = [*range(depth), *rng.integers(depth, size=20).tolist()]
    assert read(dut, addresses) == dut.model(addresses) == [words[k] for k in addresses]
    assert dut.latency == {"logic": 0, "lutrom": 1, "block": 2}[memory]


@pytest.mark.parametrize("memory", ["auto", *MEMORIES])
@pytest.mark.parametrize("words", [[9], [9] * 5])
def test_equal_words_are_a_constant(memory, words):
    dut = WeightMemory(words, width=4, memory=memory)
    assert (dut.style, dut.latency, dut.depth) == ("constant", 0, len(words))
    assert read(dut, [len(words) - 1]) == [9]
    assert "reg" not in to_verilog(dut, name="top")


@pytest.mark.parametrize("memory, style", [("lutrom", "registers"), ("block", "block")])
def test_tells_synthesis_where_to_keep_it(memory, style):
    verilog = to_verilog(WeightMemory(range(16), width=4, memory=memory), name="top")
    assert f'(* ram_style = "{style}" *)' in verilog


@pytest.mark.parametrize("depth, width, style", [
    (64, 2048, "lutrom"),     # one LUT a bit is as cheap as it gets
    (65, 2048, "block"),      # 4096 LUTs or 57 halves of 64
    (512, 36, "block"),
    (128, 16, "lutrom"),      # 32 LUTs or one half that is nearly empty
    (16384, 1, "block"),      # 256 LUTs or one half
])
def test_auto_takes_what_is_cheaper(depth, width, style):
    words = [0] * (depth - 1) + [1]
    assert WeightMemory(words, width=width).style == style
    assert block_is_cheaper(depth, width) == (style == "block")


@pytest.mark.parametrize("depth, width, style", [
    (16, 2048, "lutrom"),     # a LUT4 has 16 words
    (64, 360, "block"),       # 1440 LUTs or ten halves of 128
    (64, 36, "block"),        # 144 LUTs or one half
    (64, 32, "lutrom"),
])
def test_auto_takes_what_is_cheaper_in_lut4(depth, width, style):
    words = [0] * (depth - 1) + [1]
    assert WeightMemory(words, width=width, family=ECP5).style == style


def test_packs_element_0_lowest():
    assert pack_words([[1, 2, 3], [7, 0, 4]], 3) == [0o321, 0o407]
    rng = np.random.default_rng(0)
    bits = rng.integers(256, size=(3, 50))
    assert pack_words(bits, 8) == [int.from_bytes(bytes(row), "little") for row in bits.tolist()]


@pytest.mark.parametrize("words, options, message", [
    ([1, 16], {}, "words must lie in [0, 2**4): word 1 is 16"),
    ([-1, 1], {}, "words must lie in [0, 2**4): word 0 is -1"),
    ([], {}, "a weight memory needs at least one word: it has none"),
    ([1], {"memory": "ultra"}, "memory must be auto, logic, lutrom, block: it is 'ultra'"),
])
def test_refuses_what_it_cannot_hold(words, options, message):
    with pytest.raises(ValueError) as raised:
        WeightMemory(words, width=4, **options)
    assert str(raised.value) == message
