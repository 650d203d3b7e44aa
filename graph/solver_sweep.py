"""Sweep: the best values of many variables that meet two by two, proven to be the best.

Every *factor* is a list of options: for values of its one or two variables, what it takes of each
resource. A choice is a value for every variable and an option for every factor. With the resources
weighed into one number the best choice comes from eliminating one variable after another: exact,
in time and space of the widest front. Limits of the resources are met by weighing them so that the
bound is highest, and what is left open by following, from the other end, every start that the
bounds do not rule out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from math import log

import numpy as np

from .solver_factors import FORBIDDEN, Choice, Factor

__all__ = ["Problem", "undominated"]

# Relative error of sums of floats that are compared.
_EPSILON = 1e-9
# So many times a limit, and more, is all too much.
_FAR = 1e4
# Starts that are followed at a time before the search for the exact optimum is given up.
MOST_STARTS = 50_000
# Choices that the weights are set by, before the bounds are taken as they are.
MOST_PLANES = 40


class Problem:
    """Variables of so many values each, and the factors between them."""

    def __init__(self, sizes: Sequence[int], factors: Sequence[Factor]) -> None:
        self.sizes, self.factors = list(sizes), list(factors)
        self.exact = True               # whether no search was given up
        self.resources = factors[0].costs.shape[1]
        self._order = _elimination_order(self.sizes, [factor.scope for factor in factors])
        place = {x: k for k, x in enumerate(self._order)}
        # Every factor, and every message, is in the bucket of its first variable to be eliminated.
        self._of: list[list[int]] = [[] for _ in sizes]
        for k, factor in enumerate(factors):
            self._of[min(factor.scope, key=place.__getitem__)].append(k)
        self._children: list[list[int]] = [[] for _ in sizes]
        self._scope: list[tuple[int, ...]] = [() for _ in sizes]
        for x in self._order:
            scope = {y for k in self._of[x] for y in factors[k].scope}
            scope |= {y for child in self._children[x] for y in self._scope[child]}
            self._scope[x] = tuple(sorted(scope - {x}, key=place.__getitem__))
            if self._scope[x]:
                self._children[self._scope[x][0]].append(x)

    def cheapest(self, weights: np.ndarray, limits: np.ndarray | None = None) -> Choice | None:
        """Return the choice of the least weighed cost within limits; None if there is none.

        The exact optimum, but where ``exact`` turns False: then one within the limits whose cost
        may not be the least, or none was found.
        """
        return self._named(self._cheapest(weights, limits))

    def within(self, limits: np.ndarray) -> Choice | None:
        """Return some choice within limits; None if there is none."""
        choice, bounds = self._dual(limits)
        if choice is None and bounds:
            choice = self._cheapest(1 / limits, limits)
        return self._named(choice)

    def _named(self, choice: Choice | None) -> Choice | None:
        """Return a choice with its options numbered as the factors were given them."""
        if choice is None:
            return None
        return Choice(choice.values, tuple(int(factor.order[k]) for factor, k in zip(
            self.factors, choice.options, strict=True)), choice.cost)

    def _refine(self, choice: Choice) -> bool:
        """Make all costs of a choice exact; tell whether any was not."""
        return any([factor.refine(k) for factor, k in zip(self.factors, choice.options,
                                                          strict=True)])

    def _swept(self, weights: np.ndarray) -> tuple["_Sweep", Choice | None]:
        """Return the sweep under some weights, and its choice, of which all costs are exact."""
        while True:
            sweep = _Sweep(self, weights)
            choice = sweep.best()
            if choice is None or not self._refine(choice):
                return sweep, choice

    def _cheapest(self, weights: np.ndarray, limits: np.ndarray | None) -> Choice | None:
        sweep, choice = self._swept(weights)
        if choice is None or limits is None or (choice.cost <= limits).all():
            return choice
        found, bounds = self._dual(limits)
        if not bounds:
            return None
        return self._search(sweep, limits, bounds, found)

    def _dual(self, limits: np.ndarray) -> tuple[Choice | None, list["_Sweep"]]:
        """Return a choice within the limits, if one shows, and sweeps whose bounds are the best.

        No sweeps: there is no choice within the limits. Resources are shares of their limits. At
        first each weighs nearly all; then they are weighed so that the choices seen all take as
        much as can be at the least, until none takes less (cutting planes, Kelley 1960).
        """
        shares: list[np.ndarray] = []
        sweeps: list[_Sweep] = []
        few = np.full(self.resources, _EPSILON)
        for trial in range(MOST_PLANES):
            weights = (few + np.eye(self.resources)[trial] if trial < self.resources else
                       np.maximum(_highest(np.array(shares)), few))
            seen = min((weights @ share for share in shares), default=np.inf)
            sweep, choice = self._swept(weights / limits)
            sweeps.append(sweep)
            if choice is None:
                return None, []
            share = choice.cost / limits
            if weights @ share > weights.sum() * (1 + _EPSILON):
                return None, []
            if (share <= 1).all():
                return choice, sweeps[-4:]
            # Beyond that all are alike, and figures would be lost.
            share = np.minimum(share, _FAR)
            if trial >= self.resources and weights @ share >= seen - _EPSILON:
                break
            shares.append(share)
        return None, sweeps[-4:]

    def _search(self, objective: "_Sweep", limits: np.ndarray, bounds: list["_Sweep"],
                known: Choice | None) -> Choice | None:
        """Return the choice of the least objective within limits: follow all that may lead there.

        A start is values for the variables that were eliminated last. Of starts that meet the rest
        in the same values only those are kept that none beats in every resource.
        """
        best = np.inf if known is None else float(objective.weights @ known.cost)
        ends = [*((bound, bound.weights @ limits) for bound in bounds), (objective, best)]
        weights = np.array([sweep.weights for sweep, _ in ends]).T
        most = np.array([float(end) for _, end in ends]) * (1 + _EPSILON)
        starts: dict[tuple[int, ...], list[_Start]] = {(): [_Start(np.zeros(self.resources), None)]}
        live: tuple[int, ...] = ()
        pending: list[int] = [x for x in self._order if not self._scope[x]]
        for x in reversed(self._order):
            pending = [y for y in pending if y != x] + self._children[x]
            after = tuple(sorted({y for child in pending for y in self._scope[child]}))
            reached: dict[tuple[int, ...], list[_Way]] = {}
            for state, group in starts.items():
                values = dict(zip(live, state, strict=True))
                rests = np.array([sweep.rest(pending, values, x) for sweep, _ in ends])
                costs = np.array([start.cost for start in group])
                for value, picks in self._extensions(x, values):
                    key = tuple((values | {x: value})[y] for y in after)
                    reached.setdefault(key, []).append(
                        _Way(group, costs, rests[:, value], x, value, picks))
            starts = {state: group for state, ways in reached.items()
                      if (group := self._followed(ways, limits, weights, most))}
            live = after
            if sum(map(len, starts.values())) > MOST_STARTS:
                self.exact = False
                return known
        ended = [start for group in starts.values() for start in group]
        if not ended:
            return known
        return min(ended, key=lambda start: float(objective.weights @ start.cost)).choice(self)

    def _followed(self, ways: list["_Way"], limits: np.ndarray, weights: np.ndarray,
                  most: np.ndarray) -> list["_Start"]:
        """Return the starts that may lead within all bounds and that none beats, costs exact.

        ``weights`` of each bound, (resources, bounds), and the ``most`` that it may come to.
        """
        places = [(way, k) for way in ways for k in range(len(way.group))]
        rests = np.array([way.rest for way, _ in places])
        while True:
            # Of costs that are not exact yet only those of the starts that are left are asked for.
            totals = np.concatenate([way.costs + self._cost_of(way.picks) for way in ways])
            leads = np.flatnonzero((totals <= limits).all(axis=1)
                                   & (totals @ weights + rests <= most).all(axis=1))
            kept = leads[undominated(totals[leads])]
            if not any([self.factors[k].refine(option) for place in kept
                        for k, option in places[place][0].picks.items()]):
                return [_Start(totals[place], (way.group[k], way.x, way.value, way.picks))
                        for place in kept for way, k in [places[place]]]

    def _cost_of(self, picks: dict[int, int]) -> np.ndarray:
        """Return what some options take together."""
        return sum((self.factors[k].costs[option] for k, option in picks.items()),
                   np.zeros(self.resources))

    def _extensions(self, x: int, values: dict[int, int]) -> list[tuple[int, dict[int, int]]]:
        """Return the values of a variable, with options of its factors that agree with them."""
        found: dict[int, list[dict[int, int]]] = {value: [{}] for value in range(self.sizes[x])}
        for k in self._of[x]:
            factor, column = self.factors[k], self.factors[k].scope.index(x)
            of_value: dict[int, list[int]] = {}
            for option in factor.options(values):
                if (factor.costs[option] < FORBIDDEN).all():
                    of_value.setdefault(int(factor.at[option, column]), []).append(int(option))
            found = {value: [picks | {k: option} for picks in found[value] for option in options]
                     for value, options in of_value.items() if value in found}
        return [(value, picks) for value, ways in found.items() for picks in ways]


@dataclass(eq=False)
class _Way:
    """How a group of starts goes on: with a value of ``x`` and options of its factors.

    ``rest`` is what each bound says that it takes at the least from there.
    """

    group: list["_Start"]
    costs: np.ndarray
    rest: np.ndarray
    x: int
    value: int
    picks: dict[int, int]


@dataclass(eq=False)
class _Start:
    """What the variables so far take, and how they came about."""

    cost: np.ndarray
    step: "tuple[_Start, int, int, dict[int, int]] | None"

    def choice(self, problem: Problem) -> Choice:
        values, options = [0] * len(problem.sizes), [0] * len(problem.factors)
        step = self.step
        while step is not None:
            before, x, value, picks = step
            values[x] = value
            for k, option in picks.items():
                options[k] = option
            step = before.step
        return Choice(tuple(values), tuple(options), self.cost)


def undominated(costs: np.ndarray) -> np.ndarray:
    """Return the rows that none other beats in all columns, or equals and comes first."""
    order = np.lexsort(costs.T[::-1])
    if costs.shape[1] == 2:
        second = costs[order, 1]
        least = np.minimum.accumulate(np.append(np.inf, second[:-1]))
        return order[second < least]
    kept: list[int] = []
    for row in order:
        if not (costs[kept] <= costs[row]).all(axis=1).any():
            kept.append(row)
    return np.array(kept, int)


def _highest(shares: np.ndarray) -> np.ndarray:
    """Return weights, of sum 1, under which the least of some shares is the most.

    A linear program of few rows: of its corners the best one.
    """
    choices, resources = shares.shape
    # weights @ share >= least; weight >= 0
    rows = np.vstack([np.hstack([shares, -np.ones((choices, 1))]),
                      np.eye(resources, resources + 1)])
    one = np.append(np.ones(resources), 0.0)
    systems = np.array([[*rows[list(some)], one]
                        for some in combinations(range(len(rows)), resources)])
    systems = systems[np.abs(np.linalg.det(systems)) > _EPSILON]
    corners = np.linalg.solve(systems, np.append(np.zeros(resources), 1.0)[:, None])[..., 0]
    meets = (corners @ rows.T >= -_EPSILON).all(axis=1)
    return corners[meets][corners[meets, -1].argmax(), :-1]


class _Sweep:
    """The elimination of all variables of a problem under some weights."""

    def __init__(self, problem: Problem, weights: np.ndarray) -> None:
        self.problem, self.weights = problem, np.asarray(weights, float)
        sizes = problem.sizes
        self._sums: list[np.ndarray] = [np.zeros(0)] * len(sizes)
        self._messages: list[np.ndarray] = [np.zeros(0)] * len(sizes)
        for x in problem._order:
            axes = (*problem._scope[x], x)
            total = np.zeros([sizes[y] for y in axes])
            for k in problem._of[x]:
                factor = problem.factors[k]
                total += _along(factor.table(self.weights, sizes), factor.scope, axes)
            for child in problem._children[x]:
                total += _along(self._messages[child], problem._scope[child], axes)
            self._sums[x], self._messages[x] = total, total.min(axis=-1)

    def rest(self, variables: list[int], values: dict[int, int], x: int) -> np.ndarray:
        """Return the least that variables, and all eliminated before them, add to some values.

        For every value of ``x`` besides.
        """
        total = np.zeros(self.problem.sizes[x])
        for y in variables:
            place = tuple(slice(None) if z == x else values[z] for z in self.problem._scope[y])
            total += self._messages[y][place]
        return total

    def best(self) -> Choice | None:
        """Return the choice of the least weighed cost; None if nothing goes together."""
        problem = self.problem
        values: dict[int, int] = {}
        for x in reversed(problem._order):
            sums = self._sums[x][tuple(values[y] for y in problem._scope[x])]
            values[x] = int(sums.argmin())
            if not np.isfinite(sums[values[x]]):
                return None
        options, cost = [], np.zeros(problem.resources)
        for factor in problem.factors:
            some = factor.options(values)
            options.append(int(some[(factor.costs[some] @ self.weights).argmin()]))
            cost = cost + factor.costs[options[-1]]
        if (cost >= FORBIDDEN).any():
            return None
        return Choice(tuple(values[x] for x in range(len(problem.sizes))), tuple(options), cost)


def _along(table: np.ndarray, scope: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    """Return a table over ``scope`` so that it broadcasts over ``axes``."""
    order = sorted(range(len(scope)), key=lambda k: axes.index(scope[k]))
    shape = [table.shape[scope.index(y)] if y in scope else 1 for y in axes]
    return table.transpose(order).reshape(shape)


def _elimination_order(sizes: Sequence[int], scopes: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the variables in an order whose front, those that meet what went before, is small."""
    near: list[set[int]] = [set() for _ in sizes]
    for scope in scopes:
        for x in scope:
            near[x] |= set(scope) - {x}
    order: list[int] = []
    gone: set[int] = set()
    front: set[int] = set()
    while len(order) < len(sizes):
        # The one behind which the front is the smallest.
        _, x = min((sum(log(sizes[y]) for y in (front | near[x]) - gone - {x}), x)
                   for x in front or set(range(len(sizes))) - gone)
        gone.add(x)
        order.append(x)
        front = (front | near[x]) - gone
    return order


