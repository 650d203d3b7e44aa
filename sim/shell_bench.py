"""A memory and a processor around a shell, in cocotb; and the benches of the memory shell.

``surround`` is for any bench on an ``AXITop``.
"""

import json
import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cocotb
from cocotb.triggers import ClockCycles, RisingEdge
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiMaster, AxiRam

from quinnoa.sim.axi_checker import AXIChecker
from quinnoa.sim.axi_top import HANDSHAKES
from quinnoa.sim.bench import read_task, start

MAGIC, CONTROL, STATUS, SOURCE, TARGET, FRAMES, BATCHES_DONE, FRAMES_DONE, BUSY_CYCLES = (
    0x00, 0x18, 0x1C, 0x20, 0x28, 0x30, 0x34, 0x38, 0x48)
IDLE, ERROR, ROOM = 1, 2, 4


def pauses(seed, density, longest):
    """Return a pause generator: idle with probability ``density``, in stretches of any length."""
    rng = random.Random(seed)
    while True:
        pause = rng.random() < density
        for _ in range(1 if rng.random() < 0.8 else rng.randint(1, longest)):
            yield pause


@dataclass
class Surroundings:
    """What is around a shell.

    Parameters
    ----------
    memory : AxiRam
        ``read(address, length)`` and ``write(address, data)``, at once.
    master : AxiMaster or AxiLiteMaster
        Of the registers.
    checkers : dict of str to AXIChecker
        "s_axi" and "m_axi".
    faults : list of str
        What they found.
    """

    memory: AxiRam
    master: AxiMaster | AxiLiteMaster
    checkers: dict
    faults: list
    stall: Callable[[float, int], None]

    async def read32(self, address):
        """Read a register."""
        return int.from_bytes((await self.master.read(address, 4)).data, "little")

    async def write32(self, address, value):
        """Write a register; return when it is acknowledged."""
        await self.master.write(address, value.to_bytes(4, "little"))

    def finish(self, *names):
        """See that the ports kept to the specification, and that nothing is under way."""
        assert not self.faults, self.faults[0]
        for name in names or self.checkers:
            self.checkers[name].finish()


async def _watch(dut, prefix, checker, faults):
    """Have a port checked in every cycle."""
    handshakes, handles, bits = getattr(dut, f"{prefix}_handshakes"), {}, {}
    places = {name: k for k, name in enumerate(HANDSHAKES)}

    def get(name):
        if name in places:
            return bits["now"] >> places[name] & 1
        if name not in handles:
            handles[name] = getattr(dut, f"{prefix}_{name}")
        return int(handles[name].value)

    edge = RisingEdge(dut.clk)
    while not faults:
        await edge
        bits["now"] = int(handshakes.value)
        try:
            checker.cycle(get)
        except AssertionError as fault:
            faults.append(str(fault))


async def surround(dut, name, *, control="axi3", memory="axi3", size=1 << 20, density=0.0,
                   longest=1, seed=0, bad=range(0)):
    """Reset the top, and put a memory and a processor around one of its shells.

    Parameters
    ----------
    dut
        An ``AXITop``.
    name : str
        Of the shell: ``s_axi`` and ``m_axi`` are its ports.
    control, memory : str
        "axi3", "axi4" or "lite", and "axi3" or "axi4".
    size : int
        Bytes of the memory, from address 0 on; it repeats.
    density : float
        Probability that a cycle is a pause, on every channel of both ports.
    longest : int
        Cycles that one pause in five may take.
    seed : int
        Of the pauses.
    bad : range
        Addresses which the memory answers with an error.

    Returns
    -------
    Surroundings
    """
    s_axi, m_axi = f"{name}_s_axi", f"{name}_m_axi"
    # They tell of every access.
    logging.getLogger(f"cocotb.{dut._name}").setLevel(logging.WARNING)
    ram = AxiRam(AxiBus.from_prefix(dut, m_axi), dut.clk, dut.rst, size=size)
    if control == "lite":
        master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, s_axi), dut.clk, dut.rst)
    else:
        master = AxiMaster(AxiBus.from_prefix(dut, s_axi), dut.clk, dut.rst,
                           max_burst_len=16 if control == "axi3" else 256)
    _make_bad(ram, bad)
    ends = [(side, channel) for port in (ram, master) for side, names in
            ((port.write_if, ("aw", "w", "b")), (port.read_if, ("ar", "r"))) for channel in names]

    def stall(density, longest):
        for k, (side, channel) in enumerate(ends):
            end = getattr(side, f"{channel}_channel")
            if density:
                end.set_pause_generator(pauses(f"{seed} {k}", density, longest))
            else:
                end.clear_pause_generator()
                end.pause = False

    await start(dut)
    stall(density, longest)
    faults, checkers = [], {}
    for port, prefix, version in (("s_axi", s_axi, control), ("m_axi", m_axi, memory)):
        data, beats = getattr(dut, f"{prefix}_wdata"), 16 if version == "axi3" else None
        # The processor here knows no WID.
        version = "axi4" if (port, version) == ("s_axi", "axi3") else version
        checkers[port] = AXIChecker(prefix, version=version, data_bits=len(data), beats=beats)
        cocotb.start_soon(_watch(dut, prefix, checkers[port], faults))
    return Surroundings(ram, master, checkers, faults, stall)


def _make_bad(ram, bad):
    """Answer some addresses with an error."""
    read, write = ram.read_if._read, ram.write_if._write

    async def bad_read(address, length):
        if address in bad:
            raise ValueError("a bad address")
        return await read(address, length)

    async def bad_write(address, data):
        if address in bad:
            raise ValueError("a bad address")
        await write(address, data)

    ram.read_if._read, ram.write_if._write = bad_read, bad_write


async def submit(shell, source, target, frames):
    """Queue a batch once there is room."""
    while not await shell.read32(STATUS) & ROOM:
        pass
    for address, value in (SOURCE, source), (TARGET, target):
        await shell.write32(address, value & 0xFFFFFFFF)
        await shell.write32(address + 4, value >> 32)
    await shell.write32(FRAMES, frames)


async def until(dut, shell, address, value, patience):
    """Wait until a register has a value; ``patience`` is how many cycles."""
    for _ in range(0, patience, 20):
        assert not shell.faults, shell.faults[0]
        now = await shell.read32(address)
        if now == value:
            return
        await ClockCycles(dut.clk, 20)
    raise AssertionError(f"after {patience} cycles register {address:#x} is {now}, not {value}; "
                         f"FRAMES_DONE is {await shell.read32(FRAMES_DONE)}")


class Frames:
    """The frames of a task and their results, in memory."""

    def __init__(self, task):
        self.given, self.expected = (bytes.fromhex(task[name]) for name in ("given", "expected"))
        self.count, self.source, self.target = task["frames"], task["source"], task["target"]
        self.i_bytes, self.o_bytes = (len(part) // self.count
                                      for part in (self.given, self.expected))

    def lay(self, shell):
        """Write the frames to memory, and something else where the results go, and around it."""
        shell.memory.write(self.source, self.given)
        shell.memory.write(self.target - 64, bytes([0xA5]) * (len(self.expected) + 128))

    def batch(self, first, frames):
        """Return what tells the shell of a batch."""
        return (self.source + first * self.i_bytes, self.target + first * self.o_bytes, frames)

    def compare(self, shell, frames=None):
        """See that the results are there, and that nothing else was written."""
        count = (self.count if frames is None else frames) * self.o_bytes
        got = bytes(shell.memory.read(self.target - 64, len(self.expected) + 128))
        margin = bytes([0xA5])
        for n in range(0, count, self.o_bytes):
            there, wanted = got[64 + n:][:self.o_bytes], self.expected[n:n + self.o_bytes]
            assert there == wanted, (
                f"frame {n // self.o_bytes} gives {there.hex()}, not {wanted.hex()}")
        rest = len(got) - 64 - count
        assert got[:64] == margin * 64, "something was written before the results"
        assert got[64 + count:] == margin * rest, "something was written after the results"


def told(task):
    """Return the arguments of ``surround`` in a task."""
    return {name: task[name] for name in ("control", "memory", "density", "longest", "seed")
            if name in task}


@cocotb.test()
async def frames(dut):
    """Run batches of frames; in the end compare all results, and how long it took."""
    task = read_task()
    shell = await surround(dut, task["shell"], **told(task))
    work = Frames(task)
    work.lay(shell)
    assert await shell.read32(STATUS) == IDLE | ROOM
    first = 0
    for count in task["batches"]:
        await submit(shell, *work.batch(first, count))
        first += count
    assert first == work.count
    await until(dut, shell, BATCHES_DONE, len(task["batches"]), task["deadline"])
    # As soon as a batch is done its results are in memory.
    work.compare(shell)
    assert await shell.read32(FRAMES_DONE) == work.count
    assert await shell.read32(STATUS) == IDLE | ROOM
    busy = await shell.read32(BUSY_CYCLES)
    shell.finish()
    counts = shell.checkers["m_axi"].counts
    assert counts["r"] * task["word"] == len(work.given), "words were read twice, or not at all"
    assert counts["w"] * task["word"] == len(work.expected)
    Path(task["report"]).write_text(json.dumps({"busy": busy}))


@cocotb.test()
async def aborts(dut):
    """Abort in the middle, again and again; after each, one batch must be as ever."""
    task = read_task()
    shell = await surround(dut, task["shell"], **told(task))
    work, rng = Frames(task), random.Random(task["seed"])
    under_way = 0
    for _ in range(task["rounds"]):
        work.lay(shell)
        for _ in range(rng.randint(1, 3)):
            await submit(shell, *work.batch(0, work.count))
        await ClockCycles(dut.clk, rng.randint(0, task["cycles"]))
        m_axi = shell.checkers["m_axi"]
        under_way += bool(m_axi._reads.get(0) or m_axi._answers.get(0))
        await shell.write32(CONTROL, 1)
        await until(dut, shell, CONTROL, 0, 5000)
        shell.finish("m_axi")
        counts = dict(m_axi.counts)
        await ClockCycles(dut.clk, 50)
        assert m_axi.counts == counts, "the bus is not quiet after an abort"
        assert await shell.read32(STATUS) == IDLE | ROOM
        for register in (BATCHES_DONE, FRAMES_DONE, BUSY_CYCLES):
            assert await shell.read32(register) == 0

        work.lay(shell)
        await submit(shell, *work.batch(0, 3))
        await until(dut, shell, BATCHES_DONE, 1, task["deadline"])
        work.compare(shell, 3)
        # The next round begins with counters at 0.
        await shell.write32(CONTROL, 1)
        await until(dut, shell, CONTROL, 0, 5000)
    shell.finish()
    assert under_way > task["rounds"] // 4, "hardly an abort met a burst under way"


@cocotb.test()
async def errors(dut):
    """Meet a bus error, on the way in or out; after an abort all is well again."""
    task = read_task()
    work = Frames(task)
    at = (work.source if task["way"] == "in" else work.target) + 16
    bad = {at}
    shell = await surround(dut, task["shell"], bad=bad, **told(task))
    work.lay(shell)
    await submit(shell, *work.batch(0, work.count))
    await until(dut, shell, BATCHES_DONE, 1, task["deadline"])
    assert await shell.read32(STATUS) == IDLE | ERROR | ROOM
    bad.clear()
    await shell.write32(CONTROL, 1)
    await until(dut, shell, CONTROL, 0, 5000)
    assert await shell.read32(STATUS) == IDLE | ROOM
    work.lay(shell)
    await submit(shell, *work.batch(0, work.count))
    await until(dut, shell, BATCHES_DONE, 1, task["deadline"])
    work.compare(shell)
    shell.finish()


@cocotb.test()
async def registers(dut):
    """Read all registers, in words and in bursts; write those that keep what is written."""
    task = read_task()
    shell = await surround(dut, task["shell"], **told(task))
    expected = {int(address): value for address, value in task["registers"].items()}
    for address in (*range(0, 0x80, 4), 0x1000, 0x8000, 0xFFFC, 0x10000, 0x10018):
        value = await shell.read32(address)
        if address in (0x3C,):                       # CYCLES
            assert value > 0
            continue
        assert value == expected.get(address, 0), f"register {address:#x} is {value:#x}"

    # A burst over several beats, and one of bytes.
    rng = random.Random(task["seed"])
    text = rng.randbytes(16)
    await shell.master.write(SOURCE, text)
    assert bytes((await shell.master.read(SOURCE, 16)).data) == text
    assert bytes((await shell.master.read(0, 0x3C)).data)[SOURCE:FRAMES] == text
    assert bytes((await shell.master.read(SOURCE + 1, 2)).data) == text[1:3]
    # A register is written whole, or not at all.
    await shell.master.write(SOURCE + 2, b"\0\0\0\0")
    assert bytes((await shell.master.read(SOURCE, 16)).data) == text
    # MAGIC is not written.
    await shell.write32(MAGIC, 0)
    assert await shell.read32(MAGIC) == expected[0]
    shell.finish()
