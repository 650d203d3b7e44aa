"""Tests of sim/predict.py."""

import numpy as np

from quinnoa.rtl.schedule import Process, Schedule, Wait
from quinnoa.sim.predict import schedule_cycles, schedule_streams

NONE, BOTH = np.zeros((1, 2), bool), np.ones((1, 2), bool)


def two_processes():
    """Return a unit that keeps two beats: one process takes them, the other gives both twice."""
    writer = Process(BOTH, NONE, waits=(
        # The last time that each beat of the period before is read.
        Wait(process=1, counts=np.array([3, 4]) - 4, delay=1),))
    reader = Process(np.zeros((1, 4), bool), np.ones((1, 4), bool), waits=(
        Wait(process=0, counts=np.array([1, 2, 2, 2]), delay=2),))
    return Schedule(NONE, NONE, latency=3, room=9, processes=(writer, reader))


def test_processes_wait_for_one_another():
    i_cycles, o_cycles = schedule_cycles(two_processes(), [0, 1, 2, 3, 4], [], 10)
    # Reads are in cycles 2 to 5, and again from 7 on; beats 2 and 3 take the places read in 4, 5.
    assert i_cycles == [0, 1, 5, 6, 10]
    assert o_cycles == [5, 6, 7, 8, 10, 11, 12, 13, 15]


def test_a_process_waits_for_credits_alone():
    schedule = two_processes()
    schedule = Schedule(NONE, NONE, latency=3, room=2, processes=schedule.processes)
    i_cycles, o_cycles = schedule_cycles(schedule, [0, 0, 0], [False] * 20, 8)
    # Credits come back in 20 and 21: so the first beat is read for the last time in 21.
    assert i_cycles == [0, 1, 22]
    assert o_cycles == [20, 21, 24, 25, 28]


def test_a_step_takes_from_all_its_inputs_and_waits_for_all_its_outputs():
    # Step 0 takes from both and gives to the second; step 1 takes from the first, gives to both.
    schedule = Schedule(np.array([[1, 1], [1, 0]], bool), np.array([[0, 1], [1, 1]], bool),
                        latency=1, room=1)
    i_cycles, o_cycles = schedule_streams(
        schedule, [[0, 0, 5, 6], [3, 4]], [[False] * 8, []], [2, 4])
    assert i_cycles == [[3, 5, 7, 9], [3, 7]]
    assert o_cycles == [[8, 10], [4, 6, 8, 10]]


def test_it_ends_where_nothing_can_move():
    schedule = Schedule(np.ones((2, 1), bool), np.ones((1, 1), bool), latency=2, room=3)
    assert schedule_streams(schedule, [[0, 1], [4]], [[]], [2]) == ([[4], [4]], [[6]])
