"""Estimated resources beside those of Yosys: how far off, by kind of unit and for whole designs.

    python benchmarks/estimates.py [--family xc7] [--set held] [--rows]
    python benchmarks/estimates.py --shares
    python benchmarks/estimates.py --designs [--only NAME] [--synthesize]

Units are the rows of ``graph/calibration.csv``: those of the set "held" no coefficient was fitted
on. ``--rows`` prints each; ``--shares`` how many are within 10 %, family by family. Designs are the
published topologies at their published folds; what Yosys makes of them is in the table, too, and
made anew with ``--synthesize``, which takes minutes for each. ``--speed`` prints how many folds are
estimated in a second.
"""

import argparse
import time
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
from calibrate import Row, read_table, synthesize
from topologies import TABLE, network

import quinnoa
from quinnoa.graph.build import assemble
from quinnoa.graph.fold import fold_from_file
from quinnoa.graph.lanes import axes
from quinnoa.graph.layers import Fold, Layer
from quinnoa.graph.network import Network
from quinnoa.graph.resources import (
    Resources,
    estimate,
    layer_resources,
    relay_resources,
    unit_resources,
)
from quinnoa.graph.units import Plan, plan
from quinnoa.rtl.families import FAMILIES
from tests.cnn_models import cnv
from tests.graph.configurations import resources_of

DESIGNS = ("TFC", "LFC", "NID", "KWS", "CNV")
FOLDS = Path(__file__).with_name("folds")


def off(row: Row, need: Resources) -> tuple[float, float, int]:
    """Return the relative errors of LUT and FF, and how many 18 kbit block RAMs too many."""
    return (need.lut / max(row["lut"], 1) - 1, need.ff / max(row["ff"], 1) - 1,
            round(2 * need.bram36) - row["halves"])


def units(family: str, which: str, rows: bool) -> None:
    """Print the errors of all units of a set."""
    errors = defaultdict(list)
    for row in read_table():
        if row["family"] != family or row["set"] != which:
            continue
        need = resources_of(row["kind"], row["params"], family)
        errors[row["kind"]].append(off(row, need))
        errors["all"].append(off(row, need))
        if rows:
            lut, ff, halves = off(row, need)
            print(f"{row['kind']} {row['params']}: LUT {need.lut}, Yosys {row['lut']} ({lut:+.1%}),"
                  f" FF {need.ff}, Yosys {row['ff']} ({ff:+.1%}), block RAMs {halves:+d}")
    print(f"Units of the set {which}, {family}: errors of LUT and FF, and block RAMs of 18 kbit.\n")
    print("| kind | units | LUT median | 90 % below | worst | within 10 % | FF median | worst |"
          " block RAM exact |\n|---|---|---|---|---|---|---|---|---|")
    for kind, found in sorted(errors.items(), key=lambda item: (item[0] == "all", item[0])):
        lut, ff, halves = (np.abs(column) for column in np.array(found).T)
        print(f"| {kind} | {len(found)} | {np.median(lut):.1%} | {np.percentile(lut, 90):.1%} | "
              f"{lut.max():.1%} | {(lut <= 0.1).mean():.0%} | {np.median(ff):.1%} | "
              f"{ff.max():.1%} | {(halves == 0).mean():.0%} |")


def shares() -> None:
    """Print for every family and set the share of units whose LUTs are within 10 %."""
    print("| family | set | units | LUT within 10 % | LUT median | block RAM exact |")
    print("|---|---|---|---|---|---|")
    table = read_table()
    for family, which in product(FAMILIES, ("fit", "held")):
        found = [off(row, resources_of(row["kind"], row["params"], family)) for row in table
                 if (row["family"], row["set"]) == (family, which)]
        if found:
            lut, _, halves = (np.abs(column) for column in np.array(found).T)
            print(f"| {family} | {which} | {len(found)} | {(lut <= 0.1).mean():.0%} | "
                  f"{np.median(lut):.1%} | {(halves == 0).mean():.0%} |")


def design(name: str) -> Network:
    """Return a published topology at its published folds; random weights."""
    if name == "CNV":
        return fold_from_file(quinnoa.load(cnv(1, 1)), FOLDS / "cnv_w1a1.toml")
    _, widths, folds, bits, _, _ = next(row for row in TABLE if row[0] == name)
    return network(widths, folds, bits)


def needed(planned: Plan, family: str) -> Resources:
    """Sum the estimates of all units of a plan."""
    total = Resources()
    for unit in planned.units:
        if unit.layer is None:
            total += unit_resources(unit.component, family)
            continue
        writable = "writes" in unit.component.signature.members
        total += layer_resources(unit.layer, unit.layer.fold, family, writable)
        if writable:
            total += relay_resources(planned.words, 1, family)
    return total


def designs(family: str, only: str, anew: bool) -> None:
    """Print the errors of whole designs."""
    print("| design | LUT estimated | Yosys | off | FF estimated | Yosys | off | BRAM36 estimated |"
          " Yosys | s |\n|---|---|---|---|---|---|---|---|---|---|")
    known = {row["kind"]: row for row in read_table()
             if row["set"] == "design" and row["family"] == family}
    for name in DESIGNS:
        if only not in name or not (anew or name in known):
            continue
        planned = plan(design(name), FAMILIES[family])
        if anew:
            found = synthesize([assemble(planned)], family)[0].as_dict()
            row = {"lut": found["lut"], "ff": found["ff"], "halves": round(2 * found["bram36"])}
        else:
            row = known[name]
        started = time.perf_counter()
        need = needed(planned, family)
        seconds = time.perf_counter() - started
        lut, ff, _ = off(row, need)
        print(f"| {name} | {need.lut} | {row['lut']} | {lut:+.1%} | {need.ff} | {row['ff']} | "
              f"{ff:+.1%} | {need.bram36:g} | {row['halves'] / 2:g} | {seconds:.1f} |", flush=True)


def folds_of(layer: Layer) -> list[Fold]:
    """Return all folds of a layer that pad nothing."""
    keys = [axis.key for axis in axes(layer)]
    return [Fold(**dict(zip(keys, values, strict=True)))
            for values in product(*(axis.choices for axis in axes(layer)))]


def speed(family: str, only: str) -> None:
    """Print how fast all folds of a design's layers are estimated."""
    print("| design | folds | at first, a second | trees known | asked again |")
    print("|---|---|---|---|---|")
    for name in DESIGNS:
        if only not in name:
            continue
        todo = [(layer, fold) for layer in design(name).layers for fold in folds_of(layer)]
        rates = []
        for forget in (True, True, False):
            if forget:
                estimate.cache_clear()
            started = time.perf_counter()
            for layer, fold in todo:
                estimate(layer, fold, family)
            rates.append(len(todo) / (time.perf_counter() - started))
        print(f"| {name} | {len(todo)} | " + " | ".join(f"{rate:,.0f}" for rate in rates) + " |",
              flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--family", default="xc7")
    parser.add_argument("--set", default="held", choices=("fit", "held"))
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--shares", action="store_true")
    parser.add_argument("--designs", action="store_true")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--synthesize", action="store_true")
    args = parser.parse_args()
    if args.shares:
        shares()
    elif args.speed:
        speed(args.family, args.only)
    elif args.designs:
        designs(args.family, args.only, args.synthesize)
    else:
        units(args.family, args.set, args.rows)


if __name__ == "__main__":
    main()
