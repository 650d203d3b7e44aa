# amaranth: UnusedElaboratable=no
"""Tests of rtl/swu.py, rtl/wide_swu.py, rtl/ring.py and rtl/windows.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.swu import SWU
from quinnoa.rtl.wide_swu import WideSWU, sliding_window
from quinnoa.rtl.windows import Windows
from quinnoa.sim.predict import schedule_cycles
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
    ((8, 3, 1), 1, (3, 2), ONE, (3, 1), (1, 0, 0, 1)),      # rows 3 apart are in 4 banks
]
WIDTHS = ["pixel", "row", "window"]       # what a beat is of
STALLS = [(0, 0), (.5, 0), (0, .5), (.1, .9)]


U3 = unsigned(3)


def make(image, shape=U3, *, width="pixel", **options):
    (h, w, channels), lanes, kernel, stride, dilation, pads = image
    lanes = {"pixel": lanes, "row": kernel[1] * channels,
             "window": kernel[0] * kernel[1] * channels}[width]
    kind = SWU if width == "pixel" else WideSWU
    return kind(height=h, width=w, channels=channels, kernel=kernel, stride=stride,
                dilation=dilation, pads=pads, shape=shape, lanes=lanes, **options)


def draw(rng, shape, size):
    low, high = range_of(shape)
    return rng.choice([-1, 1], size) if is_bipolar(shape) else rng.integers(low, high + 1, size)


def run_and_compare(dut, x, *, densities=(0, 0), seed=0):
    """Hold the unit to its model, and every transfer to its schedule; return the ``Run``."""
    i_density, o_density = densities
    y = dut.model(x)
    i_lanes = dut.i.payload.shape().length
    run = run_unit(dut, x.reshape(-1, i_lanes).tolist(), y.size // dut.lanes,
                   i_gap=stalls(seed, i_density), o_gap=stalls(seed + 1, o_density))
    assert run.beats == y.reshape(-1, dut.lanes).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return run


def frames(dut, count, seed=0):
    size = dut.windows.height, dut.windows.width, dut.channels
    return draw(np.random.default_rng(seed), dut.shape, (count, *size))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("image", IMAGES)
def test_equals_model_and_keeps_its_schedule(image, width):
    dut = make(image, width=width)
    run_and_compare(dut, frames(dut, 3), densities=(.4, .4))


@pytest.mark.parametrize("memory", ["lutram", "block", "ultra"])
@pytest.mark.parametrize("width", WIDTHS)
def test_equals_model_wherever_the_ring_is(width, memory):
    dut = make(IMAGES[3], width=width, memory=memory)
    run_and_compare(dut, frames(dut, 2))


@pytest.mark.parametrize("densities", STALLS[1:])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("image", IMAGES[:6])
def test_stalls_change_nothing(image, width, densities):
    dut = make(image, width=width)
    run_and_compare(dut, frames(dut, 2), densities=densities, seed=3)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("image", IMAGES)
def test_ii_and_latency_are_as_stated(image, width):
    dut = make(image, width=width)
    run = run_and_compare(dut, frames(dut, 6))
    beats_in, beats_out = (len(cycles) // 6 for cycles in (run.i_cycles, run.o_cycles))
    assert dut.ii == max(beats_in, beats_out) == dut.schedule.period
    ends = np.diff(run.o_cycles[beats_out - 1::beats_out])
    assert set(ends[1:].tolist()) == {dut.ii}
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency


@settings(max_examples=60, deadline=None, derandomize=True)
@given(size=st.tuples(*[st.integers(1, 7)] * 2), fold=st.tuples(*[st.integers(1, 2)] * 2),
       kernel=st.tuples(*[st.integers(1, 4)] * 2), stride=st.tuples(*[st.integers(1, 3)] * 2),
       dilation=st.tuples(*[st.integers(1, 3)] * 2), pads=st.tuples(*[st.integers(0, 3)] * 4),
       shape=st.sampled_from([BIPOLAR, unsigned(1), signed(2), unsigned(8)]),
       width=st.sampled_from(WIDTHS), memory=st.sampled_from(["lutram", "block"]),
       densities=st.sampled_from(STALLS), seed=st.integers(0, 2 ** 16))
def test_random_units_equal_their_models(size, fold, kernel, stride, dilation, pads, shape, width,
                                         memory, densities, seed):
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    assume(spans[0] <= size[0] + pads[0] + pads[2] and spans[1] <= size[1] + pads[1] + pads[3])
    dut = make(((*size, fold[0] * fold[1]), fold[0], kernel, stride, dilation, pads), shape=shape,
               width=width, pad_value=range_of(shape)[seed % 2], memory=memory)
    run = run_and_compare(dut, frames(dut, 4, seed), densities=densities, seed=seed)
    if densities == (0, 0):
        ends = run.o_cycles[len(run.o_cycles) // 4 - 1::len(run.o_cycles) // 4]
        assert ends[3] - ends[2] == dut.ii


def frame_cycles(dut, depth):
    """Return the distance of two late frames with a ring so deep, by the schedule alone."""
    count, latency, room = 8, dut.schedule.latency, dut.schedule.room
    schedule = dut.ring.schedule(depth, latency=latency, room=room)
    beats_in, beats_out = (process.period for process in schedule.processes)
    _, o_cycles = schedule_cycles(schedule, [0] * (count * beats_in), [], count * beats_out)
    return o_cycles[-1] - o_cycles[-1 - beats_out]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("image", IMAGES)
def test_with_a_beat_less_the_ring_costs_cycles(image, width):
    dut = make(image, width=width)
    least = dut.ring.least_depth
    assert frame_cycles(dut, least) == dut.ii
    stands_still = least - 1 < (dut.ring.needed - dut.ring.dropped).max()
    assert stands_still or frame_cycles(dut, least - 1) > dut.ii


def test_the_ring_holds_little_more_than_the_windows_span():
    # Two rows and three pixels, and at the end of a frame the next one's as well.
    swu = make(((30, 30, 64), 32, (3, 3), ONE, ONE, (0,) * 4))
    assert (swu.ring.needed[0], swu.ring.least_depth, swu.depth) == (126, 252, 256)
    # No window spans two pixels.
    assert make(((56, 56, 64), 64, (1, 1), (2, 2), ONE, (0,) * 4)).depth == 2


def test_banks_hold_apart_the_rows_of_a_window():
    assert [make(image, width="window").banks for image in IMAGES[:3]] == [3, 3, 2]
    assert make(IMAGES[-1], width="window").banks == 4
    assert {make(image, width="row").banks for image in IMAGES} == {1}


def test_the_lanes_choose_the_unit():
    options = {"height": 5, "width": 5, "channels": 4, "kernel": (2, 3), "shape": U3}
    units = [sliding_window(lanes=lanes, **options) for lanes in (1, 2, 4, 12, 24)]
    assert [type(unit) for unit in units] == [SWU, SWU, SWU, WideSWU, WideSWU]
    # 12 windows of 6 pixels; 25 pixels in.
    assert [unit.ii for unit in units] == [12 * 6 * 4, 12 * 6 * 2, 12 * 6, 25, 25]


def test_the_ring_is_where_it_is_cheapest():
    image = (30, 30, 64), 32, (3, 3), ONE, ONE, (0,) * 4
    assert make(image, BIPOLAR).memory == "block"
    assert make(IMAGES[0], BIPOLAR).memory == "lutram"
    assert make(image, BIPOLAR, memory="lutram").memory == "lutram"


def test_padding_is_a_value_of_the_shape():
    x = np.array([[[[5], [-3]]]])
    dut = make(((1, 2, 1), 1, (1, 2), ONE, ONE, (0, 1, 0, 0)), signed(4), pad_value=-8)
    assert run_and_compare(dut, x).beats == [[-8], [5], [5], [-3]]


@pytest.mark.parametrize("options, message", [
    ({"lanes": 3}, "lanes must divide C: C is 4, lanes is 3"),
    ({"lanes": 0}, "lanes must divide C: C is 4, lanes is 0"),
    ({"height": 0}, "an image has at least a pixel: this one is 0 x 6"),
    ({"kernel": (3, 0)}, "kernel must be 2 numbers and be at least 1: it is (3, 0)"),
    ({"stride": (1,)}, "stride must be 2 numbers and be at least 1: it is (1,)"),
    ({"pads": (0, 0, -1, 0)}, "pads must be 4 numbers and not be negative: it is (0, 0, -1, 0)"),
    ({"kernel": (3, 4), "dilation": (1, 3), "pads": (0, 1, 0, 2)},
     "the kernel must fit the padded image: it spans 3 x 10, the image is 5 x 9"),
    ({"memory": "srl"}, "memory must be auto, lutram, block, ultra: it is 'srl'"),
    ({"pads": SAME, "pad_value": 9},
     "values must lie in [0, 7] to fit unsigned(3): they span [9, 9]"),
    ({"pads": SAME, "shape": BIPOLAR}, "bipolar values are -1 or +1: there is a 0 among them"),
])
def test_refuses_what_it_cannot_build(options, message):
    options = {"height": 5, "width": 6, "channels": 4, "kernel": (3, 3), "shape": unsigned(3),
               "lanes": 2, **options}
    with pytest.raises(ValueError) as raised:
        SWU(**options)
    assert str(raised.value) == message


@pytest.mark.parametrize("options, message", [
    ({"lanes": 24}, "lanes must be those of a row of the kernel, 12, or of a window, 36: "
                    "they are 24"),
    ({"memory": "srl"}, "memory must be auto, lutram, block, ultra: it is 'srl'"),
    ({"pads": SAME, "pad_value": 9},
     "values must lie in [0, 7] to fit unsigned(3): they span [9, 9]"),
])
def test_a_wide_unit_refuses_what_it_cannot_build(options, message):
    options = {"height": 5, "width": 6, "channels": 4, "kernel": (3, 3), "shape": unsigned(3),
               "lanes": 12, **options}
    with pytest.raises(ValueError) as raised:
        WideSWU(**options)
    assert str(raised.value) == message


def test_bipolar_images_without_pads_need_no_pad_value():
    dut = make(IMAGES[0], BIPOLAR)
    run_and_compare(dut, frames(dut, 2))


@pytest.mark.parametrize("image", IMAGES)
def test_windows_are_told_from_what_they_see(image):
    (height, width, _), _, kernel, stride, dilation, pads = image
    windows = Windows(height, width, kernel, stride, dilation, pads)
    # Number the pixels from 1; padding is 0.
    seen = windows.model(np.arange(1, height * width + 1).reshape(height, width, 1))
    seen = seen.reshape(windows.count, -1)
    needed = windows.needed(windows.ends).ravel()
    dropped = windows.dropped(windows.start(1)).ravel()
    assert np.all(seen.max(axis=1) <= needed) and np.all(np.diff(needed) >= 0)
    assert np.all(np.where(seen, seen, height * width + 1).min(axis=1) > dropped)
    assert np.all(np.diff(dropped) >= 0) and dropped[0] == 0
    rows, columns = windows.outside(0), windows.outside(1)
    padding = rows[:, None, :, None] | columns[None, :, None, :]
    assert ((seen == 0) == padding.reshape(seen.shape)).all()
