"""FIFO depths: the smallest with which a graph of units runs at its bound."""

from collections.abc import Sequence
from math import ceil

from .engine import ENDLESS
from .steady import Timer, Timing
from .timing import Flow

__all__ = ["size_fifos"]


def size_fifos(flow: Flow, widths: Sequence[int]) -> tuple[list[int], Timing]:
    """Return the least depth of the FIFO in every edge, and the timing with them.

    First all are endless: then nothing ever waits for room, the graph is as fast as it can be and
    a first frame as early, and what the FIFOs hold is ample. Then each in turn, the largest first,
    is made as small as those cycles and that latency allow. In a marked graph a larger FIFO never
    delays anything, so one that may be small may be larger: bisection finds each one's least, and
    groups of them go at one trial.

    Parameters
    ----------
    flow : Flow
    widths : sequence of int
        Bits of a beat of every edge.
    """
    timer = Timer(flow)
    inner = [k for k, edge in enumerate(flow.edges)
             if edge.source is not None and edge.target is not None]
    depths = [0] * len(flow.edges)
    ample, cycles, latency = _ample(timer, inner)
    if timer.reaches(depths, cycles, latency):
        return depths, timer.timing(depths)
    for k in inner:
        depths[k] = ample[k]
    order = sorted(inner, key=lambda k: (-ample[k] * widths[k], k))
    for k in _needed(timer, depths, order, cycles, latency):
        depths[k] = _least(timer, depths, k, cycles, latency)
    return depths, timer.timing(depths)


def _ample(timer: Timer, inner: Sequence[int]) -> tuple[list[int], int, int]:
    """Return depths that never hold anything up; cycles a frame and latency with them."""
    flow = timer.flow
    endless = [0] * len(flow.edges)
    for k in inner:
        endless[k] = ENDLESS
    first = timer.start(endless)
    first.go(1)
    latency = int(first.o_ends[0]) - first.first_in
    cycles = flow.bound
    while True:
        run = timer.start(endless, pace=cycles)
        run.go(4 + ceil(latency / cycles))
        # A unit that waits for itself can be slower than its steps.
        slowest = int((run.ends[-1] - run.ends[-2]).max())
        if slowest <= cycles:
            break
        cycles = slowest
    # 1 is no depth of a FIFO.
    return [max(2, most) if most else 0 for most in run.occupancy], cycles, latency


def _needed(timer: Timer, depths: list[int], order: list[int], cycles: int,
            latency: int) -> list[int]:
    """Take away every FIFO that can go, in order; return those that cannot.

    Half of them at a trial, and of halves that cannot go the halves.
    """
    if not order:
        return []
    trial = list(depths)
    for k in order:
        trial[k] = 0
    if trial == depths or timer.reaches(trial, cycles, latency):
        depths[:] = trial
        return []
    if len(order) == 1:
        return order
    half = len(order) // 2
    return [*_needed(timer, depths, order[:half], cycles, latency),
            *_needed(timer, depths, order[half:], cycles, latency)]


def _least(timer: Timer, depths: list[int], k: int, cycles: int, latency: int) -> int:
    """Return the least depth of one FIFO, all others as they are; 0 is known to be too small."""
    low, high = 2, depths[k]
    while low < high:
        middle = (low + high) // 2
        if timer.reaches([*depths[:k], middle, *depths[k + 1:]], cycles, latency):
            high = middle
        else:
            low = middle + 1
    return low
