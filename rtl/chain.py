"""Chain: units end to end as one component."""

from itertools import pairwise

from amaranth.lib import stream

from .dataflow import Dataflow

__all__ = ["Chain"]


class Chain(Dataflow):
    """Units end to end: computes ``units[-1](... units[1](units[0](x)))``.

    The ``o`` of every unit feeds the ``i`` of the next; their payloads must be alike: lanes, order,
    width, sign, and whether an element is bipolar.

    Parameters
    ----------
    *units : Component
        At least one, each with streams ``i`` and ``o``.
    names : sequence of str
        Names of the submodules, one a unit. "unit0", "unit1", … by default.

    Members
    -------
    i : In(stream)
        ``i`` of the first unit.
    o : Out(stream)
        ``o`` of the last unit.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *units, names=None):
        if not units:
            raise ValueError("a chain needs at least one unit")
        names = [f"unit{k}" for k in range(len(units))] if names is None else list(names)
        if len(names) != len(units):
            raise ValueError(f"every unit needs a name: there are {len(units)} units and "
                             f"{len(names)} names")
        if len(set(names)) != len(names):
            raise ValueError(f"names must differ: they are {', '.join(names)}")
        self.names = tuple(names)
        super().__init__(
            dict(zip(names, units, strict=True)),
            [((left, "o"), (right, "i")) for left, right in pairwise(names)],
            i=(names[0], "i"), o=(names[-1], "o"))
