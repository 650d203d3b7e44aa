# amaranth: UnusedElaboratable=no
"""Tests of graph/solver.py: against exhaustive search, and against what is laid."""

import itertools

import numpy as np
import pytest
from amaranth import signed, unsigned

from benchmarks.topologies import network
from quinnoa.errors import FoldError
from quinnoa.graph.lanes import axes, cycles
from quinnoa.graph.layers import Add, Depthwise, Fold, MatMul, Reduce, Stream, Window
from quinnoa.graph.network import Network
from quinnoa.graph.resources import Resources
from quinnoa.graph.solver import DEFAULT_BUDGET, Budget, solve_cycles, solve_fit
from quinnoa.graph.solver_costs import network_resources


def mlp():
    return network((6, 4, 3), [(1, 1), (1, 1)], (2, 2, 2))


def branches():
    """Return a network of a matrix beside a stream that passes it by."""
    rng = np.random.default_rng(1)
    image = Stream((1, 2, 4), unsigned(3))
    layers = (
        MatMul("mvtu0", image, Stream((1, 2, 4), signed(7)), feeds=("",), w_shape=signed(2),
               weights=rng.integers(-1, 2, (4, 4))),
        Add("add0", image, Stream((1, 2, 4), unsigned(4)), multipliers=(1, 1), more=(image,),
            feeds=("", "")),
        Add("add1", Stream((1, 2, 4), signed(7)), Stream((1, 2, 4), signed(8)),
            multipliers=(1, 1), more=(Stream((1, 2, 4), unsigned(4)),), feeds=("mvtu0", "add0")),
        MatMul("mvtu1", Stream((8,), signed(8)), Stream((2,), signed(13)), feeds=("add1",),
               weights=rng.integers(-1, 2, (2, 8)), w_shape=signed(2)))
    return Network("branches", "branches", b"", None, layers, None)


def images():
    """Return a network of windows, a depthwise product and a pool, whose input is read twice."""
    rng = np.random.default_rng(2)
    image, windows = Stream((4, 4, 2), unsigned(2)), Stream((2, 2, 18), unsigned(2))
    layers = (
        Window("swu0", image, windows, kernel=(3, 3), feeds=("",)),
        Depthwise("vvtu0", windows, Stream((2, 2, 4), signed(7)), weights=rng.integers(
            -1, 2, (4, 9)), w_shape=signed(2), feeds=("swu0",)),
        Reduce("pool0", Stream((2, 2, 4), signed(7)), Stream((4,), signed(9)), op="sum", vectors=4,
               feeds=("vvtu0",)),
        MatMul("mvtu0", Stream((4,), signed(9)), Stream((3,), signed(12)), feeds=("pool0",),
               weights=rng.integers(-1, 2, (3, 4)), w_shape=signed(2)))
    return Network("images", "images", b"", None, layers, None)


NETWORKS = {"mlp": mlp(), "branches": branches(), "images": images()}


def all_folds(layer):
    """Return every fold there is of a layer: all numbers, padded or not, all weight memories."""
    keys = [axis.key for axis in axes(layer)]
    for values in itertools.product(*(
            range(1, axis.size + 1) if axis.pads else axis.choices for axis in axes(layer))):
        uneven = any(axis.size % value and value not in axis.more
                     for axis, value in zip(axes(layer), values, strict=True))
        kinds = ("lutrom", "block") if isinstance(layer, MatMul | Depthwise) else ("auto",)
        for memory in kinds:
            yield Fold(**dict(zip(keys, values, strict=True)), memory=memory, pad=uneven)


_ALL = {}


def exhausted(name):
    """Return cycles, LUTs and block RAMs of a network in all combinations of all folds."""
    if name not in _ALL:
        net, found = NETWORKS[name], []
        folded_layers = [[layer.folded(fold) for fold in all_folds(layer)] for layer in net.layers]
        for layers in itertools.product(*folded_layers):
            folded = net.with_layers(layers)
            need = network_resources(folded, "xc7")
            found.append((max(map(cycles, folded.layers)), need.lut, need.bram36))
        _ALL[name] = np.array(found)
    return _ALL[name]


@pytest.mark.parametrize("name, targets", [("mlp", (1, 2, 5, 6, 12, 24)),
                                           ("branches", (2, 3, 4, 8, 20)),
                                           ("images", (36, 72, 144))])
def test_no_folds_at_all_are_cheaper(name, targets):
    every = exhausted(name)
    shares = every[:, 1:] / [DEFAULT_BUDGET.limits[0], DEFAULT_BUDGET.limits[1] / 2]
    for target in targets:
        solution = solve_cycles(NETWORKS[name], target, steps=False)
        best = shares[every[:, 0] <= target].sum(axis=1).min()
        assert solution.exact and solution.cycles <= target
        assert DEFAULT_BUDGET.cost(solution.need) == pytest.approx(best)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("slack", [0.0, 0.1, 0.4])
def test_no_folds_at_all_that_fit_are_faster(name, slack):
    every = exhausted(name)
    # Between the least LUTs and the most, a few block RAMs or none.
    least = every[:, 1].min()
    for rams in (0, 1, 2.5):
        lut = int(least + slack * (np.median(every[:, 1]) - least)) + 1
        budget = Budget(lut=lut, bram36=rams, lut_share=1.0, bram_share=1.0)
        fit = every[(every[:, 1] <= lut) & (every[:, 2] <= rams)]
        if not len(fit):
            with pytest.raises(FoldError, match="the smallest design needs"):
                solve_fit(NETWORKS[name], budget, measure=False)
            continue
        solution = solve_fit(NETWORKS[name], budget, measure=False, steps=False)
        assert solution.cycles == fit[:, 0].min()
        assert budget.holds(solution.need)
        fit = fit[fit[:, 0] == solution.cycles]
        assert budget.cost(solution.need) == pytest.approx(
            min(budget.cost(Resources(lut=round(row[1]), bram36=row[2])) for row in fit))
