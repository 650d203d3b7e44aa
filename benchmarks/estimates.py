"""Estimated LUT sites and block RAMs, layer by layer, beside those of Yosys for xc7.

Usage: ``python benchmarks/estimates.py [--only NAME]``. A unit is synthesised on its own.
"""

import argparse
import time

from netlist import synthesize
from topologies import TABLE, network

from quinnoa.graph.resources import layer_resources
from quinnoa.graph.units import plan_chain
from quinnoa.rtl.families import XC7


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="TFC")
    args = parser.parse_args()
    print("| network | layer | LUT estimated | Yosys | off | BRAM36 estimated | Yosys | s |")
    print("|---|---|---|---|---|---|---|---|")
    for name, widths, folds, bits, _, _ in TABLE:
        if args.only not in name:
            continue
        for unit in plan_chain(network(widths, folds, bits), XC7).units:
            if unit.layer is None:
                continue
            started = time.perf_counter()
            netlist = synthesize(unit.component)
            guess = layer_resources(unit.layer, unit.layer.fold, "xc7")
            lut, bram = netlist.sites(), netlist.block_rams()
            print(f"| {name} | {unit.name} | {guess.lut} | {lut} | {guess.lut / lut - 1:+.0%} | "
                  f"{guess.bram36} | {bram} | {time.perf_counter() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
