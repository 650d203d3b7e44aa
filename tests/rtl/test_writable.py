# amaranth: UnusedElaboratable=no
"""Tests of units whose contents are written at run time."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.families import XC7
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of, shape_for
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.thresholds import NEVER, Thresholds
from quinnoa.rtl.vvtu import VVTU
from quinnoa.sim.streams import run_streams, run_vectors, schedule_cycles, stalls
from tests.rewritten import Rewritten
from tests.rtl.test_mvtu import draw, primitive

MVTU_FOLDS = [
    # mh, mw, pe, simd
    (4, 8, 1, 1),
    (4, 8, 2, 4),
    (4, 8, 4, 8),       # one beat in, one beat out: all weights are in registers
    (6, 3, 2, 3),
    (4, 6, 4, 2),
    (5, 7, 2, 3),       # padded both ways
    (12, 40, 3, 20),    # words of several parts
]
VVTU_FOLDS = [
    # C, M, K, PE
    (4, 1, 9, 4), (4, 1, 9, 2), (8, 1, 3, 2), (4, 3, 4, 2), (6, 1, 1, 2), (3, 2, 1, 3),
]
KINDS = [
    # x, w, y
    (BIPOLAR, BIPOLAR, BIPOLAR),
    (BIPOLAR, BIPOLAR, None),
    (BIPOLAR, signed(3), None),         # odd and even sums
    (BIPOLAR, signed(2), unsigned(2)),
    (unsigned(2), signed(2), signed(2)),
    (unsigned(1), BIPOLAR, unsigned(1)),
    (signed(4), BIPOLAR, None),
    (unsigned(8), signed(8), unsigned(4)),
]
BANKS = [
    # style, channels, lanes, i_shape, shape
    ("parallel", 6, 2, unsigned(5), BIPOLAR),
    ("parallel", 6, 6, signed(5), BIPOLAR),
    ("parallel", 5, 2, signed(6), unsigned(2)),
    ("parallel", 5, 2, signed(6), signed(2)),       # past the end a level that is not the lowest
    ("parallel", 3, 2, BIPOLAR, unsigned(2)),
    ("parallel", 4, 2, unsigned(8), signed(4)),
    ("search", 6, 2, unsigned(5), BIPOLAR),
    ("search", 6, 6, signed(5), unsigned(2)),
    ("search", 5, 2, signed(6), signed(3)),
    ("search", 3, 2, BIPOLAR, unsigned(2)),
    ("auto", 2, 1, signed(12), unsigned(8)),
    ("parallel", 300, 1, signed(12), BIPOLAR),      # block RAM
    ("search", 150, 1, signed(12), unsigned(4)),    # in the last levels
]


def draw_steps(rng, shape, low, high, channels):
    """Draw thresholds to ``shape`` for integers in [low, high]: each channel rises or falls."""
    if shape is None:
        return None
    bottom, top = (0, 1) if is_bipolar(shape) else range_of(shape)
    steps = top - bottom
    # Some channels do not come through all levels.
    counts = np.where(rng.random(channels) < .5, steps, rng.integers(steps + 1, size=channels))
    values = np.sort(rng.integers(low - 1, high + 3, (channels, steps)), axis=1)
    values[np.arange(steps) >= counts[:, None]] = NEVER
    falls = rng.random(channels) < .4
    spare = rng.integers(steps - counts + 1)
    return Thresholds(values, shape, np.where(falls, top - spare, bottom + spare),
                      np.repeat(falls[:, None], steps, axis=1))


def make_mvtu(rng, fold, kind, **options):
    mh, mw, pe, simd = fold
    x_shape, w_shape, shape = kind
    weights, x = draw(rng, w_shape, (mh, mw)), draw(rng, x_shape, (9, mw))
    sums = x @ weights.T
    return MVTU(weights, pe=pe, simd=simd, x_shape=x_shape, w_shape=w_shape, pad=True,
                thresholds=draw_steps(rng, shape, sums.min(), sums.max(), mh), writable=True,
                **options)


def make_vvtu(rng, fold, kind, **options):
    c, multiplier, k, pe = fold
    x_shape, w_shape, shape = kind
    weights = draw(rng, w_shape, (c * multiplier, k))
    reach = int(np.abs(weights).sum(axis=1).max() * max(map(abs, range_of(x_shape))))
    return VVTU(weights, multiplier=multiplier, pe=pe, x_shape=x_shape, w_shape=w_shape,
                thresholds=draw_steps(rng, shape, -reach, reach, c * multiplier), writable=True,
                **options)


def make_threshold(rng, style, channels, lanes, i_shape, shape):
    return ThresholdUnit(draw_steps(rng, shape, *range_of(i_shape), channels), channels=channels,
                         lanes=lanes, i_shape=i_shape, style=style, writable=True)


def parameters(unit):
    """Return what of a unit is written."""
    return [each for each in (getattr(unit, "weights", None), unit.thresholds) if each is not None]


def run_both(dut, other, x, elements_out, *, seed=0, densities=(.2, .2)):
    """Run x through a unit, write another's contents into it, and run x again."""
    beats_in, beats_out = (-(-elements // stream.payload.shape().length) * len(x)
                           for elements, stream in ((x.shape[1], dut.i), (elements_out, dut.o)))
    image = dut.contents(*parameters(other))
    top = Rewritten(dut, image, beats_in=beats_in, beats_out=beats_out, seed=seed)
    y, _ = run_vectors(top, np.concatenate([x, x]), elements_out,
                       i_gap=stalls(seed, densities[0]), o_gap=stalls(seed + 1, densities[1]))
    assert y.tolist() == [*dut.model(x).tolist(), *other.model(x).tolist()]


def run_unwritten(dut, x, elements_out):
    """Hold a unit that nothing was written into to its model and its schedule."""
    y, run = run_vectors(dut, x, elements_out, i_gap=stalls(1, .3), o_gap=stalls(2, .3))
    assert y.tolist() == dut.model(x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))


def some_of(folds, kinds):
    """Pair every fold with two kinds: so every kind is with a fold."""
    return [(fold, kinds[(k + j) % len(kinds)]) for k, fold in enumerate(folds) for j in (0, 3)]


@pytest.mark.parametrize("fold, kind", some_of(MVTU_FOLDS, KINDS))
def test_mvtu_equals_both_models(fold, kind):
    rng = np.random.default_rng(0)
    x = draw(rng, kind[0], (4, fold[1]))
    run_both(make_mvtu(rng, fold, kind), make_mvtu(rng, fold, kind), x, fold[0])


@pytest.mark.parametrize("kind", KINDS)
def test_mvtu_of_primitives_equals_both_models(kind, monkeypatch):
    monkeypatch.setattr("quinnoa.rtl.plan.Instance", primitive)
    rng = np.random.default_rng(7)
    duts = [make_mvtu(rng, (5, 7, 2, 3), kind, family=XC7) for _ in range(2)]
    run_both(*duts, draw(rng, kind[0], (3, 7)), 5)


@pytest.mark.parametrize("fold, kind", some_of(VVTU_FOLDS, KINDS))
def test_vvtu_equals_both_models(fold, kind):
    rng = np.random.default_rng(0)
    x = draw(rng, kind[0], (4, fold[0] * fold[2]))
    run_both(make_vvtu(rng, fold, kind), make_vvtu(rng, fold, kind), x, fold[0] * fold[1])


@pytest.mark.parametrize("made", BANKS)
def test_threshold_unit_equals_both_models(made):
    rng = np.random.default_rng(0)
    x = draw(rng, made[3], (8, made[1]))
    run_both(make_threshold(rng, *made), make_threshold(rng, *made), x, made[1])


@pytest.mark.parametrize("shape", [BIPOLAR, signed(2), unsigned(3)])
def test_add_equals_both_models(shape):
    rng = np.random.default_rng(0)
    shapes, multipliers = [signed(4), unsigned(2)], (3, -2)

    def make():
        return AddUnit(multipliers=multipliers, shapes=shapes, channels=6, lanes=2, writable=True,
                       thresholds=draw_steps(rng, shape, -30, 21, 6))

    dut, other = make(), make()
    xs = [draw(rng, each, (5, 6)) for each in shapes]
    # Of the second stream only beats that the first one's go with are taken.
    top = Rewritten(dut, dut.contents(other.thresholds), beats_in=15, beats_out=15)
    run = run_streams(top, [np.concatenate([x, x]).reshape(-1, 2).tolist() for x in xs], [30])
    expected = np.concatenate([dut.model(*xs), other.model(*xs)]).reshape(-1, 2)
    assert run.beats[0] == expected.tolist()


@pytest.mark.parametrize("make, args, i_shape, elements", [
    (make_mvtu, ((5, 7, 2, 3), KINDS[3]), KINDS[3][0], (7, 5)),
    (make_mvtu, ((4, 8, 4, 8), KINDS[0]), KINDS[0][0], (8, 4)),
    (make_mvtu, ((6, 12, 2, 4), KINDS[7]), KINDS[7][0], (12, 6)),
    (make_vvtu, ((8, 1, 3, 2), KINDS[4]), KINDS[4][0], (24, 8)),
    (make_threshold, BANKS[2], BANKS[2][3], (5, 5)),
    (make_threshold, BANKS[8], BANKS[8][3], (5, 5)),
])
def test_keeps_its_schedule_and_needs_no_write(make, args, i_shape, elements):
    rng = np.random.default_rng(2)
    run_unwritten(make(rng, *args), draw(rng, i_shape, (12, elements[0])), elements[1])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(fold=st.tuples(*[st.integers(1, 9)] * 2, *[st.integers(1, 4)] * 2),
       kind=st.tuples(st.sampled_from([BIPOLAR, unsigned(1), unsigned(3), signed(1), signed(8)]),
                      st.sampled_from([BIPOLAR, signed(2), signed(3), unsigned(1), signed(8)]),
                      st.sampled_from([None, BIPOLAR, unsigned(1), unsigned(3), signed(4)])),
       memory=st.sampled_from(["auto", "lutrom", "block"]), seed=st.integers(0, 2 ** 16))
def test_random_mvtus_equal_both_models(fold, kind, memory, seed):
    rng = np.random.default_rng(seed)
    duts = [make_mvtu(rng, fold, kind, memory=memory) for _ in range(2)]
    run_both(*duts, draw(rng, kind[0], (3, fold[1])), fold[0], seed=seed)


@pytest.mark.parametrize("make, args", [
    (make_mvtu, ((5, 7, 2, 3), kind)) for kind in KINDS] + [
    (make_vvtu, ((4, 3, 4, 2), kind)) for kind in KINDS] + [
    (make_threshold, made) for made in BANKS])
def test_nothing_but_the_contents_depends_on_weights(make, args):
    rng = np.random.default_rng(3)
    dut, other = make(rng, *args), make(rng, *args)
    assert dut.contents(*parameters(other)).tolist() == other.contents(
        *parameters(other)).tolist()
    assert dut.contents(*parameters(other)).tolist() != dut.contents(*parameters(dut)).tolist()
    assert (dut.latency, dut.ii, dut.words) == (other.latency, other.ii, other.words)
    assert dut.signature == other.signature


def test_long_vectors_have_their_thresholds_in_block_ram():
    rng = np.random.default_rng(0)
    styles = [{name: memory.style for name, memory in make_threshold(rng, *made)._bank
               .memories.items()} for made in BANKS[-2:]]
    assert styles == [{"steps": "block", "falls": "lutram"},
                      {"falls": "lutram", **{f"nodes_{level}_0": "lutram" if level < 1 else "block"
                                             for level in range(4)}}]


def test_shapes_are_those_of_the_types():
    weights = np.zeros((2, 5), int)
    dut = MVTU(weights, pe=1, simd=5, x_shape=unsigned(3), w_shape=signed(2), writable=True)
    # 5 * 7 * [-2, 1]
    assert dut.y_shape == shape_for(-70, 35)
    assert dut.acc_width == 8
    assert dut.weight_memory.style == "lutram"


@pytest.mark.parametrize("change, message", [
    ({"weights": np.ones((4, 7), int)}, "weights must be (4, 8): they are (4, 7)"),
    ({"weights": np.full((4, 8), 2)}, "weights must lie in [-1, 1] to fit bipolar: they span "
                                      "[2, 2]"),
    ({"thresholds": None}, "thresholds must be of unsigned(2): they are of None"),
    ({"thresholds": Thresholds([[0]], BIPOLAR)},
     "thresholds must be of unsigned(2): they are of bipolar"),
    ({"thresholds": Thresholds([[0, 1]] * 4, unsigned(2), falls=[[False, True]] * 4)},
     "thresholds that are written rise or fall in all steps of a channel: channel 0 does both"),
])
def test_refuses_contents_of_another_shape(change, message):
    dut = make_mvtu(np.random.default_rng(0), (4, 8, 2, 4), (unsigned(2), BIPOLAR, unsigned(2)))
    given = {"weights": dut.weights, "thresholds": dut.thresholds} | change
    with pytest.raises(ValueError) as raised:
        dut.contents(**given)
    assert str(raised.value) == message


def test_refuses_what_cannot_be_written():
    with pytest.raises(ValueError) as raised:
        make_mvtu(np.random.default_rng(0), (4, 8, 2, 4), KINDS[0], memory="logic")
    assert str(raised.value) == ("a memory that is written must be auto, lutrom, block: "
                                 "it is 'logic'")
    with pytest.raises(ValueError) as raised:
        AddUnit(multipliers=(1,), shapes=[signed(2)], channels=1, lanes=1, writable=True)
    assert str(raised.value) == "only thresholds of an Add can be written: there are none"
