# amaranth: UnusedElaboratable=no
"""Tests of platforms/axi.py and platforms/axilite.py."""

import random
import re

import pytest
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from quinnoa.platforms.axi import AXI3, AXI4, AXI4Lite
from quinnoa.platforms.axilite import RegisterPort
from quinnoa.sim.axi_checker import AXIChecker

PORTS = {
    "axi3": AXI3(address_bits=32, data_bits=32, id_bits=12),
    "axi4": AXI4(address_bits=40, data_bits=128, id_bits=16),
    "lite": AXI4Lite(address_bits=32, data_bits=64),
}
BITS = 10


class Bench:
    """A register port before a memory of words, and a manager that sends bursts to it."""

    def __init__(self, version, seed=0, density=0.0):
        self.version, self.signature = version, PORTS[version]
        self.dut = RegisterPort(self.signature, address_bits=BITS)
        self.bus, self.rng, self.density = self.dut.bus, random.Random(seed), density
        self.size = self.signature.data_bits // 8
        self.data = bytearray(self.rng.randbytes(1 << BITS))
        self.checker = AXIChecker("s_axi", version=version, data_bits=8 * self.size)
        self.names = list(self.signature.members)

    def has(self, name):
        return name in self.names

    async def registers(self, ctx):
        """Be the registers: a word comes two cycles after its address."""
        write, read = self.dut.write, self.dut.read
        before = 0
        while True:
            _, _, valid, address, word, asked = await ctx.tick().sample(
                write.valid, write.address, write.data, read.address)
            ctx.set(read.data, int.from_bytes(self.data[4 * before:4 * before + 4], "little"))
            before = asked
            if valid:
                self.data[4 * address:4 * address + 4] = word.to_bytes(4, "little")

    async def watch(self, ctx):
        while True:
            _, _, *values = await ctx.tick().sample(*(getattr(self.bus, n) for n in self.names))
            self.checker.cycle(dict(zip(self.names, values, strict=True)).__getitem__)

    async def send(self, ctx, channel, **signals):
        """Offer something until it is taken."""
        while self.rng.random() < self.density:
            await ctx.tick()
        for name, value in signals.items():
            if self.has(channel + name):
                ctx.set(getattr(self.bus, channel + name), value)
        ctx.set(getattr(self.bus, f"{channel}valid"), 1)
        while not (await ctx.tick().sample(getattr(self.bus, f"{channel}ready")))[-1]:
            pass
        ctx.set(getattr(self.bus, f"{channel}valid"), 0)

    async def take(self, ctx, channel):
        """Take an answer; return its signals."""
        names = [name for name in self.names if name.startswith(channel) and name[1:2] != "w"
                 and name[:2] != "ar"]
        while True:
            ctx.set(getattr(self.bus, f"{channel}ready"), self.rng.random() >= self.density)
            _, _, *values = await ctx.tick().sample(*(getattr(self.bus, n) for n in names))
            now = dict(zip(names, values, strict=True))
            if now[f"{channel}valid"] and now[f"{channel}ready"]:
                ctx.set(getattr(self.bus, f"{channel}ready"), 0)
                return now

    async def write(self, ctx, burst, beats):
        await self.send(ctx, "aw", **burst)
        for k, (word, strobes) in enumerate(beats):
            await self.send(ctx, "w", data=word, strb=strobes, last=k == len(beats) - 1,
                            id=burst["id"])
        answer = await self.take(ctx, "b")
        assert answer["bresp"] == 0 and answer.get("bid", burst["id"]) == burst["id"]

    async def read(self, ctx, burst):
        await self.send(ctx, "ar", **burst)
        words = []
        for _ in range(burst["len"] + 1):
            answer = await self.take(ctx, "r")
            assert answer["rresp"] == 0 and answer.get("rid", burst["id"]) == burst["id"]
            words.append(answer["rdata"])
        return words

    def burst(self):
        """Return a random burst, and the addresses of its beats as the specification has them."""
        rng, full = self.rng, self.size.bit_length() - 1
        if self.version == "lite":
            address = rng.randrange(1 << BITS)
            return {"addr": address, "len": 0, "id": 0}, [address]
        kind, size = rng.choice([0, 1, 2]), rng.choice([0, 1, 2, full])
        length = rng.choice([2, 4, 8, 16]) if kind == 2 else rng.randint(1, 16)
        step = 1 << size
        address = rng.randrange(1 << BITS)
        if kind == 1:
            address = min(address, (1 << BITS) - step * length)
        if kind == 2:
            address -= address % step
        addresses, at = [], address
        for _ in range(length):
            addresses.append(at)
            if kind:
                at = at // step * step + step
            low = address // (step * length) * step * length
            if kind == 2 and at == low + step * length:
                at = low
        high = rng.getrandbits(self.signature.address_bits - BITS) << BITS
        return {"addr": high | address, "len": length - 1, "size": size, "burst": kind,
                "id": rng.getrandbits(self.signature.id_bits)}, addresses

    def run(self, bench):
        async def run(ctx):
            await bench(ctx)
        sim = Simulator(self.dut)
        sim.add_clock(1e-6)
        for background in (self.registers, self.watch):
            sim.add_testbench(background, background=True)
        sim.add_testbench(run)
        sim.run()
        self.checker.finish()


@pytest.mark.parametrize("density", [0, 0.4])
@pytest.mark.parametrize("version", PORTS)
def test_bursts_of_every_kind_reach_the_words_they_name(version, density):
    bench = Bench(version, seed=version, density=density)
    size, rng = bench.size, bench.rng

    async def bursts(ctx):
        for _ in range(25):
            burst, addresses = bench.burst()
            expected, beats = bytearray(bench.data), []
            for address in addresses:
                word, strobes = rng.randbytes(size), 0
                # Any strobes; only words that have all four are written.
                for lane in range(size // 4):
                    nibble = rng.choice([15, 15, 0, rng.randrange(16)])
                    strobes |= nibble << 4 * lane
                    at = address // size * size + 4 * lane
                    if nibble == 15:
                        expected[at:at + 4] = word[4 * lane:4 * lane + 4]
                beats.append((int.from_bytes(word, "little"), strobes))
            await bench.write(ctx, burst, beats)
            await ctx.tick().repeat(2)
            assert bench.data == expected

            burst, addresses = bench.burst()
            words = await bench.read(ctx, burst)
            assert words == [int.from_bytes(bench.data[a // size * size:][:size], "little")
                             for a in addresses]

    bench.run(bursts)


def test_reads_and_writes_do_not_wait_for_one_another():
    bench = Bench("axi3")
    bus = bench.bus

    async def both(ctx):
        await bench.send(ctx, "aw", addr=0, len=1, size=2, burst=1, id=5)
        # The write waits for its data; a read goes by.
        words = await bench.read(ctx, {"addr": 8, "len": 0, "size": 2, "burst": 1, "id": 9})
        assert words == [int.from_bytes(bench.data[8:12], "little")]
        for last in range(2):
            await bench.send(ctx, "w", data=last, strb=15, last=last, id=5)
        assert (await bench.take(ctx, "b"))["bid"] == 5
        assert ctx.get(bus.awready) and ctx.get(bus.arready)

    bench.run(both)


@pytest.mark.parametrize("signature, lengths", [(PORTS["axi3"], 4), (PORTS["axi4"], 8)])
def test_signatures_have_the_widths_of_their_version(signature, lengths):
    members = signature.members
    assert [Out(lengths)] * 2 == [members["awlen"], members["arlen"]]
    assert members["wstrb"] == Out(signature.data_bits // 8)
    assert members["bid"] == In(signature.id_bits)
    assert ("wid" in members) == isinstance(signature, AXI3)
    reads, writes = set(signature.reads.members), set(signature.writes.members)
    assert reads | writes == set(members) and not reads & writes
    assert all(name.startswith(("ar", "r")) for name in reads)


@pytest.mark.parametrize("make, message", [
    (lambda: AXI3(address_bits=32, data_bits=48, id_bits=1),
     "data_bits must be 32, 64, 128, 256, 512: it is 48"),
    (lambda: AXI4Lite(address_bits=32, data_bits=128), "data_bits must be 32, 64: it is 128"),
    (lambda: AXI4(address_bits=65, data_bits=64, id_bits=1),
     "address_bits must lie in [12, 64]: it is 65"),
    (lambda: AXI4(address_bits=40, data_bits=64, id_bits=0),
     "id_bits must be at least 1: it is 0"),
    (lambda: RegisterPort(PORTS["axi3"], address_bits=33),
     "address_bits must lie in [3, 32]: it is 33"),
])
def test_refuses_widths_that_cannot_be(make, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make()
