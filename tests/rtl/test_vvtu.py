# amaranth: UnusedElaboratable=no
"""Tests of rtl/vvtu.py."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.bank import Search
from quinnoa.rtl.families import XC7, XCUP
from quinnoa.rtl.shapes import BIPOLAR, range_of
from quinnoa.rtl.thresholds import NEVER, Thresholds
from quinnoa.rtl.vvtu import VVTU
from quinnoa.rtl.weights import MEMORIES
from quinnoa.sim.predict import schedule_cycles
from quinnoa.sim.streams import run_vectors, stalls
from tests.rtl.test_mvtu import draw, draw_thresholds, primitive

FOLDS = [
    # C, M, K, PE
    (4, 1, 9, 4),       # one group: registers
    (4, 1, 9, 2),       # two, each met again two cycles later
    (3, 1, 4, 1),
    (8, 1, 3, 2),
    (5, 1, 2, 1),
    (4, 3, 4, 2),       # three kernels a channel
    (2, 2, 3, 2),
    (6, 1, 1, 2),       # one vector: nothing to add up
    (3, 2, 1, 3),
    (1, 1, 9, 1),
]
KINDS = [
    # x, w, steps a row, which of them fall
    (BIPOLAR, BIPOLAR, 1, "none"),
    (BIPOLAR, BIPOLAR, None, "none"),
    (BIPOLAR, signed(3), None, "none"),     # odd and even sums
    (BIPOLAR, signed(2), 3, "rows"),
    (unsigned(2), signed(2), 3, "any"),
    (unsigned(4), signed(4), 15, "rows"),
    (signed(4), BIPOLAR, None, "none"),
    (unsigned(8), signed(8), None, "none"),
    (unsigned(3), signed(3), 0, "none"),
]
STALLS = [(.5, 0), (0, .5), (.1, .9)]


def make(fold, kind, *, seed=0, windows=5, alike=False, **options):
    """Make a unit of random weights and thresholds, and windows for it."""
    c, multiplier, k, pe = fold
    x_shape, w_shape, steps, fall = kind
    rng = np.random.default_rng(seed)
    weights, x = draw(rng, w_shape, (c * multiplier, k)), draw(rng, x_shape, (windows, k * c))
    sums = VVTU(weights, multiplier=multiplier, pe=c, x_shape=x_shape, w_shape=w_shape).model(x)
    thresholds = draw_thresholds(rng, sums, steps, fall, channels=1 if alike else c * multiplier)
    return VVTU(weights, multiplier=multiplier, pe=pe, x_shape=x_shape, w_shape=w_shape,
                thresholds=thresholds, **options), x


def run_and_compare(dut, x, *, densities=(0, 0), seed=0):
    """Hold the unit to its model, and every transfer to its schedule; return the ``Run``."""
    i_density, o_density = densities
    y, run = run_vectors(dut, x, len(dut.weights), i_gap=stalls(seed, i_density),
                         o_gap=stalls(seed + 1, o_density))
    assert y.tolist() == dut.model(x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return run


def test_model_is_a_product_for_every_channel():
    dut, x = make((3, 2, 4, 1), KINDS[7])
    windows, kernels = x.reshape(-1, 4, 3), dut.weights.reshape(3, 2, 4)
    for c in range(3):
        for j in range(2):
            assert (dut.model(x)[:, 2 * c + j] == windows[:, :, c] @ kernels[c, j]).all()


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_model_and_keeps_its_schedule(fold, kind):
    run_and_compare(*make(fold, kind), densities=(.4, .4))


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("densities", STALLS)
def test_stalls_change_nothing(fold, densities):
    dut, x = make(fold, KINDS[3], windows=8)
    run_and_compare(dut, x, densities=densities, seed=3)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("fold", FOLDS[:6])
def test_equals_model_wherever_the_weights_are(fold, memory):
    dut, x = make(fold, KINDS[4], memory=memory)
    run_and_compare(dut, x)


@pytest.mark.parametrize("fold", [(4, 1, 3, 1), (5, 2, 3, 1), (12, 1, 2, 2)])
def test_sums_may_be_in_block_ram(fold, monkeypatch):
    monkeypatch.setattr("quinnoa.rtl.vvtu.block_is_cheaper", lambda *size, **kind: True)
    for kind in (KINDS[0], KINDS[7]):
        dut, x = make(fold, kind)
        assert dut._deep
        run_and_compare(dut, x)
        run_and_compare(dut, x, densities=(.4, .4))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(fold=st.tuples(st.integers(1, 5), st.integers(1, 2), st.integers(1, 5), st.integers(1, 3)),
       kind=st.tuples(st.sampled_from([BIPOLAR, *(f(b) for f in (unsigned, signed)
                                                  for b in (1, 2, 3, 8))]),
                      st.sampled_from([BIPOLAR, signed(2), signed(3), unsigned(1), signed(8)]),
                      st.sampled_from([None, 0, 1, 2, 3, 7, 15]),
                      st.sampled_from(["none", "rows", "any"])),
       seed=st.integers(0, 2 ** 16), alike=st.booleans(),
       densities=st.sampled_from([(0, 0), *STALLS]))
def test_random_units_equal_their_models(fold, kind, seed, alike, densities):
    groups, multiplier, k, pe = fold
    dut, x = make((groups * pe, multiplier, k, pe), kind, seed=seed, alike=alike)
    run_and_compare(dut, x, densities=densities, seed=seed)


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[5], KINDS[7]])
def test_ii_and_latency_are_as_stated(fold, kind):
    dut, x = make(fold, kind, windows=6)
    run = run_and_compare(dut, x)
    c, _, k, pe = fold
    groups = c // pe
    assert dut.ii == k * groups
    assert set(np.diff(run.i_cycles).tolist()) == {1} or len(run.i_cycles) == 1
    assert set(np.diff(run.o_cycles[groups - 1::groups]).tolist()) == {dut.ii}
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency


@pytest.mark.parametrize("family, fold, kind", [
    (XC7, FOLDS[0], KINDS[0]), (XC7, FOLDS[1], KINDS[1]), (XC7, FOLDS[6], KINDS[2]),
    (XC7, FOLDS[7], KINDS[4]), (XCUP, FOLDS[6], KINDS[4]), (XCUP, FOLDS[2], KINDS[6]),
    *(pytest.param(XC7, fold, kind, marks=pytest.mark.slow)
      for fold in (FOLDS[0], FOLDS[1]) for kind in KINDS),
])
def test_equals_model_in_primitives(family, fold, kind, monkeypatch):
    monkeypatch.setattr("quinnoa.rtl.plan.Instance", primitive)
    dut, x = make(fold, kind, family=family, windows=3)
    run_and_compare(dut, x, densities=(.3, .3))


@pytest.mark.parametrize("x_shape", [BIPOLAR, unsigned(1), unsigned(8), signed(8), unsigned(16)])
@pytest.mark.parametrize("w_shape", [BIPOLAR, signed(2), unsigned(8), signed(8)])
def test_extremes_do_not_overflow(x_shape, w_shape):
    (w_low, w_high), (x_low, x_high) = range_of(w_shape), range_of(x_shape)
    weights = np.array([[w_low] * 4, [w_high] * 4, [w_low, w_high] * 2, [w_high, w_low] * 2])
    # A window is four vectors of four channels.
    x = np.array([[low] * 8 + [high] * 8 for low in (x_low, x_high) for high in (x_low, x_high)]
                 + [[x_low, x_high] * 8, ([x_low] * 4 + [x_high] * 4) * 2])
    sums = VVTU(weights, pe=4, x_shape=x_shape, w_shape=w_shape).model(x)
    for thresholds in (None, Thresholds(sums.max(axis=0)[:, None], BIPOLAR)):
        run_and_compare(VVTU(weights, pe=2, x_shape=x_shape, w_shape=w_shape,
                             thresholds=thresholds), x)


@pytest.mark.parametrize("weights, x_shape, w_shape, values, width", [
    (np.ones((2, 7)), BIPOLAR, BIPOLAR, None, 3),        # -7 ... 7, odd: 0 ... 7 and a half
    (np.ones((2, 7)), unsigned(2), signed(8), None, 5),  # 0 ... 21
    (-np.ones((2, 7)), unsigned(2), signed(8), None, 6),
    (np.ones((2, 7)), BIPOLAR, BIPOLAR, [[0]], 3),       # 4 of 7 equal: -4 ... 3
    (np.eye(2, 7), signed(8), signed(8), [[-5], [90]], 9),
])
def test_accumulators_are_as_narrow_as_the_weights_allow(weights, x_shape, w_shape, values, width):
    thresholds = None if values is None else Thresholds(values, BIPOLAR)
    dut = VVTU(weights.astype(int), pe=1, x_shape=x_shape, w_shape=w_shape, thresholds=thresholds)
    assert dut.acc_width == width


def test_one_step_a_row_needs_no_comparator():
    rng = np.random.default_rng(0)
    dut = VVTU(rng.choice([-1, 1], (8, 9)), pe=2, x_shape=BIPOLAR, w_shape=BIPOLAR,
               thresholds=Thresholds(rng.integers(-5, 6, (8, 1)), BIPOLAR))
    assert (dut._bank.thresholds.values == 0).all()


def test_steps_that_are_never_reached_are_none():
    weights, x = [[1, 1], [1, -1], [2, 0]], np.array([[3, 0, 1, 3, 1, 0], [0, 3, 3, 0, 3, 1]])
    thresholds = Thresholds([[1, 4], [0, NEVER], [NEVER, NEVER]], unsigned(2), base=[0, 2, 3])
    run_and_compare(VVTU(weights, pe=1, x_shape=unsigned(2), w_shape=signed(3),
                         thresholds=thresholds), x)


W = np.ones((4, 9), int)
FEW = Thresholds([[1], [2], [3]], BIPOLAR)


@pytest.mark.parametrize("weights, options, error, message", [
    (W, {"pe": 3}, ValueError, "PE must divide C: C is 4, PE is 3"),
    (W, {"pe": 0}, ValueError, "PE must divide C: C is 4, PE is 0"),
    (W, {"multiplier": 2, "pe": 4}, ValueError, "PE must divide C: C is 2, PE is 4"),
    (W, {"multiplier": 3}, ValueError,
     "M must divide the rows of the weights: there are 4, M is 3"),
    (W, {"multiplier": 0}, ValueError,
     "M must divide the rows of the weights: there are 4, M is 0"),
    (W * -5, {}, ValueError, "weights must lie in [-4, 3] to fit signed(3): they span [-5, -5]"),
    (W[0], {}, ValueError, "weights must be a matrix (MH, MW): they have shape (9,)"),
    (W / 2, {}, TypeError, "weights must be integers: they are float64"),
    (W, {"thresholds": FEW}, ValueError,
     "there must be thresholds for 1 row or for all: MH is 4, they are for 3"),
    (W, {"thresholds": [1]}, TypeError, "thresholds must be Thresholds: they are list"),
    (W, {"memory": "dsp"}, ValueError,
     "memory must be auto, logic, lutrom, block: it is 'dsp'"),
])
def test_refuses_what_it_cannot_build(weights, options, error, message):
    options = {"pe": 1, "x_shape": unsigned(4), "w_shape": signed(3), **options}
    with pytest.raises(error) as raised:
        VVTU(weights, **options)
    assert str(raised.value) == message


@pytest.mark.parametrize("style", ["parallel", "search"])
def test_thresholds_are_compared_as_asked(style):
    dut, x = make((4, 1, 9, 2), (BIPOLAR, signed(2), 3, "rows"), style=style)
    assert isinstance(dut._bank, Search) == (style == "search")
    run_and_compare(dut, x)
