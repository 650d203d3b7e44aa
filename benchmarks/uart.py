"""The UART shell without a core: its area, and what part of the line's bits are those of frames.

    python benchmarks/uart.py [--frames N]

Frames of 784 bytes go to a core that gives all of them back, or their last four bytes alone, over
a pseudo-terminal and the Verilated shell, by the driver as it is. Of ten bits on the line, eight
are a byte's.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from amaranth import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.platforms.driver.uart import UARTTransport
from quinnoa.platforms.frames import FrameFormat
from quinnoa.platforms.uart import UARTShell
from quinnoa.sim import serial
from quinnoa.synthesis import Cells, synthesise
from quinnoa.verilog import to_verilog

BAUD, CLOCK_HZ = 3_000_000, 24_000_000
BYTES, LANES = 784, 4


class Ends(wiring.Component):
    """Gives the last ``beats`` beats of each frame."""

    def __init__(self, beats):
        self.first = BYTES // LANES - beats
        payload = data.ArrayLayout(unsigned(8), LANES)
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    def elaborate(self, platform):
        m = Module()
        n, gives = Signal(range(BYTES // LANES)), Signal()
        m.d.comb += [
            gives.eq(n >= self.first), self.o.payload.eq(self.i.payload),
            self.o.valid.eq(self.i.valid & gives), self.i.ready.eq(self.o.ready | ~gives),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += n.eq(n + 1)
            with m.If(n == BYTES // LANES - 1):
                m.d.sync += n.eq(0)
        return m


def shell(beats, clock_hz):
    """Return the Verilog of a shell around a core that gives so many beats a frame."""
    i_format, o_format = (FrameFormat.of(unsigned(8), lanes=LANES, beats=count, word_bits=32)
                          for count in (BYTES // LANES, beats))
    return to_verilog(UARTShell(Ends(beats), i_format, o_format, network_id=0x0123_4567_89AB_CDEF,
                                shape_id=0xFEDC_BA98_7654_3210, clock_hz=clock_hz, baud=BAUD),
                      name="shell")


def area(family, folder):
    """Print what the shell takes in a device family."""
    (folder / "shell.v").write_text(shell(BYTES // LANES, 100_000_000))
    cells = sum(synthesise("shell.v", top="shell", family=family, folder=folder,
                           outputs=["netlist.json"]).values(), Cells({})).as_dict()
    print(f"| {family} | {cells['lut']} | {cells['ff']} | {2 * cells['bram36']:g} |")


def line(frames, beats, folder):
    """Print what part of the line's bits are those of frames, and how much of the time it idles."""
    x = np.random.default_rng(0).integers(0, 256, (frames, BYTES), dtype=np.uint8)
    program = serial.build(shell(beats, CLOCK_HZ), "shell", folder)
    with serial.SerialLine(program) as way:
        transport = UARTTransport(way.port, BAUD, patience=1.0)
        before, down, up = transport.cycles(), way.bytes_down, way.bytes_up
        handles = [transport.submit(part, 60) for part in np.array_split(x, 8)]
        y = np.concatenate([transport.wait(each, 60) for each in handles])
        assert np.array_equal(y, x[:, -LANES * beats:])
        down, up = way.bytes_down - down, way.bytes_up - up
        cycles = transport.cycles().total - before.total
        transport.close()
    print(f"| {BYTES} | {LANES * beats} | {0.8 * x.size / down:.1%} | {0.8 * y.size / up:.1%} | "
          f"{10 * max(down, up) * CLOCK_HZ / BAUD / cycles:.1%} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=200)
    args = parser.parse_args()
    print("| family | LUT sites | FF | block RAM (18 kbit) |\n|---|---|---|---|")
    for family in ("ecp5", "xc7"):
        with tempfile.TemporaryDirectory() as folder:
            area(family, Path(folder))
    print("\n| bytes in | bytes out | frames, of the bits in | results, of the bits out | "
          "busiest way in use |\n|---|---|---|---|---|")
    for beats in (1, BYTES // LANES):
        with tempfile.TemporaryDirectory() as folder:
            line(args.frames, beats, Path(folder))


if __name__ == "__main__":
    main()
