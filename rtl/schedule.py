"""Schedule: which beats a unit takes and gives in which step, as a cyclo-static pattern."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Schedule"]


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

    Parameters
    ----------
    takes, gives : array of bool, (period,)
        The pattern; the period is one vector or one frame.
    latency : int
        Cycles from a step to the first cycle in which its beat is valid on ``o``.
    room : int
        Beats that the FIFO at the unit's end holds, those in the pipeline included.
    """

    takes: np.ndarray
    gives: np.ndarray
    latency: int
    room: int

    @property
    def period(self):
        """Steps of one period: the II, if nothing waits."""
        return len(self.takes)
