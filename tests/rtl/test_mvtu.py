# amaranth: UnusedElaboratable=no
"""Tests of rtl/mvtu.py and rtl/rows.py."""

import numpy as np
import pytest
from amaranth import Cat, Const, Module, Mux, signed, unsigned
from hypothesis import given, settings
from hypothesis import strategies as st

from quinnoa.rtl.families import GENERIC, XC7, XCUP
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.thresholds import NEVER, Thresholds
from quinnoa.rtl.weights import MEMORIES
from quinnoa.sim.streams import run_vectors, schedule_cycles, stalls

FOLDS = [
    # mh, mw, pe, simd
    (4, 8, 1, 1),
    (4, 8, 2, 4),
    (4, 8, 4, 8),      # one beat in, one beat out: all weights are constant
    (6, 3, 2, 3),      # one input beat, replayed
    (4, 6, 4, 2),      # one output beat, nothing to replay
    (6, 12, 1, 4),     # SF is no power of two
    (1, 5, 1, 1),
    (5, 7, 2, 3),      # padded both ways
    (3, 10, 4, 4),     # more lanes than rows
]
KINDS = [
    # x, w, steps a row, which of them fall
    (BIPOLAR, BIPOLAR, 1, "none"),
    (BIPOLAR, BIPOLAR, 1, "rows"),
    (BIPOLAR, BIPOLAR, None, "none"),
    (BIPOLAR, signed(2), 3, "none"),
    (BIPOLAR, signed(4), None, "none"),    # odd and even sums
    (unsigned(2), signed(2), 3, "rows"),
    (unsigned(1), BIPOLAR, 2, "any"),
    (signed(4), BIPOLAR, None, "none"),
    (signed(3), unsigned(2), 7, "none"),
    (unsigned(8), signed(8), 15, "any"),
    (unsigned(4), signed(4), 15, "rows"),
    (signed(3), signed(2), 9, "rows"),
    (unsigned(16), signed(3), None, "none"),
    (signed(2), signed(8), 0, "none"),
]
STALLS = [(.5, 0), (0, .5), (.1, .9)]


def draw(rng, shape, size):
    """Draw values of ``shape``, its extremes in the first and the last of several rows."""
    low, high = range_of(shape)
    drawn = rng.choice([-1, 1], size) if is_bipolar(shape) else rng.integers(low, high + 1, size)
    if len(drawn) > 1:
        drawn[0], drawn[-1] = low, high
    return drawn


def draw_thresholds(rng, sums, steps, fall, *, channels):
    """Draw thresholds among ``sums`` (vectors, MH), some out of reach."""
    if steps is None:
        return None
    reach = np.abs(sums).max() + 2
    values = rng.integers(-reach, reach + 1, size=(channels, steps))
    values = np.where(rng.random(values.shape) < .6, rng.choice(sums.ravel(), values.shape), values)
    falls = {"none": np.zeros(values.shape, bool),
             "rows": np.repeat(rng.random((channels, 1)) < .5, steps, axis=1),
             "any": rng.random(values.shape) < .5}[fall]
    # The lowest level of a row is 0 or 1; the highest then is at most one more than the steps.
    levels = np.cumsum(np.where(falls, -1, 1), axis=1, dtype=np.int64)
    base = -np.minimum(levels.min(axis=1, initial=0), 0)
    if steps == 1:
        return Thresholds(np.sort(values), BIPOLAR, base=base, falls=falls)
    base += rng.integers(2, size=channels)
    return Thresholds(np.sort(values), unsigned((steps + 1).bit_length()), base=base, falls=falls)


def make(fold, kind, *, seed=0, vectors=5, alike=False, **options):
    """Make a unit of random weights and thresholds, and vectors for it."""
    mh, mw, pe, simd = fold
    x_shape, w_shape, steps, fall = kind
    rng = np.random.default_rng(seed)
    weights, x = draw(rng, w_shape, (mh, mw)), draw(rng, x_shape, (vectors, mw))
    thresholds = draw_thresholds(rng, x @ weights.T, steps, fall, channels=1 if alike else mh)
    dut = MVTU(weights, pe=pe, simd=simd, x_shape=x_shape, w_shape=w_shape, thresholds=thresholds,
               pad=True, **options)
    return dut, x


def run_and_compare(dut, x, *, densities=(0, 0), seed=0):
    """Hold the unit to its model, and every transfer to its schedule; return the ``Run``."""
    i_density, o_density = densities
    y, run = run_vectors(dut, x, dut.mh, i_gap=stalls(seed, i_density),
                         o_gap=stalls(seed + 1, o_density))
    assert y.tolist() == dut.model(x).tolist()
    assert (run.i_cycles, run.o_cycles) == schedule_cycles(
        dut.schedule, run.i_offers, run.o_ready, len(run.beats))
    return run


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("kind", KINDS)
def test_equals_model_and_keeps_its_schedule(fold, kind):
    run_and_compare(*make(fold, kind), densities=(.4, .4))


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("style, steps", [("search", 1), ("search", 3), ("search", 4),
                                          ("parallel", 7)])
def test_thresholds_are_compared_as_asked(fold, style, steps):
    dut, x = make(fold, (unsigned(2), signed(3), steps, "rows"), style=style)
    assert (dut._bank is None) == (style == "parallel")
    run_and_compare(dut, x, densities=(.4, .4))


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("densities", STALLS)
def test_stalls_change_nothing(fold, densities):
    dut, x = make(fold, (unsigned(2), signed(3), 3, "none"), vectors=12)
    run_and_compare(dut, x, densities=densities, seed=3)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("fold", [FOLDS[0], FOLDS[2], FOLDS[3], FOLDS[5], FOLDS[7]])
def test_equals_model_wherever_the_weights_are(fold, memory):
    dut, x = make(fold, (BIPOLAR, BIPOLAR, 1, "none"), memory=memory)
    assert dut.weight_memory.style == ("constant" if dut.ii == 1 else memory)
    run_and_compare(dut, x, densities=(.3, .3))


@pytest.mark.parametrize("memory", ["lutrom", "block"])
def test_beats_replayed_from_block_ram_pass_a_second_register(memory):
    kind = unsigned(8), signed(2), 1, "none"
    shallow, _ = make((2, 256, 1, 4), kind, memory=memory)
    deep, x = make((2, 260, 1, 4), kind, memory=memory, vectors=3)
    run = run_and_compare(deep, x, densities=(.2, 0))
    assert run.i_offers and deep.schedule.latency == shallow.schedule.latency + 1


@settings(max_examples=40, deadline=None, derandomize=True)
@given(fold=st.tuples(*[st.integers(1, 9)] * 2, *[st.integers(1, 4)] * 2),
       kind=st.tuples(st.sampled_from([BIPOLAR, *(f(b) for f in (unsigned, signed)
                                                  for b in (1, 2, 3, 8))]),
                      st.sampled_from([BIPOLAR, signed(2), signed(3), unsigned(1), signed(8)]),
                      st.sampled_from([None, 0, 1, 2, 3, 7, 15]),
                      st.sampled_from(["none", "rows", "any"])),
       seed=st.integers(0, 2 ** 16), alike=st.booleans(),
       densities=st.sampled_from([(0, 0), *STALLS]))
def test_random_units_equal_their_models(fold, kind, seed, alike, densities):
    run_and_compare(*make(fold, kind, seed=seed, alike=alike), densities=densities, seed=seed)


@pytest.mark.parametrize("fold", FOLDS)
@pytest.mark.parametrize("kind", [KINDS[0], KINDS[2], KINDS[9]])
def test_ii_and_latency_are_as_stated(fold, kind):
    dut, x = make(fold, kind, vectors=6)
    run = run_and_compare(dut, x)
    mh, mw, pe, simd = fold
    assert dut.ii == -(-mh // pe) * -(-mw // simd)
    assert set(np.diff(run.o_cycles[dut.nf - 1::dut.nf]).tolist()) == {dut.ii}
    assert set(np.diff(run.i_cycles[::dut.sf]).tolist()) == {dut.ii}
    assert run.o_cycles[0] - run.i_cycles[0] == dut.latency


def primitive(kind, **pins):
    """Describe the Xilinx primitive ``kind`` in plain logic, as UG953 has it."""
    m = Module()
    if kind.startswith("LUT"):
        init = pins["p_INIT"]
        address = Cat(pins[f"i_I{k}"] for k in range(int(kind[3])))
        out = pins["o_O6" if kind == "LUT6_2" else "o_O"]
        m.d.comb += out.eq(init.bit_select(address, 1))
        if kind == "LUT6_2":
            m.d.comb += pins["o_O5"].eq(init.bit_select(address[:5], 1))
        return m
    carry = pins["i_CI"] | pins.get("i_CYINIT", Const(0, 1))
    assert kind in ("CARRY4", "CARRY8")
    o, co = [], []
    for k in range(len(pins["i_S"])):
        o.append(pins["i_S"][k] ^ carry)
        carry = Mux(pins["i_S"][k], carry, pins["i_DI"][k])
        co.append(carry)
    m.d.comb += [pins["o_O"].eq(Cat(o)), pins["o_CO"].eq(Cat(co))]
    return m


@pytest.mark.parametrize("family, fold, kind", [
    *((XC7, fold, kind) for fold, kind in zip(FOLDS, KINDS[:9], strict=True)),
    (XCUP, FOLDS[1], KINDS[1]), (XCUP, FOLDS[7], KINDS[5]),
])
def test_equals_model_in_primitives(family, fold, kind, monkeypatch):
    monkeypatch.setattr("quinnoa.rtl.plan.Instance", primitive)
    dut, x = make(fold, kind, family=family)
    run_and_compare(dut, x, densities=(.3, .3))


@pytest.mark.parametrize("x_shape", [BIPOLAR, unsigned(1), signed(1), unsigned(8), signed(8),
                                     unsigned(16)])
@pytest.mark.parametrize("w_shape", [BIPOLAR, signed(2), unsigned(8), signed(8)])
def test_extremes_do_not_overflow(x_shape, w_shape):
    (w_low, w_high), (x_low, x_high) = range_of(w_shape), range_of(x_shape)
    weights = np.array([[w_low] * 6, [w_high] * 6, [w_low] * 3 + [w_high] * 3])
    x = np.array([[x_low] * 6, [x_high] * 6, [x_low] * 3 + [x_high] * 3,
                  [x_high] * 3 + [x_low] * 3])
    sums = x @ weights.T
    # Without thresholds, and with one that only the highest sum reaches.
    for thresholds in (None, Thresholds(sums.max(axis=0)[:, None], BIPOLAR)):
        run_and_compare(MVTU(weights, pe=1, simd=2, x_shape=x_shape, w_shape=w_shape,
                             thresholds=thresholds), x)


@pytest.mark.parametrize("weights, x_shape, w_shape, values, width", [
    (np.ones((2, 7)), BIPOLAR, BIPOLAR, None, 3),        # -7 ... 7, odd: 0 ... 7 and a half
    (np.ones((2, 7)), unsigned(2), signed(8), None, 5),  # 0 ... 21
    (-np.ones((2, 7)), unsigned(2), signed(8), None, 6),
    (np.ones((2, 7)), BIPOLAR, BIPOLAR, [[0]], 3),       # 4 of 7 equal: -4 ... 3
    (np.ones((2, 7)), BIPOLAR, BIPOLAR, [[-6]], 4),      # 1 of 7: -1 ... 6
    (np.eye(2, 7), signed(8), signed(8), [[-5], [90]], 9),
])
def test_accumulators_are_as_narrow_as_the_weights_allow(weights, x_shape, w_shape, values, width):
    thresholds = None if values is None else Thresholds(values, BIPOLAR)
    dut = MVTU(weights.astype(int), pe=1, simd=1, x_shape=x_shape, w_shape=w_shape,
               thresholds=thresholds)
    assert dut.acc_width == width


def test_y_is_as_narrow_as_the_weights_allow():
    def shape(weights, x_shape):
        return MVTU(weights, pe=1, simd=1, x_shape=x_shape, w_shape=signed(8)).y_shape
    assert shape([[1, 2]], unsigned(2)) == unsigned(4)
    assert shape([[1, 2], [0, -1]], unsigned(2)) == signed(5)
    assert shape([[0, 0]], unsigned(2)) == unsigned(1)


def test_rows_that_fall_cost_no_more_than_rows_that_rise():
    rng = np.random.default_rng(0)
    weights, values = rng.choice([-1, 1], (8, 16)), rng.integers(-8, 8, (8, 1))
    rising = Thresholds(values, BIPOLAR)
    # y falls where the same row with its weights negated rises.
    falls = rng.random((8, 1)) < .5
    falling = Thresholds(np.where(falls, 1 - values, values), BIPOLAR, base=falls[:, 0],
                         falls=falls)
    units = [MVTU(w, pe=2, simd=4, x_shape=BIPOLAR, w_shape=BIPOLAR, thresholds=t)
             for w, t in ((weights, rising), (np.where(falls, -weights, weights), falling))]
    contents = [[store.words for store, _ in unit._constants.values()] for unit in units]
    assert contents[0] == contents[1]
    assert units[0].weight_memory.words == units[1].weight_memory.words


def test_rows_that_do_not_fall_all_the_way_stay_within_their_shape():
    # The first row can be turned into one that rises, from 0; the second cannot.
    thresholds = Thresholds([[0, 2, NEVER], [0, 2, 3]], unsigned(2), base=[2, 3],
                            falls=np.ones((2, 3), bool))
    dut = MVTU([[1, 1, -1], [1, -2, 1]], pe=1, simd=1, x_shape=signed(3), w_shape=signed(2),
               thresholds=thresholds)
    run_and_compare(dut, np.random.default_rng(0).integers(-4, 4, (20, 3)))


@pytest.mark.parametrize("steps", [0, 1, 3, 4])
def test_constant_channels_need_no_base(steps):
    values = np.array([[0] * steps, [10 ** 6] * steps])
    for base in ([0, 0], [0, steps], [2, 2 + steps]):
        thresholds = Thresholds(values, unsigned(4), base=base)
        dut = MVTU([[1, 1, 1]] * 2, pe=1, simd=1, x_shape=signed(2), w_shape=signed(2),
                   thresholds=thresholds)
        if "base" in dut._constants:
            assert dut._constants["base"][0].style == "constant"
        x = np.array([[-2, -2, -2], [1, 1, 1], [0, 0, 0]])
        run_and_compare(dut, x)


@pytest.mark.parametrize("fall, searched", [("none", True), ("rows", True), ("any", False)])
def test_searches_for_many_steps_where_rows_only_rise_or_only_fall(fall, searched):
    dut, _ = make((6, 12, 2, 4), (unsigned(4), signed(4), 15, fall))
    assert (dut._bank is not None) == searched
    assert ("compare" in dut._constants) != searched
    # Where all rows rise the middle step is the sign of the sum: the first level reads nothing.
    assert fall != "none" or not any(table.width for table, _ in dut._bank._tables[0])


W = np.ones((4, 8), int)
FEW = Thresholds([[1], [2], [3]], BIPOLAR)


@pytest.mark.parametrize("weights, options, error, message", [
    (W, {"pe": 3}, ValueError,
     "PE must divide MH: MH is 4, PE is 3 (2 or 4 would do, or pad=True, which pads MH to 6)"),
    (W, {"simd": 3}, ValueError,
     "SIMD must divide MW: MW is 8, SIMD is 3 (2 or 4 would do, or pad=True, which pads MW to 9)"),
    (W, {"pe": 5}, ValueError,
     "PE must divide MH: MH is 4, PE is 5 (4 would do, or pad=True, which pads MH to 5)"),
    (W, {"pe": 0}, ValueError, "PE must be at least 1: it is 0"),
    (W, {"simd": -1}, ValueError, "SIMD must be at least 1: it is -1"),
    (W * -5, {}, ValueError, "weights must lie in [-4, 3] to fit signed(3): they span [-5, -5]"),
    (W * 0, {"w_shape": BIPOLAR}, ValueError,
     "bipolar weights are -1 or +1: there is a 0 among them"),
    (W[0], {}, ValueError, "weights must be a matrix (MH, MW): they have shape (8,)"),
    (W[:0], {}, ValueError, "weights must be a matrix (MH, MW): they have shape (0, 8)"),
    (W / 2, {}, TypeError, "weights must be integers: they are float64"),
    (W, {"thresholds": FEW}, ValueError,
     "there must be thresholds for 1 row or for all: MH is 4, they are for 3"),
    (W, {"thresholds": [1]}, TypeError, "thresholds must be Thresholds: they are list"),
    (W, {"memory": "dsp"}, ValueError,
     "memory must be auto, logic, lutrom, block: it is 'dsp'"),
    (W, {"style": "both"}, ValueError, "style must be auto, parallel, search: it is 'both'"),
    (W, {"style": "search", "writable": True}, ValueError,
     'thresholds that are written are compared in parallel: style is "search"'),
    (W, {"style": "search", "thresholds": Thresholds([[0, 2]], unsigned(1), falls=[[0, 1]])},
     ValueError, "a search needs channels that only rise or only fall: channel 0 does both"),
])
def test_refuses_what_it_cannot_build(weights, options, error, message):
    options = {"pe": 1, "simd": 1, "x_shape": unsigned(4), "w_shape": signed(3), **options}
    with pytest.raises(error) as raised:
        MVTU(weights, **options)
    assert str(raised.value) == message


def test_a_fold_of_one_is_plain_logic():
    dut, _ = make((4, 8, 4, 8), KINDS[0], family=XC7)
    assert dut._accumulator().family is GENERIC
