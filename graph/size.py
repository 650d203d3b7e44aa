"""Size: tell how large a node's outputs would be, before they are made."""

from collections.abc import Mapping
from math import prod

import numpy as np
import onnx
from onnx import helper, numpy_helper

from quinnoa.errors import ModelError

from .evaluate import is_qonnx
from .read import label, printable

__all__ = ["MAX_ELEMENTS", "check_size"]

MAX_ELEMENTS = 2 ** 27                   # of one tensor
MAX_SHAPE = 64                           # elements of an input that may be dims


def check_size(node: onnx.NodeProto, values: Mapping[str, np.ndarray], opset: int) -> None:
    """Refuse a node whose outputs for ``values`` would have more than ``MAX_ELEMENTS``.

    A few nodes of a small file can ask for terabytes. Where the sizes cannot be told, the node is
    one that fails, or one that makes no more than it is given.
    """
    inputs = {name: values[name] for name in node.input if name}
    if node.op_type == "MultiThreshold":
        # Every element is compared with every step.
        count = prod(value.shape[-1] if k else value.size
                     for k, value in enumerate(inputs.values()) if value.ndim)
    else:
        count = _broadcast(inputs) if is_qonnx(node) else _inferred(node, inputs, opset)
    if count > MAX_ELEMENTS:
        raise ModelError(f"node {label(node)} ({printable(node.op_type)}): makes {count} elements; "
                         f"at most {MAX_ELEMENTS} are expected of a tensor")


def _broadcast(inputs: Mapping[str, np.ndarray]) -> int:
    try:
        return prod(np.broadcast_shapes(*(value.shape for value in inputs.values())))
    except ValueError:
        return 0


def _inferred(node: onnx.NodeProto, inputs: Mapping[str, np.ndarray], opset: int) -> int:
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    ports = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape)
             for name, v in inputs.items()]
    dims = [numpy_helper.from_array(v, name) for name, v in inputs.items() if v.size <= MAX_SHAPE]
    model = helper.make_model(helper.make_graph([node], "one", ports, outputs, dims),
                              opset_imports=[helper.make_opsetid("", opset)])
    try:
        inferred = onnx.shape_inference.infer_shapes(model)
    except Exception:
        return 0
    return max((prod(d.dim_value for d in o.type.tensor_type.shape.dim)
                for o in inferred.graph.output), default=0)
