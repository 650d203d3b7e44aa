"""What cannot be built is refused with every node that blocks, why, and what would help."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from quinnoa.errors import ModelError, QuinnoaError, UnsupportedModel
from quinnoa.graph.constants import fold_constants
from quinnoa.graph.lower import InputType, load
from quinnoa.graph.products import product_of
from quinnoa.graph.read import read
from tests.models import QONNX, Graph, inputs, mlp, reference

C = 6
WEIGHTS = np.random.default_rng(0).integers(-1, 2, (C, C)).astype(np.float32)
WEIGHTS[0] = 1


def network(chain, *, dims=(1, C), weights=WEIGHTS):
    """Make a model: quantizer, product, ``chain``, product."""
    g = Graph(list(dims))
    x = g.node("MatMul", g.quant("x", 0.5, 4), weights)
    x = g.node("MatMul", chain(g, x), WEIGHTS)
    return g.model(x, [dims[0], C])


def refusal(model, error=UnsupportedModel, **options):
    with pytest.raises(error) as caught:
        load(model, **options)
    return str(caught.value)


def one(text):
    return f"model: 1 node cannot be built:\n  node {text}"


def quant(g, x, *parameters, **options):
    options = {"signed": 1, "narrow": 0, "rounding_mode": "ROUND", **options}
    return g.node("Quant", x, *parameters, domain=QONNX, **options)


HELP = "express it by operators that are, or take it out of the model and compute it on the host"


def test_all_nodes_that_block_are_told_at_once():
    def chain(g, x):
        x = g.node("CumSum", x, g.constant(1, np.int64))
        x = g.node("Magic", x, domain="com.example")
        x = g.node("ConvTranspose", x, x)
        return g.node("Dropout_", x, domain="ai.onnx")

    assert refusal(network(chain)) == (
        "model: 4 nodes cannot be built:\n"
        f"  node CumSum_0 (CumSum): operator CumSum is not supported; {HELP}\n"
        "  node Magic_0 (Magic): operator Magic of domain com.example is unknown; standard ONNX "
        "and the QONNX operators are expected\n"
        "  node ConvTranspose_0 (ConvTranspose): operator ConvTranspose is not supported; write "
        "it as Resize (nearest) and Conv\n"
        f"  node Dropout__0 (Dropout_): operator Dropout_ is not supported; {HELP}")


def test_all_weights_off_the_grid_are_told_at_once():
    rng = np.random.default_rng(1)
    g = Graph([1, C])
    x = g.node("MatMul", g.quant("x", 0.5, 4), rng.normal(0, 1, (C, C)))
    x = g.node("MatMul", g.quant(x, 0.5, 4), rng.normal(0, 1, (C, 3)))
    assert refusal(g.model(x, [1, 3])) == (
        "model: 2 nodes cannot be built:\n"
        "  node MatMul_0 (MatMul): weights constant3 are plain floats: 36 values that lie on no "
        "grid of at most 256 steps; quantize them (Quant or DequantizeLinear)\n"
        "  node MatMul_1 (MatMul): weights constant4 are plain floats: 18 values that lie on no "
        "grid of at most 256 steps; quantize them (Quant or DequantizeLinear)")


REFUSALS = {
    "Relu without quantizer": (
        lambda g, x: g.node("Relu", x),
        one("Relu_0 (Relu): an activation that no quantizer follows; put a quantizer (Quant, "
            "QuantizeLinear, MultiThreshold) between it and the next layer")),
    "one scale a channel": (
        lambda g, x: quant(g, x, np.arange(1, C + 1) / 4, 0.0, 4.0),
        one("MatMul_1 (MatMul): its input has one scale a channel; one for all is expected: "
            "quantize it per tensor")),
    "values on no grid": (
        lambda g, x: g.node("Sigmoid", g.quant(x, 0.5, 3)),
        one("Sigmoid_0 (Sigmoid): behind it the values lie on no even grid; put a quantizer "
            "behind it")),
    "two products of activations": (
        lambda g, x: g.node("MatMul", g.node("Transpose", g.quant(x, 0.5, 3)), x),
        "model: 2 nodes cannot be built:\n"
        "  node MatMul_1 (MatMul): 2 of its inputs depend on the model's input; a product with "
        "constant weights is expected\n"
        "  node MatMul_2 (MatMul): a tensor of dims [6, 6] times a matrix for 6 inputs; one vector "
        "a sample is expected: flatten it first"),
    "branches multiplied": (
        lambda g, x: g.quant(g.node("Mul", g.quant(x, 0.5, 3), g.node("MatMul", x, WEIGHTS)),
                             0.5, 3),
        one("Mul_0 (Mul): it joins branches that are not of one layer; of such, only Add and "
            "Concat can be built")),
    "Softmax between layers": (
        lambda g, x: g.quant(g.node("Softmax", x), 0.125, 3),
        one("Softmax_0 (Softmax): it stands in front of a layer; behind the last one is "
            "expected")),
    "training": (
        lambda g, x: g.node("BatchNormalization", x, *np.ones((4, C)), training_mode=1),
        one("BatchNormalization_0 (BatchNormalization): training_mode is 1; 0 is expected: export "
            "the model in evaluation mode")),
    "32 bits": (
        lambda g, x: quant(g, x, 1.0, 0.0, 32.0),
        one("Quant_1 (Quant): 32 bits; at most 16 are expected of an activation")),
    "NaN": (
        lambda g, x: g.quant(g.node("Sqrt", x), 0.5, 3),
        one("Quant_1 (Quant): it gives NaN for some of the accumulators")),
    "spreading": (
        lambda g, x: g.quant(g.node("Add", x, np.ones((1, 2, 1))), 0.5, 3),
        "model: 2 nodes cannot be built:\n"
        "  node Add_0 (Add): it spreads one element over several: dims are [1, 6] and [1, 2, 6]\n"
        "  node MatMul_1 (MatMul): a tensor of dims [1, 2, 6] times a matrix for 6 inputs; one "
        "vector a sample is expected: flatten it first"),
    "indices of data": (
        lambda g, x: g.node("Gather", g.quant(x, 0.5, 3), g.constant([0] * C, np.int64), axis=1),
        one("Gather_0 (Gather): operator Gather is supported on constants only, and its input "
            "depends on the model's")),
    "Round of much": (
        lambda g, x: g.node("Round", g.node("Mul", x, 2.0 ** 20)),
        one("Round_0 (Round): it gives integers from -24641536 to 22544384; at most 16 bits are "
            "expected of an activation")),
    "Round beyond int64": (
        lambda g, x: g.node("Round", g.node("Mul", x, 2.0 ** 100)),
        one("Round_0 (Round): it gives integers from -1099511627776 to 1099511627776; at most 16 "
            "bits are expected of an activation")),
    "no scale for MultiThreshold": (
        lambda g, x: g.node("MultiThreshold", x, np.ones((1, 3)), domain=QONNX, out_dtype="UINT2",
                            out_scale=0.0),
        one("MultiThreshold_0 (MultiThreshold): out_scale is 0 and out_bias is 0; finite numbers "
            "and a scale other than 0 are expected")),
    "floats for integers": (
        lambda g, x: g.node("DequantizeLinear", g.node("QuantizeLinear", x, 0.5, g.constant(
            0, np.int32)), 0.5),
        None),
}


@pytest.mark.parametrize("chain, message", REFUSALS.values(), ids=REFUSALS)
def test_refuses_what_cannot_be_built(chain, message):
    if message is None:
        assert refusal(network(chain), ModelError).startswith(
            "node QuantizeLinear_0 (QuantizeLinear): cannot be evaluated: ")
    else:
        assert refusal(network(chain)) == message


PARAMETERS = {
    "scale 0": ((0.0, 0.0, 4.0), {}, "its scale is 0; above 0 is expected"),
    "scale infinite": ((np.inf, 0.0, 4.0), {}, "its scale is inf; above 0 is expected"),
    "bits 2.5": ((1.0, 0.0, 2.5), {}, "its bits are 2.5; one whole number from 1 to 32 is "
                                      "expected"),
    "bits 0": ((1.0, 0.0, 0.0), {}, "its bits are 0.0; one whole number from 1 to 32 is expected"),
    "no bits": ((1.0, 0.0), {}, "3 inputs; 4 are expected"),
}


@pytest.mark.parametrize("parameters, options, message", PARAMETERS.values(), ids=PARAMETERS)
def test_refuses_quantizers_without_sense(parameters, options, message):
    assert refusal(network(lambda g, x: quant(g, x, *parameters, **options)), ModelError) == (
        f"node Quant_1 (Quant): {message}")


def test_refuses_variances_below_0():
    parameters = np.ones((4, C))
    parameters[3, 2] = -0.5
    assert refusal(network(lambda g, x: g.node("BatchNormalization", x, *parameters)), ModelError
                   ) == ("node BatchNormalization_0 (BatchNormalization): its variance is -0.5; at "
                         "least 0 is expected")


def test_refuses_operators_of_later_opsets_and_too_few_inputs():
    def relu(*given):
        model = network(lambda g, x: g.quant(g.node("HardSwish", x), 0.5, 3))
        del model.graph.node[2].input[:]
        model.graph.node[2].input.extend(given)
        return model

    assert refusal(relu("MatMul_0_out"), ModelError) == (
        "node HardSwish_0 (HardSwish): there is no such operator in opset 13")
    for given in ([], [""], ["MatMul_0_out"] * 2):
        model = relu(*given)
        model.graph.node[2].op_type = "Relu"
        assert refusal(model, ModelError) == (
            f"node HardSwish_0 (Relu): inputs {given}; 1 to 1 of them are expected, and an output")


def test_refuses_rounding_modes_it_does_not_know():
    assert refusal(network(lambda g, x: quant(g, x, 1.0, 0.0, 4.0, rounding_mode="DICE"))) == (
        "node Quant_1 (Quant): its rounding mode is DICE; one of ROUND, HALF_EVEN, CEIL, FLOOR, "
        "UP, DOWN, HALF_UP, HALF_DOWN is expected")


def test_refuses_a_scale_that_is_computed():
    assert refusal(network(lambda g, x: quant(g, x, g.node("Exp", x), 0.0, 4.0))) == (
        "node Quant_1 (Quant): its scale depends on the model's input; a constant is expected: "
        "export with fixed quantization parameters")


def test_refuses_thresholds_for_other_channels():
    assert refusal(network(lambda g, x: g.node(
        "MultiThreshold", x, np.ones((C - 1, 3)), domain=QONNX, out_dtype="UINT2")), ModelError
    ) == ("node MultiThreshold_0 (MultiThreshold): its threshold shape is [5, 3], for 6 channels; "
          "[1 or 6, steps] is expected")


def test_refuses_products_that_do_not_fit():
    assert refusal(network(lambda g, x: g.quant(x, 0.5, 3), weights=WEIGHTS[:5]), ModelError) == (
        "node MatMul_0 (MatMul): dims [1, 6] and [5, 6] do not fit")


def test_refuses_several_vectors_a_sample():
    assert refusal(network(lambda g, x: g.quant(x, 0.5, 3), dims=(1, 4, C))) == (
        "model: 2 nodes cannot be built:\n" + "\n".join(
            f"  node MatMul_{k} (MatMul): a tensor of dims [1, 4, 6] times a matrix for 6 inputs; "
            "one vector a sample is expected: flatten it first" for k in range(2)))


def test_refuses_scales_along_the_inputs():
    def chain(g, x):
        weights = g.quant(WEIGHTS, np.arange(1, C + 1)[:, None] / 4, 3)
        return g.quant(g.node("MatMul", g.quant(x, 0.5, 4), weights), 0.5, 3)

    assert refusal(network(chain)) == one(
        "MatMul_1 (MatMul): the scale of weights Quant_1_out differs along the inputs; one scale, "
        "or one an output, is expected")


def test_refuses_a_network_without_quantizers():
    g = Graph([1, C])
    model = g.model(g.node("Relu", g.node("MatMul", "x", WEIGHTS)), [1, C])
    assert refusal(model) == one(
        "Relu_0 (Relu): no quantizer stands behind the input or any product; quantize inputs and "
        "activations (Quant, QuantizeLinear, MultiThreshold)")


def test_refuses_an_input_that_is_only_rounded():
    g = Graph([1, C])
    model = g.model(g.node("MatMul", g.node("Round", "x"), WEIGHTS), [1, C])
    assert refusal(model) == one(
        "Round_0 (Round): it has no limits, and the model's input has none; put a quantizer "
        "behind the input, or give an input type (--input)")
    x = np.random.default_rng(0).integers(-8, 8, (9, C))
    np.testing.assert_array_equal(load(model, input=InputType("int4")).run(x), x @ WEIGHTS)


def test_refuses_a_network_without_layers():
    g = Graph([1, C])
    assert refusal(g.model(g.quant("x", 0.5, 3), [1, C])) == one(
        "Quant_0 (Quant): nothing in front of it is for the hardware: no product follows a "
        "quantizer")


def test_names_from_the_file_are_shown_safe_and_short():
    model = network(lambda g, x: g.node("CumSum", x, g.constant(1, np.int64)))
    node = next(n for n in model.graph.node if n.op_type == "CumSum")
    node.name = "\x1b[2J\n" + "x" * 99
    assert f"node ?[2J?{'x' * 52}... (CumSum)" in refusal(model)


@pytest.mark.parametrize("bits, mode", [(2, "int8"), (8, "uint8")])
def test_weights_of_quantize_linear_have_zero_points_and_scales_of_their_own(bits, mode):
    rng = np.random.default_rng(0)
    info = np.iinfo(mode)
    codes = rng.integers(max(info.min, -2 ** bits), min(info.max, 2 ** bits) + 1, (C, 4))
    zero = rng.integers(0, 2, 4)
    g = Graph([1, C])
    w = g.node("DequantizeLinear", g.constant(codes, mode),
               np.arange(1, 5, dtype=np.float32) / 4, g.constant(zero, mode), axis=1)
    model = g.model(g.node("MatMul", g.quant("x", 0.5, 4), w), [1, 4])
    network = load(model)
    np.testing.assert_array_equal(network.layers[0].weights, (codes - zero).T)
    x = inputs((C, 4), 50, i_bits=4)
    np.testing.assert_array_equal(network.run(x), reference(model, x))


def test_an_annotated_input_is_cast():
    g = Graph([1, C])
    model = g.model(g.node("MatMul", "x", WEIGHTS), [1, C])
    note = model.graph.quantization_annotation.add(tensor_name="x")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value="INT4")
    network = load(model)
    x = np.random.default_rng(0).integers(-8, 8, (9, C)).astype(np.float32)
    np.testing.assert_array_equal(network.run(x), x @ WEIGHTS)
    with pytest.raises(QuinnoaError) as error:
        network.run(x + np.float32(0.5))
    assert str(error.value) == (f"input x takes integers in [-8, 7]: {x[0, 0] + 0.5} is among the "
                                "values given")
    with pytest.raises(QuinnoaError) as error:
        network.run(x * np.float32(np.nan))
    assert str(error.value) == "input x has 54 values that are infinite or NaN"


def test_a_product_of_columns_has_the_weights_on_the_left():
    weights = np.arange(12, dtype=np.float32).reshape(3, 4)
    node = helper.make_node("MatMul", ["w", "t"], ["u"])
    graph = helper.make_graph(
        [helper.make_node("Transpose", ["x"], ["t"], perm=[1, 0]), node,
         helper.make_node("Transpose", ["u"], ["y"], perm=[1, 0])], "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        [onnx.numpy_helper.from_array(weights, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    folded = fold_constants(read(model))
    np.testing.assert_array_equal(product_of(node, folded).codes, weights)
    x = np.random.default_rng(0).integers(0, 4, (5, 4))
    np.testing.assert_array_equal(load(model, input=InputType("uint2")).run(x), x @ weights.T)


@pytest.mark.parametrize("top, message", [
    (0, "top is 0; a whole number of at least 1 is expected"),
    (1.5, "top is 1.5; a whole number of at least 1 is expected")])
def test_refuses_a_top_that_is_no_count(top, message):
    assert refusal(mlp((6, 4, 3), w_bits=2, a_bits=2), QuinnoaError, top=top) == message
