"""Every operator in front of a quantizer gives, code for code, what the qonnx executor gives.

All constants are dyadic, so that sums in float32 are exact and ties occur.
"""

import numpy as np
import onnx
import pytest
from onnx import helper

from quinnoa.graph.layers import MatMul, Threshold
from quinnoa.graph.lower import load
from tests.models import QONNX, Graph, reference

C = 8
RNG = np.random.default_rng(5)
# Multiples of 1/8, both signs, no zero.
EACH = np.array([-1.5, -0.75, -0.25, 0.125, 0.5, 0.875, 1.25, 2.0], np.float32)
POSITIVE = np.abs(EACH)


def integers(low, high, shape):
    return np.random.default_rng(7).integers(low, high + 1, shape).astype(np.float32)


def network(chain, *, opset=13, quant=None, dims=(1, C)):
    """Make a model: quantizer, product, ``chain``, quantizer, product, float output."""
    g = Graph(list(dims))
    x = g.quant("x", 0.25, 4)
    x = g.node("MatMul", x, g.quant(integers(-3, 3, (C, C)) * 0.5, 0.5, 3))
    x = chain(g, x)
    x = quant(g, x) if quant else g.quant(x, 0.5, 4)
    x = g.node("MatMul", x, g.quant(integers(-1, 1, (C, 3)), 1.0, 2))
    model = g.model(x, [dims[0], 3])
    model.opset_import[0].version = opset
    return model


def frames(count=200):
    """Draw inputs, many of them on ties."""
    rng = np.random.default_rng(3)
    return (rng.integers(-20, 21, (count, C)) / 8).astype(np.float32)


def agrees(model, x=None):
    """Compare with the executor, exactly; return the network."""
    x = frames() if x is None else x
    lowered = load(model)
    expected = reference(model, x)
    assert len(np.unique(expected)) > 2, "the model tells nothing"
    np.testing.assert_array_equal(lowered.run(x), expected)
    return lowered


def batch_norm(g, x, sign=1):
    return g.node("BatchNormalization", x, EACH * sign, EACH[::-1].copy(), EACH * 2, POSITIVE,
                  epsilon=2.0 ** -10)


def transposed(g, x):
    x = g.node("Reshape", x, g.constant([-1, 2, C // 2], np.int64))
    x = g.node("Transpose", x, perm=[0, 2, 1])
    x = g.node("Add", x, EACH.reshape(1, C // 2, 2))
    return g.node("Flatten", x, axis=1)


def squeezed(g, x):
    x = g.node("Unsqueeze", x, g.constant([2], np.int64))
    x = g.node("BatchNormalization", x, EACH, EACH, EACH, POSITIVE)
    return g.node("Squeeze", x, g.constant([2], np.int64))


def static_shapes(g, x):
    """Reshape by arithmetic on the tensor's own shape, as exporters write ``x.view(n, -1)``."""
    n = g.node("Gather", g.node("Shape", x), g.constant(0, np.int64), axis=0)
    n = g.node("Unsqueeze", n, g.constant([0], np.int64))
    return g.node("Reshape", x, g.node("Concat", n, g.constant([-1], np.int64), axis=0))


CHAINS = {
    "nothing": lambda g, x: x,
    "Add": lambda g, x: g.node("Add", x, EACH),
    "Sub": lambda g, x: g.node("Sub", x, EACH),
    "Sub from a constant": lambda g, x: g.node("Sub", EACH, x),
    "Mul": lambda g, x: g.node("Mul", x, EACH),
    "Div": lambda g, x: g.node("Div", x, np.float32(-4)),
    "Pow": lambda g, x: g.node("Pow", g.node("Mul", x, np.float32(0.25)), np.float32(2)),
    "Sqrt": lambda g, x: g.node("Sqrt", g.node("Abs", x)),
    "Neg": lambda g, x: g.node("Neg", x),
    "BatchNormalization": batch_norm,
    "BatchNormalization, gammas negated": lambda g, x: batch_norm(g, x, -1),
    "Relu": lambda g, x: g.node("Relu", x),
    "LeakyRelu": lambda g, x: g.node("LeakyRelu", x, alpha=0.125),
    "LeakyRelu that turns": lambda g, x: g.node("LeakyRelu", x, alpha=-0.5),
    "PRelu": lambda g, x: g.node("PRelu", x, EACH),
    "Clip": lambda g, x: g.node("Clip", x, np.float32(-1), np.float32(2)),
    "HardTanh": lambda g, x: g.node("Clip", x, np.float32(-1), np.float32(1)),
    "Sigmoid": lambda g, x: g.node("Mul", g.node("Sigmoid", x), np.float32(3)),
    "HardSigmoid": lambda g, x: g.node("Mul", g.node("HardSigmoid", x), np.float32(3)),
    "Tanh": lambda g, x: g.node("Mul", g.node("Tanh", x), np.float32(3)),
    "Sign": lambda g, x: g.node("Sign", x),
    "Identity": lambda g, x: g.node("Identity", x),
    "Dropout": lambda g, x: g.node("Dropout", x),
    "Elu": lambda g, x: g.node("Elu", x),
    "Min and Max": lambda g, x: g.node("Max", g.node("Min", x, EACH + 1), EACH - 1),
    "branches that join": lambda g, x: g.node("Mul", x, g.node("Sigmoid", x)),
    "Reshape": lambda g, x: g.node("Reshape", x, g.constant([-1, C], np.int64)),
    "Transpose": transposed,
    "Squeeze": squeezed,
    "two quantizers": lambda g, x: g.node("Relu", g.quant(x, 0.25, 5)),
}


@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_chain_agrees_with_the_executor(chain):
    agrees(network(chain))


def test_arithmetic_on_static_shapes_is_folded():
    lowered = load(network(static_shapes))
    expected = load(network(CHAINS["nothing"])).run(frames())
    np.testing.assert_array_equal(lowered.run(frames()), expected)
    assert {f.becomes for f in lowered.findings if f.op in ("Shape", "Gather")} == {"a constant"}


@pytest.mark.parametrize("scale", [0.5, EACH[None] ** 2], ids=["one scale", "one a channel"])
@pytest.mark.parametrize("narrow", [0, 1])
@pytest.mark.parametrize("signed", [0, 1])
@pytest.mark.parametrize("mode", ["ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP",
                                  "HALF_DOWN"])
def test_every_rounding_mode_agrees(mode, signed, narrow, scale):
    def quant(g, x):
        x = g.node("Quant", x, scale, np.float32(signed - 1), np.float32(3), domain=QONNX,
                   signed=signed, narrow=narrow, rounding_mode=mode)
        # The product behind needs one scale for all.
        return x if np.ndim(scale) == 0 else g.quant(x, 0.25, 4)

    agrees(network(CHAINS["nothing"], quant=quant))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("signed", [0, 1])
def test_bits_of_the_stream_are_those_of_the_quantizer(bits, signed):
    def quant(g, x):
        return g.node("IntQuant", x, np.float32(2.0 ** (3 - bits)), np.float32(0),
                      np.float32(bits), domain=QONNX, signed=signed, narrow=0,
                      rounding_mode="ROUND")

    lowered = agrees(network(CHAINS["Add"], quant=quant))
    last = lowered.layers[-1].i.shape
    if bits == 1 and signed:
        assert repr(last) == "bipolar"
    else:
        assert (last.width, last.signed) == (bits, bool(signed))


def test_zero_points_that_are_no_integers_agree():
    agrees(network(CHAINS["Add"], quant=lambda g, x: g.node(
        "Quant", x, np.float32(0.5), np.float32(3.25), np.float32(4), domain=QONNX, signed=0,
        narrow=0, rounding_mode="ROUND")))


def trunc(*parameters, **options):
    def quant(g, x):
        x = g.node("Quant", x, np.float32(0.25), np.float32(0), np.float32(6), domain=QONNX,
                   signed=1, narrow=0, rounding_mode="ROUND")
        return g.node("Trunc", x, *map(np.float32, parameters), domain=QONNX, **options)

    return quant


@pytest.mark.parametrize("mode", ["FLOOR", "ROUND", "CEIL"])
def test_trunc_of_both_versions_agrees(mode):
    agrees(network(CHAINS["Add"], quant=trunc(0.25, 0, 6, 3, rounding_mode=mode)))
    model = network(CHAINS["Add"], quant=trunc(0.25, 0, 6, 1, 3, rounding_mode=mode, signed=1,
                                               narrow=0))
    model.opset_import[1].version = 2
    agrees(model)


@pytest.mark.parametrize("layout", ["", "NC", "NCHW"])
def test_multithreshold_agrees(layout):
    steps = np.sort(integers(-40, 40, (C, 5)) / 8, axis=1)
    options = {"data_layout": layout} if layout else {}
    for scale, bias, kind in [(1.0, 0.0, "UINT3"), (0.5, -1.0, "INT3"), (0.5, 0.375, "FLOAT32")]:
        agrees(network(CHAINS["Add"], quant=lambda g, x, s=scale, b=bias, t=kind: g.node(
            "MultiThreshold", x, steps, domain=QONNX, out_scale=s, out_bias=b, out_dtype=t,
            **options)))


def qcdq(low, high, zero, dtype):
    def quant(g, x):
        x = g.node("QuantizeLinear", x, np.float32(0.5), g.constant(zero, dtype))
        if low is not None:
            x = g.node("Clip", x, g.constant(low, dtype), g.constant(high, dtype))
        return g.node("DequantizeLinear", x, np.float32(0.5), g.constant(zero, dtype))

    return quant


@pytest.mark.parametrize("quant, bits", [(qcdq(-3, 3, 0, np.int8), 3),
                                         (qcdq(0, 15, 5, np.uint8), 4),
                                         (qcdq(None, None, 100, np.uint8), 8)])
def test_qcdq_agrees(quant, bits):
    lowered = agrees(network(batch_norm, quant=quant))
    assert lowered.layers[-1].i.shape.width == bits


def test_round_and_clip_agree():
    agrees(network(batch_norm, quant=lambda g, x: g.node(
        "Clip", g.node("Round", x), np.float32(-3), np.float32(4))))


@pytest.mark.parametrize("opset", [9, 11, 13, 17, 21, 26])
def test_opsets_from_9_to_the_newest_agree(opset):
    agrees(network(lambda g, x: g.node("Relu", batch_norm(g, x)), opset=opset))


@pytest.mark.parametrize("options", [
    {}, {"alpha": 0.5}, {"beta": -2.0}, {"transB": 1}, {"alpha": -0.25, "beta": 3.0, "transB": 1}])
def test_gemm_agrees(options):
    def chain(g, x):
        x = g.quant(x, 0.5, 4)
        weights = integers(-3, 3, (C, C))
        return g.node("Gemm", x, weights.T if options.get("transB") else weights, EACH, **options)

    agrees(network(chain))


def test_an_opset_newer_than_the_runtime_is_read_if_no_operator_changed():
    newest = onnx.defs.onnx_opset_version()
    expected = load(network(batch_norm)).run(frames())
    np.testing.assert_array_equal(load(network(batch_norm, opset=newest)).run(frames()), expected)


def test_gemm_of_columns_agrees():
    """transA: the samples stand in columns, so the executor takes them one by one."""
    model = network(lambda g, x: g.node(
        "Gemm", g.node("Transpose", g.quant(x, 0.5, 4), perm=[1, 0]), integers(-3, 3, (C, C)),
        transA=1))
    lowered = load(model)
    for x in frames(20):
        np.testing.assert_array_equal(lowered.run(x[None]), reference(model, x[None]))


@pytest.mark.parametrize("form", ["per channel", "per tensor", "integers", "ternary"])
def test_floats_on_a_grid_are_weights(form):
    codes = integers(-3, 3, (C, C))
    codes[0] = 1                         # so that every column has the unit
    weights = {"per channel": codes * (POSITIVE * np.float32(0.7)), "integers": codes,
               "per tensor": codes * np.float32(0.3), "ternary": np.sign(codes)}[form]
    model = network(lambda g, x: g.node("MatMul", g.quant(x, 0.5, 4), weights))
    layer = load(model).layers[1]
    assert isinstance(layer, MatMul)
    expected = np.sign(codes) if form == "ternary" else codes
    np.testing.assert_array_equal(layer.weights, expected.T)
    if form in ("integers", "ternary"):
        agrees(model)


def test_a_long_range_is_bisected_to_the_same_thresholds(monkeypatch):
    from quinnoa.graph import steps
    model = network(lambda g, x: g.node("LeakyRelu", batch_norm(g, x), alpha=0.125))
    whole = load(model).layers[0].thresholds
    monkeypatch.setattr(steps, "MAX_TABLE", 0)
    bisected = load(model).layers[0].thresholds
    np.testing.assert_array_equal(bisected.values, whole.values)
    np.testing.assert_array_equal(bisected.falls, whole.falls)
    np.testing.assert_array_equal(bisected.base, whole.base)


@pytest.mark.parametrize("chain", [
    lambda g, x: g.node("Mul", x, x), lambda g, x: g.node("Div", np.float32(2), x),
    lambda g, x: g.node("Tanh", x), lambda g, x: g.node("LeakyRelu", x, alpha=-0.5)])
def test_what_may_turn_is_never_bisected(monkeypatch, chain):
    from quinnoa.graph import steps
    model = network(lambda g, x: chain(g, g.node("Add", x, np.float32(0.125))))
    expected = load(model).run(frames())
    monkeypatch.setattr(steps, "MAX_TABLE", 0)
    monkeypatch.setattr(steps, "bisected", None)
    np.testing.assert_array_equal(load(model).run(frames()), expected)


def test_many_steps_are_a_layer_of_their_own():
    def wide(bits):
        return load(network(CHAINS["Add"], quant=lambda g, x: g.quant(x, 2.0 ** (2 - bits), bits)))

    assert [layer.name for layer in wide(4).layers] == ["mvtu0", "mvtu1"]
    layers = wide(5).layers
    assert [layer.name for layer in layers] == ["mvtu0", "threshold0", "mvtu1"]
    assert isinstance(layers[1], Threshold) and layers[1].thresholds.steps == 31


def old(model, domain):
    """Make a model as older exporters wrote it: their domain, not imported, weights as inputs."""
    for node in model.graph.node:
        if node.domain:
            node.domain = domain
    del model.opset_import[1]
    model.graph.input.extend(helper.make_tensor_value_info(i.name, i.data_type, i.dims)
                             for i in model.graph.initializer)
    return model


@pytest.mark.parametrize("domain", ["onnx.brevitas", "finn.custom_op.general"])
def test_old_domains_and_initializers_as_inputs_are_read(domain):
    x, model = frames(), network(batch_norm)
    expected = load(model).run(x)
    np.testing.assert_array_equal(load(old(model, domain)).run(x), expected)


@pytest.mark.parametrize("dim", ["N", 0, 1, 5])
def test_any_batch_runs_whatever_the_file_says(dim):
    model = network(transposed)
    expected = load(model).run(frames(7))
    for info in (model.graph.input[0], model.graph.output[0]):
        first = info.type.tensor_type.shape.dim[0]
        first.Clear()
        if isinstance(dim, str):
            first.dim_param = dim
        else:
            first.dim_value = dim
    lowered = load(model)
    for count in (0, 1, 7):
        np.testing.assert_array_equal(lowered.run(frames(7)[:count]), expected[:count])


def test_nodes_out_of_order_are_sorted():
    model = network(batch_norm)
    expected = load(model).run(frames())
    nodes = [onnx.NodeProto.FromString(n.SerializeToString()) for n in model.graph.node][::-1]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    np.testing.assert_array_equal(load(model).run(frames()), expected)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax"])
def test_a_final_softmax_runs_on_the_host(op):
    model = network(batch_norm)
    model.graph.node[-1].output[0] = "scores"
    model.graph.node.append(helper.make_node(op, ["scores"], ["y"], "last", axis=1))
    lowered = load(model)
    np.testing.assert_allclose(lowered.run(frames()), reference(model, frames()), rtol=1e-6)
    assert lowered.findings[-1].note == "dropped from the hardware; the host applies it"
    top = load(model, top=2).run(frames())
    scores = reference(model, frames())
    np.testing.assert_array_equal(np.take_along_axis(scores, top, 1),
                                  -np.sort(-scores, axis=1)[:, :2])


def test_codes_from_below_0_to_above_it_are_not_taken_for_one_bit():
    # Of a rising function the ends alone, -1 and +1, are looked at.
    g = Graph([1, 4])
    x = g.node("MatMul", g.quant("x", 0.25, 3), np.eye(4))
    x = g.node("MatMul", g.node("Round", x), np.eye(4)[:, ::-1])
    model = g.model(x, [1, 4])
    x = (np.arange(-8, 8).reshape(4, 4) / 8).astype(np.float32)
    np.testing.assert_array_equal(load(model).run(x), reference(model, x))
