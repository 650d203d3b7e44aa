"""Tests of graph/engine.py: the native engine computes what timing.py defines."""

import numpy as np
import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.graph.engine import ENDLESS, Program, Simulation
from quinnoa.graph.timing import simulate
from tests.flows import random_flow


def alike(marks):
    """Return which frames of each process are alike."""
    return marks[:, None, :] == marks[None, :, :]


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_definition_in_every_transfer(seed):
    flow = random_flow(seed)
    rng = np.random.default_rng(seed)
    depths = [0 if rng.integers(2) else int(rng.integers(2, 40)) for _ in flow.edges]
    depths[-1] = 0
    pace = int(rng.integers(0, 2 * flow.bound))
    frames = 5
    run = Simulation(Program(flow), depths, pace=pace, probes=range(len(flow.edges)))
    try:
        expected = simulate(flow, depths, frames, pace=pace)
    except QuinnoaError as error:
        with pytest.raises(QuinnoaError) as found:
            run.go(frames)
        assert str(found.value) == str(error)
        return
    run.go(2)
    run.go(frames)
    for k in range(len(flow.edges)):
        assert run.transfers(k) == expected.transfers[k]
        assert run.entries(k) == expected.entries[k]
    assert run.first_in == expected.first_in
    assert run.occupancy == expected.occupancy
    np.testing.assert_array_equal(run.o_ends, expected.o_ends)
    np.testing.assert_array_equal(run.ends, expected.ends)
    np.testing.assert_array_equal(alike(run.marks[1:]), alike(expected.marks[1:]))


@pytest.mark.parametrize("seed", range(10))
def test_a_fifo_that_never_fills_is_one_deep_enough(seed):
    flow = random_flow(seed)
    endless = Simulation(Program(flow), [ENDLESS] * (len(flow.edges) - 1) + [0], pace=flow.bound)
    endless.go(4)
    deep = Simulation(Program(flow), [1000] * (len(flow.edges) - 1) + [0], pace=flow.bound)
    deep.go(4)
    np.testing.assert_array_equal(endless.ends, deep.ends)
    inner = slice(1, len(flow.edges) - 1)
    expected = simulate(flow, [1000] * (len(flow.edges) - 1) + [0], 4, pace=flow.bound)
    for after in (0, 1):
        assert endless.outstanding(after)[inner] == expected.outstanding(after)[inner]
