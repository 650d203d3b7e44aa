"""FINN's cost model beside our estimates and what Yosys makes of the same folds.

    python benchmarks/finn.py [--layers] [--only NAME]
    python benchmarks/finn.py --tincy

The designs are the published topologies at FINN's published folds, with random weights, for
7 Series. Yosys's figures are those of ``graph/calibration.csv``: whole designs, with the FIFOs and
width converters that FINN's model leaves out. ``--tincy`` prints the cycles of Tincy YOLO.
"""

import argparse

from calibrate import read_table
from estimates import DESIGNS, design, needed
from tincy_yolo import tincy_yolo

from quinnoa.graph.finn_cost import finn_cost
from quinnoa.graph.lanes import cycles
from quinnoa.graph.layers import Layer
from quinnoa.graph.network import Network
from quinnoa.graph.resources import layer_resources
from quinnoa.graph.units import plan
from quinnoa.rtl.families import FAMILIES

FAMILY = "xc7"
# What FINN's designs took once built, as far as it is published.
BUILT = {"CNV": "26,072 LUT, 248 BRAM18, with the shell", "NID": "7,073–8,667 LUT, 36–44 BRAM18"}


def size(layer: Layer) -> str:
    """Return the matrix or the kernel of a layer, and its fold."""
    fold = f"PE {layer.fold.pe}, SIMD {layer.fold.simd}"
    if hasattr(layer, "weights"):
        return f"{layer.weights.shape[0]} × {layer.weights.shape[1]}, {fold}"
    return fold


def layers(network: Network) -> None:
    """Print ours and FINN's figures of every layer."""
    print("| layer | fold | cycles | FINN | LUT | FINN | BRAM18 | FINN | accumulator, FINN |\n"
          "|---|---|---|---|---|---|---|---|---|")
    for layer, cost in zip(network.layers, finn_cost(network), strict=True):
        need = layer_resources(layer, layer.fold, FAMILY)
        print(f"| {layer.name} | {size(layer)} | {cycles(layer):,} | {cost.cycles:,} | "
              f"{need.lut:,} | {cost.lut:,} | {2 * need.bram36:g} | {cost.bram18} | "
              f"{cost.accumulator_bits or ''} |")
    print()


def designs(only: str, each: bool) -> None:
    """Print the figures of whole designs."""
    known = {row["kind"]: row for row in read_table()
             if row["set"] == "design" and row["family"] == FAMILY}
    rows = []
    for name in DESIGNS:
        if only not in name:
            continue
        network = design(name)
        if each:
            print(f"{name}\n")
            layers(network)
        need = needed(plan(network, FAMILIES[FAMILY]), FAMILY)
        costs = finn_cost(network)
        yosys = known.get(name)
        lut, halves = (f"{yosys['lut']:,}", yosys["halves"]) if yosys else ("", "")
        rows.append(
            f"| {name} | {max(map(cycles, network.layers)):,} | "
            f"{max(cost.cycles for cost in costs):,} | {need.lut:,} | {lut} | "
            f"{sum(cost.lut for cost in costs):,} | {2 * need.bram36:g} | {halves} | "
            f"{sum(cost.bram18 for cost in costs)} | {BUILT.get(name, '')} |")
    print("| design | cycles | FINN's model | LUT estimated | Yosys | FINN's model | "
          "BRAM18 estimated | Yosys | FINN's model | FINN, built |\n"
          "|---|---|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))


def tincy() -> None:
    """Print the cycles of Tincy YOLO at FINN's folds."""
    network = tincy_yolo()
    print("| layer | fold | cycles | FINN's model |\n|---|---|---|---|")
    for layer, cost in zip(network.layers, finn_cost(network), strict=True):
        if layer.kind == "mvtu":
            print(f"| {layer.name} | {size(layer)} | {cycles(layer):,} | {cost.cycles:,} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", action="store_true", help="each layer of every design, too")
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--tincy", action="store_true")
    args = parser.parse_args()
    if args.tincy:
        tincy()
    else:
        designs(args.only, args.layers)


if __name__ == "__main__":
    main()
