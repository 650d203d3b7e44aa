"""Avnet ZedBoard: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "ZedBoardPlatform"]


class ZedBoardPlatform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xc7z020"
    package = "clg484"
    speed = "1"
    resources = ()
    connectors = ()


BOARD = Board(
    name="zedboard",
    title="Avnet ZedBoard",
    part="xc7z020clg484-1",
    shell="zynq7",
    toolchains=("vivado",),
    clock_mhz=100.0,
    platform=ZedBoardPlatform,
)
