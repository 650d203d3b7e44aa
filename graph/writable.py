"""Writable: networks whose weights and thresholds are written at run time, and what is written."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.errors import QuinnoaError, UnsupportedModel
from quinnoa.rtl.dataflow import joined
from quinnoa.rtl.families import GENERIC, Family
from quinnoa.rtl.shapes import is_bipolar, range_of, shape_for

from .activate import MAX_INSIDE
from .lanes import o_lanes
from .layers import (
    Add,
    Concat,
    Depthwise,
    Fold,
    Layer,
    MatMul,
    Reduce,
    Slice,
    Stream,
    Threshold,
    TopK,
    Upsample,
    Window,
)
from .network import Network
from .products import sum_shape
from .units import Plan

__all__ = ["contents", "same_shape", "shape_id", "shape_text", "widened"]

# Of what thresholds give: a channel has a step for every level.
MAX_BITS = 8
# Of the text: what stands at an address, and what it means there.
LAYOUT = 1

_STEPPED = (MatMul, Depthwise, Add, Threshold)


def widened(network: Network) -> Network:
    """Return the same network with shapes that do not depend on its weights and thresholds.

    Sums have the range of any weights of the same shape. Thresholds to more bits than a unit
    compares with itself get a layer of their own, ``NAME_steps``, however few there are. The
    network computes the same integers. Raises ``UnsupportedModel`` where what a layer holds cannot
    be written at run time.
    """
    _check_writable(network)
    shapes: dict[str, Shape | ShapeCastable] = {"": network.i.shape}
    layers: list[Layer] = []
    moved: dict[str, str] = {}
    for layer, feeds in zip(network.layers, network.feeds, strict=True):
        i, *more = (replace(stream, shape=shapes[moved.get(name, name)])
                    for name, stream in zip(feeds, (layer.i, *layer.more), strict=True))
        names = layer.feeds and tuple(moved.get(name, name) for name in layer.feeds)
        layer = replace(layer, i=i, more=tuple(more), feeds=names)
        for part in _split(layer):
            part = replace(part, o=replace(part.o, shape=_o_shape(part)))
            layers.append(part)
            shapes[part.name] = part.o.shape
        if part.name != layer.name:
            moved[layer.name] = part.name
    return replace(network.with_layers(layers), taps=tuple(
        replace(tap, layer=moved.get(tap.layer, tap.layer)) for tap in network.taps))


def _check_writable(network: Network) -> None:
    """Refuse a network that holds what cannot be written, layer by layer."""
    wrong = []
    for layer in network.layers:
        where = f"{layer.name} ({layer.source})" if layer.source else layer.name
        if layer.fold.memory == "logic":
            wrong.append(f'{where}: memory = "logic" cannot be written; take auto, lutrom or block')
        if layer.fold.steps == "search" and isinstance(layer, MatMul):
            wrong.append(f'{where}: steps = "search" cannot be written; take auto or parallel')
        thresholds = layer.thresholds if isinstance(layer, _STEPPED) else None
        if thresholds is None:
            continue
        bits = Shape.cast(thresholds.shape).width
        if bits > MAX_BITS:
            wrong.append(f"{where}: thresholds to {bits} bits; at most {MAX_BITS} can be written")
            if isinstance(network.layers[-1], TopK):
                wrong[-1] += "; leave out top K, and compare on the host"
            continue
        try:
            thresholds.full(layer.o.channels)
        except ValueError as error:
            wrong.append(f"{where}: {error}")
    if wrong:
        raise UnsupportedModel("the network cannot be made writable:\n" + "\n".join(wrong))


def _split(layer: Layer) -> list[Layer]:
    """Take thresholds that are too many to be compared side by side out of their layer."""
    thresholds = layer.thresholds if isinstance(layer, MatMul | Depthwise | Add) else None
    if thresholds is None or (1 << Shape.cast(thresholds.shape).width) - 1 <= MAX_INSIDE:
        return [layer]
    sums = replace(layer, thresholds=None)      # type: ignore[call-arg]
    sums = replace(sums, o=replace(sums.o, shape=_o_shape(sums)))
    return [sums, Threshold(f"{layer.name}_steps", sums.o, layer.o, Fold(o_lanes(layer)),
                            layer.source, pixels=layer.pixels, thresholds=thresholds)]


def _o_shape(layer: Layer) -> Shape | ShapeCastable:
    """Return what a layer gives, from what it takes and from the shape of its weights."""
    if isinstance(layer, _STEPPED) and layer.thresholds is not None:
        return layer.thresholds.shape
    if isinstance(layer, MatMul | Depthwise):
        return sum_shape(layer)
    if isinstance(layer, Add):
        ends = [sorted(m * end for end in range_of(stream.shape)) for m, stream in zip(
            layer.multipliers, (layer.i, *layer.more), strict=True)]
        return shape_for(sum(end[0] for end in ends), sum(end[1] for end in ends))
    if isinstance(layer, Reduce) and layer.op == "sum":
        low, high = range_of(layer.i.shape)
        return shape_for(layer.vectors * low, layer.vectors * high)
    if isinstance(layer, Concat) and any(each.shape != layer.i.shape for each in layer.more):
        shapes = ", ".join(repr(each.shape) for each in (layer.i, *layer.more))
        raise UnsupportedModel("the network cannot be made writable:\n"
                               f"{layer.name}: it joins {shapes}; one shape is expected")
    return layer.o.shape if isinstance(layer, TopK) else layer.i.shape


def _of_kind(layer: Layer) -> dict[str, Any]:
    """Return what of a layer's own parameters is in the gateware."""
    if isinstance(layer, MatMul | Depthwise):
        return {"weights": list(layer.weights.shape)}
    if isinstance(layer, Window):
        return {"kernel": layer.kernel, "stride": layer.stride, "dilation": layer.dilation,
                "pads": layer.pads, "pad value": layer.pad_value}
    if isinstance(layer, Reduce):
        return {"op": layer.op, "vectors": layer.vectors}
    if isinstance(layer, Add):
        return {"multipliers": layer.multipliers}
    if isinstance(layer, Slice):
        return {"start": layer.start}
    if isinstance(layer, Upsample):
        return {"factor": layer.factor}
    return {"k": layer.k} if isinstance(layer, TopK) else {}


def _facts(layers: Sequence[Layer], feeds: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    """Tell layer by layer what networks of the same shape have in common; names are left out."""
    def told(stream: Stream) -> str:
        return f"{stream.dims} of {stream.shape!r}"

    places = {"": "the input", **{layer.name: f"layer {k}" for k, layer in enumerate(layers)}}
    facts = []
    for layer, names in zip(layers, feeds, strict=True):
        thresholds = layer.thresholds if isinstance(layer, _STEPPED) else None
        given = {"kind": layer.kind, "fed by": ", ".join(places[name] for name in names),
                 "takes": ", ".join(told(stream) for stream in (layer.i, *layer.more)),
                 "gives": told(layer.o), "thresholds": "no" if thresholds is None else "yes",
                 **_of_kind(layer)}
        facts.append({key: str(value) for key, value in given.items()})
    return facts


def same_shape(network: Network, other: Network) -> list[str]:
    """Tell what keeps ``other`` out of the writable accelerator of ``network``; nothing, if empty.

    A line a difference: the layer, what differs, and both. How they are folded does not matter.
    Raises ``UnsupportedModel`` where one of them cannot be made writable.
    """
    return _differences(widened(network).layers, _recast(other, network.layers))


def _recast(network: Network, like: Sequence[Layer]) -> Network:
    """Return the network widened, its weights in the shapes of those of ``like``."""
    shapes = iter([layer.w_shape for layer in like if isinstance(layer, MatMul | Depthwise)])
    return widened(network.with_layers([
        replace(layer, w_shape=next(shapes, layer.w_shape))
        if isinstance(layer, MatMul | Depthwise) else layer for layer in network.layers]))


def _differences(layers: Sequence[Layer], network: Network) -> list[str]:
    """Compare the layers of an accelerator with those of a network, both widened."""
    if len(layers) != len(network.layers):
        return [f"there are {len(network.layers)} layers; {len(layers)} are expected"]
    wrong = []
    ours = _facts(layers, network.with_layers(layers).feeds)
    for layer, expected, found in zip(network.layers, ours, _facts(network.layers, network.feeds),
                                      strict=True):
        wrong += [f"{layer.name}: {key}: {found.get(key, 'none')}; {value} is expected"
                  for key, value in expected.items() if found.get(key) != value]
        if isinstance(layer, MatMul | Depthwise):
            low, high = range_of(layer.w_shape)
            least, most = int(layer.weights.min()), int(layer.weights.max())
            zero = is_bipolar(layer.w_shape) and (layer.weights == 0).any()
            if least < low or most > high or zero:
                wrong.append(f"{layer.name}: weights span [{least}, {most}]"
                             f"{' with 0' if zero else ''}; {layer.w_shape!r} is expected")
    return wrong


def shape_text(network: Network, family: Family = GENERIC) -> str:
    """Tell what a writable accelerator keeps whatever is written into it, in a line a layer.

    Folds and family are in it, since they say what stands at which address; weights, thresholds
    and names are not.
    """
    network = widened(network)
    lines = [f"layout {LAYOUT} for {family.name}"]
    for layer, facts in zip(network.layers, _facts(network.layers, network.feeds), strict=True):
        if isinstance(layer, MatMul | Depthwise):
            facts["weights of"] = repr(layer.w_shape)
        fold = layer.fold
        facts["fold"] = f"{fold.pe} {fold.simd} {fold.memory} {fold.pad}" + (
            f" {fold.steps}" if fold.steps != "auto" else "")
        lines.append(json.dumps(facts, sort_keys=True))
    return "\n".join(lines)


def shape_id(network: Network, family: Family = GENERIC) -> int:
    """Return the first 64 bits of the SHA-256 of ``shape_text``."""
    digest = hashlib.sha256(shape_text(network, family).encode())
    return int.from_bytes(digest.digest()[:8], "big")


def contents(network: Network, planned: Plan) -> np.ndarray:
    """Return what the addresses of a writable accelerator hold for a network: word a at address a.

    Parameters
    ----------
    network : Network
        Of the same shape as the accelerator's: ``same_shape``. In any folds.
    planned : Plan
        The accelerator's, as ``build`` returned it.

    Returns
    -------
    array of uint32, (planned.words,)

    Raises ``QuinnoaError`` with every difference in shape.
    """
    units = {unit.name: unit.component for unit in planned.units}
    if not planned.words:
        raise QuinnoaError(f"{network.name}: the accelerator was not built writable")
    laid = [unit for unit in planned.units if unit.layer is not None]
    layers = [unit.layer for unit in laid if unit.layer is not None]
    network = _recast(network, layers)
    wrong = _differences(layers, network)
    if wrong:
        raise QuinnoaError(f"{network.name} is not of the accelerator's shape:\n"
                           + "\n".join(wrong))
    images = {}
    for unit, layer in zip(laid, network.layers, strict=True):
        if "writes" in unit.component.signature.members:
            held = [getattr(layer, name, None) for name in ("weights", "thresholds")]
            images[unit.name] = unit.component.contents(*(x for x in held if x is not None))
    return joined(units, images)
