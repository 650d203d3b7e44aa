"""Quantizers: from a node that quantizes to the encoding of what it gives."""

from math import prod

import numpy as np
import onnx

from .constants import Folded, Problem
from .encoding import Encoding, alike
from .evaluate import attributes

__all__ = ["MAX_BITS", "has_limits", "quantizer"]

MAX_BITS = 16                            # of an activation


def has_limits(node: onnx.NodeProto) -> bool:
    """Tell whether a quantizer itself limits its codes; Round and Trunc of version 1 do not."""
    if node.op_type == "Trunc":
        return len(node.input) == 6
    return node.op_type not in ("Round", "Floor", "Ceil")


def quantizer(node: onnx.NodeProto, folded: Folded) -> Encoding:
    """Return the encoding of a quantizer's output; limits are 0 unless it ``has_limits``."""
    op = node.op_type
    if op in ("Quant", "IntQuant"):
        return _quant(node, folded)
    if op == "BipolarQuant":
        return Encoding(_parameter(node, 1, folded), 0.0, -1, 1, bipolar=True)
    if op == "MultiThreshold":
        return _multithreshold(node, folded)
    if op == "Trunc":
        return _trunc(node, folded)
    if op == "QuantizeLinear":
        return _quantize_linear(node, folded)
    if op == "Sign":
        return Encoding(1.0, 0.0, -1, 1)
    return Encoding(1.0, 0.0, 0, 0)


def _parameter(node: onnx.NodeProto, k: int, folded: Folded) -> float | np.ndarray:
    """Return input ``k`` of a quantizer: one number, or one for each element of a sample."""
    value = folded.constants[node.input[k]].astype(np.float64)
    if value.size == 1:
        return float(value.reshape(-1)[0])
    dims = folded.dims[node.output[0]]
    try:
        whole = np.broadcast_to(value, dims).reshape(-1)
    except ValueError:
        raise Problem(node, f"parameters of dims {list(value.shape)} for a tensor of dims "
                            f"{list(dims)}; one, or one a channel, is expected") from None
    return alike(whole[:prod(dims[1:])])


def _limits(node: onnx.NodeProto, bits: int) -> tuple[int, int]:
    options = attributes(node)
    signed, narrow = options.get("signed", 1), options.get("narrow", 0)
    if signed:
        return -2 ** (bits - 1) + bool(narrow), 2 ** (bits - 1) - 1
    return 0, 2 ** bits - 1 - bool(narrow)


def _bits(node: onnx.NodeProto, k: int, folded: Folded) -> int:
    bits = int(folded.constants[node.input[k]].reshape(-1)[0])
    if bits > MAX_BITS:
        raise Problem(node, f"{bits} bits; at most {MAX_BITS} are expected of an activation")
    return bits


def _quant(node: onnx.NodeProto, folded: Folded) -> Encoding:
    # value = scale * (code - zero)
    scale, zero = _parameter(node, 1, folded), _parameter(node, 2, folded)
    bits = _bits(node, 3, folded)
    offset = alike(-np.asarray(scale) * zero + 0.0)
    if bits == 1 and attributes(node).get("signed", 1):
        return Encoding(scale, offset, -1, 1, bipolar=True)
    return Encoding(scale, offset, *_limits(node, bits))


def _trunc(node: onnx.NodeProto, folded: Folded) -> Encoding:
    scale, zero = _parameter(node, 1, folded), _parameter(node, 2, folded)
    if len(node.input) < 6:
        return Encoding(scale, alike(-np.asarray(scale) * zero + 0.0), 0, 0)
    # value = o_scale * (code - zero / shift),  shift = 2**round(log2(o_scale / scale))
    o_scale = _parameter(node, 4, folded)
    shift = 2.0 ** np.round(np.log2(np.asarray(o_scale) / scale))
    return Encoding(o_scale, alike(-np.asarray(o_scale) * zero / shift + 0.0),
                    *_limits(node, _bits(node, 5, folded)))


def _multithreshold(node: onnx.NodeProto, folded: Folded) -> Encoding:
    steps = folded.constants[node.input[1]]
    if steps.ndim != 2 or not 0 < steps.shape[1] < 2 ** MAX_BITS:
        raise Problem(node, f"thresholds of dims {list(steps.shape)}; [channels, steps] with 1 to "
                            f"{2 ** MAX_BITS - 1} steps are expected")
    options = attributes(node)
    # value = scale * count + bias, count in [0, steps]
    scale, bias = options.get("out_scale", 1.0), options.get("out_bias", 0.0)
    if not (np.isfinite(scale) and np.isfinite(bias) and scale):
        raise Problem(node, f"out_scale is {scale:g} and out_bias is {bias:g}; finite numbers and "
                            "a scale other than 0 are expected")
    count = steps.shape[1]
    if count == 1 and bias == -scale / 2:
        return Encoding(scale / 2, 0.0, -1, 1, bipolar=True)
    if bias % scale == 0 and abs(bias / scale) < 2 ** MAX_BITS:
        low = round(bias / scale)
        return Encoding(scale, 0.0, low, low + count)
    return Encoding(scale, bias, 0, count)


def _quantize_linear(node: onnx.NodeProto, folded: Folded) -> Encoding:
    # The output is the integers themselves, of the output's own element type.
    name = str(folded.dtypes[node.output[0]])
    from .encoding import limits
    span = limits(name)
    if span is None:
        raise Problem(node, f"element type {name}; an integer of at most {MAX_BITS} bits is "
                            "expected")
    return Encoding(1.0, 0.0, *span)
