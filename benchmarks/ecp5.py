"""Place and route for ECP5 by pip-installed tools: the clock and the area of a shipped network.

    python benchmarks/ecp5.py [MODEL] [--fold FILE] [--seeds N]

Yosys synthesises the AXI-Stream top for an LFE5U-85F, nextpnr places and routes it, its pins left
free. The clock that nextpnr reports is printed for each seed.
"""

import argparse
import tempfile
import time
from pathlib import Path

import quinnoa
from quinnoa.platforms.toolchains.ecp5 import place_and_route, read_report
from quinnoa.synthesis import synthesise


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    examples = Path(__file__).resolve().parents[1] / "examples" / "mnist"
    parser.add_argument("model", nargs="?", default=examples / "tfc_w1a1.onnx", type=Path)
    parser.add_argument("--fold", default=examples / "tfc_fold.toml", type=Path)
    parser.add_argument("--freq", default=150, type=int, help="MHz that nextpnr aims at")
    parser.add_argument("--seeds", default=1, type=int)
    args = parser.parse_args()

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        name = quinnoa.compile_network(quinnoa.load(args.model), folder, fold_file=args.fold,
                                       family="ecp5")["name"]
        started = time.perf_counter()
        synthesise(f"{name}.v", top=name, family="ecp5", folder=folder, outputs=["netlist.json"])
        synthesised = time.perf_counter() - started
        print("| network | seed | clock MHz | LUT | FF | block RAM | synthesis s | p&r s |")
        print("|---|---|---|---|---|---|---|---|")
        for seed in range(1, args.seeds + 1):
            started = time.perf_counter()
            report = place_and_route(
                ["--85k", "--package", "CABGA756", "--speed", "6", "--json", "netlist.json",
                 "--lpf-allow-unconstrained"],
                name=name, folder=folder, clock_mhz=args.freq, seed=seed)
            clock, area, _ = read_report(report, args.freq)
            print(f"| {name} | {seed} | {clock:.1f} | {area.lut} | {area.ff} | {area.bram36} | "
                  f"{synthesised:.0f} | {time.perf_counter() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
