"""The cocotb bench of a bare top: frames by AXI-Stream, what the core holds by AXI4-Lite."""

import random

import cocotb
from cocotb.triggers import ClockCycles
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiStreamBus,
    AxiStreamSink,
    AxiStreamSource,
)

from quinnoa.sim.bench import read_task, run_frames, start

CONTENTS = 0x10000


@cocotb.test()
async def bare(dut):
    """Read the registers, run frames, write the contents, and run frames again."""
    task = read_task()
    rng = random.Random(task["seed"])

    def pauses():
        return iter(lambda: rng.random() < task["density"], None)

    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    master = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axilite"), dut.clk, dut.rst)
    for channel in (source, sink, master.write_if.aw_channel, master.write_if.w_channel,
                    master.write_if.b_channel, master.read_if.ar_channel,
                    master.read_if.r_channel):
        channel.set_pause_generator(pauses())
    await start(dut)
    for address, expected in task["registers"]:
        found = await master.read_dword(address)
        assert found == expected, f"register {address:#x} reads {found:#x}, not {expected:#x}"
    await run_frames(source, sink, task["before"], task["deadline"])

    # A word of which not all four bytes are written stays as it is, as do the registers.
    await master.write_dwords(CONTENTS, task["words"])
    await master.write(CONTENTS + 1, bytes([task["words"][0] >> 8 & 0xFF ^ 0xFF]))
    await master.write_dwords(0, [0] * 6)
    await ClockCycles(dut.clk, task["patience"])
    await run_frames(source, sink, task["after"], task["deadline"])
    await ClockCycles(dut.clk, 50)
    assert sink.empty() and source.empty(), "more comes out, or less goes in, than should"
