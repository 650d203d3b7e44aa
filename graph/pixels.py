"""Pixels: layers that take several neighbouring pixels of a row at once, as one of more channels.

A tensor (H, W, C) has the same elements in the same order as (H, W / P, P * C): P pixels of a row
are one *group*. So a layer that takes P pixels a cycle is an ordinary one on groups.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import ceil, gcd

import numpy as np
from amaranth import signed

from quinnoa.errors import FoldError
from quinnoa.rtl.shapes import is_bipolar
from quinnoa.rtl.thresholds import Thresholds

from .encoding import Encoding
from .lanes import cycles, fastest
from .layers import Add, Fold, Layer, MatMul, Reduce, Stream, Threshold, Window
from .network import Network

__all__ = ["MOST", "pixels_for", "with_pixels"]

MOST = 16                               # at once, where nobody says how many: matrices grow as P^2


def with_pixels(network: Network, pixels: Mapping[str, int]) -> Network:
    """Return the network with layers that take so many pixels of a row at once; folds start anew.

    Of a convolution and of a pooling the product or the pool is named, and the ``Window`` in front
    of it follows. A pool becomes two: ``NAME_rows``, then one of its own name. The network computes
    the same integers in the same order. Raises ``FoldError`` where a layer cannot do it.
    """
    layers = {layer.name: layer for layer in network.layers}
    changed: dict[str, list[Layer]] = {}
    for name, count in pixels.items():
        if name not in layers:
            raise FoldError(f"there is no layer {name}; the layers are "
                            f"{', '.join(sorted(layers))}")
        if count != layers[name].pixels:
            changed |= _grouped(network, layers[name], count)
    if not changed:
        return network
    result = network.with_layers([each for layer in network.layers
                                  for each in changed.get(layer.name, [layer])])
    # Codes of a group mean what those of its pixels mean.
    more = {layer.name: changed[layer.name][-1].o.channels // layer.o.channels
            for layer in network.layers if layer.name in changed}
    more[""] = result.i.channels // network.i.channels
    tail, last = network.tail, network.layers[-1].name
    if last in changed and tail is not None and tail.encoding is not None:
        tail = replace(tail, encoding=_repeated(tail.encoding, more[last]))
    return replace(
        result, tail=tail,
        taps=tuple(replace(tap, encoding=_repeated(tap.encoding, more.get(tap.layer, 1)))
                   for tap in network.taps),
        sums=tuple(replace(each, encoding=_repeated(each.encoding, more.get(each.layer, 1)))
                   for each in network.sums))


def pixels_for(network: Network, target: int) -> dict[str, int]:
    """Return the least pixels at once of every layer that else needs more than ``target`` cycles.

    Layers with which ``target`` cannot be reached are left out.
    """
    found: dict[str, int] = {}
    for layer in network.layers:
        window = _window(network, layer)
        dims = (window or layer).i.dims
        if isinstance(layer, Window) or len(dims) != 3 or _least(
                [layer] if window is None else [window, layer]) <= target:
            continue
        # H * W / P <= target
        for count in range(max(2, ceil(dims[0] * dims[1] / target)), min(MOST, dims[1]) + 1):
            try:
                trial = _grouped(network, layer, count)
            except FoldError:
                continue
            if _least([each for group in trial.values() for each in group]) <= target:
                found[layer.name] = count
                break
    return found


def _least(layers: list[Layer]) -> int:
    return max(cycles(layer, fastest(layer)) for layer in layers)


def _window(network: Network, layer: Layer) -> Window | None:
    """Return the window in front of a layer, if it has one to itself."""
    feeds = dict(zip((each.name for each in network.layers), network.feeds, strict=True))
    readers = sum(names.count(feeds[layer.name][0]) for names in feeds.values())
    giver = next((each for each in network.layers if each.name == feeds[layer.name][0]), None)
    return giver if isinstance(giver, Window) and readers == 1 else None


def _grouped(network: Network, layer: Layer, count: int) -> dict[str, list[Layer]]:
    """Return what stands in place of a layer, and of the window in front of it, by name."""
    window = _window(network, layer)
    if count < 1:
        raise FoldError(f"{layer.name}: pixels is {count}, but must be at least 1")
    for each in (layer, window):
        if each is not None and each.pixels > 1:
            raise FoldError(f"{layer.name}: pixels is {each.pixels} already; it cannot become "
                            f"{count}")
    dims = (window or layer).i.dims
    if len(dims) != 3:
        raise FoldError(f"{layer.name}: pixels is {count}, but it takes one vector a frame")
    if dims[1] % count:
        raise FoldError(f"{layer.name}: pixels must divide the width of what it takes: the width "
                        f"is {dims[1]}, pixels is {count}")
    if window is not None and isinstance(layer, MatMul):
        windows, product = _convolution(window, layer, count)
        return {window.name: [windows], layer.name: [product]}
    if window is not None and isinstance(layer, Reduce):
        windows, rows, columns = _pool(window, layer, count)
        return {window.name: [windows], layer.name: [rows, columns]}
    if window is None and isinstance(layer, MatMul):
        # Block diagonal: every pixel of a group meets the weights.
        return {layer.name: [_product(layer, _groups(layer.i, count),
                                      np.kron(np.eye(count, dtype=layer.weights.dtype),
                                              layer.weights), count)]}
    if window is None and isinstance(layer, Add | Threshold):
        layer = replace(layer, i=_groups(layer.i, count), o=_groups(layer.o, count), fold=Fold(),
                        more=tuple(_groups(each, count) for each in layer.more), pixels=count)
        if layer.thresholds is not None:
            layer = replace(layer, thresholds=_steps(layer.thresholds, count))
        return {layer.name: [layer]}
    raise FoldError(f"{layer.name}: pixels is {count}, but {layer.kind} layers "
                    f"{'behind no window of their own ' if isinstance(layer, Reduce) else ''}"
                    "take one at a time")


def _convolution(window: Window, layer: MatMul, count: int) -> tuple[Window, MatMul]:
    """Return a convolution that takes groups of ``count`` = P pixels, and gives groups of M.

    M is the least with which windows of neighbouring output groups start whole groups apart:
    ``M * SX = stride * P``. Tap kx of output pixel m of a group sees column ``m*SX + kx*DX - left``
    of the group's first: pixel q of group u, where ``u * P + q`` is that column.
    """
    (_, width, channels), (oh, ow, _) = window.i.dims, window.o.dims
    (kh, kw), (sy, sx), (dy, dx) = window.kernel, window.stride, window.dilation
    top, left, bottom, _ = window.pads
    # M * SX = stride * P
    out = count // gcd(count, sx)
    stride = out * sx // count
    if ow % out:
        raise FoldError(f"{layer.name}: {count} pixels at once are {out} of what it gives, which "
                        f"must divide that width: the width is {ow}")
    # Groups that the windows of an output group see: -ceil(left / P) to `end`.
    first, end = ceil(left / count), ((out - 1) * sx + (kw - 1) * dx - left) // count
    kx_groups = end + first + 1
    weights = np.zeros((out, len(layer.weights), kh, kx_groups, count, channels),
                       layer.weights.dtype)
    taps = layer.weights.reshape(-1, kh, kw, channels)
    for m in range(out):
        for kx in range(kw):
            u, q = divmod(m * sx + kx * dx - left, count)
            weights[m, :, :, first + u, q] = taps[:, :, kx]
    # The last group that is seen, less those there are.
    right = max(0, (ow // out - 1) * stride + end - (width // count - 1))
    windows = replace(
        window, i=_groups(window.i, count), fold=Fold(), pixels=count, kernel=(kh, kx_groups),
        stride=(sy, stride), dilation=(dy, 1), pads=(top, first, bottom, right),
        o=Stream((oh, ow // out, kh * kx_groups * count * channels), window.o.shape))
    product = _product(layer, windows.o, weights.reshape(-1, windows.o.channels), out)
    return windows, replace(product, pixels=count)


def _product(layer: MatMul, i: Stream, weights: np.ndarray, out: int) -> MatMul:
    """Return a product that gives groups of ``out`` pixels. Where -1 and +1 get a 0: 2 bits."""
    w_shape, thresholds = layer.w_shape, layer.thresholds
    if is_bipolar(w_shape) and not weights.all():
        w_shape = signed(2)
    return replace(layer, i=i, o=_groups(layer.o, out), fold=Fold(memory=layer.fold.memory),
                   pixels=out, weights=weights, w_shape=w_shape,
                   thresholds=None if thresholds is None else _steps(thresholds, out))


def _pool(window: Window, layer: Reduce, count: int) -> tuple[Window, Reduce, Reduce]:
    """Return a pooling by columns on groups of ``count`` pixels, then by rows on pixels."""
    (_, width, channels), (oh, ow, _) = window.i.dims, window.o.dims
    (kh, kw), (top, left, bottom, _) = window.kernel, window.pads
    side_by_side = (left, window.stride[1], window.dilation[1], ow * kw) == (0, kw, 1, width)
    if layer.op != "max" or not side_by_side:
        raise FoldError(f"{layer.name}: pixels is {count}, but a pool takes more than one only for "
                        "maxima over windows that lie side by side and fill the width: it is a "
                        f"{layer.op} of {ow} windows of {kw}, {window.stride[1]} apart, and the "
                        f"width is {width}")
    shape = window.i.shape
    windows = replace(
        window, i=_groups(window.i, count), fold=Fold(), pixels=count, kernel=(kh, 1),
        stride=(window.stride[0], 1), dilation=(window.dilation[0], 1), pads=(top, 0, bottom, 0),
        o=Stream((oh, width // count, kh * count * channels), shape))
    rows = Reduce(f"{layer.name}_rows", windows.o,
                  Stream((oh, width // count, count * channels), shape), source=layer.source,
                  feeds=(window.name,), op=layer.op, vectors=kh)
    columns = replace(layer, i=Stream((oh, width, channels), shape), fold=Fold(), pixels=count,
                      feeds=(rows.name,), vectors=kw)
    return windows, rows, columns


def _groups(stream: Stream, count: int) -> Stream:
    """Return a stream of pixels as one of groups: (H, W, C) as (H, W / P, P * C)."""
    height, width, channels = stream.dims
    return Stream((height, width // count, count * channels), stream.shape)


def _steps(thresholds: Thresholds, count: int) -> Thresholds:
    """Return the thresholds of a group: those of a pixel, ``count`` times."""
    if thresholds.channels == 1:
        return thresholds
    assert thresholds.base is not None and thresholds.falls is not None
    return Thresholds(np.tile(thresholds.values, (count, 1)), thresholds.shape,
                      np.tile(thresholds.base, count), np.tile(thresholds.falls, (count, 1)))


def _repeated(encoding: Encoding, count: int) -> Encoding:
    """Return the encoding of a group: that of a pixel, ``count`` times."""
    scale, offset = (np.tile(part, count) if np.ndim(part) else part
                     for part in (encoding.scale, encoding.offset))
    return replace(encoding, scale=scale, offset=offset)
