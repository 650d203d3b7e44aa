# amaranth: UnusedElaboratable=no
"""Units: from a folded network to the graph of components that computes it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import Any

from amaranth import Shape
from amaranth.lib.data import ArrayLayout

from quinnoa.rtl.dataflow import addresses
from quinnoa.rtl.families import Family
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.width import WidthConverter, width_converters

from .components import component
from .fifos import size_fifos
from .fold import check_fold
from .lanes import i_lanes, o_lanes
from .layers import Layer, Stream, TopK
from .network import Network
from .steady import Timing
from .timing import Edge, Flow

__all__ = ["Plan", "Port", "Unit", "converters", "plan"]

Port = tuple[str, str]                  # a unit's name, and the name of one of its streams
_HOST: Port = ("", "")


@dataclass(frozen=True, eq=False)
class Unit:
    """One component of the graph: its name, the layer it belongs to (None between layers)."""

    name: str
    component: Any
    layer: Layer | None


@dataclass(frozen=True, eq=False)
class Plan:
    """The graph of a folded network, its FIFOs sized, and its timing.

    Attributes
    ----------
    units : tuple of Unit
        Each after those that feed it: layers, width converters, forks and FIFOs.
    edges : tuple of (Port, Port)
        The streams between them, from an output to an input.
    i, o : Port
        The streams of the network itself.
    timing : Timing
        Of the whole graph: cycles a frame and latency, as the gateware has them.
    flow : Flow
        The schedules of all units but the FIFOs, and the streams between them.
    depths : tuple of int
        Of every edge of ``flow`` the depth of the FIFO in it; 0 for none.
    beats_in, beats_out : int
        Beats of one frame at the ends.
    i_lanes, o_lanes : int
        Elements of one beat at the ends.
    """

    units: tuple[Unit, ...]
    edges: tuple[tuple[Port, Port], ...]
    i: Port
    o: Port
    timing: Timing
    flow: Flow
    depths: tuple[int, ...]
    beats_in: int
    beats_out: int
    i_lanes: int
    o_lanes: int

    @property
    def words(self) -> int:
        """Words of 32 bits that can be written at run time; 0 if nothing can."""
        return addresses({unit.name: unit.component for unit in self.units})[1]


def plan(network: Network, family: Family, *, writable: bool = False) -> Plan:
    """Make the units of every layer, what stands between them, and FIFOs as small as can be.

    With ``writable``, of a network as ``writable.widened`` returns it, weights and thresholds can
    be written at run time.
    """
    laying = _Laying(network)
    for layer in network.layers:
        check_fold(layer, layer.fold)
    for layer in network.layers:
        made = component(layer, family, writable=writable)
        given = made.o.payload.shape().elem_shape
        if given != layer.o.shape:
            raise ValueError(f"{layer.name} gives {given!r}, but its record says {layer.o.shape!r}")
        laying.add(layer, made)
    first, last = network.layers[0], network.layers[-1]
    beats_in = _beats(first.i, i_lanes(first))
    beats_out = last.o.vectors if isinstance(last, TopK) else _beats(last.o, o_lanes(last))
    flow = laying.flow(beats_in, beats_out)
    depths, timing = size_fifos(flow, laying.widths(flow))
    units, edges = _with_fifos(laying, flow, depths)
    return Plan(units, edges, laying.i, laying.o, timing, flow, tuple(depths), beats_in, beats_out,
                i_lanes(first), o_lanes(last))


def _beats(stream: Stream, lanes: int) -> int:
    return -(-stream.channels // lanes) * stream.vectors


def converters(given: Stream, i_lanes: int, taken: Stream, o_lanes: int,
               kind: Any = WidthConverter) -> list[Any]:
    """Return the width converters between a stream as it is given and as it is taken.

    The two have the same elements in all, but may cut them into vectors of different lengths, as
    a flatten does; padding at the end of one's vectors is none of the other's.
    """
    g, t = given.channels, taken.channels

    def even(elements: int, channels: int, lanes: int) -> bool:
        """Tell whether beats of a side fill vectors of ``elements`` as they do its own."""
        return elements == channels or elements % lanes == 0 == channels % lanes

    for elements in (t, g):
        if even(elements, g, i_lanes) and even(elements, t, o_lanes):
            return width_converters(given.shape, elements=elements, i_lanes=i_lanes,
                                    o_lanes=o_lanes, kind=kind)
    # By way of lanes that divide both: no padding there.
    common = gcd(g, t)
    lanes = min((d for d in range(1, common + 1)
                 if common % d == 0 and d >= min(i_lanes, o_lanes)), default=common)
    return [*width_converters(given.shape, elements=g, i_lanes=i_lanes, o_lanes=lanes,
                              kind=kind),
            *width_converters(given.shape, elements=t, i_lanes=lanes, o_lanes=o_lanes,
                              kind=kind)]


@dataclass(frozen=True)
class _End:
    """An end of what is laid so far: a stream that a reader will take."""

    port: Port
    stream: Stream
    lanes: int


class _Laying:
    """The graph while it is laid: a layer at a time, with what stands in front of it.

    A stream with several readers goes through a fork, and before that, where all readers want the
    same, through one width converter for all.
    """

    def __init__(self, network: Network) -> None:
        self.units: list[Unit] = []
        self.edges: list[tuple[Port, Port]] = []
        self._counts: Counter[str] = Counter()
        # Of every giver its readers: streams and lanes as they are taken.
        self._readers: dict[str, list[tuple[Stream, int]]] = {}
        for layer, givers in zip(network.layers, network.feeds, strict=True):
            for giver, stream in zip(givers, (layer.i, *layer.more), strict=True):
                self._readers.setdefault(giver, []).append((stream, i_lanes(layer)))
        self._feeds = dict(zip((layer.name for layer in network.layers), network.feeds,
                               strict=True))
        self._ends: dict[str, list[_End]] = {}
        self.i: Port = _HOST
        self.o: Port = (network.layers[-1].name, "o")
        first = network.layers[0]
        self._give("", _End(_HOST, first.i, i_lanes(first)))

    def add(self, layer: Layer, made: Any) -> None:
        """Add the unit of a layer, behind what stands between it and those that feed it."""
        ends = [self._convert(self._ends[giver].pop(0), stream, i_lanes(layer))
                for giver, stream in zip(self._feeds[layer.name], (layer.i, *layer.more),
                                         strict=True)]
        self._place(layer.name, made, layer, [end.port for end in ends])
        self._give(layer.name, _End((layer.name, "o"), layer.o, o_lanes(layer)))

    def _give(self, name: str, end: _End) -> None:
        """Offer what a layer gives to all its readers."""
        readers = self._readers.get(name, [])
        if len(readers) < 2:
            self._ends[name] = [end]
            return
        stream, lanes = readers[0]
        if all((other.dims, width) == (stream.dims, lanes) for other, width in readers):
            end = self._convert(end, stream, lanes)
        layout = self._layout(end)
        fork = self._number("fork")
        self._place(fork, ForkUnit(layout, ways=len(readers)), None, [end.port])
        self._ends[name] = [_End((fork, _member("o", k)), end.stream, end.lanes)
                            for k in range(len(readers))]

    def _convert(self, end: _End, stream: Stream, lanes: int) -> _End:
        """Lay the width converters between an end and a stream of so many lanes."""
        if end.port == _HOST:
            return end                  # the host gives what is taken
        for made in converters(end.stream, end.lanes, stream, lanes):
            name = self._number("width")
            self._place(name, made, None, [end.port])
            end = _End((name, "o"), stream, lanes)
        return end

    def _layout(self, end: _End) -> Any:
        """Return the payload's shape at an end."""
        if end.port == _HOST:
            return ArrayLayout(end.stream.shape, end.lanes)
        made = next(unit.component for unit in self.units if unit.name == end.port[0])
        return getattr(made, end.port[1]).payload.shape()

    def _number(self, kind: str) -> str:
        self._counts[kind] += 1
        return f"{kind}{self._counts[kind] - 1}"

    def _place(self, name: str, made: Any, layer: Layer | None, sources: Sequence[Port]) -> None:
        """Add a unit, and the streams that it takes."""
        self.units.append(Unit(name, made, layer))
        for k, source in enumerate(sources):
            target = name, _member("i", k)
            if source == _HOST:
                self.i = target
            else:
                self.edges.append((source, target))

    def flow(self, beats_in: int, beats_out: int) -> Flow:
        """Return the schedules, and the streams between them."""
        index = {unit.name: k for k, unit in enumerate(self.units)}

        def place(port: Port) -> tuple[int, int]:
            _, _, number = port[1].partition("_")
            return index[port[0]], int(number or 0)

        edges = [Edge(None, 0, *place(self.i)),
                 *(Edge(*place(source), *place(target)) for source, target in self.edges),
                 Edge(*place(self.o), None, 0)]
        return Flow([unit.component.schedule for unit in self.units], edges, beats_in, beats_out,
                    [unit.name for unit in self.units])

    def widths(self, flow: Flow) -> list[int]:
        """Return the bits of a beat of every edge."""
        payloads = [None, *(source for source, _ in self.edges), self.o]
        units = {unit.name: unit.component for unit in self.units}
        return [0 if port is None else
                Shape.cast(getattr(units[port[0]], port[1]).payload.shape()).width
                for port in payloads]


def _member(side: str, k: int) -> str:
    """Name the k-th stream of a side."""
    return f"{side}_{k}" if k else side


def _with_fifos(laying: _Laying, flow: Flow, depths: Sequence[int]) -> tuple[
        tuple[Unit, ...], tuple[tuple[Port, Port], ...]]:
    """Put the FIFOs in, each in front of the unit that it leads to, numbered in that order."""
    made = {unit.name: unit.component for unit in laying.units}
    by_target: dict[str, list[tuple[Port, Port, int]]] = {}
    for (source, target), depth in zip(laying.edges, depths[1:-1], strict=True):
        by_target.setdefault(target[0], []).append((source, target, depth))
    units, edges, number = [], [], 0
    for unit in laying.units:
        for source, target, depth in by_target.get(unit.name, []):
            if depth:
                name = f"fifo{number}"
                number += 1
                payload = getattr(made[source[0]], source[1]).payload.shape()
                units.append(Unit(name, FIFO(payload, depth=depth), None))
                edges.append((source, (name, "i")))
                source = name, "o"
            edges.append((source, target))
        units.append(unit)
    return tuple(units), tuple(edges)
