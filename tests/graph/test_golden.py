"""Networks that others trained give, vector for vector, what others computed of them."""

import numpy as np
import pytest

from quinnoa.graph.lower import InputType, load

from . import golden


def same(y, expected):
    """Equal up to the rounding of the last affine step in float32."""
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=4e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_zoo_tfc_gives_the_golden_outputs(name):
    g = golden.zoo(name)
    same(load(g.source).run(g.x), g.y)


def test_jet_tagging_gives_the_golden_outputs():
    g = golden.jettagging()
    same(load(g.source).run(g.x), g.y)


def test_finn_multithreshold_model_gives_the_golden_classes():
    g = golden.finn()
    network = load(g.source)
    x = g.x.reshape(-1, 1, 28, 28)
    np.testing.assert_array_equal(network.run(x).reshape(-1), g.y.reshape(-1))
    np.testing.assert_array_equal(load(g.source, top=1).run(x).reshape(-1), g.y.reshape(-1))


@pytest.mark.parametrize("form", ["qonnx", "mt"])
def test_lfc_gives_the_bits_of_the_published_network(form):
    g = golden.lfc(form)
    y = load(g.source).run(g.x)
    # The scores' signs are the bits: decision boundaries lie between accumulators.
    np.testing.assert_array_equal(y >= 0 if form == "qonnx" else y, g.y)


def test_lfc_layers_give_the_codes_of_the_published_network():
    g = golden.lfc("mt")
    network = load(g.source)
    with np.load(golden.data("bnn_pynq/expected/lfcW1A1-mnist--mnist_t10k_0-1999-layers2.npz")
                 ) as layers:
        for image in range(2):
            taps = [*network.activations(g.x[image:image + 1]).values()]
            np.testing.assert_array_equal(network.encode(g.x[image:image + 1])[0],
                                          layers[f"img{image}_input"])
            for k in range(4):
                np.testing.assert_array_equal(taps[k][0], layers[f"img{image}_L{k}_out"])


@pytest.mark.parametrize("exporter", ["", "-ts"])
@pytest.mark.parametrize("name", golden.BREVITAS)
def test_brevitas_exports_give_the_golden_outputs(name, exporter):
    g = golden.brevitas(name + exporter)
    same(load(g.source).run(g.x), g.y)


@pytest.mark.parametrize("exporter", ["", "-ts"])
@pytest.mark.parametrize("name", golden.BREVITAS)
def test_brevitas_quantizers_give_the_golden_codes(name, exporter):
    g = golden.brevitas(name + exporter)
    network = load(g.source)
    seen = 0
    for image, expected in golden.codes(name):
        taps = [*network.activations(g.x[image:image + 1]).values()]
        assert len(taps) == len(expected)
        for tap, want in zip(taps, expected, strict=True):
            np.testing.assert_array_equal(tap, want)
            seen += 1
    assert seen == 12


@pytest.mark.parametrize("name", golden.BREVITAS)
def test_raw_images_give_what_scaled_ones_give(name):
    g = golden.brevitas(name)
    network = load(g.source, input=InputType("uint8", scale=2 / 255, offset=-1.0))
    raw = np.rint((g.x + 1) / 2 * 255).astype(np.uint8)
    same(network.run(raw), g.y)


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_top_is_the_first_greatest_output(name):
    g = golden.zoo(name)
    network = load(g.source, top=3)
    expected = np.argsort(-g.y, axis=1, kind="stable")[:, :3]
    np.testing.assert_array_equal(network.run(g.x), expected)


def test_lfc_ranks_outputs_whose_scales_differ():
    g = golden.lfc("qonnx")
    y = load(g.source).run(g.x)
    np.testing.assert_array_equal(load(g.source, top=1).run(g.x)[:, 0], y.argmax(axis=1))
