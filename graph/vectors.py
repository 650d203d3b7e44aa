"""Vectors: a chain of nodes as it is for the channels of one pixel, in the stream's order.

Every node of a chain works element by element, and what it does is the same for every pixel: its
constants, one for each channel or one for all, are laid along the one vector; reshapes go.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import helper

from .chains import Chain, orders_of
from .constants import Folded, Problem
from .evaluate import attributes
from .operators import RESHAPES

if TYPE_CHECKING:
    from .source import Source

__all__ = ["for_vectors"]

# Constants that count along one axis: which inputs.
_ALONG_AXIS = {"BatchNormalization": range(1, 5), "QuantizeLinear": range(1, 3),
               "DequantizeLinear": range(1, 3)}


def for_vectors(chain: Chain, folded: Folded, source: "Source") -> tuple[Chain, Folded]:
    """Return the chain for tensors (batch, channels) and the model that it belongs to.

    ``source`` says what element of the stream each element of the chain's first tensor is.
    """
    channels, batch = source.stream.channels, folded.model.input.dims[0]
    orders = orders_of(chain, folded)
    constants, dims, nodes = dict(folded.constants), dict(folded.dims), []
    dims[chain.source] = batch, channels
    for k, node in enumerate(chain.nodes):
        o = node.output[0]
        dims[o] = batch, channels
        if node.op_type in RESHAPES:
            first = folded.dynamic_inputs(node)[0]
            nodes.append(helper.make_node("Identity", [first], [o], node.name))
            continue
        # Element inverse[s] of the tensor is element s of the stream.
        inverse = np.empty(len(orders[o]), np.int64)
        inverse[source.order[orders[o]]] = np.arange(len(inverse))
        new = onnx.NodeProto.FromString(node.SerializeToString())
        for j, name in enumerate(node.input):
            if name in folded.constants:
                value = _laid(node, j, folded, inverse, channels)
                if value is not folded.constants[name]:
                    new.input[j] = f"quinnoa.vectors.{k}.{j}"
                    constants[new.input[j]] = value
                    dims[new.input[j]] = value.shape
        nodes.append(_along_channels(new))
    return (Chain(nodes, chain.source, chain.target),
            replace(folded, nodes=nodes, constants=constants, dims=dims))


def _laid(node: onnx.NodeProto, j: int, folded: Folded, inverse: np.ndarray,
          channels: int) -> np.ndarray:
    """Return constant input ``j`` of a node, one for each channel of the stream or one for all."""
    value, dims = folded.constants[node.input[j]], folded.dims[node.output[0]]
    if node.op_type == "MultiThreshold":
        if len(value) == 1:
            return value
        rows = np.arange(len(value)).reshape(_at(_channel_axis(node, len(dims)), len(dims)))
        return value[_picked(node, rows, dims, inverse, channels)]
    along = j in _ALONG_AXIS.get(node.op_type, ()) and value.ndim == 1
    if along and (value.size > 1 or node.op_type == "BatchNormalization"):
        axis = attributes(node).get("axis", 1) if "Linear" in node.op_type else 1
        value = value.reshape(_at(axis % len(dims), len(dims)))
    elif value.size == 1:
        return value if value.ndim < 2 else value.reshape(1)
    return _picked(node, value, dims, inverse, channels)


def _picked(node: onnx.NodeProto, value: np.ndarray, dims: tuple[int, ...], inverse: np.ndarray,
            channels: int) -> np.ndarray:
    try:
        whole = np.broadcast_to(value, dims)
    except ValueError:
        raise Problem(node, f"parameters of dims {list(value.shape)} for a tensor of dims "
                            f"{list(dims)}; one, or one a channel, is expected") from None
    pixels = whole.reshape(-1)[inverse].reshape(-1, channels)
    if (pixels != pixels[:1]).any():
        raise Problem(node, "its parameters differ from pixel to pixel; one, or one a channel, is "
                            "expected")
    return np.ascontiguousarray(pixels[0])


def _along_channels(node: onnx.NodeProto) -> onnx.NodeProto:
    """Set the attributes that say which axis is the channels'."""
    name, value = {"MultiThreshold": ("data_layout", "NC"), "QuantizeLinear": ("axis", 1),
                   "DequantizeLinear": ("axis", 1)}.get(node.op_type, ("", None))
    if name:
        kept = [a for a in node.attribute if a.name != name]
        del node.attribute[:]
        node.attribute.extend([*kept, helper.make_attribute(name, value)])
    return node


def _channel_axis(node: onnx.NodeProto, rank: int) -> int:
    layout = attributes(node).get("data_layout") or {3: "NWC"}.get(rank, "NC")
    return layout.index("C") if "C" in layout else 1


def _at(axis: int, rank: int) -> list[int]:
    return [-1 if k == axis else 1 for k in range(rank)]
