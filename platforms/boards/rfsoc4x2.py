"""RealDigital RFSoC 4x2: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth_boards.rfsoc4x2 import RFSoC4x2Platform

from .board import Board

__all__ = ["BOARD"]

BOARD = Board(
    name="rfsoc4x2",
    title="RealDigital RFSoC 4x2",
    part="xczu48dr-ffvg1517-2-e",
    shell="zynqmp",
    toolchains=("vivado",),
    clock_mhz=250.0,
    platform=RFSoC4x2Platform,
)
