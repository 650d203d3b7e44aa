"""Top K on integers is top K of the file's outputs, ties included, or is refused."""

import numpy as np
import pytest

from quinnoa.errors import UnsupportedModel
from quinnoa.graph import top
from quinnoa.graph.layers import Threshold, TopK
from quinnoa.graph.lower import load
from tests.models import Graph, inputs, mlp, reference

C, CLASSES = 16, 7
EACH = np.array([0.5, -1.0, 2.0, 0.25, 1.0, -0.5, 1.5], np.float32)


def network(last, bits=4):
    """Make a model: quantizer, product, ``last``."""
    rng = np.random.default_rng(0)
    g = Graph([1, C])
    weights = rng.integers(-1, 2, (C, CLASSES)).astype(np.float32)
    x = g.node("MatMul", g.quant("x", 0.5, bits), weights if bits > 1 else np.sign(weights + 0.5))
    return g.model(last(g, x), [1, CLASSES])


def frames(bits=4):
    return inputs((C,), 300, i_bits=bits)


def greatest(y, k):
    """First of equals, as every arg-max has it."""
    return np.argsort(-y.reshape(len(y), -1), axis=1, kind="stable")[:, :k]


RISING = {
    "nothing": lambda g, x: x,
    "one affine map": lambda g, x: g.node("Add", g.node("Mul", x, np.float32(3)), np.float32(1)),
    "Softmax": lambda g, x: g.node("Softmax", x, axis=1),
    "LogSoftmax": lambda g, x: g.node("LogSoftmax", g.node("Mul", x, np.float32(0.5)), axis=1),
}
RANKED = {
    "biases": lambda g, x: g.node("Add", x, EACH),
    "gammas of both signs": lambda g, x: g.node("Mul", x, EACH),
    "Relu": lambda g, x: g.node("Relu", x),
    "a falling map": lambda g, x: g.node("Neg", x),
    "a bow": lambda g, x: g.node("Mul", x, x),
}


@pytest.mark.parametrize("k", [1, 3, CLASSES])
@pytest.mark.parametrize("last", RISING.values(), ids=RISING)
def test_one_rising_function_needs_no_ranks(last, k):
    model = network(last)
    lowered = load(model, top=k)
    assert [layer.kind for layer in lowered.layers] == ["mvtu", "topk"]
    y = lowered.run(frames())
    assert y.dtype == np.int64 and y.shape == (300, k)
    np.testing.assert_array_equal(y, greatest(reference(network(RISING["nothing"]), frames()), k))


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("last", RANKED.values(), ids=RANKED)
def test_other_functions_are_ranked(last, k, bits):
    model = network(last, bits)
    lowered = load(model, top=k)
    assert [type(layer) for layer in lowered.layers[1:]] == [Threshold, TopK]
    expected = greatest(reference(model, frames(bits)), k)
    np.testing.assert_array_equal(lowered.run(frames(bits)), expected)


@pytest.mark.parametrize("op", ["TopK", "ArgMax"])
def test_the_files_own_top_is_taken(op):
    def last(g, x):
        if op == "ArgMax":
            return g.node("ArgMax", x, axis=1, keepdims=1)
        x = g.node("TopK", x, g.constant([1], np.int64), axis=-1)
        g.nodes[-1].output[:] = ["values", "indices"]
        return x

    model = network(last)
    if op == "TopK":
        model.graph.node[-1].output[:] = ["values", "y"]
    model.graph.output[0].type.tensor_type.elem_type = 7
    scores = reference(network(RISING["nothing"]), frames())
    for lowered in (load(model), load(model, top=1)):
        y = lowered.run(frames())
        assert y.dtype == np.int64 and y.shape == (300, 1)
        np.testing.assert_array_equal(y, greatest(scores, 1))


def refusal(model, k):
    with pytest.raises(UnsupportedModel) as error:
        load(model, top=k)
    return str(error.value)


def test_refuses_more_than_there_are():
    assert refusal(network(RISING["nothing"]), 8) == (
        "model: 1 node cannot be built:\n"
        "  node MatMul_0 (MatMul): top 8 of 7 outputs; at most 7 is expected")


def test_refuses_what_follows_a_softmax():
    assert refusal(network(lambda g, x: g.node("Mul", g.node("Softmax", x), EACH)), 1) == (
        "model: 1 node cannot be built:\n"
        "  node Mul_0 (Mul): it stands behind a Softmax or the like, and may change the order; "
        "leave out top K and compare on the host")


def test_refuses_too_many_ranks(monkeypatch):
    monkeypatch.setattr(top, "MAX_RANKS", 10)
    text = refusal(network(RANKED["biases"]), 1)
    assert text.startswith("model: 1 node cannot be built:\n  node Add_0 (Add): the outputs are "
                           "no single rising function of the accumulators, and take ")
    assert text.endswith(" values, more than the 10 that can be ranked; leave out top K and "
                         "compare on the host")


def test_refuses_the_last_of_equals():
    assert refusal(network(lambda g, x: g.node("ArgMax", x, axis=1, select_last_index=1)), 1) == (
        "model: 1 node cannot be built:\n"
        "  node ArgMax_0 (ArgMax): the least, or the last of equals; the greatest, first of "
        "equals, is expected of top K")


def test_refuses_a_softmax_over_another_axis():
    assert refusal(network(lambda g, x: g.node("Softmax", x, axis=0)), 1) == (
        "model: 1 node cannot be built:\n"
        "  node Softmax_0 (Softmax): over axis 0 of dims [1, 7]; the one of 7 outputs is expected")


def test_quantized_outputs_are_ranked_too():
    model = mlp((12, 8, 5), w_bits=2, a_bits=3)
    node = model.graph.node[-1]
    node.output[0] = "before"
    quant = next(n for n in model.graph.node if n.name == "Quant_2")
    last = type(node)()
    last.CopyFrom(quant)
    last.input[0], last.output[0], last.name = "before", "y", "Last"
    model.graph.node.append(last)
    x = inputs((12, 8, 5), 100, i_bits=3)
    y = reference(model, x)
    np.testing.assert_array_equal(load(model).run(x), y)
    np.testing.assert_array_equal(load(model, top=2).run(x), greatest(y, 2))
