"""What every toolchain module gives: the tool that was found, and what came of a build."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from amaranth.build.run import BuildPlan

from quinnoa.errors import QuinnoaError

__all__ = ["Area", "Plan", "Result", "Tool", "ToolError", "said_by"]

PATIENCE = 120                   # seconds for a program to say its version


class ToolError(QuinnoaError):
    """A tool is missing, too old, or failed; the message says which, and what would help."""


@dataclass(frozen=True)
class Tool:
    """A tool that was found: what it is called, its version as it says itself, and where it is."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True)
class Plan:
    """All that a toolchain needs for a build, before any tool runs.

    Parameters
    ----------
    toolchain : str
        Module of ``platforms.toolchains`` that builds it.
    name : str
        Of the top module, and of the files: ``NAME.v``, ``NAME.bit``.
    part : str
    clock_mhz : float
        The clock of the domain ``sync``.
    files : BuildPlan
        Amaranth's: the files, and the script that runs the tools on them.
    layers : tuple of str
        Names of the instances that count as layers when reports are read back.
    """

    toolchain: str
    name: str
    part: str
    clock_mhz: float
    files: BuildPlan
    layers: tuple[str, ...] = ()

    def layer_of(self, path: str, separator: str = "/") -> str:
        """Return the layer that an instance's path lies in; "" if in none."""
        return next((step for step in path.split(separator) if step in self.layers), "")


@dataclass(frozen=True)
class Area:
    """What a design or a part of it takes, as the tool counts: ``bram36`` in blocks of 36 kbit."""

    lut: int = 0
    ff: int = 0
    bram36: float = 0
    uram: int = 0
    dsp: int = 0

    def __add__(self, other: "Area") -> "Area":
        return Area(self.lut + other.lut, self.ff + other.ff, self.bram36 + other.bram36,
                    self.uram + other.uram, self.dsp + other.dsp)


@dataclass(frozen=True)
class Result:
    """What a build made.

    Parameters
    ----------
    tool : Tool
        That made it.
    bitstream : Path or None
        None where none was asked for (out of context).
    clock_mhz : float
        The clock that was asked.
    reached_mhz : float
        The clock at which the slowest path just meets its time.
    area : Area
        Of the whole design.
    layers : mapping of str to Area
        By layer, as far as the tool tells.
    worst : str
        The layer in which the slowest path ends, or what of the top it ends in outside of them; ""
        if the tool does not tell.
    """

    tool: Tool
    bitstream: Path | None
    clock_mhz: float
    reached_mhz: float
    area: Area
    layers: Mapping[str, Area] = field(default_factory=dict)
    worst: str = ""

    @property
    def met(self) -> bool:
        """Whether the clock that was asked is met."""
        # A tool rounds to a few digits: a hair below is the same clock.
        return self.reached_mhz >= self.clock_mhz * (1 - 1e-6)

    def explain(self) -> str:
        """Return one line on the clock: met, or missed, by how much and where."""
        if self.met:
            return f"{self.clock_mhz:g} MHz met: up to {self.reached_mhz:.1f} MHz"
        where = f"; the slowest path ends in {self.worst}" if self.worst else ""
        return (f"{self.clock_mhz:g} MHz not met: {self.reached_mhz:.1f} MHz reached{where}; build "
                f"with --clock {int(self.reached_mhz)}, or fold further where the path is")


def said_by(path: str, option: str, install: str) -> str:
    """Return what a program says of itself; where it does not run, say what to install."""
    try:
        done = subprocess.run([path, option], capture_output=True, text=True, errors="replace",
                              stdin=subprocess.DEVNULL, timeout=PATIENCE)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(f"{path} does not run ({error}); {install}") from None
    return done.stdout + done.stderr
