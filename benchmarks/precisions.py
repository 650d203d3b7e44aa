"""Tables II and III of the 2021 Brevitas/FINN benchmark: precisions against PE and SIMD.

    python benchmarks/precisions.py [--bits 2 3 4 …] [--folds 2/2 8/8 …] [-o PAGE.html]

The MLP 1024-64-64-64-10 with weights and activations of 2 to 8 bits, the same PE and SIMD in every
layer (PE of the last as far as its 10 rows let it). Table II: cycles a frame, from the Verilated
RTL, whose outputs are compared with the integer model. Table III: LUT sites, flip-flops and block
RAMs of Yosys' synthesis for the Zynq-7020. What was synthesised once is kept. With -o the same as
pictures, on a page.

Networks of 2, 3 and 4 bits are the trained ones of examples/mnist; the others have random weights
and thresholds. Published: "Benchmarking Quantized Neural Networks on FPGAs with FINN" (2021), A3W3
at 100 MHz; A4W4 at 16/16 did not fit the device.
"""

import argparse
from pathlib import Path

from topologies import network as random_network

import quinnoa
from quinnoa.graph.layers import Fold
from quinnoa.graph.units import plan
from quinnoa.platforms.parts import part_named
from quinnoa.plots import Axis, Chart, Limit, Mark, Series, page
from quinnoa.rtl.families import FAMILIES
from quinnoa.trial import simulated, synthesised, verilog_of

DEVICE = part_named("xc7z020")
CLOCK_MHZ = 100.0
WIDTHS = (1024, 64, 64, 64, 10)
EXAMPLES = Path(__file__).parent.parent / "examples" / "mnist"
FOLDS = ((2, 2), (8, 8), (8, 16), (16, 16))
# Cycles a frame that FINN was measured at (A3W3).
PUBLISHED = {(2, 2): 16_399, (8, 8): 1_036, (8, 16): 524, (16, 16): 268}
TRAINED = (2, 3, 4)


def network_of(bits, pe, simd):
    """Return the network of a precision, folded."""
    # The last layer has 10 rows: the largest divisor of them that PE allows.
    last = max(d for d in (1, 2, 5, 10) if d <= pe)
    folds = [(pe, simd)] * 3 + [(last, simd)]
    if bits not in TRAINED:
        return random_network(WIDTHS, folds, (bits, bits, bits)).renamed(f"mlp32_a{bits}w{bits}")
    network = quinnoa.load(EXAMPLES / f"mlp32_a{bits}w{bits}.onnx")
    return network.with_layers([layer.folded(Fold(*fold))
                                for layer, fold in zip(network.layers, folds, strict=True)])


def measure(bits, fold, frames):
    """Return what RTL simulation and synthesis say of one design."""
    network = network_of(bits, *fold)
    planned = plan(network, FAMILIES[DEVICE.family])
    verilog = verilog_of(network, planned)
    run = simulated(verilog, network, planned, frames=frames)
    area = synthesised(verilog, name=network.name, family=DEVICE.family)
    return {**area, **run, "bits": bits, "pe": fold[0], "simd": fold[1],
            "bound": planned.timing.cycles}


def fits(point):
    """Tell whether a design fits the device."""
    return point["lut"] <= DEVICE.lut and point["ff"] <= DEVICE.ff and (
        point["bram36"] <= DEVICE.bram36)


def head(folds):
    """Return the heading of a table: precisions down, folds across."""
    names = " | ".join(f"{pe}/{simd}" for pe, simd in folds)
    return f"| PE/SIMD | {names} |\n|---|{'---|' * len(folds)}"


def table_2(points, every, folds):
    """Return cycles a frame and frames a second."""
    lines = [head(folds)]
    for bits in every:
        cells = [points[bits, fold]["cycles_per_frame"] for fold in folds]
        lines.append(f"| A{bits}W{bits} | " + " | ".join(
            f"{cycles:,} ({CLOCK_MHZ * 1e6 / cycles:,.0f}/s)" for cycles in cells) + " |")
    cells = [PUBLISHED.get(fold) for fold in folds]
    lines.append("| FINN, published | " + " | ".join(
        f"{cycles:,} ({CLOCK_MHZ * 1e6 / cycles:,.0f}/s)" if cycles else "" for cycles in cells)
        + " |")
    return "\n".join(lines)


def table_3(points, every, folds):
    """Return LUT, FF and block RAMs; and whether a design fits."""
    lines = [head(folds)]
    for bits in every:
        cells = [f"{p['lut']:,} LUT, {p['ff']:,} FF, {p['bram36']:g} BRAM36"
                 + ("" if fits(p) else " (too large)")
                 for p in (points[bits, fold] for fold in folds)]
        lines.append(f"| A{bits}W{bits} | " + " | ".join(cells) + " |")
    if (16, 16) in folds:
        lines.append("| FINN, published | " + " | ".join(
            "A4W4 did not fit" if fold == (16, 16) else "" for fold in folds) + " |")
    return "\n".join(lines)


def charts(points, every, folds):
    """Return area against bits, and throughput against PE/SIMD."""
    bits_axis = Axis("bits of weights and activations",
                     ticks=tuple((bits, str(bits)) for bits in every))
    made = []
    for key, word, limit in (("lut", "LUT", DEVICE.lut), ("ff", "FF", DEVICE.ff),
                             ("bram36", "BRAM36", DEVICE.bram36)):
        series = [Series(f"PE/SIMD {pe}/{simd}", [
            Mark(bits, points[bits, (pe, simd)][key], f"A{bits}W{bits} at {pe}/{simd}: "
                 f"{points[bits, (pe, simd)][key]:,} {word}", fits(points[bits, (pe, simd)]))
            for bits in every]) for pe, simd in folds]
        made.append(Chart(f"{word} against bits", bits_axis, Axis(word, zero=True), series,
                          [Limit(limit, f"{DEVICE.name}: {limit:,}")]))
    places = sorted(folds, key=lambda fold: fold[0] * fold[1])
    fold_axis = Axis("PE/SIMD of every layer", ticks=tuple(
        (k, f"{pe}/{simd}") for k, (pe, simd) in enumerate(places)))

    def rates(cycles_of, word):
        return [Mark(k, CLOCK_MHZ * 1e6 / cycles, f"{word} at {pe}/{simd}: {cycles:,} cycles")
                for k, (pe, simd) in enumerate(places) if (cycles := cycles_of((pe, simd)))]

    # Cycles are those of the folds, whatever the bits.
    ours = rates(lambda fold: points[every[0], fold]["cycles_per_frame"], "Quinnoa, RTL")
    series = [Series("all precisions", ours), Series("FINN, A3W3, published", rates(
        PUBLISHED.get, "FINN"))]
    made.append(Chart(f"Throughput against PE/SIMD, {CLOCK_MHZ:g} MHz", fold_axis,
                      Axis("frames/s", log=True), series))
    return made


def fold_named(text):
    """Return (PE, SIMD) of text such as 8/16."""
    pe, simd = map(int, text.split("/"))
    if WIDTHS[1] % pe or WIDTHS[1] % simd:
        raise ValueError(text)
    return pe, simd


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bits", type=int, nargs="+", default=list(range(2, 9)),
                        choices=range(2, 9))
    parser.add_argument("--folds", type=fold_named, nargs="+", default=FOLDS)
    parser.add_argument("--frames", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path)
    args = parser.parse_args()
    points = {}
    for fold in args.folds:
        for bits in args.bits:
            point = points[bits, fold] = measure(bits, fold, args.frames)
            print(f"A{bits}W{bits} at {fold[0]}/{fold[1]}: {point['cycles_per_frame']:,} cycles, "
                  f"{point['lut']:,} LUT, {point['bram36']:g} BRAM36, {point['mismatches']} "
                  f"mismatches in {point['frames']} frames", flush=True)
    print(f"\nTable II: cycles a frame, of the Verilated RTL (frames/s at {CLOCK_MHZ:g} MHz)\n\n"
          f"{table_2(points, args.bits, args.folds)}\n\nTable III: area, of "
          f"{points[args.bits[0], args.folds[0]]['tool']}; an {DEVICE.name} has "
          f"{DEVICE.lut:,} LUT, {DEVICE.ff:,} FF, {DEVICE.bram36} BRAM36\n\n"
          f"{table_3(points, args.bits, args.folds)}\n")
    random = [bits for bits in args.bits if bits not in TRAINED]
    if random:
        print(f"Random weights: {', '.join(f'A{bits}W{bits}' for bits in random)}.")
    if args.output:
        args.output.write_text(page(
            "MLP 1024-64-64-64-10, 2 to 8 bits", "Cycles of the Verilated RTL, area of Yosys for "
            f"the {DEVICE.name}; filled marks fit it.", charts(points, args.bits, args.folds)))
    wrong = [p for p in points.values() if p["mismatches"] or p["cycles_per_frame"] != p["bound"]]
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
