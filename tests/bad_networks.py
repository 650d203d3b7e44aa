"""Bad networks: sound ONNX files with numbers or nodes that no hardware can be made of.

Kinds as in ``tests.bad_models``.
"""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from tests.bad_models import WIDTHS, Kind, compiling, constant, good, insert, kinds, named, swap
from tests.models import QONNX, mlp, multithreshold_mlp

__all__ = ["KINDS"]

KINDS: list[Kind] = []
kind = kinds(KINDS)


# Numbers that no hardware can hold.

@kind
def nan_weights(folder):
    model = good()
    weights = numpy_helper.to_array(constant(model, "Quant_1", 0)).copy()
    weights[3, 2] = np.nan
    swap(model, "Quant_1", 0, weights)
    return compiling(folder, model, named(model, "Quant_1").input[0], "NaN")


@kind
def nan_batch_norm(folder):
    model = good()
    swap(model, "BatchNormalization_0", 1, [1, 2, np.nan, 4, 5, 6])
    return compiling(folder, model, named(model, "BatchNormalization_0").input[1], "NaN")


@kind
def negative_variance(folder):
    model = good()
    swap(model, "BatchNormalization_0", 4, [1, 1, 1, -2, 1, 1])
    return compiling(folder, model, "BatchNormalization_0", "variance", "-2")


@kind
def nan_thresholds(folder):
    model = multithreshold_mlp(WIDTHS, w_bits=2, a_bits=2)
    swap(model, "MultiThreshold_1", 1, np.full((6, 3), np.nan))
    return compiling(folder, model, named(model, "MultiThreshold_1").input[1], "18", "NaN")


@kind
def thresholds_for_the_wrong_channels(folder):
    model = multithreshold_mlp(WIDTHS, w_bits=2, a_bits=2)
    swap(model, "MultiThreshold_1", 1, np.full((5, 3), [1, 2, 3]))
    return compiling(folder, model, "MultiThreshold_1", "threshold shape")


@kind
def scale_zero(folder):
    model = good()
    swap(model, "Quant_2", 1, 0.0)
    return compiling(folder, model, "Quant_2", "scale", "0")


@kind
def scale_negative(folder):
    model = good()
    swap(model, "Quant_2", 1, -0.5)
    return compiling(folder, model, "Quant_2", "scale", "-0.5")


@kind
def scale_infinite(folder):
    model = good()
    swap(model, "Quant_1", 1, [[1, 1, np.inf, 1, 1, 1]])
    return compiling(folder, model, "Quant_1", "scale", "inf")


@kind
def zero_point_infinite(folder):
    model = good()
    swap(model, "Quant_2", 2, np.inf)
    return compiling(folder, model, "Quant_2", "zero point", "inf")


@kind
def weights_that_become_nan(folder):
    model = good()
    insert(model, "Quant_1", helper.make_node("Sqrt", [named(model, "Quant_1").input[0]],
                                              ["roots"], "Roots"))
    return compiling(folder, model, "Roots", "NaN")


@kind
def one_vast_weight(folder):
    # In float32 the others vanish beside it, but only where it is multiplied by 0.
    model = multithreshold_mlp(WIDTHS, w_bits=2, a_bits=2)
    weights = numpy_helper.to_array(constant(model, "MatMul_0", 1)).copy()
    weights[3, 2] = 1e9
    swap(model, "MatMul_0", 1, weights)
    return compiling(folder, model, "MatMul_0", "weights")


@kind
def attribute_of_the_wrong_type(folder):
    model = good()
    node = named(model, "Quant_2")
    del node.attribute[:]
    node.attribute.append(helper.make_attribute("signed", "yes"))
    return compiling(folder, model, "Quant_2", "signed")


@kind
def zero_bits(folder):
    model = good()
    swap(model, "Quant_2", 3, 0.0)
    return compiling(folder, model, "Quant_2", "0")


@kind
def fractional_bits(folder):
    model = good()
    swap(model, "Quant_2", 3, 2.5)
    return compiling(folder, model, "Quant_2", "2.5")


@kind
def sixty_four_bits(folder):
    model = good()
    swap(model, "Quant_2", 3, 64.0)
    return compiling(folder, model, "Quant_2", "64")


# Models that are sound but cannot be built.

@kind
def unknown_rounding_mode(folder):
    model = good()
    mode = next(a for a in named(model, "Quant_2").attribute if a.name == "rounding_mode")
    mode.s = b"STOCHASTIC"
    return compiling(folder, model, "Quant_2", "STOCHASTIC")


@kind
def unsupported_operator(folder):
    model = good()
    insert(model, "Quant_2", helper.make_node("CumSum", ["BatchNormalization_0_out", "axis"],
                                              ["sums"], "Sums"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1), "axis"))
    return compiling(folder, model, "Sums", "CumSum")


@kind
def operator_that_does_not_exist(folder):
    model = good()
    insert(model, "Quant_2", helper.make_node("Frobnicate", ["BatchNormalization_0_out"], ["f"],
                                              "Frob"))
    return compiling(folder, model, "Frob", "Frobnicate")


@kind
def unknown_domain(folder):
    model = good()
    model.opset_import.add(domain="com.example", version=1)
    insert(model, "Quant_2", helper.make_node("Magic", ["BatchNormalization_0_out"], ["m"],
                                              "Wand", domain="com.example"))
    return compiling(folder, model, "Wand", "Magic", "com.example")


@kind
def several_unsupported_operators(folder):
    model = good()
    insert(model, "Quant_2", helper.make_node("Erf", ["BatchNormalization_0_out"], ["e"], "First"),
           helper.make_node("CumSum", ["e", "axis"], ["sums"], "Second"),
           helper.make_node("LpNormalization", ["sums"], ["n"], "Third"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(1), "axis"))
    return compiling(folder, model, "Second", "Third")


@kind
def dynamic_shape(folder):
    model = good()
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "features"
    return compiling(folder, model, "x", "features")


@kind
def no_quantizers(folder):
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("MatMul", ["x", "w0"], ["a"], "First"),
             helper.make_node("Relu", ["a"], ["b"], "Between"),
             helper.make_node("MatMul", ["b", "w1"], ["y"], "Second")]
    weights = [numpy_helper.from_array(rng.normal(0, 1, shape).astype(np.float32), name)
               for name, shape in (("w0", (8, 6)), ("w1", (6, 4)))]
    return compiling(folder, plain(nodes, weights), "First", "quantize")


def plain(nodes, constants, *, i_dims=(1, 8), o_dims=(1, 4)):
    """Make a model of standard nodes from ``x`` to ``y``."""
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, i_dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, o_dims)], constants)
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)])


@kind
def weights_off_any_grid(folder):
    model = good()
    named(model, "MatMul_1").input[1] = named(model, "Quant_3").input[0]
    swap(model, "MatMul_1", 1, np.random.default_rng(0).normal(0, 1, (6, 4)))
    return compiling(folder, model, "MatMul_1", "weights", "quantize")


@kind
def activations_without_quantizer(folder):
    model = good()
    named(model, "MatMul_1").input[0] = named(model, "Quant_2").input[0]
    return compiling(folder, model, "MatMul_1", "quantize")


@kind
def nothing_but_the_input_quantized(folder):
    model = good()
    del model.graph.node[1:]
    model.graph.output[0].name = model.graph.node[0].output[0]
    return compiling(folder, model, "Quant_0", "product")


@kind
def two_inputs(folder):
    model = good()
    model.graph.input.append(helper.make_tensor_value_info("other", TensorProto.FLOAT, [1, 8]))
    insert(model, "Quant_0", helper.make_node("Add", ["x", "other"], ["sum"], "Join"))
    return compiling(folder, model, "inputs", "other")


@kind
def product_of_two_activations(folder):
    model = good()
    insert(model, "MatMul_1", helper.make_node("Transpose", ["Quant_2_out"], ["t"], "Turn"),
           helper.make_node("MatMul", ["t", "Quant_2_out"], ["outer"], "Outer"),
           helper.make_node("MatMul", ["Quant_2_out", "outer"], ["inner"], "Inner"))
    return compiling(folder, model, "Outer")


@kind
def scale_that_depends_on_the_input(folder):
    model = good()
    insert(model, "Quant_2", helper.make_node("Identity", ["BatchNormalization_0_out"], ["same"],
                                              "Same"),
           helper.make_node("Exp", ["BatchNormalization_0_out"], ["above_0"], "Scales"))
    named(model, "Quant_2").input[0] = "same"
    named(model, "Quant_2").input[1] = "above_0"
    return compiling(folder, model, "Quant_2", "scale")


@kind
def residual_branch(folder):
    model = mlp((8, 6, 6, 4), w_bits=2, a_bits=2)
    insert(model, "Quant_4", helper.make_node("Add", ["Quant_2_out", "BatchNormalization_1_out"],
                                              ["sum"], "Join"))
    return compiling(folder, model, "Join", "scales", "quantizer")


@kind
def convolution_of_plain_weights(folder):
    quant = dict(domain=QONNX, signed=1, narrow=1, rounding_mode="ROUND")
    nodes = [helper.make_node("Quant", ["x", "one", "zero", "bits"], ["q"], "Inputs", **quant),
             helper.make_node("Conv", ["q", "w"], ["y"], "Plain", group=2)]
    weights = np.random.default_rng(0).normal(0, 1, (64, 32, 3, 3))
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in
                 (("one", 1.0), ("zero", 0.0), ("bits", 3.0), ("w", weights))]
    model = plain(nodes, constants, i_dims=(1, 64, 8, 8), o_dims=(1, 64, 6, 6))
    return compiling(folder, model, "Plain", "Conv", "quantize")


@kind
def transposed_convolution(folder):
    quant = dict(domain=QONNX, signed=1, narrow=1, rounding_mode="ROUND")
    nodes = [helper.make_node("Quant", ["x", "one", "zero", "bits"], ["q"], "Inputs", **quant),
             helper.make_node("ConvTranspose", ["q", "w"], ["y"], "Widen")]
    constants = [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in
                 (("one", 1.0), ("zero", 0.0), ("bits", 3.0), ("w", np.ones((4, 4, 3, 3))))]
    model = plain(nodes, constants, i_dims=(1, 4, 8, 8), o_dims=(1, 4, 10, 10))
    return compiling(folder, model, "Widen", "ConvTranspose", "Resize")


def branch(name, source):
    """Make a subgraph that passes ``source`` on."""
    return helper.make_graph(
        [helper.make_node("Identity", [source], [f"{name}_out"], f"{name}_node")], name, [],
        [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, [1, 6])])


@kind
def conditional(folder):
    model = good()
    source = "BatchNormalization_0_out"
    insert(model, "Quant_2", helper.make_node(
        "If", ["yes"], ["either"], "Fork", then_branch=branch("then", source),
        else_branch=branch("else", source)))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    return compiling(folder, model, "Fork", "If")


@kind
def loop(folder):
    model = good()
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Abs", ["v"], ["w"])],
        "body",
        [helper.make_tensor_value_info("i", TensorProto.INT64, []),
         helper.make_tensor_value_info("go", TensorProto.BOOL, []),
         helper.make_tensor_value_info("v", TensorProto.FLOAT, [1, 6])],
        [helper.make_tensor_value_info("on", TensorProto.BOOL, []),
         helper.make_tensor_value_info("w", TensorProto.FLOAT, [1, 6])])
    insert(model, "Quant_2", helper.make_node(
        "Loop", ["times", "yes", "BatchNormalization_0_out"], ["again"], "Round", body=body))
    model.graph.initializer.extend([
        numpy_helper.from_array(np.array(1 << 40), "times"),
        numpy_helper.from_array(np.array(True), "yes")])
    return compiling(folder, model, "Round", "Loop")


def unfolding(folder, op, *constants):
    """Add the greatest element that ``op`` makes of constants; it makes 2^34 of them, 64 GB."""
    model = good()
    names = [f"part{k}" for k in range(len(constants))]
    model.graph.initializer.extend(map(numpy_helper.from_array, constants, names))
    insert(model, "Quant_2", helper.make_node(op, names, ["vast"], "Bomb"),
           helper.make_node("ReduceMax", ["vast"], ["most"], "Most", keepdims=0),
           helper.make_node("Add", ["BatchNormalization_0_out", "most"], ["sum"], "Sum"))
    return compiling(folder, model, "Bomb", "17179869184")


@kind
def shape_that_unfolds_to_gigabytes(folder):
    return unfolding(folder, "ConstantOfShape", np.array([1 << 17, 1 << 17]))


@kind
def expansion_to_gigabytes(folder):
    return unfolding(folder, "Expand", np.ones((1, 1), np.float32),
                     np.array([1 << 17, 1 << 17]))


@kind
def sum_that_unfolds_to_gigabytes(folder):
    column = np.ones((1 << 17, 1), np.float32)
    return unfolding(folder, "Add", column, column.T)


@kind
def product_that_unfolds_to_gigabytes(folder):
    column = np.ones((1 << 17, 1), np.float32)
    return unfolding(folder, "MatMul", column, column.T)
