"""Radiona ULX3S-85F: frames come over its USB serial port (FT231X)."""

from amaranth_boards.ulx3s import ULX3S_85F_Platform

from .board import Board

__all__ = ["BOARD"]

BOARD = Board(
    name="ulx3s-85f",
    title="Radiona ULX3S-85F",
    part="LFE5U-85F-6BG381C",
    shell="uart",
    toolchains=("ecp5",),
    clock_mhz=80.0,
    platform=ULX3S_85F_Platform,
    oscillator="clk25",
    oscillator_mhz=25.0,
    uart="uart",
)
