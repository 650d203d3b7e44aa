"""FINN's figures beside ours: what its cost model says of a network, added to the report."""

from pathlib import Path
from typing import Any

from quinnoa.graph.finn_cost import finn_cost
from quinnoa.graph.network import Network

__all__ = ["add_finn", "add_finn_to_folder"]


def add_finn(report: dict[str, Any], network: Network) -> None:
    """Add FINN's estimates for the layers, in their folds, and for the whole."""
    costs = {cost.name: cost for cost in finn_cost(network)}
    for layer in report["layers"]:
        if cost := costs.get(layer["name"]):
            layer["finn"] = {"cycles": cost.cycles, "lut": cost.lut, "bram18": cost.bram18}
            if cost.accumulator_bits is not None:
                layer["finn"]["accumulator_bits"] = cost.accumulator_bits
    report["finn"] = {"cycles": max((cost.cycles for cost in costs.values()), default=0),
                      "lut": sum(cost.lut for cost in costs.values()),
                      "bram18": sum(cost.bram18 for cost in costs.values())}


def add_finn_to_folder(folder: Path) -> None:
    """Add FINN's estimates to the report of a compiled folder."""
    from quinnoa.folder import load_folder, write
    from quinnoa.report import read
    report, _ = read(folder)
    network, _ = load_folder(folder)
    add_finn(report, network)
    write(folder / "report.json", report)
