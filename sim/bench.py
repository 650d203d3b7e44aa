"""The cocotb benches: what runs inside the simulator, told by the file of QUINNOA_TASK."""

import json
import os
import random
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, FallingEdge, ReadOnly, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamFrame, AxiStreamSink, AxiStreamSource

PERIOD = 2  # steps


def read_task():
    """Return what is to be done."""
    return json.loads(Path(os.environ["QUINNOA_TASK"]).read_text())


async def start(dut):
    """Start the clock and reset everything."""
    dut.rst.value = 1
    cocotb.start_soon(Clock(dut.clk, PERIOD, "step").start())
    await ClockCycles(dut.clk, 2)
    await FallingEdge(dut.clk)
    dut.rst.value = 0


async def run_frames(source, sink, frames, deadline):
    """Send frames by AXI-Stream, and compare what comes out."""
    for sent, _ in frames:
        await source.send(AxiStreamFrame(bytes.fromhex(sent)))
    for n, (_, expected) in enumerate(frames):
        frame = await with_timeout(sink.recv(), deadline * PERIOD, "step")
        assert bytes(frame.tdata).hex() == expected, (
            f"frame {n} is {bytes(frame.tdata).hex()}, not {expected}")


async def drive(dut, name, given, expected, task):
    """Send beats to one unit and compare what it gives, cycle by cycle."""
    i_valid, i_ready, i_payload, o_valid, o_ready, o_payload = (
        getattr(dut, f"{name}_{stream}_{part}")
        for stream in "io" for part in ("valid", "ready", "payload"))
    rng = random.Random(f"{name} {task['seed']}")
    offered = taken = False
    sent, got, held, rest = 0, 0, None, 50
    for cycle in range(task["deadline"]):
        await FallingEdge(dut.clk)
        if taken:
            sent, offered = sent + 1, False
        if not offered and sent < len(given) and rng.random() >= task["density"]:
            offered, i_payload.value = True, int(given[sent], 16)
        i_valid.value = int(offered)
        o_ready.value = int(ready := rng.random() >= task["density"])

        # From here on nothing moves until the next rising edge.
        await ReadOnly()
        valid = bool(o_valid.value)
        payload = int(o_payload.value) if valid else None
        if held is not None:
            assert valid, f"{name}.o took its beat back in cycle {cycle}"
            assert payload == held, f"{name}.o changed its beat in cycle {cycle}"
        held = payload if valid and not ready else None
        if valid and ready:
            assert got < len(expected), f"{name}.o gives a beat too many in cycle {cycle}"
            assert payload == int(expected[got], 16), (
                f"beat {got} of {name}.o is {payload:#x}, not {expected[got]}")
            got += 1
        taken = offered and bool(i_ready.value)

        # Beats too many would come soon after the last one.
        rest -= got == len(expected) and sent == len(given)
        if not rest:
            return
    raise AssertionError(f"after {task['deadline']} cycles {name}.i had taken {sent} of "
                         f"{len(given)} beats, {name}.o given {got} of {len(expected)}")


@cocotb.test()
async def bundle(dut):
    """Drive all units of a bundle at once."""
    task = read_task()
    await start(dut)
    for bench in [cocotb.start_soon(drive(dut, name, given, expected, task))
                  for name, (given, expected) in task["units"].items()]:
        await bench


@cocotb.test()
async def axi(dut):
    """Send frames through an AXI-Stream top, and see that they end where they should."""
    task = read_task()
    rng = random.Random(task["seed"])
    pauses = [iter(lambda: rng.random() < task["density"], None) for _ in range(2)]
    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    source.set_pause_generator(pauses[0])
    sink.set_pause_generator(pauses[1])
    await start(dut)
    await run_frames(source, sink, task["frames"], task["deadline"])
    await ClockCycles(dut.clk, 50)
    assert sink.empty() and source.empty(), "more comes out, or less goes in, than should"
