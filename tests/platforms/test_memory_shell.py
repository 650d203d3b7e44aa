# amaranth: UnusedElaboratable=no
"""Tests of platforms/memory_shell.py: whole shells on Verilator, single traits in Amaranth."""

import json
import re

import numpy as np
import pytest
from amaranth import Module, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from quinnoa.platforms.axi import AXI3, AXI4, AXI4Lite
from quinnoa.platforms.axilite import WritePort
from quinnoa.platforms.frames import FrameFormat
from quinnoa.platforms.memory_shell import QUEUE, REGISTERS, MemoryShell
from quinnoa.rtl.chain import Chain
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import encode
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim import cocotb
from quinnoa.sim.axi_top import AXITop
from quinnoa.verilog import to_verilog
from tests.platforms.axi_memory import AXIMemory

NETWORK, SHAPE = 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210
BUSES = {
    "zynq7": {"control": AXI3(address_bits=32, data_bits=32, id_bits=12),
              "memory": AXI3(address_bits=32, data_bits=64, id_bits=6)},
    "zynqmp": {"control": AXI4(address_bits=40, data_bits=128, id_bits=16),
               "memory": AXI4(address_bits=49, data_bits=128, id_bits=6)},
    "lite": {"control": AXI4Lite(address_bits=32),
             "memory": AXI4(address_bits=40, data_bits=32, id_bits=1)},
}
KINDS = {"zynq7": ("axi3", "axi3"), "zynqmp": ("axi4", "axi4"), "lite": ("lite", "axi4")}
BOUND = 24
SLOW = pytest.mark.slow


def core():
    """Two layers: 48 inputs of 8 bits, 16 between, 10 sums; ``BOUND`` cycles a frame."""
    rng = np.random.default_rng(0)
    steps = Thresholds(np.sort(rng.integers(-2000, 2000, (16, 3)), axis=1), unsigned(2))
    return Chain(
        MVTU(rng.integers(-2, 2, (16, 48)), pe=4, simd=8, x_shape=unsigned(8), w_shape=signed(2),
             thresholds=steps),
        FIFO(data.ArrayLayout(unsigned(2), 4), depth=8),
        MVTU(rng.integers(-4, 4, (10, 16)), pe=2, simd=4, x_shape=unsigned(2), w_shape=signed(3)))


def shell_of(kind, **options):
    """Return a shell around a core of its own."""
    unit, bits = core(), BUSES[kind]["memory"].data_bits
    i_format = FrameFormat.of(unsigned(8), lanes=8, beats=6, word_bits=bits)
    o_format = FrameFormat.of(unit.o.payload.shape().elem_shape, lanes=2, beats=5, word_bits=bits)
    return MemoryShell(unit, i_format, o_format, network_id=NETWORK, shape_id=SHAPE,
                       **BUSES[kind], **options)


def laid(values, form):
    """Lay frames into bytes by their definition."""
    made = bytearray()
    for frame in values:
        bits = 0
        for k, code in enumerate(encode(frame, form.shape).tolist()):
            extended = code | -(code >> (form.bits - 1)) << form.bits if form.signed else code
            bits |= (extended & (1 << form.slot) - 1) << k * form.slot
        made += bits.to_bytes(form.bytes, "little")
    return bytes(made)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Build the shells of all buses, side by side."""
    shells = {"zynq7": shell_of("zynq7"), "zynqmp": shell_of("zynqmp", burst=32),
              "lite": shell_of("lite", i_depth=64, o_depth=32)}
    folder = tmp_path_factory.mktemp("shells")
    built = cocotb.build(to_verilog(AXITop(shells), name="shells"), "shells", folder)

    def run(name, test, *, frames=40, seed=0, source=0x1000, target=0x40000, **task):
        shell = shells[name]
        x = np.random.default_rng(seed).integers(0, 256, (frames, 48))
        control, memory = KINDS[name]
        report = folder / "report"
        report.write_text("{}")
        built.run("quinnoa.sim.shell_bench", test, {
            "shell": name, "control": control, "memory": memory, "seed": seed, "frames": frames,
            "source": source, "target": target, "word": shell.i_format.word_bits // 8,
            "given": laid(x, shell.i_format).hex(),
            "expected": laid(shell.core.model(x), shell.o_format).hex(),
            "report": str(report), "deadline": 400 * frames + 5000, **task})
        return json.loads(report.read_text())
    return run


def test_a_thousand_frames_are_exact_at_the_folding_bound(bench):
    report = bench("zynq7", "frames", frames=1000, batches=[300, 1, 1, 98, 250, 350])
    assert BOUND * 1000 <= report["busy"] <= BOUND * 1000 / 0.99


@SLOW
@pytest.mark.parametrize("name", ["zynqmp", "lite"])
def test_a_thousand_frames_are_exact_on_other_buses(bench, name):
    report = bench(name, "frames", frames=1000, batches=[500, 500])
    assert BOUND * 1000 <= report["busy"] <= BOUND * 1000 / 0.99


@pytest.mark.parametrize("name, source, target, density, longest", [
    ("zynq7", 0x1038, 0x40FF8, 0.5, 40),
    pytest.param("zynqmp", 0x1FF0, 0x40010, 0.6, 60, marks=SLOW),
    pytest.param("lite", 0x1004, 0x40FFC, 0.3, 10, marks=SLOW),
])
def test_no_word_is_lost_or_repeated_under_stalls(bench, name, source, target, density, longest):
    bench(name, "frames", frames=60, batches=[1, 1, 1, 1, 1, 1, 1, 13, 40], source=source,
          target=target, density=density, longest=longest, seed=1)


@pytest.mark.parametrize("name, density", [
    ("zynq7", 0.4), pytest.param("zynq7", 0, marks=SLOW), pytest.param("zynqmp", 0.3, marks=SLOW)])
def test_an_abort_in_the_middle_of_a_frame_recovers(bench, name, density):
    bench(name, "aborts", frames=40, rounds=12, cycles=300, density=density, longest=30, seed=2)


@pytest.mark.parametrize("name, way", [
    ("zynq7", "in"), pytest.param("zynqmp", "out", marks=SLOW)])
def test_a_bus_error_is_told(bench, name, way):
    bench(name, "errors", frames=10, way=way)


@pytest.mark.parametrize("name", [
    "zynq7", pytest.param("zynqmp", marks=SLOW), pytest.param("lite", marks=SLOW)])
def test_registers_are_as_documented(bench, name):
    words = {0x00: 0x514E4E41, 0x04: 1, 0x08: NETWORK & 0xFFFFFFFF, 0x0C: NETWORK >> 32,
             0x10: SHAPE & 0xFFFFFFFF, 0x14: SHAPE >> 32, 0x1C: 0b101, 0x40: 48,
             0x44: {"zynq7": 16, "zynqmp": 16, "lite": 12}[name]}
    bench(name, "registers", density=0.3, longest=5, registers=words)


class Echo(wiring.Component):
    """A core that gives what it takes, and has contents of 2**15 words."""

    def __init__(self, *, writes=None):
        beat = stream.Signature(data.ArrayLayout(unsigned(8), 4))
        self.fifo = FIFO(beat.members["payload"].shape, depth=4)
        super().__init__({"i": In(beat), "o": Out(beat)}
                         | ({} if writes is None else {"writes": In(WritePort(writes))}))

    def elaborate(self, platform):
        m = Module()
        m.submodules.fifo = self.fifo
        wiring.connect(m, wiring.flipped(self.i), self.fifo.i)
        wiring.connect(m, self.fifo.o, wiring.flipped(self.o))
        return m


FORM = FrameFormat.of(unsigned(8), lanes=4, beats=3, word_bits=32)


def echo(*, writes=None, i_format=FORM, o_format=FORM, **options):
    """Return a shell of 32-bit words around an echo."""
    return MemoryShell(Echo(writes=writes), i_format, o_format, **{
        "network_id": 1, **BUSES["lite"], **options})


async def write32(ctx, bus, address, value):
    """Write a register over AXI4-Lite."""
    for name, signals in (("aw", {"addr": address}), ("w", {"data": value, "strb": 15})):
        for signal, given in signals.items():
            ctx.set(getattr(bus, name + signal), given)
        ctx.set(getattr(bus, f"{name}valid"), 1)
        while not (await ctx.tick().sample(getattr(bus, f"{name}ready")))[-1]:
            pass
        ctx.set(getattr(bus, f"{name}valid"), 0)
    ctx.set(bus.bready, 1)
    while not (await ctx.tick().sample(bus.bvalid))[-1]:
        pass


async def read32(ctx, bus, address):
    """Read a register over AXI4-Lite."""
    ctx.set(bus.araddr, address)
    ctx.set(bus.arvalid, 1)
    while not (await ctx.tick().sample(bus.arready))[-1]:
        pass
    ctx.set(bus.arvalid, 0)
    ctx.set(bus.rready, 1)
    while True:
        _, _, valid, value = await ctx.tick().sample(bus.rvalid, bus.rdata)
        if valid:
            return value


def simulate(shell, bench, **options):
    """Run a bench on a shell with a memory behind it; return the memory."""
    memory = AXIMemory(shell.m_axi, version="axi4", size=4096, **options)

    async def run(ctx):
        await bench(ctx, memory)

    sim = Simulator(shell)
    sim.add_clock(1e-6)
    sim.add_testbench(memory.serve, background=True)
    sim.add_testbench(run)
    sim.run()
    return memory


def test_batches_queue_up_and_more_are_ignored():
    shell = echo()
    bus = shell.s_axi

    async def bench(ctx, memory):
        memory.data[:48] = range(48)
        memory.blocked = True
        for n in range(4 * QUEUE):
            room = await read32(ctx, bus, REGISTERS["STATUS"]) & 4
            await write32(ctx, bus, REGISTERS["SOURCE"], 12 * (n % 4))
            await write32(ctx, bus, REGISTERS["TARGET"], 1024 + 12 * n)
            await write32(ctx, bus, REGISTERS["FRAMES"], 1)
            if not room:
                break
        assert QUEUE <= n < 4 * QUEUE - 1
        assert await read32(ctx, bus, REGISTERS["STATUS"]) == 0
        memory.blocked = False
        while not await read32(ctx, bus, REGISTERS["STATUS"]) & 1:
            pass
        assert await read32(ctx, bus, REGISTERS["BATCHES_DONE"]) == n
        assert memory.data[1024:1024 + 12 * n] == (bytes(range(48)) * QUEUE)[:12 * n]
        # The one that came without room has left no trace.
        assert not any(memory.data[1024 + 12 * n:])

    simulate(shell, bench)


@pytest.mark.parametrize("later", range(8))
def test_a_shell_is_not_idle_once_a_batch_is_acknowledged(later):
    shell = echo()
    bus = shell.s_axi

    async def bench(ctx, memory):
        memory.blocked = True
        await write32(ctx, bus, REGISTERS["FRAMES"], 1)
        if later:
            await ctx.tick().repeat(later)
        assert not await read32(ctx, bus, REGISTERS["STATUS"]) & 1

    simulate(shell, bench)


def test_a_batch_without_frames_is_done_in_its_turn():
    shell = echo()
    bus = shell.s_axi

    async def bench(ctx, memory):
        for frames in (2, 0, 1, 0, 0):
            await write32(ctx, bus, REGISTERS["FRAMES"], frames)
        await ctx.tick().repeat(200)
        assert await read32(ctx, bus, REGISTERS["BATCHES_DONE"]) == 5
        assert await read32(ctx, bus, REGISTERS["FRAMES_DONE"]) == 3
        assert await read32(ctx, bus, REGISTERS["STATUS"]) == 0b101

    simulate(shell, bench)


def test_frames_count_as_done_when_their_last_word_is_acknowledged():
    shell = echo()
    bus = shell.s_axi

    async def bench(ctx, memory):
        await write32(ctx, bus, REGISTERS["FRAMES"], 20)
        seen = set()
        while not await read32(ctx, bus, REGISTERS["BATCHES_DONE"]):
            done = await read32(ctx, bus, REGISTERS["FRAMES_DONE"])
            # A burst has 16 words, a frame 3.
            assert 3 * done <= 16 * memory.checker.counts["b"]
            seen.add(done)
        assert memory.checker.bursts["aw"] == [16, 16, 16, 12] and memory.checker.counts["b"] == 4
        assert await read32(ctx, bus, REGISTERS["FRAMES_DONE"]) == 20
        assert 0 in seen and len(seen) > 3

    simulate(shell, bench, latency=200)


@pytest.mark.parametrize("bits", [3, 14, 15, 20])
def test_contents_are_written_at_their_words(bits):
    shell, written = echo(writes=bits), []
    last = (1 << bits) - 1

    async def bench(ctx, memory):
        for a, word in ((0, 5), (last, 6), (1, 7), (last // 2, 8)):
            await write32(ctx, shell.s_axi, 0x10000 + 4 * a, word)
        await write32(ctx, shell.s_axi, REGISTERS["TARGET"], 9)
        await ctx.tick().repeat(5)
        assert written == [(0, 5), (last, 6), (1, 7), (last // 2, 8)]

    async def watch(ctx):
        writes = shell.core.writes
        while True:
            _, _, valid, address, word = await ctx.tick().sample(
                writes.valid, writes.address, writes.data)
            if valid:
                written.append((address, word))

    memory = AXIMemory(shell.m_axi, version="axi4", size=64)

    async def run(ctx):
        await bench(ctx, memory)

    sim = Simulator(shell)
    sim.add_clock(1e-6)
    sim.add_testbench(watch, background=True)
    sim.add_testbench(run)
    sim.run()


def test_beats_wider_than_words_wait_beside_the_core():
    wide = {"lanes": 8, "beats": 6, "word_bits": 32}
    narrow = {"lanes": 4, "beats": 12, "word_bits": 32}
    assert shell_of("lite").i_beats == FrameFormat.of(unsigned(8), **wide).beats == 6
    assert shell_of("zynq7").i_beats == 0
    assert echo(i_format=FrameFormat.of(unsigned(8), **narrow)).i_beats == 0


@pytest.mark.parametrize("options, message", [
    ({"i_format": FrameFormat.of(unsigned(8), lanes=3, beats=3, word_bits=32)},
     "a beat of i has 32 bits, but its format says 3 lanes of 8 bits"),
    ({"o_format": FrameFormat.of(unsigned(4), lanes=4, beats=3, word_bits=32)},
     "a beat of o has 32 bits, but its format says 4 lanes of 4 bits"),
    ({"i_format": FrameFormat.of(unsigned(8), lanes=4, beats=3, word_bits=64)},
     "words of the format of i have 64 bits, those of the memory bus 32"),
    ({"network_id": 1 << 64}, "network_id has 64 bits: it is 0x10000000000000000"),
    ({"shape_id": -1}, "shape_id has 64 bits: it is -0x1"),
])
def test_refuses_what_does_not_fit(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        echo(**options)
