"""Joins: from Add and Concat of several branches to layers, on one scale."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import lcm
from typing import Any

import numpy as np
import onnx

from quinnoa.rtl.shapes import range_of, shape_for

from .activate import laid_thresholds
from .constants import Problem
from .draft import Draft
from .encoding import Encoding, alike
from .evaluate import attributes
from .layers import Add, Concat, Stream
from .network import Sum
from .read import label
from .source import Source

__all__ = ["MAX_MULTIPLIER", "add", "common_scale", "concat"]

MAX_MULTIPLIER = 64
MAX_LEVELS = 256                         # of codes on a common scale
SAME = 2.0 ** -21                        # of a scale: scales were rounded to float32


def common_scale(scales: Sequence[float]) -> tuple[float, tuple[int, ...]] | None:
    """Return s and multipliers m with ``scales[k] == m[k] * s``; None if they are not small."""
    ratios = [Fraction(scale / scales[0]).limit_denominator(MAX_MULTIPLIER) for scale in scales]
    common = lcm(*(ratio.denominator for ratio in ratios))
    multipliers = tuple(int(ratio * common) for ratio in ratios)
    s = scales[0] / common
    if any(m == 0 or abs(m) > MAX_MULTIPLIER or abs(m * s - scale) > SAME * abs(scale)
           for m, scale in zip(multipliers, scales, strict=True)):
        return None
    return s, multipliers


def add(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """Add: integers times small multipliers, where the scales have a common one."""
    o, folded = node.output[0], draft.folded
    if any(folded.dims[name] != folded.dims[o] for name in folded.dynamic_inputs(node)):
        dims = " and ".join(str(list(folded.dims[name])) for name in folded.dynamic_inputs(node))
        raise Problem(node, f"dims {dims}; two of the same are expected")
    first = sources[0]
    sources = [each.seen_as(first.stream.dims, node) for each in sources]
    if any((each.order != first.order).any() or any(each.pads) for each in sources):
        raise Problem(node, "its inputs are arranged differently, or padded; two alike are "
                            "expected")
    s, multipliers = _multipliers(node, sources)
    limits = [sorted((m * low, m * high)) for m, each in zip(multipliers, sources, strict=True)
              for low, high in [range_of(each.stream.shape)]]
    stream = Stream(first.stream.dims, shape_for(sum(low for low, _ in limits),
                                                 sum(high for _, high in limits)))
    name = draft.lay(Add, sources, stream, label(node), multipliers=multipliers)
    draft.became([node], name)
    pairs = list(zip(multipliers, sources, strict=True))
    low = sum(np.minimum(m * each.low, m * each.high) for m, each in pairs)
    high = sum(np.maximum(m * each.low, m * each.high) for m, each in pairs)
    offset = sum(np.asarray(each.encoding.offset, np.float64) for each in sources)
    encoding = Encoding(s, alike(offset), int(low.min()), int(high.max()))
    draft.sums.append(Sum(o, name, encoding, first.order))
    return {o: Source(name, stream, encoding, first.order, low, high, quantized=False)}


def _multipliers(node: onnx.NodeProto, sources: Sequence[Source]
                 ) -> tuple[float | np.ndarray, tuple[int, ...]]:
    """Return the common scale, or one a channel, and the multipliers."""
    channels = sources[0].stream.channels
    scales = np.stack([np.broadcast_to(np.asarray(each.encoding.scale, np.float64), channels)
                       for each in sources])
    found = [common_scale(column.tolist()) for column in np.unique(scales, axis=1).T]
    multipliers = found[0][1] if found[0] else ()
    wrong = [k for k, pair in enumerate(found) if not pair or pair[1] != multipliers]
    if wrong:
        given = [" and ".join(f"{scale:.9g}" for scale in np.unique(scales, axis=1)[:, k])
                 for k in dict.fromkeys((0, wrong[0]))]
        raise Problem(node, f"the scales of its inputs are {', in another channel '.join(given)}: "
                            "not small multiples of a common one, the same for all channels; put "
                            "one quantizer (the same scale) on both")
    return alike(scales[0] / multipliers[0]), multipliers


def concat(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> dict[str, Source]:
    """Concat: channels behind one another, on one scale and of one shape."""
    o, folded = node.output[0], draft.folded
    dims = [folded.dims[name] for name in folded.dynamic_inputs(node)]
    if len(sources) < len(node.input):
        raise Problem(node, "some of its inputs are constants; branches alone are expected")
    vectors = {each.stream.vectors for each in sources}
    if len(vectors) > 1 or any(any(each.pads) for each in sources):
        given = " and ".join(str(list(each)) for each in dims)
        raise Problem(node, f"dims {given}; tensors of the same pixels, channel behind channel, "
                            "are expected")
    channels = [each.stream.channels for each in sources]
    starts, total = np.cumsum([0, *channels[:-1]]), sum(channels)
    axis, orders = attributes(node)["axis"], []
    for each, count, start, shape in zip(sources, channels, starts, dims, strict=True):
        pixel = (each.order // count).reshape(1, *shape[1:])
        if (pixel.min(axis=axis) != pixel.max(axis=axis)).any():
            raise Problem(node, f"it puts rows or columns behind one another (axis {axis} of dims "
                                f"{list(shape)}); channels alone are expected")
        orders.append(pixel * total + start + (each.order % count).reshape(pixel.shape))
    order = np.concatenate(orders, axis).reshape(-1)
    sources = _alike(draft, node, sources)
    first = sources[0]
    stream = Stream((*first.stream.dims[:-1], total), first.stream.shape)
    name = draft.lay(Concat, sources, stream, label(node))
    draft.became([node], name)
    encoding = replace(first.encoding, low=min(each.encoding.low for each in sources),
                       high=max(each.encoding.high for each in sources))
    return {o: Source(name, stream, encoding, order,
                      np.concatenate([each.low for each in sources]),
                      np.concatenate([each.high for each in sources]),
                      min(each.stride for each in sources),
                      all(each.quantized for each in sources))}


def _alike(draft: Draft, node: onnx.NodeProto, sources: Sequence[Source]) -> list[Source]:
    """Return sources of one scale and shape: those that differ have their codes changed."""
    scales: list[Any] = [each.encoding.scale for each in sources]
    offsets: list[Any] = [each.encoding.offset for each in sources]
    if any(np.ndim(value) for value in (*scales, *offsets)):
        raise Problem(node, "some of its inputs have one scale a channel; one for all is expected: "
                            "put one quantizer (the same scale) on all of them")
    given = " and ".join(dict.fromkeys(
        f"{scale:.9g}" + f" (offset {offset:.9g})" * (offset != 0)
        for scale, offset in zip(scales, offsets, strict=True)))
    refusal = Problem(node, f"the scales of its inputs are {given}: not small multiples of a "
                            "common one, for a few bits; put one quantizer (the same scale) on all "
                            "of them")
    scales, offsets = ([float(value) for value in values] for values in (scales, offsets))
    found = common_scale(scales)
    if found is None:
        raise refusal
    s, multipliers = found
    # value = m*s * code + o = s * (m * code + (o - o_0) / s) + o_0
    shifts = [(offset - offsets[0]) / s for offset in offsets]
    if any(abs(shift - round(shift)) > SAME * max(abs(shift), 1) for shift in shifts):
        raise refusal
    maps = [(m, round(shift)) for m, shift in zip(multipliers, shifts, strict=True)]
    limits = [sorted((m * each.encoding.low + shift, m * each.encoding.high + shift))
              for each, (m, shift) in zip(sources, maps, strict=True)]
    low, high = min(low for low, _ in limits), max(high for _, high in limits)
    same = len({(m, shift) for m, shift in maps}) == 1
    if same and len({repr(each.stream.shape) for each in sources}) == 1:
        return list(sources)
    encoding = Encoding(s, offsets[0], low, high)
    if high - low >= MAX_LEVELS or not all(each.quantized for each in sources):
        raise refusal
    return [_recoded(draft, node, each, m, shift, encoding)
            for each, (m, shift) in zip(sources, maps, strict=True)]


def _recoded(draft: Draft, node: onnx.NodeProto, source: Source, m: int, shift: int,
             encoding: Encoding) -> Source:
    """Return a source with codes ``m * code + shift``."""
    if (m, shift) == (1, 0) and source.stream.shape == encoding.shape:
        return source
    return laid_thresholds(draft, source, lambda a: m * a + shift, encoding, source.order, node,
                           monotone=True, alone=False, text=f"{label(node)}: on one scale")
