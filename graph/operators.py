"""Operators: which ones are known, and what part each can play."""

import onnx

from .evaluate import PRODUCTS, attributes, is_qonnx
from .read import STANDARD_DOMAINS, printable

__all__ = ["ELEMENTWISE", "JOINTS", "LAST", "PRODUCTS", "QUANTIZERS", "RESHAPES", "blocked",
           "is_monotone"]

# Every element of the output depends on the same element of the input.
ELEMENTWISE = frozenset("""
    Add Sub Mul Div Pow Sqrt Neg Abs Exp Log Erf Reciprocal Min Max Floor Ceil Round Cast
    BatchNormalization Relu LeakyRelu PRelu Elu Selu Celu Clip ThresholdedRelu Sigmoid HardSigmoid
    HardSwish Tanh Softplus Softsign Gelu Mish Sign Identity Dropout Where
    Greater GreaterOrEqual Less LessOrEqual Equal Not And Or
    Quant IntQuant BipolarQuant Trunc MultiThreshold QuantizeLinear DequantizeLinear
""".split())
# The same elements in another arrangement.
RESHAPES = frozenset(["Reshape", "Flatten", "Transpose", "Squeeze", "Unsqueeze"])
# Give values on a grid.
QUANTIZERS = frozenset(["Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold",
                        "QuantizeLinear", "Sign", "Round", "Floor", "Ceil"])
# What chains lead from and to.
JOINTS = frozenset([*PRODUCTS, "Conv", "MaxPool", "AveragePool", "GlobalMaxPool",
                    "GlobalAveragePool", "ReduceMax", "ReduceMean", "Resize", "Upsample", "Concat",
                    "Split", "Slice", "Pad"])
# Behind the last layer, on the host.
LAST = frozenset(["Softmax", "LogSoftmax", "TopK", "ArgMax"])
# Only of what is known when the model is read: weights, and shapes.
STATIC = frozenset("""
    Constant Shape Size Gather Range ConstantOfShape Expand ReduceProd ReduceMin ReduceSum Mod
""".split())

# Rise or fall with their first input, whatever the others are. Of Sigmoid, Tanh and their like
# ONNX Runtime computes approximations, which may not.
_MONOTONE = frozenset("""
    Add Sub Mul Div Neg BatchNormalization Relu Clip HardSigmoid Sign Identity Dropout Min Max Floor
    Ceil Round Sqrt
    Quant IntQuant BipolarQuant Trunc MultiThreshold QuantizeLinear DequantizeLinear
    Reshape Flatten Transpose Squeeze Unsqueeze
""".split())

# What would help, by operator.
_REMEDIES = {
    "ConvTranspose": "write it as Resize (nearest) and Conv",
    "LpPool": "write it as MaxPool or AveragePool",
    "ConvInteger": "write it as Conv of DequantizeLinear outputs (QCDQ)",
    "QLinearConv": "write it as Conv of DequantizeLinear outputs (QCDQ)",
    "MatMulInteger": "write it as MatMul of DequantizeLinear outputs (QCDQ)",
    "QLinearMatMul": "write it as MatMul of DequantizeLinear outputs (QCDQ)",
}


def is_monotone(node: onnx.NodeProto, dynamic: list[str]) -> bool:
    """Tell whether a node rises or falls with its one input that is not constant."""
    if len(dynamic) != 1:
        return False
    if node.op_type == "LeakyRelu":
        return attributes(node).get("alpha", 0.01) >= 0
    if node.op_type == "Div" and node.input[0] != dynamic[0]:
        return False                     # 1 / x leaps at 0
    return node.op_type in _MONOTONE


def blocked(node: onnx.NodeProto, *, static: bool) -> str | None:
    """Say why a node cannot be built by its operator alone; None if it can be.

    ``static`` nodes have constant inputs only.
    """
    op = printable(node.op_type)
    if not is_qonnx(node) and node.domain not in STANDARD_DOMAINS:
        return (f"operator {op} of domain {printable(node.domain)} is unknown; standard ONNX and "
                "the QONNX operators are expected")
    known = ELEMENTWISE | RESHAPES | LAST | STATIC | JOINTS
    if node.op_type not in known:
        remedy = _REMEDIES.get(node.op_type, "express it by operators that are, or take it out of "
                                             "the model and compute it on the host")
        return f"operator {op} is not supported; {remedy}"
    if not is_qonnx(node):
        try:
            onnx.defs.get_schema(node.op_type)
        except Exception:
            return (f"operator {op} is not a standard one; domain qonnx.custom_op.general is "
                    "expected for it")
    if node.op_type in STATIC and not static and node.op_type not in ("Shape", "Size"):
        return f"operator {op} is supported on constants only, and its input depends on the model's"
    options = attributes(node)
    if node.op_type == "BatchNormalization" and options.get("training_mode", 0):
        return "training_mode is 1; 0 is expected: export the model in evaluation mode"
    return None


