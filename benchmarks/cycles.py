"""Cycles a frame, measured on the Verilated RTL, beside the folding bound and FINN's figures.

    python benchmarks/cycles.py [--frames N] [--only NAME]

Random inputs stream through each published network at its published folds; the outputs are
compared with the integer model, the cycles with the bound and with what the schedules say.
"""

import argparse
import time

import numpy as np
from topologies import TABLE, network

from quinnoa.graph.build import assemble
from quinnoa.graph.units import plan
from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.packing import pack, unpack
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.shapes import is_bipolar, range_of
from quinnoa.sim.verilator import simulate
from quinnoa.verilog import to_verilog


def measure(widths, folds, bits, frames):
    """Return cycles a frame and latency, of the schedules and of the RTL, and the mismatches."""
    net = network(widths, folds, bits)
    planned = plan(net, GENERIC)
    accelerator = assemble(planned)
    top = AxiStream(accelerator, beats_in=planned.beats_in, beats_out=planned.beats_out)
    verilog = to_verilog(top, name="accelerator")
    shape = net.layers[0].i.shape
    rng = np.random.default_rng(1)
    low, high = range_of(shape)
    x = (rng.choice([-1, 1], (frames, widths[0])) if is_bipolar(shape)
         else rng.integers(low, high + 1, (frames, widths[0])))
    run = simulate(verilog, "accelerator", pack(x, shape, lanes=planned.i_lanes), frames=frames,
                   beats_in=planned.beats_in, beats_out=planned.beats_out)
    got = unpack(run.words, accelerator.o.payload.shape().elem_shape, lanes=planned.o_lanes,
                 elements=widths[-1])
    expected = x
    for unit in planned.units:
        if unit.layer is not None:
            expected = unit.component.model(expected)
    wrong = int((got != expected).any(axis=1).sum())
    return planned.timing, run, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    print("| network | folds (PE, SIMD) | bound | schedule | RTL | FINN | latency schedule | RTL |"
          " mismatches | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    failures = 0
    for name, widths, folds, bits, bound, finn in TABLE:
        if args.only not in name:
            continue
        started = time.perf_counter()
        timing, run, wrong = measure(widths, folds, bits, args.frames)
        failures += wrong > 0 or run.cycles_per_frame != bound
        print(f"| {name} | {' '.join(f'({pe}, {simd})' for pe, simd in folds)} | {bound:,} | "
              f"{timing.cycles:,} | {run.cycles_per_frame:,} | {finn} | {timing.latency:,} | "
              f"{run.latency:,} | {wrong} of {args.frames} | {time.perf_counter() - started:.0f} |",
              flush=True)
    raise SystemExit(1 if failures else 0)


if __name__ == "__main__":
    main()
