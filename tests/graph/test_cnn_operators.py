"""Every operator of convolutional networks gives what the qonnx executor gives."""

import numpy as np
import pytest

from quinnoa.graph.lower import load
from tests.models import QONNX, Graph, reference

from .cnns import (
    DIMS,
    C,
    H,
    W,
    activation,
    check,
    cnn,
    conv,
    finished,
    frames,
    rng,
    scaled,
)

CONVS = {
    "plain": (dict(), "swu mvtu"),
    "biased": (dict(bias=True), "swu mvtu"),
    "padded": (dict(pads=[1, 1, 1, 1]), "swu mvtu"),
    "padded unevenly": (dict(pads=[0, 1, 2, 0]), "swu mvtu"),
    "strided": (dict(strides=[2, 3]), "swu mvtu"),
    "dilated": (dict(dilations=[2, 1], pads=[2, 0, 2, 1]), "swu mvtu"),
    "wide kernel": (dict(kernel=(1, 5)), "swu mvtu"),
    "tall kernel": (dict(kernel=(5, 2), strides=[1, 2]), "swu mvtu"),
    "pixel": (dict(kernel=(1, 1)), "mvtu"),
    "strided pixel": (dict(kernel=(1, 1), strides=[2, 2]), "swu mvtu"),
    "padded pixel": (dict(kernel=(1, 1), pads=[1, 1, 1, 1]), "swu mvtu"),
    "whole image": (dict(kernel=(H, W)), "mvtu"),
    "same upper": (dict(auto_pad="SAME_UPPER", strides=[2, 2], kernel=(2, 4)), "swu mvtu"),
    "same lower": (dict(auto_pad="SAME_LOWER", kernel=(2, 4)), "swu mvtu"),
    "valid": (dict(auto_pad="VALID"), "swu mvtu"),
    "two groups": (dict(group=2), "swu mvtu"),
    "two groups of one bit": (dict(group=2, bits=1), "swu mvtu"),
    "one bit": (dict(bits=1, pads=[1, 1, 1, 1]), "swu mvtu"),
    "depthwise": (dict(group=C, pads=[1, 1, 1, 1], bias=True), "swu vvtu"),
    "depthwise pixel": (dict(group=C, kernel=(1, 1)), "vvtu"),
    "depthwise whole": (dict(group=C, kernel=(H, W)), "vvtu"),
}


@pytest.mark.parametrize("behind", [False, True], ids=["sums", "codes"])
@pytest.mark.parametrize("options, kinds", CONVS.values(), ids=CONVS)
def test_convolutions(options, kinds, behind):
    def body(g, x):
        x = conv(g, x, 8, C, **options)
        return activation(g, x, 8) if behind else x

    check(cnn(body), kinds=kinds)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_depthwise_convolutions_of_any_channel_multiplier(times):
    def body(g, x):
        x = activation(g, conv(g, x, C * times, C, group=C, pads=[1, 1, 1, 1]), C * times)
        return conv(g, x, 5, C * times, (1, 1))

    check(cnn(body), kinds="swu vvtu mvtu")


def test_one_dimensional_convolutions_are_of_one_row():
    def body(g, x):
        x = activation(g, conv(g, x, 6, 3, (5,), pads=[2, 2], strides=[2]), 6)
        x = g.node("MaxPool", x, kernel_shape=[2], strides=[2])
        return conv(g, x, 4, 6, (3,), dilations=[2])

    network = check(cnn(body, dims=(1, 3, 20)), (1, 3, 20), "swu mvtu swu pool swu mvtu")
    assert network.layers[0].i.dims == (1, 20, 3)


def test_ternary_weights_stand_for_groups_of_bipolar_ones():
    network = load(cnn(lambda g, x: conv(g, x, 8, C, group=2, bits=1)))
    assert network.layers[1].w_shape.width == 2
    note = next(f.note for f in network.findings if f.op == "Conv")
    assert note == "2 groups: weights are 0 outside of them, and take 2 bits"


MAX_POOLS = {
    "plain": dict(kernel_shape=[2, 2], strides=[2, 2]),
    "overlapping": dict(kernel_shape=[3, 2], strides=[2, 1]),
    "padded": dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    "padded unevenly": dict(kernel_shape=[3, 3], strides=[3, 2], pads=[0, 1, 2, 0]),
    "dilated": dict(kernel_shape=[2, 2], dilations=[2, 3]),
    "ceil": dict(kernel_shape=[2, 4], strides=[2, 4], ceil_mode=1),
    "same": dict(kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("options", MAX_POOLS.values(), ids=MAX_POOLS)
def test_max_pools_see_the_least_outside(options, signed):
    # All codes are far below 0: a pad of 0 would win.
    def body(g, x):
        x = g.node("Sub", g.node("Relu", x), np.float32(9)) if signed else x
        return g.node("MaxPool", x, **options)

    check(cnn(body, signed=signed), kinds="swu pool")


def test_max_pools_of_one_bit():
    def body(g, x):
        x = g.quant(conv(g, x, 8, C), 1.0, 1)
        return conv(g, g.node("MaxPool", x, kernel_shape=[2, 2]), 3, 8, (1, 1))

    check(cnn(body), kinds="swu mvtu swu pool mvtu")


@pytest.mark.parametrize("op", ["GlobalMaxPool", "GlobalAveragePool"])
def test_global_pools_need_no_windows(op):
    def body(g, x):
        x = g.node("Flatten", g.node(op, activation(g, conv(g, x, 8, C), 8)))
        return g.node("MatMul", x, g.quant(rng().integers(-3, 4, (8, 3)) * 0.5, 0.5, 3))

    # 5 * 4 pixels: a twentieth of a sum is no float32.
    model = cnn(body, dims=(1, C, 6, 6) if op == "GlobalAveragePool" else DIMS)
    check(model, (1, C, 6, 6) if op == "GlobalAveragePool" else DIMS, "swu mvtu pool mvtu")


POOLED = {
    "Relu behind": lambda g, x, pool: g.node("Relu", pool(x)),
    "Relu in front": lambda g, x, pool: pool(g.node("Relu", x)),
    "scales": lambda g, x, pool: scaled(g, pool(scaled(g, x, rng(3).choice([-2, 1], 6))),
                                        rng().choice([0.5, 2], 6)),
    "constants": lambda g, x, pool: g.node("Mul", 0.5, g.node("Add", np.float32(1), g.node(
        "Sub", g.node("Div", pool(x), np.float32(0.5)), np.float32(2)))),
}


@pytest.mark.parametrize("body", POOLED.values(), ids=POOLED)
def test_max_pools_of_sums_go_behind_the_quantizer(body):
    def whole(g, x):
        x = body(g, conv(g, x, 6, C), lambda x: g.node("MaxPool", x, kernel_shape=[2, 2],
                                                       strides=[2, 2]))
        return conv(g, g.quant(x, 0.5, 3), 3, 6, (1, 1))

    model = cnn(whole)
    network = check(model, kinds="swu mvtu swu pool mvtu")
    # The quantizer's codes are still those of its tensor in the file.
    x = frames(DIMS)
    values = reference(model, x, values=True)
    name = [node.output[0] for node in model.graph.node if node.op_type == "Quant"][2]
    codes = network.activations(x)[name]
    np.testing.assert_array_equal(codes * 0.5, values[name].reshape(len(x), -1))
    assert sorted(f.node for f in network.findings) == sorted(n.name for n in model.graph.node)


def test_max_pools_of_sums_without_quantizer_compare_sums():
    check(cnn(lambda g, x: g.node("MaxPool", conv(g, x, 6, C), kernel_shape=[2, 2])),
          kinds="swu mvtu swu pool")


AVERAGES = {
    "plain": dict(kernel_shape=[2, 2], strides=[2, 2]),
    "overlapping": dict(kernel_shape=[4, 2], strides=[1, 1]),
    "padded": dict(kernel_shape=[2, 4], strides=[2, 2], pads=[1, 1, 0, 2], count_include_pad=1),
}


@pytest.mark.parametrize("behind", ["nothing", "quantizer", "product"])
@pytest.mark.parametrize("options", AVERAGES.values(), ids=AVERAGES)
def test_average_pools_are_sums_of_a_smaller_scale(options, behind):
    def body(g, x):
        x = g.node("AveragePool", x, **options)
        if behind == "quantizer":
            x = g.quant(g.node("Relu", x), 0.25, 3, signed=False)
        return conv(g, x, 3, C, (1, 1)) if behind == "product" else x

    last = {"quantizer": " threshold", "product": " mvtu", "nothing": ""}[behind]
    check(cnn(body), kinds="swu pool" + last)


@pytest.mark.parametrize("version", [1, 2])
def test_truncated_averages(version):
    # QuantAvgPool2d: the sum, and the high bits of it.
    def body(g, x):
        x = g.node("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
        x = g.node("Mul", x, np.float32(4))
        if version == 1:
            x = g.node("Trunc", x, 0.5, 0.0, 6.0, 4.0, domain=QONNX, rounding_mode="FLOOR")
        else:
            x = g.node("Trunc", x, 0.5, 0.0, 6.0, 2.0, 4.0, domain=QONNX, rounding_mode="FLOOR",
                       signed=1, narrow=0)
        return conv(g, x, 3, C, (1, 1))

    model = cnn(body)
    model.opset_import[1].version = version
    check(model, kinds="swu pool threshold mvtu")


@pytest.mark.parametrize("signed", [0, 1])
def test_quantized_average_pools_of_qonnx(signed):
    def model(layout):
        g = Graph(list(DIMS))
        x = g.quant("x", 1.0, 4, signed=bool(signed))
        x = x if layout == "NCHW" else g.node("Transpose", x, perm=[0, 2, 3, 1])
        x = g.node("QuantAvgPool2d", x, domain=QONNX, kernel=3, stride=2, ibits=4, obits=3,
                   signed=signed, data_layout=layout)
        x = x if layout == "NCHW" else g.node("Transpose", x, perm=[0, 3, 1, 2])
        return finished(g, conv(g, x, 3, C, (1, 1)))

    x, network = 4 * frames(DIMS), load(model("NCHW"))
    assert [layer.kind for layer in network.layers] == ["swu", "pool", "threshold", "mvtu"]
    assert network.findings[1].node == "QuantAvgPool2d_0/AveragePool0"
    np.testing.assert_array_equal(network.run(x), reference(model("NCHW"), x))
    # The other layout, whose dims qonnx does not find behind a Transpose.
    np.testing.assert_array_equal(load(model("NHWC")).run(x), network.run(x))


def test_nearest_upsampling_repeats_pixels():
    def body(g, x):
        x = g.node("Resize", x, "", np.array([1, 1, 2, 3]), mode="nearest", nearest_mode="floor",
                   coordinate_transformation_mode="asymmetric")
        return conv(g, x, 3, C)

    network = check(cnn(body), kinds="upsample swu mvtu")
    assert network.layers[0].factor == (2, 3)
