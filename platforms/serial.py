# amaranth: UnusedElaboratable=no
"""Serial line: bytes as 8 data bits, no parity, a stop bit, at any rate a clock can make."""

from dataclasses import dataclass

from amaranth import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError

__all__ = ["Rate", "SerialReceiver", "SerialTransmitter"]

# A bit is seen in eighths, a clock cycle each at least.
EIGHTHS = 8
# The line is one word of 10 bits after the other: start (0), 8 data bits, stop (1).
WORD_BITS = 10
WORST_ERROR = 0.01


@dataclass(frozen=True)
class Rate:
    """How a clock makes the rate of a line: by an accumulator of which the carries are the ticks.

    Parameters
    ----------
    clock_hz, baud : int
        Clock cycles and bits a second.
    ticks : int
        Ticks a bit.
    """

    clock_hz: int
    baud: int
    ticks: int = 1

    def __post_init__(self):
        if self.clock_hz < 1 or self.baud < 1:
            raise ValueError(f"clock and baud must be at least 1: clock_hz is {self.clock_hz}, "
                             f"baud is {self.baud}")
        if self.clock_hz < EIGHTHS * self.baud:
            raise QuinnoaError(f"{self.baud} baud needs {EIGHTHS} clock cycles a bit, "
                               f"{EIGHTHS * self.baud / 1e6:g} MHz: "
                               f"the clock is {self.clock_hz / 1e6:g} MHz")
        if abs(self.error) > WORST_ERROR:
            raise QuinnoaError(f"{self.baud} baud at {self.clock_hz / 1e6:g} MHz would be "
                               f"{100 * self.error:+.2f} % off: "
                               f"at most {100 * WORST_ERROR:g} % will do")

    @property
    def bits(self):
        """Bits of the accumulator: enough for a step of 128, which is within 0.4 %; 24 at most."""
        return min((128 * self.clock_hz // (self.baud * self.ticks)).bit_length(), 24)

    @property
    def step(self):
        """What is added in a cycle: ``2^bits * ticks * baud / clock_hz``, rounded."""
        return (2 * (self.ticks * self.baud << self.bits) + self.clock_hz) // (2 * self.clock_hz)

    @property
    def error(self):
        """How much too fast the line is, as a fraction."""
        return self.step * self.clock_hz / ((self.ticks * self.baud) << self.bits) - 1

    def count(self, m, clear, *, whole=True):
        """Return the signal of the ticks; ``clear`` sets it a whole tick back, or half of one."""
        phase, tick = Signal(self.bits), Signal()
        total = phase + self.step
        m.d.comb += tick.eq(total[self.bits])
        m.d.sync += phase.eq(total)
        with m.If(clear):
            m.d.sync += phase.eq(0 if whole else 1 << (self.bits - 1))
        return tick


class SerialReceiver(wiring.Component):
    """Serial receiver: gives the bytes of a line, and says where it is out of step.

    A falling edge starts a word. Each of its bits is what two of three samples say, at 3, 4 and 5
    eighths of the bit. A start bit of 1 was a glitch, and nothing. A stop bit of 0 is an ``error``,
    after which the line must be 1 before the next word starts.

    Parameters
    ----------
    clock_hz, baud : int
        Clock cycles and bits a second; at least 8 cycles a bit.

    Members
    -------
    rx : In(1)
        The line, of any clock.
    valid : Out(1)
        High for the one cycle in which there is a byte.
    byte : Out(8)
    error : Out(1)
        High for the one cycle in which a word without a stop bit ends.
    """

    def __init__(self, *, clock_hz, baud):
        self.rate = Rate(clock_hz, baud, ticks=EIGHTHS)
        super().__init__({
            "rx": In(1, init=1), "valid": Out(1), "byte": Out(8), "error": Out(1)})

    def elaborate(self, platform):
        m = Module()
        rx = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, rx, init=1)
        m.d.sync += [self.valid.eq(0), self.error.eq(0)]

        # Between words, wait for the line to fall from 1.
        armed, busy = Signal(), Signal()
        start = Signal()
        m.d.comb += start.eq(armed & ~busy & ~rx)
        with m.If(~busy):
            m.d.sync += [armed.eq(rx), busy.eq(start)]

        # eighth counts those that are over; bit n of the word is the n-th. The edge was seen half
        # a cycle late on average, where a cycle may be an eighth.
        tick = self.rate.count(m, start, whole=False)
        eighth, n = Signal(range(EIGHTHS)), Signal(range(WORD_BITS))
        samples, word = Signal(2, reset_less=True), Signal(9, reset_less=True)
        with m.If(start):
            m.d.sync += [eighth.eq(0), n.eq(0)]
        with m.Elif(busy & tick):
            m.d.sync += [eighth.eq(eighth + 1), samples.eq(Cat(rx, samples[0]))]
            with m.If(eighth == 4):
                # bit = majority of rx and the samples. With the last one the word is over: a line
                # that is too fast may begin the next one soon after.
                bit = Signal()
                m.d.comb += bit.eq((samples[0] & samples[1]) | (rx & samples.any()))
                m.d.sync += [word.eq(Cat(word[1:], bit)), n.eq(n + 1)]
                with m.If((n == 0) & bit):
                    m.d.sync += busy.eq(0)
                with m.If(n == WORD_BITS - 1):
                    m.d.sync += [busy.eq(0), armed.eq(bit), self.valid.eq(bit), self.error.eq(~bit)]
        # The stop bit stays outside of word, the start bit is shifted out by it.
        m.d.comb += self.byte.eq(word[:8])
        return m


class SerialTransmitter(wiring.Component):
    """Serial transmitter: puts bytes on a line, one right after the other.

    Timing: a byte every 10 bits.

    Parameters
    ----------
    clock_hz, baud : int
        Clock cycles and bits a second; at least 8 cycles a bit.

    Members
    -------
    i : In(stream), 8
    tx : Out(1)
        The line. A register.
    """

    i: stream.Interface

    def __init__(self, *, clock_hz, baud):
        self.rate = Rate(clock_hz, baud)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform):
        m = Module()
        # left counts the bits not yet ended; word holds those not yet begun.
        left, word = Signal(range(WORD_BITS + 1)), Signal(WORD_BITS - 1, reset_less=True)
        idle, take = Signal(), Signal()
        tick = self.rate.count(m, idle)
        m.d.comb += [
            idle.eq(left == 0),
            self.i.ready.eq(idle | ((left == 1) & tick)),
            take.eq(self.i.valid & self.i.ready),
        ]
        with m.If(take):
            m.d.sync += [self.tx.eq(0), word.eq(Cat(self.i.payload, 1)), left.eq(WORD_BITS)]
        with m.Elif(tick & ~idle):
            m.d.sync += [left.eq(left - 1), word.eq(Cat(word[1:], 1)), self.tx.eq(word[0])]
        return m
