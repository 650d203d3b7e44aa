"""Digilent Arty A7-100T: frames come over its USB serial port."""

from amaranth_boards.arty_a7 import ArtyA7_100Platform

from .board import Board

__all__ = ["BOARD", "ArtyA7100TPlatform"]


class ArtyA7100TPlatform(ArtyA7_100Platform):
    """Its part is the plain one: amaranth-boards has it as the low-power grade of the 35T."""

    device = "xc7a100t"
    speed = "1"


BOARD = Board(
    name="arty-a7-100t",
    title="Digilent Arty A7-100T",
    part="xc7a100tcsg324-1",
    shell="uart",
    toolchains=("vivado", "xc7open"),
    clock_mhz=100.0,
    platform=ArtyA7100TPlatform,
    oscillator="clk100",
    oscillator_mhz=100.0,
    uart="uart",
)
