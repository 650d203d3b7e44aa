"""FIFO depths: the smallest with which a graph of units runs at its bound."""

from collections.abc import Sequence

from .engine import ENDLESS, Simulation
from .steady import Plain, Timer, Timing, first_latency
from .timing import Flow

__all__ = ["size_fifos"]

# Transfers that the search may simulate, a few seconds. What it has not come to then stays ample.
EFFORT = 60_000_000
# Frames over which cycles are averaged where a unit is slower than its steps.
FRAMES = 6


def size_fifos(flow: Flow, widths: Sequence[int], *,
               effort: int = EFFORT) -> tuple[list[int], Timing]:
    """Return the least depth of the FIFO in every edge, and the timing with them.

    From depths that are proven to be ample each is made as small in turn, the largest first, as
    the cycles a frame and the latency of a first frame allow. In a marked graph a larger FIFO never
    delays anything: so bisection finds each one's least.

    Parameters
    ----------
    flow : Flow
    widths : sequence of int
        Bits of a beat of every edge.
    effort : int
        Transfers that the search may simulate. It ends before, at the smallest depths, for all
        but the largest graphs.
    """
    timer = Timer(flow)
    depths, cycles, latency = _ample(timer)
    order = sorted((k for k, depth in enumerate(depths) if depth),
                   key=lambda k: (-depths[k] * widths[k], k))
    search = _Search(timer, cycles, effort)
    needed = search.needed(depths, order, latency)
    if len(needed) < len(order):
        # A FIFO that goes takes its own latency with it.
        latency = timer.timing(depths, cycles).latency
    for k in needed:
        search.shrink(depths, k, latency)
    return depths, timer.timing(depths, cycles)


def _ample(timer: Timer) -> tuple[list[int], int, int]:
    """Return depths that are ample; the cycles a frame and the latency that they allow.

    First every edge has a FIFO that never fills and takes no time: nothing waits for room, the
    graph is as fast as can be. There, an edge needs no FIFO if the unit's own room would have done,

        S[m] >= X[m - room] + 1    of the steps S that give and the transfers X.

    Then only the other edges have one, that takes its time. A depth is ample if the cycles found
    there are a schedule with it: a marked graph on its own is never later than any. The beats that
    a FIFO holds come in by max(S[m] + latency, X[m - depth] + 1), which is early enough if

        S[m] >= X[m - room - depth] + 2.
    """
    edges = timer.flow.edges
    endless = [0 if edge.source is None or edge.target is None else ENDLESS for edge in edges]
    cycles, fastest = _fastest(timer, endless)
    wanted = [depth if beats > room else 0 for depth, beats, room in
              zip(endless, fastest.outstanding(0), _rooms(timer.flow), strict=True)]
    run = timer.settle(wanted, cycles)
    if run is None:
        wanted, run = endless, timer.settle(endless, cycles)
    assert run is not None
    depths = [0 if not depth or now <= room else max(2, after - room)
              for depth, now, after, room in zip(wanted, run.outstanding(0), run.outstanding(1),
                                                 _rooms(timer.flow), strict=True)]
    return depths, cycles, first_latency(run)


def _rooms(flow: Flow) -> list[int]:
    """Return the room of the unit behind every edge."""
    return [0 if edge.source is None else flow.schedules[edge.source].room for edge in flow.edges]


def _fastest(timer: Timer, depths: list[int]) -> tuple[int, Simulation | Plain]:
    """Return the cycles a frame with FIFOs that never hold anything up, and a run at that pace."""
    cycles = timer.flow.bound
    while (run := timer.settle(depths, cycles, fifo_delay=0)) is None:
        # A unit that waits for itself is slower than its steps.
        slow = timer.start(depths, pace=cycles, fifo_delay=0)
        slow.go(2 * FRAMES)
        cycles = max(cycles + 1, int((slow.ends[-1] - slow.ends[FRAMES - 1]).max()) // FRAMES)
    return cycles, run


class _Search:
    """The search for smaller depths that do as well, as long as its effort lasts."""

    def __init__(self, timer: Timer, cycles: int, effort: int) -> None:
        self._timer, self._cycles, self._until = timer, cycles, timer.beats + effort

    def do(self, depths: Sequence[int], latency: int) -> bool:
        """Tell whether depths do; never, once no effort is left."""
        return (self._timer.beats < self._until
                and self._timer.settle(depths, self._cycles, latency) is not None)

    def needed(self, depths: list[int], order: list[int], latency: int) -> list[int]:
        """Take away every FIFO that can go, in order; return those that cannot.

        All of them at a trial, or else one half and then the other.
        """
        if not order:
            return []
        trial = list(depths)
        for k in order:
            trial[k] = 0
        if self.do(trial, latency):
            depths[:] = trial
            return []
        if len(order) == 1:
            return order
        half = len(order) // 2
        return [*self.needed(depths, order[:half], latency),
                *self.needed(depths, order[half:], latency)]

    def shrink(self, depths: list[int], k: int, latency: int) -> None:
        """Make one FIFO, which cannot go, the least that does, all others as they are."""
        def does(depth: int) -> bool:
            return self.do([*depths[:k], depth, *depths[k + 1:]], latency)

        # Most are at their least, or near it: farther and farther down, and then between.
        low, high, step = 2, depths[k], 1
        while low < high and does(max(low, high - step)):
            high, step = max(low, high - step), 2 * step
        low = max(low, high - step + 1)
        while low < high:
            middle = (low + high) // 2
            if does(middle):
                high = middle
            else:
                low = middle + 1
        depths[k] = high
