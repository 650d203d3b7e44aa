# amaranth: UnusedElaboratable=no
"""Tests of sim/cocotb.py and its benches."""

import sys

import numpy as np
import pytest
from amaranth import Module, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.axistream import AxiStream
from quinnoa.sim import cocotb
from quinnoa.verilog import to_verilog


class Slot(wiring.Component):
    """Holds one beat; ``hurried`` forgets to hold it."""

    def __init__(self, lanes=1, hurried=False):
        self.hurried = hurried
        payload = stream.Signature(data.ArrayLayout(unsigned(8), lanes))
        super().__init__({"i": In(payload), "o": Out(payload)})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.o.ready | self.hurried):
            m.d.sync += self.o.valid.eq(0)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.payload.eq(self.i.payload), self.o.valid.eq(1)]
        return m


BEATS = [[n] for n in range(30)]
FRAMES = np.random.default_rng(0).integers(0, 256, (4, 6), dtype=np.uint8)


@pytest.fixture(scope="module")
def slots(tmp_path_factory):
    """Build a good one and a bad one, side by side."""
    units = {"good": Slot(), "bad": Slot(hurried=True)}
    bench = cocotb.build(to_verilog(cocotb.Bundle(units), name="slots"), "slots",
                         tmp_path_factory.mktemp("slots"))
    return units, bench


def test_beats_as_expected_pass(slots):
    units, bench = slots
    bench.run_bundle({"good": (units["good"], BEATS, BEATS)}, density=0.5)


@pytest.mark.parametrize("unit, expected, message", [
    ("bad", BEATS, r"bad\.o took its beat back in cycle \d+"),
    ("good", [*BEATS[:9], [77], *BEATS[10:]], r"beat 9 of good\.o is 0x9, not 0x4d"),
    ("good", BEATS[:-1], r"good\.o gives a beat too many in cycle \d+"),
    ("good", [*BEATS, [1]],
     r"after 500 cycles good\.i had taken 30 of 30 beats, good\.o given 30 of 31"),
])
def test_a_fault_fails_the_bench(slots, unit, expected, message):
    units, bench = slots
    with pytest.raises(QuinnoaError, match=rf"^the cocotb bench bundle failed:\n(.|\n)*{message}"):
        bench.run_bundle({unit: (units[unit], BEATS, expected)}, density=0.5, deadline=500)


@pytest.fixture(scope="module")
def axi_slot(tmp_path_factory):
    """Build one for frames of three beats of two bytes."""
    text = to_verilog(AxiStream(Slot(2), beats_in=3, beats_out=3), name="slot")
    return cocotb.build(text, "slot", tmp_path_factory.mktemp("slot"))


@pytest.mark.parametrize("density", [0, 0.6])
def test_axi_frames_pass(axi_slot, density):
    axi_slot.run_axi(FRAMES, FRAMES, density=density)


def test_axi_frames_that_end_elsewhere_fail(axi_slot):
    longer = FRAMES.reshape(3, 8)
    with pytest.raises(QuinnoaError, match=r"^the cocotb bench axi failed:\n(.|\n)*frame 0 is "
                                           rf"{FRAMES[0].tobytes().hex()}, not "):
        axi_slot.run_axi(longer, longer, density=0.4)


def test_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "cocotb_tools", None)
    with pytest.raises(QuinnoaError, match="^cocotb is missing: pip install cocotb cocotbext-axi$"):
        cocotb.build("", "top", tmp_path)
