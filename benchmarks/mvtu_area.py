"""Area of one matrix unit on xc7, by Yosys, beside the published figures of FINN's.

    python benchmarks/mvtu_area.py [--only TEXT]

Sites are LUT sites of everything but the memories of weights and row constants (which stay
outside as black boxes): dot products, accumulators, comparison, control, replay memory, output
FIFO. Levels are LUTs on the longest path from register to register, with carry cells beside.
FINN's LUTs are of Vivado, on a ZU3EG, of its HLS and its plain RTL unit.
"""

import argparse
import sys
import time

import numpy as np
from amaranth import unsigned
from netlist import synthesize

from quinnoa.rtl.families import XC7
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR, range_of
from quinnoa.rtl.thresholds import Thresholds

W4 = unsigned(4)
ROWS = [
    # x, w, PE, SIMD, MH, MW, thresholds a row, FINN's LUTs
    (BIPOLAR, BIPOLAR, 16, 64, 1024, 1024, 1, ""),
    (BIPOLAR, BIPOLAR, 16, 16, 256, 256, 0, "1,494 / 993"),
    (BIPOLAR, BIPOLAR, 32, 32, 256, 256, 0, "2,950 / 2,142"),
    (W4, BIPOLAR, 32, 32, 256, 256, 0, "11,700 / 13,133"),
    (W4, W4, 32, 32, 256, 256, 0, "29,804 / 28,115"),
]


def unit(x_shape, w_shape, pe, simd, mh, mw, steps):
    """Make an MVTU of random weights, with thresholds in the middle of its sums."""
    rng = np.random.default_rng(0)
    low, high = range_of(w_shape)
    weights = (rng.choice([-1, 1], (mh, mw)) if w_shape is BIPOLAR
               else rng.integers(low, high + 1, (mh, mw)))
    thresholds = Thresholds(rng.integers(-64, 65, (mh, steps)), BIPOLAR) if steps else None
    return MVTU(weights, pe=pe, simd=simd, x_shape=x_shape, w_shape=w_shape,
                thresholds=thresholds, memory="block", family=XC7)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose text contains this")
    args = parser.parse_args()
    print("| bits in x weight | PE x SIMD | matrix | thresholds | LUT sites | a product | FF |"
          " levels + carries | FINN HLS / RTL | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for x_shape, w_shape, pe, simd, mh, mw, steps, finn in ROWS:
        bits = " x ".join("1" if s is BIPOLAR else str(s.width) for s in (x_shape, w_shape))
        row = f"| {bits} | {pe} x {simd} | {mh} x {mw} | {steps} |"
        if args.only not in row:
            continue
        start = time.perf_counter()
        netlist = synthesize(unit(x_shape, w_shape, pe, simd, mh, mw, steps),
                             without=["weights", *(["start"] if steps else [])])
        kinds, (levels, carries) = netlist.kinds(), netlist.longest()
        registers = sum(count for kind, count in kinds.items() if kind.startswith("FD"))
        print(row, f"{netlist.sites()} | {netlist.sites() / (pe * simd):.3f} | {registers} | "
                   f"{levels} + {carries} | {finn} | {time.perf_counter() - start:.0f} |",
              flush=True)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)            # a path is walked cell by cell
    main()
