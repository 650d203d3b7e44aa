"""A network runs on what the file takes, and says what it takes."""

import numpy as np
import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.graph.layers import MatMul, Threshold
from quinnoa.graph.lower import InputType, load
from quinnoa.rtl.shapes import BIPOLAR
from tests.models import Graph, inputs, mlp, reference

WIDTHS = (12, 8, 5)


def unquantized(first=lambda g, x: x):
    """Make a model with no quantizer in front of its first product."""
    rng = np.random.default_rng(0)
    g = Graph([1, 12])
    x = g.node("MatMul", first(g, "x"), g.quant(rng.integers(-3, 4, (12, 8)) * 0.5, 0.5, 3))
    x = g.quant(g.node("Relu", x), 2.0, 3, signed=False)
    x = g.node("MatMul", x, g.quant(rng.integers(-1, 2, (8, 5)) * 1.0, 1.0, 2))
    return g.model(x, [1, 5])


def test_run_is_head_layers_and_tail():
    model = mlp(WIDTHS, w_bits=2, a_bits=3)
    x, network = inputs(WIDTHS, 50, i_bits=3), load(model)
    codes = network.encode(x)
    assert codes.shape == (50, 12) and codes.min() >= -4 and codes.max() <= 3
    np.testing.assert_array_equal(network.decode(network.run_integers(codes)), network.run(x))
    np.testing.assert_array_equal(network.run(x), reference(model, x))


def test_activations_are_the_codes_of_every_quantizer():
    model = mlp(WIDTHS, w_bits=2, a_bits=3, ties=True)
    x = inputs(WIDTHS, 50, i_bits=3)
    values = reference(model, x, values=True)
    taps = load(model).activations(x)
    assert list(taps) == ["Quant_0_out", "Quant_2_out"]
    for (name, codes), scale in zip(taps.items(), (0.25, 1.0), strict=True):
        np.testing.assert_array_equal(codes * scale, values[name])


def test_a_product_in_front_of_all_quantizers_stays_on_the_host():
    model = unquantized()
    x, network = inputs(WIDTHS, 50, i_bits=3), load(model)
    assert [layer.name for layer in network.layers] == ["mvtu0"]
    np.testing.assert_array_equal(network.run(x), reference(model, x))
    fates = {f.node: (f.becomes, f.note) for f in network.findings}
    assert fates["MatMul_0"] == (
        "the host, in front",
        "the input has no quantizer: with an input type (--input) the layer enters the hardware")


def test_raw_integers_enter_a_product_without_quantizer():
    model = unquantized(lambda g, x: g.node("Sub", g.node("Mul", x, np.float32(2)), np.float32(1)))
    network = load(model, input=InputType("uint4", scale=0.125, offset=0.25))
    raw = np.random.default_rng(1).integers(0, 16, (50, 12))
    layer = network.layers[0]
    assert isinstance(layer, MatMul) and layer.i.shape.width == 4 and not layer.i.shape.signed
    expected = reference(model, (raw * 0.125 + 0.25).astype(np.float32))
    np.testing.assert_array_equal(network.run(raw.astype(np.uint8)), expected)


@pytest.mark.parametrize("name, low, high", [("uint8", 0, 255), ("int8", -128, 127),
                                             ("int3", -4, 3), ("bipolar", -1, 1)])
def test_raw_integers_pass_the_thresholds_of_the_first_quantizer(name, low, high):
    model = mlp(WIDTHS, w_bits=2, a_bits=3)
    scale = 1.5 / high
    network = load(model, input=InputType(name, scale=scale, offset=-0.125))
    assert isinstance(network.layers[0], Threshold)
    raw = np.random.default_rng(1).integers(low, high + 1, (50, 12))
    if name == "bipolar":
        raw |= 1
        assert network.layers[0].i.shape == BIPOLAR
    expected = reference(model, (raw * scale - 0.125).astype(np.float32))
    np.testing.assert_array_equal(network.run(raw), expected)


@pytest.mark.parametrize("x, message", [
    (np.zeros((3, 11), np.float32),
     "input x takes arrays of shape (frames, 12): (3, 11) is given"),
    (np.zeros(12, np.float32), "input x takes arrays of shape (frames, 12): (12,) is given"),
    (np.zeros((3, 12)),
     'input x takes float32: float64 is given: x.astype("float32") rounds it'),
    (np.full((2, 12), np.nan, np.float32), "input x has 24 values that are infinite or NaN"),
    (np.array([["a"] * 12]), "input x takes float32: <U1 is given")])
def test_refuses_what_the_model_does_not_take(x, message):
    with pytest.raises(QuinnoaError) as error:
        load(mlp(WIDTHS, w_bits=2, a_bits=3)).run(x)
    assert str(error.value) == message


@pytest.mark.parametrize("name, x, message", [
    ("uint4", np.zeros((1, 12), np.float32), "input x takes raw integers: float32 is given"),
    ("uint4", np.full((1, 12), 16),
     "input x takes integers in [0, 15]: 16 is among the values given"),
    ("bipolar", np.zeros((1, 12), int), "input x takes -1 and +1: 0 is among the values given")])
def test_refuses_raw_integers_of_another_type(name, x, message):
    with pytest.raises(QuinnoaError) as error:
        load(mlp(WIDTHS, w_bits=2, a_bits=3), input=InputType(name)).run(x)
    assert str(error.value) == message


@pytest.mark.parametrize("name", ["float32", "int", "uint0", "int1", "int17", "uint08", "", "8"])
def test_refuses_input_types_that_are_none(name):
    with pytest.raises(QuinnoaError) as error:
        InputType(name)
    assert str(error.value) == (f"unknown input type {name!r}; uint1 to uint16, int2 to int16 and "
                                "bipolar are known")


@pytest.mark.parametrize("scale, offset, said", [
    (0.0, 0.0, "input scale is 0 and offset is 0"),
    (1.0, np.inf, "input scale is 1 and offset is inf")])
def test_refuses_input_maps_that_lose_everything(scale, offset, said):
    with pytest.raises(QuinnoaError) as error:
        InputType("uint8", scale=scale, offset=offset)
    assert str(error.value) == f"{said}; a scale other than 0 and finite numbers are expected"


def test_findings_tell_of_every_node_once():
    model = mlp(WIDTHS, w_bits=2, a_bits=3)
    found = load(model).findings
    assert [f.node for f in found] == [node.name for node in model.graph.node]
    assert {f.node: f.becomes for f in found} == {
        "Quant_0": "the host, in front", "Quant_1": "weights of mvtu0", "MatMul_0": "mvtu0",
        "BatchNormalization_0": "thresholds of mvtu0", "Quant_2": "thresholds of mvtu0",
        "Quant_3": "weights of mvtu1", "MatMul_1": "mvtu1",
        "BatchNormalization_1": "the host, behind"}


def test_renamed_and_folded_networks_are_the_same_but_for_that():
    network = load(mlp(WIDTHS, w_bits=2, a_bits=3))
    other = network.renamed("other").with_layers(network.layers[:1])
    assert (other.name, len(other.layers), other.head) == ("other", 1, network.head)
