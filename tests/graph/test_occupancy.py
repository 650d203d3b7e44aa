"""Tests of graph/occupancy.py, and of the frames that it is told of."""

import numpy as np
import pytest

from quinnoa.graph.engine import Program, Simulation
from quinnoa.graph.fifos import size_fifos
from quinnoa.graph.occupancy import held_over_frame
from quinnoa.graph.steady import MOST_FIFOS, Plain, Timer
from quinnoa.graph.timing import simulate
from tests.flows import random_flow


def counted(entered, left, cycles):
    """Return the beats inside in each of the cycles, by looking at every beat."""
    return [int(np.sum((entered <= cycle) & (cycle <= left))) for cycle in cycles]


def test_by_hand():
    # Three beats in a frame of 8 cycles; the last of them leaves in cycle 1 of the next one.
    assert held_over_frame(np.array([2, 3, 6]), np.array([4, 4, 9]), 8) == [1, 1, 1, 2, 2, 0, 1, 1]
    assert held_over_frame(np.array([2, 3, 6]), np.array([4, 4, 9]), 8, points=3) == [1, 2, 1]


def test_a_part_holds_the_most_of_its_cycles():
    rng = np.random.default_rng(1)
    entered = np.sort(rng.choice(5000, 800, replace=False)) + 12_345
    left = entered + rng.integers(0, 9000, 800)
    every = held_over_frame(entered, left, 5000, points=5000)
    laps = 5000 * np.arange(-4, 4)
    assert every == counted(np.add.outer(laps, entered), np.add.outer(laps, left),
                            range(10_000, 15_000))
    parts = held_over_frame(entered, left, 5000, points=7)
    cuts = [5000 * k // 7 for k in range(8)]
    assert parts == [max(every[a:b]) for a, b in zip(cuts, cuts[1:], strict=False)]


@pytest.mark.parametrize("seed", range(30))
def test_equals_the_definition_in_every_cycle(seed):
    flow = random_flow(seed)
    depths, timing = size_fifos(flow, [8] * len(flow.edges))
    fifos = [k for k, depth in enumerate(depths) if depth][:MOST_FIFOS]
    assert sorted(timing.over_frame) == fifos
    cycles, timer = timing.cycles, Timer(flow)
    settled = timer.settle(depths, cycles)
    # Upstream units are ahead of the last frame, those at the end far behind.
    frames = settled.frames + 8
    run = simulate(flow, depths, frames, pace=cycles)
    frame = range((frames - 1) * cycles, frames * cycles)
    runs = [Simulation(Program(flow), depths, pace=cycles), Plain(flow, depths, cycles, None)]
    runs.append(Simulation(Program(flow), depths, pace=cycles))
    runs[-1].go(frames - 3)
    runs[-1].watch(fifos)
    runs[-1].go(frames)
    for each in runs:
        each.go(frames - 1)
        for k, beats in zip(fifos, each.watched(fifos, cycles), strict=True):
            expected = counted(np.array(run.entries[k]), np.array(run.transfers[k]), frame)
            assert held_over_frame(*beats, cycles, points=cycles) == expected
            assert max(expected) == max(timing.over_frame[k]) <= timing.occupancy[k] <= depths[k]


def test_random_flows_do_have_fifos_to_watch():
    assert sum(len(size_fifos(random_flow(seed), [8] * len(random_flow(seed).edges))[1].over_frame)
               for seed in range(30)) > 20
