"""Activate: from what a layer gives, through a chain of nodes, to integers for the next.

A chain with a quantizer becomes thresholds: the chain itself is evaluated, as it is in the file,
for all the integers that come in. One without is no more than the scale of the integers.
"""

from dataclasses import replace
from typing import Any

import numpy as np
import onnx

from .chains import Chain, order_of, propagated
from .constants import Folded, Problem
from .draft import Draft
from .encoding import Encoding
from .layers import Add, Depthwise, MatMul, Stream, Threshold
from .network import Tap
from .operators import RESHAPES, is_monotone
from .quantizers import MAX_BITS, has_limits, quantizer
from .read import label
from .segment import Segment
from .source import Source, image_dims, image_order, source_of
from .steps import MAX_TABLE, TooManySteps, thresholds_of
from .vectors import for_vectors

__all__ = ["MAX_INSIDE", "activated", "laid_thresholds"]

# Thresholds a row that a unit compares with itself; more get a unit of their own.
MAX_INSIDE = 15


def activated(draft: Draft, source: Source, chain: Chain, *, alone: bool) -> Source:
    """Return the integers behind a chain; lay its thresholds.

    ``alone``: nothing but the chain reads the source, whose layer may take the thresholds.
    """
    if any(source.pads):
        return _padded(draft, source, chain)
    order = source.order[order_of(chain, draft.folded)]
    vectors, folded = for_vectors(chain, draft.folded, source)
    k = vectors.quantizer()
    if k is None:
        try:
            encoding = propagated(source.encoding, vectors, folded, recode=False)
        except Problem:
            if not source.quantized:
                raise
        else:
            draft.became(chain.nodes, "the scale of integers")
            return replace(source, encoding=encoding, order=order)
        encoding = propagated(source.encoding, vectors, folded, recode=True)
        tapped = None
    else:
        front, rest = vectors.split(k)
        encoding = _front_encoding(source, front, folded)
        encoding = propagated(encoding, rest, folded, recode=True)
        tapped = front.nodes[-1]
    stepped = _stepped(draft, source, vectors, folded, encoding, order, alone, tapped)
    inside = draft.layers[-1].name != stepped.layer or not isinstance(draft.layers[-1], Threshold)
    draft.became(chain.nodes, f"thresholds of {stepped.layer}" if inside else stepped.layer)
    if tapped is not None:
        draft.tap(Tap(tapped.output[0], chain.target, stepped.layer, encoding, order))
    return stepped


def _padded(draft: Draft, source: Source, chain: Chain) -> Source:
    """Return the integers behind a chain that no more than scales what a Pad gives."""
    for node in chain.nodes:
        if node.op_type in RESHAPES:
            raise Problem(node, "it stands between a Pad and the window that the pad is for")
    dims = draft.folded.dims[chain.source]
    shape = image_dims(chain.nodes[0], dims)
    whole = replace(source, order=image_order(shape, source.order.reshape(
        shape[2], -1)[:, 0]), stream=replace(source.stream, dims=shape))
    vectors, folded = for_vectors(chain, draft.folded, whole)
    k = vectors.quantizer()
    if k is not None:
        raise Problem(vectors.nodes[k], "it stands between a Pad and the window that the pad is "
                                        "for; put it in front of the Pad")
    encoding = propagated(source.encoding, vectors, folded, recode=False)
    draft.became(chain.nodes, "the scale of integers")
    return replace(source, encoding=encoding)


def _front_encoding(source: Source, front: Chain, folded: Folded) -> Encoding:
    """Return what a quantizer gives behind ``source``, its limits found if it has none."""
    last = front.nodes[-1]
    encoding = quantizer(last, folded)
    if has_limits(last):
        return encoding
    function = _function(source, front, folded, encoding)
    low, high = int(source.low.min()), int(source.high.max())
    count = (high - low + 1) * len(source.low)
    if _monotone(front, folded):
        a = np.stack([source.low, source.high])
    elif count <= MAX_TABLE:
        a = np.broadcast_to(np.arange(low, high + 1)[:, None], (high - low + 1, len(source.low)))
    else:
        raise Problem(last, "it has no limits; put a quantizer that has in its place")
    # The ends alone do not tell whether 0 occurs between -1 and +1.
    encoding = replace(encoding.limited(function(a)), bipolar=False)
    if encoding.high - encoding.low >= 2 ** MAX_BITS:
        raise Problem(last, f"it gives integers from {encoding.low} to {encoding.high}; at most "
                            f"{MAX_BITS} bits are expected of an activation")
    return encoding


def _monotone(chain: Chain, folded: Folded) -> bool:
    return all(is_monotone(node, folded.dynamic_inputs(node)) for node in chain.nodes)


def _function(source: Source, chain: Chain, folded: Folded, encoding: Encoding) -> Any:
    """Return the chain as a function from the stream's integers to codes, channel by channel."""
    segment = Segment(folded, chain.nodes, chain.source, chain.target)

    def function(a: np.ndarray) -> np.ndarray:
        values = segment(source.encoding.values(a, segment.dtype))
        if np.isnan(values).any():
            raise Problem(chain.nodes[-1], "it gives NaN for some of the accumulators")
        return encoding.codes(values)

    return function


def _stepped(draft: Draft, source: Source, chain: Chain, folded: Folded, encoding: Encoding,
             order: np.ndarray, alone: bool, last: onnx.NodeProto | None) -> Source:
    """Lay the thresholds of a chain that gives ``encoding`` at its end."""
    function = _function(source, chain, folded, encoding)
    return laid_thresholds(draft, source, function, encoding, order, last or chain.nodes[-1],
                           monotone=_monotone(chain, folded), alone=alone,
                           text=", ".join(label(node) for node in chain.nodes))


def laid_thresholds(draft: Draft, source: Source, function: Any, encoding: Encoding,
                    order: np.ndarray, node: onnx.NodeProto, *, monotone: bool, alone: bool,
                    text: str) -> Source:
    """Lay the thresholds of a function from a source's integers to codes of ``encoding``."""
    try:
        thresholds = thresholds_of(function, source.low, source.high, encoding.shape,
                                   monotone=monotone)
    except TooManySteps as error:
        raise Problem(node, f"as a function of the accumulator it has {error}") from None
    before, o = draft.layer(source.layer), Stream(source.stream.dims, thresholds.shape)
    fits = isinstance(before, (MatMul, Depthwise, Add)) and before.thresholds is None
    if fits and alone and thresholds.steps <= MAX_INSIDE:
        assert before is not None
        name = before.name
        draft.change(name, thresholds=thresholds, o=o, source=f"{before.source}, {text}")
    else:
        name = draft.lay(Threshold, [source], o, text, thresholds=thresholds)
    return source_of(name, o, encoding, order)
