"""Folding: PE and SIMD of every layer from a file, for frames a second, or for a device."""

import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from math import ceil
from pathlib import Path
from typing import Any

from quinnoa.errors import FoldError
from quinnoa.rtl.bank import STYLES, can_search

from .lanes import axes, cycles
from .layers import Depthwise, Fold, Layer, MatMul, Threshold, TopK, Window
from .network import Network
from .pixels import with_pixels
from .solver import least_cycles, solve_cycles, solve_fit
from .solver_costs import Pins
from .solver_solution import DEFAULT_BUDGET, Budget, Solution

__all__ = ["Budget", "DEFAULT_BUDGET", "MEMORIES", "check_fold", "cycles", "fold_for_cycles",
           "fold_for_fps", "fold_from_file", "fold_to_fit", "folds_as_toml", "least_cycles",
           "pins_from_file", "solve_cycles", "solve_fit", "solve_fps"]

MEMORIES = ("auto", "logic", "lutrom", "block")
# How thresholds are compared.
STEPS = ("auto", *STYLES)
# Of what windows are kept in.
WINDOW_MEMORIES = ("auto", "lutram", "block", "ultra")


def check_fold(layer: Layer, fold: Fold) -> None:
    """Refuse a fold that cannot be, with the arithmetic."""
    for axis in axes(layer):
        value, word, what = getattr(fold, axis.key), axis.key.upper(), axis.what
        if value < 1:
            raise FoldError(f"{layer.name}: {axis.key} is {value}, but must be at least 1")
        if value in axis.more:
            continue
        if value > axis.size:
            raise FoldError(f"{layer.name}: {word} is {value}, but {what} is only {axis.size}"
                            + "".join(f", or take {wide}" for wide in axis.more))
        if axis.size % value and not (axis.pads and fold.pad):
            near = axis.choices
            below = max(d for d in near if d < value)
            above = min(d for d in near if d > value)
            pads = (f", or pad = true (pads to {ceil(axis.size / value) * value})"
                    if axis.pads else "")
            raise FoldError(f"{layer.name}: {word} must divide {what}: {what} is {axis.size}, "
                            f"{word} is {value}; take {below} or {above}{pads}")
    memories = WINDOW_MEMORIES if isinstance(layer, Window) else MEMORIES
    if fold.memory not in memories:
        raise FoldError(f"{layer.name}: memory is {fold.memory!r}, but must be one of "
                        f"{', '.join(memories)}")
    if fold.steps not in STEPS:
        raise FoldError(f"{layer.name}: steps is {fold.steps!r}, but must be one of "
                        f"{', '.join(STEPS)}")
    thresholds = getattr(layer, "thresholds", None)
    if fold.steps == "search" and thresholds is not None and not can_search(thresholds):
        raise FoldError(f"{layer.name}: steps is 'search', but in some channel the activation both "
                        "rises and falls; take auto or parallel")


def fold_for_cycles(network: Network, target: int, *, family: str = "xc7",
                    budget: Budget = DEFAULT_BUDGET, pins: Pins | None = None,
                    writable: bool = False) -> Network:
    """Return the network in the cheapest folds that need at most ``target`` cycles a frame.

    See ``solver.solve_cycles``.
    """
    return solve_cycles(network, target, family=family, budget=budget, pins=pins,
                        writable=writable, steps=False).network


def fold_for_fps(network: Network, fps: float, clock_mhz: float, *, family: str = "xc7",
                 budget: Budget = DEFAULT_BUDGET, pins: Pins | None = None,
                 writable: bool = False) -> Network:
    """Return the network in the cheapest folds that reach ``fps`` frames/s at the clock."""
    return solve_fps(network, fps, clock_mhz, family=family, budget=budget, pins=pins,
                     writable=writable, steps=False).network


def solve_fps(network: Network, fps: float, clock_mhz: float, *, family: str = "xc7",
              budget: Budget = DEFAULT_BUDGET, pins: Pins | None = None,
              writable: bool = False, steps: bool = True) -> Solution:
    """Return the solution of the least shares of a budget that reaches ``fps`` frames/s."""
    if not fps > 0:
        raise FoldError(f"fps is {fps:g}, but must be above 0")
    if not clock_mhz > 0:
        raise FoldError(f"clock is {clock_mhz:g} MHz, but must be above 0")
    target = int(clock_mhz * 1e6 // fps)
    if target < 1:
        raise FoldError(f"{fps:g} frames/s at {clock_mhz:g} MHz leave less than one cycle a frame; "
                        f"the most is {clock_mhz * 1e6:g} frames/s")
    try:
        return solve_cycles(network, target, family=family, budget=budget, pins=pins,
                            writable=writable, steps=steps)
    except FoldError as error:
        raise FoldError(f"{fps:g} frames/s at {clock_mhz:g} MHz leave {target} cycles a frame: "
                        f"{error}") from None


def fold_to_fit(network: Network, budget: Budget, *, family: str = "xc7",
                pins: Pins | None = None, writable: bool = False) -> Network:
    """Return the network in the folds of the highest throughput that fit the budget.

    See ``solver.solve_fit``.
    """
    return solve_fit(network, budget, family=family, pins=pins, writable=writable,
                     steps=False).network


def fold_from_file(network: Network, path: Path) -> Network:
    """Return the network in the folds of a ``fold.toml``: a table a layer, named as the layer."""
    tables = _tables(path)
    network = _with_pixels_of(tables, network, path)
    _check_names(tables, network, path)
    layers = []
    for layer in network.layers:
        fold = _fold_of_table(f"{path}: [{layer.name}]", layer, tables.get(layer.name, {}))
        check_fold(layer, fold)
        layers.append(layer.folded(fold))
    return network.with_layers(layers)


def pins_from_file(network: Network, path: Path) -> Pins:
    """Return what a ``fold.toml`` pins: the keys that it has; the rest is left to the solver."""
    pins, tables = _tables(path), _tables(path)
    network = _with_pixels_of(tables, network, path)
    _check_names(tables, network, path)
    for layer in network.layers:
        table = tables.get(layer.name, {})
        fold = _fold_of_table(f"{path}: [{layer.name}]", layer, table)
        check_fold(layer, replace(Fold(memory=fold.memory, pad=True, steps=fold.steps), **{
            axis.key: table[axis.key] for axis in axes(layer) if axis.key in table},
            **({"pad": table["pad"]} if "pad" in table else {})))
    return pins


def _check_names(tables: dict[str, Any], network: Network, path: Path) -> None:
    known = {layer.name for layer in network.layers}
    for name in tables:
        if name not in known:
            raise FoldError(f"{path}: there is no layer {name}; the layers are "
                            f"{', '.join(sorted(known))}")


def _tables(path: Path) -> dict[str, Any]:
    """Read a fold file."""
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoldError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FoldError(f"{path}: not a fold file: {error}") from None


def _with_pixels_of(tables: dict[str, Any], network: Network, path: Path) -> Network:
    """Take the pixels at once out of the tables of a file; return the network with them."""
    pixels: dict[str, int] = {}
    for layer in network.layers:
        table = tables.get(layer.name)
        if isinstance(table, dict) and "pixels" in table and not isinstance(layer, Window):
            value = table.pop("pixels")
            if type(value) is not int:
                raise FoldError(f"{path}: [{layer.name}]: pixels = {value!r} is not of the right "
                                "type")
            pixels[layer.name] = value
    return with_pixels(network, pixels)


def _fold_of_table(where: str, layer: Layer, table: Any) -> Fold:
    """Make the fold of one table; keys that are not given stay as they are."""
    if not isinstance(table, dict):
        raise FoldError(f"{where}: must be a table, such as pe = 16")
    kinds: dict[str, Callable[[Any], bool]] = {
        "pe": lambda v: type(v) is int, "simd": lambda v: type(v) is int,
        "memory": lambda v: isinstance(v, str), "pad": lambda v: isinstance(v, bool),
        "steps": lambda v: isinstance(v, str)}
    keys = [axis.key for axis in axes(layer)]
    if isinstance(layer, MatMul | Depthwise | Threshold | TopK | Window):
        keys.append("memory")
    if any(axis.pads for axis in axes(layer)):
        keys.append("pad")
    if getattr(layer, "thresholds", None) is not None:
        keys.append("steps")
    kinds = {key: kinds[key] for key in keys}
    for key, value in table.items():
        if key not in kinds:
            raise FoldError(f"{where}: unknown key {key}; a {layer.kind} folds by "
                            f"{', '.join(kinds)}")
        if not kinds[key](value):
            raise FoldError(f"{where}: {key} = {value!r} is not of the right type")
    old = {f.name: getattr(layer.fold, f.name) for f in fields(Fold)}
    return Fold(**{**old, **table})


def folds_as_toml(network: Network) -> str:
    """Write the folds of all layers, to be edited and read again by ``fold_from_file``."""
    lines = ["# PE: rows or channels side by side. SIMD: columns side by side. memory: "
             + ", ".join(MEMORIES) + "; of windows " + ", ".join(WINDOW_MEMORIES) + ".",
             "# steps: how thresholds are compared: " + ", ".join(STEPS) + ".", ""]
    for layer in network.layers:
        fold = layer.fold
        lines.append(f"[{layer.name}]")
        if layer.pixels > 1 and not isinstance(layer, Window):
            lines.append(f"pixels = {layer.pixels}".ljust(16) + "# of a row, at once")
        for axis in axes(layer):
            of = (f"# of {axis.size} channels" if axis.what == "channels" else
                  f"# of {axis.what} = {axis.size}")
            lines.append(f"{axis.key} = {getattr(fold, axis.key)}".ljust(16) + of)
        if fold.memory != "auto":
            lines.append(f'memory = "{fold.memory}"')
        if fold.pad:
            lines.append("pad = true")
        if fold.steps != "auto":
            lines.append(f'steps = "{fold.steps}"')
        lines.append("")
    return "\n".join(lines)
