"""Tests of graph/finn_folding.py: FINN's folding configurations on our layers."""

import json
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import quinnoa
from benchmarks.topologies import network
from quinnoa.errors import FoldError
from quinnoa.graph.finn_cost import finn_folds
from quinnoa.graph.finn_folding import finn_fold_from_file, is_finn_file
from quinnoa.graph.fold import cycles
from quinnoa.graph.lanes import axes
from quinnoa.graph.layers import Fold
from tests.cnn_models import Grid, Net, cnv, input_scale

ROOT = Path(__file__).resolve().parents[2]
FIFOS = "FIFO depths follow from the timing of the whole network"
TFC = network((784, 64, 64, 64, 10), [(1, 1)] * 4, (1, 1, 1))
# What FINN's examples have for TFC W1A1, and for CNV W1A1 in the older words.
TFC_CONFIG = {
    "Defaults": {},
    "Thresholding_hls_0": {"PE": 49, "ram_style": "distributed"},
    "MVAU_hls_0": {"PE": 16, "SIMD": 49, "ram_style": "block"},
    "MVAU_hls_1": {"PE": 8, "SIMD": 8, "ram_style": "auto"},
    "MVAU_hls_2": {"PE": 8, "SIMD": 8, "ram_style": "auto"},
    "MVAU_hls_3": {"PE": 10, "SIMD": 8, "ram_style": "distributed"},
    "LabelSelect_hls_0": {"PE": 1}}
CNV_FOLDS = [(16, 3), (32, 32), (16, 32), (16, 32), (4, 32), (1, 32), (1, 4), (1, 8), (5, 1)]
CNV_CONFIG = {
    "Thresholding_Batch_0": {"PE": 1},
    **{f"ConvolutionInputGenerator_{k}": {"SIMD": 32 if k else 3, "ram_style": "distributed"}
       for k in range(6)},
    **{f"MatrixVectorActivation_{k}": {"PE": pe, "SIMD": simd, "ram_style": "auto"}
       for k, (pe, simd) in enumerate(CNV_FOLDS)}}


@cache
def published_cnv():
    return quinnoa.load(cnv(1, 1))


@cache
def depthwise():
    """Return a network of a strided 1 x 1, a depthwise and a padded convolution, and pools."""
    grid = Grid(1.0, 2, signed=False)
    net = Net((8, 8, 8), Grid(input_scale(4), 4))
    x = net.activation(net.conv(net.x, 8, 1, w_bits=2, stride=2), grid)
    x = net.activation(net.conv(x, 8, 3, w_bits=2, groups=8, pads=1), grid)
    x = net.max_pool(net.activation(net.conv(x, 8, 3, w_bits=2, pads=1), grid), 2, stride=2)
    return quinnoa.load(net.done(net.fc(net.flatten(x), 4, w_bits=2)))


def folded(net, config, tmp_path):
    """Return the folds by layer, and the notes."""
    path = tmp_path / "folding.json"
    path.write_text(json.dumps(config))
    notes = []
    found = finn_fold_from_file(net, path, note=notes.append)
    return {layer.name: layer.fold for layer in found.layers}, notes


def refusal(net, config, tmp_path):
    with pytest.raises(FoldError) as error:
        folded(net, config, tmp_path)
    return str(error.value).removeprefix(f"{tmp_path / 'folding.json'}: ")


def test_nodes_fold_the_layers_of_their_kind_in_order(tmp_path):
    folds, notes = folded(TFC, TFC_CONFIG, tmp_path)
    assert folds == {"mvtu0": Fold(16, 49, "block"), "mvtu1": Fold(8, 8), "mvtu2": Fold(8, 8),
                     "mvtu3": Fold(10, 8, "lutrom")}
    assert notes == [
        "Thresholding_hls_0: ignored: thresholds are in the layers in front of them, or on the "
        "host",
        "LabelSelect_hls_0: ignored: the network ends with its outputs; --top 1 ends it with the "
        "greatest"]


def test_the_published_cnv_keeps_finns_bound(tmp_path):
    folds, notes = folded(published_cnv(), CNV_CONFIG, tmp_path)
    assert [(folds[f"mvtu{k}"].pe, folds[f"mvtu{k}"].simd) for k in range(9)] == CNV_FOLDS
    assert [folds[f"swu{k}"].simd for k in (0, 1, 3, 4, 6)] == [3, 32, 32, 32, 32]
    assert max(cycles(layer, folds[layer.name]) for layer in published_cnv().layers) == 32_768
    assert (folds["swu2"].simd, folds["pool0"].pe, folds["swu5"].simd) == (2, 2, 1)
    assert notes == [
        "ConvolutionInputGenerator_5: ignored: the window is the whole image",
        "Thresholding_Batch_0: ignored: thresholds are in the layers in front of them, or on the "
        "host",
        "ram_style of ConvolutionInputGenerator_0, _1, _2, _3, _4: ignored: the memory is chosen "
        "by its size",
        "swu2, pool0, swu5, pool1: not in the file, folded to keep within 32,768 cycles a frame"]


def test_windows_of_pools_and_of_one_tap_have_nodes_of_their_own(tmp_path):
    config = {
        "DownSampler_0": {"SIMD": 2}, "FMPadding_rtl_0": {"SIMD": 1},
        "ConvolutionInputGenerator_rtl_0": {"SIMD": 4}, "VVAU_hls_0": {"PE": 4},
        "ConvolutionInputGenerator_rtl_1": {"SIMD": 8, "parallel_window": 1},
        "ConvolutionInputGenerator_rtl_2": {"SIMD": 2}, "Pool_hls_0": {"PE": 2},
        "MVAU_rtl_0": {"PE": 2, "SIMD": 4}, "MVAU_rtl_1": {"PE": 4, "SIMD": 72},
        "MVAU_rtl_2": {"SIMD": 8}}
    folds, notes = folded(depthwise(), config, tmp_path)
    assert folds == {
        "swu0": Fold(simd=2), "mvtu0": Fold(2, 4), "swu1": Fold(simd=4), "vvtu0": Fold(4),
        "swu2": Fold(simd=72), "mvtu1": Fold(4, 72), "swu3": Fold(simd=2), "pool0": Fold(2),
        "mvtu2": Fold(1, 8)}
    assert notes == ["FMPadding_rtl_0: ignored: windows pad by themselves"]


def config_of(net):
    """Return the folding configuration that says what a network's folds are."""
    operators = {"mvtu": "MVAU_hls", "swu": "ConvolutionInputGenerator_rtl", "pool": "Pool_hls",
                 "vvtu": "VVAU_rtl", "add": "AddStreams_hls", "threshold": "Thresholding_rtl"}
    counts, config = Counter(), {}
    for layer in net.layers:
        keys = {axis.key for axis in axes(layer)}
        attributes = {key.upper(): getattr(layer.fold, key) for key in sorted(keys)}
        if layer.kind == "swu" and layer.fold.simd > layer.i.channels:
            attributes = {"SIMD": layer.i.channels, "parallel_window": 1}
        config[f"{operators[layer.kind]}_{counts[layer.kind]}"] = attributes
        counts[layer.kind] += 1
    return config


@pytest.mark.parametrize("name", ["cnv_w1a1", "resnet_w4a4"])
@pytest.mark.parametrize("fps", [500, 20_000])
def test_folds_come_back_from_a_configuration(name, fps, tmp_path):
    net = finn_folds(quinnoa.load(ROOT / f"examples/images/{name}.onnx"), fps, 100)
    folds, notes = folded(net, config_of(net), tmp_path)
    assert folds == {layer.name: layer.fold for layer in net.layers}
    assert notes == []


def test_operators_that_count_separately_stand_as_in_the_file(tmp_path):
    net = network((8, 8, 8, 8), [(1, 1)] * 3, (2, 2, 2))
    config = {"MVAU_rtl_0": {"PE": 2}, "MVAU_hls_0": {"PE": 4}, "MVAU_rtl_1": {"PE": 8}}
    assert [fold.pe for fold in folded(net, config, tmp_path)[0].values()] == [2, 4, 8]
    config = {"MVAU_rtl_1": {"PE": 2}, "MVAU_rtl_0": {"PE": 4}, "MVAU_rtl_10": {"PE": 8}}
    assert [fold.pe for fold in folded(net, config, tmp_path)[0].values()] == [4, 2, 8]


def test_defaults_hold_where_a_node_says_nothing(tmp_path):
    net = network((8, 8, 8), [(1, 1)] * 2, (2, 2, 2))
    config = {"Defaults": {"PE": [2, "all"], "SIMD": [4, ["MVAU_hls"]], "ram_style":
                           ["block", ["MVAU"]], "inFIFODepths": [[8], ["VVAU"]]},
              "MVAU_hls_0": {"PE": 8}, "MVAU_rtl_0": {}}
    folds, notes = folded(net, config, tmp_path)
    assert list(folds.values()) == [Fold(8, 4, "block"), Fold(2, 1, "block")]
    assert notes == []


def test_every_entry_that_is_left_out_is_told(tmp_path):
    net = network((8, 8, 8), [(1, 1)] * 2, (2, 2, 2))
    usual = {"resType": "lut", "mem_mode": "internal_decoupled", "runtime_writeable_weights": 0}
    config = {
        "StreamingFIFO_rtl_0": {"depth": 32}, "StreamingFIFO_rtl_4": {"depth": 2},
        "Frobnicate_\x1b[2J0": {}, "MVAU_hls_0": usual | {"ram_style": "ultra"},
        "MVAU_hls_1": {"resType": "dsp", "mem_mode": "external", "runtime_writeable_weights": 1,
                       "outFIFODepths": [2]}, "AddStreams_hls_0": {"PE": 2}}
    folds, notes = folded(net, config, tmp_path)
    assert list(folds.values()) == [Fold(), Fold()]
    assert notes == [
        f"StreamingFIFO_rtl_0, _4: ignored: {FIFOS}",
        "Frobnicate_?[2J0: ignored: no such operator is known",
        "AddStreams_hls_0: ignored: no layer here is of this kind",
        "ram_style of MVAU_hls_0: ignored: the memory is chosen by its size",
        "resType of MVAU_hls_1: ignored: it has no counterpart",
        "mem_mode of MVAU_hls_1: ignored: weights are inside the accelerator",
        "runtime_writeable_weights of MVAU_hls_1: ignored: --writable makes all weights writable",
        f"outFIFODepths of MVAU_hls_1: ignored: {FIFOS}"]


@pytest.mark.parametrize("change, message", [
    ({"MVAU_hls_0": {"PE": 3}},
     "MVAU_hls_0 (mvtu0): PE must divide MH: MH is 64, PE is 3; take 2 or 4"),
    ({"MVAU_hls_0": {"SIMD": 1000}}, "MVAU_hls_0 (mvtu0): SIMD is 1000, but MW is only 784"),
    ({"MVAU_hls_2": {"PE": 0}},
     "MVAU_hls_2 (mvtu2): PE is 0, but must be a whole number of at least 1"),
    ({"MVAU_hls_2": {"PE": "8"}},
     'MVAU_hls_2 (mvtu2): PE is "8", but must be a whole number of at least 1'),
    ({"MVAU_hls_2": {"PE": True}},
     "MVAU_hls_2 (mvtu2): PE is true, but must be a whole number of at least 1"),
    ({"MVAU_hls_1": {"MMV": 2}}, "MVAU_hls_1 (mvtu1): MMV is 2, but here several pixels at once "
     "are asked for in a fold.toml: pixels = 2"),
    ({"MVAU_hls_4": {"PE": 1}},
     "the file has 5 matrix nodes (MVAU_hls_0, MVAU_hls_1, MVAU_hls_2, MVAU_hls_3, MVAU_hls_4), "
     "but the network has 4 matrix layers (mvtu0, mvtu1, mvtu2, mvtu3); one node is needed for "
     "each, of MVAU or MatrixVectorActivation or StreamingFCLayer"),
    ({"VVAU_0": {"PE": 1}},
     "the file has 1 depthwise node (VVAU_0), but the network has 0 depthwise layers; one node is "
     "needed for each, of VVAU or VectorVectorActivation or Vector_Vector_Activate"),
    ({"Defaults": {"PE": 1}}, "Defaults: PE is 1, but must be a value and operators, such as "
     '[1, ["MVAU_hls"]] or [1, "all"]'),
    ({"MVAU_hls_0": 16}, "not a folding configuration: an object of objects is expected, such as "
     '{"MVAU_hls_0": {"PE": 16, "SIMD": 49}}')])
def test_refuses_what_cannot_be(change, message, tmp_path):
    assert refusal(TFC, TFC_CONFIG | change, tmp_path) == message


@pytest.mark.parametrize("change, message", [
    ({"VVAU_hls_0": {"PE": 4, "SIMD": 9}}, "VVAU_hls_0 (vvtu0): SIMD is 9, but a depthwise layer "
     "folds by channels alone: take 1, and PE up to 8"),
    ({"ConvolutionInputGenerator_rtl_0": {"SIMD": 4, "parallel_window": 1},
      "ConvolutionInputGenerator_rtl_1": {"SIMD": 4}, "DownSampler_0": {}},
     "ConvolutionInputGenerator_rtl_0 (swu1): parallel_window takes whole pixels: C is 8, SIMD is "
     "4; take 8, or parallel_window 0")])
def test_refuses_what_no_window_or_depthwise_layer_does(change, message, tmp_path):
    config = {f"MVAU_rtl_{k}": {} for k in range(3)} | {"VVAU_hls_0": {}}
    assert refusal(depthwise(), config | change, tmp_path) == message


def test_another_number_of_windows_is_told_and_slows_nothing(tmp_path):
    config = {f"MVAU_rtl_{k}": {"SIMD": 8} for k in range(3)} | {
        "VVAU_hls_0": {}, "ConvolutionInputGenerator_rtl_0": {"SIMD": 1}}
    folds, notes = folded(depthwise(), config, tmp_path)
    assert notes == [
        "ConvolutionInputGenerator_rtl_0: ignored: the file has 1, the network 3",
        "swu0, swu1, swu2, swu3, pool0: not in the file, folded to keep within 1,152 cycles a "
        "frame"]
    assert (folds["swu2"].simd, max(cycles(layer, folds[layer.name])
                                    for layer in depthwise().layers)) == (1, 1152)


@pytest.mark.parametrize("text, message", [
    ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
    ("[" * 100_000, "nested too deep")])
def test_refuses_what_is_not_json(text, message, tmp_path):
    path = tmp_path / "folding.json"
    path.write_text(text)
    with pytest.raises(FoldError) as error:
        finn_fold_from_file(TFC, path, note=pytest.fail)
    assert str(error.value) == f"{path}: not a folding configuration: {message}"


def test_refuses_a_file_that_is_not_there(tmp_path):
    with pytest.raises(FoldError) as error:
        finn_fold_from_file(TFC, tmp_path / "none.json", note=pytest.fail)
    assert str(error.value) == f"{tmp_path / 'none.json'}: there is no such file"


@pytest.mark.parametrize("name, text, finns", [
    ("folding.json", None, True), ("FOLDING.JSON", "", True), ("folding", ' \n{"A_0": {}}', True),
    ("fold.toml", "# PE\n[mvtu0]\npe = 1\n", False), ("fold", None, False)])
def test_finns_files_are_known_by_name_or_contents(name, text, finns, tmp_path):
    if text is not None:
        (tmp_path / name).write_text(text)
    assert is_finn_file(tmp_path / name) == finns
