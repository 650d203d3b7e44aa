"""LambdaConcept ECPIX-5 85F: frames come over its USB serial port."""

from amaranth_boards.ecpix5 import ECPIX585Platform

from .board import Board

__all__ = ["BOARD"]

BOARD = Board(
    name="ecpix5-85f",
    title="LambdaConcept ECPIX-5 85F",
    part="LFE5UM5G-85F-8BG554I",
    shell="uart",
    toolchains=("ecp5",),
    clock_mhz=80.0,
    platform=ECPIX585Platform,
    oscillator="clk100",
    oscillator_mhz=100.0,
    uart="uart",
)
