# amaranth: UnusedElaboratable=no
"""Units by their parameters: from a row of the calibration table to layer records and components.

A configuration is a kind and a dict of plain numbers and words. Contents (weights, thresholds) are
random, from the ``seed`` among the parameters. With ``writable`` they can be written.
"""

import numpy as np
from amaranth import Shape, signed, unsigned
from amaranth.lib.data import ArrayLayout

from quinnoa.graph.layers import (
    Add,
    Concat,
    Depthwise,
    Fold,
    MatMul,
    Reduce,
    Slice,
    Stream,
    Threshold,
    TopK,
    Upsample,
    Window,
)
from quinnoa.graph.products import accumulator_shape
from quinnoa.graph.resources import layer_resources, unit_resources
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of, shape_for
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.width import WidthConverter
from quinnoa.rtl.windows import Windows

__all__ = ["BETWEEN", "KINDS", "draw", "layer_of", "resources_of", "unit_between"]

# Kinds that are no layers.
BETWEEN = ("width", "fifo", "fork")
WORDS = ("b", "u2", "u3", "u4", "s4", "u8", "s8")


def shape_of(word):
    """Return the shape that a word such as "b", "u4" or "s8" stands for."""
    if word == "b":
        return BIPOLAR
    return (signed if word[0] == "s" else unsigned)(int(word[1:]))


def _weights(rng, dims, shape, zeros):
    if is_bipolar(shape):
        return rng.choice([-1, 1], dims)
    top = range_of(shape)[1]
    weights = rng.integers(-top if shape.signed else 0, top + 1, dims)
    return np.where(rng.random(dims) < zeros, 0, weights)


def _thresholds(rng, steps, channels, low, high, falls):
    """Return random steps in the middle half of [low, high]; None without steps."""
    if not steps:
        return None
    spread = max((high - low) // 4, 1)
    middle = (low + high) // 2
    values = np.sort(rng.integers(middle - spread, middle + spread + 1, (channels, steps)), axis=1)
    down = (rng.random((channels, 1)) < falls) & np.ones((1, steps), bool)
    shape = BIPOLAR if steps == 1 else unsigned(steps.bit_length())
    return Thresholds(values, shape, base=np.where(down[:, 0], steps, 0), falls=down)


def _mvtu(p):
    rng, x, w = np.random.default_rng(p["seed"]), shape_of(p["x"]), shape_of(p["w"])
    weights = _weights(rng, (p["mh"], p["mw"]), w, p.get("zeros", 0))
    sums = range_of(accumulator_shape(weights, x))
    spread = int(np.sqrt(p["mw"]) * 2) * max(map(abs, range_of(x))) * max(map(abs, range_of(w)))
    low, high = max(sums[0], -spread), min(sums[1], spread)
    steps = _thresholds(rng, p["steps"], p["mh"] if p["each"] else 1, low, high, p["falls"])
    o = accumulator_shape(weights, x) if steps is None else steps.shape
    return MatMul("unit", Stream((p["mw"],), x), Stream((p["mh"],), o),
                  Fold(p["pe"], p["simd"], p["memory"], p["pad"]), weights=weights, w_shape=w,
                  thresholds=steps)


def _vvtu(p):
    rng, x, w = np.random.default_rng(p["seed"]), shape_of(p["x"]), shape_of(p["w"])
    rows = p["c"] * p["m"]
    weights = _weights(rng, (rows, p["k"]), w, 0)
    reach = int(np.abs(weights).sum(axis=1).max()) * max(map(abs, range_of(x)))
    steps = _thresholds(rng, p["steps"], rows if p["each"] else 1, -reach // 2, reach // 2,
                        p["falls"])
    o = accumulator_shape(weights, x) if steps is None else steps.shape
    return Depthwise("unit", Stream((4, 4, p["c"] * p["k"]), x), Stream((4, 4, rows), o),
                     Fold(p["pe"], memory=p["memory"]), weights=weights, w_shape=w,
                     thresholds=steps)


def _threshold(p):
    rng, i = np.random.default_rng(p["seed"]), shape_of(p["i"])
    steps = _thresholds(rng, p["steps"], p["c"] if p["each"] else 1, *range_of(i), p["falls"])
    return Threshold("unit", Stream((p["c"],), i), Stream((p["c"],), steps.shape), Fold(p["pe"]),
                     thresholds=steps)


def _topk(p):
    return TopK("unit", Stream((p["c"],), shape_of(p["i"])),
                Stream((p["k"],), shape_for(0, p["c"] - 1)), Fold(p["pe"]), k=p["k"])


def _swu(p):
    kernel, stride = (p["kh"], p["kw"]), (p["sy"], p["sx"])
    dilation, pads = (p["dy"], p["dx"]), tuple(p["pads"])
    oh, ow = Windows(p["h"], p["w"], kernel, stride, dilation, pads).shape
    shape = shape_of(p["i"])
    return Window("unit", Stream((p["h"], p["w"], p["c"]), shape),
                  Stream((oh, ow, p["kh"] * p["kw"] * p["c"]), shape), Fold(simd=p["simd"]),
                  kernel=kernel, stride=stride, dilation=dilation, pads=pads,
                  pad_value=1 if is_bipolar(shape) else 0)


def _pool(p):
    i = shape_of(p["i"])
    low, high = range_of(i)
    o = i if p["op"] == "max" else shape_for(p["vectors"] * low, p["vectors"] * high)
    return Reduce("unit", Stream((4, 4, p["vectors"] * p["c"]), i), Stream((4, 4, p["c"]), o),
                  Fold(p["pe"]), op=p["op"], vectors=p["vectors"])


def _add(p):
    rng, shapes = np.random.default_rng(p["seed"]), [shape_of(word) for word in p["i"]]
    ends = [sorted(m * end for end in range_of(shape))
            for m, shape in zip(p["multipliers"], shapes, strict=True)]
    low, high = sum(low for low, _ in ends), sum(high for _, high in ends)
    steps = _thresholds(rng, p["steps"], p["c"] if p["each"] else 1, low, high, 0)
    o = shape_for(low, high) if steps is None else steps.shape
    i, *more = (Stream((4, 4, p["c"]), shape) for shape in shapes)
    return Add("unit", i, Stream((4, 4, p["c"]), o), Fold(p["pe"]), "", tuple(more),
               multipliers=tuple(p["multipliers"]), thresholds=steps)


def _concat(p):
    shape = shape_of(p["i"])
    i, *more = (Stream((4, 4, c), shape) for c in p["c"])
    return Concat("unit", i, Stream((4, 4, sum(p["c"])), shape), Fold(p["pe"]), "", tuple(more))


def _slice(p):
    shape = shape_of(p["i"])
    return Slice("unit", Stream((4, 4, p["c"]), shape),
                 Stream((4, 4, p["stop"] - p["start"]), shape), Fold(p["pe"]), start=p["start"])


def _upsample(p):
    shape, (rows, columns) = shape_of(p["i"]), p["factor"]
    return Upsample("unit", Stream((p["h"], p["w"], p["c"]), shape),
                    Stream((p["h"] * rows, p["w"] * columns, p["c"]), shape), Fold(p["pe"]),
                    factor=(rows, columns))


_LAYERS = {"mvtu": _mvtu, "vvtu": _vvtu, "threshold": _threshold, "topk": _topk, "swu": _swu,
           "pool": _pool, "add": _add, "concat": _concat, "slice": _slice, "upsample": _upsample}
KINDS = (*_LAYERS, *BETWEEN)


def layer_of(kind, params):
    """Return the layer record of a configuration."""
    return _LAYERS[kind](params)


def unit_between(kind, params):
    """Return the component of a configuration that is no layer."""
    if kind == "width":
        return WidthConverter(shape_of(params["i"]), elements=params["elements"],
                              i_lanes=params["i_lanes"], o_lanes=params["o_lanes"])
    layout = ArrayLayout(Shape(1), params["width"])
    if kind == "fifo":
        return FIFO(layout, depth=params["depth"], style=params["style"])
    return ForkUnit(layout, ways=params["ways"])


def resources_of(kind, params, family):
    """Return the resources estimated for a configuration."""
    if kind in BETWEEN:
        return unit_resources(unit_between(kind, params), family)
    layer = layer_of(kind, params)
    return layer_resources(layer, layer.fold, family, params.get("writable", False))


def draw(kind, rng):
    """Draw a configuration of a kind at random: its parameters; of a unit that is not large."""
    while _size(kind, params := _SAMPLES[kind](rng)) > 450:
        pass
    return params


def _size(kind, p):
    """Return about how many LUTs the products and comparisons take."""
    if kind == "mvtu":
        return p["pe"] * (p["simd"] * _bits(p["x"]) * _bits(p["w"]) + 12 * p["steps"])
    if kind == "vvtu":
        return p["pe"] * p["m"] * (2 * _bits(p["x"]) * _bits(p["w"]) + 10 * p["steps"])
    return p["pe"] * p["steps"] * 10 if kind == "threshold" else 0


def _bits(word):
    return 1 if word == "b" else int(word[1:])


def _pick(rng, *choices):
    return choices[int(rng.integers(len(choices)))]


def _divisor(rng, n, most):
    return _pick(rng, *(d for d in range(1, n + 1) if n % d == 0 and d <= most))


def _sample_mvtu(rng):
    x, w = _pick(rng, *"bbb", "u2", "u4", "s8", "u8"), _pick(rng, *"bbb", "s2", "s4")
    mh, mw = (_pick(rng, 16, 32, 64, 100, 128, 256), _pick(rng, 27, 64, 72, 144, 256, 576, 784))
    bits = (1 if x == "b" else int(x[1:])) * (1 if w == "b" else int(w[1:]))
    simd = _divisor(rng, mw, 64)
    pe = _divisor(rng, mh, max(1, min(32, 1500 // (simd * bits))))
    pad = bool(rng.random() < 0.12)
    if pad:
        pe, simd = max(1, pe - 1), max(1, simd - 1)
    return {"mh": mh, "mw": mw, "pe": pe, "simd": simd, "x": x, "w": w,
            "steps": _pick(rng, 0, 1, 1, 1, 3, 3, 7, 15), "each": bool(rng.random() < 0.85),
            "falls": _pick(rng, 0, 0, 0.5), "memory": _pick(rng, *["auto"] * 4, "lutrom", "block"),
            "pad": pad, "zeros": _pick(rng, 0, 0, 0.5), "seed": int(rng.integers(1 << 20))}


def _sample_vvtu(rng):
    c, m = _pick(rng, 8, 16, 24, 32, 64, 128), _pick(rng, 1, 1, 1, 2)
    return {"c": c, "m": m, "k": _pick(rng, 9, 9, 25, 4), "pe": _divisor(rng, c, 16 // m),
            "x": _pick(rng, "b", "u2", "u4", "u8", "s8"), "w": _pick(rng, "b", "s2", "s4", "s8"),
            "steps": _pick(rng, 0, 1, 3, 7, 15), "each": bool(rng.random() < 0.85),
            "falls": _pick(rng, 0, 0, 0.5), "memory": _pick(rng, "auto", "auto", "lutrom", "block"),
            "seed": int(rng.integers(1 << 20))}


def _sample_threshold(rng):
    c = _pick(rng, 8, 16, 30, 64, 128, 256)
    return {"c": c, "pe": _divisor(rng, c, 16), "i": _pick(rng, "s6", "s10", "u8", "s12", "s16"),
            "steps": _pick(rng, 1, 3, 3, 7, 15, 31), "each": bool(rng.random() < 0.8),
            "falls": _pick(rng, 0, 0, 0.5), "seed": int(rng.integers(1 << 20))}


def _sample_topk(rng):
    c = _pick(rng, 2, 10, 12, 20, 100, 1000)
    return {"c": c, "pe": _divisor(rng, c, 10), "i": _pick(rng, "s6", "s10", "s12", "s16", "u8"),
            "k": min(c, _pick(rng, 1, 1, 1, 2, 5))}


def _sample_swu(rng):
    side, c = _pick(rng, 7, 8, 12, 14, 28, 30, 32, 56, 112), _pick(rng, 1, 3, 8, 16, 32, 64, 128)
    k = _pick(rng, 1, 2, 3, 3, 3, 3, 5, 7)
    pad = _pick(rng, 0, k // 2)
    dilation = 2 if k in (2, 3) and rng.random() < 0.1 else 1
    stride = _pick(rng, 1, 1, 1, 2) if k > 1 else 2
    flat = rng.random() < 0.1
    i = _pick(rng, "b", "b", "u2", "u4", "u8")
    bits = 1 if i == "b" else int(i[1:])
    wide = [n for n in (k * c, k * k * c) if k > 1 and not flat and n * bits <= 600]
    simd = _pick(rng, *wide) if wide and rng.random() < 0.3 else _divisor(rng, c, 256 // bits)
    if flat:
        return {"h": 1, "w": side * 4, "c": c, "kh": 1, "kw": k, "sy": 1, "sx": stride, "dy": 1,
                "dx": dilation, "pads": [0, pad, 0, pad], "i": i, "simd": simd}
    return {"h": side, "w": side, "c": c, "kh": k, "kw": k, "sy": stride, "sx": stride,
            "dy": dilation, "dx": dilation, "pads": [pad] * 4, "i": i, "simd": simd}


def _sample_pool(rng):
    c = _pick(rng, 8, 16, 32, 64, 128, 512)
    return {"c": c, "pe": _divisor(rng, c, 64), "op": _pick(rng, "max", "max", "sum"),
            "vectors": _pick(rng, 4, 4, 9, 49, 64), "i": _pick(rng, "b", "u2", "u4", "s8")}


def _sample_add(rng):
    c, n = _pick(rng, 16, 32, 64, 256), _pick(rng, 2, 2, 2, 3)
    return {"c": c, "pe": _divisor(rng, c, 16), "i": [_pick(rng, *WORDS[1:]) for _ in range(n)],
            "multipliers": [_pick(rng, 1, 1, 2, 3, 5, 11) for _ in range(n)],
            "steps": _pick(rng, 0, 0, 3, 15), "each": bool(rng.random() < 0.5),
            "seed": int(rng.integers(1 << 20))}


def _sample_concat(rng):
    unit, n = _pick(rng, 8, 16, 32), _pick(rng, 2, 2, 3, 4)
    return {"c": [unit * _pick(rng, 1, 2, 3) for _ in range(n)], "pe": _divisor(rng, unit, 32),
            "i": _pick(rng, "b", "u2", "u4", "u8")}


def _sample_slice(rng):
    unit, beats = _pick(rng, 1, 4, 8, 16, 32), _pick(rng, 2, 4, 8, 12, 16)
    start = int(rng.integers(beats))
    stop = int(rng.integers(start + 1, beats + 1))
    return {"c": unit * beats, "start": unit * start, "stop": unit * stop, "pe": unit,
            "i": _pick(rng, "b", "u2", "u4", "u8")}


def _sample_upsample(rng):
    c, side = _pick(rng, 8, 16, 24, 64), _pick(rng, 4, 7, 8, 14, 16)
    return {"h": side, "w": side, "c": c, "pe": _divisor(rng, c, 64),
            "factor": _pick(rng, [2, 2], [2, 2], [3, 3], [1, 2], [2, 1]),
            "i": _pick(rng, "b", "u2", "u4", "u8")}


def _sample_width(rng):
    elements = _pick(rng, 16, 24, 60, 64, 72, 128, 256, 576)
    i_lanes = _divisor(rng, elements, 64)
    o_lanes = _pick(rng, *(d for d in range(1, 65) if elements % d == 0 and d != i_lanes))
    if rng.random() < 0.15:
        i_lanes = o_lanes + 1
    return {"elements": elements, "i_lanes": i_lanes, "o_lanes": o_lanes,
            "i": _pick(rng, "b", "b", "u2", "u4", "u8")}


def _sample_fifo(rng):
    depth = _pick(rng, 2, 3, 5, 9, 16, 17, 32, 33, 40, 64, 65, 100, 128, 250, 500, 1000, 2000)
    styles = ["auto", "auto", "auto"]
    if depth > 2:
        styles += ["lutram"] * (depth <= 300) + ["block"] + ["srl"] * (depth <= 65)
    width = int(_pick(rng, 1, 2, 4, 8, 9, 16, 24, 32, 40, 64, 72, 100, 128))
    return {"depth": depth, "width": width, "style": _pick(rng, *styles)}


def _sample_fork(rng):
    return {"width": _pick(rng, 1, 8, 32, 100), "ways": _pick(rng, 2, 2, 3, 4)}


_SAMPLES = {"mvtu": _sample_mvtu, "vvtu": _sample_vvtu, "threshold": _sample_threshold,
            "topk": _sample_topk, "swu": _sample_swu, "pool": _sample_pool, "add": _sample_add,
            "concat": _sample_concat, "slice": _sample_slice, "upsample": _sample_upsample,
            "width": _sample_width, "fifo": _sample_fifo, "fork": _sample_fork}
