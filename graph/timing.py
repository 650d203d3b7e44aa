"""Timing of a graph of units: when every beat moves, from the schedules of its units alone.

The graph is a marked graph: the cycle of every transfer is a maximum of sums of earlier ones. So
the cycles computed here are those of the gateware, stalls included, and not an estimate.

This file is the definition, in plain Python; ``engine.py`` computes the same for large graphs.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple

import numpy as np

from quinnoa.errors import QuinnoaError
from quinnoa.rtl.fifo import fifo_latency
from quinnoa.rtl.schedule import Process, Schedule, Wait

__all__ = ["Edge", "Flow", "Run", "chain", "simulate", "stands_still"]


class Edge(NamedTuple):
    """A stream: from output ``o_port`` of unit ``source`` to input ``i_port`` of unit ``target``.

    Units count from 0. The network's own input has no source, its output no target.
    """

    source: int | None
    o_port: int
    target: int | None
    i_port: int


@dataclass(frozen=True, eq=False)
class Flow:
    """Units, by their schedules, and the streams between them.

    Parameters
    ----------
    schedules : sequence of Schedule
    edges : sequence of Edge
        Every port of every unit once; exactly one without a source, and one without a target.
    beats_in, beats_out : int
        Beats of one frame at the network's input and output.
    names : sequence of str
        Names of the units, for messages; "0", "1", … by default.
    """

    schedules: Sequence[Schedule]
    edges: Sequence[Edge]
    beats_in: int
    beats_out: int
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        assert self.beats                 # what does not fit is refused

    def name(self, unit: int) -> str:
        """Return the name of a unit."""
        return self.names[unit] if self.names else str(unit)

    def describe(self, edge: Edge) -> str:
        """Name a stream by its ends."""
        source = "the input" if edge.source is None else self.name(edge.source)
        target = "the output" if edge.target is None else self.name(edge.target)
        return f"{source} to {target}"

    @cached_property
    def processes(self) -> list[tuple[int, Process]]:
        """Every process, with the unit that it belongs to."""
        return [(unit, process) for unit, schedule in enumerate(self.schedules)
                for process in schedule.processes]

    @cached_property
    def first_process(self) -> list[int]:
        """The first process of every unit."""
        counts = [len(schedule.processes) for schedule in self.schedules]
        return [sum(counts[:unit]) for unit in range(len(counts))]

    @cached_property
    def ends(self) -> list[tuple[int | None, int | None]]:
        """Of every edge the process that gives to it and the one that takes from it."""
        givers = {(unit, port): p for p, (unit, process) in enumerate(self.processes)
                  for port in np.flatnonzero(process.gives.any(axis=1)).tolist()}
        takers = {(unit, port): p for p, (unit, process) in enumerate(self.processes)
                  for port in np.flatnonzero(process.takes.any(axis=1)).tolist()}
        ends = [(None if edge.source is None else givers.pop((edge.source, edge.o_port)),
                 None if edge.target is None else takers.pop((edge.target, edge.i_port)))
                for edge in self.edges]
        if givers or takers:
            loose = ", ".join(self.name(unit) for unit, _ in (*givers, *takers))
            raise ValueError(f"every stream is connected once: {loose} has one that is not")
        return ends

    @cached_property
    def periods(self) -> list[int]:
        """Periods of every process a frame."""
        links: list[list[tuple[int, Fraction]]] = [[] for _ in self.processes]
        known: dict[int, Fraction] = {}
        for edge, (giver, taker) in zip(self.edges, self.ends, strict=True):
            if taker is None:
                continue
            taken = int(self.processes[taker][1].takes[edge.i_port].sum())
            if giver is None:
                known[taker] = Fraction(self.beats_in, taken)
            else:
                ratio = Fraction(int(self.processes[giver][1].gives[edge.o_port].sum()), taken)
                links[giver].append((taker, ratio))
                links[taker].append((giver, 1 / ratio))
        for p, (unit, process) in enumerate(self.processes):
            for wait in process.waits:
                other = self.first_process[unit] + wait.process
                links[p].append((other, Fraction(1)))
                links[other].append((p, Fraction(1)))
        todo = list(known)
        while todo:
            p = todo.pop()
            for other, ratio in links[p]:
                if other not in known:
                    known[other] = known[p] * ratio
                    todo.append(other)
                elif known[other] != known[p] * ratio:
                    raise ValueError(f"{self.name(self.processes[other][0])}: the schedules do "
                                     "not fit the frame")
        for p, (unit, _) in enumerate(self.processes):
            if p not in known or known[p].denominator != 1:
                raise ValueError(f"{self.name(unit)}: the schedules do not fit the frame")
        return [int(known[p]) for p in range(len(self.processes))]

    @cached_property
    def beats(self) -> list[int]:
        """Beats of every edge a frame."""
        beats = []
        for edge, (giver, _) in zip(self.edges, self.ends, strict=True):
            beats.append(self.beats_in if giver is None else
                         int(self.processes[giver][1].gives[edge.o_port].sum())
                         * self.periods[giver])
            if edge.target is None and beats[-1] != self.beats_out:
                raise ValueError(f"{beats[-1]} of {self.beats_out} beats of a frame come out: "
                                 "the schedules do not fit the frame")
        return beats

    @cached_property
    def steps(self) -> list[int]:
        """Steps a frame of every unit's busiest process: its cycles a frame, if it never waits."""
        steps = [0] * len(self.schedules)
        for (unit, process), periods in zip(self.processes, self.periods, strict=True):
            steps[unit] = max(steps[unit], process.period * periods)
        return steps

    @property
    def bound(self) -> int:
        """Cycles a frame of the slowest unit: no graph is faster."""
        return max(self.steps)


def chain(schedules: Sequence[Schedule], beats_in: int, beats_out: int) -> Flow:
    """Return the flow of units end to end."""
    ends = [None, *range(len(schedules)), None]
    edges = [Edge(ends[k], 0, ends[k + 1], 0) for k in range(len(ends) - 1)]
    return Flow(schedules, edges, beats_in, beats_out)


@dataclass(frozen=True)
class Run:
    """What a simulation found.

    Attributes
    ----------
    transfers : list of list of int
        Of every edge the cycle of each beat's transfer, into the unit that it leads to.
    entries : list of list of int
        The same for the transfers out of the unit that it comes from: others where there is a FIFO.
    first_in : int
        Cycle in which the first beat is taken at the input.
    ends : array of int, (frames, processes)
        Cycle of the last event of each process in each frame.
    marks : array of int, (frames, processes)
        Alike where the distances between the events of a frame, and to the one before, are alike.
    o_ends : array of int, (frames,)
        Cycle in which each frame's last beat leaves the network.
    occupancy : list of int
        Of every edge the beats that its FIFO held at the most.
    offers : list of list of int
        Of every edge the cycle of the step that gave each beat.
    """

    transfers: list[list[int]] = field(repr=False)
    entries: list[list[int]] = field(repr=False)
    first_in: int
    ends: np.ndarray
    marks: np.ndarray
    o_ends: np.ndarray
    occupancy: list[int]
    offers: list[list[int]] = field(repr=False)

    def outstanding(self, after: int) -> list[int]:
        """Return of every edge the most beats between the step that gives and the transfer.

        A beat counts up to the cycle ``after`` that of its transfer: 0 or 1.
        """
        return [_most(offers, np.array(left, np.int64) + after)
                for offers, left in zip(self.offers, self.transfers, strict=True)]


def _most(entered: Sequence[int], left: np.ndarray) -> int:
    """Return the most beats inside, the one that leaves in that cycle included."""
    there = np.searchsorted(entered, left, side="right")
    return int((there - np.arange(len(left))).max(initial=0))


class _Link:
    """A stream while it is simulated.

    With S the cycle of the step that gave beat m and X that of its transfer

        offered[m] = S + latency,    a credit for beat m + room comes back in X[m] + 1

    and for a FIFO of ``depth`` beats in between

        entered[m] = max(offered[m], entered[m - 1] + 1, left[m - depth] + 1)
        held[m]    = entered[m] + latency of the FIFO
    """

    def __init__(self, schedule: Schedule | None, depth: int, fifo_delay: int) -> None:
        self.room = schedule.room if schedule else 0
        self.latency = schedule.latency if schedule else 0
        self.depth, self.fifo_delay = depth, fifo_delay
        self.offered: list[int] = []
        self.entered: list[int] = []
        self.left: list[int] = []
        self.held = self.offered
        if depth:
            self.held = []
        else:
            self.left = self.entered

    def pump(self) -> bool:
        """Let into the FIFO what is known to enter it; tell whether anything did."""
        before = len(self.entered)
        while self.depth and len(self.entered) < len(self.offered):
            m = len(self.entered)
            if m - self.depth >= len(self.left):
                break
            cycle = self.offered[m]
            if m:
                cycle = max(cycle, self.entered[m - 1] + 1)
            if m >= self.depth:
                cycle = max(cycle, self.left[m - self.depth] + 1)
            self.entered.append(cycle)
            self.held.append(cycle + self.fifo_delay)
        return len(self.entered) > before


class _Runner:
    """A process while it is simulated: ``cycles[k]`` is the cycle of its k-th event.

    An event is a step that takes, gives or waits; between events time just passes.
    """

    def __init__(self, process: Process, takes: list[_Link | None],
                 gives: list[_Link | None], base: int) -> None:
        busy = process.takes.any(axis=0) | process.gives.any(axis=0) | bool(process.waits)
        self.period, self.waits, self.base = process.period, process.waits, base
        self.steps = np.flatnonzero(busy).tolist() or [0]
        # The last event at or before each step; -1: the first ones are before any.
        self.event_of = (np.cumsum(busy) - 1).tolist() if busy.any() else [0] * self.period
        self.takes = [[link for link, does in zip(takes, process.takes[:, k], strict=True)
                       if does and link] for k in self.steps]
        self.gives = [[link for link, does in zip(gives, process.gives[:, k], strict=True)
                       if does and link] for k in self.steps]
        self.cycles: list[int] = []

    def cycle_of(self, step: int) -> int | None:
        """Return the cycle of a step, counted over all periods, if it is known."""
        events = len(self.steps)
        event = step // self.period * events + self.event_of[step % self.period]
        if event >= len(self.cycles):
            return None
        if event < 0:
            return step
        at = event // events * self.period + self.steps[event % events]
        return self.cycles[event] + step - at

    def run(self, runners: list["_Runner"], frames: int) -> bool:
        """Do all steps up to so many periods whose inputs are known; tell if there were any."""
        moved, events = False, len(self.steps)
        while len(self.cycles) < frames * events:
            lap, k = divmod(len(self.cycles), events)
            step = lap * self.period + self.steps[k]
            cycle = step
            if self.cycles:
                before = (lap - (k == 0)) * self.period + self.steps[k - 1]
                cycle = self.cycles[-1] + step - before
            for link in self.takes[k]:
                if len(link.left) == len(link.held):
                    return moved
                cycle = max(cycle, link.held[len(link.left)])
            for link in self.gives[k]:
                freed = len(link.offered) - link.room
                if freed >= len(link.entered):
                    return moved
                if freed >= 0:
                    cycle = max(cycle, link.entered[freed] + 1)
            for wait in self.waits:
                until = self._wait_over(wait, runners, lap, self.steps[k])
                if until is None:
                    return moved
                cycle = max(cycle, until)
            for link in self.takes[k]:
                link.left.append(cycle)
                link.pump()
            for link in self.gives[k]:
                link.offered.append(cycle + link.latency)
                link.pump()
            self.cycles.append(cycle)
            moved = True
        return moved

    def _wait_over(self, wait: Wait, runners: list["_Runner"], lap: int, step: int) -> int | None:
        """Return the first cycle that a wait allows; None if that is not known yet."""
        other = runners[self.base + wait.process]
        count = int(wait.counts[step]) + lap * other.period
        if count <= 0:
            return 0
        done = other.cycle_of(count - 1)
        return None if done is None else done + wait.delay


def simulate(flow: Flow, depths: Sequence[int], frames: int, *, pace: int = 0,
             fifo_delay: int | None = None) -> Run:
    """Run frames through the graph; return the cycle of every transfer.

    Parameters
    ----------
    flow : Flow
    depths : sequence of int
        Depth of the FIFO in every edge; 0 for none.
    frames : int
    pace : int
        Cycles a frame at which the input offers: the beats of frame n not before ``n * pace``.
    fifo_delay : int, optional
        Cycles from a beat's way into a FIFO to its offer; those of ``FIFO`` by default.

    Raises ``QuinnoaError`` where the graph comes to stand still, with the streams that do.
    """
    links = [_Link(None if edge.source is None else flow.schedules[edge.source], depth,
                   fifo_latency(depth) if fifo_delay is None else fifo_delay)
             for edge, depth in zip(flow.edges, depths, strict=True)]
    i_link = next(link for link, edge in zip(links, flow.edges, strict=True) if edge.source is None)
    i_link.offered += [n * pace for n in range(frames) for _ in range(flow.beats_in)]
    i_link.pump()
    o_link = next(link for link, edge in zip(links, flow.edges, strict=True) if edge.target is None)
    runners = []
    for p, (unit, process) in enumerate(flow.processes):
        takes: list[_Link | None] = [None] * process.takes.shape[0]
        gives: list[_Link | None] = [None] * process.gives.shape[0]
        for edge, link, (giver, taker) in zip(flow.edges, links, flow.ends, strict=True):
            if taker == p:
                takes[edge.i_port] = link
            if giver == p:
                gives[edge.o_port] = link
        runners.append(_Runner(process, takes, gives, flow.first_process[unit]))
    moved = True
    while moved:
        moved = False
        for runner, periods in zip(runners, flow.periods, strict=True):
            moved |= runner.run(runners, frames * periods)
        # The output is taken at once.
        o_link.left += o_link.held[len(o_link.left):]
        moved |= o_link.pump()
    still = [flow.describe(edge) for edge, link, beats in
             zip(flow.edges, links, flow.beats, strict=True) if len(link.left) < frames * beats]
    if still:
        raise stands_still(still)
    laps = [np.array(runner.cycles).reshape(frames, -1) for runner in runners]
    steps = [np.diff(lap.reshape(-1), prepend=0).reshape(frames, -1) for lap in laps]
    return Run(
        [link.left for link in links], [link.entered for link in links], i_link.left[0],
        np.stack([lap[:, -1] for lap in laps], axis=1),
        np.array([[hash(row.tobytes()) for row in step] for step in steps]).T,
        np.array(o_link.left[flow.beats_out - 1::flow.beats_out]),
        [_most(link.entered, np.array(link.left, np.int64)) if link.depth else 0
         for link in links],
        [[cycle - link.latency for cycle in link.offered] for link in links])


def stands_still(streams: list[str]) -> QuinnoaError:
    """Return the error of a graph that waits for itself."""
    return QuinnoaError(f"the graph comes to stand still: {', '.join(streams)} move no more")
