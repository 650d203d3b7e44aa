"""Dataflow: units and the streams between them as one component."""

import numpy as np
from amaranth import Module
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .shapes import is_bipolar
from .writes import relay, spread, writes_signature

__all__ = ["Dataflow", "addresses", "joined"]


def addresses(units):
    """Return by name at which address each unit that can be written begins, and all words."""
    written = {name: unit.words for name, unit in units.items()
               if "writes" in unit.signature.members}
    starts, words = spread(written.values())
    return dict(zip(written, starts, strict=True)), words


def joined(units, images):
    """Return what the addresses of units together hold, uint32, from what those of each hold."""
    starts, words = addresses(units)
    image = np.zeros(words, np.uint32)
    for name, start in starts.items():
        image[start:start + units[name].words] = images[name]
    return image


class Dataflow(wiring.Component):
    """Units by name and the streams between them: the accelerator of any graph.

    A port is a pair: the name of a unit and the name of one of its streams. Every edge joins an
    output to an input; their payloads must be alike: lanes, order, width, sign, and whether an
    element is bipolar. Every stream of every unit is connected exactly once.

    A unit's ``ready`` may depend on the ``valid`` of its other inputs, never a ``valid`` on a
    ``ready``: so no combinational loop can arise.

    Parameters
    ----------
    units : dict of str to Component
    edges : iterable of ((str, str), (str, str))
        From an output port, to an input port.
    i, o : (str, str)
        The ports that are the component's own streams.

    Members
    -------
    i : In(stream)
    o : Out(stream)
    writes : In(writes_signature(words))
        Only if units have it: theirs, at ``addresses``. A write passes from unit to unit, a cycle
        each.

    Attributes
    ----------
    words : int
        Addresses of ``writes``; 0 if no unit can be written.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, units, edges, *, i, o):
        self.units, self.edges = dict(units), [tuple(map(tuple, edge)) for edge in edges]
        self.i_port, self.o_port = tuple(i), tuple(o)
        self._ports = {name: _streams(unit) for name, unit in self.units.items()}
        for source, target in self.edges:
            offers, takes = self._payload(source, Out), self._payload(target, In)
            # `wiring.connect` compares widths only, and an ArrayLayout elements by their bits.
            if not _alike(offers, takes):
                raise ValueError(f"{_told(source)} offers {offers!r}, "
                                 f"but {_told(target)} takes {takes!r}")
        i_payload, o_payload = self._payload(self.i_port, In), self._payload(self.o_port, Out)
        self._check_connected_once()
        self._order = self._sort()
        self._starts, self.words = addresses(self.units)
        members = {"i": In(stream.Signature(i_payload)), "o": Out(stream.Signature(o_payload))}
        if self.words:
            members["writes"] = In(writes_signature(self.words))
        super().__init__(members)

    def _payload(self, port, flow):
        """Return the payload's shape of a port, which must go in or out."""
        name, member = port
        if name not in self.units:
            raise ValueError(f"there is no unit {name}: there are {', '.join(self.units)}")
        if member not in self._ports[name]:
            raise ValueError(f"{name} has no stream {member}: it has "
                             f"{', '.join(self._ports[name])}")
        found, payload = self._ports[name][member]
        if found != flow:
            raise ValueError(f"{_told(port)} must be an {_kind(flow)}: it is an {_kind(found)}")
        return payload

    def _check_connected_once(self):
        used = [self.i_port, self.o_port, *(port for edge in self.edges for port in edge)]
        counts = {(name, member): 0 for name, ports in self._ports.items() for member in ports}
        for port in used:
            counts[port] += 1
        wrong = [f"{_told(port)} is connected {count} times" for port, count in counts.items()
                 if count != 1]
        if wrong:
            raise ValueError(f"every stream is connected once: {', '.join(wrong)}")

    def _sort(self):
        """Return the names of the units, each after all that feed it."""
        order, left = [], list(self.units)
        while left:
            waiting = {target for (source, _), (target, _) in self.edges if source not in order}
            free = [name for name in left if name not in waiting]
            if not free:
                raise ValueError(f"units must not feed themselves: {', '.join(left)} do, "
                                 "or wait for those that do")
            order += free
            left = [name for name in left if name in waiting]
        return order

    def model(self, x):
        """Compute what the gateware computes: the models of the units, fed by one another."""
        arrays = {self.i_port: x}
        back = {target: source for source, target in self.edges}
        for name in self._order:
            ports = {flow: [(name, member) for member, (found, _) in self._ports[name].items()
                            if found == flow] for flow in (In, Out)}
            y = self.units[name].model(*(arrays[back.get(port, port)] for port in ports[In]))
            y = y if len(ports[Out]) > 1 else (y,)
            arrays |= dict(zip(ports[Out], y, strict=True))
        return arrays[self.o_port]

    def contents(self, images):
        """Return what the addresses hold, uint32, from what those of each unit hold, by name."""
        return joined(self.units, images)

    def elaborate(self, platform):
        m = Module()
        for name, unit in self.units.items():
            m.submodules[name] = unit

        def port(name, member):
            return getattr(self.units[name], member)

        wiring.connect(m, wiring.flipped(self.i), port(*self.i_port))
        for source, target in self.edges:
            wiring.connect(m, port(*source), port(*target))
        wiring.connect(m, port(*self.o_port), wiring.flipped(self.o))
        if self.words:
            relay(m, self.writes, {name: (start, self.units[name])
                                   for name, start in self._starts.items()})
        return m


def _streams(unit):
    """Return by name the flow and the payload's shape of every stream of a unit.

    As it was given: the shape of the signal forgets a bare bipolar.
    """
    streams = {}
    for name, member in unit.signature.members.items():
        if member.is_signature:
            signature = member.signature if member.flow == Out else member.signature.flip()
            if isinstance(signature, stream.Signature):
                streams[name] = member.flow, signature.members["payload"].shape
    return streams


def _alike(left, right):
    """Tell whether two payloads are the same in every lane."""
    if isinstance(left, data.ArrayLayout) and isinstance(right, data.ArrayLayout):
        return left.length == right.length and _alike(left.elem_shape, right.elem_shape)
    return is_bipolar(left) == is_bipolar(right) and left == right


def _told(port):
    return ".".join(port)


def _kind(flow):
    return "input" if flow == In else "output"
