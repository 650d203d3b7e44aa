# amaranth: UnusedElaboratable=no
"""Tests of platforms/packets.py, and of the framing of its driver."""

import random
import re

import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.platforms.driver import packets as host
from quinnoa.platforms.packets import Answer, Flag, Kind, PacketReceiver, PacketSender

DEPTH = 32
GAP = 12


def words_of(data):
    return [int.from_bytes(data[at:at + 4], "little") for at in range(0, len(data), 4)]


def receive(line, accepts=lambda header: True, *, drain=True, depth=DEPTH):
    """Put bytes on the line, None being one that cannot be read; return what arrived, and words.

    What arrived is (kind, tag, flags, epoch, position, wanted), and whether it fits.
    """
    dut, arrived, words = PacketReceiver(depth=depth), [], []

    async def bench(ctx):
        ctx.set(dut.o.ready, drain)
        for byte in [*line, *[0] * (depth // GAP + 1)]:
            ctx.set(dut.error if byte is None else dut.valid, 1)
            ctx.set(dut.byte, byte or 0)
            for _ in range(GAP):
                accept = False
                if ctx.get(dut.arrived):
                    header = ctx.get(dut.header)
                    arrived.append((*(header[name] for name in (
                        "kind", "tag", "flags", "epoch", "position", "wanted")), ctx.get(dut.fits)))
                    accept = ctx.get(dut.fits) and accepts(arrived[-1])
                if drain and ctx.get(dut.o.valid):
                    words.append(ctx.get(dut.o.payload))
                await ctx.tick()
                ctx.set(dut.accept, bool(accept))
                ctx.set(dut.valid, 0)
                ctx.set(dut.error, 0)
        if drain:
            assert ctx.get(dut.taken) == ctx.get(dut.left) == len(words)

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(bench)
    sim.run()
    return arrived, words


def packet(rng, words, *, kind=host.DATA):
    """Return a request of random numbers, zeros among them, and what is to arrive of it."""
    fields = [kind, rng.randrange(256), rng.choice([0, 1, 2]),
              *(rng.choice([0, rng.getrandbits(32), rng.getrandbits(8) << 16]) for _ in range(3))]
    payload = b"".join(rng.choice([b"\0", b"\xff", rng.randbytes(1)]) for _ in range(4 * words))
    return host.request(*fields, payload), tuple(fields), payload


def test_kinds_and_flags_are_those_of_the_driver():
    assert (Kind.IDENTIFY, Kind.RESET, Kind.DATA) == (host.IDENTIFY, host.RESET, host.DATA)
    assert (Answer.IDENTITY, Answer.STATUS) == (host.IDENTITY, host.STATUS)
    assert (1 << Flag.REWIND, 1 << Flag.CONTENTS) == (host.REWIND, host.CONTENTS)


def test_packets_arrive_as_they_were_sent():
    rng = random.Random(1)
    sent = [packet(rng, rng.randrange(20)) for _ in range(10)]
    arrived, words = receive(b"".join(line for line, _, _ in sent))
    assert arrived == [(*fields, 1) for _, fields, _ in sent]
    assert words == words_of(b"".join(payload for _, _, payload in sent))


def test_a_packet_that_is_not_accepted_leaves_no_words():
    rng = random.Random(2)
    sent = [packet(rng, 1 + rng.randrange(9)) for _ in range(20)]
    odd = {fields for _, fields, _ in sent if fields[1] % 2}
    arrived, words = receive(b"".join(line for line, _, _ in sent),
                             lambda header: header[:-1] in odd)
    assert len(arrived) == 20 and 5 < len(odd) < 15
    assert words == words_of(b"".join(payload for _, fields, payload in sent if fields in odd))


def test_a_payload_fits_up_to_all_but_one_word():
    rng = random.Random(3)
    for count, fits in ((DEPTH - 1, 1), (DEPTH, 0), (DEPTH + 40, 0)):
        line, fields, _ = packet(rng, count)
        assert receive(line, drain=False)[0] == [(*fields, fits)]


def test_payloads_that_meet_a_full_memory_are_told_and_lost():
    rng = random.Random(4)
    sent = [packet(rng, 12) for _ in range(3)]
    # Nothing is drained: two fit, and a word that lies in the register of the stream.
    arrived, _ = receive(b"".join(line for line, _, _ in sent), drain=False)
    assert [fits for *_, fits in arrived] == [1, 1, 0]


def damage(rng, line):
    """Return a packet with a fault, or two made one."""
    line = list(line)
    at = rng.randrange(2, len(line) - 2)
    match rng.randrange(6):
        case 0:
            line[at] ^= 1 << rng.randrange(8)
        case 1:
            del line[at]
        case 2:
            line[at] = None
        case 3:
            line[at:at] = rng.randbytes(rng.randrange(1, 9))
        case 4:
            del line[at:]
        case 5:
            line.insert(at, 0)
    return line


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow)
                                      for seed in range(1, 8))])
def test_a_damaged_packet_never_arrives_and_the_next_one_does(seed):
    rng = random.Random(seed)
    line, whole, payloads = [], [], b""
    for _ in range(30):
        sent, fields, payload = packet(rng, rng.randrange(6))
        if rng.random() < 0.5:
            # What is left of it may have lost its delimiter: the next one brings its own.
            line += damage(rng, sent)
        else:
            line += sent
            whole.append((*fields, 1))
            payloads += payload
    arrived, words = receive(line)
    assert arrived == whole
    assert words == words_of(payloads)


def test_noise_alone_is_nothing():
    assert receive(random.Random(5).randbytes(1500)) == ([], [])


def test_packets_of_odd_lengths_do_not_arrive():
    line = b"".join(host.frame(bytes(range(1, 1 + length))) for length in range(24) if (
        length < 16 or length % 4))
    assert receive(line) == ([], [])
    assert len(receive(host.frame(bytes(range(1, 17))))[0]) == 1


@pytest.mark.parametrize("words", [58, 59, 121])
def test_blocks_of_254_bytes_are_decoded(words):
    # Without a zero in header, payload and CRC, blocks are as long as can be.
    fields = (3, 1, 2 + (9 << 8), 0x01020304, 0x05060708, 0x090A0B0C)
    payload = bytes(1 + k % 255 for k in range(4 * words))
    line = host.request(*fields, payload)
    assert (b"\xff" in line[1:2]) == (words >= 59) and line.count(0) == 2
    arrived, got = receive(line + line, depth=256)
    assert [fits for *_, fits in arrived] == [1, 1]
    assert got == 2 * words_of(payload)


def send(bodies, *, drops=()):
    """Send packets, but those to be dropped; return the bytes of the line."""
    dut, line, rng = PacketSender(), bytearray(), random.Random(6)
    ended = []

    async def source(ctx):
        for n, body in enumerate(bodies):
            for byte in body:
                ctx.set(dut.push, 1)
                ctx.set(dut.byte, byte)
                await ctx.tick().until(dut.ready)
                ctx.set(dut.push, 0)
            if n in drops:
                ctx.set(dut.drop, 1)
                await ctx.tick()
                ctx.set(dut.drop, 0)
            else:
                ctx.set(dut.close, 1)
                await ctx.tick().until(dut.ready)
                ctx.set(dut.close, 0)
        ended.append(True)

    async def sink(ctx):
        idle = 0
        while not ended or idle < 600:
            ready = rng.random() < 0.3
            ctx.set(dut.o.ready, ready)
            idle = 0 if ctx.get(dut.o.valid) else idle + 1
            if ready and ctx.get(dut.o.valid):
                line.append(ctx.get(dut.o.payload))
            await ctx.tick()

    sim = Simulator(dut)
    sim.add_clock(1e-6)
    sim.add_testbench(source, background=True)
    sim.add_testbench(sink)
    sim.run()
    return bytes(line)


def test_packets_are_sent_as_the_driver_frames_them():
    rng = random.Random(7)
    bodies = [bytes(248), bytes([7]) * 248, rng.randbytes(248), b"\0", b"\1",
              *(bytes(rng.choice([0, 0, 1, 255, rng.randrange(256)]) for _ in range(
                  rng.randrange(1, 60))) for _ in range(15))]
    assert send(bodies) == b"".join(map(host.frame, bodies))


def test_a_dropped_packet_leaves_nothing():
    rng = random.Random(8)
    bodies = [rng.randbytes(rng.randrange(1, 40)) for _ in range(10)]
    drops = {0, 3, 4, 9}
    assert send(bodies, drops=drops) == b"".join(
        host.frame(body) for n, body in enumerate(bodies) if n not in drops)


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.binary(max_size=80)), max_size=8),
       st.integers(1, 50))
@settings(deadline=None, derandomize=True)
def test_the_driver_reads_replies_in_pieces_of_any_size(replies, size):
    lines, expected = b"", []
    for number, payload in replies:
        payload = payload[:len(payload) // 4 * 4]
        # A request of the same bytes is a reply, its flags the lower half of `left`.
        lines += host.request(0x82, 5, 9, number, number ^ 1, 3, payload)
        expected.append(host.Reply(0x82, 5, 9, number, number ^ 1, 3, payload))
    deframer = host.Deframer()
    got = [reply for at in range(0, len(lines), size) for reply in deframer.feed(
        lines[at:at + size])]
    assert got == expected


def test_the_driver_reads_no_damaged_reply():
    rng, deframer, got, whole = random.Random(9), host.Deframer(), [], 0
    for _ in range(2000):
        line, _, _ = packet(rng, rng.randrange(20), kind=0x82)
        if rng.random() < 0.5:
            line = bytes(byte for byte in damage(rng, line) if byte is not None)
        else:
            whole += 1
        got += deframer.feed(line)
    assert len(got) == whole
    assert list(deframer.feed(rng.randbytes(20_000) + b"\1" * 20_000)) == []


@pytest.mark.parametrize("depth", [4, 24, 1 << 16])
def test_refuses_depths_that_cannot_be(depth):
    with pytest.raises(ValueError, match=re.escape(
            f"depth must be a power of two from 8 to 32768: it is {depth}")):
        PacketReceiver(depth=depth)
