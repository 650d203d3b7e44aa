"""Export: a segment of the file as an ONNX model of its own, exact as the segment is."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from quinnoa.errors import ModelError

from .evaluate import is_qonnx, plain
from .operators import PRODUCTS
from .segment import Segment

__all__ = ["Inexpressible", "exported"]

IR_VERSION = 8                           # old enough for what runs on boards


class Inexpressible(Exception):
    """Nodes that a driver cannot compute; the message says which and why."""


def exported(segment: Segment) -> np.ndarray:
    """Return nodes as an ONNX model of their own, as bytes; products in float64, rounded once."""
    folded = segment.folded
    nodes, constants = segment.batched if segment.keeps_batch else (segment.nodes,
                                                                     folded.constants)
    made: list[onnx.NodeProto] = []
    for node in nodes:
        if is_qonnx(node):
            raise Inexpressible(f"node {node.name} ({node.op_type}) is none of standard ONNX")
        if node.op_type in PRODUCTS:
            made += _exact(node, folded.dtypes[node.output[0]])
        else:
            made.append(plain(node))
    used = {name for node in made for name in node.input}
    graph = helper.make_graph(
        made, "host",
        [helper.make_tensor_value_info(
            segment.source, helper.np_dtype_to_tensor_dtype(segment.dtype), None)],
        [onnx.ValueInfoProto(name=segment.target)],
        [numpy_helper.from_array(np.asarray(value), name)
         for name, value in constants.items() if name in used])
    model = helper.make_model(graph, ir_version=IR_VERSION, opset_imports=[
        helper.make_opsetid("", folded.model.opset)])
    try:
        return np.frombuffer(model.SerializeToString(), np.uint8)
    except ValueError as error:
        raise ModelError(f"the host's nodes cannot be written: {error}") from None


def _exact(node: onnx.NodeProto, dtype: np.dtype) -> list[onnx.NodeProto]:
    """Return a product computed in float64 and rounded once to its type."""
    to_double = [helper.make_node("Cast", [name], [f"{node.output[0]}.wide.{k}"],
                                  to=onnx.TensorProto.DOUBLE)
                 for k, name in enumerate(node.input) if name]
    product = plain(node)
    wide = onnx.NodeProto.FromString(product.SerializeToString())
    del wide.input[:]
    wide.input.extend(cast.output[0] for cast in to_double)
    wide.output[0] = f"{node.output[0]}.wide"
    narrow = helper.make_node("Cast", [wide.output[0]], [node.output[0]],
                              to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
    return [*to_double, wide, narrow]
