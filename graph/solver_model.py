"""Model: the folds of all layers of a network for a number of cycles, as a problem of the sweep.

Variables are the lanes that each layer takes and the lanes it gives; where a stream has several
readers also what enters the fork: the lanes that all of them take, converted before it, or the
giver's, each reader with a converter of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from quinnoa.errors import FoldError

from .lanes import cycles, fastest, i_lanes, o_lanes
from .layers import Fold, Layer, Stream
from .network import Network
from .resources import Resources
from .solver_costs import Parts, Pins, Terms, choices, fork, parts_of, take
from .solver_factors import FORBIDDEN, Choice, Factor
from .solver_sweep import Problem, undominated
from .solver_widths import at_end, between, least_between

__all__ = ["Model", "Option", "options"]


@dataclass(frozen=True)
class Option:
    """A fold of a layer, its lanes, and what it takes."""

    fold: Fold
    lanes: tuple[int, int]
    cost: np.ndarray


def options(parts: Parts, target: int, terms: Terms, pins: Any = None) -> list[Option]:
    """Return the folds of a layer within ``target`` cycles that none of the same lanes beats."""
    layer = parts[0]
    folds = choices(layer, target, pins, terms)
    if not folds:
        least, pinned = _least(layer, pins or {})
        at_once = (f", {layer.pixels} pixel{'s' * (layer.pixels > 1)} at once"
                   if len(layer.i.dims) == 3 else "")
        raise FoldError(f"{layer.name} needs at least {least} cycles a frame, "
                        f"{pinned or 'fully unrolled'}{at_once}: {target} cannot be reached")
    # Of equals an even fold comes first.
    folds.sort(key=lambda fold: fold.pad)
    of_lanes: dict[tuple[int, int], list[Fold]] = {}
    for fold in folds:
        of_lanes.setdefault((i_lanes(layer, fold), o_lanes(layer, fold)), []).append(fold)
    found = []
    for lanes, some in of_lanes.items():
        costs = np.array([terms.costs(take(parts, fold, terms)) for fold in some])
        found += [Option(some[k], lanes, costs[k]) for k in undominated(costs)]
    return found


def _least(layer: Layer, pins: Any) -> tuple[int, str]:
    """Return the least cycles of a layer, and what is pinned of it, in words."""
    folds = choices(layer, 1 << 62, pins) if pins else []
    pinned = "with " + ", ".join(f"{key} = {value}" for key, value in pins.items()) if pins else ""
    return min((cycles(layer, fold) for fold in folds), default=cycles(layer, fastest(layer))), \
        pinned


class Model:
    """The problem of a network's folds within ``target`` cycles a frame."""

    def __init__(self, network: Network, target: int, terms: Terms,
                 pins: Pins | None = None) -> None:
        self.network, self.target, self._terms = network, target, terms
        self._pins = pins or {}
        self._parts = parts_of(network, terms)
        self._options = [options(self._parts[layer.name], target, terms,
                                 self._pins.get(layer.name)) for layer in network.layers]
        self._values: list[list[Any]] = []
        self._factors: list[Factor] = []
        self._layers: list[int] = []            # of each layer the place of its factor
        taken, given = self._lay_layers()
        self._lay_streams(taken, given)
        self.problem = Problem([len(values) for values in self._values], self._factors)

    def folded(self, choice: Choice) -> Network:
        """Return the network in the folds of a choice."""
        return self.network.with_layers([
            layer.folded(self._named(layer, some[choice.options[k]])) for layer, some, k in
            zip(self.network.layers, self._options, self._layers, strict=True)])

    def _named(self, layer: Layer, option: Option) -> Fold:
        """Return the fold of an option; what is pinned by no one as "auto", if that is no other."""
        fold, pins = option.fold, self._pins.get(layer.name, {})
        changes: list[dict[str, Any]] = [{key: "auto"} for key in ("memory", "steps")
                                         if key not in pins]
        for change in changes:
            auto = replace(fold, **change)
            costs = self._terms.costs(take(self._parts[layer.name], auto, self._terms))
            fold = auto if (costs == option.cost).all() else fold
        return fold

    def _variable(self, values: Sequence[Any]) -> int:
        self._values.append(list(values))
        return len(self._values) - 1

    def _lay_layers(self) -> tuple[dict[str, int], dict[str, int]]:
        """Add the lanes of all layers; return the variables of those they take and give."""
        taken, given = {}, {}
        for layer, some in zip(self.network.layers, self._options, strict=True):
            a = taken[layer.name] = self._variable(sorted({option.lanes[0] for option in some}))
            b = given[layer.name] = self._variable(sorted({option.lanes[1] for option in some}))
            at = [[self._values[a].index(option.lanes[0]), self._values[b].index(option.lanes[1])]
                  for option in some]
            self._layers.append(len(self._factors))
            self._factors.append(Factor((a, b), np.array(at),
                                        np.array([option.cost for option in some])))
        return taken, given

    def _lay_streams(self, taken: dict[str, int], given: dict[str, int]) -> None:
        """Add what stands between the layers."""
        readers: dict[str, list[tuple[Stream, int]]] = {}
        for layer, givers in zip(self.network.layers, self.network.feeds, strict=True):
            first = self._parts[layer.name][0]
            for giver, stream in zip(givers, (first.i, *first.more), strict=True):
                readers.setdefault(giver, []).append((stream, taken[layer.name]))
        for name, takers in readers.items():
            source = self._parts[name][-1].o if name else None
            if len(takers) > 1:
                self._lay_fork(source, given.get(name), takers)
            elif source is not None:
                (stream, a), = takers
                pairs = list(product(self._values[given[name]], self._values[a]))
                self._lay(pairs, (given[name], a), [(source, x, stream, y) for x, y in pairs])
            else:
                (stream, a), = takers
                self._lay_end(stream, a)
        last = self.network.layers[-1].name
        self._lay_end(self._parts[last][-1].o, given[last], gives=True)

    def _lay_end(self, stream: Stream, x: int, *, gives: bool = False) -> None:
        """Add what a shell lays between its bus and lanes of the network."""
        self._factors.append(Factor((x,), np.arange(len(self._values[x]))[:, None], np.array(
            [self._terms.costs(at_end(stream, lanes, self._terms.family, gives=gives))
             for lanes in self._values[x]])))

    def _lay_fork(self, source: Stream | None, b: int | None,
                  takers: list[tuple[Stream, int]]) -> None:
        """Add a stream with several readers; the host, without a source, gives what is wanted."""
        first = takers[0][0]
        own = self._values[takers[0][1] if b is None else b]
        common = set(self._values[takers[0][1]]).intersection(*(
            self._values[a] for _, a in takers)) if all(
            stream.dims == first.dims for stream, _ in takers) else set()
        f = self._variable([*(("common", lanes) for lanes in sorted(common)),
                            *(("own", lanes) for lanes in own)])
        # In front of the fork, and the fork.
        given = source or first
        enters: list[tuple[Any, Any]] = []
        costs: list[tuple[Any, ...]] = []
        for kind, lanes in self._values[f]:
            through = fork(first if kind == "common" else given, lanes, len(takers),
                           self._terms.family)
            if b is None:
                through += at_end(first, lanes, self._terms.family)
            for x in (own if b is not None else [lanes]):
                if kind == "common" or x == lanes:
                    enters.append((x, (kind, lanes)))
                    costs.append((given, x, first if kind == "common" else given, lanes, through))
        if b is None:
            self._factors.append(Factor((f,), np.arange(len(enters))[:, None], np.array(
                [self._terms.costs(through) for *_, through in costs])))
        else:
            self._lay(enters, (b, f), costs)
        # Behind it.
        for k, (stream, a) in enumerate(takers):
            leaves, costs = [], []
            for kind, lanes in self._values[f]:
                for y in self._values[a]:
                    # What the first reader wants is what the host gives.
                    alike = kind == "common" or (b is None and k == 0)
                    if y == lanes or not alike:
                        leaves.append(((kind, lanes), y))
                        costs.append((stream if alike else given, lanes, stream, y))
            self._lay(leaves, (f, a), costs)

    def _lay(self, at: list[tuple[Any, Any]], scope: tuple[int, int], costs: list[Any]) -> None:
        """Add a factor: what stands between lanes, looked at when asked for, and what else."""
        places = [{value: k for k, value in enumerate(self._values[x])} for x in scope]
        least = []
        for given, x, taken, y, *more in costs:
            cost = self._terms.costs(sum(more, Resources()))
            cost[0] += least_between(given, x, taken, y)
            least.append(cost)

        def evaluate(k: int) -> np.ndarray:
            given, x, taken, y, *more = costs[k]
            found = between(given, x, taken, y, self._terms.family)
            if found.cycles > self.target:
                return np.full(self._terms.resources, FORBIDDEN)
            return self._terms.costs(sum(more, found.need))

        exact = np.array([x == y and given.dims == taken.dims for given, x, taken, y, *_ in costs])
        self._factors.append(Factor(
            scope, np.array([[places[0][x], places[1][y]] for x, y in at]), np.array(least),
            evaluate, exact))
