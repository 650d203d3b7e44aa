"""Solver: the folds of all layers together that reach a rate with the least, or a device allows.

The cheapest folds for a number of cycles are exact (`solver_sweep.py`) over the folds of
`solver_costs.choices`, the width converters and forks between the layers included. The fewest
cycles that fit a budget are found by bisection. FIFOs are known only when a network is folded: they
are measured then, and where they do not fit the search goes on with as much less.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from quinnoa.errors import FoldError
from quinnoa.rtl.families import FAMILIES

from .lanes import axes, cycles
from .layers import Layer, MatMul
from .network import Network
from .pixels import MOST, pixels_for, with_pixels
from .resources import Resources, buffer_resources, layer_resources
from .solver_costs import Pins, as_costs, network_resources, one_axis
from .solver_model import Model

if TYPE_CHECKING:
    from .units import Plan

__all__ = ["Budget", "DEFAULT_BUDGET", "Solution", "Step", "least_cycles", "plan_of",
           "solve_cycles", "solve_fit"]

# How often the search goes on with less because FIFOs did not fit.
_ROUNDS = 8


@dataclass(frozen=True)
class Budget:
    """What a device offers, and the share of it that a design may take.

    The shares are FINN-R's 70 % of the LUTs (beyond which routing suffers), and 90 % of the block
    RAMs.
    """

    lut: int
    bram36: float
    lut_share: float = 0.70
    bram_share: float = 0.90

    @property
    def limits(self) -> np.ndarray:
        """LUTs and halves of block RAM that may be taken."""
        return np.array([self.lut * self.lut_share, max(2 * self.bram36 * self.bram_share, 1e-9)])

    def holds(self, need: Resources) -> bool:
        """Tell whether ``need`` fits."""
        return (need.lut <= self.lut * self.lut_share
                and need.bram36 <= self.bram36 * self.bram_share)

    def cost(self, need: Resources) -> float:
        """Weigh ``need`` as shares of the device."""
        return float((as_costs(need) / self.limits).sum())


# Where no device is named, block RAMs and LUTs weigh as they stand on a Zynq-7020.
DEFAULT_BUDGET = Budget(lut=53_200, bram36=140)


@dataclass(frozen=True)
class Step:
    """Another number of cycles, and what the cheapest folds for it take more, FIFOs left out."""

    cycles: int
    lut: int
    bram36: float


@dataclass(frozen=True, eq=False)
class Solution:
    """Folds, what they take, what limits them, and what others would take.

    Attributes
    ----------
    network : Network
        In its folds.
    cycles : int
        A frame: the slowest layer's.
    need : Resources
        About what layers, forks and width converters take.
    buffers : Resources or None
        What the FIFOs take, where they were measured.
    budget : Budget
    fills : bool
        Whether the device was to be filled.
    exact : bool
        Whether no folds of those looked at are cheaper; False where a search was given up.
    least : int
        Cycles below which nothing fits the budget even without FIFOs, where it was to be filled.
    slowest : tuple of str
        The layers that set the cycles.
    faster, slower : Step or None
        The next cycles that can be had.
    """

    network: Network
    cycles: int
    need: Resources
    buffers: Resources | None
    budget: Budget
    fills: bool
    exact: bool
    least: int
    slowest: tuple[str, ...]
    faster: Step | None
    slower: Step | None

    @property
    def total(self) -> Resources:
        """What it takes, with the FIFOs if they were measured."""
        return self.need + (self.buffers or Resources())

    def planned(self, plan: "Plan", family: str) -> "Solution":
        """Return the same with what its plan takes, the FIFOs included."""
        buffers = Resources()
        for unit in plan.units:
            if unit.layer is None and hasattr(unit.component, "depth"):
                width = unit.component.o.payload.shape().size
                buffers += buffer_resources(unit.component.depth, width, family)
        return replace(self, buffers=buffers,
                       need=network_resources(self.network, family, layer_resources))

    def as_dict(self) -> dict[str, Any]:
        """Return what ``report.json`` says of it."""
        def step(each: Step | None) -> dict[str, float] | None:
            return None if each is None else {"cycles": each.cycles, "lut_more": each.lut,
                             "bram36_more": each.bram36}

        return {"cycles": self.cycles, "lut": self.total.lut, "bram36": self.total.bram36,
                "fifos_measured": self.buffers is not None, "slowest": list(self.slowest),
                "budget": {"lut": self.budget.lut * self.budget.lut_share,
                           "bram36": self.budget.bram36 * self.budget.bram_share},
                "fits": self.budget.holds(self.total), "fills": self.fills, "exact": self.exact,
                "least_cycles": self.least, "faster": step(self.faster),
                "slower": step(self.slower), "text": self.explain()}

    def explain(self) -> str:
        """Say what limits, and what the next step up and down would cost."""
        some = ", ".join(self.slowest[:4]) + (f" and {len(self.slowest) - 4} more"
                                              if len(self.slowest) > 4 else "")
        lines = [f"{some} set{'s' * (len(self.slowest) == 1)} the rate: {self.cycles:,} cycles a "
                 "frame."]
        lut, bram = self.budget.lut * self.budget.lut_share, \
            self.budget.bram36 * self.budget.bram_share
        without = "" if self.buffers else ", FIFOs not counted"
        lines.append(f"About {self.total.lut:,} LUT of {lut:,.0f} ({self.total.lut / lut:.0%}) and "
                     f"{self.total.bram36:g} block RAMs of {bram:g} "
                     f"({self.total.bram36 / bram if bram else 0:.0%}){without}.")
        if self.fills:
            lines.append(self._what_stops())
        lines += [f"A step {word}: {step.cycles:,} cycles for {step.lut:+,} LUT and "
                  f"{step.bram36:+g} block RAMs."
                  for word, step in (("faster", self.faster), ("slower", self.slower)) if step]
        if not self.exact:
            lines.append("The search was cut short: there may be cheaper folds.")
        return "\n".join(lines)

    def _what_stops(self) -> str:
        if self.least < self.cycles:
            return (f"Without FIFOs {self.least:,} cycles would fit; nothing below that does.")
        if self.faster is None:
            return "Nothing is faster in these layers."
        over = [name for name, need, most in (
            ("LUTs", self.total.lut + self.faster.lut, self.budget.limits[0]),
            ("block RAMs", 2 * (self.total.bram36 + self.faster.bram36), self.budget.limits[1]))
            if need > most]
        return f"Nothing faster fits: too few {' and '.join(over) or 'LUTs and block RAMs'}."


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
                 steps: bool = True) -> Solution:
    """Return the folds that need at most ``target`` cycles with the least shares of the budget.

    Within the budget if any are, else the least there are. A layer that cannot reach the target at
    a pixel a cycle takes several at once, as few as will do. ``steps``: look at the next cycles
    above and below, too.
    """
    search = _Search(network, family, budget, pins)
    found = search.cheapest(target, budget.limits) or search.cheapest(target)
    assert found is not None
    return search.solution(*found, steps=steps)


def solve_fit(network: Network, budget: Budget, *, family: str = "xc7", pins: Pins | None = None,
              steps: bool = True, measure: bool = True) -> Solution:
    """Return the folds of the fewest cycles that fit the budget; of these the least shares of it.

    With ``measure`` the FIFOs, too, must fit. Where a pixel a cycle fits everywhere, goes on with
    2, 3, … pixels a cycle.
    """
    search = _Search(network, family, budget, pins)
    limits = budget.limits
    least = target = search.fastest_within(limits)
    for _ in range(_ROUNDS):
        found = search.cheapest(target, limits)
        assert found is not None
        solution = search.solution(*found, steps=False, fills=True, least=least)
        if not measure:
            break
        solution = solution.planned(plan_of(solution.network, family), family)
        if budget.holds(solution.total):
            break
        # As much as there is too much of is kept free.
        over = as_costs(solution.total) - budget.limits
        limits = limits - np.maximum(over, 0) - (over > 0)
        target = search.fastest_within(limits, target)
    else:
        raise FoldError(f"no folds were found that fit with their FIFOs; without them {least} "
                        "cycles a frame fit; take a larger device, or ask for fewer frames")
    return search.with_steps(solution) if steps else solution


def plan_of(network: Network, family: str) -> "Plan":
    """Return the plan of a folded network, its FIFOs sized."""
    from .units import plan
    return plan(network, FAMILIES[family])


class _Search:
    """The searches for one network, budget and family: what was looked at is remembered."""

    def __init__(self, network: Network, family: str, budget: Budget, pins: Pins | None) -> None:
        self._pins = {name: dict(table) for name, table in (pins or {}).items()}
        pixels = {name: table.pop("pixels") for name, table in self._pins.items()
                  if "pixels" in table}
        self._network = with_pixels(network, pixels)
        self._family, self._budget = family, budget
        self._models: dict[int, Model] = {}

    def _model(self, target: int) -> Model:
        if target not in self._models:
            network = with_pixels(self._network, {
                name: count for name, count in pixels_for(self._network, target).items()
                if name not in self._pins})
            self._models[target] = Model(network, target, self._family, self._pins)
        return self._models[target]

    def cheapest(self, target: int,
                 limits: np.ndarray | None = None) -> tuple[Network, bool] | None:
        """Return the network in the cheapest folds within limits; and whether all was exact."""
        model = self._model(target)
        choice = model.problem.cheapest(1 / self._budget.limits, limits)
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
        if not self.fits(targets[-1], limits):
            self._refuse(targets[-1])
        # From slow to fast, twice as fast at a time, and then between: wide folds take longer.
        high, low = len(targets) - 1, -1
        while high > 0:
            trial = min(bisect_left(targets, targets[high] / 2), high - 1)
            if not self.fits(targets[trial], limits):
                low = trial
                break
            high = trial
        while high - low > 1:
            middle = (low + high) // 2
            if self.fits(targets[middle], limits):
                high = middle
            else:
                low = middle
        best = targets[high]
        if high == 0 and not above:
            for pixels in range(2, MOST + 1):
                try:
                    if not self.fits(targets[0] // pixels, limits):
                        break
                except FoldError:
                    break
                best = targets[0] // pixels
        return best

    def _refuse(self, target: int) -> None:
        found = self.cheapest(target)
        assert found is not None
        need = network_resources(found[0], self._family)
        budget = self._budget
        raise FoldError(
            f"the smallest design needs about {need.lut} LUT and {need.bram36:g} block RAMs, but "
            f"the device has {budget.lut} and {budget.bram36:g}, of which "
            f"{budget.lut_share:.0%} and {budget.bram_share:.0%} may be used; take a larger device "
            "or a smaller network")

    def solution(self, network: Network, exact: bool, *, steps: bool, fills: bool = False,
                 least: int = 0) -> Solution:
        """Return the solution that a folded network is."""
        bound = max(map(cycles, network.layers))
        found = Solution(
            network, bound, network_resources(network, self._family), None, self._budget, fills,
            exact, least, tuple(layer.name for layer in network.layers if cycles(layer) == bound),
            None, None)
        return self.with_steps(found) if steps else found

    def with_steps(self, solution: Solution) -> Solution:
        """Return the solution with the next cycles above and below."""
        targets = achievable(self._network, self._pins)
        k = bisect_left(targets, solution.cycles)
        need = network_resources(solution.network, self._family)
        faster = self._step(targets[k - 1], need) if k else None
        slower, k, by = None, bisect_right(targets, solution.cycles), 1
        # Cycles that save nothing are no step.
        while k < len(targets) and (slower is None or slower.cycles <= solution.cycles):
            slower = self._step(targets[k], need)
            k, by = k + by, 2 * by
        if slower is not None and slower.cycles <= solution.cycles:
            slower = None
        return replace(solution, faster=faster, slower=slower)

    def _step(self, target: int, need: Resources) -> Step:
        found = self.cheapest(target, self._budget.limits) or self.cheapest(target)
        assert found is not None
        other = network_resources(found[0], self._family)
        return Step(max(map(cycles, found[0].layers)), other.lut - need.lut,
                    other.bram36 - need.bram36)
