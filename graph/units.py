# amaranth: UnusedElaboratable=no
"""Units: from the layer records of a folded network to the chain of components that computes it."""

from dataclasses import dataclass
from typing import Any

from quinnoa.rtl.families import Family
from quinnoa.rtl.fifo import FIFO, fifo_latency
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.width import WidthConverter

from .fold import check_fold, i_lanes, o_lanes
from .layers import Layer, MatMul, Stream, Threshold, TopK
from .network import Network
from .timing import Buffer, ChainTiming, steady_state

__all__ = ["Plan", "Unit", "plan_chain"]


@dataclass(frozen=True, eq=False)
class Unit:
    """One component of the chain: its name, the layer it belongs to (None between layers)."""

    name: str
    component: Any
    layer: Layer | None


@dataclass(frozen=True, eq=False)
class Plan:
    """The chain of a folded network, its FIFOs sized, and its timing.

    Attributes
    ----------
    units : tuple of Unit
        In order, width converters and FIFOs included.
    timing : ChainTiming
        Of the whole chain: cycles a frame and latency, as the gateware has them.
    beats_in, beats_out : int
        Beats of one frame at the ends.
    i_lanes, o_lanes : int
        Elements of one beat at the ends.
    """

    units: tuple[Unit, ...]
    timing: ChainTiming
    beats_in: int
    beats_out: int
    i_lanes: int
    o_lanes: int


def plan_chain(network: Network, family: Family) -> Plan:
    """Make the units of every layer, what stands between them, and FIFOs as small as can be."""
    units: list[Unit] = []
    before: Layer | None = None
    for layer in network.layers:
        check_fold(layer, layer.fold)
        if before is not None:
            units += _between(before.o, o_lanes(before), i_lanes(layer), len(units))
        component = _component(layer, family)
        given = component.o.payload.shape().elem_shape
        if given != layer.o.shape:
            raise ValueError(f"{layer.name} gives {given!r}, but its record says {layer.o.shape!r}")
        units.append(Unit(layer.name, component, layer))
        before = layer
    units = _number_converters(units)
    first, last = network.layers[0], network.layers[-1]
    beats_in = _beats(first.i, i_lanes(first))
    beats_out = last.o.vectors if isinstance(last, TopK) else _beats(last.o, o_lanes(last))
    depths, timing = size_fifos([unit.component for unit in units], beats_in, beats_out)
    return Plan(tuple(_with_fifos(units, depths)), timing, beats_in, beats_out,
                i_lanes(first), o_lanes(last))


def _beats(stream: Stream, lanes: int) -> int:
    return -(-stream.channels // lanes) * stream.vectors


def _component(layer: Layer, family: Family) -> Any:
    """Make the component of one layer."""
    fold = layer.fold
    if isinstance(layer, MatMul):
        return MVTU(layer.weights, pe=fold.pe, simd=fold.simd, x_shape=layer.i.shape,
                    w_shape=layer.w_shape, thresholds=layer.thresholds, memory=fold.memory,
                    pad=fold.pad, family=family)
    if isinstance(layer, Threshold):
        return ThresholdUnit(layer.thresholds, channels=layer.i.channels, lanes=fold.pe,
                             i_shape=layer.i.shape)
    if isinstance(layer, TopK):
        return TopKUnit(elements=layer.i.channels, lanes=fold.pe, shape=layer.i.shape, k=layer.k)
    raise TypeError(f"{layer.name}: no unit computes a {layer.kind}")


def _between(stream: Stream, given: int, taken: int, position: int) -> list[Unit]:
    """Make the width converter between two lane counts, if they differ."""
    if given == taken:
        return []
    converter = WidthConverter(stream.shape, elements=stream.channels, i_lanes=given,
                               o_lanes=taken)
    return [Unit("width", converter, None)]


def _number_converters(units: list[Unit]) -> list[Unit]:
    names = iter(f"width{k}" for k in range(len(units)))
    return [Unit(next(names), unit.component, None) if unit.layer is None else unit
            for unit in units]


def size_fifos(components: list[Any], beats_in: int,
               beats_out: int) -> tuple[list[int], ChainTiming]:
    """Return the smallest depth of the FIFO behind each component, and the timing with them.

    A FIFO may only stand where one depth is enough for the chain to run at its bound: all start
    large enough for a whole period of either neighbour, then each in turn, from the end, is made
    as small as the cycles a frame and the latency of a frame allow. 0 is no FIFO at all. Cycles
    never grow with a depth (a marked graph), so bisection finds each one's least.
    """
    ample = [max(_beats_per_period(left), _beats_per_period(right, of="takes")) + 4
             for left, right in zip(components, components[1:], strict=False)]

    def time(depths: list[int]) -> ChainTiming:
        parts: list[Any] = []
        for component, depth in zip(components, [*depths, 0], strict=True):
            parts.append(component)
            if depth:
                parts.append(Buffer(depth, fifo_latency(depth)))
        return steady_state(parts, beats_in, beats_out)

    depths = [0] * len(ample)
    bound = time(ample)
    best = time(depths)
    if best.cycles <= bound.cycles:
        return depths, best
    depths = list(ample)
    for k in reversed(range(len(depths))):
        candidates = [0, *range(2, ample[k] + 1)]
        low, high = 0, len(candidates) - 1
        while low < high:
            middle = (low + high) // 2
            trial = [*depths[:k], candidates[middle], *depths[k + 1:]]
            if time(trial).cycles <= bound.cycles:
                high = middle
            else:
                low = middle + 1
        depths[k] = candidates[low]
    return depths, time(depths)


def _beats_per_period(component: Any, of: str = "gives") -> int:
    return int(getattr(component.schedule, of).sum())


def _with_fifos(units: list[Unit], depths: list[int]) -> list[Unit]:
    """Put the FIFOs in, numbered in order."""
    result: list[Unit] = []
    count = 0
    for unit, depth in zip(units, [*depths, 0], strict=True):
        result.append(unit)
        if depth:
            fifo = FIFO(unit.component.o.payload.shape(), depth=depth)
            result.append(Unit(f"fifo{count}", fifo, None))
            count += 1
    return result
