"""Checker: accepts a network between passes, or says which layer is at fault."""

from itertools import pairwise

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.shapes import is_bipolar, range_of

from .layers import Layer, MatMul, Threshold, TopK
from .network import Network
from .products import accumulator_shape

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
    for left, right in pairwise(network.layers):
        if left.o.dims != right.i.dims or not _same(left.o.shape, right.i.shape):
            raise ValueError(f"{right.name}: takes {right.i.dims} of {right.i.shape!r}, but "
                             f"{left.name} gives {left.o.dims} of {left.o.shape!r}")


def _check_layer(layer: Layer) -> None:
    if isinstance(layer, MatMul):
        _check_matmul(layer)
    elif isinstance(layer, Threshold):
        if layer.i.dims != layer.o.dims:
            raise ValueError(f"{layer.name}: takes {layer.i.dims} but gives {layer.o.dims}")
        _check_thresholds(layer)
    elif isinstance(layer, TopK):
        if not 1 <= layer.k <= layer.i.channels:
            raise ValueError(f"{layer.name}: k is {layer.k}, but there are {layer.i.channels} "
                             "elements")
        if layer.o.dims[-1] != layer.k:
            raise ValueError(f"{layer.name}: gives {layer.o.dims[-1]} indices, but k is {layer.k}")
    else:
        raise ValueError(f"{layer.name}: {type(layer).__name__} is not a kind of layer")


def _check_matmul(layer: MatMul) -> None:
    mh, mw = layer.weights.shape
    if (layer.i.channels, layer.o.channels) != (mw, mh):
        raise ValueError(f"{layer.name}: weights are {mh} x {mw}, but the streams have "
                         f"{layer.i.channels} elements in and {layer.o.channels} out")
    low, high = range_of(layer.w_shape)
    least, most = int(layer.weights.min()), int(layer.weights.max())
    zero = is_bipolar(layer.w_shape) and np.any(layer.weights == 0)
    if least < low or most > high or zero:
        raise ValueError(f"{layer.name}: weights must fit {layer.w_shape!r}, [{low}, {high}]: they "
                         f"span [{least}, {most}]{' with 0' if zero else ''}")
    if layer.thresholds is not None:
        _check_thresholds(layer)
    elif not _same(layer.o.shape, accumulator_shape(layer.weights, layer.i.shape)):
        raise ValueError(f"{layer.name}: gives {layer.o.shape!r}, but its accumulators are "
                         f"{accumulator_shape(layer.weights, layer.i.shape)!r}")


def _check_thresholds(layer: MatMul | Threshold) -> None:
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
