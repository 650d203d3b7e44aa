"""FIFO depths: the smallest with which a graph of units runs at its bound."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from .engine import ENDLESS, Simulation
from .steady import Plain, Timer, Timing, deepest, first_latency
from .timing import Flow

__all__ = ["size_fifos"]

# Transfers that the search may simulate, a few seconds. What it has not come to then stays ample.
EFFORT = 600_000_000
# Frames over which cycles are averaged where a unit is slower than its steps.
FRAMES = 6


def size_fifos(flow: Flow, widths: Sequence[int], *,
               effort: int = EFFORT) -> tuple[list[int], Timing]:
    """Return the least depth of the FIFO in every edge, and the timing with them.

    From depths that are proven to be ample they go down to those below which no first frame can go
    through in time, many at one trial where that will do. Where it will not, each is made as small
    in turn, the largest first, as the latency of a first frame allows, and, should that not be
    enough, the cycles a frame. In a marked graph a larger FIFO never delays anything: so bisection
    finds each one's least.

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
    ample, cycles, latency = _ample(timer)
    order = sorted((k for k, depth in enumerate(ample) if depth),
                   key=lambda k: (-ample[k] * widths[k], k))
    for whole in (False, True):
        search = _Search(timer, ample, cycles, latency, effort, whole)
        search.remove(order)
        faster = True
        while faster:
            before = search.depths
            search.lower([k for k in order if before[k]])
            # One that comes to hold two beats takes a cycle less: then another may do with less.
            faster = any(depth == 2 < old for depth, old in
                         zip(search.depths, before, strict=True))
        if search.run is not None:
            search.run.watch(deepest(search.depths))
        run = timer.settle(search.depths, cycles, search.latency, run=search.run)
        if run is not None:
            break
    assert run is not None
    return search.depths, timer.told(run, cycles, search.depths)


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
    """The search for the least depths, as long as its effort lasts.

    Attributes
    ----------
    depths : list of int
        With these a first frame goes through within ``latency``, and, where the search has looked
        at ``whole`` trials, frames go through every ``cycles`` cycles.
    least : list of int
        Where ``depths`` are no larger than now, one that is smaller will not do; 0 where the FIFO
        may have to go.
    """

    def __init__(self, timer: Timer, depths: list[int], cycles: int, latency: int, effort: int,
                 whole: bool) -> None:
        self._timer, self._cycles, self._whole = timer, cycles, whole
        self._until = timer.beats + effort
        self.depths, self.latency = list(depths), latency
        self._delays = [0] * len(depths)    # cycles that a beat is in each FIFO at the least
        self.least = [0] * len(depths)
        self._stale = True
        self.run: Simulation | Plain | None = None      # with these depths

    def _do(self, depths: Sequence[int]) -> bool:
        """Tell whether depths do, and keep them if so; never, once no effort is left."""
        if self._timer.beats >= self._until:
            return False
        run = self._timer.settle(depths, self._cycles, self.latency, whole=self._whole)
        if run is not None:
            self.depths, self.run, self._stale = list(depths), run, True
        return run is not None

    def remove(self, order: list[int]) -> None:
        """Take away every FIFO that can go, in order; let others hold two beats where that will do.

        Either takes less time then: the sooner this is known, the better the bounds of all others.
        """
        self._bound()
        unsure = [k for k in order if not self.least[k]]
        self._set(unsure, 0)
        for k in unsure:
            self._delays[k], self._stale = min(self.depths[k], 1), True
        if self._stale:
            self._bound()
        self._set([k for k in order if self.depths[k] > self.least[k] == 2], 2)

    def _set(self, order: list[int], to: int) -> None:
        """Give all of them this depth at a trial, or else one half and then the other."""
        if not order or self._do([to if k in order else depth
                                  for k, depth in enumerate(self.depths)]) or len(order) == 1:
            return
        half = len(order) // 2
        self._set(order[:half], to)
        self._set(order[half:], to)

    def lower(self, order: list[int]) -> None:
        """Make every FIFO the least that does: all at a trial, or one half and then the other."""
        if self._stale:
            self._bound()
        order = [k for k in order if self.depths[k] > self.least[k]]
        if not order or self._do([self.least[k] if k in order else depth
                                  for k, depth in enumerate(self.depths)]):
            return
        if len(order) == 1:
            self._shrink(order[0])
            return
        half = len(order) // 2
        self.lower(order[:half])
        self.lower(order[half:])

    def _shrink(self, k: int) -> None:
        """Make one FIFO the least that does, all others as they are."""
        low, step = self.least[k] + 1, 1
        # Most are at their least, or near it: farther and farther down, and then between.
        while low < self.depths[k]:
            depth = max(low, self.depths[k] - step)
            if not self._do([*self.depths[:k], depth, *self.depths[k + 1:]]):
                low = depth + 1
                break
            step *= 2
        while low < self.depths[k]:
            middle = (low + self.depths[k]) // 2
            if not self._do([*self.depths[:k], middle, *self.depths[k + 1:]]):
                low = middle + 1

    def _bound(self) -> None:
        """Find below which depth of a FIFO no first frame goes through in time.

        In time is what the depths now need: latency that was gained is not given back. So nothing
        is left to spare, and at the least depths the bounds tell that they are.

        Smaller FIFOs make nothing earlier than it is with these, and what is later than the latest
        that still lets the last beat out in time is too late. So, of the earliest transfers X and
        the latest steps S that give, a FIFO is needed unless

            S[m] >= X[m - room] + 1,    and one is deep enough only if
            S[m] >= X[m - room - depth] + 2.

        Beats take no time through a FIFO of which it is not known that it is needed, and two
        cycles where it must hold three or more: then less time is left, and others may be deeper.
        """
        if self.run is not None:
            self.latency = first_latency(self.run)
        wanted = [k for k, depth in enumerate(self.depths) if depth]
        before: list[int] = []
        rooms = _rooms(self._timer.flow)
        while self._timer.backwards is not None and wanted and self._delays != before:
            before = self._delays
            earliest, latest = (
                Simulation(program, self.depths, fifo_delay=before, probes=wanted, bare=True)
                for program in (self._timer.program, self._timer.backwards) if program)
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda run: run.go(1), (earliest, latest)))
            end = earliest.first_in + self.latency
            for k, room in ((k, rooms[k]) for k in wanted):
                if before[k] or earliest.room(latest, k, end, 1) > room:
                    self.least[k] = max(2, earliest.room(latest, k, end, 2) - room)
            self._delays = [max(delay, min(least, 3) - 1)
                            for delay, least in zip(before, self.least, strict=True)]
        self.least = [max(least, delay + 1) if delay else 0
                      for least, delay in zip(self.least, self._delays, strict=True)]
        self._stale = False
