"""Tests of graph/solver_sweep.py: against all choices there are."""

import itertools

import numpy as np
import pytest

from quinnoa.graph import solver_sweep
from quinnoa.graph.solver_factors import FORBIDDEN, Factor
from quinnoa.graph.solver_sweep import Problem


def drawn(seed, *, vague=False, resources=2):
    """Return a problem, and all its choices' costs: options of random pairs of variables."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 4, 5).tolist()
    pairs = [(0, 1), (1, 2), (2, 3), (3, 4), *map(tuple, rng.permuted(
        np.tile(np.arange(5), (2, 1)), axis=1)[:, :2].tolist())]
    factors, exact = [], []
    for scope in [*pairs, (int(rng.integers(5)),)]:
        cells = list(itertools.product(*(range(sizes[x]) for x in scope)))
        # A cell may have several options, or none.
        at = [cell for cell in cells for _ in range(rng.integers(0 if len(cells) > 4 else 1, 4))]
        at = at or cells
        costs = rng.integers(0, 30, (len(at), resources)).astype(float)
        if vague:
            costs[rng.random(len(at)) < 0.1] = FORBIDDEN
        least = np.floor(np.minimum(costs, 30) * rng.random(costs.shape)) if vague else costs.copy()
        factors.append(Factor(scope, np.array(at), least, costs.__getitem__,
                              np.zeros(len(at), bool) if vague else None))
        exact.append((scope, at, costs))
    every = []
    for values in itertools.product(*(range(size) for size in sizes)):
        ways = [[cost for cell, cost in zip(at, costs, strict=True)
                 if cell == tuple(values[x] for x in scope)] for scope, at, costs in exact]
        every += [np.sum(way, axis=0) for way in itertools.product(*ways)]
    found = np.array([cost for cost in every if (cost < FORBIDDEN).all()]).reshape(-1, resources)
    return Problem(sizes, factors), found, exact


@pytest.mark.parametrize("vague", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_nothing_is_cheaper(seed, vague):
    problem, every, exact = drawn(seed, vague=vague)
    for weights in ([1.0, 1.0], [1.0, 0.0], [0.1, 3.0]):
        choice = problem.cheapest(np.array(weights))
        if not len(every):
            assert choice is None
            continue
        assert choice.cost @ weights == pytest.approx((every @ weights).min())
        # The cost is that of the options, and these are those of the values.
        assert choice.cost.tolist() == sum(
            costs[k] for (_, _, costs), k in zip(exact, choice.options, strict=True)).tolist()
        for (scope, at, _), k in zip(exact, choice.options, strict=True):
            assert at[k] == tuple(choice.values[x] for x in scope)


@pytest.mark.parametrize("seed, vague, resources", [
    *itertools.product(range(12), (False, True), (2,)),
    *itertools.product(range(8), (True,), (3,))])
def test_nothing_within_limits_is_cheaper(seed, vague, resources):
    weights = np.array([1.0, 0.7, 2.0][:resources])
    _, every, _ = drawn(seed, vague=vague, resources=resources)
    tried = 0
    for limits in itertools.product((35, 50, 65, 90) if resources == 2 else (65, 90),
                                    repeat=resources):
        problem, _, _ = drawn(seed, vague=vague, resources=resources)
        fit = every[(every <= limits).all(axis=1)]
        some, best = (find(np.array(limits, float)) for find in (
            problem.within, lambda most, problem=problem: problem.cheapest(weights, most)))
        assert (some is None) == (best is None) == (not len(fit))
        if len(fit):
            tried += 1
            assert (some.cost <= limits).all() and (best.cost <= limits).all()
            assert best.cost @ weights == pytest.approx((fit @ weights).min())
        assert problem.exact
    assert tried or not len(every) or every.max(axis=1).min() > 90


def test_says_when_it_gave_up(monkeypatch):
    monkeypatch.setattr(solver_sweep, "MOST_STARTS", 0)
    # 10 of the one or 10 of the other, three times: half and half is not on any line's end.
    factors = [Factor((x,), np.array([[0], [1]]), np.array([[10.0, 0.0], [0.0, 10.0]]))
               for x in range(3)]
    problem = Problem([2, 2, 2], factors)
    assert problem.cheapest(np.ones(2), np.array([15.0, 15.0])) is None
    assert not problem.exact
