"""Avnet Ultra96-V2: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "Ultra96V2Platform"]


class Ultra96V2Platform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xczu3eg"
    package = "sbva484"
    speed = "1-i"
    resources = ()
    connectors = ()


BOARD = Board(
    name="ultra96-v2",
    title="Avnet Ultra96-V2",
    part="xczu3eg-sbva484-1-i",
    shell="zynqmp",
    toolchains=("vivado",),
    clock_mhz=200.0,
    platform=Ultra96V2Platform,
)
