"""Tests of graph/fifos.py: FIFOs are ample, and not one of them could be smaller."""

import numpy as np
import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.graph.fifos import size_fifos
from quinnoa.graph.steady import Timer
from quinnoa.graph.timing import Edge, Flow
from quinnoa.rtl.schedule import Process, Schedule, Wait
from tests.flows import fork, join, random_flow, ring, step, unit


def smaller(depths):
    """Yield the depths with one FIFO made one smaller, each in turn."""
    for k, depth in enumerate(depths):
        if depth:
            yield [*depths[:k], depth - 1 if depth > 2 else 0, *depths[k + 1:]]


def assert_least(flow, depths, timing):
    timer = Timer(flow)
    found = timer.timing(depths)
    assert (found.cycles, found.latency) == (timing.cycles, timing.latency)
    for less in smaller(depths):
        settled = timer.settle(less, timing.cycles, timing.latency)
        assert settled is None, less


def residuals(count, beats=24):
    """Return residual blocks behind one another: a window and its sums, beside a plain way."""
    units, edges, before = [], [], (None, 0)
    for kernel in range(3, 3 + count):
        here = len(units)
        units += [fork(), ring(beats, kernel), unit([1] * kernel, [0] * (kernel - 1) + [1]), join()]
        edges += [Edge(*before, here, 0), Edge(here, 0, here + 1, 0),
                  Edge(here + 1, 0, here + 2, 0), Edge(here + 2, 0, here + 3, 0),
                  Edge(here, 1, here + 3, 1)]
        before = here + 3, 0
    return Flow(units, [*edges, Edge(*before, None, 0)], beats, beats)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_run_at_their_bound_with_the_least_fifos(seed):
    flow = random_flow(seed)
    depths, timing = size_fifos(flow, [8] * len(flow.edges))
    assert timing.cycles >= flow.bound
    assert_least(flow, depths, timing)


def test_residual_blocks_get_a_fifo_in_the_short_way_alone():
    flow = residuals(3)
    depths, timing = size_fifos(flow, [8] * len(flow.edges))
    assert timing.cycles == flow.bound == 24 * 5
    assert [flow.edges[k] for k, depth in enumerate(depths) if depth] == [
        Edge(0, 1, 3, 1), Edge(4, 1, 7, 1), Edge(8, 1, 11, 1)]
    assert_least(flow, depths, timing)


def test_the_same_graph_gets_the_same_depths():
    flow = residuals(2)
    assert size_fifos(flow, [8] * 11)[0] == size_fifos(flow, [8] * 11)[0]


def test_bounds_leave_little_to_try():
    flow = residuals(9, beats=48)
    depths, timing = size_fifos(flow, [8] * len(flow.edges))
    assert_least(flow, depths, timing)
    # Eight frames in all for nine FIFOs.
    assert size_fifos(flow, [8] * len(flow.edges), effort=8 * sum(flow.beats))[0] == depths


def test_without_effort_the_depths_are_ample():
    flow = residuals(3)
    least, timing = size_fifos(flow, [8] * len(flow.edges))
    ample, found = size_fifos(flow, [8] * len(flow.edges), effort=0)
    assert found.cycles == timing.cycles
    assert all(a >= b for a, b in zip(ample, least, strict=True))
    again = Timer(flow).timing(ample)
    assert (again.cycles, again.latency) == (found.cycles, found.latency)


def test_a_unit_that_waits_for_itself_is_told():
    # Either process waits for the first step of the other.
    takes, none = np.ones((1, 2), bool), np.zeros((1, 2), bool)
    first = np.array([1, 1])
    knot = Schedule(none[0], none[0], 1, 2, (Process(takes, none, (Wait(1, first, 1),)),
                                             Process(none, takes, (Wait(0, first, 1),))))
    flow = Flow([step(), knot], [Edge(None, 0, 0, 0), Edge(0, 0, 1, 0), Edge(1, 0, None, 0)], 2, 2,
                ["swu0", "swu1"])
    with pytest.raises(QuinnoaError, match=r"^the graph comes to stand still: swu0 to swu1, swu1 "
                                           r"to the output move no more$"):
        size_fifos(flow, [8, 8, 8])
