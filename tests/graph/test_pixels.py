# amaranth: UnusedElaboratable=no
"""Tests of graph/pixels.py: several pixels at once change the cycles, and no number."""

from dataclasses import fields

import numpy as np
import pytest
from amaranth import signed, unsigned

import quinnoa
from quinnoa.errors import FoldError
from quinnoa.graph.build import assemble
from quinnoa.graph.checker import check_network
from quinnoa.graph.fold import (
    Budget,
    cycles,
    fold_for_cycles,
    fold_from_file,
    fold_to_fit,
    folds_as_toml,
)
from quinnoa.graph.layers import MatMul, Reduce, Stream, Threshold, Window
from quinnoa.graph.network import Network
from quinnoa.graph.pixels import pixels_for, with_pixels
from quinnoa.graph.products import accumulator_shape
from quinnoa.graph.solver_costs import Terms, network_resources
from quinnoa.graph.units import plan
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.shapes import BIPOLAR, range_of
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.windows import Windows
from quinnoa.sim.streams import run_unit
from tests.cnn_models import Grid, Net, images
from tests.layered import branches, cnv_like

U2 = unsigned(2)


def windows(name, i, kernel, **geometry):
    oh, ow = Windows(*i.dims[:2], kernel, **geometry).shape
    return Window(name, i, Stream((oh, ow, kernel[0] * kernel[1] * i.channels), i.shape),
                  kernel=kernel, pad_value=-1 if i.shape is BIPOLAR else 0, **geometry)


def product(name, i, channels, *, steps=True, bipolar=False, seed=0):
    rng = np.random.default_rng(seed)
    weights = rng.choice([-1, 1] if bipolar else [-2, -1, 0, 1], (channels, i.channels))
    thresholds = None
    if steps:
        falls = np.tile(rng.random((channels, 1)) < 0.5, 3)
        thresholds = Thresholds(np.sort(rng.integers(-6, 7, (channels, 3))), unsigned(2),
                                np.where(falls[:, 0], 3, 0), falls)
    shape = unsigned(2) if steps else accumulator_shape(weights, i.shape)
    return MatMul(name, i, Stream((*i.dims[:-1], channels), shape), weights=weights,
                  w_shape=BIPOLAR if bipolar else signed(2), thresholds=thresholds)


def network(*layers):
    return Network("net", "net", b"", None, layers, None)


def convolution(dims, channels=3, kernel=(3, 3), *, shape=U2, seed=0, steps=True,
                bipolar=False, **geometry):
    swu0 = windows("swu0", Stream(dims, shape), kernel, **geometry)
    return network(swu0, product("mvtu0", swu0.o, channels, steps=steps, bipolar=bipolar,
                                 seed=seed))


def drawn(net, frames=2, seed=0):
    rng = np.random.default_rng(seed)
    low, high = range_of(net.i.shape)
    dims = (frames, *net.i.dims)
    return rng.choice([-1, 1], dims) if net.i.shape is BIPOLAR else rng.integers(low, high + 1,
                                                                                 dims)


def same_integers(net, pixels):
    """Return the network with so many pixels, having compared it with the one given."""
    again, x = with_pixels(net, pixels), drawn(net)
    check_network(again)
    y = again.run_integers(x.reshape(2, *again.i.dims))
    assert np.array_equal(y.reshape(2, -1), net.run_integers(x).reshape(2, -1))
    return again


def run(net):
    """Run three frames through the gateware; check numbers, cycles and latency; return cycles."""
    check_network(net)
    planned, x = plan(net, GENERIC), drawn(net, 3)
    expected = net.run_integers(x)
    beats = run_unit(assemble(planned), (x > 0 if net.i.shape is BIPOLAR else x).reshape(
        -1, planned.i_lanes).tolist(), 3 * planned.beats_out)
    assert np.array_equal(np.reshape(beats.beats, expected.shape), expected)
    assert beats.o_cycles[-1] - beats.o_cycles[-1 - planned.beats_out] == planned.timing.cycles
    assert beats.o_cycles[planned.beats_out - 1] - beats.i_cycles[0] == planned.timing.latency
    return planned.timing.cycles


def test_random_convolutions_compute_the_same():
    rng, done = np.random.default_rng(0), set()
    for seed in range(600):
        pixels = int(rng.integers(2, 5))
        (height, width), kernel = rng.integers(1, [6, 13]), tuple(rng.integers(1, 5, 2).tolist())
        geometry = {"stride": tuple(rng.integers(1, 4, 2).tolist()),
                    "dilation": tuple(rng.integers(1, 4, 2).tolist()),
                    "pads": tuple(rng.integers(0, 4, 4).tolist())}
        dims = (int(height), int(width), int(rng.integers(1, 4)))
        try:
            net = convolution(dims, kernel=kernel, seed=seed, shape=[U2, BIPOLAR][seed % 2],
                              steps=seed % 3 > 0, bipolar=seed % 5 == 0, **geometry)
        except ValueError:
            continue                    # the kernel is larger than the image
        out = pixels // np.gcd(pixels, geometry["stride"][1])
        if width % pixels or net.layers[1].o.dims[1] % out:
            with pytest.raises(FoldError, match="mvtu0: .* must divide"):
                with_pixels(net, {"mvtu0": pixels})
            continue
        swu0, _ = same_integers(net, {"mvtu0": pixels}).layers
        # The gateware knows windows by their image: it finds as many as the record has.
        assert Windows(*swu0.i.dims[:2], swu0.kernel, swu0.stride, swu0.dilation,
                       swu0.pads).shape == swu0.o.dims[:2]
        done.add((pixels, geometry["stride"][1]))
    assert done == {(pixels, stride) for pixels in (2, 3, 4) for stride in (1, 2, 3)}


@pytest.mark.parametrize("dims, geometry, pixels, bound", [
    ((3, 8, 1), {"pads": (1, 1, 1, 1)}, 2, 12),
    ((3, 8, 1), {"pads": (1, 1, 1, 1)}, 4, 6),
    ((4, 8, 2), {"stride": (2, 2), "pads": (1, 1, 0, 0)}, 4, 8),
    ((4, 6, 1), {"dilation": (1, 2), "pads": (0, 2, 0, 2)}, 3, 8),
    ((3, 6, 2), {"pads": (1,) * 4, "shape": BIPOLAR, "bipolar": True}, 2, 9),
])
def test_the_gateware_is_faster_than_a_pixel_a_cycle(dims, geometry, pixels, bound):
    net = convolution(dims, 2, **geometry)
    folded = fold_for_cycles(net, bound)
    assert {layer.pixels for layer in folded.layers} == {pixels}
    assert run(folded) == bound == dims[0] * dims[1] // pixels


def test_the_least_pixels_are_taken_and_only_where_they_are_needed():
    net = cnv_like()
    assert pixels_for(net, 64) == {}
    assert pixels_for(net, 63) == {"mvtu0": 2}
    # A convolution of 8 columns to 6 has no third or fourth part.
    assert pixels_for(net, 31) == {"pool0": 2}


def test_a_device_with_room_is_filled_beyond_a_pixel_a_cycle():
    net = convolution((3, 8, 1), 2, pads=(1,) * 4)
    found = fold_to_fit(net, Budget(lut=10 ** 6, bram36=1000))
    assert max(map(cycles, found.layers)) == 3
    need = network_resources(found, Terms())
    less = fold_to_fit(net, Budget(lut=need.lut * 9 // 10, bram36=0, lut_share=1.0))
    assert max(map(cycles, less.layers)) > 3


def test_a_chain_runs_beyond_a_pixel_a_cycle():
    net = cnv_like()
    folded = fold_for_cycles(net, 32)
    assert {layer.name: layer.pixels for layer in folded.layers if layer.pixels > 1} == {
        "swu0": 2, "mvtu0": 2, "swu1": 2, "pool0": 2}
    assert [layer.name for layer in folded.layers[2:5]] == ["swu1", "pool0_rows", "pool0"]
    assert np.array_equal(folded.run_integers(drawn(folded)),
                          net.run_integers(drawn(folded).reshape(2, *net.i.dims)))
    assert run(folded) == 32


def test_products_without_windows_and_sums_of_branches_take_groups():
    full = branches()
    net = full.with_layers(full.layers[:5])             # mvtu0, swu0, vvtu0, mvtu1, add0
    again = same_integers(net, {"mvtu0": 3, "mvtu1": 2, "add0": 2})
    assert again.layers[4].i.dims == (6, 3, 16)
    assert run(again) == max(map(cycles, again.layers))


def test_thresholds_take_groups():
    i = Stream((2, 4, 3), signed(4))
    net = network(Threshold("threshold0", i, Stream(i.dims, unsigned(2)), thresholds=Thresholds(
        np.sort(np.random.default_rng(0).integers(-8, 8, (3, 3))), unsigned(2))))
    assert run(same_integers(net, {"threshold0": 4})) == 2 * 12


def test_weights_of_one_bit_get_two_only_where_a_window_does_not_fill_its_groups():
    side_by_side = convolution((2, 4, 1), kernel=(1, 2), stride=(1, 2), bipolar=True)
    assert with_pixels(side_by_side, {"mvtu0": 2}).layers[1].w_shape is BIPOLAR
    sliding = with_pixels(convolution((3, 4, 1), bipolar=True, pads=(1,) * 4), {"mvtu0": 2})
    assert sliding.layers[1].w_shape == signed(2)
    assert sliding.layers[1].weights.shape == (2 * 3, 3 * 3 * 2 * 1)


def test_fold_files_are_read_as_they_were_written(tmp_path):
    folded = fold_for_cycles(cnv_like(), 32)
    file = tmp_path / "fold.toml"
    file.write_text(folds_as_toml(folded))
    assert "[mvtu0]\npixels = 2      # of a row, at once\n" in file.read_text()
    again = fold_from_file(cnv_like(), file)
    assert len(again.layers) == len(folded.layers)
    for one, other in zip(folded.layers, again.layers, strict=True):
        for each in fields(one):
            a, b = getattr(one, each.name), getattr(other, each.name)
            if isinstance(a, Thresholds):
                a, b = (a.values, a.base, a.falls), (b.values, b.base, b.falls)
                assert all(map(np.array_equal, a, b)), (one.name, each.name)
            else:
                assert np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
    assert folds_as_toml(again) == folds_as_toml(folded)


def small_cnn():
    """Return a convolution, a pool and a convolution whose sums, scaled by channel, are given."""
    net = Net((1, 4, 8), Grid(0.25, 2))
    x = net.activation(net.conv(net.x, 3, 3, pads=1, w_bits=1), Grid(1.0, 2, narrow=True))
    x = net.max_pool(x, 2, stride=2)
    return net.done(net.conv(x, 2, 3, pads=1))


def test_compiled_folders_run_at_a_rate_beyond_a_pixel_a_cycle(tmp_path):
    network = quinnoa.load(small_cnn())
    x = images((1, 4, 8), 6, bits=2)
    np.save(tmp_path / "x.npy", x)
    report = quinnoa.compile_network(network, tmp_path / "out", fps=100e6 / 16)
    assert report["bound_cycles"] == 16
    assert "pixels = 2" in (tmp_path / "out" / "fold.toml").read_text()
    result = quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy", against="onnx")
    assert (result["mismatches"], result["mismatches_onnx"]) == (0, 0)
    assert result["cycles_per_frame"] == 16
    assert result["latency"] == report["latency"]


def test_outputs_and_codes_of_activations_stay_as_they_are():
    net, x = quinnoa.load(small_cnn()), images((1, 4, 8), 6, bits=2)
    products = [layer.name for layer in net.layers if isinstance(layer, MatMul)]
    again = with_pixels(net, dict.fromkeys(products, 2))
    assert np.array_equal(again.run(x), net.run(x))
    before, after = net.activations(x), again.activations(x)
    assert len(before) == 2 and before.keys() == after.keys()
    assert all(np.array_equal(before[tensor], after[tensor]) for tensor in before)


@pytest.mark.parametrize("name, pixels, message", [
    ("mvtu9", 2, "there is no layer mvtu9; the layers are mvtu0, mvtu1, mvtu2, pool0, swu0, swu1, "
                 "topk0"),
    ("mvtu0", 0, "mvtu0: pixels is 0, but must be at least 1"),
    ("mvtu0", 3, "mvtu0: pixels must divide the width of what it takes: the width is 8, "
                 "pixels is 3"),
    ("mvtu0", 4, "mvtu0: 4 pixels at once are 4 of what it gives, which must divide that width: "
                 "the width is 6"),
    ("mvtu1", 2, "mvtu1: pixels is 2, but it takes one vector a frame"),
    ("swu0", 2, "swu0: pixels is 2, but swu layers take one at a time"),
])
def test_refuses_pixels_that_cannot_be(name, pixels, message):
    with pytest.raises(FoldError) as error:
        with_pixels(cnv_like(), {name: pixels})
    assert str(error.value) == message


@pytest.mark.parametrize("name, message", [
    ("vvtu0", "vvtu0: pixels is 2, but vvtu layers take one at a time"),
    ("slice0", "slice0: pixels is 2, but slice layers take one at a time"),
    ("concat0", "concat0: pixels is 2, but concat layers take one at a time"),
    ("upsample0", "upsample0: pixels is 2, but upsample layers take one at a time"),
])
def test_refuses_layers_that_take_one_at_a_time(name, message):
    with pytest.raises(FoldError) as error:
        with_pixels(branches(), {name: 2})
    assert str(error.value) == message


def test_refuses_pools_of_windows_that_overlap_and_of_sums_and_of_whole_images():
    i = Stream((4, 8, 2), unsigned(2))
    swu0 = windows("swu0", i, (2, 2), stride=(2, 1))
    pool0 = Reduce("pool0", swu0.o, Stream((2, 7, 2), unsigned(2)), op="max", vectors=4)
    why = ("pool0: pixels is 2, but a pool takes more than one only for maxima over windows that "
           "lie side by side and fill the width: it is a ")
    with pytest.raises(FoldError) as error:
        with_pixels(network(swu0, pool0), {"pool0": 2})
    assert str(error.value) == why + "max of 7 windows of 2, 1 apart, and the width is 8"
    swu0 = windows("swu0", i, (2, 2), stride=(2, 2))
    pool0 = Reduce("pool0", swu0.o, Stream((2, 4, 2), unsigned(4)), op="sum", vectors=4)
    with pytest.raises(FoldError) as error:
        with_pixels(network(swu0, pool0), {"pool0": 2})
    assert str(error.value) == why + "sum of 4 windows of 2, 2 apart, and the width is 8"
    pool0 = Reduce("pool0", i, Stream((2,), unsigned(2)), op="max", vectors=32)
    with pytest.raises(FoldError) as error:
        with_pixels(network(pool0), {"pool0": 2})
    assert str(error.value) == ("pool0: pixels is 2, but pool layers behind no window of their "
                                "own take one at a time")


def test_refuses_another_number_where_there_is_one():
    net = convolution((3, 8, 1), pads=(1,) * 4)
    again = with_pixels(net, {"mvtu0": 2})
    assert with_pixels(again, {"mvtu0": 2}) is again
    with pytest.raises(FoldError) as error:
        with_pixels(again, {"mvtu0": 4})
    assert str(error.value) == "mvtu0: pixels is 2 already; it cannot become 4"


@pytest.mark.parametrize("text, message", [
    ("[mvtu0]\npixels = true", "[mvtu0]: pixels = True is not of the right type"),
    ("[mvtu0]\npixels = 5", "mvtu0: pixels must divide the width of what it takes: the width is 8, "
                            "pixels is 5"),
    ("[swu0]\npixels = 2", "[swu0]: unknown key pixels; a swu folds by simd, memory"),
])
def test_refuses_fold_files_that_cannot_be(tmp_path, text, message):
    file = tmp_path / "fold.toml"
    file.write_text(text)
    with pytest.raises(FoldError) as error:
        fold_from_file(cnv_like(), file)
    assert str(error.value).removeprefix(f"{file}: ") == message
