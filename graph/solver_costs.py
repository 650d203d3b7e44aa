# amaranth: UnusedElaboratable=no
"""Costs: what the solver reckons with: folds of a layer, and what stands between layers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import ceil
from typing import Any

import numpy as np
from amaranth import Shape

from quinnoa.rtl.bank import SEARCH_FROM, can_search

from .cost.streams import fork as fork_parts
from .lanes import Axis, axes, cycles, i_lanes, o_lanes
from .layers import Add, Depthwise, Fold, Layer, MatMul, Stream, Threshold, Window
from .network import Network
from .resources import Resources, calibrated, estimate, relay_resources
from .solver_widths import at_end, between

__all__ = ["Parts", "Pins", "Terms", "amounts", "choices", "ends_resources", "fork",
           "network_resources", "one_axis", "parts_of", "take"]

# By layer what its fold must have.
Pins = Mapping[str, Mapping[str, Any]]

# Folds that do more at once than this many times the least that is needed, and than so much, are
# not looked at: they could only save a width converter.
_SPARE, _SMALL = 4, 64
# With fewer steps than that there is nothing to search.
_FEW = 3
# Padded folds may do so many times the least.
_PADDED = 2


# A layer as it is laid: itself; or, where it is written, its sums and its steps apart.
Parts = tuple[Layer, ...]

# Addresses that writes are passed on with: no fewer than any network has.
_WORDS = 1 << 20


@dataclass(frozen=True)
class Terms:
    """What folds are reckoned for.

    Attributes
    ----------
    family : str
    writable : bool
        Weights and thresholds can be written at run time.
    ultra : bool
        Windows may be kept in UltraRAM, which is looked at, too.
    flips : bool
        Flip-flops are looked at, too.
    """

    family: str = "xc7"
    writable: bool = False
    ultra: bool = False
    flips: bool = False

    @property
    def weighed(self) -> list[int]:
        """Which of LUTs, halves of block RAM, UltraRAMs and flip-flops are looked at."""
        return [0, 1, *[2] * self.ultra, *[3] * self.flips]

    @property
    def resources(self) -> int:
        """How many are looked at."""
        return 2 + self.ultra + self.flips

    def costs(self, need: Resources) -> np.ndarray:
        """Return what is needed of all that are looked at."""
        return amounts(need)[self.weighed]


def amounts(need: Resources) -> np.ndarray:
    """Return LUTs, halves of block RAM, UltraRAMs and flip-flops."""
    return np.array([need.lut, 2 * need.bram36, need.uram, need.ff], float)


def parts_of(network: Network, terms: Terms) -> dict[str, Parts]:
    """Return what is laid of every layer, by its name; the same of the same network."""
    return _parts_of(network, terms.writable)


@lru_cache(maxsize=64)
def _parts_of(network: Network, writable: bool) -> dict[str, Parts]:
    if not writable:
        return {layer.name: (layer,) for layer in network.layers}
    from .writable import widened
    names = {layer.name for layer in network.layers}
    parts: dict[str, Parts] = {}
    for layer in widened(network).layers:
        name = layer.name if layer.name in names else layer.name.removesuffix("_steps")
        parts[name] = (*parts.get(name, ()), layer)
    return parts


def take(parts: Parts, fold: Fold, terms: Terms,
         of: Callable[..., Resources] = estimate) -> Resources:
    """Return what a layer takes in a fold, as the solver reckons; steps apart go by its lanes."""
    first, *more = parts
    need = of(first, fold, terms.family, terms.writable)
    for part in more:
        need += of(part, Fold(o_lanes(first, fold)), terms.family, terms.writable)
    if terms.writable:
        written = sum(isinstance(part, MatMul | Depthwise | Threshold)
                      or (isinstance(part, Add) and part.thresholds is not None) for part in parts)
        need += relay_resources(_WORDS, written, terms.family)
    return need


def choices(layer: Layer, target: int, pins: Mapping[str, Any] | None = None,
            terms: Terms | None = None) -> list[Fold]:
    """Return the folds of a layer that the solver chooses from: none needs more than ``target``.

    Every number that divides, in every combination that does not do many times as much at once as
    is needed; and of a matrix those that it is padded for, as far as no less of PE, nor of SIMD,
    would do. Each with its weights, or windows, in LUTs and in block RAM, windows in UltraRAM if
    there is any, thresholds compared in parallel or searched for; combinational weights, which
    lengthen the path that they are in, only if they are pinned.
    """
    pins, terms = dict(pins or {}), terms or Terms()
    memories = [pins["memory"]] if "memory" in pins else _memories(layer, terms)
    of = axes(layer)
    fixed = {axis.key: pins[axis.key] for axis in of if axis.key in pins}
    if isinstance(layer, MatMul):
        sizes: list[tuple[int, ...]] = _matrix(layer, target, fixed)
    else:
        axis, = of
        sizes = [(fixed[axis.key],)] if fixed else [(size,) for size in _lanes(layer, axis, target)]
    found = []
    for values in sizes:
        sized = dict(zip((axis.key for axis in of), values, strict=True))
        pad = pins.get("pad", any(_uneven(axis, sized[axis.key]) for axis in of))
        fold = Fold(pe=sized.get("pe", 1), simd=sized.get("simd", 1), pad=pad)
        if not pad and any(_uneven(axis, sized[axis.key]) for axis in of):
            continue
        if cycles(layer, fold) <= target:
            styles = [pins["steps"]] if "steps" in pins else _styles(layer, fold.pe, terms)
            found += [Fold(fold.pe, fold.simd, memory, pad, steps)
                      for memory, steps in product(memories, styles)]
    return found


def one_axis(key: str, size: int) -> Fold:
    """Return the fold of a layer that folds by one number."""
    return Fold(simd=size) if key == "simd" else Fold(pe=size)


def _lanes(layer: Layer, axis: Axis, target: int) -> list[int]:
    """Return the numbers that a layer, which is no matrix, can fold by."""
    sizes = [size for size in axis.choices if cycles(layer, one_axis(axis.key, size)) <= target]
    return [size for size in sizes if size <= max(_SMALL, _SPARE * sizes[0])]


def _uneven(axis: Axis, value: int) -> bool:
    """Tell whether a number needs padding."""
    return axis.pads and value not in axis.more and axis.size % value != 0


def _matrix(layer: MatMul, target: int, fixed: Mapping[str, int]) -> list[tuple[int, ...]]:
    """Return PE and SIMD of a matrix."""
    (mh, mw), most = layer.weights.shape, target // layer.i.vectors
    if most < 1:
        return []
    pes = [fixed["pe"]] if "pe" in fixed else _sizes(mh)
    simds = [fixed["simd"]] if "simd" in fixed else _sizes(mw)
    # Of every PE the least SIMD that will do.
    tight = []
    for pe in pes:
        least = next((simd for simd in simds if ceil(mh / pe) * ceil(mw / simd) <= most), None)
        if least is not None:
            tight.append((pe, least))
    if not tight:
        return []
    # Of every SIMD the least PE.
    tight = [(pe, simd) for k, (pe, simd) in enumerate(tight)
             if k == 0 or tight[k - 1][1] > simd]
    least_at_once = min(pe * simd for pe, simd in tight)
    found = {(pe, simd) for pe, simd in tight if pe * simd <= _PADDED * least_at_once}
    even = [[size for size in sizes if size in fixed.values() or whole % size == 0]
            for sizes, whole in ((pes, mh), (simds, mw))]
    found |= {(pe, simd) for pe, simd in product(*even)
              if ceil(mh / pe) * ceil(mw / simd) <= most
              and (pe * simd <= max(_SMALL, _SPARE * least_at_once) or (pe, simd) == (mh, mw))}
    return sorted(found)


@lru_cache(maxsize=1024)
def _sizes(whole: int) -> list[int]:
    """Return the numbers that cut ``whole`` into equally many parts as no lesser one does."""
    return sorted({ceil(whole / parts) for parts in range(1, whole + 1)})


def _memories(layer: Layer, terms: Terms) -> Sequence[str]:
    """Return where weights, or windows, may be. What UltraRAM holds at first cannot be given."""
    if isinstance(layer, Window):
        return ("lutram", "block", "ultra") if terms.ultra else ("lutram", "block")
    if isinstance(layer, MatMul | Depthwise):
        return "lutrom", "block"
    return ("auto",)


def _styles(layer: Layer, pe: int, terms: Terms) -> Sequence[str]:
    """Return how thresholds may be compared. What is written is compared as the unit has it.

    Where they are the same in all cycles, a few take as many LUTs in either style by synthesis,
    and a search four times the flip-flops.
    """
    thresholds = getattr(layer, "thresholds", None)
    if terms.writable or thresholds is None:
        return ("auto",)
    fixed = any(axis.key == "pe" and pe >= axis.size for axis in axes(layer))
    few = thresholds.steps < (SEARCH_FROM if fixed else _FEW)
    return ("parallel",) if few or not can_search(thresholds) else ("parallel", "search")


def fork(stream: Stream, lanes: int, ways: int, family: str) -> Resources:
    """Return what gives a stream to several."""
    return _fork(ways, lanes * Shape.cast(stream.shape).width, family)


@lru_cache(maxsize=1 << 14)
def _fork(ways: int, width: int, family: str) -> Resources:
    return calibrated("fork", fork_parts(ways, width, family), family)


def network_resources(network: Network, terms: Terms,
                      of: Callable[..., Resources] = estimate) -> Resources:
    """Sum what the layers, and the forks and width converters between them, need; FIFOs left out.

    Of each layer what ``of`` says.
    """
    need, parts = Resources(), parts_of(network, terms)
    readers: dict[str, list[tuple[Stream, int]]] = {}
    for layer, givers in zip(network.layers, network.feeds, strict=True):
        need += take(parts[layer.name], layer.fold, terms, of)
        first = parts[layer.name][0]
        for giver, stream in zip(givers, (first.i, *first.more), strict=True):
            readers.setdefault(giver, []).append((stream, i_lanes(layer)))
    layers = {layer.name: layer for layer in network.layers}
    for name, takers in readers.items():
        # The host gives what the first layer takes.
        given, lanes = (parts[name][-1].o, o_lanes(layers[name])) if name else takers[0]
        if len(takers) > 1:
            stream, wanted = takers[0]
            if all((other.dims, width) == (stream.dims, wanted) for other, width in takers):
                need += between(given, lanes, stream, wanted, terms.family).need
                given, lanes = stream, wanted
            need += fork(given, lanes, len(takers), terms.family)
        for stream, wanted in takers:
            need += between(given, lanes, stream, wanted, terms.family).need
    return need


def ends_resources(network: Network, terms: Terms) -> Resources:
    """Return what a shell takes to change the words of its bus to the beats at both ends."""
    first, last = network.layers[0], network.layers[-1]
    return (at_end(first.i, i_lanes(first), terms.family)
            + at_end(parts_of(network, terms)[last.name][-1].o, o_lanes(last), terms.family,
                     gives=True))
