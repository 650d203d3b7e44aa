"""Boards, a file each: ``BOARDS`` by name, and ``board_named``."""

from difflib import get_close_matches

from quinnoa.errors import QuinnoaError

from . import (
    arty_a7_100t,
    arty_z7_20,
    ecpix5_85f,
    kv260,
    nexys4_ddr,
    pynq_z1,
    pynq_z2,
    rfsoc4x2,
    ultra96_v2,
    ulx3s_85f,
    zc706,
    zcu102,
    zcu104,
    zedboard,
)
from .board import Board

__all__ = ["BOARDS", "Board", "board_named"]

BOARDS: dict[str, Board] = {module.BOARD.name: module.BOARD for module in (
    pynq_z1, pynq_z2, arty_z7_20, zedboard, zc706,
    ultra96_v2, zcu102, zcu104, kv260, rfsoc4x2,
    ulx3s_85f, ecpix5_85f, arty_a7_100t, nexys4_ddr)}


def _plain(name: str) -> str:
    """Return a name as it is compared: in lower case, letters and digits alone."""
    return "".join(c for c in name.lower() if c.isalnum())


def board_named(name: str) -> Board:
    """Find a board by its name; case, hyphens, underscores and spaces do not count."""
    plain = {_plain(board): board for board in BOARDS}
    if _plain(name) in plain:
        return BOARDS[plain[_plain(name)]]
    near = get_close_matches(_plain(name), plain, n=1)
    hint = f" (did you mean {plain[near[0]]}?)" if near else ""
    raise QuinnoaError(f"unknown board {name}{hint}; the boards are {', '.join(BOARDS)}")
