"""AMD Kria KV260: the accelerator sits behind the PS, so no pin of the PL is used."""

from amaranth.vendor import XilinxPlatform

from .board import Board

__all__ = ["BOARD", "KV260Platform"]


class KV260Platform(XilinxPlatform):
    """The part alone: clock, reset and memory come from the PS."""

    device = "xck26"
    package = "sfvc784"
    speed = "2LV-c"
    resources = ()
    connectors = ()


BOARD = Board(
    name="kv260",
    title="AMD Kria KV260",
    part="xck26-sfvc784-2LV-c",
    shell="zynqmp",
    toolchains=("vivado",),
    clock_mhz=200.0,
    platform=KV260Platform,
)
