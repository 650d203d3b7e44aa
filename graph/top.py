"""Top: end the hardware with the indices of the greatest outputs.

Integers may be compared in place of the file's outputs where those are one rising function of them,
the same for all. Where every output has a function of its own, thresholds turn each integer into
the rank of its output among all that can occur.
"""

from dataclasses import replace

import numpy as np
import onnx

from quinnoa.rtl.shapes import shape_for

from .chains import Chain, check_elementwise, order_of
from .constants import Folded, Problem
from .draft import Draft
from .evaluate import attributes
from .layers import Stream, Threshold, TopK
from .operators import LAST, RESHAPES
from .segment import Segment
from .source import Source
from .steps import MAX_TABLE, thresholds_of

__all__ = ["MAX_RANKS", "ranking"]

MAX_RANKS = 4096

def ranking(draft: Draft, source: Source, chain: Chain, k: int) -> None:
    """Lay the layers that give the ``k`` greatest outputs' indices.

    Raises ``Problem`` where the order of the outputs is not that of integers.
    """
    folded, elements = draft.folded, len(source.order)
    node = chain.nodes[-1] if chain.nodes else folded.nodes[-1]
    if k > elements:
        raise Problem(node, f"top {k} of {elements} outputs; at most {elements} is expected")
    front, last = _split(chain)
    check_elementwise(front.nodes, folded)
    if (source.order[order_of(front, folded)] != np.arange(elements)).any():
        raise Problem(node, "outputs in another order than the layer's; top K needs the same")
    for each in last.nodes:
        _check_last(each, k, elements, folded)
    draft.became(last.nodes, draft.name("topk"), "dropped: it keeps the order, or is the top K")
    a = _reachable(source, node)
    segment = Segment(folded, front.nodes, front.source, front.target)
    values = segment(source.encoding.values(a, segment.dtype))
    if np.isnan(values).any():
        raise Problem(node, "it gives NaN for some of the accumulators; top K needs numbers")
    if _alike_and_rising(source, segment):
        draft.became(front.nodes, "nothing", "one rising function for all: it keeps the order")
    else:
        ranks = np.unique(values)
        if len(ranks) > MAX_RANKS:
            raise Problem(node, f"the outputs are no single rising function of the accumulators, "
                                f"and take {len(ranks)} values, more than the {MAX_RANKS} that can "
                                "be ranked; leave out top K and compare on the host")

        def rank(a: np.ndarray) -> np.ndarray:
            # Between two that occur as at the lower one.
            a = a - (a - source.low) % source.stride
            return np.searchsorted(ranks, segment(source.encoding.values(a, segment.dtype)))

        thresholds = thresholds_of(rank, source.low, source.high, shape_for(0, len(ranks) - 1))
        o = Stream(source.stream.dims, thresholds.shape)
        name = draft.lay(Threshold, [source], o, "ranks of the outputs", thresholds=thresholds)
        draft.became(front.nodes, name, "ranks of the outputs")
        source = replace(source, layer=name, stream=o)
    draft.lay(TopK, [source], Stream((k,), shape_for(0, elements - 1)), f"top {k}", k=k)


def _split(chain: Chain) -> tuple[Chain, Chain]:
    """Return what is in front of the first Softmax, TopK and so on, and the rest."""
    for k, node in enumerate(chain.nodes):
        if node.op_type in LAST:
            return (Chain(chain.nodes[:k], chain.source, node.input[0]),
                    Chain(chain.nodes[k:], node.input[0], chain.target))
    return chain, Chain([], chain.target, chain.target)


def _check_last(node: onnx.NodeProto, k: int, elements: int, folded: Folded) -> None:
    options = attributes(node)
    if node.op_type not in LAST | RESHAPES | {"Identity", "Dropout"}:
        raise Problem(node, "it stands behind a Softmax or the like, and may change the order; "
                            "leave out top K and compare on the host")
    if node.op_type in ("TopK", "ArgMax"):
        if not options.get("largest", 1) or options.get("select_last_index", 0):
            raise Problem(node, "the least, or the last of equals; the greatest, first of equals, "
                                "is expected of top K")
        if k > 1 and folded.dims[node.output[-1]][-1] != k:
            raise Problem(node, f"it gives {folded.dims[node.output[-1]][-1]} indices, not {k}")
    elif node.op_type in ("Softmax", "LogSoftmax"):
        dims = folded.dims[node.output[0]]
        if dims[options.get("axis", -1)] != elements:
            raise Problem(node, f"over axis {options.get('axis', -1)} of dims {list(dims)}; the "
                                f"one of {elements} outputs is expected")


def _reachable(source: Source, node: onnx.NodeProto) -> np.ndarray:
    """Return all integers that occur, (values, elements); shorter columns repeat their last."""
    count = int(((source.high - source.low) // source.stride).max()) + 1
    if count * len(source.low) > MAX_TABLE:
        raise Problem(node, f"accumulators take {count} values, too many to compare them one by "
                            "one; leave out top K and compare on the host")
    a = source.low + source.stride * np.arange(count)[:, None]
    return np.minimum(a, source.high)


def _alike_and_rising(source: Source, segment: Segment) -> bool:
    """Tell whether all outputs are one function that rises with every step of the integers."""
    step = source.stride if len({*(source.low % source.stride).tolist()}) == 1 else 1
    a = np.arange(source.low.min(), source.high.max() + 1, step)
    a = np.broadcast_to(a[:, None], (len(a), len(source.low)))
    values = segment(source.encoding.values(a, segment.dtype))
    return bool((values == values[:, :1]).all() and (np.diff(values[:, 0]) > 0).all())
