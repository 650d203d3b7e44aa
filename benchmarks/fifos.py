"""How long it takes to size the FIFOs of a 50-layer residual network at 224 x 224.

    python benchmarks/fifos.py [--cycles N] [--check]

The units are their schedules alone, folded for at most N cycles a frame, 4 bit activations. With
--check every FIFO is made one smaller in turn, and the graph simulated with that.
"""

import argparse
import time

import numpy as np
from amaranth import unsigned

from quinnoa.graph.fifos import size_fifos
from quinnoa.graph.layers import Stream
from quinnoa.graph.steady import Timer
from quinnoa.graph.timing import Edge, Flow
from quinnoa.graph.units import converters
from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.reduce import ReduceUnit
from quinnoa.rtl.schedule import Schedule
from quinnoa.rtl.swu import SWU

SHAPE = unsigned(4)


def divisors(n):
    """Return all divisors, ascending."""
    return [d for d in range(1, n + 1) if n % d == 0]


class Residual:
    """The network while it is laid; a stream is (unit, port, channels, lanes)."""

    def __init__(self, cycles):
        self.cycles, self.units, self.names, self.edges, self.widths = cycles, [], [], [], []

    def put(self, name, schedule, *streams):
        """Add a unit and the streams that it takes; return its number."""
        for port, (unit, o_port, _, lanes) in enumerate(streams):
            self.edges.append(Edge(unit, o_port, len(self.units), port))
            self.widths.append(4 * lanes)
        self.units.append(schedule)
        self.names.append(f"{name}{len(self.units) - 1}")
        return len(self.units) - 1

    def with_lanes(self, stream, lanes):
        """Convert a stream, unless it comes from the host."""
        unit, port, channels, given = stream
        vectors = Stream((channels,), SHAPE)
        if unit is not None:
            for made in converters(vectors, given, vectors, lanes):
                unit, port = self.put("width", made.schedule, (unit, port, channels, given)), 0
                given = made.o_lanes
        return unit, port, channels, lanes

    def fewest(self, channels, elements):
        """Return the fewest lanes that keep within the cycles."""
        return min(d for d in divisors(channels) if elements // d <= self.cycles)

    def window(self, stream, size, kernel, stride):
        """Lay a sliding window; return the windows and the new size."""
        channels, pad = stream[2], kernel // 2
        after = (size + 2 * pad - kernel) // stride + 1
        lanes = self.fewest(channels, max(size ** 2, (after * kernel) ** 2) * channels)
        swu = SWU(height=size, width=size, channels=channels, kernel=(kernel, kernel),
                  stride=(stride, stride), pads=(pad,) * 4, shape=SHAPE, lanes=lanes)
        unit = self.put("swu", swu.schedule, self.with_lanes(stream, lanes))
        return (unit, 0, kernel ** 2 * channels, lanes), after

    def product(self, stream, rows, vectors):
        """Lay a matrix unit with the fewest products side by side."""
        columns = stream[2]
        _, _, pe, simd = min(
            (pe * simd, abs(pe - simd), pe, simd) for pe in divisors(rows)
            for simd in divisors(columns)
            if rows // pe * (columns // simd) * vectors <= self.cycles)
        takes, gives = np.zeros((2, rows // pe, columns // simd), bool)
        takes[0], gives[:, -1] = True, True
        schedule = Schedule(takes.ravel(), gives.ravel(), 12, max(2, -(-15 * simd // columns)))
        unit = self.put("mvtu", schedule, self.with_lanes(stream, simd))
        return unit, 0, rows, pe

    def conv(self, stream, size, rows, kernel, stride):
        """Lay a window, where there is one, and a product."""
        if kernel > 1 or stride > 1:
            stream, size = self.window(stream, size, kernel, stride)
        return self.product(stream, rows, size ** 2), size

    def block(self, stream, size, channels, stride, plain):
        """Lay a bottleneck block; the short way is ``plain``, or a convolution."""
        fork = self.put("fork", ForkUnit(1, ways=2).schedule, stream)
        long, short = ((fork, port, *stream[2:]) for port in (0, 1))
        long, _ = self.conv(long, size, channels, 1, 1)
        long, after = self.conv(long, size, channels, 3, stride)
        long, _ = self.conv(long, after, 4 * channels, 1, 1)
        if not plain:
            short, _ = self.conv(short, size, 4 * channels, 1, stride)
        lanes = self.fewest(4 * channels, 4 * channels * after ** 2)
        add = AddUnit(multipliers=(1, 1), shapes=(SHAPE, SHAPE), channels=4 * channels, lanes=lanes)
        unit = self.put("add", add.schedule, self.with_lanes(long, lanes),
                        self.with_lanes(short, lanes))
        return (unit, 0, 4 * channels, lanes), after


def residual(cycles):
    """Return the flow of the network, and the bits of a beat of every stream."""
    net = Residual(cycles)
    stream, size = net.conv((None, 0, 3, 3), 224, 64, 7, 2)
    stream, size = net.window(stream, size, 3, 2)
    pool = ReduceUnit(op="max", vectors=9, channels=64, lanes=stream[3], shape=SHAPE)
    stream = net.put("pool", pool.schedule, stream), 0, 64, stream[3]
    for stage, count in enumerate((3, 4, 6, 3)):
        for k in range(count):
            stride = 2 if stage and not k else 1
            stream, size = net.block(stream, size, 64 << stage, stride, plain=bool(k))
    pool = ReduceUnit(op="sum", vectors=size ** 2, channels=2048, lanes=1, shape=SHAPE)
    stream = net.put("pool", pool.schedule, net.with_lanes(stream, 1)), 0, 2048, 1
    unit, port, rows, pe = net.product(stream, 1000, 1)
    beats_in = net.units[0].processes[0].takes.shape[1]
    flow = Flow(net.units, [*net.edges, Edge(unit, port, None, 0)], beats_in, rows // pe, net.names)
    return flow, [*net.widths, 4 * pe]


def smaller(depths):
    """Yield the depths with one FIFO made one smaller, each in turn; the least FIFO holds 2."""
    for k, depth in enumerate(depths):
        if depth:
            yield [*depths[:k], depth - 1 if depth > 2 else 0, *depths[k + 1:]]


def check(flow, depths, timing):
    """Print with how many FIFOs one smaller the graph is slower, by simulating each."""
    started, timer = time.perf_counter(), Timer(flow)
    late = [timer.settle(less, timing.cycles, timing.latency) is None for less in smaller(depths)]
    print(f"one smaller, the bottleneck stalls or the latency grows: {sum(late)} of {len(late)} "
          f"FIFOs ({time.perf_counter() - started:.0f} s)")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cycles", type=int, default=620_000)
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    flow, widths = residual(arguments.cycles)
    started, busy = time.perf_counter(), time.process_time()
    depths, timing = size_fifos(flow, widths)
    wall, cpu = time.perf_counter() - started, time.process_time() - busy
    print(f"{len(flow.schedules)} units, {sum(flow.beats):,} transfers a frame: {wall:.1f} s, "
          f"{cpu:.1f} s of them busy")
    print(f"bound {flow.bound:,}, cycles {timing.cycles:,}, latency {timing.latency:,}, "
          f"{sum(depth > 0 for depth in depths)} FIFOs, "
          f"{sum(d * w for d, w in zip(depths, widths, strict=True)) / 1024:,.0f} kbit")
    if arguments.check:
        check(flow, depths, timing)


if __name__ == "__main__":
    main()
