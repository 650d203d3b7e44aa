# amaranth: UnusedElaboratable=no
"""Tests of graph/fold.py."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth import signed, unsigned

from benchmarks.topologies import network
from quinnoa.errors import FoldError
from quinnoa.graph.components import component
from quinnoa.graph.fold import (
    Budget,
    check_fold,
    cycles,
    fold_for_cycles,
    fold_for_fps,
    fold_from_file,
    fold_to_fit,
    folds_as_toml,
)
from quinnoa.graph.lanes import i_lanes, o_lanes
from quinnoa.graph.layers import (
    Add,
    Concat,
    Depthwise,
    Fold,
    MatMul,
    Reduce,
    Slice,
    Stream,
    Upsample,
    Window,
)
from quinnoa.graph.network import Network
from quinnoa.graph.resources import layer_resources
from quinnoa.graph.solver_costs import Terms, network_resources
from quinnoa.graph.units import plan
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.thresholds import Thresholds


def small():
    return network((12, 8, 6), [(1, 1), (1, 1)], (2, 2, 2))


def test_the_bound_is_what_the_folds_leave():
    net = network((784, 64, 10), [(16, 49), (10, 8)], (1, 1, 1))
    assert [cycles(layer) for layer in net.layers] == [64, 8]
    assert cycles(net.layers[0], Fold(64, 784)) == 1


def test_reaches_the_frames_asked_for():
    found = fold_for_fps(small(), 4e6, 100)
    assert max(cycles(layer) for layer in found.layers) <= 25


@pytest.mark.parametrize("fps, clock, message", [
    (0, 100, "fps is 0, but must be above 0"),
    (-3, 100, "fps is -3, but must be above 0"),
    (1000, 0, "clock is 0 MHz, but must be above 0"),
    (2e8, 100, "2e+08 frames/s at 100 MHz leave less than one cycle a frame; the most is 1e+08 "
               "frames/s"),
])
def test_refuses_rates_that_cannot_be(fps, clock, message):
    with pytest.raises(FoldError) as error:
        fold_for_fps(small(), fps, clock)
    assert str(error.value) == message


def test_fills_a_device_and_no_more():
    roomy, tight = Budget(lut=20_000, bram36=20), Budget(lut=500, bram36=20)
    fast, slow = fold_to_fit(small(), roomy), fold_to_fit(small(), tight)
    assert roomy.holds(network_resources(fast, Terms()))
    assert tight.holds(network_resources(slow, Terms()))
    assert max(map(cycles, fast.layers)) < max(map(cycles, slow.layers))


def test_refuses_a_device_that_is_too_small():
    with pytest.raises(FoldError, match=r"^the smallest design needs about \d+ LUT and 0 block "
                                        r"RAMs, but the device has 50 and 1, of which 70 % and "
                                        r"90 % may be used; take a larger device or a smaller "
                                        r"network$"):
        fold_to_fit(small(), Budget(lut=50, bram36=1))


def test_folds_are_read_as_they_were_written(tmp_path):
    net = small()
    net = net.with_layers([net.layers[0].folded(Fold(4, 6, "block", steps="search")),
                           net.layers[1].folded(Fold(4, 3, pad=True))])
    file = tmp_path / "fold.toml"
    file.write_text(folds_as_toml(net))
    again = fold_from_file(small(), file)
    assert [layer.fold for layer in again.layers] == [layer.fold for layer in net.layers]


@pytest.mark.parametrize("text, message", [
    ("[mvtu7]\npe = 1", "there is no layer mvtu7; the layers are mvtu0, mvtu1"),
    ("[mvtu0]\npe = 3", "mvtu0: PE must divide MH: MH is 8, PE is 3; take 2 or 4, or pad = true "
                        "(pads to 9)"),
    ("[mvtu0]\nsimd = 13", "mvtu0: SIMD is 13, but MW is only 12"),
    ("[mvtu0]\npe = 0", "mvtu0: pe is 0, but must be at least 1"),
    ("[mvtu0]\nmemory = 'paper'", "mvtu0: memory is 'paper', but must be one of auto, logic, "
                                  "lutrom, block"),
    ("[mvtu0]\nsteps = 'guess'", "mvtu0: steps is 'guess', but must be one of auto, parallel, "
                                 "search"),
    ("[mvtu0]\npe = true", "[mvtu0]: pe = True is not of the right type"),
    ("[mvtu0]\nturbo = 1", "[mvtu0]: unknown key turbo; a mvtu folds by pe, simd, memory, pad, "
                           "steps"),
    ("mvtu0 = 3", "[mvtu0]: must be a table, such as pe = 16"),
    ("pe = = 3", "not a fold file: Invalid value (at line 1, column 6)"),
])
def test_refuses_fold_files_that_cannot_be(tmp_path, text, message):
    file = tmp_path / "fold.toml"
    file.write_text(text)
    with pytest.raises(FoldError) as error:
        fold_from_file(small(), file)
    assert str(error.value).removeprefix(f"{file}: ") == message


def test_refuses_to_search_for_steps_up_and_down(tmp_path):
    first, second = small().layers
    both = Thresholds([[0, 2, 4]], unsigned(1), falls=[[False, True, False]])
    net = small().with_layers([replace(first, thresholds=both), second])
    file = tmp_path / "fold.toml"
    file.write_text("[mvtu0]\nsteps = 'search'")
    with pytest.raises(FoldError, match=r"^mvtu0: steps is 'search', but in some channel the "
                                        r"activation both rises and falls; take auto or parallel$"):
        fold_from_file(net, file)


def image_layers():
    """Return a layer of every kind that works on images, by name."""
    u4, image = unsigned(4), Stream((6, 6, 8), unsigned(4))
    windows = Stream((4, 4, 72), u4)
    weights = np.ones((16, 9), int)
    layers = [
        Window("swu0", image, windows, Fold(simd=2), kernel=(3, 3)),
        Depthwise("vvtu0", windows, Stream((4, 4, 16), unsigned(8)), Fold(pe=2), weights=weights,
                  w_shape=signed(2)),
        Reduce("pool0", windows, Stream((4, 4, 8), u4), Fold(pe=2), op="max", vectors=9),
        Add("add0", image, Stream((6, 6, 8), unsigned(5)), Fold(pe=2), multipliers=(1, 1),
            more=(image,)),
        Concat("concat0", image, Stream((6, 6, 12), u4), Fold(pe=2),
               more=(Stream((6, 6, 4), u4),)),
        Slice("slice0", image, Stream((6, 6, 2), u4), Fold(pe=2), start=4),
        Upsample("upsample0", image, Stream((12, 12, 8), u4), Fold(pe=2), factor=(2, 2)),
    ]
    return {layer.name: layer for layer in layers}


@pytest.mark.parametrize("name, bound, lanes", [
    ("swu0", 4 * 4 * 72 // 2, (2, 2)), ("vvtu0", 4 * 4 * 72 // 2, (2, 4)),
    ("pool0", 4 * 4 * 72 // 2, (2, 2)), ("add0", 36 * 4, (2, 2)), ("concat0", 36 * 6, (2, 2)),
    ("slice0", 36 * 4, (2, 2)), ("upsample0", 144 * 4, (2, 2))])
def test_the_unit_of_a_layer_has_the_lanes_and_the_cycles_of_its_fold(name, bound, lanes):
    layer = image_layers()[name]
    assert cycles(layer) == bound
    assert (i_lanes(layer), o_lanes(layer)) == lanes
    network = Network("one", "one", b"", None, (replace(layer, feeds=("",) * (
        1 + len(layer.more))),), None)
    if not layer.more:
        made = plan(network, GENERIC)
        assert (made.i_lanes, made.o_lanes, made.timing.cycles) == (*lanes, bound)
    assert layer_resources(layer, layer.fold, "xc7").lut > 0


@pytest.mark.parametrize("memory", ["lutram", "block", "ultra"])
@pytest.mark.parametrize("simd", [2, 24])
def test_windows_are_kept_where_their_fold_says(memory, simd):
    layer = image_layers()["swu0"].folded(Fold(simd=simd, memory=memory))
    assert component(layer, GENERIC).memory == memory
    need = layer_resources(layer, layer.fold, "xcup")
    assert (need.bram36 > 0, need.uram > 0) == (memory == "block", memory == "ultra")


@pytest.mark.parametrize("name, fold, message", [
    ("swu0", Fold(memory="lutrom"), "swu0: memory is 'lutrom', but must be one of auto, lutram, "
                                    "block, ultra"),
    ("swu0", Fold(simd=3), "swu0: SIMD must divide C: C is 8, SIMD is 3; take 2 or 4"),
    ("vvtu0", Fold(pe=3), "vvtu0: PE must divide C: C is 8, PE is 3; take 2 or 4"),
    ("pool0", Fold(pe=16), "pool0: PE is 16, but C is only 8"),
    ("add0", Fold(pe=3, pad=True),
     "add0: PE must divide channels: channels is 8, PE is 3; take 2 or 4"),
    ("concat0", Fold(pe=8), "concat0: PE is 8, but the common divisor of the channels is only 4"),
    ("slice0", Fold(pe=4), "slice0: PE is 4, but the common divisor of the channels is only 2"),
])
def test_refuses_lanes_that_cannot_be(name, fold, message):
    with pytest.raises(FoldError) as error:
        check_fold(image_layers()[name], fold)
    assert str(error.value) == message


def test_folds_of_images_are_read_as_they_were_written(tmp_path):
    layers = image_layers()
    network = Network("some", "some", b"", None, tuple(layers.values()), None)
    file = tmp_path / "fold.toml"
    file.write_text(folds_as_toml(network))
    assert "[swu0]\nsimd = 2        # of C = 8\n" in file.read_text()
    again = fold_from_file(network.with_layers([layer.folded(Fold()) for layer in
                                                layers.values()]), file)
    assert [layer.fold for layer in again.layers] == [layer.fold for layer in layers.values()]


def test_branches_are_folded_within_the_target():
    image, wide = Stream((6, 6, 8), unsigned(4)), Stream((6, 6, 8), unsigned(5))
    weights = np.ones((8, 8), int)
    layers = (
        MatMul("mvtu0", image, Stream((6, 6, 8), unsigned(7)), weights=weights,
               w_shape=unsigned(1), feeds=("",)),
        Add("add0", image, wide, multipliers=(1, 1), more=(image,), feeds=("", "")),
        Add("add1", Stream((6, 6, 8), unsigned(7)), Stream((6, 6, 8), unsigned(8)),
            multipliers=(1, 1), more=(wide,), feeds=("mvtu0", "add0")))
    network = Network("branches", "branches", b"", None, layers, None)
    found = fold_for_cycles(network, 36 * 4)
    assert [cycles(layer) <= 36 * 4 for layer in found.layers] == [True] * 3
    # Neighbours agree on their lanes: a width converter costs more than it saves.
    assert len({(o_lanes(layer), i_lanes(layer)) for layer in found.layers}) == 1
    with pytest.raises(FoldError, match=r"^mvtu0 needs at least 36 cycles a frame, fully unrolled, "
                                        r"1 pixel at once: 5 cannot be reached$"):
        fold_for_cycles(network, 5)
