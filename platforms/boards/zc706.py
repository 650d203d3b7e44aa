"""Xilinx ZC706: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "ZC706Platform"]


class ZC706Platform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xc7z045"
    package = "ffg900"
    speed = "2"
    resources = ()
    connectors = ()


BOARD = Board(
    name="zc706",
    title="Xilinx ZC706",
    part="xc7z045ffg900-2",
    shell="zynq7",
    toolchains=("vivado",),
    clock_mhz=200.0,
    platform=ZC706Platform,
)
