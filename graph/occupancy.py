"""Occupancy: the beats that a FIFO holds over a frame of the steady state."""

import numpy as np

__all__ = ["POINTS", "held_over_frame"]

POINTS = 400                             # parts of a frame, at the most


def held_over_frame(entered: np.ndarray, left: np.ndarray, cycles: int,
                    points: int = POINTS) -> list[int]:
    """Return the most beats that a FIFO holds in each part of a frame.

    In the steady state every beat has one like it ``cycles`` cycles later. So in cycle t there are

        sum over m of floor((t - E[m]) / cycles) - floor((t - X[m] - 1) / cycles)

    beats of all frames together: those that have entered, up to the cycle in which they leave.

    Parameters
    ----------
    entered, left : array of int
        E and X: of every beat of one frame the cycle in which it enters, and in which it leaves.
    cycles : int
        Cycles a frame; the frame begins in cycle 0, or any multiple of ``cycles``.
    points : int
        Parts of equal length, to a cycle; of a shorter frame every cycle is one.
    """
    starts = np.arange(points) * cycles // points if cycles > points else np.arange(cycles)
    gone = left + 1
    before = int(np.sum((-1 - entered) // cycles - (-1 - gone) // cycles))
    times = np.concatenate((gone % cycles, starts, entered % cycles))
    # In one cycle first those that have gone, then a part begins, then those that enter.
    changes = np.repeat([-1, 0, 1], [len(gone), len(starts), len(entered)])
    order = np.argsort(times, kind="stable")
    held = before + np.cumsum(changes[order])
    return np.maximum.reduceat(held, np.flatnonzero(changes[order] == 0)).tolist()
