"""Checker: accepts a network between passes, or says which layer is at fault."""

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.shapes import is_bipolar, range_of, shape_for

from .layers import (
    Add,
    Concat,
    Depthwise,
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
from .products import accumulator_shape, sum_shape

__all__ = ["check_network"]


def check_network(network: Network) -> None:
    """Raise ``ValueError``, with the layer's name, where a network does not hold together."""
    if not network.layers:
        raise ValueError(f"{network.name} has no layers")
    names = [layer.name for layer in network.layers]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"{name}: {names.count(name)} layers have this name")
    for layer in network.layers:
        _check_layer(layer)
    given: dict[str, Stream] = {"": network.i}
    read: set[str] = set()
    for layer, feeds in zip(network.layers, network.feeds, strict=True):
        streams = (layer.i, *layer.more)
        if len(feeds) != len(streams):
            raise ValueError(f"{layer.name}: {len(feeds)} layers feed {len(streams)} streams")
        for feed, stream in zip(feeds, streams, strict=True):
            _check_feed(layer.name, stream, feed or "the input", given.get(feed))
        read.update(feeds)
        given[layer.name] = layer.o
    for layer in network.layers[:-1]:
        if layer.name not in read:
            raise ValueError(f"{layer.name}: no layer reads what it gives, and only the last, "
                             f"{network.layers[-1].name}, gives the output")


def _check_feed(name: str, stream: Stream, giver: str, given: Stream | None) -> None:
    """Check what a layer takes: the very stream, or the same elements cut otherwise."""
    if given is None:
        raise ValueError(f"{name}: {giver} feeds it, which is no layer in front of it")
    # A vector is the image pixel by pixel; the pixels of a row may come in groups.
    alike = given.dims == stream.dims or prod(given.dims) == prod(stream.dims) and (
        1 in (given.vectors, stream.vectors) or given.dims[:-2] == stream.dims[:-2])
    if not alike or not _same(given.shape, stream.shape):
        raise ValueError(f"{name}: takes {stream.dims} of {stream.shape!r}, but {giver} gives "
                         f"{given.dims} of {given.shape!r}")


def _check_layer(layer: Layer) -> None:
    check = _CHECKS.get(type(layer))
    if check is None:
        raise ValueError(f"{layer.name}: {type(layer).__name__} is not a kind of layer")
    check(layer)


def _check_threshold(layer: Threshold) -> None:
    if layer.i.dims != layer.o.dims:
        raise ValueError(f"{layer.name}: takes {layer.i.dims} but gives {layer.o.dims}")
    _check_thresholds(layer)


def _check_topk(layer: TopK) -> None:
    if not 1 <= layer.k <= layer.i.channels:
        raise ValueError(f"{layer.name}: k is {layer.k}, but there are {layer.i.channels} elements")
    if layer.o.dims[-1] != layer.k:
        raise ValueError(f"{layer.name}: gives {layer.o.dims[-1]} indices, but k is {layer.k}")


def _check_window(layer: Window) -> None:
    low, high = range_of(layer.i.shape)
    zero = is_bipolar(layer.i.shape) and not layer.pad_value
    if any(layer.pads) and (not low <= layer.pad_value <= high or zero):
        raise ValueError(f"{layer.name}: pads are {layer.pad_value}, which {layer.i.shape!r} does "
                         "not hold")
    # The last window ends inside: (O - 1)*stride + (K - 1)*dilation + 1 <= pads + I
    (top, left, bottom, right), (oh, ow) = layer.pads, layer.o.dims[:2]
    room = (layer.i.dims[0] + top + bottom, layer.i.dims[1] + left + right)
    for k, count in enumerate((oh, ow)):
        reach = (count - 1) * layer.stride[k] + (layer.kernel[k] - 1) * layer.dilation[k] + 1
        if reach > room[k]:
            raise ValueError(f"{layer.name}: its last window ends {reach - room[k]} beyond the "
                             f"{'rows' if k == 0 else 'columns'}")
    _expect(layer, (oh, ow, prod(layer.kernel) * layer.i.channels), layer.i.shape)


def _check_depthwise(layer: Depthwise) -> None:
    rows, k = layer.weights.shape
    channels = layer.i.channels // k
    if layer.i.channels % k or rows % channels:
        raise ValueError(f"{layer.name}: weights are {rows} x {k}, but the stream has "
                         f"{layer.i.channels} elements")
    _check_weights(layer)
    _expect(layer, (*layer.i.dims[:-1], rows), layer.o.shape)


def _check_reduce(layer: Reduce) -> None:
    if layer.op not in ("max", "sum"):
        raise ValueError(f"{layer.name}: op is {layer.op!r}; 'max' or 'sum' is expected")
    if prod(layer.i.dims) != prod(layer.o.dims) * layer.vectors:
        raise ValueError(f"{layer.name}: takes {layer.i.dims}, which is not {layer.vectors} times "
                         f"{layer.o.dims}")
    low, high = range_of(layer.i.shape)
    sums = shape_for(low * layer.vectors, high * layer.vectors)
    _expect(layer, layer.o.dims, layer.i.shape if layer.op == "max" else sums)


def _check_add(layer: Add) -> None:
    streams = (layer.i, *layer.more)
    if len(layer.multipliers) != len(streams) or 0 in layer.multipliers:
        raise ValueError(f"{layer.name}: multipliers are {list(layer.multipliers)} for "
                         f"{len(streams)} streams; one each, and none of them 0, is expected")
    if any(stream.dims != layer.o.dims for stream in streams):
        raise ValueError(f"{layer.name}: takes {' and '.join(str(s.dims) for s in streams)}, but "
                         f"gives {layer.o.dims}")
    if layer.thresholds is not None:
        _check_thresholds(layer)
        return
    ends = [sorted((m * low, m * high)) for m, stream in zip(layer.multipliers, streams,
                                                             strict=True)
            for low, high in [range_of(stream.shape)]]
    _expect(layer, layer.o.dims, shape_for(sum(e[0] for e in ends), sum(e[1] for e in ends)))


def _check_concat(layer: Concat) -> None:
    streams = (layer.i, *layer.more)
    for stream in streams:
        if stream.dims[:-1] != layer.i.dims[:-1] or not _same(stream.shape, layer.i.shape):
            raise ValueError(f"{layer.name}: takes {stream.dims} of {stream.shape!r} beside "
                             f"{layer.i.dims} of {layer.i.shape!r}")
    _expect(layer, (*layer.i.dims[:-1], sum(s.channels for s in streams)), layer.i.shape)


def _check_slice(layer: Slice) -> None:
    if not 0 <= layer.start <= layer.i.channels - layer.o.channels:
        raise ValueError(f"{layer.name}: channels {layer.start} to "
                         f"{layer.start + layer.o.channels - 1} of {layer.i.channels}")
    _expect(layer, (*layer.i.dims[:-1], layer.o.channels), layer.i.shape)


def _check_upsample(layer: Upsample) -> None:
    (height, width, channels), (rows, columns) = layer.i.dims, layer.factor
    _expect(layer, (height * rows, width * columns, channels), layer.i.shape)


def _expect(layer: Layer, dims: tuple[int, ...], shape: Shape | ShapeCastable) -> None:
    if layer.o.dims != dims or not _same(layer.o.shape, shape):
        raise ValueError(f"{layer.name}: gives {layer.o.dims} of {layer.o.shape!r}; {dims} of "
                         f"{shape!r} is expected")


def _check_matmul(layer: MatMul) -> None:
    mh, mw = layer.weights.shape
    if (layer.i.channels, layer.o.channels) != (mw, mh):
        raise ValueError(f"{layer.name}: weights are {mh} x {mw}, but the streams have "
                         f"{layer.i.channels} elements in and {layer.o.channels} out")
    _check_weights(layer)
    if layer.o.vectors != layer.i.vectors:
        raise ValueError(f"{layer.name}: takes {layer.i.dims} but gives {layer.o.dims}")


def _check_weights(layer: MatMul | Depthwise) -> None:
    low, high = range_of(layer.w_shape)
    least, most = int(layer.weights.min()), int(layer.weights.max())
    zero = is_bipolar(layer.w_shape) and np.any(layer.weights == 0)
    if least < low or most > high or zero:
        raise ValueError(f"{layer.name}: weights must fit {layer.w_shape!r}, [{low}, {high}]: they "
                         f"span [{least}, {most}]{' with 0' if zero else ''}")
    if layer.thresholds is not None:
        _check_thresholds(layer)
    elif not any(_same(layer.o.shape, shape) for shape in (
            accumulator_shape(layer.weights, layer.i.shape), sum_shape(layer))):
        raise ValueError(f"{layer.name}: gives {layer.o.shape!r}, but its accumulators are "
                         f"{accumulator_shape(layer.weights, layer.i.shape)!r}")


def _check_thresholds(layer: MatMul | Depthwise | Add | Threshold) -> None:
    thresholds = layer.thresholds
    assert thresholds is not None
    if thresholds.channels not in (1, layer.o.channels):
        raise ValueError(f"{layer.name}: thresholds of {thresholds.channels} channels for "
                         f"{layer.o.channels}")
    if not _same(thresholds.shape, layer.o.shape):
        raise ValueError(f"{layer.name}: gives {layer.o.shape!r}, but its thresholds "
                         f"{thresholds.shape!r}")


def _same(left: Shape | ShapeCastable, right: Shape | ShapeCastable) -> bool:
    if is_bipolar(left) or is_bipolar(right):
        return is_bipolar(left) and is_bipolar(right)
    return Shape.cast(left) == Shape.cast(right)


_CHECKS: dict[type, Callable[[Any], None]] = {
    MatMul: _check_matmul, Threshold: _check_threshold, TopK: _check_topk, Window: _check_window,
    Depthwise: _check_depthwise, Reduce: _check_reduce, Add: _check_add, Concat: _check_concat,
    Slice: _check_slice, Upsample: _check_upsample}
