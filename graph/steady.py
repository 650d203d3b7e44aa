"""Steady state: cycles a frame and latency of a graph of units with given FIFOs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil

import numpy as np

from quinnoa.errors import QuinnoaError
from quinnoa.native import has_compiler

from .engine import ENDLESS, MOST_FRAMES, TURNS, Program, Simulation
from .occupancy import held_over_frame
from .timing import Flow, Run, simulate

__all__ = ["Plain", "Timer", "Timing", "deepest", "first_latency"]

# Up to so many beats a frame the definition itself is fast enough to do without a compiler.
SMALL = 1000
# Frames in a row that come late before a trial is given up.
PATIENCE = 4
# FIFOs that are watched over a frame.
MOST_FIFOS = 24


@dataclass(frozen=True)
class Timing:
    """Timing of a graph.

    Attributes
    ----------
    cycles : int
        Cycles a frame in the steady state (rounded up, should frames take turns).
    latency : int
        Cycles from the first beat taken to the last beat given, of a first frame on its own.
    utilisation : tuple of float
        Of every unit the share of the cycles in which its busiest process does a step.
    occupancy : tuple of int
        Of every edge the beats that its FIFO held at the most.
    over_frame : dict of int to list of int
        Of the edges with the deepest FIFOs the most beats held in each part of a frame that is
        offered at its beginning: ``held_over_frame``.
    """

    cycles: int
    latency: int
    utilisation: tuple[float, ...] = ()
    occupancy: tuple[int, ...] = ()
    over_frame: dict[int, list[int]] = field(default_factory=dict)


class Plain:
    """What ``Simulation`` is, by the definition: small graphs need no compiler."""

    def __init__(self, flow: Flow, depths: Sequence[int], pace: int,
                 fifo_delay: int | None) -> None:
        # What never fills holds all there is.
        most = MOST_FRAMES * max(flow.beats)
        self._memory = _memory(flow, depths)
        self._flow, self._pace, self._fifo_delay = flow, pace, fifo_delay
        self._depths = [most if depth == ENDLESS else depth for depth in depths]
        self._run: Run | None = None
        self._done = self._frames = 0

    def go(self, frames: int) -> None:
        """Go on until so many frames are done."""
        if frames > self._done:
            self._done = max(frames, 2 * self._done, 4)
            self._run = simulate(self._flow, self._depths, self._done, pace=self._pace,
                                 fifo_delay=self._fifo_delay)
        self._frames = frames

    def period(self, turns: int) -> int:
        """Return the cycles after which ``turns`` frames repeat, certainly; 0 if they do not yet.

        As many frames as anything can depend on must be alike to those so many before them, in all
        distances between events, all shifted alike.
        """
        memory, ends, marks = self._memory, self.ends, self.marks
        if len(ends) < memory + turns + 1:      # the first frame begins in its own way
            return 0
        if not np.array_equal(marks[-memory:], marks[-memory - turns:-turns]):
            return 0
        shift = ends[-memory:] - ends[-memory - turns:-turns]
        return int(shift[0, 0]) if np.all(shift == shift[0, 0]) else 0

    @property
    def beats(self) -> int:
        """Transfers so far, of all streams."""
        return self._done * sum(self._flow.beats)

    def watch(self, edges: Sequence[int]) -> None:
        """Nothing need be said before: every transfer is kept."""

    def watched(self, edges: Sequence[int], cycles: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return of FIFOs the cycles in which the beats of the last frame entered, and left."""
        assert self._run is not None
        frame = [slice((self._frames - 1) * beats, self._frames * beats)
                 for beats in self._flow.beats]
        return [(np.array(self._run.entries[k][frame[k]]),
                 np.array(self._run.transfers[k][frame[k]])) for k in edges]

    def __getattr__(self, name: str):
        found = getattr(self._run, name)
        return found[:self._frames] if isinstance(found, np.ndarray) else found


class Timer:
    """Times a graph with any FIFOs.

    Cycles a frame are certain, not extrapolated: in a marked graph the cycles of a frame's events
    are a function of those of the few frames before it. Once these are alike but for a shift, so
    are all that follow: ``period`` tells.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.beats = 0                  # transfers that were simulated
        self.program: Program | None = None
        waits = any(process.waits for _, process in flow.processes)
        if (waits or sum(flow.beats) > SMALL) and has_compiler():
            self.program = Program(flow)

    def start(self, depths: Sequence[int], *, pace: int = 0,
              fifo_delay: int | None = None) -> Simulation | Plain:
        """Return a simulation at its start; see ``Simulation``."""
        if self.program is None:
            return Plain(self.flow, depths, pace, fifo_delay)
        return Simulation(self.program, depths, pace=pace, fifo_delay=fifo_delay)

    @cached_property
    def backwards(self) -> Program | None:
        """The program for time that runs backwards."""
        return self.program and self.program.reversed()

    def settle(self, depths: Sequence[int], cycles: int, latency: int | None = None,
               fifo_delay: int | None = None, whole: bool = True,
               run: Simulation | Plain | None = None) -> Simulation | Plain | None:
        """Run until frames go through every ``cycles`` cycles; None if they never do.

        ``cycles`` must be no less than the bound. The input offers a frame every ``cycles`` cycles:
        what keeps up with that is as fast when the input always offers. The first frame must go
        through within ``latency``; if not ``whole``, no more than that is asked. ``run`` is one
        with all this that has begun.
        """
        before = run.beats if run else 0
        run = run or self.start(depths, pace=cycles, fifo_delay=fifo_delay)
        settles = self._settles(run, cycles, latency, whole)
        self.beats += run.beats - before
        return run if settles else None

    def _settles(self, run: Simulation | Plain, cycles: int, latency: int | None,
                 whole: bool) -> bool:
        """Go on until frames go through every ``cycles`` cycles; tell whether they ever do."""
        late = 0
        for frames in range(1, MOST_FRAMES + 1):
            try:
                run.go(frames)
            except QuinnoaError:
                return False
            if frames == 1:
                if latency is not None and first_latency(run) > latency:
                    return False
                if not whole:
                    return True
            if run.period(1) == cycles:
                return True
            if frames == 1:
                continue
            # A frame can be late while the first ones fill the graph, but not again and again.
            late = late + 1 if run.o_ends[-1] - run.o_ends[-2] > cycles else 0
            if late == PATIENCE:
                return False
        return False

    def timing(self, depths: Sequence[int]) -> Timing:
        """Return cycles a frame and latency; ``QuinnoaError`` where the graph stands still."""
        cycles = self.flow.bound
        run = self.settle(depths, cycles)
        if run is None:
            run = self.start(depths, pace=cycles)
            run.go(1)
            cycles = self._settled(depths)
        return self.told(run, cycles)

    def told(self, run: Simulation | Plain, cycles: int, depths: Sequence[int] = ()) -> Timing:
        """Return what a run that has settled tells, of the FIFOs of these depths, too."""
        fifos = deepest(depths)
        latency, occupancy = first_latency(run), tuple(run.occupancy)
        beats = run.watched(fifos, cycles) if fifos else []
        held = [held_over_frame(entered, left, cycles) for entered, left in beats]
        return Timing(cycles, latency, tuple(n / cycles for n in self.flow.steps), occupancy,
                      dict(zip(fifos, held, strict=True)))

    def _settled(self, depths: Sequence[int]) -> int:
        """Return the cycles a frame, the input always offering."""
        run = self.start(depths)
        for frames in range(1, MOST_FRAMES + 1):
            run.go(frames)
            for turns in range(1, TURNS + 1):
                if period := run.period(turns):
                    return ceil(period / turns)
        half = run.o_ends[len(run.o_ends) // 2:]
        return ceil((half[-1] - half[0]) / (len(half) - 1))


def deepest(depths: Sequence[int]) -> list[int]:
    """Return the edges with the deepest FIFOs, those that are watched over a frame."""
    return sorted((k for k, depth in enumerate(depths) if depth),
                  key=lambda k: (-depths[k], k))[:MOST_FIFOS]


def first_latency(run: Simulation | Plain) -> int:
    """Return the cycles from the first beat in to the last beat out of the first frame."""
    return int(run.o_ends[0]) - run.first_in


def _memory(flow: Flow, depths: Sequence[int]) -> int:
    """Return how many frames back anything in the graph can depend on."""
    back = [(flow.schedules[edge.source].room if edge.source is not None else 0) + max(depth, 0)
            for edge, depth in zip(flow.edges, depths, strict=True)]
    frames = [ceil(beats / frame) for beats, frame in zip(back, flow.beats, strict=True)]
    for unit, process in flow.processes:
        for wait in process.waits:
            other = flow.schedules[unit].processes[wait.process]
            frames.append(ceil(-int(wait.counts.min()) / other.period))
    return min(max(1, *frames), MOST_FRAMES // 2)
