"""Digilent PYNQ-Z1: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "PYNQZ1Platform"]


class PYNQZ1Platform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xc7z020"
    package = "clg400"
    speed = "1"
    resources = ()
    connectors = ()


BOARD = Board(
    name="pynq-z1",
    title="Digilent PYNQ-Z1",
    part="xc7z020clg400-1",
    shell="zynq7",
    toolchains=("vivado",),
    clock_mhz=100.0,
    platform=PYNQZ1Platform,
)
