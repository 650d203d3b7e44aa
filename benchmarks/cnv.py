"""CNV at FINN's published folds: cycles and latency on the RTL, area by Yosys.

Usage: ``python benchmarks/cnv.py [--bits W1A1|W1A2|W2A2] [--frames N] [--area] [--model FILE]``.
Random weights, unless a model is given. ``--area`` synthesises the whole accelerator for xc7, which
takes some minutes.
"""

import argparse
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import quinnoa
from quinnoa.graph.build import build
from quinnoa.graph.fold import fold_from_file
from quinnoa.rtl.families import XC7
from tests.cnn_models import cnv

FOLDS = Path(__file__).with_name("folds")
# Cycles a frame and latency in cycles that FINN was measured at, LUT and BRAM36 of its design.
FINN = {"W1A1": "32,894–33,113 cycles a frame, latency 151,180; 26,072 LUT, 124 BRAM36 with shell",
        "W1A2": "116,279 cycles a frame; 40,321 LUT, 131.5 BRAM36",
        "W2A2": "116,279 cycles a frame; 37,302 LUT, 140 BRAM36"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", choices=FINN, default="W1A1")
    parser.add_argument("--frames", type=int, default=4)
    parser.add_argument("--area", action="store_true")
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    folds = FOLDS / ("cnv_w1a1.toml" if args.bits == "W1A1" else "cnv_w2a2.toml")
    network = quinnoa.load(args.model or cnv(int(args.bits[1]), int(args.bits[3])))
    print(f"CNV {args.bits}; FINN: {FINN[args.bits]}")
    if args.area:
        area(network, folds)
    else:
        measure(network, folds, args.frames)


def measure(network, folds, frames):
    """Print cycles and latency, computed and measured, and the speed of the simulation."""
    port = network.head.port
    x = np.random.default_rng(0).random((frames, *port.dims[1:])).astype(port.dtype)
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        np.save(folder / "x.npy", x)
        started = time.perf_counter()
        report = quinnoa.compile_network(network, folder / "out", fold_file=folds)
        compiled = time.perf_counter() - started
        result = quinnoa.simulate(folder / "out", input=folder / "x.npy")
    cycles = frames * result["cycles_per_frame"] + result["latency"]
    print(f"bound {report['bound_cycles']:,}, RTL {result['cycles_per_frame']:,} cycles a frame; "
          f"latency {report['latency']:,} computed, {result['latency']:,} on the RTL; "
          f"{result['mismatches']} of {frames} frames differ from the model")
    print(f"compiled in {compiled:.1f} s; simulated in {result['seconds']:.0f} s, the build "
          f"included ({cycles / result['seconds']:,.0f} cycles a second)")


def area(network, folds):
    """Print the LUT sites and block RAMs of the whole accelerator."""
    from netlist import synthesize
    started = time.perf_counter()
    accelerator, _ = build(fold_from_file(network, folds), family=XC7)
    netlist = synthesize(accelerator)
    levels, carries = netlist.longest()
    print(f"{netlist.sites():,} LUT sites, {netlist.block_rams():g} BRAM36, "
          f"{levels} LUT levels + {carries} carries on the longest path, "
          f"in {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
