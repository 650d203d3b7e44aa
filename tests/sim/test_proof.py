# amaranth: UnusedElaboratable=no
"""Tests of sim/proof.py: it proves what is right, and finds what is wrong."""

from types import SimpleNamespace

import numpy as np
import pytest
from amaranth import Module, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError
from quinnoa.sim import proof
from quinnoa.sim.proof import CLAIMS, prove


class Pair(wiring.Component):
    """Holds two beats of two bits and gives each plus one; ``fault`` breaks one thing."""

    schedule = SimpleNamespace(takes=np.array([True]), gives=np.array([True]), latency=1, room=2)

    def __init__(self, fault=None):
        self.fault = fault
        payload = stream.Signature(data.ArrayLayout(unsigned(2), 1))
        super().__init__({"i": In(payload), "o": Out(payload)})

    def model(self, x):
        return (np.asarray(x) + 1) & 3

    def elaborate(self, platform):
        m = Module()
        # Beat 0 is on o, beat 1 behind it.
        beats, held, age = [Signal(2, name=f"beat{n}") for n in range(2)], Signal(2), Signal(3)
        i, o = self.i, self.o
        takes, gives = i.valid & i.ready, o.valid & o.ready
        m.d.comb += [i.ready.eq(~held[1]), o.valid.eq(held[0]), o.payload[0].eq(beats[0])]
        m.d.sync += age.eq(age + takes)
        with m.If(gives):
            m.d.sync += [beats[0].eq(beats[1]), held.eq(held >> 1)]
        with m.If(takes):
            with m.If(held[0] & ~gives):
                m.d.sync += [beats[1].eq(i.payload[0] + 1), held.eq(3)]
            with m.Else():
                m.d.sync += [beats[0].eq(i.payload[0] + 1), held.eq(1)]
        match self.fault:
            case "withdraws":
                with m.If(~o.ready & (age == 7)):
                    m.d.sync += held.eq(0)
            case "changes":
                with m.If(o.valid & ~o.ready & (age == 7)):
                    m.d.sync += beats[0].eq(beats[0] + 1)
            case "computes":
                with m.If(takes & (age == 7) & (i.payload[0] == 2) & ~held[0]):
                    m.d.sync += beats[0].eq(0)
            case "drops":
                with m.If(takes & (age == 7)):
                    m.d.sync += held.eq(held & ~gives.replicate(2))
            case "doubles":
                with m.If(gives & (age == 7)):
                    m.d.sync += held.eq(held)
            case "overtakes":
                with m.If(takes & held[0] & ~gives & (age == 7)):
                    m.d.sync += [beats[0].eq(beats[1]), beats[1].eq(beats[0])]
            case "makes up":
                with m.If(~held[0] & ~takes & (age == 7)):
                    m.d.sync += held.eq(1)
            case "rests":
                rest = Signal(2)
                m.d.sync += rest.eq(rest - (rest != 0))
                with m.If(rest != 0):
                    m.d.comb += i.ready.eq(0)
                with m.If(takes):
                    m.d.sync += rest.eq(3)
            case "stops":
                with m.If(age == 7):
                    m.d.comb += i.ready.eq(0)
            case "keeps":
                with m.If(age == 7):
                    m.d.comb += o.valid.eq(held[1])
        return m


def test_a_right_unit_is_proved():
    assert prove(Pair(), elements=1) == proof.Proof(True)


@pytest.mark.parametrize("fault, claims", [
    ("withdraws", {0}),
    ("changes", {0}),
    ("computes", {1}),
    ("drops", {1, 3}),
    ("doubles", {1, 2}),
    ("overtakes", {0, 1}),
    ("makes up", {1, 2}),
    ("stops", {3}),
    ("keeps", {0, 3}),
])
def test_a_wrong_unit_is_found_out(fault, claims):
    result = prove(Pair(fault), elements=1)
    assert not result.proved
    assert CLAIMS.index(result.broken) in claims
    # The fault needs seven beats taken first.
    assert result.cycle >= 8


def test_a_bound_is_exact():
    # A beat is taken in cycle t and given in t + 1; nothing moves in t + 2 and t + 3.
    assert prove(Pair("rests"), elements=1, bound=3).proved
    assert prove(Pair("rests"), elements=1, bound=2).broken == CLAIMS[3]


def test_refuses_a_vector_that_is_too_wide():
    with pytest.raises(ValueError, match="^a vector of at most 12 bits can be proved: it has 14$"):
        prove(Pair(), elements=7)


def test_says_what_it_could_not_decide(monkeypatch):
    monkeypatch.setattr(proof, "SCRIPT", "read_aiger {graph}")
    with pytest.raises(QuinnoaError, match=f'^no proof and no counterexample of "{CLAIMS[0]}"'):
        prove(Pair(), elements=1)
