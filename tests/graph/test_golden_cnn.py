"""Convolutional networks that others trained give, vector for vector, what others computed."""

import numpy as np
import pytest

from quinnoa.graph.compare import against_executor
from quinnoa.graph.layers import MatMul, Reduce, Window
from quinnoa.graph.lower import InputType, load

from . import golden
from .test_golden import same

# Quantizers in the order of the codes' archive: qonnx has put the graph into another one.
ORDER = {"unet_mnist": [0, 1, 5, 2, 3, 4, 6]}
FORMS = ["mt", "qonnx"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dataset", golden.CNVS)
def test_cnv_gives_the_scores_of_the_published_network(dataset, form):
    g = golden.cnv(dataset, form, 200)
    np.testing.assert_array_equal(load(g.source).run(g.x), g.y)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
def test_cnv_gives_the_scores_of_all_images(form):
    g = golden.cnv("cifar10", form, 1000)
    assert len(g.x) == 1000
    np.testing.assert_array_equal(load(g.source).run(g.x), g.y)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dataset", golden.CNVS)
def test_cnv_gives_what_the_fpga_gave(dataset, form):
    network, seen = load(golden.cnv_source(dataset, form)), 0
    with np.load(golden.data("bnn_pynq/hw_verified.npz")) as archive:
        for key in archive:
            net, image, what = key.split("|")
            if net == f"cnvW1A1-{dataset}" and what == "image":
                y = network.run(golden.cnv_input(archive[key][None], form))[0]
                seen += 1
                if dataset == "cifar10":
                    scores = archive[f"{net}|{image}|hw_scores"]
                    # The hardware's are (acc + 512) / 2.
                    np.testing.assert_array_equal((y + 512) / 2, scores)
                else:
                    assert y.argmax() == archive[f"{net}|{image}|hw_class"]
    assert seen == {"cifar10": 4, "streetview": 1}[dataset]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dataset", golden.CNVS)
def test_cnv_layers_give_the_codes_of_the_published_network(dataset, form):
    g = golden.cnv(dataset, form, 2)
    network = load(g.source)
    name = f"cnvW1A1-{dataset}--{golden.CNVS[dataset]}-layers2.npz"
    made = [layer for layer in network.layers if isinstance(layer, (MatMul, Reduce))]
    with np.load(golden.data(f"bnn_pynq/expected/{name}")) as layers:
        for image in range(2):
            codes = network.encode(g.x[image:image + 1])
            given = dict(network.outputs(codes))
            np.testing.assert_array_equal(codes[0], layers[f"img{image}_input"].transpose(1, 2, 0))
            k = 0
            for layer, behind in zip(made, [*made[1:], None], strict=True):
                if isinstance(behind, Reduce):
                    continue             # the archive has what comes out of the pool
                want = layers[f"img{image}_L{k}_out"]
                if want.ndim == 3:
                    want = want.transpose(1, 2, 0)
                np.testing.assert_array_equal(given[layer.name][0].reshape(want.shape), want)
                k += 1
            assert k == 9


def test_cnv_is_nine_products_seven_windows_and_two_pools():
    network = load(golden.cnv_source("cifar10", "qonnx"))
    kinds = [layer.kind for layer in network.layers]
    assert {kind: kinds.count(kind) for kind in kinds} == {"swu": 7, "mvtu": 9, "pool": 2}
    # The last convolution sees its whole image at once.
    assert [layer.name for layer in network.layers[-5:]] == [f"mvtu{k}" for k in range(4, 9)]
    assert all(layer.i.shape == layer.o.shape for layer in network.layers
               if isinstance(layer, (Window, Reduce)))


@pytest.mark.parametrize("exporter", ["", "-ts"])
@pytest.mark.parametrize("name", golden.CNNS)
def test_brevitas_exports_give_the_golden_outputs(name, exporter):
    g = golden.brevitas_cnn(name + exporter)
    same(load(g.source).run(g.x), g.y)


@pytest.mark.parametrize("exporter", ["", "-ts"])
@pytest.mark.parametrize("name", golden.CNNS)
def test_brevitas_quantizers_give_the_golden_codes(name, exporter):
    g = golden.brevitas_cnn(name + exporter)
    network, seen = load(g.source), 0
    for image, expected in golden.codes(name):
        taps = [*network.activations(g.x[image:image + 1]).values()]
        assert len(taps) == len(expected)
        for k, want in zip(ORDER.get(name, range(len(taps))), expected, strict=True):
            np.testing.assert_array_equal(taps[k].reshape(want.shape), want)
            seen += 1
    assert seen == 14


@pytest.mark.parametrize("name", golden.CNNS)
def test_raw_images_give_what_scaled_ones_give(name):
    g = golden.brevitas_cnn(name)
    network = load(g.source, input=InputType("uint8", scale=2 / 255, offset=-1.0))
    assert network.layers[0].name == "threshold0"
    same(network.run(np.rint((g.x + 1) / 2 * 255).astype(np.uint8)), g.y)


@pytest.mark.parametrize("name", golden.CNNS)
def test_the_executor_agrees(name):
    g = golden.brevitas_cnn(name)
    assert against_executor(load(g.source), g.x[:8]) == {"frames": 8, "mismatches": 0,
                                                         "rounded": 0}


def test_top_is_the_first_greatest_score_of_cnv():
    g = golden.cnv("cifar10", "qonnx", 50)
    network = load(g.source, top=1)
    np.testing.assert_array_equal(network.run(g.x)[:, 0], g.y.argmax(axis=1))
