# amaranth: UnusedElaboratable=no
"""Tests of rtl/swu.py and rtl/windows.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.swu import SWU
from quinnoa.rtl.windows import Windows
from quinnoa.sim.streams import run_unit, stalls

ONE, SAME = (1, 1), (1, 1, 1, 1)
IMAGES = [
    # (H, W, C), lanes, kernel, stride, dilation, pads
    ((5, 6, 1), 1, (3, 3), ONE, ONE, (0,) * 4),
    ((4, 5, 4), 2, (3, 3), ONE, ONE, SAME),
    ((5, 4, 2), 2, (2, 2), (2, 2), ONE, (0,) * 4),    # as many beats in as out
    ((7, 5, 2), 1, (3, 3), (2, 2), ONE, SAME),        # the last row and column cut short
    ((3, 4, 2), 1, (3, 4), ONE, ONE, (0,) * 4),       # kernel = image: one window
    ((7, 7, 2), 1, (2, 1), (3, 3), ONE, (0,) * 4),    # stride > kernel: more beats in than out
    ((6, 7, 1), 1, (2, 3), ONE, (2, 2), (0,) * 4),    # dilation
    ((4, 5, 1), 1, (3, 3), ONE, (2, 2), (2, 2, 2, 2)),
    ((3, 5, 3), 1, (1, 1), ONE, ONE, (0,) * 4),       # the image itself
    ((6, 5, 3), 3, (1, 1), (2, 2), ONE, (0,) * 4),    # every other pixel
    ((3, 3, 2), 1, (1, 1), ONE, ONE, (2, 1, 0, 3)),   # padding alone, some windows all of it
    ((1, 9, 2), 2, (1, 3), (1, 2), ONE, (0, 1, 0, 1)),   # one-dimensional
    ((6, 1, 2), 1, (3, 1), (2, 1), ONE, (1, 0, 0, 0)),
    ((1, 1, 1), 1, (1, 1), ONE, ONE, (0,) * 4),       # one beat in, one out
    ((1, 1, 1), 1, (3, 3), ONE, ONE, SAME),
    ((2, 1, 2), 1, (2, 2), (1, 1), (1, 3), (0, 1, 0, 2)),   # steps over the image
]
STALLS = [(0, 0), (.5, 0), (0, .5), (.1, .9)]


def make(image, shape=unsigned(3), pad_value=0, **options):
    (height, width, channels), lanes, kernel, stride, dilation, pads = image
    return SWU(height=height, width=width, channels=channels, kernel=kernel, stride=stride,
               dilation=dilation, pads=pads, pad_value=pad_value, shape=shape, lanes=lanes,
               **options)


def draw(rng, shape, size):
    low, high = range_of(shape)
    return rng.choice([-1, 1], size) if is_bipolar(shape) else rng.integers(low, high + 1, size)


def process_cycles(schedule, i_offers, o_ready, count_out):
    """Predict the transfers of a unit of several processes and a stream on either side.

    Cycle by cycle, as ``Process`` and ``Wait`` have it; to the letter rather than fast.
    """
    processes = schedule.processes
    done = [[] for _ in processes]                       # the cycle of every step
    i_cycles, o_cycles, offered = [], [], []

    def over(wait, period, step):
        count = wait.counts[step] + period * processes[wait.process].period
        steps = done[wait.process]
        return count <= 0 or (count <= len(steps) and steps[count - 1] + wait.delay <= cycle)

    cycle = 0
    while len(i_cycles) < len(i_offers) or len(o_cycles) < count_out:
        returned = len(o_cycles)
        happening = []
        for process, steps in zip(processes, done, strict=True):
            period, step = divmod(len(steps), process.period)
            may = all(over(wait, period, step) for wait in process.waits)
            if process.takes[0, step]:
                taken = len(i_cycles)
                may &= taken < len(i_offers) and i_offers[taken] <= cycle
            if process.gives[0, step]:
                may &= len(offered) - returned < schedule.room
            if may:
                happening.append((process, steps, step))
        for process, steps, step in happening:
            steps.append(cycle)
            if process.takes[0, step]:
                i_cycles.append(cycle)
            if process.gives[0, step]:
                offered.append(cycle + schedule.latency)
        if len(o_cycles) < min(len(offered), count_out) and offered[len(o_cycles)] <= cycle \
                and (cycle >= len(o_ready) or o_ready[cycle]):
            o_cycles.append(cycle)
        cycle += 1
        assert cycle < 100_000
    return i_cycles, o_cycles


def run_and_compare(dut, x, *, densities=(0, 0), seed=0):
    """Hold the unit to its model, and every transfer to its schedule; return the ``Run``."""
    i_density, o_density = densities
    y = dut.model(x)
    run = run_unit(dut, x.reshape(-1, dut.lanes).tolist(), y.size // dut.lanes,
                   i_gap=stalls(seed, i_density), o_gap=stalls(seed + 1, o_density))
    assert run.beats == y.reshape(-1, dut.lanes).tolist()
    assert (run.i_cycles, run.o_cycles) == process_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return run


def frames(dut, count, seed=0):
    size = dut.windows.height, dut.windows.width, dut.channels
    return draw(np.random.default_rng(seed), dut.shape, (count, *size))


@pytest.mark.parametrize("memory", ["lutram", "block"])
@pytest.mark.parametrize("densities", STALLS)
@pytest.mark.parametrize("image", IMAGES)
def test_equals_model_and_keeps_its_schedule(image, densities, memory):
    dut = make(image, memory=memory)
    run_and_compare(dut, frames(dut, 3), densities=densities)


@pytest.mark.parametrize("image", IMAGES)
def test_ii_and_latency_are_as_stated(image):
    dut = make(image)
    run = run_and_compare(dut, frames(dut, 6))
    beats_in, beats_out = (len(cycles) // 6 for cycles in (run.i_cycles, run.o_cycles))
    assert dut.ii == max(beats_in, beats_out) == dut.schedule.period
    ends = np.diff(run.o_cycles[beats_out - 1::beats_out])
    assert set(ends[1:].tolist()) == {dut.ii}
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency


@settings(max_examples=60, deadline=None, derandomize=True)
@given(size=st.tuples(st.integers(1, 7), st.integers(1, 7)), fold=st.tuples(*[st.integers(1, 2)] * 2),
       kernel=st.tuples(*[st.integers(1, 4)] * 2), stride=st.tuples(*[st.integers(1, 3)] * 2),
       dilation=st.tuples(*[st.integers(1, 3)] * 2), pads=st.tuples(*[st.integers(0, 3)] * 4),
       shape=st.sampled_from([BIPOLAR, unsigned(1), signed(2), unsigned(8)]),
       memory=st.sampled_from(["lutram", "block"]), densities=st.sampled_from(STALLS),
       seed=st.integers(0, 2 ** 16))
def test_random_units_equal_their_models(size, fold, kernel, stride, dilation, pads, shape, memory,
                                         densities, seed):
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    assume(spans[0] <= size[0] + pads[0] + pads[2] and spans[1] <= size[1] + pads[1] + pads[3])
    dut = make(((*size, fold[0] * fold[1]), fold[0], kernel, stride, dilation, pads), shape=shape,
               pad_value=range_of(shape)[seed % 2], memory=memory)
    run = run_and_compare(dut, frames(dut, 4, seed), densities=densities, seed=seed)
    if densities == (0, 0):
        ends = run.o_cycles[len(run.o_cycles) // 4 - 1::len(run.o_cycles) // 4]
        assert ends[3] - ends[2] == dut.ii
