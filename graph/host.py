"""Host: head and tail of a network as arrays that a driver computes with numpy alone.

Where the nodes of the head are, for each element, a rising or falling function of that one element,
they are its thresholds: found by bisection over all values of the element type. What the tail gives
for an element is a function of its integer: a table of it. Nodes that are neither stay nodes, for
ONNX Runtime.
"""

import json
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import onnx

from .chains import Chain, check_elementwise, live_tensors, order_of
from .constants import Folded, Problem
from .elements import Elements, elements_of
from .encoding import Encoding
from .evaluate import attributes
from .export import Inexpressible, exported
from .layers import Stream
from .network import Network
from .operators import is_monotone
from .segment import Segment
from .steps import TooManySteps, bisected

__all__ = ["host_arrays"]

MAX_TABLE = 2 ** 22                      # values that a table may hold
MAX_POINTS = 2 ** 24                     # evaluated at once
TRIALS = 2 ** 12                         # random values that the thresholds are tried on

Arrays = dict[str, np.ndarray]
Settings = dict[str, Any]


def host_arrays(network: Network) -> Arrays:
    """Return what a driver's ``host.npz`` holds: ``host``, a JSON text, and what it speaks of."""
    head, arrays = _head(network)
    tail, more = _tail(network)
    return {"host": np.array(json.dumps({"head": head, "tail": tail})), **arrays, **more}


# The head.

def _head(network: Network) -> tuple[Settings, Arrays]:
    head, encoding = network.head, network.head.encoding
    settings: Settings = {"name": head.port.name, "dims": list(head.port.dims[1:]),
                          "dtype": str(head.port.dtype), "raw": head.raw, "nodes": False,
                          "low": encoding.low, "high": encoding.high, "bipolar": encoding.bipolar}
    size = prod(head.port.dims[1:])
    if head.segment is None:
        return {**settings, "kind": "integers"}, _order("head_order", head.order, size)
    try:
        return _quantizing(network, settings)
    except Inexpressible as error:
        return {**settings, "kind": None, "reason": str(error)}, {}


def _order(name: str, order: np.ndarray | None, size: int) -> Arrays:
    """Return the order under its name, unless it changes nothing."""
    if order is None or np.array_equal(order, np.arange(size)):
        return {}
    return {name: order}


def _quantizing(network: Network, settings: Settings) -> tuple[Settings, Arrays]:
    """Return the head as thresholds, perhaps behind nodes."""
    head, segment = network.head, network.head.segment
    assert segment is not None
    folded, nodes = segment.folded, segment.nodes
    k = _elementwise_end(nodes, segment.source, folded)
    if k == len(nodes):
        raise Inexpressible(f"node {nodes[-1].name} ({nodes[-1].op_type}) is no rising or falling "
                            "function of each element")
    source = nodes[k - 1].output[0] if k else segment.source
    chain = Chain(list(nodes[k:]), source, segment.target)
    # Element t of the last tensor is order[t] of the first one's.
    place = np.empty(len(order_of(chain, folded)), np.int64)
    place[order_of(chain, folded)] = (np.arange(len(place)) if head.order is None else head.order)
    elements = elements_of(folded, chain, network.i, place)
    arrays = _steps(elements, _codes(head.encoding, network.i, elements, place),
                    folded.dtypes[source])
    arrays.update(_order("head_order", place, len(place)))
    settings = {**settings, "kind": "steps"}
    if k:
        front = Segment(folded, nodes[:k], segment.source, source)
        arrays["head_onnx"] = exported(front)
        settings.update(nodes=True, **_evaluation(front))
    return settings, arrays


def _evaluation(segment: Segment) -> Settings:
    """Return how nodes are evaluated, and which operators a driver needs for it."""
    return {"together": bool(segment.keeps_batch), "frame": list(segment.i_dims),
            "operators": list(dict.fromkeys(node.op_type for node in segment.nodes))}


def _elementwise_end(nodes: Sequence[onnx.NodeProto], source: str, folded: Folded) -> int:
    """Return where the last nodes begin that are, in a row, functions of each element alone."""
    k = len(nodes)
    while k:
        node, before = nodes[k - 1], nodes[k - 2].output[0] if k > 1 else source
        if not is_monotone(node, folded.dynamic_inputs(node)):
            break
        if folded.dynamic_inputs(node) != [before]:
            break
        if prod(folded.dims[before]) != prod(folded.dims[node.output[0]]):
            break
        k -= 1
    return k


def _codes(encoding: Encoding, stream: Stream, elements: Elements,
           place: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the functions from points (n, classes) to codes."""
    scale, offset = (np.broadcast_to(np.asarray(v), stream.channels)
                     for v in (encoding.scale, encoding.offset))
    # Any element of a class has the scale of them all.
    _, one = np.unique(elements.which, return_index=True)
    of_class = Encoding(scale[place[one] % stream.channels], offset[place[one] % stream.channels],
                        encoding.low, encoding.high)
    if elements.classes == 1 and (np.ptp(scale) or np.ptp(offset)):
        raise Inexpressible("its integers have a scale for each channel, its quantizer one")

    def codes(x: np.ndarray) -> np.ndarray:
        return of_class.codes(elements.function(x))
    return codes


def _steps(elements: Elements, codes: Callable[[np.ndarray], np.ndarray],
           dtype: np.dtype) -> Arrays:
    """Find every value at which a code changes, among all finite ones of the type."""
    if dtype not in (np.float32, np.float16):
        raise Inexpressible(f"it takes {dtype}; float32 is expected")
    integer = np.dtype(f"i{dtype.itemsize}")
    most = int(np.array(np.finfo(dtype).max).view(integer))
    ends = np.full(elements.classes, -most), np.full(elements.classes, most)
    try:
        base, channel, position, height = bisected(
            lambda a: codes(_float(a, dtype)), *ends)
    except TooManySteps as error:
        raise Inexpressible(str(error)) from None
    rows = []
    for c in range(elements.classes):
        own = channel == c
        places, last = np.unique(position[own][::-1], return_index=True)
        heights = np.cumsum(height[own])[len(height[own]) - 1 - last]
        rows.append((_float(places, dtype), np.append(base[c], base[c] + heights)))
    _check_steps(rows, codes, dtype)
    # Classes whose functions are the same are one.
    kinds: dict[bytes, int] = {}
    of_class = [kinds.setdefault(t.tobytes() + levels.tobytes(), len(kinds)) for t, levels in rows]
    rows = [rows[of_class.index(k)] for k in range(len(kinds))]
    return {"head_steps": np.concatenate([t for t, _ in rows]),
            "head_levels": np.concatenate([levels for _, levels in rows]).astype(np.int32),
            "head_first": np.cumsum([0, *(len(t) for t, _ in rows)]),
            "head_which": np.array(of_class)[elements.which]}


def _float(a: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Return the a-th value of a type, counted from 0: in their order, with one zero."""
    integer = np.dtype(f"i{dtype.itemsize}")
    values = np.abs(a).astype(integer).view(dtype)
    return np.where(a < 0, -values, values)


def _check_steps(rows: list[tuple[np.ndarray, np.ndarray]],
                 codes: Callable[[np.ndarray], np.ndarray], dtype: np.dtype) -> None:
    """See that the thresholds give the codes, at each one, just below, and at random."""
    rng = np.random.default_rng(0)
    count = max(len(t) for t, _ in rows)
    x = np.zeros((3 * count + TRIALS + 4, len(rows)), dtype)
    for c, (t, _) in enumerate(rows):
        x[:len(t), c] = t
        x[count:count + len(t), c] = np.nextafter(t, np.array(-np.inf, dtype))
        x[2 * count:2 * count + len(t), c] = np.nextafter(t, np.array(np.inf, dtype))
        if len(t):
            span = max(float(np.ptp(t.astype(np.float64))), abs(float(t[0])), 1e-30)
            x[3 * count:-4, c] = (t[0] + rng.uniform(-0.5, 1.5, TRIALS) * span)
    x[-4:-2] = np.array([[-0.0], [0.0]])
    x[-2:] = np.array([[-1], [1]]) * np.finfo(dtype).max
    x = np.nan_to_num(x)
    wanted = codes(x)
    for c, (t, levels) in enumerate(rows):
        got = levels[np.searchsorted(t, x[:, c], side="right")]
        if (got != wanted[:, c]).any():
            wrong = x[got != wanted[:, c], c][0]
            raise Inexpressible(f"it neither rises nor falls around {wrong!r}")


# The tail.

def _tail(network: Network) -> tuple[Settings, Arrays]:
    tail = network.tail
    if tail.segment is None or tail.encoding is None or tail.order is None:
        return {"kind": "indices", "nodes": False}, {}
    try:
        return _valued(network)
    except Inexpressible as error:
        return {"kind": None, "nodes": False, "reason": str(error)}, {}


def _valued(network: Network) -> tuple[Settings, Arrays]:
    """Return the tail as a table or a scale, perhaps in front of nodes."""
    tail, segment = network.tail, network.tail.segment
    encoding, place = tail.encoding, tail.order
    assert segment is not None and encoding is not None and place is not None
    folded, nodes, stream = segment.folded, segment.nodes, network.layers[-1].o
    k = _elementwise_start(nodes, segment, folded)
    arrays: Arrays = {}
    kind = "scale"
    if k:
        chain = Chain(nodes[:k], segment.source, nodes[k - 1].output[0])
        found = _table(encoding, folded, chain, stream, place)
        if found is None:
            k = 0
        else:
            kind, arrays = "table", found
            place = place[order_of(chain, folded)]
    if kind == "scale":
        scale, offset = (np.broadcast_to(np.asarray(v), stream.channels)[place % stream.channels]
                         for v in (encoding.scale, encoding.offset))
        arrays = {"tail_scale": scale, "tail_offset": offset}
    target = nodes[k - 1].output[0] if k else segment.source
    dims, batch = folded.dims[target], folded.model.input.dims[0]
    settings: Settings = {
        "kind": kind, "low": encoding.low, "high": encoding.high,
        "dtype": str(folded.dtypes[target]), "nodes": k < len(nodes),
        "dims": [dims[0] // batch, *dims[1:]] if dims else []}
    arrays["tail_order"] = place
    if top := _top(list(nodes[k:]), folded):
        settings.update(nodes=False, top=top)
    elif k < len(nodes):
        rest = Segment(folded, nodes[k:], target, segment.target)
        arrays["tail_onnx"] = exported(rest)
        settings.update(_evaluation(rest))
    return settings, arrays


def _top(nodes: list[onnx.NodeProto], folded: Folded) -> Settings | None:
    """Return what a top K or an arg-max over the last axis is, if that is all the nodes are."""
    if len(nodes) != 1 or nodes[0].op_type not in ("TopK", "ArgMax"):
        return None
    node, options = nodes[0], attributes(nodes[0])
    dims = folded.dims[node.input[0]]
    is_top = node.op_type == "TopK"
    if len(dims) < 2 or options.get("axis", -1 if is_top else 0) % len(dims) != len(dims) - 1 or (
            not options.get("largest", 1) or not options.get("sorted", 1)
            or options.get("select_last_index", 0)):
        return None
    if not is_top:
        return {"k": 1, "indices": True, "keep": bool(options.get("keepdims", 1))}
    given = folded.model.output
    return {"k": folded.dims[given][-1], "indices": given == node.output[1], "keep": True}


def _elementwise_start(nodes: Sequence[onnx.NodeProto], segment: Segment, folded: Folded) -> int:
    """Return how many of the first nodes make each element of one tensor from one of another."""
    live, found = list(live_tensors(nodes, segment.source, [segment.target])), 0
    for k in range(1, len(nodes) + 1):
        try:
            check_elementwise(list(nodes[k - 1:k]), folded)
            if live[k - 1] == {nodes[k - 1].output[0]}:
                order_of(Chain(list(nodes[:k]), segment.source, nodes[k - 1].output[0]), folded)
                found = k
        except Problem:
            break
    return found


def _table(encoding: Encoding, folded: Folded, chain: Chain, stream: Stream,
           place: np.ndarray) -> Arrays | None:
    """Return what the chain gives for every code, or None where that is too much."""
    elements = elements_of(folded, chain, stream, place)
    codes = np.arange(encoding.low, encoding.high + 1)
    if len(codes) * elements.classes > MAX_POINTS:
        return None
    scale, offset = (np.broadcast_to(np.asarray(v), stream.channels)
                     for v in (encoding.scale, encoding.offset))
    which = elements.which
    if elements.classes == 1 and (np.ptp(scale) or np.ptp(offset)):
        # One function, of values that have a scale for each channel.
        which = place % stream.channels
    classes, one = np.unique(which, return_index=True)
    channel = place[one] % stream.channels
    of_class = Encoding(scale[channel], offset[channel], encoding.low, encoding.high)
    points = of_class.values(np.repeat(codes[:, None], len(classes), axis=1),
                             folded.dtypes[chain.source])
    if elements.classes == 1:
        values = elements.function(points.reshape(-1, 1)).reshape(points.shape)
    else:
        values = elements.function(points)
    kinds: dict[bytes, int] = {}
    of_kind = [kinds.setdefault(column.tobytes(), len(kinds)) for column in values.T]
    if len(kinds) * len(codes) > MAX_TABLE:
        return None
    columns = values.T[[of_kind.index(k) for k in range(len(kinds))]]
    kind_of = np.zeros(int(classes.max()) + 1, np.int64)
    kind_of[classes] = of_kind
    return {"tail_values": columns.reshape(-1),
            "tail_which": kind_of[which][order_of(chain, folded)]}
