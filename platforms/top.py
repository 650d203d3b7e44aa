# amaranth: UnusedElaboratable=no
"""Tops: a shell with its board's clock, reset and pins around it."""

from amaranth import ClockDomain, Elaboratable, Module
from amaranth.lib import io

from quinnoa.errors import QuinnoaError

from .boards import Board
from .pll import ECP5_PLL, MHZ, PLL, XC7_PLL, PLLSetting
from .zynq import Zynq7Top, ZynqMPTop

__all__ = ["UARTTop", "bus_of", "clock_of", "top_for"]

_ZYNQ = {"zynq7": Zynq7Top, "zynqmp": ZynqMPTop}


def bus_of(board: Board):
    """Return the signatures ``control`` and ``memory`` that a memory shell needs on ``board``."""
    if board.shell not in _ZYNQ:
        raise QuinnoaError(f"{board.name} has no PS: its shell is {board.shell}")
    return _ZYNQ[board.shell].control, _ZYNQ[board.shell].memory


def _limits(board: Board):
    return ECP5_PLL if board.family == "ecp5" else XC7_PLL


def _setting(board: Board, clock_mhz: float) -> PLLSetting:
    """Return the dividers of a board's PLL."""
    assert board.oscillator_mhz is not None
    return PLLSetting.nearest(_limits(board), source_hz=round(board.oscillator_mhz * MHZ),
                              asked_hz=round(clock_mhz * MHZ))


def _asked(board: Board, clock_mhz: float | None) -> float:
    """Return the clock that is asked, a board's usual one where none is."""
    asked = board.clock_mhz if clock_mhz is None else clock_mhz
    if not asked > 0:
        raise QuinnoaError(f"clock is {asked:g} MHz, but must be above 0")
    return asked


def clock_of(board: Board, clock_mhz: float | None = None) -> float:
    """Return the clock in MHz that a board gives when ``clock_mhz`` is asked (its usual if None).

    With a PS it is as asked: the driver sets the PS. Without, it is what the PLL can make: the
    nearest that is not above.
    """
    asked = _asked(board, clock_mhz)
    return _setting(board, asked).output_hz / MHZ if board.oscillator else asked


class UARTTop(Elaboratable):
    """A UART shell with its board's PLL and serial pins.

    Parameters
    ----------
    shell : Component
        With ``rx: In(1)``, which is asynchronous, and ``tx: Out(1)``.
    board : Board
    clock_mhz : float
        As asked; member ``clock_mhz`` is what is made of it.
    """

    def __init__(self, shell, *, board, clock_mhz):
        self.shell, self.board = shell, board
        self.setting = _setting(board, clock_mhz)
        self.clock_mhz = self.setting.output_hz / MHZ

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.pll = PLL(oscillator=self.board.oscillator, setting=self.setting,
                               limits=_limits(self.board))
        m.submodules.shell = self.shell
        pins = platform.request(self.board.uart, dir="-")
        m.submodules.rx = rx = io.Buffer("i", pins.rx)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        m.d.comb += [self.shell.rx.eq(rx.i), tx.o.eq(self.shell.tx)]
        return m


def top_for(board: Board, shell, *, clock_mhz: float | None = None):
    """Return ``shell`` with all that ``board`` needs around it; its ``clock_mhz`` is its clock."""
    asked = _asked(board, clock_mhz)
    if board.shell not in _ZYNQ:
        return UARTTop(shell, board=board, clock_mhz=asked)
    try:
        return _ZYNQ[board.shell](shell, clock_mhz=asked)
    except ValueError as error:
        raise QuinnoaError(f"{board.name}: {error}") from None
