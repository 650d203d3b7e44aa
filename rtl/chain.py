"""Chain: units end to end as one component."""

from itertools import pairwise

from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .shapes import is_bipolar

__all__ = ["Chain"]


class Chain(wiring.Component):
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
        # `wiring.connect` compares widths only, and an ArrayLayout elements by their bits.
        for (left, upstream), (right, downstream) in pairwise(zip(names, units, strict=True)):
            offers, takes = _payload(upstream.o), _payload(downstream.i)
            if not _alike(offers, takes):
                raise ValueError(f"{left}.o offers {offers!r}, but {right}.i takes {takes!r}")
        self.units, self.names = units, tuple(names)
        super().__init__({
            "i": In(stream.Signature(_payload(units[0].i))),
            "o": Out(stream.Signature(_payload(units[-1].o))),
        })

    def model(self, x):
        """Compute what the gateware computes: the models of the units, one after the other."""
        for unit in self.units:
            x = unit.model(x)
        return x

    def elaborate(self, platform):
        m = Module()
        for name, unit in zip(self.names, self.units, strict=True):
            m.submodules[name] = unit
        wiring.connect(m, wiring.flipped(self.i), self.units[0].i)
        for upstream, downstream in pairwise(self.units):
            wiring.connect(m, upstream.o, downstream.i)
        wiring.connect(m, self.units[-1].o, wiring.flipped(self.o))
        return m


def _alike(left, right):
    """Tell whether two payloads are the same in every lane."""
    if isinstance(left, data.ArrayLayout) and isinstance(right, data.ArrayLayout):
        return left.length == right.length and _alike(left.elem_shape, right.elem_shape)
    return is_bipolar(left) == is_bipolar(right) and left == right


def _payload(port):
    """Return the payload's shape as it was given; that of the signal forgets a bare bipolar."""
    return port.signature.members["payload"].shape
