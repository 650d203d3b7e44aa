"""Joints: from products, pools and joins of branches to layers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod

import numpy as np
import onnx

from quinnoa.rtl.shapes import range_of, shape_for

from .constants import Problem
from .draft import Draft
from .encoding import Encoding, alike
from .evaluate import attributes, evaluate
from .geometry import Geometry, geometry
from .joins import add, concat
from .layers import Depthwise, MatMul, Reduce, Slice, Stream, Upsample, Window
from .network import Sum, Tap
from .products import accumulator_limits, accumulator_shape, weight_shape
from .read import label
from .source import Source, code_of, image_dims, image_order

__all__ = ["JOINT", "Joint"]

Joint = Callable[[Draft, onnx.NodeProto, Sequence[Source]], dict[str, Source]]


def matmul(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """MatMul, Gemm: one vector a sample, whatever the stream's vectors are."""
    product = draft.products[node.output[0]]
    x = sources[0].seen_as((product.codes.shape[1],), node)
    # Column order[j] of the stream's matrix is column j of the tensor's.
    weights = np.empty_like(product.codes)
    weights[:, x.order] = product.codes
    order = np.arange(len(weights))
    return _multiplied(draft, node, MatMul, x, weights, order, (len(weights),))


def conv(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """Conv: windows, and a product with each; of one channel a group, channel by channel."""
    source, own = sources[0].image(node, draft.folded.dims[node.input[0]])
    shape = draft.folded.constants[node.input[1]].shape
    windows = geometry(node, draft.folded, shape[2:], source.pads)
    group, rows, k = attributes(node).get("group", 1), shape[0], prod(shape[2:])
    x = _windowed(draft, node, source, windows, _zero(node, source, windows))
    codes = draft.products[node.output[0]].codes.reshape(rows, -1, k)
    channels, dims, note = len(own), (*windows.size, rows), ""
    if group == channels > 1:
        # Row c*M + j of the stream's is the j-th kernel of its channel c.
        times = rows // channels
        place = own[np.arange(rows) // times] * times + np.arange(rows) % times
        weights = np.empty((rows, k), np.int64)
        weights[place] = codes[:, 0]
        return _multiplied(draft, node, Depthwise, x, weights, place, dims)
    weights = np.zeros((rows, k, channels), np.int64)
    for g in range(group):
        part = slice(g * rows // group, (g + 1) * rows // group)
        inputs = own[g * channels // group:(g + 1) * channels // group]
        weights[part, :, inputs] = codes[part].transpose(0, 2, 1)
    if group > 1:
        note = f"{group} groups: weights are 0 outside of them" + (
            ", and take 2 bits" if (np.abs(codes) == 1).all() else "")
    return _multiplied(draft, node, MatMul, x, weights.reshape(rows, -1), np.arange(rows), dims,
                       note)


def _multiplied(draft: Draft, node: onnx.NodeProto, kind: type[MatMul] | type[Depthwise],
                x: Source, weights: np.ndarray, place: np.ndarray, dims: tuple[int, ...],
                note: str = "") -> dict[str, Source]:
    """Lay the layer of a product; row r of the file's is row place[r] of ``weights``."""
    if any(x.pads):
        raise Problem(node, "a Pad stands in front of it; one in front of a Conv or a pool is "
                            "expected")
    product, rows = draft.products[node.output[0]], len(weights)
    scale, bias = np.empty(rows), np.empty(rows)
    scale[place], bias[place] = product.scale, product.bias
    x_scale, x_offset = x.encoding.scale, np.asarray(x.encoding.offset, np.float64)
    if kind is Depthwise:
        # Every row has a channel of its own, and its scale.
        times = rows // (x.stream.channels // weights.shape[1])
        x_scale, x_offset = (_first(v, x.stream.channels // weights.shape[1]).repeat(times)
                             for v in (x_scale, x_offset))
        sums = weights.sum(axis=1) * x_offset
    elif np.ndim(x_scale):
        raise Problem(node, "its input has one scale a channel; one for all is expected: quantize "
                            "it per tensor")
    else:
        sums = weights @ np.broadcast_to(x_offset, weights.shape[1])
    o = Stream(dims, accumulator_shape(weights, x.stream.shape))
    name = draft.lay(kind, [x], o, label(node), weights=weights, w_shape=weight_shape(weights))
    draft.became([node], _and_windows(draft, node, x, name), note)
    draft.became(draft.folded.makers(node), f"weights of {name}")
    # y = s_w * (W @ (s_x * codes + o_x)) + b = s_w*s_x * acc + s_w * (W @ o_x) + b
    low, high = accumulator_limits(weights, x.encoding.low, x.encoding.high)
    encoding = Encoding(alike(scale * x_scale), alike(scale * sums + bias), int(low.min()),
                        int(high.max()))
    order = image_order(dims, place) if len(dims) > 1 else place
    draft.sums.append(Sum(node.output[0], name, encoding, order))
    return {node.output[0]: Source(name, o, encoding, order, low, high, x.stride, False)}


def _first(values: float | np.ndarray, count: int) -> np.ndarray:
    """Return one value a channel, from one for all or one for each of a window's elements."""
    return np.broadcast_to(np.asarray(values, np.float64), count) if np.ndim(
        values) == 0 else np.asarray(values)[:count]


def _zero(node: onnx.NodeProto, source: Source, windows: Geometry) -> int:
    """Return the code of the pixels around the image: those of a Pad, or of 0."""
    if any(source.pads) and not any(windows.own):
        return source.pad_code
    if not any(windows.pads):
        return 0
    code = code_of(0.0, source)
    if code is None:
        kind = "-1 and +1" if source.encoding.bipolar else (
            f"{source.encoding.low} to {source.encoding.high} times {source.encoding.scale} plus "
            f"{source.encoding.offset}")
        raise Problem(node, f"its pads are 0, which its input ({kind}) has no code for; quantize "
                            "it so that 0 is one, or leave out the padding")
    if any(source.pads) and code != source.pad_code:
        raise Problem(node, "its own pads are 0, those of the Pad in front of it are not; let Pad "
                            "do all of it")
    return code


def _windowed(draft: Draft, node: onnx.NodeProto, source: Source, windows: Geometry,
              pad_code: int) -> Source:
    """Lay the windows of an image, unless each is a pixel or one the whole image."""
    source = replace(source, pads=(0, 0, 0, 0))
    if windows.is_pixel:
        return source
    dims = (*windows.size, prod(windows.kernel) * source.stream.channels)
    if windows.is_whole(source.stream.dims):
        return _repeated(source, source.layer, replace(source.stream, dims=dims))
    o = Stream(dims, source.stream.shape)
    name = draft.lay(Window, [source], o, label(node), kernel=windows.kernel,
                     stride=windows.stride, dilation=windows.dilation, pads=windows.pads,
                     pad_value=pad_code)
    if any(windows.pads):
        encoding = replace(source.encoding, low=min(source.encoding.low, pad_code),
                           high=max(source.encoding.high, pad_code))
        source = replace(source, encoding=encoding, low=np.minimum(source.low, pad_code),
                         high=np.maximum(source.high, pad_code))
    return _repeated(source, name, o)


def _and_windows(draft: Draft, node: onnx.NodeProto, x: Source, name: str) -> str:
    """Return the names of a node's layers: the one that makes its windows, and ``name``."""
    window = draft.layer(x.layer)
    own = isinstance(window, Window) and window.source == label(node)
    return f"{x.layer}, {name}" if own else name


def _repeated(source: Source, layer: str, stream: Stream) -> Source:
    """Return the source of a window's elements: of its pixels one behind another."""
    times = stream.channels // source.stream.channels
    scale, offset = (np.tile(v, times) if np.ndim(v) else v
                     for v in (source.encoding.scale, source.encoding.offset))
    return replace(source, layer=layer, stream=stream,
                   encoding=replace(source.encoding, scale=scale, offset=offset),
                   low=np.tile(source.low, times), high=np.tile(source.high, times))


def max_pool(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """MaxPool, GlobalMaxPool, ReduceMax: the greatest code; what lies outside is the least."""
    source, own = sources[0].image(node, draft.folded.dims[node.input[0]])
    if not (np.asarray(source.encoding.scale) > 0).all():
        raise Problem(node, "its input falls where the integers rise (a negative scale), in some "
                            "channels at least; put a quantizer in front of it")
    if len([name for name in node.output if name]) > 1:
        raise Problem(node, "it gives indices, too; the maxima alone are expected")
    windows = _pooling(draft, node, source)
    least = source.encoding.low
    if any(source.pads):
        beyond = any(a > b for a, b in zip(windows.pads, source.pads, strict=True))
        if beyond and source.pad_code != least:
            raise Problem(node, "its own pads are less than all, those of the Pad in front of it "
                                "are not; let Pad do all of it")
        least = source.pad_code
    result = _pooled(draft, node, source, own, windows, "max", least)
    name = node.output[0]
    if name in draft.behind:
        # The quantizer that stands behind it in the file: these are its codes.
        draft.tap(Tap(name, name, result.layer, result.encoding, result.order))
    return {name: result}


def average_pool(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]
                 ) -> dict[str, Source]:
    """AveragePool, GlobalAveragePool, ReduceMean: the sum, of a smaller scale."""
    source, own = sources[0].image(node, draft.folded.dims[node.input[0]])
    windows = _pooling(draft, node, source)
    beyond = tuple(a - b for a, b in zip(windows.pads, source.pads, strict=True))
    if any(beyond) and not attributes(node).get("count_include_pad", 0):
        raise Problem(node, f"pads {list(windows.own)} that do not count: windows at the edges "
                            "have another divisor; set count_include_pad, or leave out the pads")
    if any(a > b for a, b in zip(beyond, windows.own, strict=True)):
        raise Problem(node, "windows that reach beyond the pads (ceil_mode) have another divisor; "
                            "set ceil_mode to 0, or make the pads larger")
    count = prod(windows.kernel)
    zero = _zero(node, source, windows)
    result = _pooled(draft, node, source, own, windows, "sum", zero)
    low, high = source.low, source.high
    if any(windows.pads):
        low, high = np.minimum(low, zero), np.maximum(high, zero)
    encoding = Encoding(alike(np.asarray(source.encoding.scale) / count), source.encoding.offset,
                        int(low.min()) * count, int(high.max()) * count)
    result = replace(result, encoding=encoding, low=low * count, high=high * count,
                     quantized=False)
    draft.sums.append(Sum(node.output[0], result.layer, encoding, result.order))
    return {node.output[0]: result}


def _pooling(draft: Draft, node: onnx.NodeProto, source: Source) -> Geometry:
    """Return the windows of a pool; those of ReduceMax and ReduceMean are whole images."""
    folded = draft.folded
    if not node.op_type.startswith("Reduce"):
        return geometry(node, folded, None, source.pads)
    given = attributes(node).get("axes")
    if len(node.input) > 1 and node.input[1]:
        given = folded.constants[node.input[1]].tolist()
    dims = folded.dims[node.input[0]]
    if given is None or {axis % len(dims) for axis in given} != set(range(2, len(dims))):
        raise Problem(node, f"along axes {given} of dims {list(dims)}; all rows and columns are "
                            "expected")
    height, width, _ = image_dims(node, dims)
    return Geometry((height, width), (1, 1), (1, 1), source.pads, (0, 0, 0, 0), (1, 1))


def _pooled(draft: Draft, node: onnx.NodeProto, source: Source, own: np.ndarray,
            windows: Geometry, op: str, pad_code: int) -> Source:
    """Lay the windows of a pool, and what it makes of each."""
    vectors, dims = prod(windows.kernel), (*windows.size, source.stream.channels)
    whole = windows.is_whole(source.stream.dims)
    x = source if whole else _windowed(draft, node, source, windows, pad_code)
    if vectors == 1:
        draft.became([node], x.layer)
        return replace(x, order=image_order(dims, own))
    low, high = range_of(source.stream.shape)
    shape = source.stream.shape if op == "max" else shape_for(low * vectors, high * vectors)
    name = draft.lay(Reduce, [x], Stream(dims, shape), label(node), op=op, vectors=vectors)
    draft.became([node], _and_windows(draft, node, x, name))
    return replace(source, layer=name, stream=Stream(dims, shape), pads=(0, 0, 0, 0),
                   order=image_order(dims, own))


def upsample(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """Resize, Upsample: every pixel several times."""
    folded, o = draft.folded, node.output[0]
    i_dims, o_dims = folded.dims[node.input[0]], folded.dims[o]
    source, own = sources[0].image(node, i_dims)
    height, width, channels = source.stream.dims
    factor = tuple(b // a for a, b in zip((height, width), (1, *o_dims[2:])[-2:], strict=True))
    # Which pixel of the input each of the output's is: the node itself tells.
    pixels = np.broadcast_to(np.arange(height * width, dtype=np.float32).reshape(i_dims[2:]),
                             i_dims)
    got = evaluate(node, {**folded.constants, node.input[0]: pixels.astype(
        folded.dtypes[node.input[0]])}, folded.model.opset)[o]
    want = np.arange(height * width).reshape(height, width)
    want = want.repeat(max(factor[0], 1), axis=0).repeat(max(factor[1], 1), axis=1)
    if any(source.pads) or o_dims[1] != channels or want.size != prod(o_dims[2:]) or (
            got != want.reshape(o_dims[2:])).any():
        raise Problem(node, f"from dims {list(i_dims)} to {list(o_dims)}, mode "
                            f"{attributes(node).get('mode', 'nearest')}; every pixel repeated "
                            "(nearest, asymmetric, floor, by whole numbers) is expected")
    dims = (height * factor[0], width * factor[1], channels)
    stream = Stream(dims, source.stream.shape)
    name = draft.lay(Upsample, [source], stream, label(node), factor=factor)
    draft.became([node], name)
    return {o: replace(source, layer=name, stream=stream, order=image_order(dims, own))}


def part(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """Slice, Split: a run of channels."""
    folded, source = draft.folded, sources[0]
    first = node.input[0]
    if any(source.pads):
        raise Problem(node, "a Pad stands in front of it; one in front of a Conv or a pool is "
                            "expected")
    order = source.order.reshape(1, *folded.dims[first][1:])
    if folded.model.input.dims[0] != 1:
        raise Problem(node, "a batch of one is expected: export with batch 1")
    parts = evaluate(node, {**folded.constants, first: order}, folded.model.opset)
    results = {}
    for o in (name for name in node.output if name in draft.wanted):
        flat, channels = parts[o].reshape(-1), source.stream.channels
        kept = np.unique(flat % channels)
        pixels, start = flat // channels, int(kept[0]) if len(kept) else 0
        if flat.size != len(kept) * source.stream.vectors or (
                np.diff(kept) != 1).any() or len(np.unique(flat)) != flat.size:
            raise Problem(node, f"from dims {list(folded.dims[first])} to "
                                f"{list(folded.dims[o])}; neighbouring channels of all pixels are "
                                "expected")
        stream = replace(source.stream, dims=(*source.stream.dims[:-1], len(kept)))
        name = draft.lay(Slice, [source], stream, label(node), start=start)
        run = slice(start, start + len(kept))
        scale, offset = (np.asarray(v)[run] if np.ndim(v) else v
                         for v in (source.encoding.scale, source.encoding.offset))
        results[o] = replace(
            source, layer=name, stream=stream, order=pixels * len(kept) + flat % channels - start,
            encoding=replace(source.encoding, scale=scale, offset=offset),
            low=source.low[run], high=source.high[run])
    draft.became([node], ", ".join(each.layer for each in results.values()))
    return results


def pad(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """Pad: for the window behind it."""
    folded = draft.folded
    i = folded.dims[node.input[0]]
    source, own = sources[0].image(node, i)
    given = [folded.constants.get(name) if name else None for name in (*node.input, "", "", "")]
    options = attributes(node)
    pads = np.asarray(options.get("pads") if given[1] is None else given[1]).reshape(2, -1)
    value = options.get("value", 0.0) if given[2] is None else float(given[2].reshape(-1)[0])
    whole = np.zeros((2, len(i)), np.int64)
    whole[:, range(len(i)) if given[3] is None else given[3]] = pads
    code = code_of(value, source)
    if options.get("mode", "constant") != "constant" or (whole < 0).any() or whole[:, :2].any():
        raise Problem(node, f"mode {options.get('mode', 'constant')}, pads {whole.tolist()}; "
                            "constant pixels around the image are expected")
    if code is None or any(source.pads):
        raise Problem(node, f"pads of {value:g}, which its input has no code for; quantize it so "
                            "that it is one, or put a quantizer behind and give its code")
    (top, left), (bottom, right) = ((0, *side[2:])[-2:] for side in whole.tolist())
    draft.became([node], "pads of the window behind it")
    return {node.output[0]: replace(source, pads=(top, left, bottom, right), pad_code=code)}


JOINT: dict[str, Joint] = {
    "MatMul": matmul, "Gemm": matmul, "Conv": conv,
    "MaxPool": max_pool, "GlobalMaxPool": max_pool, "ReduceMax": max_pool,
    "AveragePool": average_pool, "GlobalAveragePool": average_pool, "ReduceMean": average_pool,
    "Resize": upsample, "Upsample": upsample, "Slice": part, "Split": part, "Pad": pad,
    "Concat": concat, "Add": add}
