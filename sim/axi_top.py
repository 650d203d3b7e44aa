# amaranth: UnusedElaboratable=no
"""AXI top: components side by side, their AXI ports as cocotbext-axi knows them."""

from collections.abc import Mapping

from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

__all__ = ["HANDSHAKES", "AXITop"]

# What the bits of `handshakes` are.
HANDSHAKES = tuple(f"{channel}{signal}" for channel in ("aw", "w", "b", "ar", "r")
                   for signal in ("valid", "ready"))
# cocotbext-axi has no AXI3: that is AXI4 with shorter lengths, and a WID beside.
_WIDTHS = {"awlen": 8, "arlen": 8, "awlock": 1, "arlock": 1}


class AXITop(wiring.Component):
    """AXI top: components side by side, so that one build serves all.

    The port ``bus`` of component ``name`` becomes ``name_bus_awaddr`` and so on, as AXI4 or
    AXI4-Lite; ``name_bus_handshakes`` has all its valids and readys.

    Parameters
    ----------
    components : mapping of str to Component
        All their ports are AXI ports.
    """

    def __init__(self, components: Mapping[str, wiring.Component]):
        self.components, members = dict(components), {}
        for name, component in self.components.items():
            for port, member in component.signature.members.items():
                for signal, part in member.signature.members.items():
                    width = _WIDTHS.get(signal, len(getattr(getattr(component, port), signal)))
                    members[f"{name}_{port}_{signal}"] = part.flow(width)
                members[f"{name}_{port}_handshakes"] = Out(len(HANDSHAKES))
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        for name, component in self.components.items():
            m.submodules[name] = component
            for port, member in component.signature.members.items():
                bus = getattr(component, port)
                for signal, part in member.signature.members.items():
                    inner, outer = getattr(bus, signal), getattr(self, f"{name}_{port}_{signal}")
                    m.d.comb += outer.eq(inner) if part.flow is Out else inner.eq(outer)
                m.d.comb += getattr(self, f"{name}_{port}_handshakes").eq(
                    Cat(getattr(bus, signal) for signal in HANDSHAKES))
        return m
