"""Timing of a chain: when every beat moves, from the schedules of its units alone.

The chain is a marked graph: the cycle of every transfer is a maximum of sums of earlier ones. So
the cycles computed here are those of the gateware, stalls included, and not an estimate.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Buffer", "ChainTiming", "Stage", "simulate_chain", "steady_state"]


@dataclass(frozen=True)
class Buffer:
    """A FIFO between two units: ``depth`` beats, offered ``latency`` cycles after they came."""

    depth: int
    latency: int = 1


@dataclass(frozen=True)
class ChainTiming:
    """Cycles of the chain's transfers.

    Attributes
    ----------
    cycles : int
        Cycles a frame in the steady state.
    latency : int
        Cycles from the first beat taken to the last beat offered, of a first frame on its own.
    o_cycles : list of int
        Cycle of every transfer at the chain's end, when its input never waits and its output is
        taken at once.
    """

    cycles: int
    latency: int
    o_cycles: list[int] = field(repr=False)


class Stage:
    """One link of the chain while it is simulated; ``x[j]`` is the cycle in which beat j leaves.

    The recursions, with V the first cycle in which a beat is offered and X the one in which it is
    taken, S the cycle of a step (see ``Schedule`` and ``FIFO``):

        S[k]     = max(S[k - 1] + 1, V_in[j] of the beat it takes, X_out[m - room] + 1 if it gives)
        V_out[m] = max(S[k] + latency, X_out[m - 1] + 1)

    and for a buffer of ``depth`` beats

        X_in[j]  = max(V_in[j], X_out[j - depth] + 1)
        V_out[j] = max(X_in[j] + latency, X_out[j - 1] + 1)
    """

    def __init__(self, part: Any) -> None:
        self.x: list[int] = []                  # cycle of every transfer out, filled by the next
        self.ready_at: list[int] = []           # cycle of every step that gave, plus the latency
        self.taken = 0
        if isinstance(part, Buffer):
            self.room, self.latency = part.depth, part.latency
            takes = gives = np.ones(1, dtype=bool)
        else:
            schedule = part.schedule
            self.room, self.latency = schedule.room, schedule.latency
            takes, gives = np.asarray(schedule.takes, bool), np.asarray(schedule.gives, bool)
        # Only steps that take or give can wait; between them time just passes.
        events = np.flatnonzero(takes | gives)
        gaps = np.diff(events, prepend=events[-1] - len(takes))
        self.events = list(zip(gaps.tolist(), takes[events].tolist(), gives[events].tolist(),
                               strict=True))
        self.position = 0
        self.last = int(events[0]) - int(gaps[0])
        self.gives_per_period = int(gives.sum())

    def run(self, before: "Stage | None", beats_in: int) -> bool:
        """Do all steps whose inputs are known; tell whether there were any."""
        events, ready_at, out = self.events, self.ready_at, self.x
        moved = False
        while True:
            gap, takes, gives = events[self.position]
            cycle = self.last + gap
            if takes:
                if self.taken == beats_in:
                    return moved
                if before is not None:
                    if self.taken == len(before.ready_at):
                        return moved
                    offered = before.ready_at[self.taken]
                    if self.taken and before.x[self.taken - 1] + 1 > offered:
                        offered = before.x[self.taken - 1] + 1
                    cycle = max(cycle, offered)
            if gives:
                freed = len(ready_at) - self.room
                if freed >= 0:
                    if freed >= len(out):
                        return moved
                    cycle = max(cycle, out[freed] + 1)
                ready_at.append(cycle + self.latency)
            if takes:
                self.taken += 1
                if before is not None:
                    before.x.append(cycle)
                elif self.taken == 1:
                    self.first_taken = cycle
            self.last = cycle
            self.position = (self.position + 1) % len(events)
            moved = True


def simulate_chain(parts: list[Any], beats_in: int) -> tuple[list[int], int]:
    """Run beats through the chain; return the cycle of every one out, and of the first one in.

    Parameters
    ----------
    parts : list
        Units (whatever has a ``schedule``) and ``Buffer``, in order; the first is a unit.
    """
    stages = [Stage(part) for part in parts]
    drain = stages[-1]
    beats = beats_in
    moved = True
    while moved:
        moved = False
        for k, stage in enumerate(stages):
            moved |= stage.run(stages[k - 1] if k else None, beats if k == 0 else 1 << 62)
        # The end is taken at once.
        for offered in drain.ready_at[len(drain.x):]:
            drain.x.append(max(offered, drain.x[-1] + 1) if drain.x else offered)
            moved = True
    return drain.x, stages[0].first_taken


def steady_state(parts: list[Any], beats_in: int, beats_out: int) -> ChainTiming:
    """Simulate frames until their distance no longer changes.

    ``beats_in`` and ``beats_out`` are the beats of one frame at the chain's ends.
    """
    alone, first = simulate_chain(parts, beats_in)
    if len(alone) < beats_out:
        raise ValueError(f"{len(alone)} of {beats_out} beats of the first frame came out: "
                         "the schedules do not fit the frame")
    frames = len(parts) + 4
    while True:
        cycles, _ = simulate_chain(parts, beats_in * frames)
        ends = np.array(cycles[beats_out - 1::beats_out])
        distances = np.diff(ends)
        settled = distances[len(distances) // 2:]
        if np.all(settled == settled[0]):
            return ChainTiming(int(settled[0]), alone[beats_out - 1] - first, cycles)
        # Unequal distances can repeat with a period of a few frames: then the average counts.
        if frames > 16 * (len(parts) + 4):
            return ChainTiming(int(np.ceil(settled.mean())), alone[beats_out - 1] - first, cycles)
        frames *= 2
