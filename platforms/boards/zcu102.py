"""Xilinx ZCU102: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "ZCU102Platform"]


class ZCU102Platform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xczu9eg"
    package = "ffvb1156"
    speed = "2-e"
    resources = ()
    connectors = ()


BOARD = Board(
    name="zcu102",
    title="Xilinx ZCU102",
    part="xczu9eg-ffvb1156-2-e",
    shell="zynqmp",
    toolchains=("vivado",),
    clock_mhz=250.0,
    platform=ZCU102Platform,
)
