"""Evaluate the file's own nodes: standard ones by ONNX Runtime, QONNX ones by qonnx.

Both run as in the file, in its element types, with no optimisation. Products alone can be asked
for exactly: summed in float64, and rounded once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from quinnoa.errors import ModelError

from .read import QONNX_DOMAINS, STANDARD_DOMAINS, label, printable

__all__ = ["QONNX_OPS", "attributes", "compiled", "evaluate", "is_qonnx", "plain", "product"]

QONNX_OPS = ("Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold")
# Types of the attributes that are read here and by qonnx.
KINDS = {"signed": int, "narrow": int, "rounding_mode": str, "out_scale": float, "out_bias": float,
         "out_dtype": str, "data_layout": str, "alpha": float, "beta": float, "transA": int,
         "transB": int}
SMALL = 4096                             # elements of what may be a parameter of a node
IR_VERSION = 10                          # knows every element type of the opsets we take

Values = dict[str, np.ndarray]
Step = Callable[[Values], Values]


def is_qonnx(node: onnx.NodeProto) -> bool:
    """Tell whether a node is one of the QONNX operators that are known."""
    return node.domain in QONNX_DOMAINS and node.op_type in QONNX_OPS


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Return a node's attributes; bytes as text."""
    values = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if value is None or not isinstance(value, KINDS.get(attribute.name, object)):
            raise ModelError(f"node {label(node)} ({printable(node.op_type)}): attribute "
                             f"{printable(attribute.name)} has the wrong type")
        values[attribute.name] = value
    return values


def evaluate(node: onnx.NodeProto, values: Mapping[str, np.ndarray], opset: int) -> Values:
    """Evaluate one node on the values of its inputs; return those of its outputs."""
    inputs = {name: values[name] for name in node.input if name}
    if is_qonnx(node):
        return _qonnx_step(node)(inputs)
    # Parameters are part of the model that is made of it, tensors are fed to it.
    small = {name: value for name, value in inputs.items() if value.size <= SMALL}
    large = {name: value for name, value in inputs.items() if name not in small}
    return _standard_step([node], small, large, [o for o in node.output if o], opset)({})


def compiled(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray],
             dtypes: Mapping[str, np.dtype], wanted: Iterable[str], opset: int) -> list[Step]:
    """Return the steps that evaluate nodes in order, each from the values so far to new ones.

    Neighbouring standard nodes are one step, a product is one of its own, exact. ``dtypes`` are
    the element types of the tensors that are not constants, ``wanted`` those read at the end.
    """
    groups: list[list[onnx.NodeProto]] = []
    for node in nodes:
        alone = is_qonnx(node) or node.op_type in PRODUCTS
        if alone or not groups or is_qonnx(groups[-1][0]) or groups[-1][0].op_type in PRODUCTS:
            groups.append([])
        groups[-1].append(node)
    steps: list[Step] = []
    needed = set(wanted)
    for group in reversed(groups):
        made = {o for node in group for o in node.output if o}
        read = {i for node in group for i in node.input if i}
        local = {name: constants[name] for name in read if name in constants}
        if is_qonnx(group[0]):
            steps.append(_qonnx_step(group[0], local))
        elif group[0].op_type in PRODUCTS:
            steps.append(_product_step(group[0], local))
        else:
            taken = {name: dtypes[name] for name in read - made - local.keys()}
            steps.append(_standard_step(group, local, taken, sorted(made & needed), opset))
        needed |= read - made
    return steps[::-1]


def _qonnx_step(node: onnx.NodeProto, constants: Mapping[str, np.ndarray] | None = None) -> Step:
    """Evaluate by qonnx's own class, of the version that the number of inputs tells."""
    from qonnx.custom_op.registry import getCustomOp
    own = onnx.NodeProto()
    own.CopyFrom(node)
    own.domain = QONNX_DOMAINS[0]
    version = 2 if node.op_type == "Trunc" and len(node.input) == 6 else 1
    op = getCustomOp(own, onnx_opset_version=version)
    fixed = dict(constants or {})

    def step(values: Values) -> Values:
        context = {**values, **fixed}
        dtype = context[node.input[0]].dtype
        dtype = dtype if dtype.kind == "f" else np.dtype(np.float32)
        try:
            with np.errstate(all="ignore"):
                op.execute_node(context, None)
        except Exception as error:
            raise ModelError(f"node {label(node)} ({node.op_type}): cannot be evaluated: "
                             f"{_reason(error)}") from None
        return {node.output[0]: np.asarray(context[node.output[0]]).astype(dtype)}

    return step


def _standard_step(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray],
                   inputs: Mapping[str, Any], outputs: list[str], opset: int) -> Step:
    """Evaluate by ONNX Runtime. ``inputs`` are element types, or values to evaluate once."""
    feeds = {k: v for k, v in inputs.items() if isinstance(v, np.ndarray)}
    session = _session(nodes, constants, {k: np.dtype(getattr(v, "dtype", v))
                                          for k, v in inputs.items()}, outputs, opset)

    def step(values: Values) -> Values:
        try:
            results = session.run(outputs, feeds or {name: values[name] for name in inputs})
        except Exception as error:
            raise ModelError(f"node {_labels(nodes)}: cannot be evaluated: {_reason(error)}"
                             ) from None
        return dict(zip(outputs, results, strict=True))

    return step


def _session(nodes: Sequence[onnx.NodeProto], constants: Mapping[str, np.ndarray],
             inputs: Mapping[str, np.dtype], outputs: list[str], opset: int) -> Any:
    import onnxruntime
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    graph = helper.make_graph(
        [plain(node) for node in nodes], "segment",
        [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(dtype), None)
         for name, dtype in inputs.items()],
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, ir_version=IR_VERSION,
                              opset_imports=[helper.make_opsetid("", opset)])
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options,
                                            providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ModelError(f"node {_labels(nodes)}: cannot be evaluated: {_reason(error)}"
                         ) from None


def plain(node: onnx.NodeProto) -> onnx.NodeProto:
    """Return a standard node in the domain's short name."""
    if node.domain not in STANDARD_DOMAINS or not node.domain:
        return node
    short = onnx.NodeProto()
    short.CopyFrom(node)
    short.domain = ""
    return short


def _labels(nodes: Sequence[onnx.NodeProto]) -> str:
    first, last = nodes[0], nodes[-1]
    if first is last:
        return f"{label(first)} ({printable(first.op_type)})"
    return f"{label(first)} to {label(last)}"


def _reason(error: Exception) -> str:
    # ONNX Runtime puts its own matters in front of colons.
    return printable(" ".join(str(error).split()).split(" : ")[-1], 200)


def product(node: onnx.NodeProto, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute MatMul or Gemm in float64, and round once to the element type of the file."""
    # Gemm: Y = alpha * A' @ B' + beta * C
    a, b = values[node.input[0]], values[node.input[1]]
    options = attributes(node)
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    with np.errstate(all="ignore"):      # infinities, as in the file
        y = ((wide_a.T if options.get("transA") else wide_a)
             @ (wide_b.T if options.get("transB") else wide_b)) * options.get("alpha", 1.0)
        if len(node.input) > 2 and node.input[2]:
            y = y + options.get("beta", 1.0) * values[node.input[2]].astype(np.float64)
        return np.asarray(y, a.dtype)


def _product_step(node: onnx.NodeProto, constants: Mapping[str, np.ndarray]) -> Step:
    def step(values: Values) -> Values:
        try:
            return {node.output[0]: product(node, {**values, **constants})}
        except ValueError as error:
            raise ModelError(f"node {label(node)} ({node.op_type}): cannot be evaluated: "
                             f"{_reason(error)}") from None

    return step


PRODUCTS = ("MatMul", "Gemm")
