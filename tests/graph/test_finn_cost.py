"""Tests of graph/finn_cost.py: FINN's own model, as its tests and reports pin it."""

from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from amaranth import signed, unsigned

import quinnoa
from benchmarks.tincy_yolo import FOLDS, tincy_yolo
from benchmarks.topologies import network
from quinnoa.errors import FoldError
from quinnoa.graph.checker import check_network
from quinnoa.graph.finn_cost import finn_accumulator_bits, finn_cost, finn_folds
from quinnoa.graph.fold import cycles, fold_from_file
from quinnoa.graph.layers import Depthwise, Fold, Layer, Reduce, Stream, Threshold, TopK, Window
from quinnoa.graph.network import Network
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds
from tests.cnn_models import Grid, Net, cnv, input_scale

FOLD_FILES = Path(__file__).resolve().parents[2] / "benchmarks/folds"


def nid():
    """Return NID 600-64-64-64-1: W2, bipolar inputs, activations of 2 bits, a bit out.

    FINN's accumulators of 9, 8, 7 and 7 bits are those of its trained weights, which are not
    here: these are -1, 0 and +1 in such shares that they have as many.
    """
    rng = np.random.default_rng(0)
    plain = network((600, 64, 64, 64, 1), [(1, 1)] * 4, (1, 2, 2))
    layers = []
    for layer, share in zip(plain.layers, (0.3, 0.8, 0.35, 0.5), strict=True):
        weights = rng.choice([-1, 0, 1], layer.weights.shape, p=(share / 2, 1 - share, share / 2))
        layers.append(replace(layer, weights=weights))
    layers[-1] = replace(layers[-1], o=Stream((1,), BIPOLAR), thresholds=Thresholds([[0]], BIPOLAR))
    return plain.with_layers(layers)


@cache
def published_cnv():
    return fold_from_file(quinnoa.load(cnv(1, 1)), FOLD_FILES / "cnv_w1a1.toml")


def one(layer: Layer, *more: Layer):
    """Return FINN's figures of a layer that feeds the others."""
    return finn_cost(Network("one", "one", b"", None, (layer, *more), None))[0]


def window(dims, kernel, *, stride=1, dilation=1, pads=(0, 0, 0, 0), simd, shape=BIPOLAR):
    reach = (kernel - 1) * dilation + 1
    oh = (dims[0] + pads[0] + pads[2] - reach) // stride + 1
    ow = (dims[1] + pads[1] + pads[3] - reach) // stride + 1
    return Window("swu0", Stream(dims, shape), Stream((oh, ow, kernel ** 2 * dims[2]), shape),
                  Fold(simd=simd), kernel=(kernel, kernel), stride=(stride, stride),
                  dilation=(dilation, dilation), pads=pads)


def test_finns_own_golden_case():
    found = finn_folds(nid(), fps=1e6, clock_mhz=100)
    costs = finn_cost(found)
    assert [(layer.fold.pe, layer.fold.simd) for layer in found.layers] == [
        (32, 15), (4, 16), (4, 16), (1, 1)]
    assert [cost.cycles for cost in costs] == [80, 64, 64, 64]
    assert [cost.accumulator_bits for cost in costs] == [9, 8, 7, 7]
    assert [cost.lut for cost in costs] == [5263, 1162, 1158, 316]
    assert sum(cost.lut for cost in costs) == 7899
    assert [cost.bram18 for cost in costs] == [27, 4, 4, 1]


def test_tincy_yolo_takes_389376_cycles_in_each_of_its_first_eight_products():
    found = tincy_yolo()
    check_network(found)
    costs = dict(zip((layer.name for layer in found.layers), finn_cost(found), strict=True))
    products = [layer for layer in found.layers if layer.kind == "mvtu"]
    assert [(layer.fold.pe, layer.fold.simd) for layer in products] == FOLDS
    assert [layer.o.dims[0] for layer in products] == [208, 208, 104, 52, 26, 13, 13, 13, 13]
    for layer in products[:8]:
        assert cycles(layer) == costs[layer.name].cycles == 389_376
    assert cycles(products[8]) == costs["mvtu8"].cycles == 13 * 13 * 64 * 5


def test_windows_and_products_of_cnv_add_up_to_finns_critical_path():
    total = sum(cost.cycles for layer, cost in zip(
        published_cnv().layers, finn_cost(published_cnv()), strict=True)
        if layer.kind == "mvtu" or layer.source.startswith("Conv"))
    # The last convolution's window is the whole image: FINN lays one, 9 * 8 in and 9 * 8 out.
    assert total + 144 == 245_175


def test_accumulators_hold_all_sums_and_no_more():
    rng = np.random.default_rng(1)
    for x_shape in (signed(3), unsigned(2), BIPOLAR):
        weights = rng.integers(-3, 4, (4, 5))
        values = (-1, 1) if x_shape == BIPOLAR else range(-4, 4) if x_shape.signed else range(4)
        sums = weights @ np.array(list(product(values, repeat=5))).T
        bits = finn_accumulator_bits(weights, x_shape, signed(3))
        assert -2 ** (bits - 1) <= sums.min() and sums.max() < 2 ** (bits - 1)
        assert sums.min() < -2 ** (bits - 2) or sums.max() >= 2 ** (bits - 2)


@pytest.mark.parametrize("weights, x_shape, w_shape, bits", [
    ([[1, 1, 1]], unsigned(2), signed(2), 4),           # 0 to 9: no sign
    ([[0, 0]], unsigned(2), signed(2), 1),
    ([[1, 1, 1, -1]], BIPOLAR, BIPOLAR, 3),             # -1 to 3, as of zeros and ones
    ([[1, 1, 1, -1]], BIPOLAR, signed(2), 4),           # -4 to 4
])
def test_accumulators_are_signed_only_where_sums_are(weights, x_shape, w_shape, bits):
    assert finn_accumulator_bits(np.array(weights), x_shape, w_shape) == bits


def test_accumulators_that_leave_the_network_are_whole_bytes():
    first, last = finn_cost(network((64, 32, 10), [(1, 1), (1, 1)], (1, 1, 1)))
    assert (first.accumulator_bits, last.accumulator_bits) == (7, 8)


@pytest.mark.parametrize("fold, bram18", [
    (Fold(1, 1), 32), (Fold(2, 1), 32), (Fold(4, 1), 32), (Fold(8, 1), 32), (Fold(1, 16), 32),
    (Fold(16, 4), 32), (Fold(32, 64), 57), (Fold(64, 64), 114), (Fold(512, 512), 7282)])
def test_block_rams_of_weights_follow_finns_table(fold, bram18):
    layer = network((512, 1024, 1), [(fold.pe, fold.simd), (1, 1)], (1, 1, 1)).layers[0]
    assert one(layer).bram18 == bram18


def test_weights_in_luts_take_no_block_ram():
    layer = network((64, 64, 1), [(4, 8), (1, 1)], (1, 1, 1)).layers[0]
    block, lutrom = (one(layer.folded(Fold(4, 8, memory))) for memory in ("block", "lutrom"))
    # PE * SIMD * W bits, 64 words to a LUT; 128 words
    assert lutrom.lut == block.lut + 4 * 8 * 2
    assert (block.bram18, lutrom.bram18) == (1, 0)


@pytest.mark.parametrize("layer, expected", [
    # (2 * 34 + 2 + 1) + 32 * 32 * 9; padding makes the image 34 wide
    (window((32, 32, 4), 3, pads=(1, 1, 1, 1), simd=4), 71 + 32 * 288),
    # Windows of one tap: the image is longer than what leaves.
    (window((8, 8, 4), 1, stride=2, simd=2), 2 + 4 * 2 * 8 * 2),
    # The whole window at once: a beat a pixel, and 2.
    (window((8, 8, 4), 3, simd=36), 66),
    (replace(window((8, 1, 4), 1, simd=2), kernel=(3, 1), o=Stream((6, 1, 12), BIPOLAR)),
     6 * 3 * 2 + 2)])
def test_cycles_of_windows_follow_finns_formula(layer, expected):
    assert one(layer).cycles == expected


def test_depthwise_windows_of_stride_2_cost_more():
    dims, i = (8, 8, 4), Stream((3, 3, 36), BIPOLAR)
    pool = Reduce("pool0", i, Stream((3, 3, 4), BIPOLAR), Fold(pe=2), op="max", vectors=9)
    layer = window(dims, 3, stride=2, simd=2)
    # OW * (sw - 1) * (cf - 1) a line, (sh - 1) * W * cf a frame
    assert one(layer, pool).cycles == one(layer).cycles + 3 * 3 * 1 + 8 * 2
    assert finn_cost(Network("", "", b"", None, (layer, pool), None))[1].cycles == 9 * 36 // 2
    # In one dimension cf * (k - 1) * (s - 1) - (k - 1) a frame.
    i = Stream((3, 1, 12), BIPOLAR)
    line = replace(window((8, 1, 4), 1, simd=2), kernel=(3, 1), stride=(2, 1), o=i)
    pool = Reduce("pool0", i, Stream((3, 1, 4), BIPOLAR), Fold(pe=2), op="max", vectors=3)
    assert one(line, pool).cycles == one(line).cycles + 2 * 2 * 1 - 2


@pytest.mark.parametrize("layer, bram18", [
    (window((32, 32, 64), 3, simd=64), 2),              # 67 words of 64 bits
    (window((64, 64, 64), 3, simd=4), 1),               # 2,096 words of 4 bits
    (window((64, 64, 512), 5, simd=1, shape=signed(4)), 33),    # 8 * 16,384 + 2,560 of 4
    (window((64, 64, 64), 3, simd=576), 4)])            # two lines of 61 words
def test_block_rams_of_lines_follow_finns_ladder(layer, bram18):
    assert one(layer).bram18 == bram18


def test_a_depthwise_product_compares_in_luts():
    i = Stream((4, 4, 72), unsigned(2))
    layer = Depthwise("vvtu0", i, Stream((4, 4, 8), unsigned(2)), Fold(pe=2),
                      weights=np.ones((8, 9), np.int64), w_shape=signed(2),
                      thresholds=Thresholds([[1, 2, 3]], unsigned(2)))
    cost = one(layer)
    # acc = 5; mult + adder + acc + thr + cmp = 4 + 4 + 5 + 3 * 5 * 4 / 64 + 3 * 5
    assert (cost.cycles, cost.accumulator_bits) == (16 * 9 * 4, 5)
    assert cost.lut == int(300 + 1.1 * 2 * (4 + 4 + 5 + 60 / 64 + 15))
    assert cost.bram18 == 1


def test_other_layers_take_their_beats():
    i = Stream((4, 6), signed(5))
    threshold = Threshold("threshold0", i, Stream((4, 6), unsigned(2)), Fold(pe=2),
                          thresholds=Thresholds([[1, 2, 3]], unsigned(2)))
    top = TopK("topk0", Stream((10,), signed(5)), Stream((1,), unsigned(4)), Fold(pe=5))
    assert (one(threshold).cycles, one(threshold).lut) == (4 * 3, 10 + 10)
    assert one(top).cycles == 2


@pytest.mark.parametrize("fps, target", [(100, 1_000_000), (3000, 33_333)])
def test_every_layer_gets_below_the_target(fps, target):
    costs = finn_cost(finn_folds(published_cnv(), fps=fps, clock_mhz=100))
    assert max(cost.cycles for cost in costs) < target


def test_a_second_pass_balances_what_the_first_could_not_reach():
    found = finn_folds(nid(), fps=25e6, clock_mhz=100)
    costs = finn_cost(found)
    # 600 / 15 columns at 64 rows side by side: 40 cycles, which the others then may take, too.
    assert [cost.cycles for cost in costs] == [40, 32, 32, 32]
    assert (found.layers[1].fold.pe, found.layers[1].fold.simd) == (8, 16)


def test_windows_take_the_lanes_of_the_pool_behind_them():
    net = Net((8, 8, 8), Grid(input_scale(4), 4))
    x = net.activation(net.conv(net.x, 8, 1, w_bits=2), Grid(1.0, 2, signed=False))
    net = quinnoa.load(net.done(net.fc(net.flatten(net.max_pool(x, 3, stride=2, pads=1)), 4)))
    found = finn_folds(net, fps=2e5, clock_mhz=100)
    folds = {layer.name: layer.fold for layer in found.layers}
    # 16 windows of 9 * 8 elements in less than 500 cycles
    assert (folds["swu0"].simd, folds["pool0"].pe) == (4, 4)


def test_maxima_over_windows_side_by_side_take_a_pixel_a_cycle():
    costs = {cost.name: cost.cycles for cost in finn_cost(published_cnv())}
    assert [costs[name] for name in ("swu2", "pool0", "swu5", "pool1")] == [0, 980, 0, 125]
    folds = {layer.name: layer.fold for layer in finn_folds(published_cnv(), 3000, 100).layers}
    assert (folds["swu5"].simd, folds["pool1"].pe) == (128, 128)


def test_refuses_less_than_a_cycle():
    with pytest.raises(FoldError) as error:
        finn_folds(nid(), fps=2e8, clock_mhz=100)
    assert str(error.value) == "2e+08 frames/s at 100 MHz leave less than one cycle a frame"
