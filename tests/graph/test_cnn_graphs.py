"""Branches, layouts and odd ends of convolutional networks give what the qonnx executor gives."""

import numpy as np
import pytest

from quinnoa.errors import UnsupportedModel
from quinnoa.graph.compare import against_executor
from quinnoa.graph.lower import InputType, load
from tests.models import QONNX, Graph, QCDQGraph, reference

from .cnns import (
    DIMS,
    C,
    H,
    W,
    activation,
    branches,
    check,
    cnn,
    conv,
    finished,
    frames,
    rng,
    scaled,
)


def test_residual_blocks():
    def body(g, x):
        x = activation(g, conv(g, x, 6, C, (1, 1)), 6)
        y = activation(g, conv(g, x, 6, 6, pads=[1, 1, 1, 1]), 6)
        x = g.quant(g.node("Relu", g.node("Add", x, y)), 1.0, 3, signed=False)
        return conv(g, x, 3, 6, (1, 1))

    network = check(cnn(body), kinds="mvtu swu mvtu add mvtu")
    assert network.feeds[3] == ("mvtu0", "mvtu1")
    assert network.layers[3].multipliers == (1, 1) and network.layers[3].thresholds is not None


def test_sums_of_branches_whose_scales_have_a_common_one():
    def body(g, x):
        a, b = branches(g, x)
        y = g.node("Add", g.quant(a, 1.5, 3), g.quant(b, 0.5, 4))
        return g.node("Add", g.quant(x, 0.25, 3), conv(g, y, C, 6, (1, 1)))

    model = cnn(lambda g, x: g.node("Add", *(g.quant(each, scale, 3) for each, scale in zip(
        branches(g, x), (1.5, 0.5), strict=True))))
    network = check(model, kinds="swu mvtu mvtu add")
    assert network.layers[-1].multipliers == (3, 1)
    with pytest.raises(UnsupportedModel):
        load(cnn(body))


def test_concatenated_channels():
    def body(g, x):
        a, b = branches(g, x)
        x = g.node("Concat", g.quant(a, 1.0, 3), g.quant(b, 1.0, 3), axis=1)
        return conv(g, x, 3, 12)

    check(cnn(body), kinds="swu mvtu mvtu concat swu mvtu")


def test_concatenated_channels_are_put_on_one_scale():
    def body(g, x):
        a, b = branches(g, x)
        b = g.quant(g.node("Relu", b), 2.0, 2, signed=False)
        x = g.node("Concat", g.quant(a, 1.0, 3), x, b, axis=1)
        return conv(g, x, 3, 12 + C)

    network = check(cnn(body), kinds="swu mvtu mvtu threshold threshold threshold concat swu mvtu")
    assert network.layers[6].i.shape.width == 5


@pytest.mark.parametrize("op", ["Split", "Slice"])
def test_channels_are_split(op):
    def parts(g, x):
        if op == "Slice":
            return [g.node("Slice", x, *(g.constant([v], np.int64) for v in part))
                    for part in ((0, 1, 1), (1, C, 1))]
        g.node("Split", x, g.constant([1, 3], np.int64), axis=1)
        g.nodes[-1].output[:] = ["part0", "part1"]
        return g.nodes[-1].output

    def body(g, x):
        a, b = parts(g, x)
        a, b = conv(g, a, 2, 1, (1, 1)), conv(g, b, 2, 3, (1, 1), seed=1)
        return g.node("Concat", g.quant(a, 1.0, 4), g.quant(b, 1.0, 4), axis=1)

    network = check(cnn(body))
    assert sorted(layer.name for layer in network.layers) == [
        "concat0", "mvtu0", "mvtu1", "slice0", "slice1"]


def test_parts_that_nothing_reads_are_not_cut():
    def body(g, x):
        g.node("Split", x, g.constant([1, 1, 2], np.int64), axis=1)
        g.nodes[-1].output[:] = ["unread0", "part1", "unread2"]
        return conv(g, "part1", 2, 1)

    check(cnn(body), kinds="slice swu mvtu")


@pytest.mark.parametrize("value", [0.0, 1.5])
def test_pads_go_into_the_windows_behind(value):
    def body(g, x):
        pads = g.constant([0, 0, 1, 2, 0, 0, 0, 1], np.int64)
        x = g.node("Pad", x, pads, np.float32(value))
        return conv(g, x, 5, C)

    network = check(cnn(body), kinds="swu mvtu")
    assert network.layers[0].pads == (1, 2, 0, 1)
    assert network.layers[0].pad_value == 2 * value


def test_pads_and_max_pools():
    def body(g, x):
        pads = g.constant([0, 0, 1, 1, 0, 0, 1, 1], np.int64)
        return g.node("MaxPool", g.node("Pad", x, pads), kernel_shape=[3, 3], strides=[2, 2])

    check(cnn(body), kinds="swu pool")


def test_a_zero_point_is_the_pad():
    g = Graph(list(DIMS))
    x = g.quant("x", 0.5, 4, signed=False, zero=5.0)
    network = check(finished(g, conv(g, x, 5, C, pads=[1, 1, 1, 1], bias=True)), kinds="swu mvtu")
    assert network.layers[0].pad_value == 5


def test_channels_last_graphs():
    g = Graph([1, H, W, C])
    x = g.node("Transpose", g.quant("x", 0.5, 3), perm=[0, 3, 1, 2])
    x = g.node("Transpose", conv(g, x, 6, C), perm=[0, 2, 3, 1])
    x = g.node("MultiThreshold", x, np.sort(rng().integers(-9, 9, (6, 7)), axis=1), domain=QONNX,
               out_dtype="INT3", out_bias=-4.0, data_layout="NHWC")
    x = g.node("MaxPool", g.node("Transpose", x, perm=[0, 3, 1, 2]), kernel_shape=[2, 2])
    network = check(finished(g, g.node("Transpose", x, perm=[0, 2, 3, 1])), (1, H, W, C),
                    "swu mvtu swu pool")
    x = frames((1, H, W, C), 3)
    assert network.encode(x).shape == (3, H, W, C)
    np.testing.assert_array_equal(network.encode(x), np.clip(np.rint(x * 2), -4, 3))


def test_channels_first_inputs_enter_channels_last():
    network, x = load(cnn(lambda g, x: conv(g, x, 5, C))), frames(DIMS, 3)
    want = np.clip(np.rint(x * 2), -4, 3).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(network.encode(x), want)


@pytest.mark.parametrize("op", ["Flatten", "Reshape"])
def test_flattened_images_have_their_order_folded_into_the_weights(op):
    def body(g, x):
        x = activation(g, conv(g, x, 6, C), 6)
        x = g.node("Flatten", x) if op == "Flatten" else g.node(
            "Reshape", x, g.constant([-1, 6 * 5 * 4], np.int64))
        weights = g.quant(rng().integers(-3, 4, (6 * 5 * 4, 3)) * 0.5, 0.5, 3)
        return activation(g, g.node("MatMul", x, weights), 3)

    check(cnn(body), kinds="swu mvtu mvtu")


def test_channel_shuffles_cost_nothing():
    def body(g, x):
        x = activation(g, conv(g, x, 6, C), 6)
        x = g.node("Reshape", x, g.constant([-1, 2, 3, 5, 4], np.int64))
        x = g.node("Reshape", g.node("Transpose", x, perm=[0, 2, 1, 3, 4]),
                   g.constant([-1, 6, 5, 4], np.int64))
        x = activation(g, conv(g, x, 12, 6, group=6, seed=5), 12, seed=6)
        x = g.node("MaxPool", x, kernel_shape=[2, 1])
        return conv(g, x, 3, 12, (1, 1), seed=7)

    check(cnn(body), kinds="swu mvtu swu vvtu swu pool mvtu")


def test_constants_a_channel_of_any_dims():
    def body(g, x):
        x = conv(g, x, 6, C)
        x = g.node("Mul", x, 2.0 ** rng().integers(-2, 2, (1, 6, 1, 1)))
        x = g.node("Add", g.node("PRelu", x, 2.0 ** rng(1).integers(-2, 1, (6, 1, 1))),
                   rng(2).integers(-3, 4, (6, 1, 1)) * 0.25)
        return g.quant(x, 0.5 * 2.0 ** rng(3).integers(0, 2, (1, 6, 1, 1)), 3)

    check(cnn(body), kinds="swu mvtu")


def test_a_quantizer_that_feeds_several_is_laid_once():
    def body(g, x):
        x = activation(g, conv(g, x, 6, C, (1, 1)), 6, bits=4)
        a = g.quant(conv(g, x, 6, 6, (1, 1), seed=3), 2.0, 3)
        b = g.quant(x, 2.0, 3)
        return g.node("Add", a, b)

    network = check(cnn(body), kinds="mvtu mvtu threshold add")
    assert network.feeds == (("",), ("mvtu0",), ("mvtu0",), ("threshold0", "mvtu1")) or (
        network.feeds[2:] == (("mvtu0",), ("mvtu1", "threshold0")))


def test_sums_that_feed_several_are_laid_once():
    def body(g, x):
        x = conv(g, x, 6, C, (1, 1))
        a, b = g.quant(x, 1.0, 3), g.quant(g.node("Relu", x), 1.0, 2, signed=False)
        a, b = conv(g, a, 4, 6, (1, 1)), conv(g, b, 4, 6, (1, 1))
        return g.node("Add", g.quant(a, 1.0, 3), g.quant(b, 1.0, 3))

    network = check(cnn(body), kinds="mvtu threshold mvtu threshold mvtu add")
    assert network.layers[0].thresholds is None


def test_the_input_feeds_several():
    network = check(cnn(lambda g, x: g.node("Add", g.quant(conv(g, x, C, C, (1, 1)), 0.5, 3), x)),
                    kinds="mvtu add")
    assert network.feeds == (("",), ("mvtu0", ""))


def test_raw_pixels_enter_a_convolution():
    g = Graph(list(DIMS))
    x = g.node("Sub", g.node("Mul", "x", np.float32(2)), np.float32(1))
    model = finished(g, activation(g, conv(g, x, 6, C), 6))
    network = load(model, input=InputType("uint8", scale=1 / 256))
    raw = rng().integers(0, 256, (5, C, H, W)).astype(np.uint8)
    assert [layer.name for layer in network.layers] == ["swu0", "mvtu0"]
    want = reference(model, (raw / 256).astype(np.float32))
    np.testing.assert_array_equal(network.run(raw), want)


def test_a_convolution_in_front_of_all_quantizers_stays_on_the_host():
    g = Graph(list(DIMS))
    x = activation(g, conv(g, "x", 6, C), 6)
    network = check(finished(g, conv(g, x, 3, 6, (1, 1))), kinds="mvtu")
    fates = {f.node: f.becomes for f in network.findings}
    assert fates["Conv_0"] == "the host, in front"


def test_the_executors_rounding_is_told_apart_in_branches_too():
    # Scales that are no powers of two: sums round, now and then across a tie.
    def body(g, x):
        weights = g.quant(rng().integers(-3, 4, (8, C, 3, 3)) * np.float32(0.7), np.float32(0.7), 3)
        x = g.quant(g.node("Conv", x, weights, pads=[1, 1, 1, 1]), np.float32(0.7), 5)
        y = g.node("Conv", x, g.quant(rng(1).integers(-3, 4, (8, 8, 1, 1)) * np.float32(0.3),
                                      np.float32(0.3), 3))
        return g.node("Add", x, g.quant(y, np.float32(0.7), 5))

    network = load(cnn(body))
    result = against_executor(network, frames(DIMS, 60))
    assert result["frames"] == 60 and result["mismatches"] == result["rounded"]
    y = network.run(frames(DIMS, 60))
    y[3] += 1
    wrong = against_executor(network, frames(DIMS, 60), y)
    assert wrong["mismatches"] - wrong["rounded"] in (0, 1) and wrong["mismatches"] > 0


@pytest.mark.parametrize("keepdims", [0, 1])
@pytest.mark.parametrize("op", ["ReduceMean", "ReduceMax"])
def test_reductions_of_whole_images_are_global_pools(op, keepdims):
    dims = (1, C, 6, 6)

    def body(g, x):
        x = g.node(op, activation(g, conv(g, x, 8, C), 8), axes=[-1, 2], keepdims=keepdims)
        x = g.node("Flatten", x) if keepdims else x
        return g.node("MatMul", x, g.quant(rng().integers(-3, 4, (8, 3)) * 0.5, 0.5, 3))

    check(cnn(body, dims=dims), dims, "swu mvtu pool mvtu")


@pytest.mark.parametrize("axis", [None, 0])
def test_convolutions_in_qcdq_form(axis):
    g = QCDQGraph(list(DIMS))
    codes = rng().integers(-7, 8, (5, C, 3, 3))
    scale = np.float32(0.25) if axis is None else 2.0 ** rng(1).integers(-3, 0, 5)
    zeros = g.constant(np.zeros(np.shape(scale)), np.int8)
    weights = g.node("DequantizeLinear", g.constant(codes, np.int8), scale, zeros, axis=0)
    x = g.node("Conv", g.quant("x", 0.5, 4), weights, pads=[1, 1, 1, 1])
    x = g.node("GlobalMaxPool", g.quant(g.node("Relu", x), 1.0, 4, signed=False))
    network = check(finished(g, x), kinds="swu mvtu pool")
    np.testing.assert_array_equal(network.layers[1].weights,
                                  codes.transpose(0, 2, 3, 1).reshape(5, -1))


def test_a_file_of_several_frames_runs_any_number():
    def body(g, x):
        x = activation(g, conv(g, x, 6, C, pads=[1, 1, 1, 1]), 6)
        x = g.node("AveragePool", g.node("MaxPool", x, kernel_shape=[2, 2]), kernel_shape=[2, 1])
        return g.node("Flatten", x)

    one, three = cnn(body), cnn(body, dims=(3, C, H, W))
    x = frames(DIMS, 7)
    np.testing.assert_array_equal(load(three).run(x), load(one).run(x))
    np.testing.assert_array_equal(load(one).run(x), reference(one, x))


def three_summed(g, x):
    a, b = branches(g, x)
    c = conv(g, x, 6, C, (1, 1), seed=9)
    x = g.node("Add", g.node("Add", g.quant(a, 0.5, 3), g.quant(b, 1.0, 3)), g.quant(c, 0.25, 3))
    x = g.quant(g.node("Relu", x), 0.5, 4, signed=False)
    y = g.quant(conv(g, x, 6, 6, pads=[1, 1, 1, 1]), 0.5, 4)
    return g.node("MaxPool", g.node("Add", x, y), kernel_shape=[2, 2])


def dense(g, x):
    for k in range(3):
        y = g.quant(conv(g, x, 2, C + 2 * k, pads=[1, 1, 1, 1], seed=k), 0.5, 3)
        x = g.node("Concat", x, y, axis=1)
    return conv(g, x, 3, C + 6)


def hard_swish(g, x):
    x = conv(g, x, 6, C)
    gate = g.node("Clip", g.node("Add", x, np.float32(3)), np.float32(0), np.float32(6))
    x = g.node("Mul", x, g.node("Mul", gate, np.float32(0.125)))
    return conv(g, g.quant(x, 0.5, 4), 3, 6)


def relu_in_a_branch(g, x):
    x = activation(g, conv(g, x, 6, C, (1, 1)), 6)
    return g.node("Add", g.quant(conv(g, g.node("Relu", x), 6, 6, (1, 1)), 1.0, 3), x)


def one_bit_summed_and_padded(g, x):
    x = g.node("Add", *(g.quant(each, 1.0, 1) for each in branches(g, x)))
    return conv(g, x, 3, 6, pads=[1, 1, 1, 1])


def image_to_vector_to_image(g, x):
    x = g.node("Reshape", activation(g, conv(g, x, 6, C), 6), g.constant([-1, 120], np.int64))
    x = g.quant(g.node("Mul", x, np.float32(2)), 1.0, 3)
    return conv(g, g.node("Reshape", x, g.constant([-1, 6, 5, 4], np.int64)), 3, 6)


def constants_of_a_flat_image(g, x):
    x = g.node("Flatten", conv(g, x, 6, C))
    x = g.quant(g.node("Mul", x, np.repeat(2.0 ** rng().integers(-2, 2, 6), 20)), 1.0, 3)
    return g.node("MatMul", x, g.quant(rng().integers(-1, 2, (120, 3)) * 0.5, 0.5, 2))


def channel_scales_into_depthwise(g, x):
    x = scaled(g, activation(g, conv(g, x, 6, C), 6), 2.0 ** np.arange(6))
    return conv(g, x, 6, 6, group=6)


def channel_scales_into_averages(g, x):
    x = scaled(g, activation(g, conv(g, x, 6, C), 6), 2.0 ** np.arange(-3, 3))
    return g.quant(g.node("AveragePool", x, kernel_shape=[2, 2]), 0.5, 4)


def averages_of_sums(g, x):
    x = g.node("AveragePool", conv(g, x, 6, C), kernel_shape=[4, 4])
    return g.node("Softmax", g.node("Flatten", x), axis=1)


ODD = {
    three_summed: "swu mvtu mvtu mvtu add add swu mvtu add swu pool",
    dense: "swu mvtu concat swu mvtu concat swu mvtu concat swu mvtu",
    hard_swish: "swu mvtu swu mvtu",
    relu_in_a_branch: "mvtu threshold mvtu add",
    one_bit_summed_and_padded: "swu mvtu mvtu add swu mvtu",
    image_to_vector_to_image: "swu mvtu swu mvtu",
    constants_of_a_flat_image: "swu mvtu mvtu",
    channel_scales_into_depthwise: "swu mvtu swu vvtu",
    channel_scales_into_averages: "swu mvtu swu pool threshold",
}


@pytest.mark.parametrize("body, kinds", ODD.items(), ids=[body.__name__ for body in ODD])
def test_odd_graphs(body, kinds):
    check(cnn(body), kinds=kinds)


def test_averages_of_sums_are_softened_on_the_host():
    network, x = load(cnn(averages_of_sums)), frames(DIMS, 20)
    assert [layer.kind for layer in network.layers] == ["swu", "mvtu", "swu", "pool"]
    assert against_executor(network, x) == {"frames": 20, "mismatches": 0, "rounded": 0}


def test_raw_integers_are_read_twice():
    g = Graph(list(DIMS))
    y = g.quant(conv(g, "x", C, C, (1, 1)), 1.0, 3)
    model = finished(g, g.node("Add", y, "x"))
    network = load(model, input=InputType("uint3"))
    x = rng().integers(0, 8, (5, C, H, W))
    assert network.feeds == (("",), ("mvtu0", ""))
    np.testing.assert_array_equal(network.run(x), reference(model, x.astype(np.float32)))
