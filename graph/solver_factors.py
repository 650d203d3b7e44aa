"""Factors: what the options of one or two variables take, as the sweep adds them up."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["FORBIDDEN", "Choice", "Factor"]

# What an option takes that cannot be: more than all others together, and no infinity, of which
# none, weighed as 0, would be no number.
FORBIDDEN = 1e15


class Factor:
    """What some options of one or two variables take.

    Parameters
    ----------
    scope : tuple of int
        Its variables.
    at : array of int, (options, variables)
        The values of each option, as places in the variables' domains.
    costs : array of float, (options, resources)
        What each takes; of those that are not ``exact``, no more than what it takes.
    evaluate : callable, optional
        Returns what an option takes, exactly.
    """

    def __init__(self, scope: tuple[int, ...], at: np.ndarray, costs: np.ndarray,
                 evaluate: Callable[[int], np.ndarray] | None = None,
                 exact: np.ndarray | None = None) -> None:
        order = np.lexsort(np.asarray(at).T[::-1])
        self.scope, self.at, self.costs = scope, np.asarray(at)[order], np.asarray(costs)[order]
        self.order = order
        self._evaluate = evaluate
        self._exact = np.ones(len(at), bool) if exact is None else exact[order]
        # Options of one cell stand side by side.
        change = (self.at[1:] != self.at[:-1]).any(axis=1)
        self._starts = np.flatnonzero(np.append(True, change))
        self._cells = tuple(self.at[self._starts].T)

    def table(self, weights: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
        """Return the least weighed cost of every cell."""
        table = np.full([sizes[x] for x in self.scope], np.inf)
        table[self._cells] = np.minimum.reduceat(self.costs @ weights, self._starts)
        return table

    def options(self, values: dict[int, int]) -> np.ndarray:
        """Return the options that agree with the values of some variables."""
        agree = np.ones(len(self.at), bool)
        for k, x in enumerate(self.scope):
            if x in values:
                agree &= self.at[:, k] == values[x]
        return np.flatnonzero(agree)

    def refine(self, option: int) -> bool:
        """Make the cost of an option exact; tell whether it was not."""
        if self._exact[option]:
            return False
        assert self._evaluate is not None
        self.costs[option] = self._evaluate(int(self.order[option]))
        self._exact[option] = True
        return True


@dataclass(frozen=True)
class Choice:
    """A value for every variable, an option (as the factor was given them) for every factor."""

    values: tuple[int, ...]
    options: tuple[int, ...]
    cost: np.ndarray
