"""Builder: functions of terms, laid as LUTs and carry chains into a plan, stage by stage."""

from dataclasses import dataclass
from functools import cache

from .plan import Carry, Lut, Plan

__all__ = ["AND", "GATED", "NAND", "ONLY", "STARTED", "XNOR", "XOR", "Builder", "Term", "first_of",
           "half", "is_one", "is_two", "parity", "second_of"]

# Truth tables of terms, index bit 0 the first net: one net; two; (sum, first); (sum, start, first).
ONLY, AND, NAND, XNOR, XOR = 0b10, 0b1000, 0b0111, 0b1001, 0b0110
GATED, STARTED = 0b0010, 0b11001010


@dataclass(frozen=True)
class Term:
    """One bit of a heap: a function of one or two nets, the first net being bit 0 of its index."""

    nets: tuple[int, ...]
    table: int = ONLY


# Functions of the number of ones among the terms (the first list of them, then the second).
def parity(a, b):
    return (a + b) & 1


def half(a, b):
    return a >> 1 & 1


def is_one(a, b):
    return (a >> 1) + b == 1


def is_two(a, b):
    return (a >> 1) + b == 2


def first_of(a, b):
    return a


def second_of(a, b):
    return b


@cache
def _table(function, terms, split, size):
    """Return the truth table of ``function`` over terms, (places among ``size`` inputs, table)."""
    init = 0
    for index in range(2 ** size):
        ones = [table >> sum((index >> p & 1) << k for k, p in enumerate(place)) & 1
                for place, table in terms]
        init |= int(function(sum(ones[:split]), sum(ones[split:]))) << index
    return init


class Builder:
    """Lays primitives of one stage after another into a plan."""

    def __init__(self, inputs):
        self.plan = Plan(inputs, nets=2 + inputs)

    def copy(self):
        """Return another builder that goes on from here."""
        other = Builder(self.plan.inputs)
        other.plan.nets, other.plan.stages = self.plan.nets, [[*each] for each in self.plan.stages]
        return other

    def stage(self):
        self.plan.stages.append([])

    def net(self):
        self.plan.nets += 1
        return self.plan.nets - 1

    def add(self, primitive):
        self.plan.stages[-1].append(primitive)

    def lut(self, functions, a, b=()):
        """Lay one site with one or two functions of the terms ``a`` and ``b``; return its nets."""
        place = {}                       # of every net among the inputs
        terms = tuple([(tuple([place.setdefault(n, len(place)) for n in t.nets]), t.table)
                       for t in (*a, *b)])
        inputs, size = tuple(place), 5 if len(functions) == 2 else 6
        assert len(inputs) <= size, f"{len(inputs)} inputs do not fit a LUT of {size}"
        o6, *o5 = [_table(f, terms, len(a), size) for f in functions]
        if not o5:
            self.add(Lut(inputs, o6, o := self.net()))
            return (o,)
        self.add(Lut(inputs, o6 << 32 | o5[0], o := self.net(), low := self.net()))
        return o, low

    def chain(self, s, di, ci, carry_out):
        o = tuple(self.net() for _ in s)
        co = self.net() if carry_out else None
        self.add(Carry(tuple(s), tuple(di), ci, o, co))
        return [*o, co] if carry_out else [*o]
