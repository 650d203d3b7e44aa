"""Pools: a max-pool of sums goes behind the quantizer that follows it.

    max(q(x)) == q(max(x))    for every q that rises

Behind it the pool compares a few bits, where in front it would compare sums, or real numbers.
"""

from dataclasses import replace

import onnx

from .chains import Chain
from .constants import Folded
from .evaluate import attributes
from .operators import JOINTS, QUANTIZERS
from .quantizers import has_limits

__all__ = ["behind_quantizers"]

_MAX_POOLS = ("MaxPool", "GlobalMaxPool", "ReduceMax")
# Rise with their first input, whatever the others are.
_RISING = frozenset("""
    Add Relu Clip Identity Dropout Floor Ceil Round Quant IntQuant BipolarQuant Trunc
    QuantizeLinear DequantizeLinear
""".split())


def behind_quantizers(folded: Folded) -> tuple[Folded, dict[str, onnx.NodeProto], set[str]]:
    """Return the model with such pools moved.

    Also the nodes of the file that were moved, by the tensors that each makes now, and the
    quantizers' tensors that pools make now.
    """
    moved: dict[str, onnx.NodeProto] = {}
    behind: set[str] = set()
    for pool in folded.nodes:
        if pool.op_type in _MAX_POOLS and not _is_quantized(pool, folded):
            chain = _rising_chain(pool, folded)
            if chain is not None:
                folded = _moved(pool, chain, folded, moved)
                behind.add(chain.target)
    return folded, moved, behind


def _is_quantized(pool: onnx.NodeProto, folded: Folded) -> bool:
    """Tell whether a quantizer, or nothing but the model's input, stands in front of a pool."""
    makers = {name: node for node in folded.nodes for name in node.output}
    name = pool.input[0]
    while name in makers:
        node = makers[name]
        if node.op_type in _MAX_POOLS or node.op_type in QUANTIZERS and has_limits(node):
            return True
        if node.op_type in JOINTS or len(folded.dynamic_inputs(node)) != 1:
            return node.op_type in ("Concat", "Slice", "Split", "Resize", "Upsample", "Pad")
        name = folded.dynamic_inputs(node)[0]
    return True


def _rising_chain(pool: onnx.NodeProto, folded: Folded) -> Chain | None:
    """Return the nodes behind a pool up to the first quantizer with limits, if all of them rise."""
    nodes, name = [], pool.output[0]
    while name != folded.model.output:
        readers = [node for node in folded.nodes if name in node.input]
        if len(readers) != 1 or not _rises(readers[0], name, folded):
            return None
        nodes.append(readers[0])
        name = readers[0].output[0]
        if readers[0].op_type in QUANTIZERS and has_limits(readers[0]):
            return Chain(nodes, pool.output[0], name)
    return None


def _rises(node: onnx.NodeProto, name: str, folded: Folded) -> bool:
    """Tell whether a node rises with tensor ``name``, and is the same for every pixel."""
    if folded.dynamic_inputs(node) != [name] or node.input[0] != name and node.op_type != "Add":
        return node.op_type == "Mul" and folded.dynamic_inputs(node) == [name] and bool(
            (folded.constants[node.input[0]] > 0).all())
    others = [folded.constants[each] for each in node.input[1:] if each in folded.constants]
    rank = len(folded.dims[name])
    if any(value.ndim == rank and max(value.shape[2:], default=1) > 1 for value in others):
        return False
    if node.op_type in ("Mul", "Div"):
        return bool((others[0] > 0).all())
    if node.op_type == "BatchNormalization":
        return bool((others[0] >= 0).all())
    if node.op_type == "LeakyRelu":
        return bool(attributes(node).get("alpha", 0.01) >= 0)
    if node.op_type == "MultiThreshold":
        return bool(attributes(node).get("out_scale", 1.0) > 0)
    return node.op_type in _RISING or node.op_type == "Sub"


def _moved(pool: onnx.NodeProto, chain: Chain, folded: Folded,
           moved: dict[str, onnx.NodeProto]) -> Folded:
    """Return the model with ``pool`` behind ``chain``."""
    dims, dtypes, nodes = dict(folded.dims), dict(folded.dtypes), []
    name = pool.input[0]
    for node in chain.nodes:
        new = onnx.NodeProto.FromString(node.SerializeToString())
        new.input[list(node.input).index(folded.dynamic_inputs(node)[0])] = name
        name = f"{node.output[0]} in front of {pool.output[0]}"
        new.output[0] = name
        dims[name], dtypes[name] = dims[pool.input[0]], dtypes[node.output[0]]
        moved[name] = node
        nodes.append(new)
    last = onnx.NodeProto.FromString(pool.SerializeToString())
    last.input[0], last.output[0] = name, chain.target
    moved[chain.target] = pool
    gone = {id(node) for node in (pool, *chain.nodes)}
    rest = [node for node in folded.nodes if id(node) not in gone]
    at = next(k for k, node in enumerate(folded.nodes) if node is pool)
    at = sum(id(node) not in gone for node in folded.nodes[:at])
    return replace(folded, nodes=[*rest[:at], *nodes, last, *rest[at:]], dims=dims, dtypes=dtypes)
