"""Units that are schedules alone, and graphs of them."""

import numpy as np

from quinnoa.graph.timing import Edge, Flow
from quinnoa.rtl.schedule import Process, Schedule, Wait

__all__ = ["fork", "join", "random_flow", "ring", "step", "unit"]


def unit(takes, gives, *, latency=1, room=2):
    """Return a schedule of one process, of one stream on either side or several."""
    return Schedule(np.array(takes, bool), np.array(gives, bool), latency, room)


def step(*, latency=1, room=2, ways=(1, 1)):
    """Return the schedule of a unit that takes from all its inputs and gives to all its outputs."""
    return unit(np.ones((ways[0], 1)), np.ones((ways[1], 1)), latency=latency, room=room)


def fork(ways=2):
    """Return the schedule of a fork."""
    return step(ways=(1, ways))


def join(ways=2, *, latency=3, room=5):
    """Return the schedule of an add."""
    return step(ways=(ways, 1), latency=latency, room=room)


def ring(beats, kernel, *, delay=3, latency=4, room=6, slack=1):
    """Return the schedule of a 1-D window: ``beats`` in; ``kernel`` beats out for each of them.

    The window of beat j needs beats up to ``j + kernel // 2``; the ring holds ``slack`` beats more
    than a window.
    """
    out = np.arange(beats)
    need = np.minimum(out + kernel // 2 + 1, beats)
    reads = np.repeat(need, kernel)
    held = kernel + slack
    # The writer may overwrite beat j - held once no window needs it any more.
    frees = (np.arange(beats) - held + kernel - kernel // 2) * kernel
    writer = Process(np.ones((1, beats), bool), np.zeros((1, beats), bool),
                     (Wait(1, frees, 1),))
    reader = Process(np.zeros((1, beats * kernel), bool), np.ones((1, beats * kernel), bool),
                     (Wait(0, reads, delay),))
    return Schedule(np.zeros(0, bool), np.zeros(0, bool), latency, room, (writer, reader))


def _random_unit(rng, beats):
    """Return a unit that takes ``beats`` a frame, and the beats that it gives."""
    kind = rng.integers(4)
    if kind == 0:
        kernel = int(rng.integers(1, 5))
        return ring(beats, kernel, slack=int(rng.integers(0, 4)),
                    delay=int(rng.integers(1, 5))), beats * kernel
    if kind == 1:
        return step(latency=int(rng.integers(1, 6)), room=int(rng.integers(1, 6))), beats
    takes = int(rng.choice([d for d in range(1, beats + 1) if beats % d == 0]))
    gives = int(rng.integers(1, 5))
    steps = max(takes, gives) + int(rng.integers(0, 4))
    pattern = [np.isin(np.arange(steps), rng.choice(steps, n, replace=False))
               for n in (takes, gives)]
    # It gives last, so that a frame alone comes through.
    pattern[1] = np.sort(pattern[1])
    return unit(*pattern, latency=int(rng.integers(1, 8)), room=int(rng.integers(1, 7))), (
        beats // takes * gives)


def random_flow(seed, *, units=6, beats=12):
    """Return a random graph: a chain, in which a unit may have a branch around it."""
    rng = np.random.default_rng(seed)
    schedules, edges = [], []
    before, beats_in = (None, 0), int(rng.integers(1, beats + 1))
    beats = beats_in
    while len(schedules) < units:
        here = len(schedules)
        if rng.integers(3) == 0:
            # fork, a window and its sums on the one branch, add
            kernel = int(rng.integers(1, 4))
            long = [ring(beats, kernel, slack=int(rng.integers(0, 3))),
                    unit([1] * kernel, [0] * (kernel - 1) + [1], latency=int(rng.integers(1, 6)),
                         room=int(rng.integers(1, 5)))]
            schedules += [fork(), *long, join()]
            edges += [Edge(*before, here, 0), Edge(here, 0, here + 1, 0),
                      Edge(here + 1, 0, here + 2, 0), Edge(here + 2, 0, here + 3, 0),
                      Edge(here, 1, here + 3, 1)]
        else:
            schedule, beats = _random_unit(rng, beats)
            schedules.append(schedule)
            edges.append(Edge(*before, here, 0))
        before = (len(schedules) - 1, 0)
    edges.append(Edge(*before, None, 0))
    return Flow(schedules, edges, beats_in, beats)
