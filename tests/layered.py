"""Small networks made of layer records by hand: a chain as CNV is one, and a graph of branches."""

import numpy as np
from amaranth import signed, unsigned

from quinnoa.graph.layers import (
    Add,
    Concat,
    Depthwise,
    Fold,
    MatMul,
    Reduce,
    Slice,
    Stream,
    TopK,
    Upsample,
    Window,
)
from quinnoa.graph.network import Network
from quinnoa.graph.products import accumulator_shape
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds

__all__ = ["branches", "cnv_like"]

U2 = unsigned(2)


def _network(name, *layers):
    return Network(name, f"{name}.onnx", b"", None, layers, None)


def _steps(channels):
    """Return thresholds to two bits."""
    return Thresholds(np.tile([-3, 0, 4], (channels, 1)), U2)


def _product(name, i, o_channels, pe, simd, *, feeds=None, last=False, seed=0):
    weights = np.random.default_rng(seed).choice([-1, 1], (o_channels, i.channels))
    o_shape = accumulator_shape(weights, i.shape) if last else U2
    return MatMul(name, i, Stream((*i.dims[:-1], o_channels), o_shape), Fold(pe, simd),
                  feeds=feeds, weights=weights, w_shape=BIPOLAR,
                  thresholds=None if last else _steps(o_channels))


def _windows(name, i, kernel, simd, *, stride=1, pad=0, feeds=None):
    h, w, c = i.dims
    oh, ow = ((n + 2 * pad - kernel) // stride + 1 for n in (h, w))
    return Window(name, i, Stream((oh, ow, c * kernel * kernel), i.shape), Fold(simd=simd),
                  feeds=feeds, kernel=(kernel, kernel), stride=(stride, stride), pads=(pad,) * 4)


def cnv_like():
    """Return a convolution, a maximum, two full layers and the index of the greatest."""
    swu0 = _windows("swu0", Stream((8, 8, 3), signed(8)), 3, 3)
    mvtu0 = _product("mvtu0", swu0.o, 8, 4, 9)
    swu1 = _windows("swu1", mvtu0.o, 2, 4, stride=2)
    pool0 = Reduce("pool0", swu1.o, Stream((3, 3, 8), U2), Fold(4), op="max", vectors=4)
    mvtu1 = _product("mvtu1", Stream((72,), U2), 16, 2, 6)
    mvtu2 = _product("mvtu2", mvtu1.o, 10, 1, 4, last=True)
    topk0 = TopK("topk0", mvtu2.o, Stream((1,), unsigned(4)), Fold(1))
    return _network("cnv", swu0, mvtu0, swu1, pool0, mvtu1, mvtu2, topk0)


def branches():
    """Return a depthwise block with a residual, then channels that part and meet again."""
    mvtu0 = _product("mvtu0", Stream((6, 6, 4), U2), 8, 2, 4)
    swu0 = _windows("swu0", mvtu0.o, 3, 2, pad=1)
    weights = np.random.default_rng(1).choice([-1, 1], (8, 9))
    vvtu0 = Depthwise("vvtu0", swu0.o, Stream((6, 6, 8), U2), Fold(2), weights=weights,
                      w_shape=BIPOLAR, thresholds=_steps(8))
    mvtu1 = _product("mvtu1", vvtu0.o, 8, 4, 2)
    image = Stream((6, 6, 8), U2)
    half = Stream((6, 6, 4), U2)
    add0 = Add("add0", image, image, Fold(2), more=(image,), feeds=("mvtu1", "mvtu0"),
               multipliers=(1, 2), thresholds=_steps(8))
    slice0 = Slice("slice0", image, half, Fold(2), feeds=("add0",), start=0)
    slice1 = Slice("slice1", image, half, Fold(2), feeds=("add0",), start=4)
    mvtu2 = _product("mvtu2", half, 4, 1, 4, feeds=("slice1",), seed=2)
    concat0 = Concat("concat0", half, image, Fold(2), more=(half,), feeds=("slice0", "mvtu2"))
    upsample0 = Upsample("upsample0", image, Stream((12, 12, 8), U2), Fold(2), factor=(2, 2))
    return _network("branches", mvtu0, swu0, vvtu0, mvtu1, add0, slice0, slice1, mvtu2, concat0,
                    upsample0)
