# amaranth: UnusedElaboratable=no
"""Tests of graph/timing.py: what it computes is what the gateware does, in every cycle."""

import numpy as np
import pytest

from benchmarks.topologies import network
from quinnoa.errors import QuinnoaError
from quinnoa.graph.build import assemble
from quinnoa.graph.steady import Timer
from quinnoa.graph.timing import Edge, Flow, chain, simulate
from quinnoa.graph.units import plan
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.shapes import range_of
from quinnoa.sim.streams import run_unit
from tests.flows import fork, join, ring, step, unit


def test_one_unit_by_hand():
    # Takes in step 0, gives in step 2, a period of 3: beats leave in cycles 2 + 4, then every 3.
    flow = chain([unit([1, 0, 0], [0, 0, 1], latency=4, room=3)], 1, 1)
    run = simulate(flow, [0, 0], 3)
    assert run.transfers == [[0, 3, 6], [6, 9, 12]]
    assert (run.first_in, run.o_ends.tolist()) == (0, [6, 9, 12])
    timing = Timer(flow).timing([0, 0])
    assert (timing.cycles, timing.latency, timing.utilisation) == (3, 6, (1.0,))


def test_a_unit_waits_for_the_credit_of_a_beat_that_is_not_taken():
    # The slow one takes every 5 cycles; the fast one in front has room for 2 beats and no more.
    flow = chain([step(), unit([1, 0, 0, 0, 0], [0, 0, 0, 0, 1])], 1, 1)
    run = simulate(flow, [0, 0, 0], 5)
    assert run.transfers[1] == [1, 6, 11, 16, 21]
    assert run.transfers[0] == [0, 1, 2, 7, 12]


def test_a_fifo_decouples_bursts():
    # Bursts of 4 in 8 cycles into one that takes a beat every 2 cycles.
    flow = chain([unit([1] + [0] * 7, [0] * 4 + [1] * 4, room=2), unit([1, 0], [0, 1], room=3)],
                 1, 4)
    assert Timer(flow).timing([0, 0, 0]).cycles == 9
    assert Timer(flow).timing([0, 2, 0]).cycles == 8


def test_a_process_waits_for_another_of_its_unit():
    # A window of 3 over 4 beats: the first one is there when beats 0 and 1 are, 3 cycles later.
    flow = chain([ring(4, 3, delay=3, latency=4, slack=9)], 4, 12)
    run = simulate(flow, [0, 0], 2)
    assert run.transfers[1][:12] == [1 + 3 + 4 + k for k in range(12)]
    # The next frame begins before this one ends, and nothing is lost between the two.
    assert np.diff(run.transfers[1]).tolist() == [1] * 23


def residual(depth):
    """Return a fork, a window of 5 beats on the one branch, its sums, and an add."""
    units = [fork(), ring(8, 5), unit([1] * 5, [0, 0, 0, 0, 1]), join()]
    edges = [Edge(None, 0, 0, 0), Edge(0, 0, 1, 0), Edge(1, 0, 2, 0), Edge(2, 0, 3, 0),
             Edge(0, 1, 3, 1), Edge(3, 0, None, 0)]
    flow = Flow(units, edges, 8, 8, ["fork0", "swu0", "mvtu0", "add0"])
    return flow, [0, 0, 0, 0, depth, 0]


def test_a_branch_that_holds_too_little_stands_still():
    flow, depths = residual(0)
    with pytest.raises(QuinnoaError, match=(
            r"^the graph comes to stand still: the input to fork0, fork0 to swu0, swu0 to mvtu0, "
            r"mvtu0 to add0, fork0 to add0, add0 to the output move no more$")):
        simulate(flow, depths, 1)
    flow, depths = residual(16)
    assert Timer(flow).timing(depths).cycles == flow.bound == 40


def test_refuses_schedules_that_do_not_fit_the_frame():
    with pytest.raises(ValueError, match=r"^1 of 2 beats of a frame come out: the schedules do not "
                                         r"fit the frame$"):
        chain([step()], 1, 2)
    with pytest.raises(ValueError, match=r"^1: the schedules do not fit the frame$"):
        chain([step(), unit([1, 1], [0, 1])], 3, 1)


def test_refuses_streams_that_lead_nowhere():
    with pytest.raises(ValueError, match=r"^every stream is connected once: 0 has one that is "
                                         r"not$"):
        Flow([fork()], [Edge(None, 0, 0, 0), Edge(0, 0, None, 0)], 1, 1)


CHAINS = [
    # widths, folds, bits
    ((12, 8, 6), [(2, 3), (3, 4)], (1, 1, 1)),
    ((12, 8, 8, 4), [(4, 4), (2, 2), (1, 8)], (4, 2, 2)),
    ((6, 8, 4), [(8, 6), (4, 8)], (2, 3, 2)),
    ((10, 6, 6, 2), [(2, 5), (3, 3), (2, 1)], (1, 2, 2)),
    ((8, 16, 3), [(1, 8), (3, 4)], (3, 1, 1)),
]


@pytest.mark.parametrize("widths, folds, bits", CHAINS)
def test_every_transfer_of_the_gateware_is_in_the_cycle_computed(widths, folds, bits):
    made = plan(network(widths, folds, bits), GENERIC)
    frames = 4
    low, high = range_of(made.units[0].layer.i.shape)
    beats = np.random.default_rng(0).choice([low, high], (frames * made.beats_in, made.i_lanes))
    found = run_unit(assemble(made), beats.tolist(), frames * made.beats_out)
    expected = simulate(made.flow, made.depths, frames)
    assert (np.array(found.o_cycles) - found.i_cycles[0]).tolist() == (
        np.array(expected.transfers[-1]) - expected.first_in).tolist()


@pytest.mark.parametrize("widths, folds, bits", CHAINS)
def test_the_chain_runs_at_the_bound_of_its_slowest_unit(widths, folds, bits):
    made = plan(network(widths, folds, bits), GENERIC)
    assert made.timing.cycles == max(
        unit.component.ii for unit in made.units if unit.layer is not None)
