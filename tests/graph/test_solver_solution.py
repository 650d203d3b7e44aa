"""Tests of graph/solver_solution.py: what a solution says."""

from dataclasses import replace

from benchmarks.topologies import network
from quinnoa.graph.lanes import cycles
from quinnoa.graph.solver import Budget, solve_cycles, solve_fit

MLP = network((6, 4, 3), [(1, 1), (1, 1)], (2, 2, 2))


def test_a_solution_says_what_limits_it_and_what_a_step_costs():
    net = network((32, 16, 16, 8), [(1, 1)] * 3, (2, 2, 2))
    budget = Budget(lut=1200, bram36=0)
    solution = solve_fit(net, budget, measure=False)
    faster = solve_cycles(net, solution.cycles - 1, budget=budget, steps=False)
    assert solution.faster.cycles == faster.cycles
    assert solution.faster.lut == faster.whole.lut - solution.whole.lut
    assert faster.whole.lut > 840 >= solution.whole.lut
    slowest = [layer.name for layer in solution.network.layers
               if cycles(layer) == solution.cycles]
    slower = solution.slower
    assert solution.explain() == "\n".join([
        f"{', '.join(slowest)} set{'s' * (len(slowest) == 1)} the rate: {solution.cycles} cycles a "
        "frame.",
        f"About {solution.total.lut} LUT of 840 ({solution.total.lut / 8.4:.0f} %) and 0 block "
        f"RAMs of 0 (0 %), FIFOs not counted; {solution.ends.lut} LUT more turn words of a bus to "
        "beats, at the ends.",
        "Nothing faster fits: too few LUTs.",
        f"A step faster: {faster.cycles} cycles for {solution.faster.lut:+} LUT.",
        f"A step slower: {slower.cycles} cycles for {slower.lut:+} LUT."])
    assert slower.cycles > solution.cycles and slower.lut < 0


def test_flip_flops_are_spoken_of_where_they_are_few():
    roomy = Budget(lut=20_000, bram36=20)
    free = solve_fit(MLP, roomy, measure=False)
    assert "flip-flops" not in free.explain()
    crowded = replace(free, budget=replace(roomy, ff=free.total.ff))
    assert (f"and {free.total.ff:,} flip-flops of {0.9 * free.total.ff:,.0f} (111 %)"
            in crowded.explain())
    found = solve_fit(MLP, replace(roomy, ff=free.whole.ff), measure=False)
    assert "Nothing faster fits: too few flip-flops." in found.explain()


def test_a_step_slower_saves_something():
    # 4 cycles a frame take no fewer LUTs than 3.
    assert solve_cycles(MLP, 4, steps=False).whole.lut >= (
        solve_cycles(MLP, 3, steps=False).whole.lut)
    slower = solve_cycles(MLP, 3).slower
    assert slower.cycles > 4 and slower.lut < 0
