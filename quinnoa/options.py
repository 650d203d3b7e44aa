"""Options of the command line: what several commands ask for, in the same words."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

__all__ = ["BramShare", "Compiled", "Family", "Finn", "FoldFile", "Input", "InputOffset",
           "InputScale", "Level", "LutShare", "Model", "Pin", "Reference", "Top"]


class Family(StrEnum):
    """Device families that units can be built for."""

    xc7 = "xc7"
    xcup = "xcup"
    ecp5 = "ecp5"
    generic = "generic"


class Level(StrEnum):
    """What a simulation runs: the integer model, the Verilog, or the netlist made of it."""

    model = "model"
    rtl = "rtl"
    gates = "gates"


class Reference(StrEnum):
    """What a simulation is compared with, besides the integer model."""

    onnx = "onnx"


Model = Annotated[Path, typer.Argument(metavar="MODEL", help="The network, an ONNX file.")]
Compiled = Annotated[Path, typer.Argument(metavar="DIR", help="A compiled folder.")]
Input = Annotated[str | None, typer.Option(
    metavar="TYPE", help="Raw integers enter the hardware, such as uint8; by default floats are "
                         "quantized on the host.")]
InputScale = Annotated[float, typer.Option(
    help="The model expects SCALE * integer + OFFSET.")]
InputOffset = Annotated[float, typer.Option(help="See --input-scale.")]
Pin = Annotated[Path | None, typer.Option(
    metavar="FILE", help="A fold.toml of what is given; the rest is found.")]
LutShare = Annotated[float | None, typer.Option(
    metavar="SHARE", help="The share of the LUTs to take at most; 0.7 by default.")]
BramShare = Annotated[float | None, typer.Option(
    metavar="SHARE", help="The share of the block RAMs; 0.9 by default.")]
FoldFile = Annotated[Path | None, typer.Option(
    metavar="FILE", help="The folds of a fold.toml, or of a folding configuration of FINN's "
                         "(JSON).")]
Finn = Annotated[bool, typer.Option(
    "--finn", help="Show what FINN's own cost model says beside our figures.")]
Top = Annotated[int | None, typer.Option(
    metavar="K", min=1, help="End the hardware with the indices of the K greatest outputs.")]
