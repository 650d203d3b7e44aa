"""Digilent Arty Z7-20: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth_boards.arty_z7 import ArtyZ720Platform

from .board import Board

__all__ = ["BOARD"]

BOARD = Board(
    name="arty-z7-20",
    title="Digilent Arty Z7-20",
    part="xc7z020clg400-1",
    shell="zynq7",
    toolchains=("vivado",),
    clock_mhz=100.0,
    platform=ArtyZ720Platform,
)
