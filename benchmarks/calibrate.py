"""Syntheses of units by Yosys, and the coefficients of the estimates fitted on them.

    python benchmarks/calibrate.py extend --family xc7 --seed 7 --each 4 [--kind mvtu] [--set held]
                                      [--writable]
    python benchmarks/calibrate.py synthesize [--family xc7] [--kind mvtu]
    python benchmarks/calibrate.py fit

``extend`` draws random configurations and adds them to ``graph/calibration.csv``; ``synthesize``
makes the figures of the rows anew, but for whole designs. Both take 16 units a run of Yosys, and
keep what a unit came to in the cache folder, by the hash of its RTLIL. ``fit`` computes
``graph/calibration.json`` from the rows of the set "fit"; those of the set "held" are there to be
compared with.
"""

import argparse
import csv
import hashlib
import json
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from quinnoa.graph.components import component
from quinnoa.graph.cost.units import parts_of
from quinnoa.graph.resources import layer_parts
from quinnoa.native import cache_folder
from quinnoa.rtl.families import FAMILIES
from quinnoa.synthesis import RECIPES, Cells, run_yosys, yosys_version
from quinnoa.verilog import to_rtlil
from tests.graph.configurations import BETWEEN, KINDS, draw, layer_of, unit_between

__all__ = ["Row", "fitted", "parts_of_row", "read_table", "synthesize"]

GRAPH = Path(__file__).resolve().parents[1] / "graph"
TABLE, RESULT = GRAPH / "calibration.csv", GRAPH / "calibration.json"
FIGURES = ("lut", "ff", "halves", "dsp")
COLUMNS = ("set", "family", "kind", "params", *FIGURES)
BATCH = 16
# How much a coefficient of 1, as the structure has it, weighs beside a unit of the table.
PRIOR = 0.02
_PORT = re.compile(r"^  wire (?:width (\d+) )?(input|output) +\d+ +(?:signed )?\\(\S+)$", re.M)

Row = dict[str, Any]
# LUT sites by what they are for, exact ones, and the LUTs that Yosys makes of them all.
Unit = tuple[dict[str, float], float, int]


def read_table() -> list[Row]:
    """Return the rows of the table."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        return [{**row, "params": json.loads(row["params"]),
                 **{name: int(row[name]) for name in FIGURES}} for row in csv.DictReader(file)]


def write_table(rows: list[Row]) -> None:
    """Write the rows, sorted."""
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(sorted([*(str(row[name]) for name in COLUMNS[:3]),
                                 json.dumps(row["params"]), *(row[name] for name in FIGURES)]
                                for row in rows))


def _key(row: Row) -> tuple[str, ...]:
    """Return what tells a row from all others."""
    return row["set"], row["family"], row["kind"], json.dumps(row["params"])


def made(kind: str, params: dict[str, Any], family: str) -> Any:
    """Return the component of a configuration."""
    if kind in BETWEEN:
        return unit_between(kind, params)
    return component(layer_of(kind, params), FAMILIES[family],
                     writable=params.get("writable", False))


def _renamed(text: str, name: str) -> str:
    """Give the module ``unit`` of RTLIL, and those below it, another name."""
    return re.sub(r"(?<=\\)unit(?=[.\s])", name, text)


def _all_of(texts: list[str]) -> str:
    """Return a module with the units side by side, their ports its own."""
    lines, cells, index = ["module \\all_units"], [], 0
    for k, text in enumerate(texts):
        body = re.search(r"^module \\unit\n(.*?)^end\n", text, re.M | re.S)
        cells.append(f"  cell \\u{k} \\of_u{k}")
        for width, way, port in _PORT.findall(body[1]):
            lines.append(f"  wire width {width or 1} {way} {index} \\u{k}_{port}")
            cells.append(f"    connect \\{port} \\u{k}_{port}")
            index += 1
        cells.append("  end")
    return "\n".join([*lines, *cells, "end", ""])


def synthesize(units: list[Any], family: str) -> list[Cells]:
    """Synthesise components for a family, side by side; each is flat and keeps to itself."""
    texts = [to_rtlil(unit, name="unit") for unit in units]
    keys = [hashlib.sha256(repr((yosys_version(), RECIPES[family], text)).encode()).hexdigest()
            for text in texts]
    kept = cache_folder() / "cells"
    kept.mkdir(parents=True, exist_ok=True)
    new = {key: text for key, text in zip(keys, texts, strict=True) if not (kept / key).exists()}
    if new:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            for k, text in enumerate(new.values()):
                (folder / f"u{k}.il").write_text(_renamed(text, f"u{k}"))
            (folder / "all.il").write_text(_all_of(list(new.values())))
            run_yosys([
                *(f"read_rtlil u{k}.il" for k in range(len(new))), "read_rtlil all.il",
                "hierarchy -top all_units", "proc",
                *(f"setattr -mod -set keep_hierarchy 1 u{k}" for k in range(len(new))),
                "flatten", "rename -hide w:*[*", "opt_clean -purge",
                f"{RECIPES[family]} -top all_units", "tee -q -o cells.json stat -json",
            ], folder=folder)
            modules = json.loads((folder / "cells.json").read_text())["modules"]
            for k, key in enumerate(new):
                (kept / key).write_text(json.dumps(modules[f"\\u{k}"]["num_cells_by_type"]))
    return [Cells(json.loads((kept / key).read_text())) for key in keys]


def figures(rows: list[Row]) -> Iterator[Row]:
    """Give the rows, all of one family, with the figures of their units, batch by batch."""
    for start in range(0, len(rows), BATCH):
        batch = rows[start:start + BATCH]
        units = [made(row["kind"], row["params"], row["family"]) for row in batch]
        for row, cells in zip(batch, synthesize(units, batch[0]["family"]), strict=True):
            found = cells.as_dict()
            yield {**row, "lut": found["lut"], "ff": found["ff"],
                   "halves": round(2 * found["bram36"]), "dsp": found["dsp"]}


def parts_of_row(row: Row) -> tuple[str, Any]:
    """Return the kind and the parts of a row's unit."""
    if row["kind"] in BETWEEN:
        return parts_of(unit_between(row["kind"], row["params"]), row["family"])
    layer = layer_of(row["kind"], row["params"])
    return layer_parts(layer, layer.fold, row["family"],
                       writable=row["params"].get("writable", False))


def fitted(units: list[Unit], expected: dict[str, float]) -> dict[str, float]:
    """Return the coefficients of a kind, from parts, exact sites and the LUTs of each unit.

    Least squares of the relative errors, with a little weight on the coefficients ``expected``, 1
    where there are none. Units that are far off weigh less; so do those of which much is ROMs
    deeper than a LUT, which are hard to tell.
    """
    names = sorted({name for parts, _, _ in units for name in parts})
    matrix = np.array([[parts.get(name, 0) / lut for name in names] for parts, _, lut in units])
    wanted = np.array([1 - exact / lut for _, exact, lut in units])
    doubt = np.array([1 / (1 + 5 * (parts.get("deep", 0) + parts.get("nodes", 0)) / lut)
                      for parts, _, lut in units])
    before = np.array([expected.get(name, 1.0) for name in names])
    weights, found = doubt, before
    for _ in range(12):
        stacked = np.vstack([matrix * weights[:, None], PRIOR ** 0.5 * np.eye(len(names))])
        sides = np.concatenate([wanted * weights, PRIOR ** 0.5 * before])
        found = np.clip(np.linalg.lstsq(stacked, sides, rcond=None)[0], 0, 8)
        weights = doubt / np.sqrt(1 + ((matrix @ found - wanted) / 0.05) ** 2)
    return dict(zip(names, found.round(3).tolist(), strict=True))


def fit() -> None:
    """Write the coefficients of all kinds of all families.

    What is expected of a kind is what the family has in all kinds together. The LUTs of UltraScale+
    are those of 7 Series: it is fitted on the units of both.
    """
    units: dict[str, dict[str, list[Unit]]] = defaultdict(lambda: defaultdict(list))
    for row in read_table():
        if row["set"] == "fit" and row["lut"]:
            kind, parts = parts_of_row(row)
            for family in ("xc7", "xcup") if row["family"] == "xc7" else (row["family"],):
                units[family][kind].append((parts.lut, parts.exact, row["lut"]))
    result: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for family, kinds in sorted(units.items()):
        of_all = fitted([unit for rows in kinds.values() for unit in rows], {})
        for kind, rows in sorted(kinds.items()):
            result[family][kind] = fitted(rows, of_all)
            print(f"{family} {kind}: {len(rows)} units")
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def extend(args: argparse.Namespace) -> None:
    """Add random configurations to the table."""
    new: list[Row] = []
    there = {_key(row)[1:] for row in read_table()}
    for kind in [args.kind] if args.kind else KINDS:
        rng = np.random.default_rng([args.seed, KINDS.index(kind)])
        for _ in range(args.each):
            params = draw(kind, rng) | ({"writable": True} if args.writable else {})
            if args.family == "ecp5" and params.get("style") == "srl":
                continue                         # of Xilinx alone
            row = {"set": args.set, "family": args.family, "kind": kind, "params": params}
            if _key(row)[1:] not in there:
                new.append(row)
    made_of = list(figures(new))
    print(*made_of, sep="\n")
    write_table(read_table() + made_of)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("extend", "synthesize", "fit"))
    parser.add_argument("--family", choices=tuple(RECIPES), default="xc7")
    parser.add_argument("--set", choices=("fit", "held"), default="fit")
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--writable", action="store_true")
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.action == "fit":
        fit()
    elif args.action == "extend":
        extend(args)
    else:
        anew = list(figures([row for row in read_table() if row["family"] == args.family
                             and row["set"] != "design" and args.kind in (None, row["kind"])]))
        done = {_key(row) for row in anew}
        write_table([row for row in read_table() if _key(row) not in done] + anew)


if __name__ == "__main__":
    main()
