"""Folding: PE and SIMD of every layer from a file, for frames a second, or for a device."""

import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import product
from math import ceil
from pathlib import Path
from typing import Any

from quinnoa.errors import FoldError

from .lanes import axes, cycles, fastest, i_lanes, o_lanes
from .layers import Depthwise, Fold, Layer, MatMul, Stream, Threshold, TopK, Window
from .network import Network
from .pixels import MOST, pixels_for, with_pixels
from .resources import Resources, converter_resources, layer_resources

__all__ = ["Budget", "MEMORIES", "check_fold", "cycles", "fold_for_cycles", "fold_for_fps",
           "fold_from_file", "fold_to_fit", "folds_as_toml", "least_cycles"]

MEMORIES = ("auto", "logic", "lutrom", "block")


@dataclass(frozen=True)
class Budget:
    """What a device offers, and the share of it that a design may take.

    The shares are FINN-R's 70 % of the LUTs (beyond which routing suffers), and 90 % of the block
    RAMs.
    """

    lut: int
    bram36: float
    lut_share: float = 0.70
    bram_share: float = 0.90

    def holds(self, need: Resources) -> bool:
        """Tell whether ``need`` fits."""
        return (need.lut <= self.lut * self.lut_share
                and need.bram36 <= self.bram36 * self.bram_share)

    def cost(self, need: Resources) -> float:
        """Weigh ``need`` as shares of the device."""
        return need.lut / (self.lut * self.lut_share) + need.bram36 / max(
            self.bram36 * self.bram_share, 1e-9)


# Where no device is named, block RAMs and LUTs weigh as they stand on a Zynq-7020.
DEFAULT_BUDGET = Budget(lut=53_200, bram36=140)


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
    if fold.memory not in MEMORIES:
        raise FoldError(f"{layer.name}: memory is {fold.memory!r}, but must be one of "
                        f"{', '.join(MEMORIES)}")


def _choices(layer: Layer, target: int) -> Iterator[Fold]:
    """Give every fold of a layer that keeps within ``target`` cycles a frame."""
    keys = [axis.key for axis in axes(layer)]
    for values in product(*(axis.choices for axis in axes(layer))):
        fold = _fold(dict(zip(keys, values, strict=True)), layer.fold.memory)
        if cycles(layer, fold) <= target:
            yield fold


def fold_for_cycles(network: Network, target: int, *, family: str = "xc7",
                    budget: Budget = DEFAULT_BUDGET) -> Network:
    """Return the network in the cheapest folds that need at most ``target`` cycles a frame.

    The choices of all layers of a stretch are enumerated, the width converters between neighbours
    included: a shortest path over (layer, fold). A stretch ends where a stream has several readers
    or a layer takes several: so the result is the optimum of the cost model for a chain; in other
    graphs each stretch is the cheapest behind those before it. A layer that cannot reach the target
    at a pixel a cycle takes several at once, as few as will do.
    """
    network = with_pixels(network, pixels_for(network, target))
    chosen: dict[str, Layer] = {}
    for stretch in _stretches(network):
        for layer in _fold_stretch(stretch, chosen, target, family, budget):
            chosen[layer.name] = layer
    return network.with_layers([chosen[layer.name] for layer in network.layers])


def _stretches(network: Network) -> list[list[tuple[Layer, tuple[str, ...]]]]:
    """Cut the network where a stream has several readers or a layer takes several streams."""
    readers = Counter(name for names in network.feeds for name in names)
    stretches: list[list[tuple[Layer, tuple[str, ...]]]] = []
    for layer, names in zip(network.layers, network.feeds, strict=True):
        last = stretches[-1][-1][0].name if stretches else None
        if names != (last,) or readers[names[0]] > 1:
            stretches.append([])
        stretches[-1].append((layer, names))
    return stretches


def _fold_stretch(stretch: list[tuple[Layer, tuple[str, ...]]], chosen: dict[str, Layer],
                  target: int, family: str, budget: Budget) -> list[Layer]:
    """Return the layers of a stretch in their cheapest folds, those before it being chosen."""
    # best: of the lanes given so far the cheapest way to everything up to here
    best: dict[int, tuple[float, list[Layer]]] = {0: (0.0, [])}
    for layer, names in stretch:
        choices = list(_choices(layer, target))
        if not choices:
            least = cycles(layer, fastest(layer))
            at_once = (f", {layer.pixels} pixel{'s' * (layer.pixels > 1)} at once"
                       if len(layer.i.dims) == 3 else "")
            raise FoldError(f"{layer.name} needs at least {least} cycles a frame, fully unrolled"
                            f"{at_once}: {target} cannot be reached")

        @lru_cache(maxsize=None)
        def between(given: int, taken: int, givers: tuple[Stream, ...]) -> float:
            return sum(budget.cost(converter_resources(stream, given, taken))
                       for stream in givers)

        reached: dict[int, tuple[float, list[Layer]]] = {}
        for fold in choices:
            own = budget.cost(layer_resources(layer, fold, family))
            taken = i_lanes(layer, fold)
            for given, (cost, way) in best.items():
                if way:
                    cost += between(given, taken, (way[-1].o,))
                else:
                    cost += sum(between(o_lanes(chosen[name]), taken, (chosen[name].o,))
                                for name in names if name)
                found = reached.get(o_lanes(layer, fold))
                if found is None or cost + own < found[0]:
                    reached[o_lanes(layer, fold)] = cost + own, [*way, layer.folded(fold)]
        best = reached
    return min(best.values(), key=lambda option: option[0])[1]


def _fold(sizes: dict[str, int], memory: str = "auto") -> Fold:
    return Fold(pe=sizes.get("pe", 1), simd=sizes.get("simd", 1), memory=memory)


def least_cycles(network: Network) -> int:
    """Return the cycles a frame that no folds of these layers can go below."""
    return max(cycles(layer, fastest(layer)) for layer in network.layers)


def fold_for_fps(network: Network, fps: float, clock_mhz: float, *, family: str = "xc7",
                 budget: Budget = DEFAULT_BUDGET) -> Network:
    """Return the network in the cheapest folds that reach ``fps`` frames/s at the clock."""
    if not fps > 0:
        raise FoldError(f"fps is {fps:g}, but must be above 0")
    if not clock_mhz > 0:
        raise FoldError(f"clock is {clock_mhz:g} MHz, but must be above 0")
    target = int(clock_mhz * 1e6 // fps)
    if target < 1:
        raise FoldError(f"{fps:g} frames/s at {clock_mhz:g} MHz leave less than one cycle a frame; "
                        f"the most is {clock_mhz * 1e6:g} frames/s")
    try:
        return fold_for_cycles(network, target, family=family, budget=budget)
    except FoldError as error:
        raise FoldError(f"{fps:g} frames/s at {clock_mhz:g} MHz leave {target} cycles a frame: "
                        f"{error}") from None


def fold_to_fit(network: Network, budget: Budget, *, family: str = "xc7") -> Network:
    """Return the network in the folds of the highest throughput that fit the budget.

    Bisects over the cycles that any fold of any layer can have; each trial is the cheapest way.
    Where a pixel a cycle fits everywhere, goes on with 2, 3, … pixels a cycle.
    """
    targets = sorted({cycles(layer, fold) for layer in network.layers
                      for fold in _choices(layer, 1 << 62)})
    least = least_cycles(network)
    targets = [target for target in targets if target >= least]

    def trial(target: int) -> tuple[Network, Resources]:
        folded = fold_for_cycles(network, target, family=family, budget=budget)
        return folded, network_resources(folded, family)

    low, high = 0, len(targets) - 1
    found, need = trial(targets[high])
    if not budget.holds(need):
        raise FoldError(
            f"the smallest design needs about {need.lut} LUT and {need.bram36:g} block RAMs, but "
            f"the device has {budget.lut} and {budget.bram36:g}, of which "
            f"{budget.lut_share:.0%} and {budget.bram_share:.0%} may be used; take a larger device "
            "or a smaller network")
    while low < high:
        middle = (low + high) // 2
        folded, need = trial(targets[middle])
        if budget.holds(need):
            found, high = folded, middle
        else:
            low = middle + 1
    if low == 0:
        for pixels in range(2, MOST + 1):
            try:
                folded, need = trial(least // pixels)
            except FoldError:
                break
            if not budget.holds(need):
                break
            found = folded
    return found


def network_resources(network: Network, family: str) -> Resources:
    """Sum what the layers and the width converters between them need."""
    total = Resources()
    layers = {layer.name: layer for layer in network.layers}
    for layer, names in zip(network.layers, network.feeds, strict=True):
        for name in names:
            if name:
                giver = layers[name]
                total += converter_resources(giver.o, o_lanes(giver), i_lanes(layer))
        total += layer_resources(layer, layer.fold, family)
    return total


def fold_from_file(network: Network, path: Path) -> Network:
    """Return the network in the folds of a ``fold.toml``: a table a layer, named as the layer."""
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoldError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FoldError(f"{path}: not a fold file: {error}") from None
    network = _with_pixels_of(tables, network, path)
    known = {layer.name for layer in network.layers}
    for name in tables:
        if name not in known:
            raise FoldError(f"{path}: there is no layer {name}; the layers are "
                            f"{', '.join(sorted(known))}")
    layers = []
    for layer in network.layers:
        fold = _fold_of_table(f"{path}: [{layer.name}]", layer, tables.get(layer.name, {}))
        check_fold(layer, fold)
        layers.append(layer.folded(fold))
    return network.with_layers(layers)


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
        "memory": lambda v: isinstance(v, str), "pad": lambda v: isinstance(v, bool)}
    keys = [axis.key for axis in axes(layer)]
    if isinstance(layer, MatMul | Depthwise | Threshold | TopK):
        keys.append("memory")
    if any(axis.pads for axis in axes(layer)):
        keys.append("pad")
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
             + ", ".join(MEMORIES) + ".", ""]
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
        lines.append("")
    return "\n".join(lines)
