# amaranth: UnusedElaboratable=no
"""Tests of sim/verilator.py and its harness."""

import re

import numpy as np
import pytest
from amaranth import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError
from quinnoa.sim import verilator
from quinnoa.verilog import to_verilog

FRAMES, BEATS_IN, BEATS_OUT = 20, 6, 3


FAULTS = ["withdraws", "changes", "follows", "tlast", "repeats", "stops"]


class Halver(wiring.Component):
    """Gives every second word, one cycle after it was taken.

    A ``faulty`` one has the fault that the first word says: n in byte 0 is ``FAULTS[n]``.
    """

    def __init__(self, width=72, faulty=False):
        self.faulty = faulty
        super().__init__({
            "s_axis_tdata": In(width), "s_axis_tvalid": In(1), "s_axis_tready": Out(1),
            "s_axis_tlast": In(1),
            "m_axis_tdata": Out(width), "m_axis_tvalid": Out(1), "m_axis_tready": In(1),
            "m_axis_tlast": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        odd, taken, fault = Signal(), Signal(16), Signal(8, init=255)
        valid, tdata, last = Signal(), Signal.like(self.m_axis_tdata), Signal()
        m.d.comb += [
            self.s_axis_tready.eq(~valid | self.m_axis_tready),
            self.m_axis_tvalid.eq(valid),
            self.m_axis_tdata.eq(tdata),
            self.m_axis_tlast.eq(last),
        ]
        with m.If(self.m_axis_tready):
            m.d.sync += valid.eq(0)
        with m.If(self.s_axis_tvalid & self.s_axis_tready):
            m.d.sync += [odd.eq(~odd), taken.eq(taken + 1)]
            with m.If(odd):
                m.d.sync += [valid.eq(1), tdata.eq(self.s_axis_tdata), last.eq(self.s_axis_tlast)]
        if not self.faulty:
            return m

        with m.If((taken == 0) & self.s_axis_tvalid):
            m.d.sync += fault.eq(self.s_axis_tdata[:8])
        with m.Switch(fault):
            with m.Case(FAULTS.index("withdraws")):
                m.d.sync += valid.eq(self.s_axis_tvalid & self.s_axis_tready & odd)
            with m.Case(FAULTS.index("changes")), m.If(valid & ~self.m_axis_tready):
                m.d.sync += tdata.eq(tdata + 1)
            with m.Case(FAULTS.index("follows")):
                m.d.comb += self.m_axis_tvalid.eq(valid & self.m_axis_tready)
            with m.Case(FAULTS.index("tlast")):
                m.d.comb += self.m_axis_tlast.eq(last ^ (taken == 12))
            with m.Case(FAULTS.index("repeats")), m.If(taken == FRAMES * BEATS_IN):
                m.d.sync += valid.eq(1)
            with m.Case(FAULTS.index("stops")), m.If(taken == 9):
                m.d.comb += self.s_axis_tready.eq(0)
        return m


@pytest.fixture(scope="module")
def words():
    return np.random.default_rng(0).integers(0, 256, (FRAMES * BEATS_IN, 9), dtype=np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return verilator.build(to_verilog(Halver(), name="halver"), "halver",
                           tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def faulty_model(tmp_path_factory):
    return verilator.build(to_verilog(Halver(faulty=True), name="halver"), "halver",
                           tmp_path_factory.mktemp("faulty"))


def run(model, words, **options):
    return model.run(words, frames=FRAMES, beats_in=BEATS_IN, beats_out=BEATS_OUT,
                     **{"patience": 100, **options})


@pytest.mark.parametrize("stall_in, stall_out", [(0, 0), (0.5, 0), (0, 0.5), (0.4, 0.4)])
def test_words_come_out_as_they_should(model, words, stall_in, stall_out):
    result = run(model, words, stall_in=stall_in, stall_out=stall_out, seed=3)
    assert np.array_equal(result.words, words[1::2])


def test_cycles_are_counted_from_the_first_beat(model, words):
    result = run(model, words)
    assert result.first_in.tolist() == list(range(0, FRAMES * BEATS_IN, BEATS_IN))
    assert result.last_out.tolist() == list(range(6, FRAMES * BEATS_IN + 1, BEATS_IN))
    assert (result.cycles_per_frame, result.latency, result.cycles) == (6, 6, 121)


def test_stalls_are_as_frequent_as_asked_and_seeded(model, words):
    runs = [run(model, words, stall_in=0.75, seed=seed).cycles for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert all(0.7 < 1 - len(words) / cycles < 0.8 for cycles in runs)


def test_progress_reaches_the_end(model, words):
    told = []
    run(model, words, progress=lambda done, frames: told.append((done, frames)))
    assert told == [(n + 1, FRAMES) for n in range(FRAMES)]


@pytest.mark.parametrize("fault, message", [
    ("withdraws", r"m_axis took its beat back in cycle \d+, at beat \d of frame \d+"),
    ("changes", r"m_axis changed its beat in cycle \d+, at beat \d of frame \d+"),
    ("follows", r"m_axis has tvalid follow tready in cycle \d+, at beat \d of frame \d+"),
    ("tlast", r"m_axis has tlast wrong in cycle \d+, at beat 2 of frame 1"),
    ("repeats", r"m_axis gives a beat too many in cycle \d+, at beat 0 of frame 20"),
    ("stops", (r"nothing moved for 101 cycles, until cycle \d+: s_axis took 9 of 120 beats "
               r"\(tvalid 1, tready 0\), m_axis gave 4 of 60 \(tvalid 0, tready \d\)")),
])
def test_a_fault_is_told(faulty_model, words, fault, message):
    words = words.copy()
    words[0, 0] = FAULTS.index(fault)
    with pytest.raises(QuinnoaError, match=f"^the simulation failed: {message}$"):
        run(faulty_model, words, stall_in=0.3, stall_out=0.5)


@pytest.mark.parametrize("change, message", [
    ({"words": np.zeros((120, 8), np.uint8)},
     "words must be uint8, (120, 9): they are uint8, (120, 8)"),
    ({"words": np.zeros((120, 9), np.int64)},
     "words must be uint8, (120, 9): they are int64, (120, 9)"),
    ({"stall_in": 1}, "stalls must lie in [0, 1): they are 1 and 0.0"),
])
def test_refuses_what_it_cannot_stream(model, words, change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        run(model, **{"words": words, **change})


def test_a_single_frame_has_no_rate():
    result = verilator.simulate(to_verilog(Halver(width=8), name="halver"), "halver",
                                np.zeros((4, 1), np.uint8), frames=1, beats_in=4, beats_out=2)
    assert (result.cycles_per_frame, result.latency) == (None, 4)


@pytest.mark.parametrize("verilog, message", [
    ("module other(); endmodule", "the Verilog has no module top with a port s_axis_tdata"),
    ("module top(s_axis_tdata);\n  input [6:0] s_axis_tdata;\nendmodule",
     "s_axis_tdata of top must be whole bytes: it has 7 bits"),
])
def test_refuses_a_top_without_the_ports(tmp_path, verilog, message):
    with pytest.raises(QuinnoaError, match=f"^{message}$"):
        verilator.build(verilog, "top", tmp_path)


def test_says_what_verilator_says(tmp_path):
    text = to_verilog(Halver(), name="halver").replace("endmodule", "nonsense")
    with pytest.raises(QuinnoaError, match="^the Verilog has no module halver with a port "
                                           "s_axis_tdata$"):
        verilator.build(text, "halver", tmp_path)
    text = to_verilog(Halver(), name="halver").replace("endmodule", "nonsense;\nendmodule")
    with pytest.raises(QuinnoaError, match="^Verilator failed with status 1:\n(.|\n)*nonsense"):
        verilator.build(text, "halver", tmp_path)


def test_says_which_compiler_is_missing(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(QuinnoaError, match=r"^the C\+\+ compiler no-such-compiler is missing: "
                                           r"install g\+\+ \(apt-get install g\+\+\), or name "
                                           r"another one in CXX$"):
        verilator.find()


def test_names_its_version():
    assert re.fullmatch(r"\d+(\.\d+)+.*", verilator.version())


def test_says_where_it_cannot_keep_its_runtime(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("QUINNOA_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(QuinnoaError, match=r"^.*/file/cache: cannot be made \(Not a directory\); "
                                           "name another folder in QUINNOA_CACHE$"):
        verilator.runtime()
