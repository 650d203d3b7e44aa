"""Digilent Nexys 4 DDR: frames come over its USB serial port."""

from amaranth_boards.nexys4ddr import Nexys4DDRPlatform

from .board import Board

__all__ = ["BOARD"]

BOARD = Board(
    name="nexys4-ddr",
    title="Digilent Nexys 4 DDR",
    part="xc7a100tcsg324-1",
    shell="uart",
    toolchains=("vivado", "xc7open"),
    clock_mhz=100.0,
    platform=Nexys4DDRPlatform,
    oscillator="clk100",
    oscillator_mhz=100.0,
    uart="uart",
)
