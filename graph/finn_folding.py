"""FINN's folding configurations: ``{"MVAU_hls_0": {"PE": 16, "SIMD": 49}, …}`` read as folds.

FINN names nodes by operator and number, we layers by kind and number. The nodes of a kind stand for
the layers of that kind in order: by number, or, where several operators of the kind count
separately (``MVAU_hls_0``, ``MVAU_rtl_0``), as they stand in the file. What has no counterpart is
told, and left out.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from quinnoa.errors import FoldError

from .lanes import Axis, axes, cycles, fastest
from .layers import Depthwise, Fold, Layer, MatMul, Reduce, Threshold, TopK, Window
from .network import Network
from .read import printable

__all__ = ["finn_fold_from_file", "is_finn_file"]

# FINN's operators, less _Batch, _hls and _rtl, by the kind of our layers. A DownSampler is a window
# of one tap.
KINDS = {
    "mvtu": ("MVAU", "MatrixVectorActivation", "StreamingFCLayer"),
    "vvtu": ("VVAU", "VectorVectorActivation", "Vector_Vector_Activate"),
    "swu": ("ConvolutionInputGenerator", "ConvolutionInputGenerator1D"),
    "downsampler": ("DownSampler",),
    "pool": ("Pool", "StreamingMaxPool", "GlobalAccPool"),
    "threshold": ("Thresholding", "ThresholdingBinarySearch"),
    "topk": ("LabelSelect",),
    "add": ("AddStreams",),
    "concat": ("StreamingConcat", "Concat"),
}
# Of these there must be as many nodes as layers.
NEEDED = {"mvtu": "matrix", "vvtu": "depthwise"}
_FIFOS = "FIFO depths follow from the timing of the whole network"
_PADDING = "windows pad by themselves"
WITHOUT = {
    "StreamingFIFO": _FIFOS,
    "StreamingDataWidthConverter": "width converters stand where lanes differ",
    "FMPadding": _PADDING, "FMPadding_Pixel": _PADDING,
    "DuplicateStreams": "forks have the lanes of what they copy",
    "ChannelwiseOp": "it is in the thresholds, or on the host",
    "UpsampleNearestNeighbour": "it does not fold in FINN",
    "Thresholding": "thresholds are in the layers in front of them, or on the host",
    "LabelSelect": "the network ends with its outputs; --top 1 ends it with the greatest",
}
MEMORY = {"auto": "auto", "block": "block", "distributed": "lutrom"}
# What of an attribute asks for nothing else than there is anyway, and what to say of the others.
USUAL: dict[str, tuple[Any, ...]] = {
    "PE": (1,), "SIMD": (1,), "M": (1,), "MMV": (1,), "parallel_window": (0, 1),
    "runtime_writeable_weights": (0,),
    "mem_mode": ("const", "decoupled", "internal_embedded", "internal_decoupled"),
    "resType": ("auto", "lut"), "ram_style": ("auto",), "preferred_impl_style": ("",)}
ADVICE = {
    "runtime_writeable_weights": "--writable makes all weights writable",
    "mem_mode": "weights are inside the accelerator",
    "ram_style": "the memory is chosen by its size",
    **dict.fromkeys(("inFIFODepth", "inFIFODepths", "outFIFODepth", "outFIFODepths"), _FIFOS)}


@dataclass(frozen=True)
class Node:
    """One entry of the file; ``attributes`` with the defaults."""

    name: str
    operator: str
    number: int
    attributes: dict[str, Any]

    @property
    def whole(self) -> str:
        """The operator with what it is made of, such as ``MVAU_hls``."""
        return self.name.removesuffix(f"_{self.number}")


@dataclass(frozen=True)
class Left:
    """What is left out: names by what of them (nothing, or an attribute) and why."""

    names: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def out(self, name: str, why: str, what: str = "") -> None:
        """Leave out ``what`` of a node, or all of it."""
        self.names.setdefault((printable(what), why), []).append(printable(name))

    def tell(self, note: Callable[[str], None]) -> None:
        """Give one note for each reason."""
        for (what, why), names in self.names.items():
            shown, before = [], ""
            for name in names:
                stem, _, number = name.rpartition("_")
                shown.append(f"_{number}" if stem == before else name)
                before = stem
            note(f"{what and what + ' of '}{', '.join(shown)}: ignored: {why}")


def is_finn_file(path: Path) -> bool:
    """Tell whether a fold file is one of FINN's: JSON, by its name or its first character."""
    if path.suffix.lower() == ".json":
        return True
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(1024).lstrip().startswith("{")
    except (OSError, UnicodeDecodeError):
        return False


def finn_fold_from_file(network: Network, path: Path, *,
                        note: Callable[[str], None]) -> Network:
    """Return the network in the folds of one of FINN's configurations.

    ``note`` is told of everything in the file that has no counterpart. Layers that the file says
    nothing of get the fewest lanes that keep them within the cycles of those that it folds. Raises
    ``FoldError``, with the node and the arithmetic, where the file cannot be for this network.
    """
    left = Left()
    folds = {layer.name: _fold(f"{path}: {node.name} ({layer.name})", node, layer, left)
             for node, layer in _pairs(network, path, _nodes(path), left)}
    left.tell(note)
    bound = max((cycles(layer, folds[layer.name]) for layer in network.layers
                 if layer.name in folds), default=0)
    rest = [layer for layer in network.layers if layer.name not in folds]
    folds |= {layer.name: _within(layer, bound) for layer in rest}
    if rest:
        note(f"{', '.join(layer.name for layer in rest)}: not in the file, folded to keep within "
             f"{bound:,} cycles a frame")
    return network.with_layers([layer.folded(folds[layer.name]) for layer in network.layers])


def _nodes(path: Path) -> list[Node]:
    """Read the file."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FoldError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise FoldError(f"{path}: not a folding configuration: {error}") from None
    except RecursionError:
        raise FoldError(f"{path}: not a folding configuration: nested too deep") from None
    if not isinstance(config, dict) or not all(isinstance(v, dict) for v in config.values()):
        raise FoldError(f"{path}: not a folding configuration: an object of objects is expected, "
                        'such as {"MVAU_hls_0": {"PE": 16, "SIMD": 49}}')
    defaults = config.pop("Defaults", {})
    for key, default in defaults.items():
        if not (isinstance(default, list) and len(default) == 2):
            raise FoldError(f"{path}: Defaults: {key} is {json.dumps(default)}, but must be a "
                            'value and operators, such as [1, ["MVAU_hls"]] or [1, "all"]')
    nodes = []
    for name, own in config.items():
        match = re.fullmatch(r"((\w+?)(?:_Batch)?(?:_hls|_rtl)?)_(\d{1,9})", name)
        whole, operator, number = match.groups() if match else (name, name, "0")
        given = {key: value for key, (value, to) in defaults.items()
                 if to == "all" or isinstance(to, list) and (whole in to or operator in to)}
        nodes.append(Node(name, operator, int(number), given | own))
    return nodes


def _pairs(network: Network, path: Path, nodes: list[Node],
           left: Left) -> list[tuple[Node, Layer]]:
    """Return which node stands for which layer."""
    known = {operator for operators in KINDS.values() for operator in operators}
    for node in nodes:
        if node.operator not in known:
            left.out(node.name, WITHOUT.get(node.operator, "no such operator is known"))
    pairs: list[tuple[Node, Layer]] = []
    for kind, operators in KINDS.items():
        of_kind = [node for node in nodes if node.operator in operators]
        if len({node.whole for node in of_kind}) == 1:
            of_kind.sort(key=lambda node: node.number)
        layers = (_windows(network, kind, len(of_kind), {node.operator for node in nodes})
                  if kind in ("swu", "downsampler") else _layers(network, kind))
        if len(layers) == len(of_kind):
            for node, layer in zip(of_kind, layers, strict=True):
                if layer is None:
                    left.out(node.name, "the window is the whole image")
                else:
                    pairs.append((node, layer))
        elif kind in NEEDED:
            raise FoldError(_other_number(path, NEEDED[kind], of_kind, layers))
        for node in of_kind if len(layers) != len(of_kind) else []:
            left.out(node.name, WITHOUT.get(node.operator, "no layer here is of this kind")
                     if not layers else f"the file has {len(of_kind)}, the network {len(layers)}")
    return [(node, layer) for node, layer in pairs
            if not isinstance(layer, Window | Reduce) or node.attributes.keys() & {"PE", "SIMD"}]


def _other_number(path: Path, what: str, nodes: Sequence[Node],
                  layers: Sequence[Layer | None]) -> str:
    def listed(word: str, things: Sequence[Any]) -> str:
        names = [thing.name for thing in things]
        if len(names) > 6:
            names[3:-1] = ["…"]
        return (f"{len(things)} {what} {word}{'s' * (len(things) != 1)}"
                + (f" ({', '.join(names)})" if names else ""))

    return (f"{path}: the file has {listed('node', nodes)}, but the network has "
            f"{listed('layer', layers)}; one node is needed for each, of "
            f"{' or '.join(KINDS['mvtu' if what == 'matrix' else 'vvtu'])}")


def _layers(network: Network, kind: str) -> list[Layer]:
    """Return the layers that nodes of a kind may stand for."""
    # Ranks in front of a top K are ours alone.
    ranks = {names[0] for layer, names in zip(network.layers, network.feeds, strict=True)
             if isinstance(layer, TopK)}
    return [layer for layer in network.layers if layer.kind == kind and not (
        isinstance(layer, Threshold) and layer.name in ranks)]


def _windows(network: Network, kind: str, count: int,
             operators: set[str]) -> Sequence[Layer | None]:
    """Return the windows that ``count`` nodes stand for; None where FINN has one, and we not.

    FINN lays windows for all convolutions but those of one tap, also for one over the whole image,
    and for a ``Pool``, but not for the other pools.
    """
    named = {layer.name: layer for layer in network.layers}
    convolved = {name for finding in network.findings if finding.op == "Conv"
                 for name in finding.becomes.split(", ")}
    found: list[tuple[Layer, Layer | None]] = []
    for layer, names in zip(network.layers, network.feeds, strict=True):
        giver = named.get(names[0])
        window = giver if isinstance(giver, Window) else None
        given = giver.o if giver else network.i
        whole = layer.i.vectors == 1 < given.vectors and layer.name in convolved
        down = "DownSampler" in operators and window is not None and window.kernel == (1, 1)
        if down == (kind == "downsampler") and isinstance(layer, MatMul | Depthwise | Reduce) and (
                window or whole or isinstance(layer, Reduce)):
            found.append((layer, window))
    every = [window for _, window in found]
    products = [window for layer, window in found if not isinstance(layer, Reduce)]
    likely = [every, products] if "Pool" in operators else [products, every]
    likely += [[window for window in windows if window] for windows in likely]
    return next((windows for windows in likely if len(windows) == count), products)


def _fold(where: str, node: Node, layer: Layer, left: Left) -> Fold:
    """Return the fold that a node gives a layer; what it has no number for is 1, as in FINN."""
    keys = {axis.key.upper(): axis for axis in axes(layer)}
    for key in ("M", "MMV"):
        if node.attributes.get(key, 1) != 1:
            raise FoldError(f"{where}: {key} is {json.dumps(node.attributes[key])}, but here "
                            "several pixels at once are asked for in a fold.toml: pixels = 2")
    if isinstance(layer, Depthwise) and node.attributes.get("SIMD", 1) != 1:
        raise FoldError(f"{where}: SIMD is {json.dumps(node.attributes['SIMD'])}, but a depthwise "
                        f"layer folds by channels alone: take 1, and PE up to {keys['PE'].size}")
    sizes = {axis.key: _number(where, key, node.attributes.get(key, 1), axis)
             for key, axis in keys.items()}
    if isinstance(layer, Window) and node.attributes.get("parallel_window", 0) == 1:
        if sizes["simd"] != layer.i.channels:
            raise FoldError(f"{where}: parallel_window takes whole pixels: C is "
                            f"{layer.i.channels}, SIMD is {sizes['simd']}; take "
                            f"{layer.i.channels}, or parallel_window 0")
        sizes["simd"] *= prod(layer.kernel)
    memory = "auto"
    for key, value in node.attributes.items():
        if key == "ram_style" and isinstance(layer, MatMul | Depthwise) and value in MEMORY:
            memory = MEMORY[value]
        elif key not in keys and value not in USUAL.get(key, ()):
            left.out(node.name, ADVICE.get(key, "it has no counterpart"), key)
    return Fold(pe=sizes.get("pe", 1), simd=sizes.get("simd", 1), memory=memory)


def _number(where: str, key: str, value: Any, axis: Axis) -> int:
    """Return a PE or SIMD that divides what it folds."""
    if type(value) is not int or value < 1:
        raise FoldError(f"{where}: {key} is {json.dumps(value)}, but must be a whole number of at "
                        "least 1")
    if value > axis.size:
        raise FoldError(f"{where}: {key} is {value}, but {axis.what} is only {axis.size}")
    if axis.size % value:
        below = max(d for d in axis.choices if d < value)
        above = min(d for d in axis.choices if d > value)
        raise FoldError(f"{where}: {key} must divide {axis.what}: {axis.what} is {axis.size}, "
                        f"{key} is {value}; take {below} or {above}")
    return value


def _within(layer: Layer, bound: int) -> Fold:
    """Return the fold of the fewest lanes that takes at most ``bound`` cycles, or the fastest."""
    choices = {axis.key: axis.choices for axis in axes(layer)}
    folds = (Fold(pe, simd)
             for pe, simd in product(choices.get("pe", [1]), choices.get("simd", [1])))
    fit = [fold for fold in folds if cycles(layer, fold) <= bound]
    return min(fit, key=lambda fold: (fold.pe * fold.simd, fold.pe), default=fastest(layer))
