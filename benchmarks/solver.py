"""The solver against FINN's published folds, on a Zynq-7020 at 100 MHz, and its own speed.

Usage: ``python -m benchmarks.solver [--synthesis] [--resnet]``. Of every network four designs, all
through this generator: in FINN's folds; the solver's for the same cycles, of the least share of
the device, and of no more LUTs nor block RAMs than FINN's folds take; and the one that fills the
device, its FIFOs counted. ``--synthesis`` has Yosys count those of TFC and NID; ``--resnet`` solves
a ResNet-50.
"""

import argparse
import time
from pathlib import Path

import quinnoa
from benchmarks.topologies import TABLE, network
from quinnoa.graph.build import build
from quinnoa.graph.fold import fold_from_file
from quinnoa.graph.lanes import cycles
from quinnoa.graph.solver import DEFAULT_BUDGET, Budget, plan_of, solve_cycles, solve_fit
from quinnoa.graph.solver_costs import Terms, ends_resources, network_resources
from quinnoa.graph.solver_solution import plan_resources
from quinnoa.rtl.families import XC7
from tests.cnn_models import cnv, resnet50

CLOCK = 100e6
FOLDS = Path(__file__).with_name("folds")
# Frames a second that FINN was measured at, at 100 MHz; NID: from its simulated 72 cycles a frame.
FINN = {"TFC": 958_000, "LFC": 168_000, "CNV W1A1": 3_040, "NID 64": CLOCK / 72,
        "NID 80": CLOCK / 72}
SYNTHESISED = ("TFC", "NID 64", "NID 80")


def networks():
    """Yield the networks in FINN's folds, by name."""
    yield from ((name, network(widths, folds, bits)) for name, widths, folds, bits, _, _ in
                (TABLE[0], TABLE[1]))
    net = quinnoa.load(cnv(1, 1))
    yield "CNV W1A1", fold_from_file(net, FOLDS / "cnv_w1a1.toml")
    for _, widths, folds, bits, bound, _ in TABLE[3:5]:
        yield f"NID {bound}", network(widths, folds, bits)


def timed(solve, *args, **options):
    """Return what a function returns, and the processor's seconds that it took."""
    started = time.process_time()
    result = solve(*args, **options)
    return result, time.process_time() - started


def row(name, what, folded, seconds=None, synthesise=False):
    """Print a design: its cycles, its cost alone, with a shell's converters, and with FIFOs."""
    bound = max(map(cycles, folded.layers))
    bare = network_resources(folded, Terms())
    ended = bare + ends_resources(folded, Terms())
    need, buffers = plan_resources(plan_of(folded, "xc7"), "xc7")
    figures = "".join(f" {each.lut:7,} {each.bram36:6g} {DEFAULT_BUDGET.cost(each):6.1%}"
                      for each in (bare, ended, need + buffers))
    line = (f"{name:9} {what:22} {bound:7,} {CLOCK / bound:12,.0f}{figures} "
            + (f"{seconds:6.1f} s" if seconds is not None else " " * 8))
    if synthesise:
        from benchmarks.netlist import synthesize
        netlist = synthesize(build(folded, family=XC7)[0])
        line += f" {netlist.sites():7,} {netlist.block_rams():6g}"
    print(line, flush=True)
    return bare, ended, bound


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--synthesis", action="store_true")
    parser.add_argument("--resnet", action="store_true")
    args = parser.parse_args()
    print(f"{'':53}{'layers':^22}{'with a bus at the ends':^22}{'layers and FIFOs':^22}"
          f"{'':13}Yosys\n"
          "network   design                  cycles     frames/s" + "     LUT   BRAM  share" * 3
          + "   solved     LUT   BRAM")
    for name, finn in networks():
        yosys = args.synthesis and name in SYNTHESISED
        theirs, theirs_ended, bound = row(name, "FINN's folds", finn, synthesise=yosys)
        same, seconds = timed(solve_cycles, finn, bound)
        ours, ours_ended, _ = row(name, "as fast, least area", same.network, seconds, yosys)
        within = Budget(theirs_ended.lut, theirs_ended.bram36, 1.0, 1.0)
        both, seconds = timed(solve_cycles, finn, bound, budget=within, steps=False)
        row(name, "no more of either", both.network, seconds)
        most, seconds = timed(solve_fit, finn, DEFAULT_BUDGET, steps=False)
        _, _, fastest = row(name, "the whole device", most.network, seconds)
        no_larger = within.holds(both.whole) and all(
            DEFAULT_BUDGET.cost(mine) <= DEFAULT_BUDGET.cost(other)
            for mine, other in ((ours, theirs), (ours_ended, theirs_ended)))
        verdict = "no larger" if no_larger else "LARGER"
        print(f"          {verdict} than FINN's folds; {CLOCK / fastest / FINN[name]:.1f} times "
              f"the {FINN[name]:,.0f} frames/s that FINN was measured at\n")
    if args.resnet:
        net = quinnoa.load(resnet50())
        for target in (802_816, 200_704):
            solution, seconds = timed(solve_cycles, net, target, steps=False)
            print(f"ResNet-50 of {len(net.layers)} layers for {target:,} cycles a frame: "
                  f"{solution.need.lut:,} LUT, {solution.need.bram36:g} block RAMs; solved in "
                  f"{seconds:.1f} s")


if __name__ == "__main__":
    main()
