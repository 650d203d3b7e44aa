"""Expand: operators of QONNX that are several standard ones.

``QuantAvgPool2d(x) == floor(round(AveragePool(x) * kernel**2) / 2**shift)``
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from onnx import helper

from quinnoa.errors import ModelError

from .evaluate import attributes
from .read import QONNX_DOMAINS, Model, label, printable

__all__ = ["expanded"]


def expanded(model: Model) -> Model:
    """Return the model with standard nodes in place of such operators."""
    constants = dict(model.constants)
    nodes: list[onnx.NodeProto] = []
    for node in model.nodes:
        if node.domain in QONNX_DOMAINS and node.op_type == "QuantAvgPool2d":
            nodes += _average(node, constants)
        else:
            nodes.append(node)
    return replace(model, nodes=tuple(nodes), constants=constants)


def _average(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> Iterator[onnx.NodeProto]:
    options = attributes(node)
    names = ("kernel", "stride", "ibits", "obits")
    wrong = [name for name in names if not isinstance(options.get(name), int) or options[name] < 1]
    if wrong or max(options[name] for name in names) > 4096:
        given = ", ".join(str(options.get(name)) for name in names)
        raise ModelError(f"node {label(node)} ({printable(node.op_type)}): its {', '.join(names)} "
                         f"are {given}; whole numbers from 1 to 4096 are expected")
    kernel, stride = options["kernel"], options["stride"]
    # The sum has as many bits as the greatest one of ibits each; obits of them are kept.
    largest = (2 ** options["ibits"] - 1) * kernel ** 2
    shift = max(largest.bit_length() - options["obits"], 0)
    steps: list[tuple[str, list[float], dict]] = [
        ("AveragePool", [], {"kernel_shape": [kernel] * 2, "strides": [stride] * 2}),
        ("Mul", [kernel ** 2], {}), ("Round", [], {}), ("Mul", [2.0 ** -shift], {}),
        ("Floor", [], {})]
    if options.get("data_layout", "NCHW") == "NHWC":
        steps = [("Transpose", [], {"perm": [0, 3, 1, 2]}), *steps,
                 ("Transpose", [], {"perm": [0, 2, 3, 1]})]
    x, o = node.input[0], node.output[0]
    for k, (op, factors, parameters) in enumerate(steps):
        y = o if k == len(steps) - 1 else f"{o} step {k}"
        operands = [f"{y} factor" for _ in factors]
        for name, factor in zip(operands, factors, strict=True):
            constants[name] = np.array(factor, np.float32)
        yield helper.make_node(op, [x, *operands], [y], f"{label(node)}/{op}{k}", **parameters)
        x = y
