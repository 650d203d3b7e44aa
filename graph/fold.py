"""Folding: PE and SIMD of every layer from a file, for frames a second, or for a device."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from math import ceil
from pathlib import Path
from typing import Any

from quinnoa.errors import FoldError

from .layers import Fold, Layer, MatMul, TopK
from .network import Network
from .resources import Resources, converter_resources, layer_resources

__all__ = ["Budget", "MEMORIES", "cycles", "fold_for_cycles", "fold_for_fps", "fold_from_file",
           "fold_to_fit", "folds_as_toml"]

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


def cycles(layer: Layer, fold: Fold | None = None) -> int:
    """Return the folding bound of a layer: cycles a frame."""
    fold = fold or layer.fold
    vectors = layer.i.vectors
    if isinstance(layer, MatMul):
        # (MH / PE) * (MW / SIMD) cycles a vector
        mh, mw = layer.weights.shape
        return ceil(mh / fold.pe) * ceil(mw / fold.simd) * vectors
    return ceil(layer.i.channels / fold.pe) * vectors


def check_fold(layer: Layer, fold: Fold) -> None:
    """Refuse a fold that cannot be, with the arithmetic."""
    def refuse(word: str, value: int, size_word: str, size: int) -> None:
        if value < 1:
            raise FoldError(f"{layer.name}: {word.lower()} is {value}, but must be at least 1")
        if value > size:
            raise FoldError(f"{layer.name}: {word} is {value}, but {size_word} is only {size}")
        if size % value and not fold.pad:
            near = [d for d in _divisors(size)]
            below = max(d for d in near if d < value)
            above = min(d for d in near if d > value)
            raise FoldError(
                f"{layer.name}: {word} must divide {size_word}: {size_word} is {size}, {word} is "
                f"{value}; take {below} or {above}, or pad = true (pads to "
                f"{ceil(size / value) * value})")

    if isinstance(layer, MatMul):
        mh, mw = layer.weights.shape
        refuse("PE", fold.pe, "MH", mh)
        refuse("SIMD", fold.simd, "MW", mw)
    else:
        refuse("PE", fold.pe, "channels", layer.i.channels)
    if fold.memory not in MEMORIES:
        raise FoldError(f"{layer.name}: memory is {fold.memory!r}, but must be one of "
                        f"{', '.join(MEMORIES)}")


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def _choices(layer: Layer, target: int) -> Iterator[Fold]:
    """Give every fold of a layer that keeps within ``target`` cycles a frame."""
    old = layer.fold
    if isinstance(layer, MatMul):
        mh, mw = layer.weights.shape
        candidates = [Fold(pe, simd, old.memory) for pe in _divisors(mh) for simd in _divisors(mw)]
    else:
        candidates = [Fold(pe=pe, memory=old.memory) for pe in _divisors(layer.i.channels)]
    for fold in candidates:
        if cycles(layer, fold) <= target:
            yield fold


def fold_for_cycles(network: Network, target: int, *, family: str = "xc7",
                    budget: Budget = DEFAULT_BUDGET) -> Network:
    """Return the network in the cheapest folds that need at most ``target`` cycles a frame.

    All choices of all layers are enumerated, the width converters between neighbours included: a
    shortest path over (layer, fold), so the result is the optimum of the cost model.
    """
    # best[fold] = cost of the cheapest way to everything up to here, and that way
    best: dict[Fold | None, tuple[float, tuple[Fold, ...]]] = {None: (0.0, ())}
    before: Layer | None = None
    for layer in network.layers:
        choices = list(_choices(layer, target))
        if not choices:
            least = cycles(layer, _fastest(layer))
            raise FoldError(f"{layer.name} needs at least {least} cycles a frame, fully unrolled: "
                            f"{target} cannot be reached")
        reached: dict[Fold, tuple[float, tuple[Fold, ...]]] = {}
        own = {fold: budget.cost(layer_resources(layer, fold, family)) for fold in choices}
        # Neighbours see of a fold only its lanes: keep the best way to each lane count.
        for fold in choices:
            options = []
            for previous, (cost, way) in best.items():
                between = (Resources() if before is None or previous is None else
                           converter_resources(before.o, previous.pe, i_lanes(layer, fold)))
                options.append((cost + budget.cost(between), way))
            cost, way = min(options, key=lambda option: option[0])
            reached[fold] = cost + own[fold], (*way, fold)
        by_lanes: dict[int, Fold] = {}
        for fold, (cost, _) in reached.items():
            if fold.pe not in by_lanes or cost < reached[by_lanes[fold.pe]][0]:
                by_lanes[fold.pe] = fold
        best = {fold: reached[fold] for fold in by_lanes.values()}
        before = layer
    _, folds = min(best.values(), key=lambda option: option[0])
    return network.with_layers([layer.folded(fold)
                                for layer, fold in zip(network.layers, folds, strict=True)])


def _fastest(layer: Layer) -> Fold:
    if isinstance(layer, MatMul):
        mh, mw = layer.weights.shape
        return Fold(mh, mw)
    return Fold(layer.i.channels)


def i_lanes(layer: Layer, fold: Fold | None = None) -> int:
    """Return the lanes of the stream that a layer takes."""
    fold = fold or layer.fold
    return fold.simd if isinstance(layer, MatMul) else fold.pe


def o_lanes(layer: Layer, fold: Fold | None = None) -> int:
    """Return the lanes of the stream that a layer gives."""
    fold = fold or layer.fold
    return layer.k if isinstance(layer, TopK) else fold.pe


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
    """
    targets = sorted({cycles(layer, fold) for layer in network.layers
                      for fold in _choices(layer, 1 << 62)})
    slowest_fast = max(cycles(layer, _fastest(layer)) for layer in network.layers)
    targets = [target for target in targets if target >= slowest_fast]

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
    return found


def network_resources(network: Network, family: str) -> Resources:
    """Sum what the layers and the width converters between them need."""
    total = Resources()
    before = None
    for layer in network.layers:
        if before is not None:
            total += converter_resources(before.o, o_lanes(before), i_lanes(layer))
        total += layer_resources(layer, layer.fold, family)
        before = layer
    return total


def fold_from_file(network: Network, path: Path) -> Network:
    """Return the network in the folds of a ``fold.toml``: a table a layer, named as the layer."""
    try:
        tables = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoldError(f"{path}: there is no such file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FoldError(f"{path}: not a fold file: {error}") from None
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


def _fold_of_table(where: str, layer: Layer, table: Any) -> Fold:
    """Make the fold of one table; keys that are not given stay as they are."""
    if not isinstance(table, dict):
        raise FoldError(f"{where}: must be a table, such as pe = 16")
    kinds: dict[str, Callable[[Any], bool]] = {
        "pe": lambda v: type(v) is int, "simd": lambda v: type(v) is int,
        "memory": lambda v: isinstance(v, str), "pad": lambda v: isinstance(v, bool)}
    if not isinstance(layer, MatMul):
        del kinds["simd"]
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
        if isinstance(layer, MatMul):
            mh, mw = layer.weights.shape
            lines.append(f"pe = {fold.pe}".ljust(16) + f"# of MH = {mh}")
            lines.append(f"simd = {fold.simd}".ljust(16) + f"# of MW = {mw}")
            if fold.memory != "auto":
                lines.append(f'memory = "{fold.memory}"')
        else:
            lines.append(f"pe = {fold.pe}".ljust(16) + f"# of {layer.i.channels} channels")
        if fold.pad:
            lines.append("pad = true")
        lines.append("")
    return "\n".join(lines)
