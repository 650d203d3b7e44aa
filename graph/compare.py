"""Compare a network with the qonnx executor of its file.

The executor sums in float32, and computes with scaled values that were rounded: where such a sum
rounds across a tie its outputs differ from the exact ones. Those frames are counted on their own.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .constants import Folded, fold_constants
from .evaluate import product
from .layers import Add, Depthwise, MatMul
from .network import Network, arranged
from .operators import PRODUCTS
from .read import QONNX_DOMAINS, STANDARD_DOMAINS, read
from .segment import Segment

__all__ = ["against_executor", "execute"]

# Float outputs are equal if they differ by no more than the rounding of a few affine steps.
TOLERANCE = 2.0 ** -18
FRAMES = 256                             # that the executor takes at a time, at most
ELEMENTS = 2 ** 26                       # of all tensors, for all those frames


def against_executor(network: Network, x: np.ndarray,
                     outputs: np.ndarray | None = None) -> dict[str, Any]:
    """Compare ``outputs`` (``network.run(x)`` by default) with the executor's.

    Returns ``frames``, ``mismatches`` (frames that differ), and ``rounded``: how many of those
    differ because a float32 sum of the executor differs from the exact one.
    """
    folded = fold_constants(read(network.source))
    outputs = network.run(x) if outputs is None else outputs
    different, rounded = 0, 0
    largest = sum(prod(dims) for dims in folded.dims.values()) // folded.model.input.dims[0]
    frames = max(1, min(FRAMES, ELEMENTS // largest))
    for start in range(0, len(x), frames):
        part = x[start:start + frames]
        values = execute(folded, _floats(network, part))
        wrong = _different(network, values[folded.model.output],
                           outputs[start:start + frames])
        if wrong.any():
            different += int(wrong.sum())
            tensors = {name: value[wrong] for name, value in values.items()
                       if len(value) == len(part)}
            rounded += int(_rounded(network, part[wrong], tensors).sum())
    return {"frames": len(x), "mismatches": different, "rounded": rounded}


def execute(folded: Folded, x: np.ndarray) -> dict[str, np.ndarray]:
    """Run the qonnx executor; return the values of all tensors, frames along the first axis."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    i = folded.model.input
    whole = Segment(folded, folded.nodes, i.name, folded.model.output)
    together = whole.keeps_batch
    parts = [x] if together else [x[k:k + 1] for k in range(len(x))]
    results = []
    for part in parts:
        model = ModelWrapper(_executable(folded, len(part), together))
        context = execute_onnx(model, {i.name: part}, return_full_exec_context=True)
        results.append({name: context[name] for name in folded.dims})
    return {name: np.concatenate([np.atleast_1d(result[name]) for result in results])
            for name in folded.dims}


def _executable(folded: Folded, frames: int, together: bool) -> onnx.ModelProto:
    """Return the folded model for so many frames, its tensors' dims filled in."""
    batch, constants, nodes = folded.model.input.dims[0], dict(folded.constants), []
    for k, node in enumerate(folded.nodes):
        node = onnx.NodeProto.FromString(node.SerializeToString())
        node.domain = "" if node.domain in STANDARD_DOMAINS else QONNX_DOMAINS[0]
        if together and node.op_type == "Reshape":
            constants[f"dims.{k}"] = np.array([-1, *folded.dims[node.output[0]][1:]], np.int64)
            del node.input[1:], node.attribute[:]
            node.input.append(f"dims.{k}")
        nodes.append(node)
    used = {name for node in nodes for name in node.input}

    def info(name: str) -> onnx.ValueInfoProto:
        dims = list(folded.dims[name])
        if together and dims:
            dims[0] = dims[0] // batch * frames
        return helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(folded.dtypes[name]), dims)

    i, o = folded.model.input.name, folded.model.output
    graph = helper.make_graph(
        nodes, "executable", [info(i)], [info(o)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()
         if name in used],
        value_info=[info(name) for name in folded.dims if name not in (i, o)])
    trunc = 2 if any(n.op_type == "Trunc" and len(n.input) == 6 for n in nodes) else 1
    return helper.make_model(graph, ir_version=10, opset_imports=[
        helper.make_opsetid("", folded.model.opset), helper.make_opsetid(QONNX_DOMAINS[0], trunc)])


def _floats(network: Network, x: np.ndarray) -> np.ndarray:
    """Return what the file takes for what the network takes."""
    if network.input is None:
        return x
    return network.input.encoding.values(x, network.head.port.dtype)


def _different(network: Network, expected: np.ndarray, outputs: np.ndarray) -> np.ndarray:
    """Return, for each frame, whether its outputs differ."""
    frames = len(outputs)
    expected, outputs = expected.reshape(frames, -1), outputs.reshape(frames, -1)
    if network.top is not None and expected.dtype.kind == "f":
        expected = np.argsort(-expected, axis=1, kind="stable")[:, :network.top]
    if outputs.dtype.kind != "f":
        return (expected != outputs).any(axis=1)
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    return ~np.isclose(outputs, expected, rtol=0, atol=TOLERANCE * largest,
                       equal_nan=True).all(axis=1)


def _rounded(network: Network, x: np.ndarray, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Tell which frames first leave the exact way behind a sum that the executor rounds."""
    on_the_way, rounded = np.ones(len(x), bool), np.zeros(len(x), bool)
    taps = {tap.layer: tap for tap in network.taps if tap.target in tensors}
    sums = {each.layer: each for each in network.sums if each.tensor in tensors}
    # Frames in which a sum since the last codes that were compared is not exact.
    inexact = {"": _head_rounds(network, tensors, len(x))}
    feeds = dict(zip((layer.name for layer in network.layers), network.feeds, strict=True))
    for name, y, raw in _with_sums(network, network.encode(x), sums):
        if name:
            inexact[name] = np.any([inexact[feed] for feed in feeds[name]], axis=0)
        if name in sums:
            each = sums[name]
            values = each.encoding.values(_vectors(raw, y), np.dtype(np.float32))
            exact = values.reshape(len(x), -1)[:, each.order]
            inexact[name] |= (tensors[each.tensor].reshape(len(x), -1) != exact).any(axis=1)
        if name in taps:
            tap = taps[name]
            values = arranged(tensors[tap.target].reshape(len(x), -1), tap.order)
            want = tap.encoding.codes(values.reshape(_vectors(y, y).shape))
            differs = (_vectors(y, y) != want).reshape(len(x), -1).any(axis=1)
            leaves = on_the_way & differs
            rounded |= leaves & inexact[name]
            on_the_way &= ~leaves
            inexact[name] = np.zeros(len(x), bool)
    return rounded | on_the_way & inexact[network.layers[-1].name]


def _with_sums(network: Network, codes: np.ndarray, sums: Collection[str]
               ) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield what each layer gives, and, of those in ``sums``, the sums in front of thresholds."""
    values: dict[str, np.ndarray] = {}
    layers = {layer.name: layer for layer in network.layers}
    feeds = dict(zip(layers, network.feeds, strict=True))
    for name, y in network.outputs(codes):
        values[name] = raw = y
        layer = layers.get(name)
        if name in sums and isinstance(layer, (MatMul, Depthwise, Add)) and layer.thresholds:
            x = [values[feed].reshape(len(codes), *stream.dims)
                 for feed, stream in zip(feeds[name], (layer.i, *layer.more), strict=True)]
            raw = replace(layer, thresholds=None).model(*x)
        yield name, y, raw


def _vectors(y: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Return integers (frames, *dims) as (frames, vectors, channels)."""
    return y.reshape(len(y), -1, like.shape[-1])


def _head_rounds(network: Network, tensors: dict[str, np.ndarray], frames: int) -> np.ndarray:
    """Tell in which frames a product in the head, on the host, is not exact in the executor."""
    inexact = np.zeros(frames, bool)
    segment = network.head.segment
    if segment is None:
        return inexact
    for node in segment.nodes:
        if node.op_type in PRODUCTS:
            exact = product(node, {**segment.folded.constants, **tensors})
            inexact |= (tensors[node.output[0]] != exact).reshape(frames, -1).any(axis=1)
    return inexact
