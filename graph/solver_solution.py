"""Solution: the folds that were found, what they take of a budget, and what others would."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .network import Network
from .resources import (
    Resources,
    buffer_resources,
    layer_resources,
    relay_resources,
    unit_resources,
)
from .solver_costs import Terms, amounts

if TYPE_CHECKING:
    from .units import Plan

__all__ = ["Budget", "DEFAULT_BUDGET", "Solution", "Step", "plan_resources"]


# Of the flip-flops of a device, what may be taken.
_FF_SHARE = 0.9
# Of them, what a solution need not speak of.
_MANY = 0.8


@dataclass(frozen=True)
class Budget:
    """What a device offers, and the share of it that a design may take.

    The shares are FINN-R's 70 % of the LUTs (beyond which routing suffers), and 90 % of the block
    RAMs, UltraRAMs and flip-flops; without ``ff`` these are not limited.
    """

    lut: int
    bram36: float
    lut_share: float = 0.70
    bram_share: float = 0.90
    uram: int = 0
    ff: int | None = None

    @property
    def limits(self) -> np.ndarray:
        """LUTs, halves of block RAM, UltraRAMs and flip-flops that may be taken."""
        return np.array([self.lut * self.lut_share, max(2 * self.bram36 * self.bram_share, 1e-9),
                         max(self.uram * self.bram_share, 1e-9),
                         np.inf if self.ff is None else self.ff * _FF_SHARE])

    def holds(self, need: Resources) -> bool:
        """Tell whether ``need`` fits."""
        return bool((amounts(need) <= self.limits).all())

    def cost(self, need: Resources) -> float:
        """Weigh ``need`` as shares of the device."""
        terms = Terms(ultra=self.uram > 0)
        return float((terms.costs(need) / self.limits[terms.weighed]).sum())


# Where no device is named, block RAMs and LUTs weigh as they stand on a Zynq-7020.
DEFAULT_BUDGET = Budget(lut=53_200, bram36=140)


@dataclass(frozen=True)
class Step:
    """Another number of cycles, and what the cheapest folds for it take more, FIFOs left out."""

    cycles: int
    lut: int
    bram36: float
    uram: int = 0
    ff: int = 0


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
    ends : Resources
        About what a shell takes to bring frames from its bus to these lanes, and back.
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
    ends: Resources
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
        """What it takes, the FIFOs included if they were measured."""
        return self.need + (self.buffers or Resources())

    @property
    def whole(self) -> Resources:
        """All that the budget has to hold: with what a shell takes at the ends."""
        return self.total + self.ends

    def planned(self, plan: "Plan", family: str) -> "Solution":
        """Return the same with what its plan takes, the FIFOs included."""
        need, buffers = plan_resources(plan, family)
        return replace(self, need=need, buffers=buffers)

    def as_dict(self) -> dict[str, Any]:
        """Return what ``report.json`` says of it."""
        def some(need: Resources | None) -> dict[str, float] | None:
            return None if need is None else {"lut": need.lut, "bram36": need.bram36,
                                              "uram": need.uram}

        def step(each: Step | None) -> dict[str, float] | None:
            return None if each is None else {"cycles": each.cycles, "lut_more": each.lut,
                             "bram36_more": each.bram36, "uram_more": each.uram}

        lut, halves, uram, _ = self.budget.limits.round(6).tolist()
        return {"cycles": self.cycles, "lut": self.total.lut, "bram36": self.total.bram36,
                "uram": self.total.uram, "fifos_measured": self.buffers is not None,
                "fifos": some(self.buffers), "ends": some(self.ends),
                "slowest": list(self.slowest),
                "budget": {"lut": lut, "bram36": halves / 2, "uram": uram},
                "fits": self.budget.holds(self.whole), "fills": self.fills, "exact": self.exact,
                "least_cycles": self.least, "faster": step(self.faster),
                "slower": step(self.slower), "text": self.explain()}

    def explain(self) -> str:
        """Say what limits, and what the next step up and down would cost."""
        some = ", ".join(self.slowest[:4]) + (f" and {len(self.slowest) - 4} more"
                                              if len(self.slowest) > 4 else "")
        lines = [f"{some} set{'s' * (len(self.slowest) == 1)} the rate: {self.cycles:,} cycles a "
                 "frame."]
        lines.append(f"About {self._shares()}{'' if self.buffers else ', FIFOs not counted'}; "
                     f"{self.ends.lut:,} LUT more turn words of a bus to beats, at the ends.")
        if self.buffers and self.exact and not self.fills:
            lines.append(f"FIFOs, known once all folds are, are {_told(self.buffers)} of that: as "
                         "shares go, no folds for these cycles save more.")
        if self.fills:
            lines.append(self._what_stops())
        lines += [f"A step {word}: {step.cycles:,} cycles for {_told(step, '+')}."
                  for word, step in (("faster", self.faster), ("slower", self.slower)) if step]
        if not self.exact:
            lines.append("The search was cut short: there may be cheaper folds.")
        return "\n".join(lines)

    def _shares(self) -> str:
        lut, halves, uram, ff = self.budget.limits.round(6).tolist()
        need = self.total
        shares = [(f"{need.lut:,} LUT of {lut:,.0f}", need.lut, lut),
                  (f"{_counted(need.bram36, 'block RAM')} of {halves / 2:g}", need.bram36,
                   halves / 2)]
        if need.uram:
            shares.append((f"{_counted(need.uram, 'UltraRAM')} of {uram:g}", need.uram, uram))
        if need.ff > _MANY * ff:
            shares.append((f"{need.ff:,} flip-flops of {ff:,.0f}", need.ff, ff))
        return _listed(f"{told} ({100 * taken / most if most else 0:.0f} %)"
                       for told, taken, most in shares)

    def _what_stops(self) -> str:
        if self.least < self.cycles:
            return (f"Without FIFOs {self.least:,} cycles would fit; nothing below that does.")
        if self.faster is None:
            return "Nothing is faster in these layers."
        more = amounts(self.whole) + (self.faster.lut, 2 * self.faster.bram36, self.faster.uram,
                                      self.faster.ff)
        names = "LUTs", "block RAMs", "UltraRAMs", "flip-flops"
        over = [name for name, need, most in zip(names, more, self.budget.limits, strict=True)
                if need > most]
        return f"Nothing faster fits: too few {_listed(over) or 'LUTs and block RAMs'}."


def _listed(words: Iterable[str]) -> str:
    """Join words: a, b and c."""
    *most, last = [*words] or [""]
    return ", ".join(most) + " and " * bool(most) + last


def _counted(number: float, name: str, sign: str = "") -> str:
    """Name a number of things."""
    return f"{number:{sign}g} {name}{'s' * (abs(number) != 1)}"


def _told(need: Resources | Step, sign: str = "") -> str:
    """Name LUTs and, where there are any, block RAMs and UltraRAMs."""
    rest = ((need.bram36, "block RAM"), (need.uram, "UltraRAM"))
    return _listed([f"{need.lut:{sign},} LUT",
                    *(_counted(number, name, sign) for number, name in rest if number)])


def plan_resources(plan: "Plan", family: str) -> tuple[Resources, Resources]:
    """Return what the units of a plan take, all but the FIFOs, and the FIFOs."""
    need, buffers = Resources(), Resources()
    for unit in plan.units:
        made = unit.component
        if unit.layer is not None:
            written = "writes" in made.signature.members
            need += layer_resources(unit.layer, unit.layer.fold, family, written)
            if written:
                need += relay_resources(plan.words, 1, family)
        elif hasattr(made, "depth"):
            buffers += buffer_resources(made.depth, made.o.payload.shape().size, family)
        else:
            need += unit_resources(made, family)
    return need, buffers
