# amaranth: UnusedElaboratable=no
"""Components: from a layer record to the `rtl` unit that computes it."""

from typing import Any

from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.concat import ConcatUnit
from quinnoa.rtl.families import Family
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.reduce import ReduceUnit
from quinnoa.rtl.slice import SliceUnit
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.upsample import UpsampleUnit
from quinnoa.rtl.vvtu import VVTU
from quinnoa.rtl.wide_swu import sliding_window

from .layers import (
    Add,
    Concat,
    Depthwise,
    Layer,
    MatMul,
    Reduce,
    Slice,
    Threshold,
    TopK,
    Upsample,
    Window,
)

__all__ = ["component"]


def component(layer: Layer, family: Family, *, writable: bool = False) -> Any:
    """Make the component of one layer, in its fold; what it holds may be ``writable``."""
    fold, shape, channels = layer.fold, layer.i.shape, layer.i.channels
    if isinstance(layer, MatMul):
        return MVTU(layer.weights, pe=fold.pe, simd=fold.simd, x_shape=shape,
                    w_shape=layer.w_shape, thresholds=layer.thresholds, memory=fold.memory,
                    pad=fold.pad, style=fold.steps, family=family, writable=writable)
    if isinstance(layer, Depthwise):
        rows, taps = layer.weights.shape
        return VVTU(layer.weights, multiplier=rows * taps // channels, pe=fold.pe, x_shape=shape,
                    w_shape=layer.w_shape, thresholds=layer.thresholds, memory=fold.memory,
                    style=fold.steps, family=family, writable=writable)
    if isinstance(layer, Window):
        height, width, channels = layer.i.dims
        return sliding_window(
            height=height, width=width, channels=channels, kernel=layer.kernel,
            stride=layer.stride, dilation=layer.dilation, pads=layer.pads,
            pad_value=layer.pad_value, shape=shape, lanes=fold.simd, memory=fold.memory)
    if isinstance(layer, Threshold):
        return ThresholdUnit(layer.thresholds, channels=channels, lanes=fold.pe, i_shape=shape,
                             style=fold.steps, writable=writable, family=family)
    if isinstance(layer, TopK):
        return TopKUnit(elements=channels, lanes=fold.pe, shape=shape, k=layer.k)
    return _plain(layer, family, writable)


def _plain(layer: Layer, family: Family, writable: bool) -> Any:
    """Make the component of a layer of which the lanes are all that folds."""
    lanes, shape = layer.fold.pe, layer.i.shape
    if isinstance(layer, Reduce):
        return ReduceUnit(op=layer.op, vectors=layer.vectors, channels=layer.o.channels,
                          lanes=lanes, shape=shape)
    if isinstance(layer, Add):
        return AddUnit(multipliers=layer.multipliers,
                       shapes=[shape, *(stream.shape for stream in layer.more)],
                       channels=layer.i.channels, lanes=lanes, thresholds=layer.thresholds,
                       style=layer.fold.steps, writable=writable and layer.thresholds is not None,
                       family=family)
    if isinstance(layer, Concat):
        parts = (layer.i.channels, *(stream.channels for stream in layer.more))
        return ConcatUnit(shape=shape, channels=parts, lanes=lanes)
    if isinstance(layer, Slice):
        return SliceUnit(shape=shape, channels=layer.i.channels, start=layer.start,
                         stop=layer.start + layer.o.channels, lanes=lanes)
    if isinstance(layer, Upsample):
        height, width, channels = layer.i.dims
        return UpsampleUnit(height=height, width=width, channels=channels, factor=layer.factor,
                            lanes=lanes, shape=shape)
    raise TypeError(f"{layer.name}: no unit computes a {layer.kind}")
