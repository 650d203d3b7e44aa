# amaranth: UnusedElaboratable=no
"""Tests of graph/solver.py: against exhaustive search, and against what is laid."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from amaranth import signed, unsigned

from benchmarks.topologies import network
from quinnoa.errors import FoldError
from quinnoa.graph.components import component
from quinnoa.graph.fold import fold_from_file, folds_as_toml, pins_from_file
from quinnoa.graph.lanes import axes, cycles
from quinnoa.graph.layers import Add, Depthwise, Fold, MatMul, Reduce, Stream, Window
from quinnoa.graph.network import Network
from quinnoa.graph.resources import (
    Resources,
    buffer_resources,
    estimate,
    layer_resources,
    unit_resources,
)
from quinnoa.graph.solver import (
    DEFAULT_BUDGET,
    Budget,
    _Search,
    achievable,
    plan_of,
    solve_cycles,
    solve_fit,
)
from quinnoa.graph.solver_costs import Terms, ends_resources, network_resources
from quinnoa.graph.solver_widths import at_end, between, least_between
from quinnoa.platforms.frames import FrameFormat, FrameReader, FrameWriter
from quinnoa.platforms.memory_shell import _beats_beside
from quinnoa.rtl.bank import STYLES
from quinnoa.rtl.families import XC7
from quinnoa.rtl.shapes import BIPOLAR
from tests.layered import cnv_like


def mlp():
    return network((6, 4, 3), [(1, 1), (1, 1)], (2, 2, 2))


def branches():
    """Return a network of a matrix beside a stream that passes it by."""
    rng = np.random.default_rng(1)
    image = Stream((1, 2, 4), unsigned(3))
    layers = (
        MatMul("mvtu0", image, Stream((1, 2, 4), signed(7)), feeds=("",), w_shape=signed(2),
               weights=rng.integers(-1, 2, (4, 4))),
        Add("add0", image, Stream((1, 2, 4), unsigned(4)), multipliers=(1, 1), more=(image,),
            feeds=("", "")),
        Add("add1", Stream((1, 2, 4), signed(7)), Stream((1, 2, 4), signed(8)),
            multipliers=(1, 1), more=(Stream((1, 2, 4), unsigned(4)),), feeds=("mvtu0", "add0")),
        MatMul("mvtu1", Stream((8,), signed(8)), Stream((2,), signed(13)), feeds=("add1",),
               weights=rng.integers(-1, 2, (2, 8)), w_shape=signed(2)))
    return Network("branches", "branches", b"", None, layers, None)


def images():
    """Return a network of windows, a depthwise product and a pool, whose input is read twice."""
    rng = np.random.default_rng(2)
    image, windows = Stream((4, 4, 2), unsigned(2)), Stream((2, 2, 18), unsigned(2))
    layers = (
        Window("swu0", image, windows, kernel=(3, 3), feeds=("",)),
        Depthwise("vvtu0", windows, Stream((2, 2, 4), signed(7)), weights=rng.integers(
            -1, 2, (4, 9)), w_shape=signed(2), feeds=("swu0",)),
        Reduce("pool0", Stream((2, 2, 4), signed(7)), Stream((4,), signed(9)), op="sum", vectors=4,
               feeds=("vvtu0",)),
        MatMul("mvtu0", Stream((4,), signed(9)), Stream((3,), signed(12)), feeds=("pool0",),
               weights=rng.integers(-1, 2, (3, 4)), w_shape=signed(2)))
    return Network("images", "images", b"", None, layers, None)


def lines():
    """Return a network of two pools whose windows keep some kilobits each."""
    u8 = unsigned(8)
    layers = (
        Window("swu0", Stream((8, 64, 4), u8), Stream((6, 62, 36), u8), kernel=(3, 3)),
        Reduce("pool0", Stream((6, 62, 36), u8), Stream((6, 62, 4), u8), op="max", vectors=9),
        Window("swu1", Stream((6, 62, 4), u8), Stream((5, 60, 24), u8), kernel=(2, 3)),
        Reduce("pool1", Stream((5, 60, 24), u8), Stream((5, 60, 4), u8), op="max", vectors=6))
    return Network("lines", "lines", b"", None, layers, None)


NETWORKS = {"lines": lines(), "mlp": mlp(), "branches": branches(), "images": images()}
XC = Terms()


def all_folds(layer, terms):
    """Return every fold there is of a layer: all numbers, padded or not, all that may be chosen."""
    keys = [axis.key for axis in axes(layer)]
    for values in itertools.product(*(
            range(1, axis.size + 1) if axis.pads else axis.choices for axis in axes(layer))):
        uneven = any(axis.size % value and value not in axis.more
                     for axis, value in zip(axes(layer), values, strict=True))
        kinds = ["lutrom", "block"] if isinstance(layer, MatMul | Depthwise) else ["auto"]
        if isinstance(layer, Window):
            kinds = ["lutram", "block", *["ultra"] * terms.ultra]
        stepped = getattr(layer, "thresholds", None) is not None and not terms.writable
        # Three steps that are the same in all cycles are not searched for.
        whole = values[0] >= axes(layer)[0].size
        styles = STYLES[:1] if stepped and whole else STYLES if stepped else ["auto"]
        for memory, steps in itertools.product(kinds, styles):
            yield Fold(**dict(zip(keys, values, strict=True)), memory=memory, pad=uneven,
                       steps=steps)


_ALL = {}


def whole(net, terms):
    """Return what a network takes, with what a shell lays at its ends."""
    return network_resources(net, terms) + ends_resources(net, terms)


def exhausted(name, terms=XC):
    """Return cycles, LUTs, block RAMs, UltraRAMs, flip-flops of a network in all of all folds."""
    if (name, terms) not in _ALL:
        net, found = NETWORKS[name], []
        folded_layers = [[layer.folded(fold) for fold in all_folds(layer, terms)]
                         for layer in net.layers]
        for layers in itertools.product(*folded_layers):
            folded = net.with_layers(layers)
            need = whole(folded, terms)
            found.append((max(map(cycles, folded.layers)), need.lut, need.bram36, need.uram,
                          need.ff))
        _ALL[name, terms] = np.array(found)
    return _ALL[name, terms]


TARGETS = {"mlp": (1, 2, 5, 6, 12, 24), "branches": (2, 3, 4, 8, 20), "images": (36, 72, 144)}


@pytest.mark.parametrize("name, writable", [
    *((name, False) for name in TARGETS), ("mlp", True)])
def test_no_folds_at_all_are_cheaper(name, writable):
    terms = Terms(writable=writable)
    every = exhausted(name, terms)
    shares = every[:, 1:3] / [DEFAULT_BUDGET.limits[0], DEFAULT_BUDGET.limits[1] / 2]
    for target in TARGETS[name]:
        solution = solve_cycles(NETWORKS[name], target, writable=writable, steps=False)
        best = shares[every[:, 0] <= target].sum(axis=1).min()
        assert solution.exact and solution.cycles <= target
        assert solution.whole == whole(solution.network, terms)
        assert DEFAULT_BUDGET.cost(solution.whole) == pytest.approx(best)


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("slack", [0.0, 0.1, 0.4])
def test_no_folds_at_all_that_fit_are_faster(name, slack):
    every = exhausted(name)
    # Between the least LUTs and the most, a few block RAMs or none.
    least = every[:, 1].min()
    for rams in (0, 1, 2.5):
        lut = int(least + slack * (np.median(every[:, 1]) - least)) + 1
        budget = Budget(lut=lut, bram36=rams, lut_share=1.0, bram_share=1.0)
        expect_fastest(name, every, budget, XC)


def expect_fastest(name, every, budget, terms):
    """Hold the solver to the fastest of all folds that fit, and the cheapest; return it."""
    fit = every[(every[:, 1] <= budget.lut) & (every[:, 2] <= budget.bram36)
                & (every[:, 3] <= budget.uram) & (every[:, 4] <= budget.limits[3])]
    if not len(fit):
        with pytest.raises(FoldError, match="the smallest design needs"):
            solve_fit(NETWORKS[name], budget, family=terms.family, measure=False)
        return None
    solution = solve_fit(NETWORKS[name], budget, family=terms.family, measure=False, steps=False)
    assert solution.cycles == fit[:, 0].min()
    assert budget.holds(solution.whole)
    fit = fit[fit[:, 0] == solution.cycles]
    assert budget.cost(solution.whole) == pytest.approx(
        min(budget.cost(Resources(round(lut), 0, bram36, round(uram)))
            for _, lut, bram36, uram, _ in fit))
    return solution


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("slack", [0.02, 0.2, 0.6])
def test_no_folds_that_have_enough_flip_flops_are_faster(name, slack):
    every = exhausted(name)
    budget = Budget(lut=10 ** 6, bram36=100, lut_share=1.0)
    free = solve_fit(NETWORKS[name], budget, measure=False, steps=False)
    least = every[:, 4].min()
    flips = int(least + slack * (free.whole.ff - least))
    budget = replace(budget, ff=round(flips / 0.9))
    found = expect_fastest(name, every, budget, XC)
    assert found.whole.ff <= budget.limits[3] < free.whole.ff
    assert found.cycles >= free.cycles


@pytest.mark.parametrize("above", [0, 2, 5, 24])
def test_the_fastest_that_fits_is_found_from_any_cycles_on(above):
    network = NETWORKS["branches"]
    bare = solve_cycles(network, 8, steps=False).whole
    search = _Search(network, "xc7", Budget(bare.lut, 0, lut_share=1.0), None, False, False)
    fit = [target for target in achievable(network)
           if target >= above and search.fits(target, search.limits)]
    assert search.fastest_within(search.limits, above) == fit[0]


def test_too_few_flip_flops_are_named():
    with pytest.raises(FoldError, match=r"^the smallest design needs about \d+ LUT and 0 block "
                                        r"RAMs and \d+ flip-flops, but the device has 20000 and 20 "
                                        r"and 9, of which 70 % and 90 % may be used"):
        solve_fit(NETWORKS["mlp"], Budget(lut=20_000, bram36=20, ff=9))


@pytest.mark.parametrize("slack, rams, ultra, kept", [
    (0.1, 0, 0, None), (0.02, 0, 1, None), (0.1, 0, 1, 1), (0.02, 0.5, 1, 1), (0.02, 0, 3, 2),
    (0.02, 1, 0, 0)])
def test_windows_are_kept_in_ultraram_where_that_is_best(slack, rams, ultra, kept):
    every = exhausted("lines", Terms("xcup", ultra=True))
    lut = int(every[:, 1].min() + slack * np.ptp(every[:, 1]))
    budget = Budget(lut=lut, bram36=rams, lut_share=1.0, bram_share=1.0, uram=ultra)
    found = expect_fastest("lines", every, budget, Terms("xcup", ultra=ultra > 0))
    assert (found and found.whole.uram) == kept


def pinned(tmp_path, net, text):
    file = tmp_path / "pin.toml"
    file.write_text(text)
    return pins_from_file(net, file)


def folded(net, *folds):
    """Return a network in folds, its streams of the shapes that its units give."""
    shapes, layers = {"": net.i.shape}, []
    for layer, givers, fold in zip(net.layers, net.feeds, folds, strict=True):
        first, *more = (replace(stream, shape=shapes[giver]) for giver, stream in
                        zip(givers, (layer.i, *layer.more), strict=True))
        layer = replace(layer, i=first, more=tuple(more), fold=fold)
        shapes[layer.name] = component(layer, XC7).o.payload.shape().elem_shape
        layers.append(replace(layer, o=replace(layer.o, shape=shapes[layer.name])))
    return net.with_layers(layers)


@pytest.mark.parametrize("name, folds", [
    ("mlp", [Fold(3, 4, pad=True), Fold(2, 3, pad=True)]),
    # The input is read three times at as many lanes, or at others.
    ("branches", [Fold(2, 2), Fold(2), Fold(4), Fold(1, 3, pad=True)]),
    ("branches", [Fold(4, 1), Fold(2), Fold(1), Fold(1, 8)]),
    ("images", [Fold(simd=2), Fold(1), Fold(4), Fold(1, 2)]),
    ("images", [Fold(simd=18), Fold(2), Fold(2), Fold(3, 3, pad=True)])])
def test_reckons_with_every_unit_that_is_laid(name, folds):
    net, laid = folded(NETWORKS[name], *folds), Resources()
    for unit in plan_of(net, "xc7").units:
        if unit.layer is not None:
            laid += layer_resources(unit.layer, unit.layer.fold, "xc7")
        elif not hasattr(unit.component, "depth"):
            laid += unit_resources(unit.component, "xc7")
    assert network_resources(net, XC, layer_resources) == laid


@pytest.mark.parametrize("family, word_bits", [("xc7", 64), ("xcup", 128), ("ecp5", 32)])
@pytest.mark.parametrize("shape, dims, lanes", [
    (unsigned(8), (8, 8, 4), 4), (unsigned(8), (8, 8, 16), 16), (BIPOLAR, (768,), 128),
    (BIPOLAR, (896,), 56), (signed(3), (16, 16, 4), 2), (unsigned(2), (64, 64), 64)])
def test_ends_are_those_of_a_shell(family, word_bits, shape, dims, lanes):
    stream = Stream(dims, shape)
    form = FrameFormat.of(shape, lanes=lanes, beats=dims[-1] // lanes * stream.vectors,
                          word_bits=word_bits)
    beside = _beats_beside(form)
    for frames, gives in ((FrameReader(form), False), (FrameWriter(form), True)):
        laid = buffer_resources(beside, lanes * form.bits, family) if beside else Resources()
        for unit in frames.units:
            laid += unit_resources(unit, family)
        assert at_end(stream, lanes, family, gives=gives) == laid


def test_width_converters_take_no_less_than_the_search_supposes():
    rng = np.random.default_rng(4)
    for _ in range(60):
        channels, bits = int(rng.integers(2, 200)), int(rng.integers(1, 9))
        given, taken = (int(n) for n in rng.integers(1, channels + 1, 2))
        stream = Stream((channels,), BIPOLAR if bits == 1 else unsigned(bits))
        for family in ("xc7", "xcup", "ecp5"):
            least = least_between(stream, given, stream, taken)
            assert between(stream, given, stream, taken, family).need.lut >= least


def test_what_is_pinned_stays_and_the_rest_is_the_best(tmp_path):
    net = NETWORKS["mlp"]
    pins = pinned(tmp_path, net, "[mvtu0]\npe = 4\nmemory = 'block'\n[mvtu1]\nsimd = 3\n")
    found = solve_cycles(net, 8, pins=pins, steps=False)
    first, second = (layer.fold for layer in found.network.layers)
    assert (first.pe, first.memory, second.simd, second.pad) == (4, "block", 3, True)
    every = [net.with_layers([net.layers[0].folded(Fold(4, simd, "block", 6 % simd != 0)),
                              net.layers[1].folded(Fold(pe, 3, memory, True))])
             for simd in range(1, 7) for pe in range(1, 4) for memory in ("lutrom", "block")]
    best = min(DEFAULT_BUDGET.cost(whole(each, XC)) for each in every
               if max(map(cycles, each.layers)) <= 8)
    assert DEFAULT_BUDGET.cost(found.whole) == pytest.approx(best)


@pytest.mark.parametrize("pe", [2, 16, 24])
def test_a_few_lanes_tell_what_a_search_takes(pe):
    layer = network((48, 96, 4), [(1, 1), (1, 1)], (3, 3, 3)).layers[0]
    fold = Fold(pe, 8, "lutrom", steps="search")
    assert estimate(layer, fold, "xc7").lut == pytest.approx(
        layer_resources(layer, fold, "xc7").lut, rel=0.03)


def test_thresholds_are_compared_in_the_style_that_takes_less():
    net = network((32, 32, 8), [(1, 1), (1, 1)], (2, 2, 2))
    found = solve_cycles(net, 256, steps=False)
    assert [layer.fold.steps for layer in found.network.layers] == ["search", "auto"]
    pinned = solve_cycles(net, 256, pins={"mvtu0": {"steps": "parallel"}}, steps=False)
    assert pinned.whole.lut > found.whole.lut
    # The same folds laid, too.
    in_parallel = replace(found.network.layers[0].fold, steps="parallel")
    first = found.network.layers[0]
    assert layer_resources(first, in_parallel, "xc7").lut > layer_resources(
        first, first.fold, "xc7").lut


@pytest.mark.parametrize("text, target, message", [
    ("[mvtu0]\npe = 1\nsimd = 2", 8,
     "mvtu0 needs at least 12 cycles a frame, with pe = 1, simd = 2: 8 cannot be reached"),
    ("[mvtu0]\npe = 5", 8, "mvtu0: PE is 5, but MH is only 4"),
    ("[mvtu0]\nsimd = 4\npad = false", 8,
     "mvtu0: SIMD must divide MW: MW is 6, SIMD is 4; take 3 or 6, or pad = true (pads to 8)"),
    ("[mvtu2]\npe = 1", 8, "there is no layer mvtu2; the layers are mvtu0, mvtu1"),
])
def test_refuses_pins_that_cannot_be(tmp_path, text, target, message):
    net = NETWORKS["mlp"]
    with pytest.raises(FoldError) as error:
        solve_cycles(net, target, pins=pinned(tmp_path, net, text))
    assert str(error.value).removeprefix(f"{tmp_path / 'pin.toml'}: ") == message


def test_solutions_are_read_again_from_their_file(tmp_path):
    found = solve_cycles(NETWORKS["mlp"], 5, steps=False).network
    file = tmp_path / "fold.toml"
    file.write_text(folds_as_toml(found))
    again = fold_from_file(NETWORKS["mlp"], file)
    assert [layer.fold for layer in again.layers] == [layer.fold for layer in found.layers]


def test_fifos_fit_the_budget_too():
    # What passes a convolution by waits for its windows.
    image, windows = Stream((8, 8, 4), unsigned(4)), Stream((8, 8, 36), unsigned(4))
    net = folded(Network("skip", "skip", b"", None, (
        Window("swu0", image, windows, kernel=(3, 3), pads=(1, 1, 1, 1), feeds=("",)),
        MatMul("mvtu0", windows, image, weights=np.random.default_rng(5).integers(
            -1, 2, (4, 36)), w_shape=signed(2), feeds=("swu0",)),
        Add("add0", image, image, multipliers=(1, 1), more=(image,), feeds=("mvtu0", ""))),
        None), Fold(), Fold(), Fold())
    bare = solve_cycles(net, 300, steps=False).whole.lut
    budget = Budget(lut=bare, bram36=0, lut_share=1.0)
    free = solve_fit(net, budget, measure=False, steps=False)
    solution = solve_fit(net, budget, steps=False)
    assert solution.buffers.lut > 0
    assert budget.holds(solution.whole)
    assert solution.least == free.cycles < solution.cycles
    assert f"Without FIFOs {free.cycles} cycles would fit; nothing below that does." \
        in solution.explain()


@pytest.mark.parametrize("target", [128, 256, 1024])
@pytest.mark.parametrize("name", ["mvtu0", "pool0"])
def test_more_pixels_at_once_than_are_needed_save_nothing(name, target):
    net = cnv_like()
    least = solve_cycles(net, target, steps=False)
    assert all(layer.pixels == 1 for layer in least.network.layers)
    more = solve_cycles(net, target, pins={name: {"pixels": 2}}, steps=False)
    assert DEFAULT_BUDGET.cost(more.whole) >= DEFAULT_BUDGET.cost(least.whole)


def test_a_network_beyond_the_device_is_the_cheapest_all_the_same():
    solution = solve_cycles(NETWORKS["mlp"], 1, budget=Budget(lut=10, bram36=1))
    assert not solution.as_dict()["fits"]
    assert solution.faster is None
    assert solution.network.layers[0].fold == Fold(4, 6)
