# amaranth: UnusedElaboratable=no
"""A small core in the shell that a board wants, for tests of what lies around shells."""

from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.platforms.frames import FrameFormat
from quinnoa.platforms.memory_shell import MemoryShell
from quinnoa.platforms.top import bus_of, clock_of
from quinnoa.platforms.uart import UARTShell


class Slot(wiring.Component):
    """Holds one beat: eight bytes, unless told otherwise."""

    def __init__(self, shape=8, lanes=8):
        beat = stream.Signature(data.ArrayLayout(shape, lanes))
        super().__init__({"i": In(beat), "o": Out(beat)})

    def elaborate(self, platform):
        m = Module()
        full = Signal()
        m.d.comb += [self.i.ready.eq(~full), self.o.valid.eq(full)]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.payload.eq(self.i.payload), full.eq(1)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += full.eq(0)
        return m


def tiny_shell(board, clock_mhz=None):
    """Return a ``Slot`` in the shell of ``board``."""
    form = FrameFormat(8, False, False, lanes=8, beats=4, word_bits=board.word_bits)
    if board.shell == "uart":
        return UARTShell(Slot(), i_format=form, o_format=form, network_id=1, shape_id=0,
                         clock_hz=int(clock_of(board, clock_mhz) * 1e6), baud=1_000_000)
    control, memory = bus_of(board)
    return MemoryShell(Slot(), form, form, network_id=1, control=control, memory=memory)
