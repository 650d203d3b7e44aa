# amaranth: UnusedElaboratable=no
"""Tests of graph/writable.py."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from amaranth import signed, unsigned

import quinnoa
from quinnoa.errors import QuinnoaError, UnsupportedModel
from quinnoa.graph.build import build
from quinnoa.graph.checker import check_network
from quinnoa.graph.layers import Depthwise, Fold, MatMul, Reduce, Stream
from quinnoa.graph.network import Network
from quinnoa.graph.products import accumulator_shape
from quinnoa.graph.units import plan
from quinnoa.graph.writable import contents, same_shape, shape_id, shape_text, widened
from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.packing import pack, unpack
from quinnoa.rtl.families import GENERIC, XC7
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim.verilator import simulate
from quinnoa.verilog import to_verilog
from tests.cnn_models import cnv, resnet50
from tests.layered import branches, cnv_like
from tests.models import mlp
from tests.rewritten import Rewritten

MNIST = Path(__file__).parents[2] / "examples" / "mnist"


def other_of(network, seed):
    """Return a network of the same shape with other weights and thresholds."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in network.layers:
        if isinstance(layer, MatMul | Depthwise):
            low, high = range_of(layer.w_shape)
            layer = replace(layer, weights=rng.choice(
                [-1, 1] if is_bipolar(layer.w_shape) else np.arange(low, high + 1),
                layer.weights.shape))
        if getattr(layer, "thresholds", None) is not None:
            layer = replace(layer, thresholds=steps(rng, layer.thresholds.shape,
                                                    layer.o.channels))
        layers.append(layer)
    return network.with_layers(layers)


def steps(rng, shape, channels):
    """Return thresholds about 0, of which some channels fall."""
    low, high = (0, 1) if is_bipolar(shape) else range_of(shape)
    falls = rng.random(channels) < .3
    return Thresholds(np.sort(rng.integers(-9, 10, (channels, high - low))), shape,
                      np.where(falls, high, low), np.repeat(falls[:, None], high - low, axis=1))


def run_twice(network, other, *, frames=4, name="top"):
    """Run frames through a network's RTL, write the other's contents, and run them again."""
    accelerator, planned = build(network, writable=True)
    i, o = network.i, widened(network).layers[-1].o
    codes = np.random.default_rng(0).integers(*range_of(i.shape), (frames, *i.dims), endpoint=True)
    if is_bipolar(i.shape):
        codes = np.where(codes > 0, 1, -1)
    top = AxiStream(
        Rewritten(accelerator, contents(other, planned), beats_in=frames * planned.beats_in,
                  beats_out=frames * planned.beats_out),
        beats_in=planned.beats_in, beats_out=planned.beats_out)
    words = pack(np.concatenate([codes, codes]).reshape(-1, i.channels), i.shape,
                 lanes=planned.i_lanes)
    run = simulate(to_verilog(top, name=name), name, words, frames=2 * frames,
                   beats_in=planned.beats_in, beats_out=planned.beats_out)
    y = unpack(run.words, o.shape, lanes=planned.o_lanes, elements=o.channels)
    expected = np.concatenate([net.run_integers(codes) for net in (network, other)])
    assert y.reshape(-1).tolist() == expected.reshape(-1).tolist()


@pytest.mark.parametrize("make", [cnv_like, branches])
def test_a_written_network_is_computed_exactly(make):
    network = make()
    run_twice(network, other_of(network, 1))


@pytest.mark.slow
@pytest.mark.parametrize("make, fps", [
    (lambda seed: mlp((16, 8, 8, 4), w_bits=4, a_bits=8, seed=seed), 1e6),
    (lambda seed: mlp((16, 8, 8, 4), w_bits=1, a_bits=1, seed=seed), 1e5),
    (lambda seed: cnv(1, 2, seed=seed, small=True), 1e3),
], ids=["eight bits", "bipolar", "CNV"])
def test_one_random_model_is_written_over_another(make, fps):
    network, other = (quinnoa.load(make(seed)) for seed in (1, 2))
    run_twice(network.fold(fps=fps), other, frames=2)


@pytest.mark.slow
def test_a_written_onnx_network_is_computed_exactly():
    network = quinnoa.load(MNIST / "tfc_w2a2.onnx").fold(file=MNIST / "tfc_fold.toml")
    run_twice(network, other_of(network, 2), frames=8)


def wide():
    """Return a layer whose few thresholds give eight bits, a pool of sums, and plain sums."""
    rng = np.random.default_rng(4)
    i, image = Stream((2, 2, 6), signed(4)), Stream((2, 2, 4), unsigned(8))
    thresholds = Thresholds(np.sort(rng.integers(-30, 30, (4, 9))), image.shape)
    mvtu0 = MatMul("mvtu0", i, image, Fold(2, 3), "Conv_0", weights=rng.integers(-2, 2, (4, 6)),
                   w_shape=signed(2), thresholds=thresholds)
    pool0 = Reduce("pool0", image, Stream((4,), unsigned(10)), Fold(2), op="sum", vectors=4)
    weights = rng.integers(-3, 4, (5, 4))
    mvtu1 = MatMul("mvtu1", pool0.o, Stream((5,), accumulator_shape(weights, pool0.o.shape)),
                   Fold(5, 2), weights=weights, w_shape=signed(3))
    return Network("wide", "wide.onnx", b"", None, (mvtu0, pool0, mvtu1), None)


def test_many_thresholds_become_a_layer_of_their_own():
    network = wide()
    made = widened(network)
    assert [(layer.name, layer.o.shape) for layer in made.layers] == [
        # 6 * [-8, 7] * [-2, 1]
        ("mvtu0", signed(8)), ("mvtu0_steps", unsigned(8)), ("pool0", unsigned(10)),
        # 4 * 1023 * [-4, 3]
        ("mvtu1", signed(15))]
    assert made.layers[1].fold == Fold(2)
    x = np.random.default_rng(0).integers(-8, 8, (5, 2, 2, 6))
    assert made.run_integers(x).tolist() == network.run_integers(x).tolist()
    run_twice(network, other_of(network, 3))


@pytest.mark.parametrize("make", [cnv_like, branches, wide])
def test_to_be_widened_again_changes_nothing(make):
    once = widened(make())
    again = widened(once)
    assert [(layer.name, layer.i, layer.o) for layer in again.layers] == [
        (layer.name, layer.i, layer.o) for layer in once.layers]
    assert shape_text(once) == shape_text(make())
    check_network(once)


@pytest.mark.parametrize("make", [cnv_like, branches, wide])
def test_shape_text_depends_on_neither_weights_nor_names(make):
    network, other = make(), other_of(make(), 5)
    renamed = other.renamed("other")
    assert shape_text(network) == shape_text(renamed)
    assert shape_id(network) == shape_id(renamed) < 1 << 64
    assert same_shape(network, renamed) == same_shape(renamed, network) == []


@pytest.mark.parametrize("make", [
    lambda seed: mlp((16, 8, 8, 4), w_bits=3, a_bits=5, seed=seed),
    lambda seed: cnv(2, 2, seed=seed, small=True),
    lambda seed: resnet50(size=32, width=4, seed=seed),
], ids=["MLP", "CNV", "residual"])
def test_models_of_one_topology_are_of_one_shape(make):
    network, other = (quinnoa.load(make(seed)) for seed in (1, 2))
    assert same_shape(network, other) == same_shape(other, network) == []
    assert shape_id(network) == shape_id(other)


def test_shape_text_depends_on_folds_and_family():
    network = wide()
    folded = network.with_layers([network.layers[0].folded(Fold(4, 3)), *network.layers[1:]])
    texts = {shape_text(network), shape_text(folded), shape_text(network, XC7)}
    assert len(texts) == 3
    assert same_shape(network, folded) == []


def change(k, **changes):
    """Return the wide network with layer k changed."""
    network = wide()
    layers = list(network.layers)
    layers[k] = replace(layers[k], **changes)
    return network.with_layers(layers)


@pytest.mark.parametrize("other, lines", [
    (cnv_like(), ["there are 7 layers; 4 are expected"]),
    (change(2, weights=np.full((5, 4), 5), w_shape=signed(4)),
     ["mvtu1: weights span [5, 5]; signed(3) is expected"]),
    (change(2, weights=np.ones((3, 4), int), o=Stream((3,), unsigned(12)), fold=Fold()),
     ["mvtu1: gives: (3,) of signed(15); (5,) of signed(15) is expected",
      "mvtu1: weights: [3, 4]; [5, 4] is expected"]),
])
def test_tells_what_differs(other, lines):
    assert same_shape(wide(), other) == lines


def test_narrower_weights_fit():
    network = wide()
    ones = np.random.default_rng(0).choice([-1, 1], (5, 4))
    other = change(2, weights=ones, w_shape=BIPOLAR,
                   o=Stream((5,), accumulator_shape(ones, unsigned(10))))
    assert same_shape(network, other) == []
    assert same_shape(other, network) == [
        "mvtu1: weights span [-3, 3] with 0; bipolar is expected"]
    run_twice(network, other)


def test_contents_refuse_another_shape():
    planned = plan(widened(wide()), GENERIC, writable=True)
    with pytest.raises(QuinnoaError) as raised:
        contents(cnv_like(), planned)
    assert str(raised.value) == ("cnv is not of the accelerator's shape:\n"
                                 "there are 7 layers; 4 are expected")
    with pytest.raises(QuinnoaError) as raised:
        contents(wide(), plan(wide(), GENERIC))
    assert str(raised.value) == "wide: the accelerator was not built writable"


BOTH_WAYS = Thresholds([[0, 4]] * 4, unsigned(8), falls=[[False, True]] * 4)
RANKS = Thresholds([[0, 4]] * 4, unsigned(12))


@pytest.mark.parametrize("network, line", [
    (change(0, thresholds=BOTH_WAYS),
     "mvtu0 (Conv_0): thresholds that are written rise or fall in all steps of a channel: "
     "channel 0 does both"),
    (change(0, thresholds=RANKS),
     "mvtu0 (Conv_0): thresholds to 12 bits; at most 8 can be written"),
    (change(2, fold=Fold(5, 2, "logic")),
     'mvtu1: memory = "logic" cannot be written; take auto, lutrom or block'),
    (change(0, fold=Fold(steps="search")),
     'mvtu0 (Conv_0): steps = "search" cannot be written; take auto or parallel'),
])
def test_refuses_what_cannot_be_written(network, line):
    with pytest.raises(UnsupportedModel) as raised:
        widened(network)
    assert str(raised.value) == f"the network cannot be made writable:\n{line}"


def test_refuses_ranks_of_outputs_and_says_what_helps():
    network = quinnoa.load(MNIST / "tfc_w2a2.onnx", top=1)
    with pytest.raises(UnsupportedModel) as raised:
        widened(network)
    assert str(raised.value) == (
        "the network cannot be made writable:\nthreshold0 (ranks of the outputs): thresholds to 10 "
        "bits; at most 8 can be written; leave out top K, and compare on the host")


def test_only_the_contents_are_different_in_verilog():
    texts = []
    for network in (wide(), other_of(wide(), 6)):
        verilog = to_verilog(build(network, writable=True)[0], name="top")
        texts.append(re.sub(r"^ .*(\]|word_\d+) = \d+'[hd][0-9a-f]+;\n", "", verilog, flags=re.M))
    assert texts[0] == texts[1]
    assert "initial" in texts[0]
