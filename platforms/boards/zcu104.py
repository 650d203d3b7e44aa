"""Xilinx ZCU104: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "ZCU104Platform"]


class ZCU104Platform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xczu7ev"
    package = "ffvc1156"
    speed = "2-e"
    resources = ()
    connectors = ()


BOARD = Board(
    name="zcu104",
    title="Xilinx ZCU104",
    part="xczu7ev-ffvc1156-2-e",
    shell="zynqmp",
    toolchains=("vivado",),
    clock_mhz=250.0,
    platform=ZCU104Platform,
)
