"""The random convolutional networks are worth testing with: values vary, all kinds occur."""

import numpy as np
import pytest

from tests.cnn_models import cnv, images, resnet50
from tests.models import reference
from tests.random_graphs import random_graph, seeded

KINDS = {"Conv", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Add", "Concat",
         "Split", "Resize", "Pad", "Trunc", "QuantAvgPool2d", "BipolarQuant", "Quant", "Transpose",
         "MatMul", "Gemm", "BatchNormalization", "Relu", "Flatten"}


def attribute(node, name):
    return next((list(a.ints) for a in node.attribute if a.name == name), [])


@pytest.mark.parametrize("w_bits, a_bits", [(1, 1), (1, 2), (2, 2)])
def test_cnv_meets_ties_and_uses_its_levels(w_bits, a_bits):
    model = cnv(w_bits, a_bits, small=True)
    values = reference(model, images((3, 32, 32), 4, bits=8), values=True)
    constants = {i.name for i in model.graph.initializer}
    quantizers = [node for node in model.graph.node
                  if "Quant" in node.op_type and node.input[0] not in constants][1:]
    assert len(quantizers) == 8
    ties = 0
    for node in quantizers:
        x, y = values[node.input[0]], values[node.output[0]]
        ties += np.sum(x == 0 if a_bits == 1 else np.abs(x) == 0.5)
        counts = np.unique(y, return_counts=True)[1]
        assert len(counts) == (2 if a_bits == 1 else 3)
        assert counts.max() < 0.8 * y.size
    assert ties > 10
    assert np.all(np.std(values["y"], axis=0) > 0)


def test_the_resnet_has_50_layers_of_weights_and_16_additions():
    model = resnet50(size=64, width=4)
    kinds = [node.op_type for node in model.graph.node]
    # Four of the convolutions are projections, which the name does not count.
    assert kinds.count("Conv") - 4 + kinds.count("Gemm") == 50
    assert kinds.count("Add") == 16
    y = reference(model, images((3, 64, 64), 3, bits=8))
    assert np.std(y, axis=0).max() > 0


def test_random_graphs_are_of_all_kinds_and_their_outputs_vary():
    kinds, strides, dilations, ranks, groups, varying = set(), set(), set(), set(), set(), 0
    for seed in range(300):
        model, x = random_graph(seeded(seed), seed=seed)
        ranks.add(x.ndim)
        for node in model.graph.node:
            kinds.add(node.op_type)
            if node.op_type == "Conv":
                strides.add(tuple(attribute(node, "strides")))
                dilations.add(tuple(attribute(node, "dilations")))
                groups.add(next(a.i for a in node.attribute if a.name == "group"))
        if seed < 40:
            varying += np.ptp(reference(model, x)) > 0
    assert kinds >= KINDS
    assert ranks == {3, 4}
    assert strides >= {(1,), (2,), (1, 2), (2, 1), (2, 2)}
    assert dilations >= {(2,), (1, 2), (2, 1), (2, 2)}
    assert groups >= {1, 2, 3, 4, 5}
    assert varying > 30


def test_the_same_seeds_make_the_same_graph():
    (a, x), (b, y) = (random_graph(seeded(5), seed=3) for _ in range(2))
    assert a.SerializeToString() == b.SerializeToString()
    assert np.array_equal(x, y)
