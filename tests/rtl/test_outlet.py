# amaranth: UnusedElaboratable=no
"""Tests of rtl/outlet.py."""

import numpy as np
import pytest
from amaranth import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.rtl.outlet import Outlet
from quinnoa.rtl.schedule import Schedule
from quinnoa.sim.streams import run_unit, schedule_cycles, stalls


class Pipeline(wiring.Component):
    """Gives every ``interval``-th beat it takes, after a pipeline that never stalls."""

    i: In(stream.Signature(8))
    o: Out(stream.Signature(8))

    def __init__(self, latency, interval):
        super().__init__()
        self.pipeline, self.interval = latency, interval
        self.outlet = Outlet(8, latency=latency, interval=interval)
        self.schedule = Schedule(np.ones(interval, bool), np.arange(interval) == interval - 1,
                                 latency + self.outlet.latency, self.outlet.room)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self.outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))
        step = Signal(range(self.interval + 1))
        gives = step == self.interval - 1
        m.d.comb += self.i.ready.eq(outlet.ready | ~gives)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += step.eq(Mux(gives, 0, step + 1))
        m.d.comb += outlet.give.eq(self.i.valid & self.i.ready & gives)
        push, value = outlet.give, self.i.payload
        for k in range(self.pipeline):
            push_after, value_after = Signal(name=f"push_{k}"), Signal(8, name=f"value_{k}")
            m.d.sync += [push_after.eq(push), value_after.eq(value)]
            push, value = push_after, value_after
        m.d.comb += [outlet.push.eq(push), outlet.data.eq(value)]
        return m


def run_and_compare(latency, interval, **options):
    dut = Pipeline(latency, interval)
    beats = np.random.default_rng(0).integers(256, size=40 * interval).tolist()
    run = run_unit(dut, beats, 40, **options)
    assert run.beats == beats[interval - 1::interval]
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, 40)
    return dut, run


@pytest.mark.parametrize("latency", [0, 1, 2, 3, 5, 9])
@pytest.mark.parametrize("interval", [1, 2, 3, 7])
def test_never_waits_while_o_is_taken(latency, interval):
    dut, run = run_and_compare(latency, interval)
    assert set(np.diff(run.o_cycles)) == {interval}
    assert run.o_cycles[0] == run.i_cycles[interval - 1] + latency + dut.outlet.latency


@pytest.mark.parametrize("latency", [0, 1, 2, 5])
@pytest.mark.parametrize("interval", [1, 3])
@pytest.mark.parametrize("i_density, o_density", [(.5, 0), (0, .5), (.4, .4), (.1, .8)])
def test_keeps_its_schedule_stalled(latency, interval, i_density, o_density):
    run_and_compare(latency, interval,
                    i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))


@pytest.mark.parametrize("latency, interval, room", [
    (0, 1, 2), (0, 9, 2), (1, 1, 4), (2, 2, 2), (3, 2, 3), (7, 1, 10), (7, 4, 3), (7, 5, 2)])
def test_room_is_the_least_that_never_waits(latency, interval, room):
    outlet = Outlet(8, latency=latency, interval=interval)
    assert outlet.room == room
    # One credit fewer would not be back in time for the give after the next ones.
    assert room == 2 or (room - 1) * interval < latency + outlet.latency + 1 <= room * interval


@pytest.mark.parametrize("latency, interval, message", [
    (-1, 1, "latency must not be negative: it is -1"),
    (0, 0, "interval must be at least 1: it is 0"),
])
def test_refuses(latency, interval, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Outlet(8, latency=latency, interval=interval)
