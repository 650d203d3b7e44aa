"""Tests of graph/host.py, through the driver that computes what it gives."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from quinnoa.graph.host import host_arrays
from quinnoa.graph.lower import InputType, load
from quinnoa.platforms.driver.errors import DriverError
from quinnoa.platforms.driver.host import Host
from tests.models import Graph, mlp, multithreshold_mlp
from tests.random_graphs import random_graph, seeded

EXAMPLES = Path(__file__).parents[2] / "examples"
WIDTHS = (12, 8, 5)


def channelwise(c=3):
    """Return a small CNN whose input has a shift and a scale for each channel."""
    graph = Graph([1, c, 4, 4])
    x = graph.node("Sub", "x", np.linspace(-1, 1, c).reshape(1, c, 1, 1))
    x = graph.node("Div", x, np.linspace(-0.7, 0.3, c).reshape(1, c, 1, 1))
    x = graph.quant(x, 0.25, 3)
    x = graph.node("Flatten", x, axis=1)
    x = graph.node("MatMul", x, graph.quant(np.ones((16 * c, 5)), 1.0, 2))
    return graph.model(graph.node("Mul", x, np.linspace(0.1, 0.3, 5)[None]), [1, 5])


def elementwise(width=12):
    """Return an MLP whose input has a scale for each element, falling for some."""
    graph = Graph([1, width])
    x = graph.node("Mul", "x", np.linspace(-1, 1.1, width)[None])
    x = graph.quant(x, 0.125, 4)
    x = graph.node("MatMul", x, graph.quant(np.ones((width, 5)), 1.0, 2))
    x = graph.node("Softmax", graph.node("Sigmoid", x), axis=1)
    return graph.model(x, [1, 5])


def behind_a_product():
    """Return an MLP whose first product the host computes, and whose last nodes, too."""
    rng = np.random.default_rng(0)
    graph = Graph([1, 12])
    x = graph.node("Tanh", graph.node("MatMul", "x", rng.normal(size=(12, 8))))
    x = graph.quant(graph.node("Relu", x), 0.125, 4)
    x = graph.node("MatMul", x, graph.quant(np.ones((8, 5)), 1.0, 2))
    x = graph.node("Reshape", graph.node("Exp", x), np.array([5], np.int64))
    return graph.model(graph.node("Softmax", x, axis=0), [5])


def reshape_constant(model):
    """Make the dims of every Reshape integers: ``Graph`` makes all constants float."""
    for node in model.graph.node:
        if node.op_type == "Reshape":
            for k, tensor in enumerate(model.graph.initializer):
                if tensor.name == node.input[1]:
                    model.graph.initializer[k].CopyFrom(
                        onnx.numpy_helper.from_array(np.array([5], np.int64), tensor.name))
    return model


def ending_in(op, which=1, **options):
    """Return an MLP of few different outputs that ends in a top K or an arg-max."""
    graph = Graph([1, 12])
    x = graph.quant("x", 0.25, 2)
    x = graph.node("MatMul", x, graph.quant(np.eye(12, 7), 1.0, 2))
    x = graph.node("Mul", x, np.array([[0.5, -1.0, 2.0, 0.25, 1.0, -0.5, 1.5]]))
    x = graph.node(op, x, *([graph.constant([3], np.int64)] if op == "TopK" else []), **options)
    if op == "TopK":
        graph.nodes[-1].output[:] = ["values", "indices"]
    model = graph.model(x, [1, 3 if op == "TopK" else 1][:2 - (options.get("keepdims") == 0)])
    if op == "TopK":
        model.graph.node[-1].output[:] = [["y", "indices"], ["values", "y"]][which]
    if which:
        model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model


def rising_and_falling():
    """Return an MLP whose quantizer is bipolar and stands behind a falling scale."""
    graph = Graph([1, 12])
    x = graph.quant(graph.node("Add", graph.node("Neg", "x"), 0.3), 0.5, 1)
    x = graph.node("MatMul", x, graph.quant(np.ones((12, 5)), 1.0, 1))
    return graph.model(x, [1, 5])


def folded(name):
    """Return the bytes of an example."""
    return (EXAMPLES / name).read_bytes()


MODELS = {
    "bipolar": lambda: mlp(WIDTHS, w_bits=1, a_bits=1),
    "two bits": lambda: mlp(WIDTHS, w_bits=2, a_bits=2, relu=True),
    "zero points": lambda: mlp(WIDTHS, w_bits=4, a_bits=4, zero_points=True, ties=False),
    "eight bits in": lambda: mlp(WIDTHS, w_bits=2, a_bits=2, i_bits=8, ties=False),
    "qcdq": lambda: mlp(WIDTHS, w_bits=4, a_bits=4, form="qcdq", ties=False),
    "multithreshold": lambda: multithreshold_mlp(WIDTHS, w_bits=2, a_bits=2),
    "a scale a channel": channelwise,
    "a scale an element": elementwise,
    "nodes on both sides": lambda: reshape_constant(behind_a_product()),
    "falling": rising_and_falling,
    "top K": lambda: ending_in("TopK", axis=-1),
    "values of a top K": lambda: ending_in("TopK", 0, axis=1),
    "arg-max": lambda: ending_in("ArgMax", axis=1, keepdims=0),
    "arg-max, kept": lambda: ending_in("ArgMax", axis=-1, keepdims=1),
    "tfc_w2a2": lambda: folded("mnist/tfc_w2a2.onnx"),
    "cnv_w1a1": lambda: folded("images/cnv_w1a1.onnx"),
}


def settings(arrays):
    return json.loads(str(arrays["host"]))


def around(arrays, dims, seed=0):
    """Return frames of values at, below and above the thresholds, and of random ones."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 1, (40, *dims)) * rng.choice([0.01, 1, 300], (40, *[1] * len(dims)))
    x = x.astype(np.float32)
    if not settings(arrays)["head"]["nodes"]:
        steps = arrays["head_steps"]
        x[:30] = rng.choice(steps, (30, *dims))
        x[10:20] = np.nextafter(x[10:20], np.float32(-np.inf))
        x[20:30] = np.nextafter(x[20:30], np.float32(np.inf))
    most = np.finfo(np.float32).max
    x[30], x[31], x[32], x[33] = 0, -0.0, most, -most
    return x


@pytest.mark.parametrize("name", MODELS)
def test_the_driver_enters_the_integers_of_the_file(name):
    network = load(MODELS[name]())
    arrays = host_arrays(network)
    host, x = Host(arrays), around(arrays, network.head.port.dims[1:])
    if settings(arrays)["head"]["nodes"]:
        x = x[:32]                       # a product of the largest values is none
    codes = host.encode(host.checked(x))
    assert np.array_equal(codes, network.encode(x).reshape(len(x), -1))
    assert len(np.unique(codes)) > 1


@pytest.mark.parametrize("name", MODELS)
def test_the_driver_returns_the_values_of_the_file(name):
    network = load(MODELS[name]())
    host, o, encoding = Host(host_arrays(network)), network.layers[-1].o, network.tail.encoding
    codes = np.arange(encoding.low, encoding.high + 1)
    # Every integer in every place.
    y = (codes[:, None] + np.arange(np.prod(o.dims)) - encoding.low) % len(codes) + encoding.low
    y = y[np.linspace(0, len(y) - 1, min(len(y), 500)).astype(int)].reshape(-1, *o.dims)
    expected, got = network.decode(y), host.decode(y)
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("name", ["top K", "values of a top K", "arg-max", "arg-max, kept"])
def test_a_top_k_needs_numpy_alone(name):
    tail = settings(host_arrays(load(MODELS[name]())))["tail"]
    assert tail["top"] and not tail["nodes"]


@pytest.mark.parametrize("seed", range(5))
def test_random_graphs_are_computed_as_in_the_file(seed):
    model, x = random_graph(seeded(seed), seed=seed)
    network = load(model)
    host = Host(host_arrays(network))
    codes = network.encode(x)
    assert np.array_equal(host.encode(host.checked(x)), codes.reshape(len(x), -1))
    y = network.run_integers(codes)
    assert np.array_equal(host.decode(y), network.decode(y))


def test_no_frames_are_no_values():
    network = load(MODELS["two bits"]())
    host, none = Host(host_arrays(network)), np.zeros((0, 12), np.float32)
    assert host.encode(host.checked(none)).shape == (0, 12)
    assert host.decode(np.zeros((0, 5), np.int64)).shape == network.run(none).shape == (0, 5)


def test_pixels_enter_as_they_are():
    network = load(folded("mnist/tfc_w2a2.onnx"), input=InputType("uint8"), top=1)
    host = Host(host_arrays(network))
    x = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
    assert np.array_equal(host.encode(host.checked(x)), network.encode(x).reshape(5, -1))
    y = np.arange(5).reshape(5, 1)
    assert np.array_equal(host.decode(y), network.decode(y))


def test_pixels_may_stand_for_floats():
    network = load(folded("mnist/tfc_w2a2.onnx"))
    host = Host(host_arrays(network))
    x = np.random.default_rng(0).integers(0, 256, (5, 1, 28, 28), dtype=np.uint8)
    assert np.array_equal(host.encode(host.checked(x)), network.encode(x).reshape(5, -1))


@pytest.mark.parametrize("x, message", [
    (np.zeros((2, 11), np.float32),
     r"input x takes arrays of shape \(frames, 12\): \(2, 11\) is given"),
    (np.zeros((2, 12)), r"input x takes float32: float64 is given"),
    (np.full((2, 12), np.nan, np.float32), r"input x has 24 values that are infinite or NaN"),
])
def test_refuses_what_the_model_does_not_take(x, message):
    host = Host(host_arrays(load(MODELS["two bits"]())))
    with pytest.raises(DriverError, match=f"^{message}$"):
        host.encode(host.checked(x))


@pytest.mark.parametrize("x, message", [
    (np.zeros((2, 12)), r"input x takes raw integers: float64 is given"),
    (np.full((2, 12), 16), r"input x takes integers in \[0, 15\]: 16 is among the values given"),
])
def test_refuses_what_are_no_raw_integers(x, message):
    host = Host(host_arrays(load(MODELS["zero points"](), input=InputType("uint4"))))
    with pytest.raises(DriverError, match=f"^{message}$"):
        host.encode(host.checked(x))


def test_refuses_results_that_cannot_be():
    network = load(MODELS["bipolar"]())
    host = Host(host_arrays(network))
    with pytest.raises(DriverError, match=r"^the accelerator gave integers in \[-9, 0\], where "
                                          r"only \[-8, 8\] can be$"):
        host.decode(np.array([[0, -9, 0, 0, 0]]))


def test_says_what_cannot_be_computed_without_onnxruntime(monkeypatch):
    host = Host(host_arrays(load(MODELS["nodes on both sides"]())))
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(DriverError, match=r"^the host's part of this network has nodes that take "
                                          r"onnxruntime \(.*MatMul.*\), which is missing: pip "
                                          "install onnxruntime; "):
        host.encode(np.zeros((1, 12), np.float32))


def test_says_what_the_driver_cannot_compute():
    graph = Graph([1, 12])
    x = graph.quant(graph.node("Abs", "x"), 0.25, 4)
    x = graph.node("Abs", x)
    x = graph.quant(graph.node("Softmax", x, axis=1), 0.25, 4)
    x = graph.node("MatMul", x, graph.quant(np.ones((12, 5)), 1.0, 2))
    host = Host(host_arrays(load(graph.model(x, [1, 5]))))
    with pytest.raises(DriverError, match=r"^what the file has in front of the accelerator cannot "
                                          r"be computed here: node Quant_0 \(Quant\) is none of "
                                          r"standard ONNX; use run_integers, "):
        host.checked(np.zeros((1, 12), np.float32))


def test_thresholds_are_the_least_values_of_their_codes():
    """round(x / 0.25) is 1 from the float behind 0.125 on: a tie goes to the even 0."""
    graph = Graph([1, 2])
    x = graph.quant("x", 0.25, 2, signed=False)
    x = graph.node("MatMul", x, graph.quant(np.ones((2, 2)), 1.0, 2))
    arrays = host_arrays(load(graph.model(x, [1, 2])))
    above = np.nextafter(np.float32(0.125), np.float32(1))
    assert arrays["head_steps"].tolist() == [
        above, 0.375, np.nextafter(np.float32(0.625), np.float32(1))]
    assert arrays["head_levels"].tolist() == [0, 1, 2, 3]


def test_one_function_for_all_is_kept_once():
    arrays = host_arrays(load(folded("mnist/tfc_w2a2.onnx")))
    assert len(arrays["head_first"]) == 2
    channels = host_arrays(load(channelwise()))
    assert len(channels["head_first"]) == 4


def test_models_for_boards_are_of_an_old_ir():
    arrays = host_arrays(load(MODELS["nodes on both sides"]()))
    model = onnx.ModelProto.FromString(arrays["head_onnx"].tobytes())
    assert model.ir_version == 8
    product, = (node for node in model.graph.node if node.op_type == "MatMul")
    wide = {node.output[0]: helper.get_node_attr_value(node, "to")
            for node in model.graph.node if node.op_type == "Cast"}
    assert [wide[name] for name in product.input] == [TensorProto.DOUBLE] * 2
