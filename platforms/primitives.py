"""Vendor primitives: their ports as Yosys' cell library has them, unused inputs tied."""

import re
from functools import lru_cache
from pathlib import Path

from amaranth import Const, Elaboratable, Instance, Module, Signal

from quinnoa.errors import QuinnoaError

__all__ = ["Primitive", "ports_of"]

_PORT = re.compile(r"^\s*(input|output|inout)\s+(?:\[(\d+):0\]\s*)?(\w+);", re.MULTILINE)


@lru_cache(maxsize=1)
def _library() -> str:
    try:
        import pyosys
    except ImportError as error:
        raise QuinnoaError(f"Yosys is missing ({error}): pip install pyosys") from error
    folder = Path(pyosys.__file__).parent
    return (folder / "share" / "xilinx" / "cells_xtra.v").read_text()


@lru_cache(maxsize=None)
def ports_of(name: str) -> dict[str, tuple[str, int]]:
    """Return direction ("input", "output", "inout") and width of every port of a primitive."""
    match = re.search(rf"^module {name}\(.*?^endmodule", _library(), re.MULTILINE | re.DOTALL)
    if match is None:
        raise ValueError(f"Yosys' Xilinx library has no primitive {name}")
    return {port: (direction, int(high or 0) + 1)
            for direction, high, port in _PORT.findall(match[0])}


class Primitive(Elaboratable):
    """A primitive with hundreds of ports, most of them unused: ``primitive[port]`` is its signal.

    Outputs not asked for stay open, and so do all ``inout`` ports; inputs not asked for are tied.
    Vivado is told to keep it as it is, as the vendor's own constraints do: nothing that it drives
    need leave the device.

    Parameters
    ----------
    name : str
    ones : tuple of str
        Inputs that are tied to 1 if not asked for; all others to 0.
    """

    def __init__(self, name, *, ones=()):
        self.name, self.ones = name, ones
        self.ports = ports_of(name)
        self._used = {}
        for port in ones:
            if self.ports.get(port, ("", 0))[0] != "input":
                raise ValueError(f"{name} has no input {port}")

    def __getitem__(self, port):
        if port not in self.ports:
            raise KeyError(f"{self.name} has no port {port}")
        direction, width = self.ports[port]
        if direction == "inout":
            raise KeyError(f"{port} of {self.name} is a pad")
        return self._used.setdefault(port, Signal(width, name=port))

    def elaborate(self, platform):
        m = Module()
        arguments = {}
        for port, (direction, width) in self.ports.items():
            if direction == "output" and port in self._used:
                arguments[f"o_{port}"] = self._used[port]
            elif direction == "input":
                tie = Const(-1 if port in self.ones else 0, width)
                arguments[f"i_{port}"] = self._used.get(port, tie)
        m.submodules.cell = Instance(self.name, a_DONT_TOUCH="TRUE", **arguments)
        return m
