"""Solver: the folds of all layers together that reach a rate with the least, or a device allows.

The cheapest folds for a number of cycles are exact (`solver_sweep.py`) over the folds of
`solver_costs.choices`, the width converters and forks between the layers included. The fewest
cycles that fit a budget are found by bisection. FIFOs are known only when a network is folded: they
are measured then, and where they do not fit the search goes on with as much less.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from quinnoa.errors import FoldError
from quinnoa.rtl.families import FAMILIES

from .lanes import axes, cycles
from .layers import Layer, MatMul, Window
from .network import Network
from .pixels import MOST, pixels_for, with_pixels
from .resources import Resources
from .solver_costs import Pins, Terms, ends_resources, network_resources, one_axis
from .solver_model import Model
from .solver_solution import DEFAULT_BUDGET, Budget, Solution, Step

if TYPE_CHECKING:
    from .units import Plan

__all__ = ["Budget", "DEFAULT_BUDGET", "Solution", "least_cycles", "plan_of", "solve_cycles",
           "solve_fit"]

# How often the search goes on with less because FIFOs did not fit.
_ROUNDS = 8


def least_cycles(network: Network, pins: Pins | None = None) -> int:
    """Return the cycles a frame that no folds of these layers, as they are pinned, go below."""
    return max(min(_cycles_of(layer, (pins or {}).get(layer.name, {})))
               for layer in network.layers)


def achievable(network: Network, pins: Pins | None = None) -> list[int]:
    """Return the cycles a frame that some layer can need and all others keep within, ascending."""
    pins = pins or {}
    found, least = set(), 0
    for layer in network.layers:
        own = set(_cycles_of(layer, pins.get(layer.name, {})))
        found |= own
        least = max(least, min(own))
    return sorted(target for target in found if target >= least)


def _cycles_of(layer: Layer, pins: Any) -> Iterator[int]:
    of = axes(layer)
    if isinstance(layer, MatMul):
        parts = [{ceil(axis.size / pins[axis.key])} if axis.key in pins else
                 {ceil(axis.size / size) for size in range(1, axis.size + 1)} for axis in of]
        for nf in parts[0]:
            for sf in parts[1]:
                yield nf * sf * layer.i.vectors
        return
    axis, = of
    for size in [pins[axis.key]] if axis.key in pins else axis.choices:
        yield cycles(layer, one_axis(axis.key, size))


def solve_cycles(network: Network, target: int, *, family: str = "xc7",
                 budget: Budget = DEFAULT_BUDGET, pins: Pins | None = None,
                 writable: bool = False, steps: bool = True) -> Solution:
    """Return the folds that need at most ``target`` cycles with the least shares of the budget.

    Within the budget if any are, else the least there are. A layer that cannot reach the target at
    a pixel a cycle takes several at once, as few as will do. ``writable``: what layers hold can be
    written at run time. ``steps``: look at the next cycles above and below, too.
    """
    def solve(flips: bool) -> Solution:
        search = _Search(network, family, budget, pins, writable, flips)
        found = search.cheapest(target, search.limits) or search.cheapest(target)
        assert found is not None
        return search.solution(*found, steps=steps)

    return _with_flips(solve, budget)


def _with_flips(solve: Callable[[bool], Solution], budget: Budget) -> Solution:
    """Solve without a look at flip-flops, of which there are enough but for a few designs.

    Where there are not, solve with them.
    """
    solution = solve(False)
    return solution if solution.whole.ff <= budget.limits[3] else solve(True)


def solve_fit(network: Network, budget: Budget, *, family: str = "xc7", pins: Pins | None = None,
              writable: bool = False, steps: bool = True, measure: bool = True) -> Solution:
    """Return the folds of the fewest cycles that fit the budget; of these the least shares of it.

    With ``measure`` the FIFOs, too, must fit. Where a pixel a cycle fits everywhere, goes on with
    2, 3, … pixels a cycle.
    """
    def solve(flips: bool) -> Solution:
        search = _Search(network, family, budget, pins, writable, flips)
        solution = search.filled(measure)
        return search.with_steps(solution) if steps else solution

    return _with_flips(solve, budget)


def plan_of(network: Network, family: str, writable: bool = False) -> "Plan":
    """Return the plan of a folded network, its FIFOs sized."""
    from .units import plan
    from .writable import widened
    return plan(widened(network) if writable else network, FAMILIES[family], writable=writable)


class _Search:
    """The searches for one network, budget and family: what was looked at is remembered."""

    def __init__(self, network: Network, family: str, budget: Budget, pins: Pins | None,
                 writable: bool, flips: bool) -> None:
        self._pins = {name: dict(table) for name, table in (pins or {}).items()}
        pixels = {name: table.pop("pixels") for name, table in self._pins.items()
                  if "pixels" in table}
        self._network = with_pixels(network, pixels)
        ultra = any(table.get("memory") == "ultra" for table in self._pins.values()) or (
            budget.uram > 0 and any(isinstance(layer, Window) for layer in network.layers))
        self.terms = Terms(family, writable, ultra, flips)
        self._budget, self.limits = budget, budget.limits[self.terms.weighed]
        # Flip-flops are to fit, but save nothing.
        self._weights = np.where(np.equal(self.terms.weighed, 3), 0, 1 / self.limits)
        self._models: dict[int, Model] = {}

    def _model(self, target: int) -> Model:
        if target not in self._models:
            network = with_pixels(self._network, {
                name: count for name, count in pixels_for(self._network, target).items()
                if name not in self._pins})
            self._models[target] = Model(network, target, self.terms, self._pins)
        return self._models[target]

    def cheapest(self, target: int,
                 limits: np.ndarray | None = None) -> tuple[Network, bool] | None:
        """Return the network in the cheapest folds within limits; and whether all was exact."""
        model = self._model(target)
        choice = model.problem.cheapest(self._weights, limits)
        if choice is None and limits is not None and not model.problem.exact:
            choice = model.problem.within(limits)
        exact = all(model.problem.exact for model in self._models.values())
        return None if choice is None else (model.folded(choice), exact)

    def fits(self, target: int, limits: np.ndarray) -> bool:
        """Tell whether any folds keep within cycles and limits."""
        return self._model(target).problem.within(limits) is not None

    def fastest_within(self, limits: np.ndarray, above: int = 0) -> int:
        """Return the fewest cycles that fit; ``FoldError`` if none do."""
        targets = [t for t in achievable(self._network, self._pins) if t >= above]
        low, high, last = -1, 0, len(targets) - 1
        if above:
            # Not much slower than what would fit with a little more: further and further.
            while high < last and not self.fits(targets[high], limits):
                low, high = high, min(2 * high + 1, last)
        else:
            # From slow to fast, four times as fast at a time, then between: wide folds take longer.
            high = last
            while high > 0:
                trial = min(bisect_left(targets, targets[high] / 4), high - 1)
                if not self.fits(targets[trial], limits):
                    low = trial
                    break
                high = trial
        if high == last and not self.fits(targets[last], limits):
            self._refuse(targets[last])
        while high - low > 1:
            middle = (low + high) // 2
            if self.fits(targets[middle], limits):
                high = middle
            else:
                low = middle
        best = targets[high]
        if high == 0 and not above:
            for pixels in range(2, min(MOST, best) + 1):
                try:
                    if not self.fits(targets[0] // pixels, limits):
                        break
                except FoldError:
                    break
                best = targets[0] // pixels
        return best

    def filled(self, measure: bool) -> Solution:
        """Return the solution of the fewest cycles; with ``measure`` one that holds its FIFOs."""
        limits, terms = self.limits, self.terms
        least = target = self.fastest_within(limits)
        for _ in range(_ROUNDS):
            found = self.cheapest(target, limits)
            assert found is not None
            solution = self.solution(*found, steps=False, fills=True, least=least)
            if not measure:
                return solution
            bare = terms.costs(solution.whole)
            solution = solution.planned(plan_of(solution.network, terms.family, terms.writable),
                                        terms.family)
            over = terms.costs(solution.whole) - self.limits
            if (over <= 0).all():
                return solution
            # As much as there is too much of is kept free.
            kept = np.maximum(np.minimum(limits, bare) - over, 1e-9)
            limits = np.where(over > 0, kept, limits)
            target = self.fastest_within(limits, target)
        raise FoldError(f"no folds were found that fit with their FIFOs; without them {least} "
                        "cycles a frame fit; take a larger device, or ask for fewer frames")

    def _need(self, network: Network) -> Resources:
        return network_resources(network, self.terms) + ends_resources(network, self.terms)

    def _refuse(self, target: int) -> None:
        found = self.cheapest(target)
        assert found is not None
        need, budget = self._need(found[0]), self._budget
        wants, has = f"{need.lut} LUT and {need.bram36:g} block RAMs", (
            f"{budget.lut} and {budget.bram36:g}")
        if need.uram > budget.uram * budget.bram_share:
            wants, has = f"{wants} and {need.uram} UltraRAMs", f"{has} and {budget.uram}"
        if need.ff > budget.limits[3]:
            wants, has = f"{wants} and {need.ff} flip-flops", f"{has} and {budget.ff}"
        raise FoldError(
            f"the smallest design needs about {wants}, but the device has {has}, of which "
            f"{100 * budget.lut_share:.0f} % and {100 * budget.bram_share:.0f} % may be used; "
            "take a larger device or a smaller network")

    def solution(self, network: Network, exact: bool, *, steps: bool, fills: bool = False,
                 least: int = 0) -> Solution:
        """Return the solution that a folded network is."""
        bound = max(map(cycles, network.layers))
        slowest = tuple(layer.name for layer in network.layers if cycles(layer) == bound)
        found = Solution(network, bound, network_resources(network, self.terms),
                         ends_resources(network, self.terms), None, self._budget, fills, exact,
                         least, slowest, None, None)
        return self.with_steps(found) if steps else found

    def with_steps(self, solution: Solution) -> Solution:
        """Return the solution with the next cycles above and below."""
        targets = achievable(self._network, self._pins)
        k = bisect_left(targets, solution.cycles)
        need = self._need(solution.network)
        faster = self._step(targets[k - 1], need) if k else None
        slower, k, by = None, bisect_right(targets, solution.cycles), 1
        # Cycles that save nothing are no step.
        while k < len(targets) and slower is None:
            step = self._step(targets[k], need)
            saves = min(step.lut, step.bram36, step.uram) < 0
            slower = step if saves and step.cycles > solution.cycles else None
            k, by = k + by, 2 * by
        return replace(solution, faster=faster, slower=slower)

    def _step(self, target: int, need: Resources) -> Step:
        found = self.cheapest(target, self.limits) or self.cheapest(target)
        assert found is not None
        other = self._need(found[0])
        return Step(max(map(cycles, found[0].layers)), other.lut - need.lut,
                    other.bram36 - need.bram36, other.uram - need.uram, other.ff - need.ff)
