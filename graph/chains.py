"""Chains: what stands between products, pools, joins and forks, and codes followed through it.

Scales, batch norms, activation functions, quantizers, reshapes; a chain may branch and join inside.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import onnx

from .constants import Folded, Problem
from .encoding import Encoding, alike
from .evaluate import attributes, evaluate
from .operators import ELEMENTWISE, LAST, QUANTIZERS, RESHAPES
from .quantizers import has_limits, quantizer
from .segment import Segment

__all__ = ["Chain", "check_elementwise", "common_quantizer", "live_tensors", "order_of",
           "orders_of", "propagated"]

MAX_LEVELS = 2 ** 12                     # evaluated to see that an encoding holds


def common_quantizer(nodes: Sequence[onnx.NodeProto], source: str,
                     targets: Sequence[str]) -> int | None:
    """Return the index of the last quantizer that everything passes from source to targets.

    One that has limits of its own is preferred to later ones (Round) that have none.
    """
    found, limited = None, False
    for k, live in enumerate(live_tensors(nodes, source, targets)):
        if nodes[k].op_type in QUANTIZERS and len(live) == 1:
            own = has_limits(nodes[k])
            if own or not limited:
                found, limited = k, own
    return found


@dataclass(frozen=True, eq=False)
class Chain:
    """Nodes from tensor ``source`` to tensor ``target``; with no nodes both are the same."""

    nodes: list[onnx.NodeProto]
    source: str
    target: str

    def quantizer(self) -> int | None:
        """Return the index of the last quantizer that everything passes; None if there is none.

        One that has limits of its own is preferred to later ones (Round) that have none.
        """
        return common_quantizer(self.nodes, self.source, [self.target])

    def split(self, k: int) -> tuple["Chain", "Chain"]:
        """Return what goes up to node ``k`` and what comes behind it."""
        middle = self.nodes[k].output[0]
        return (Chain(self.nodes[:k + 1], self.source, middle),
                Chain(self.nodes[k + 1:], middle, self.target))

def live_tensors(nodes: Sequence[onnx.NodeProto], source: str,
                 targets: Sequence[str]) -> Iterator[set[str]]:
    """Yield, behind each node, the tensors that are still to be read."""
    last = {name: k for k, node in enumerate(nodes) for name in node.input}
    last.update(dict.fromkeys(targets, len(nodes)))
    live = {source}
    for k, node in enumerate(nodes):
        live = {name for name in (*live, *node.output) if last.get(name, -1) > k}
        yield live


def check_elementwise(nodes: list[onnx.NodeProto], folded: Folded) -> None:
    """Refuse, in front of a product or a quantizer, what is more than element by element."""
    for node in nodes:
        if node.op_type in LAST or node.op_type not in ELEMENTWISE | RESHAPES:
            raise Problem(node, "it stands in front of a layer; behind the last one is expected")
        size = {prod(folded.dims[name]) for name in (*folded.dynamic_inputs(node), node.output[0])}
        if len(size) > 1:
            dims = " and ".join(str(list(folded.dims[name]))
                                for name in (*folded.dynamic_inputs(node), node.output[0]))
            raise Problem(node, f"it spreads one element over several: dims are {dims}")


def order_of(chain: Chain, folded: Folded) -> np.ndarray:
    """Return, for each element of ``target``, the element of ``source`` that it comes from."""
    return orders_of(chain, folded)[chain.target]


def orders_of(chain: Chain, folded: Folded) -> dict[str, np.ndarray]:
    """Return the same for every tensor of the chain: of one sample, flat."""
    dims, batch = folded.dims[chain.source], folded.model.input.dims[0]
    order = {chain.source: np.arange(prod(dims), dtype=np.int64).reshape(dims)}
    for node in chain.nodes:
        inputs = [order[name] for name in folded.dynamic_inputs(node)]
        flat = inputs[0].reshape(-1)
        if any((other.reshape(-1) != flat).any() for other in inputs[1:]):
            raise Problem(node, "its inputs are arranged differently; a chain of elementwise "
                                "nodes is expected")
        first = folded.dynamic_inputs(node)[0]
        if node.op_type == "Transpose":
            values = {**folded.constants, first: inputs[0]}
            order.update(evaluate(node, values, folded.model.opset))
        else:
            order[node.output[0]] = flat.reshape(folded.dims[node.output[0]])
        samples = order[node.output[0]].reshape(batch, -1)
        if batch > 1 and (samples[0] >= samples.shape[1]).any():
            raise Problem(node, "it mixes samples of the batch")
    return {name: each.reshape(batch, -1)[0] for name, each in order.items()}


def propagated(encoding: Encoding, chain: Chain, folded: Folded, *,
               recode: bool) -> Encoding:
    """Return the encoding at the end of a chain that starts in ``encoding``.

    The codes stay the same where all nodes are affine. With ``recode`` they may change (Relu,
    Clip), as long as the values still lie on a grid.
    """
    levels = encoding.levels
    if len(levels) > MAX_LEVELS:
        rng = np.random.default_rng(0)
        levels = np.unique(np.concatenate([levels[[0, -1]], rng.choice(levels, MAX_LEVELS)]))
    size = prod(folded.dims[chain.source]) // folded.model.input.dims[0]
    codes = np.broadcast_to(levels[:, None], (len(levels), size))
    values = encoding.values(codes, folded.dtypes[chain.source])
    for node in chain.nodes:
        name = folded.dynamic_inputs(node)
        if len(name) != 1:
            raise Problem(node, "it joins what one quantizer gave, and no quantizer follows; put "
                                "one behind it")
        values = Segment(folded, [node], name[0], node.output[0])(values)
        if not np.isfinite(values).all():
            raise Problem(node, "it gives infinite values or NaN for some of its inputs")
        affine = _affine(encoding, node, name[0], folded)
        if affine is not None:
            encoding = affine
            continue
        codes, encoding = _fitted(encoding, codes, values, node, folded, recode)
    return encoding


def _affine(encoding: Encoding, node: onnx.NodeProto, name: str,
            folded: Folded) -> Encoding | None:
    """Return the encoding behind a node that is affine by its operator, None behind any other."""
    op = node.op_type
    if op in ("Identity", "Dropout", *RESHAPES):
        return encoding
    if op == "DequantizeLinear":
        factor = _constant(node, 1, folded)
        has_zero = len(node.input) > 2 and node.input[2]
        zero = _constant(node, 2, folded) if has_zero else 0.0
        if factor is None or zero is None:
            return None
        return encoding.affine(factor, -np.asarray(factor) * zero + 0.0)
    if op not in ("Add", "Sub", "Mul", "Div"):
        return None
    first = node.input[0] == name
    other = _constant(node, 1 if first else 0, folded)
    if other is None or (op == "Div" and not (first and np.all(other))):
        return None
    if op == "Add":
        return encoding.affine(1.0, other)
    if op == "Sub":
        return encoding.affine(1.0, -np.asarray(other)) if first else encoding.affine(-1.0, other)
    gain = 1.0 / np.asarray(other) if op == "Div" else np.asarray(other)
    return encoding.affine(gain, 0.0) if np.all(gain) else None


def _constant(node: onnx.NodeProto, k: int, folded: Folded) -> float | np.ndarray | None:
    """Return a constant operand for each element of a sample, None where it does not fit."""
    if node.input[k] not in folded.constants:
        return None
    value, dims = folded.constants[node.input[k]].astype(np.float64), folded.dims[node.output[0]]
    if node.op_type == "DequantizeLinear" and value.ndim == 1 and value.size > 1:
        axis = attributes(node).get("axis", 1)
        value = value.reshape([-1 if k == axis % len(dims) else 1 for k in range(len(dims))])
    try:
        whole = np.broadcast_to(value, dims).reshape(-1)
    except ValueError:
        return None
    return alike(whole[:prod(dims) // dims[0]] if dims[0] else whole)


def _fitted(encoding: Encoding, codes: np.ndarray, values: np.ndarray, node: onnx.NodeProto,
            folded: Folded, recode: bool) -> tuple[np.ndarray, Encoding]:
    """Fit a grid to the values behind a node; ``codes`` are those in front of it."""
    wide = values.astype(np.float64)
    span = np.abs(wide).max(initial=0)
    # The same codes: value = scale[c] * code + offset[c]
    run = codes[-1] - codes[0]
    if (run != 0).all():
        scale = (wide[-1] - wide[0]) / run
        offset = wide[0] - scale * codes[0]
        close = np.allclose(scale, scale[0], rtol=2.0 ** -20, atol=0)
        scale = np.full_like(scale, scale[0]) if close else scale
        if np.abs(scale * codes + offset - wide).max() <= 2.0 ** -20 * span and scale.all():
            return codes, Encoding(alike(scale), alike(offset), encoding.low, encoding.high,
                                   encoding.bipolar)
    if recode:
        grids = [encoding, replace(encoding, offset=0.0)]
        if node.op_type in QUANTIZERS:
            grids.append(quantizer(node, folded))
        for fit in grids:
            new = fit.codes(wide)
            if np.abs(fit.values(new, np.dtype(np.float64)) - wide).max() <= 2.0 ** -20 * span:
                return new, fit.limited(new)
        raise Problem(node, "behind it the values lie on no even grid; put a quantizer behind it")
    raise Problem(node, "an activation that no quantizer follows; put a quantizer (Quant, "
                        "QuantizeLinear, MultiThreshold) between it and the next layer")
