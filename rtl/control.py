"""Control of a pipeline that runs free: counters that foresee their end, flags and delays."""

from amaranth import Cat, Const, Mux, Signal

__all__ = ["count", "delay", "flag", "shifted"]


def count(m, name, length, step, *, addresses=False):
    """Count ``step`` from 0 to ``length - 1`` and round; return the count, and whether it is last.

    The end is foreseen a step ahead: both are registers. What ``addresses`` a ROM in LUTs counts
    without a carry chain: of a ROM at the registers of one Yosys (abc9) makes four times the LUTs.
    """
    if length == 1:
        return Const(0, 0), Const(1)
    value = Signal(range(length), name=name)
    last = Signal(name=f"{name}_last")
    is_power = length & (length - 1) == 0
    after = value + 1
    if addresses:
        # A bit toggles if all below it are 1.
        after = Cat(~value[0], *(value[k] ^ value[:k].all() for k in range(1, len(value))))
    with m.If(step):
        m.d.sync += [
            value.eq(after if is_power else Mux(last, 0, after)),
            last.eq(value == length - 2),
        ]
    return value, last


def flag(m, name, last, step):
    """Return a register that is high while the count of ``last`` and ``step`` is 0."""
    if isinstance(last, Const):
        return Const(1)
    is_first = Signal(name=name, init=1)
    with m.If(step):
        m.d.sync += is_first.eq(last)
    return is_first


def delay(m, value, cycles, *, init=0):
    """Return ``value`` so many cycles later, without reset; ``init`` before.

    A register that is set to anything but its ``init`` takes a LUT a bit on ECP5.
    """
    for _ in range(cycles):
        later = Signal.like(value, name="delayed", init=init, reset_less=True)
        m.d.sync += later.eq(value)
        value = later
    return value


def shifted(m, bit, cycles):
    """Return ``bit`` after 0, 1, ... ``cycles`` cycles, low at the start."""
    bits = [bit]
    for k in range(cycles):
        later = Signal(name=f"{bit.name}_{k + 1}")
        m.d.sync += later.eq(bits[-1])
        bits.append(later)
    return bits
