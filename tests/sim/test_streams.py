"""Tests of sim/streams.py."""

import gc

import numpy as np
import pytest
from amaranth import Module, Mux, Signal, signed, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.rtl.schedule import Schedule
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.sim.streams import run_streams, run_unit, run_vectors, schedule_cycles, stalls

# Amaranth 0.5 grumbles ("aclose(): asynchronous generator is already running") when a bench is
# abandoned half way, as it is after every failure; here failures are the point.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def collect_abandoned_benches():
    yield
    gc.collect()


class Slot(wiring.Component):
    """Holds one beat; gives it back as it was."""

    schedule = Schedule(takes=[True], gives=[True], latency=1, room=1)

    def __init__(self, shape, lanes):
        payload = data.ArrayLayout(shape, lanes)
        super().__init__({"i": In(stream.Signature(payload)), "o": Out(stream.Signature(payload))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [self.o.payload.eq(self.i.payload), self.o.valid.eq(1)]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        return m


class Pairs(Slot):
    """Gives the sum of every two beats of one lane, after three steps: the third only gives."""

    schedule = Schedule(takes=[True, True, False], gives=[False, False, True],
                        latency=1, room=1)

    def elaborate(self, platform):
        m = Module()
        step = Signal(range(3))
        total = Signal(8)
        go = Signal()
        m.d.comb += [
            self.i.ready.eq(step != 2),
            go.eq(Mux(step == 2, ~self.o.valid, self.i.valid)),
        ]
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(go):
            m.d.sync += step.eq(Mux(step == 2, 0, step + 1))
            with m.If(step == 2):
                m.d.sync += [self.o.payload[0].eq(total), self.o.valid.eq(1), total.eq(0)]
            with m.Else():
                m.d.sync += total.eq(total + self.i.payload[0])
        return m


class Fickle(wiring.Component):
    """Offers a beat whose payload counts on while it waits."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.valid.eq(1)
        m.d.sync += self.o.payload.eq(self.o.payload + 1)
        return m


class Shy(Fickle):
    """Takes its beat back when it waits."""

    def elaborate(self, platform):
        m = Module()
        m.d.sync += self.o.valid.eq(~self.o.valid)
        return m


class Follower(Fickle):
    """Offers only to those who are ready."""

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.o.valid.eq(self.o.ready)
        m.d.sync += self.o.payload.eq(0)
        return m


class Cross(wiring.Component):
    """Adds what it takes from two streams; offers on one only while the other is taken from."""

    i: In(stream.Signature(8))
    i_1: In(stream.Signature(8))
    o: Out(stream.Signature(8))
    o_1: Out(stream.Signature(8))

    def __init__(self, *, follows):
        self.follows = follows
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        m.d.comb += [
            self.o.valid.eq(self.i.valid & self.i_1.valid),
            self.o.payload.eq(self.i.payload + self.i_1.payload),
            self.o_1.valid.eq(self.o.ready if self.follows else 0),
            self.i.ready.eq(self.o.ready & self.i_1.valid),
            self.i_1.ready.eq(self.o.ready & self.i.valid),
        ]
        m.d.sync += self.o_1.payload.eq(0)
        return m


class Silent(Fickle):
    """Offers nothing."""

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(1)
        m.d.sync += self.o.payload.eq(0)
        return m


class Untidy(Slot):
    """Leaves ones in the upper lane."""

    def elaborate(self, platform):
        m = super().elaborate(platform)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += self.o.payload[-1].eq(1)
        return m


@pytest.mark.parametrize("shape, low, high", [
    (unsigned(3), 0, 8), (signed(3), -4, 4), (unsigned(70), 0, 2**62)])
def test_every_lane_comes_back_as_it_went_in(shape, low, high):
    beats = np.random.default_rng(0).integers(low, high, size=(20, 3)).tolist()
    run = run_unit(Slot(shape, 3), beats, 20, i_gap=stalls(1, 0.3), o_gap=stalls(2, 0.3))
    assert run.beats == beats


def test_bipolar_lanes_are_minus_and_plus_one():
    beats = [[-1, 1, 1], [1, -1, -1]]
    assert run_unit(Slot(BIPOLAR, 3), beats, 2).beats == beats


def test_vectors_are_cut_into_beats_and_put_together():
    x = np.arange(10).reshape(2, 5)
    y, run = run_vectors(Slot(unsigned(4), 3), x, 5)
    assert y.tolist() == x.tolist()
    assert run.beats == [[0, 1, 2], [3, 4, 0], [5, 6, 7], [8, 9, 0]]


def test_padding_on_o_must_be_0():
    with pytest.raises(AssertionError, match="^o drives a lane past the end of its vector$"):
        run_vectors(Untidy(unsigned(4), 3), np.zeros((1, 5), int), 5)


@pytest.mark.parametrize("unit, beats_out", [(Slot, 60), (Pairs, 30)])
@pytest.mark.parametrize("i_density, o_density", [(0, 0), (0.6, 0), (0, 0.8), (0.5, 0.5)])
def test_a_schedule_tells_every_transfer(unit, beats_out, i_density, o_density):
    dut = unit(unsigned(8), 1)
    run = run_unit(dut, [[k] for k in range(60)], beats_out,
                   i_gap=stalls(3, i_density), o_gap=stalls(4, o_density))
    predicted = schedule_cycles(dut.schedule, run.i_offers, run.o_ready, beats_out)
    assert predicted == (run.i_cycles, run.o_cycles)


@pytest.mark.parametrize("change", [
    {"latency": 2}, {"room": 2}, {"takes": [True, True, True]}, {"gives": [False, True, False]}])
def test_another_schedule_tells_other_transfers(change):
    dut = Pairs(unsigned(8), 1)
    run = run_unit(dut, [[k] for k in range(20)], 10, o_gap=stalls(4, 0.8))
    other = Schedule(**{**vars(dut.schedule), "processes": (), **change})
    predicted = schedule_cycles(other, run.i_offers, run.o_ready, 10)
    assert predicted != (run.i_cycles, run.o_cycles)


def test_stalls_idle_as_often_as_asked():
    gap = stalls(0, 0.5)
    lengths = [gap() for _ in range(4000)]
    assert 0.45 < np.mean([length > 0 for length in lengths]) < 0.55
    assert max(lengths) > 32
    assert {stalls(0, 0)() for _ in range(100)} == {0}


def test_refuses_a_density_that_never_ends():
    with pytest.raises(ValueError, match=r"^density must lie in \[0, 1\): it is 1$"):
        stalls(0, 1)


@pytest.mark.parametrize("beat, message", [
    ([1, 8], r"8 does not fit unsigned\(3\)"), ([1], "a beat has 2 lanes, not 1")])
def test_refuses_a_beat_that_does_not_fit(beat, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        run_unit(Slot(unsigned(3), 2), [beat], 1)


@pytest.mark.parametrize("unit, message", [
    (Fickle, "o changed its beat in cycle 1"),
    (Shy, "o took its beat back in cycle 2"),
    (Follower, "o.valid follows a ready in cycle 3"),
])
def test_catches_what_breaks_the_contract(unit, message):
    with pytest.raises(AssertionError, match=f"^{message}"):
        run_unit(unit(), [], 1, o_gap=lambda: 3)


def test_the_deadline_tells_how_far_it_came():
    with pytest.raises(AssertionError, match="^after 50 cycles only 0 of 3 beats came out, "
                                             "2 of 2 went in"):
        run_unit(Silent(), [1, 2], 3, deadline=50)


def test_several_streams_stall_on_their_own():
    run = run_streams(Cross(follows=False), [[1, 2, 3], [10, 20, 30]], [3, 0],
                      i_gaps=[iter([4, 0, 0]).__next__, iter([1, 8, 0]).__next__],
                      o_gaps=[iter([0, 0, 5]).__next__, int])
    assert run.beats == [[11, 22, 33], []]
    assert run.i_offers == [[4, 5, 14], [1, 13, 14]]
    assert run.i_cycles == [[4, 13, 19], [4, 13, 19]]
    assert run.o_cycles == [[4, 13, 19], []]


def test_one_stream_must_not_follow_another():
    with pytest.raises(AssertionError, match=r"^o_1.valid follows a ready in cycle 2"):
        run_streams(Cross(follows=True), [[1], [1]], [1, 1],
                    o_gaps=[iter([2]).__next__, iter([9]).__next__])


def test_the_deadline_tells_of_every_stream():
    with pytest.raises(AssertionError, match="^after 50 cycles only 1/0 of 1/2 beats came out, "
                                             "1/1 of 1/3 went in"):
        run_streams(Cross(follows=False), [[1], [2, 3, 4]], [1, 2], deadline=50)
