"""Random networks of 1 to 8 bits: every value of every quantizer, and the outputs, as qonnx has."""

import numpy as np
import onnx
import pytest

import quinnoa
from tests.models import KWS, MLP, NID, TFC, inputs, mlp, multithreshold_mlp, reference

QUANTIZERS = ("Quant", "BipolarQuant", "MultiThreshold", "DequantizeLinear")
# Float32 sums of a few hundred values are off by less than this, in steps of a quantizer.
ROUNDING = 1e-3


def ending_at(model, tensor):
    """Return the model cut off behind ``tensor``, which becomes the output."""
    cut = onnx.ModelProto.FromString(model.SerializeToString())
    while tensor not in cut.graph.node[-1].output:
        del cut.graph.node[-1]
    cut.graph.output[0].name = tensor
    cut.graph.output[0].type.tensor_type.shape.dim[1].Clear()
    return cut


def activations(model):
    """Return the quantizers of activations: those whose values depend on ``x``."""
    dynamic, found = {"x"}, []
    for node in model.graph.node:
        if dynamic.intersection(node.input):
            dynamic.update(node.output)
            if node.op_type in QUANTIZERS:
                found.append(node)
    return found


def near_a_tie(node, values):
    """Tell for each value of a quantizer's input whether it is as good as on a step."""
    x = values[node.input[0]].astype(np.float64)
    if node.op_type == "Quant":
        x = x / values[node.input[1]] + values[node.input[2]]
        return np.abs(np.abs(x - np.floor(x)) - 0.5) < ROUNDING
    return np.abs(x) < ROUNDING * np.abs(x).max()


def compare(model, x):
    """Compare the values of all quantizers for ``x``; the first is on the host, in every cut.

    Returns the outputs, those of the executor, and which frames it did not round across a tie:
    from its first such value on a frame is not looked at any more.
    """
    values = reference(model, x, values=True)
    good = np.ones(len(x), bool)
    for node in activations(model)[1:]:
        tensor = node.output[0]
        y = quinnoa.load(ending_at(model, tensor)).run(x)
        differs = good[:, None] & (y != values[tensor])
        assert np.all(near_a_tie(node, values)[differs]), f"{node.name} differs"
        good &= ~differs.any(axis=1)
    y = quinnoa.load(model).run(x)
    assert y.shape == values["y"].shape
    return y, values["y"], good


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("widths", [NID, (490, 48, 48, 48, 12)], ids=["NID", "KWS"])
def test_networks_full_of_ties_agree_on_every_value(widths, bits):
    model = mlp(widths, w_bits=bits, a_bits=bits, seed=bits)
    y, expected, good = compare(model, inputs(widths, 20, i_bits=bits, seed=bits))
    assert good.all()
    assert np.array_equal(y, expected)


MIXED = [
    # widths, options
    (NID, dict(w_bits=1, a_bits=2, i_bits=8)),
    (NID, dict(w_bits=2, a_bits=1, i_bits=1, negative_gammas=False)),
    (NID, dict(w_bits=1, a_bits=4, per_channel=False)),
    (NID, dict(w_bits=5, a_bits=3, relu=True)),
    (NID, dict(w_bits=3, a_bits=8, relu=True, bias=True)),
    (NID, dict(w_bits=4, a_bits=4, zero_points=True)),
    (NID, dict(w_bits=2, a_bits=3, bn=False, bias=True)),
    (NID, dict(w_bits=1, a_bits=1, bn=False, bias=True, per_channel=False)),
    (NID, dict(w_bits=3, a_bits=2, narrow=False)),
    (NID, dict(w_bits=3, a_bits=3, form="qcdq")),
    (NID, dict(w_bits=8, a_bits=8, form="qcdq", zero_points=True)),
    (TFC, dict(w_bits=2, a_bits=2, relu=True, form="qcdq")),
]


@pytest.mark.parametrize("widths, options", MIXED, ids=lambda value: (
    "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else None))
def test_mixed_networks_full_of_ties_agree_on_every_value(widths, options):
    model = mlp(widths, seed=1, **options)
    x = inputs(widths, 20, i_bits=options.get("i_bits", options["a_bits"]), seed=1)
    y, expected, good = compare(model, x)
    assert good.all()
    assert np.array_equal(y, expected)


@pytest.mark.parametrize("bits", range(1, 9))
def test_networks_of_any_scale_agree_but_for_the_executors_own_rounding(bits):
    model = mlp(NID, w_bits=bits, a_bits=bits, seed=bits, ties=False, relu=bits % 2 == 0)
    y, expected, good = compare(model, inputs(NID, 50, i_bits=bits, seed=bits))
    assert np.sum(~good) <= 1
    np.testing.assert_allclose(y[good], expected[good], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_multithreshold_networks_agree_on_every_value(bits):
    model = multithreshold_mlp(TFC, w_bits=bits, a_bits=bits, seed=bits)
    y, expected, good = compare(model, inputs(TFC, 20, i_bits=bits, seed=bits))
    assert good.all()
    np.testing.assert_allclose(y, expected, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("widths, bits", [(KWS, 3), (MLP, 2), (MLP, 3), (MLP, 4)])
def test_published_topologies_agree_on_every_value(widths, bits):
    model = mlp(widths, w_bits=bits, a_bits=bits, seed=0, ties=True)
    y, expected, good = compare(model, inputs(widths, 100, i_bits=bits))
    assert good.all()
    assert np.array_equal(y, expected)
