"""Tests of graph/engine.py: the native engine computes what timing.py defines."""

import numpy as np
import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.graph.engine import ENDLESS, Program, Simulation
from quinnoa.graph.timing import Edge, Flow, simulate
from tests.flows import fork, join, random_flow, unit


@pytest.mark.parametrize("seed", range(60))
def test_equals_the_definition_in_every_transfer(seed):
    flow = random_flow(seed)
    rng = np.random.default_rng(seed)
    depths = [0 if rng.integers(2) else int(rng.integers(2, 40)) for _ in flow.edges]
    depths[0] = depths[-1] = 0
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
        assert run.transfers(k).tolist() == expected.transfers[k]
        assert run.entries(k).tolist() == expected.entries[k]
    assert run.first_in == expected.first_in
    assert run.occupancy == expected.occupancy
    np.testing.assert_array_equal(run.o_ends, expected.o_ends)
    np.testing.assert_array_equal(run.ends, expected.ends)


@pytest.mark.parametrize("seed", range(10))
def test_a_fifo_that_never_fills_is_one_deep_enough(seed):
    flow = random_flow(seed)
    endless = Simulation(Program(flow), [0, *[ENDLESS] * (len(flow.edges) - 2), 0], pace=flow.bound)
    endless.go(4)
    deep = Simulation(Program(flow), [0, *[1000] * (len(flow.edges) - 2), 0], pace=flow.bound)
    deep.go(4)
    np.testing.assert_array_equal(endless.ends, deep.ends)
    inner = slice(1, len(flow.edges) - 1)
    expected = simulate(flow, [0, *[1000] * (len(flow.edges) - 2), 0], 4, pace=flow.bound)
    for after in (0, 1):
        assert endless.outstanding(after)[inner] == expected.outstanding(after)[inner]


def test_a_fifo_that_never_fills_holds_whatever_it_must():
    # All beats of a frame are there before the first sum is.
    beats = 5000
    flow = Flow([fork(), unit([1] * beats + [0] * beats, [0] * beats + [1] * beats), join()],
                [Edge(None, 0, 0, 0), Edge(0, 0, 1, 0), Edge(0, 1, 2, 1), Edge(1, 0, 2, 0),
                 Edge(2, 0, None, 0)], beats, beats)
    run = Simulation(Program(flow), [0, ENDLESS, ENDLESS, ENDLESS, 0], probes=range(5))
    run.go(2)
    expected = simulate(flow, [0, *[3 * beats] * 3, 0], 2)
    for k in range(5):
        assert run.transfers(k).tolist() == expected.transfers[k]
        assert run.entries(k).tolist() == expected.entries[k]
    assert run.outstanding(0)[2] == expected.outstanding(0)[2] > beats


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("always", [False, True])
def test_what_repeats_does_so_for_ever(seed, always):
    flow = random_flow(seed)
    depths = [0, *[9] * (len(flow.edges) - 2), 0]
    run = Simulation(Program(flow), depths, pace=0 if always else flow.bound + 1)
    frames = turns = cycles = 0
    while not cycles:
        frames += 1
        run.go(frames)
        turns = next((turns for turns in range(1, 9) if run.period(turns)), 0)
        cycles = run.period(turns)
        assert frames < 60
    ends = simulate(flow, depths, frames + 12, pace=0 if always else flow.bound + 1).ends
    np.testing.assert_array_equal(ends[frames:], ends[frames - turns:-turns] + cycles)
    assert cycles >= turns * flow.bound


@pytest.mark.parametrize("seed", range(20))
def test_rooms_compare_two_runs_beat_by_beat(seed):
    flow = random_flow(seed)
    depths = [0, *[50] * (len(flow.edges) - 2), 0]
    edges = range(1, len(flow.edges) - 1)
    forwards = Simulation(Program(flow), depths, probes=edges, bare=True)
    backwards = Simulation(Program(flow).reversed(), depths, probes=edges, bare=True)
    forwards.go(1)
    backwards.go(1)
    end = forwards.o_ends[0]
    for k in edges:
        taken, given = forwards.transfers(k), end - backwards.transfers(k)[::-1]
        for back in (1, 2):
            room = forwards.room(backwards, k, end, back)
            assert np.all(given[room:] >= taken[:len(taken) - room] + back)
            assert room == 0 or np.any(given[room - 1:] < taken[:len(taken) - room + 1] + back)


def test_units_of_many_streams_do_as_others():
    ways = 5
    flow = Flow([fork(ways), join(ways), unit([1, 0, 0], [0, 0, 1])],
                [Edge(None, 0, 0, 0), *(Edge(0, k, 1, k) for k in range(ways)), Edge(1, 0, 2, 0),
                 Edge(2, 0, None, 0)], 40, 40)
    depths = [0, 2, 0, 7, 0, 3, 0, 0]
    run = Simulation(Program(flow), depths, probes=range(len(depths)))
    run.go(3)
    expected = simulate(flow, depths, 3)
    for k in range(len(depths)):
        assert run.transfers(k).tolist() == expected.transfers[k]
        assert run.entries(k).tolist() == expected.entries[k]


def test_backwards_by_hand():
    # Beats are there in cycles 1 to 4, taken in 1, 4, 6 and 9, and leave in 4 + 5 = 9 and 9 + 5.
    # Each but the first could be given later, as late as it is taken less a cycle.
    flow = Flow([unit([1], [1], room=4), unit([1, 0, 0, 1, 0], [0, 0, 0, 1, 0], latency=5)],
                [Edge(None, 0, 0, 0), Edge(0, 0, 1, 0), Edge(1, 0, None, 0)], 4, 2)
    forwards = Simulation(Program(flow), [0, 0, 0], probes=[1, 2])
    backwards = Simulation(Program(flow).reversed(), [0, 0, 0], probes=[1, 2])
    forwards.go(1)
    backwards.go(1)
    assert forwards.transfers(1).tolist() == [1, 4, 6, 9]
    assert forwards.transfers(2).tolist() == [9, 14] and backwards.o_ends.tolist()[0] == 14
    assert (14 - backwards.transfers(2)[::-1]).tolist() == [4, 9]
    assert (14 - backwards.transfers(1)[::-1]).tolist() == [0, 3, 5, 8]


@pytest.mark.parametrize("seed", range(30))
def test_backwards_a_frame_takes_no_longer_and_nothing_is_earlier(seed):
    flow = random_flow(seed)
    depths = [0, *[50] * (len(flow.edges) - 2), 0]
    edges = range(1, len(flow.edges) - 1)
    forwards = Simulation(Program(flow), depths, probes=edges)
    backwards = Simulation(Program(flow).reversed(), depths, probes=edges)
    forwards.go(1)
    backwards.go(1)
    steps = simulate(flow, depths, 1).offers
    # Not as long where what is late began before the first beat came in.
    assert 0 < backwards.o_ends[0] <= forwards.o_ends[0] - forwards.first_in
    for k in edges:
        # The latest steps that give, for a last beat out in the same cycle.
        latest = forwards.o_ends[0] - backwards.transfers(k)[::-1]
        assert np.all(latest >= steps[k])


def test_refuses_fifos_at_the_ends():
    flow = random_flow(0)
    with pytest.raises(ValueError, match=r"^there is no FIFO at the network's ends: depths are 2 "
                                         r"and 0$"):
        Simulation(Program(flow), [2] + [0] * (len(flow.edges) - 1))
