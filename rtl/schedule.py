"""Schedule: which beats a unit takes and gives in which step, as a cyclo-static pattern."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Process", "Schedule", "Wait"]


@dataclass(frozen=True, eq=False)
class Wait:
    """Steps that wait for another process of the same unit.

    Step ``k`` of the first period happens ``delay`` or more cycles after the other process has done
    its first ``counts[k]`` steps (nothing to wait for where that is 0 or less). With every further
    period the other process owes a period of its own more.
    """

    process: int
    counts: np.ndarray
    delay: int


@dataclass(frozen=True, eq=False)
class Process:
    """One sequence of steps of a unit with several: a cyclic list, a step a cycle at the most.

    ``takes`` and ``gives`` are (ports, period) of bool, for the unit's input and output streams: a
    step happens in the first cycle after the one before in which every beat it takes is valid,
    there is a credit on every stream it gives to, and all ``waits`` are over. A step that takes
    from several streams takes from all in the same cycle.
    """

    takes: np.ndarray
    gives: np.ndarray
    waits: tuple[Wait, ...] = ()

    @property
    def period(self):
        """Steps of one period."""
        return self.takes.shape[1]


@dataclass(frozen=True, eq=False)
class Schedule:
    """What a unit does in each step of its period, one step a cycle unless it must wait.

    Step ``k`` takes one input beat if ``takes[k]``, and makes one output beat if ``gives[k]``.
    It happens in the first cycle after step ``k - 1`` in which

    - the input beat it takes is valid on ``i``, and
    - there is a credit for the beat it makes.

    There are ``room`` credits. A step that makes a beat spends one in its cycle; a transfer on
    ``o`` returns one, which the next cycle can spend. A beat is offered on ``o`` in the cycle
    ``latency`` after its step, or after the beat before it is taken.

    A unit of several streams has ``takes`` and ``gives`` of (ports, period); one in which reading
    and writing go their own ways has ``processes`` instead, and every output stream its own
    ``room`` credits.

    Parameters
    ----------
    takes, gives : array of bool, (period,) or (ports, period)
        The pattern; the period is one vector or one frame. For several processes what they take
        and give in all is irrelevant: leave them empty.
    latency : int
        Cycles from a step to the first cycle in which its beat is valid on ``o``.
    room : int
        Beats that the FIFO at the unit's end holds, those in the pipeline included.
    processes : tuple of Process
        Made of ``takes`` and ``gives`` where not given.
    """

    takes: np.ndarray
    gives: np.ndarray
    latency: int
    room: int
    processes: tuple[Process, ...] = ()

    def __post_init__(self):
        if not self.processes:
            process = Process(np.atleast_2d(self.takes), np.atleast_2d(self.gives))
            object.__setattr__(self, "processes", (process,))

    @property
    def period(self):
        """Steps of one period of the busiest process: the II, if nothing waits."""
        return max(process.period for process in self.processes)
