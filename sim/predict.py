"""Predict every transfer of a unit from its schedule: what the gateware is compared with."""

from itertools import count

import numpy as np

__all__ = ["schedule_cycles", "schedule_streams"]


def schedule_cycles(schedule, i_offers, o_ready, count_out):
    """Predict the transfers of a unit that keeps ``schedule``, stalled or not.

    ``schedule_cycles(dut.schedule, run.i_offers, run.o_ready, len(run.beats))`` equals
    ``(run.i_cycles, run.o_cycles)`` where the gateware keeps it cycle for cycle.

    Parameters
    ----------
    schedule : Schedule
        Of one input and one output stream.
    i_offers : sequence of int
        The first cycle in which each beat is valid on ``i``.
    o_ready : sequence of bool
        ``o.ready``, cycle by cycle; after the end of it, high.
    count_out : int
        Beats that are taken from ``o``; those after them are not.

    Returns
    -------
    i_cycles, o_cycles : list of int
    """
    (i_cycles,), (o_cycles,) = schedule_streams(schedule, [i_offers], [o_ready], [count_out])
    return i_cycles, o_cycles


def schedule_streams(schedule, i_offers, o_ready, counts):
    """Predict the transfers of a unit of several streams or processes: ``schedule_cycles``.

    ``i_offers``, ``o_ready`` and ``counts`` have an entry a stream, and so has each of the two
    lists returned.
    """
    processes = [_Steps(process, schedule.processes) for process in schedule.processes]
    i_cycles, o_cycles = [[] for _ in i_offers], [[] for _ in o_ready]
    made = [[] for _ in o_ready]           # of every beat the first cycle in which it is offered
    patience = 2 + schedule.latency + max((d for p in processes for _, d, _, _ in p.waits),
                                          default=0)
    end = patience + max(0, *(max(offers, default=0) for offers in i_offers), *map(len, o_ready))

    def can(process, cycle):
        """Tell whether the process's next step can happen."""
        step = len(process.cycles) % process.period
        return (
            # Every beat it takes is valid ...
            all(len(i_cycles[p]) < len(i_offers[p]) and i_offers[p][len(i_cycles[p])] <= cycle
                for p in process.takes[step])
            # ... there is a credit for every beat it makes, given back in a cycle before this ...
            and all(len(made[p]) - len(o_cycles[p]) < schedule.room for p in process.gives[step])
            # ... and the steps it waits for are done.
            and all(owed <= 0 or (owed <= len(processes[other].cycles)
                                  and processes[other].cycles[owed - 1] + delay <= cycle)
                    for other, delay, owed in process.owed()))

    for cycle in count():
        moved = [len(cycles) for cycles in i_cycles], [len(cycles) for cycles in o_cycles]
        if cycle > end or moved == ([len(offers) for offers in i_offers], list(counts)):
            return i_cycles, o_cycles
        for process in [process for process in processes if can(process, cycle)]:
            step = len(process.cycles) % process.period
            for p in process.takes[step]:
                i_cycles[p].append(cycle)
            for p in process.gives[step]:
                made[p].append(cycle + schedule.latency)
            process.cycles.append(cycle)
            end = max(end, cycle + patience)
        for p, ready in enumerate(o_ready):
            n = len(o_cycles[p])
            if (n < min(counts[p], len(made[p])) and made[p][n] <= cycle
                    and (cycle >= len(ready) or ready[cycle])):
                o_cycles[p].append(cycle)
                end = max(end, cycle + patience)


class _Steps:
    """A process of a schedule and the cycles of its steps so far."""

    def __init__(self, process, processes):
        self.period, self.cycles = process.period, []
        self.takes = [np.flatnonzero(column).tolist() for column in process.takes.T]
        self.gives = [np.flatnonzero(column).tolist() for column in process.gives.T]
        self.waits = [(wait.process, wait.delay, processes[wait.process].period,
                       np.asarray(wait.counts).tolist()) for wait in process.waits]

    def owed(self):
        """Return of every wait of the next step the process, the delay, and the steps owed."""
        period, step = divmod(len(self.cycles), self.period)
        return [(other, delay, counts[step] + period * other_period)
                for other, delay, other_period, counts in self.waits]
