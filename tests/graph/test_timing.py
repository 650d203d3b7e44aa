# amaranth: UnusedElaboratable=no
"""Tests of graph/timing.py: what it computes is what the gateware does, in every cycle."""

import numpy as np
import pytest

from benchmarks.topologies import network
from quinnoa.graph.timing import Buffer, simulate_chain, steady_state
from quinnoa.graph.units import plan_chain
from quinnoa.rtl.chain import Chain
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.fifo import FIFO, fifo_latency
from quinnoa.rtl.schedule import Schedule
from quinnoa.rtl.shapes import range_of
from quinnoa.sim.streams import run_unit


class Unit:
    """A unit by its schedule alone."""

    def __init__(self, takes, gives, latency=1, room=2):
        self.schedule = Schedule(np.array(takes, bool), np.array(gives, bool), latency, room)


def test_one_unit_by_hand():
    # Takes in step 0, gives in step 2, a period of 3: beats leave in cycles 2 + 4, then every 3.
    unit = Unit([1, 0, 0], [0, 0, 1], latency=4, room=3)
    assert simulate_chain([unit], 3) == ([6, 9, 12], 0)
    timing = steady_state([unit], 1, 1)
    assert (timing.cycles, timing.latency) == (3, 6)


def test_a_unit_waits_for_the_credit_of_a_beat_that_is_not_taken():
    # The slow one takes every 5 cycles; the fast one in front has room for 2 beats and no more.
    fast, slow = Unit([1], [1], latency=1, room=2), Unit([1, 0, 0, 0, 0], [0, 0, 0, 0, 1])
    cycles, _ = simulate_chain([fast, slow], 4)
    assert np.diff(cycles).tolist() == [5, 5, 5]


def test_a_buffer_decouples_bursts():
    # Bursts of 4 in 8 cycles into one that takes a beat every 2 cycles.
    burst = Unit([1] + [0] * 7, [0] * 4 + [1] * 4, room=2)
    even = Unit([1, 0], [0, 1], room=3)
    assert steady_state([burst, even], 1, 4).cycles == 9
    assert steady_state([burst, Buffer(2), even], 1, 4).cycles == 8


def test_refuses_schedules_that_do_not_fit_the_frame():
    with pytest.raises(ValueError, match=r"^1 of 2 beats of the first frame came out: the "
                                         r"schedules do not fit the frame$"):
        steady_state([Unit([1], [1])], 1, 2)


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
    plan = plan_chain(network(widths, folds, bits), GENERIC)
    frames = 4
    chain = Chain(*(unit.component for unit in plan.units), names=[u.name for u in plan.units])
    low, high = range_of(plan.units[0].layer.i.shape)
    beats = np.random.default_rng(0).choice([low, high], (frames * plan.beats_in, plan.i_lanes))
    run = run_unit(chain, beats.tolist(), frames * plan.beats_out)
    parts = [Buffer(unit.component.depth, fifo_latency(unit.component.depth))
             if isinstance(unit.component, FIFO) else unit.component for unit in plan.units]
    cycles, first = simulate_chain(parts, frames * plan.beats_in)
    assert (np.array(run.o_cycles) - run.i_cycles[0]).tolist() == (
        np.array(cycles) - first).tolist()


@pytest.mark.parametrize("widths, folds, bits", CHAINS)
def test_the_chain_runs_at_the_bound_of_its_slowest_unit(widths, folds, bits):
    plan = plan_chain(network(widths, folds, bits), GENERIC)
    assert plan.timing.cycles == max(
        unit.component.ii for unit in plan.units if unit.layer is not None)
