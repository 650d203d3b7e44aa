"""What cannot be built of convolutional networks is refused by node, with what would help."""

import numpy as np
import pytest

from quinnoa.errors import ModelError, UnsupportedModel
from quinnoa.graph.lower import InputType, load
from tests.models import QONNX, Graph

from .cnns import DIMS, C, H, W, branches, cnn, conv, finished, rng, scaled


def one(text):
    return f"model: 1 node cannot be built:\n  node {text}"


def refusal(model, error=UnsupportedModel, **options):
    with pytest.raises(error) as caught:
        load(model, **options)
    return str(caught.value)


def pads(g, *around):
    """Make the constant of pads (top, left, bottom, right)."""
    return g.constant([0, 0, *around[:2], 0, 0, *around[2:]], np.int64)


def joined(op, a_scale, b_scale, **options):
    """Join two branches of such scales."""
    def body(g, x):
        a, b = (g.quant(branch, scale, 3) if scale else branch
                for branch, scale in zip(branches(g, x), (a_scale, b_scale), strict=True))
        return g.quant(g.node(op, a, b, **options), 0.5, 3)

    return body


def of_indices(g, x):
    y = g.node("MaxPool", x, kernel_shape=[2, 2])
    g.nodes[-1].output.append("places")
    return g.node("Add", y, g.node("Cast", "places", to=1))


def scaled_kernels(g, x):
    scales = 2.0 ** np.arange(C)[:, None, None]
    return g.node("Conv", x, g.quant(rng().integers(-3, 4, (5, C, 3, 3)) * scales, scales, 3))


REFUSALS = {
    "pads of one bit": (
        lambda g, x: conv(g, g.quant(x, 1.0, 1), 5, C, pads=[1, 1, 1, 1]),
        one("Conv_0 (Conv): its pads are 0, which its input (-1 and +1) has no code for; quantize "
            "it so that 0 is one, or leave out the padding")),
    "pads beside the grid": (
        lambda g, x: conv(g, g.node("Add", x, np.float32(0.125)), 5, C, pads=[1, 1, 1, 1]),
        one("Conv_0 (Conv): its pads are 0, which its input (-4 to 3 times 0.5 plus 0.125) has no "
            "code for; quantize it so that 0 is one, or leave out the padding")),
    "kernels of several scales": (
        scaled_kernels,
        one("Conv_0 (Conv): the scale of weights Quant_1_out differs along the inputs; one scale, "
            "or one an output, is expected")),
    "kernels that are computed": (
        lambda g, x: g.node("Conv", x, g.node("Reshape", g.node("Relu", x), g.constant(
            [6, C, 7, 1], np.int64))),
        one("Conv_0 (Conv): 2 of its inputs depend on the model's input; a product with constant "
            "weights is expected")),
    "one scale a channel": (
        lambda g, x: conv(g, g.quant(conv(g, x, 3, C), 2.0 ** np.arange(3).reshape(3, 1, 1), 3),
                          2, 3),
        one("Conv_1 (Conv): its input has one scale a channel; one for all is expected: quantize "
            "it per tensor")),
    "parameters of every pixel": (
        lambda g, x: g.quant(g.node("Add", conv(g, x, 3, C, (1, 1)),
                                    rng().integers(0, 4, (1, 1, H, W))), 0.5, 3),
        one("Add_0 (Add): its parameters differ from pixel to pixel; one, or one a channel, is "
            "expected")),
    "maxima of what falls": (
        lambda g, x: g.node("MaxPool", g.node("Mul", x, np.float32(-1)), kernel_shape=[2, 2]),
        one("MaxPool_0 (MaxPool): its input falls where the integers rise (a negative scale), in "
            "some channels at least; put a quantizer in front of it")),
    "maxima in front of what falls": (
        lambda g, x: g.quant(g.node("Mul", g.node("MaxPool", scaled(
            g, conv(g, x, 6, C), np.array([1, -1] * 3)), kernel_shape=[2, 2]), np.float32(-1)),
            0.5, 3),
        one("MaxPool_0 (MaxPool): its input falls where the integers rise (a negative scale), in "
            "some channels at least; put a quantizer in front of it")),
    "maxima without quantizer": (
        lambda g, x: conv(g, g.node("MaxPool", g.node("Relu", conv(g, x, 6, C)),
                                    kernel_shape=[2, 2]), 3, 6),
        one("Relu_0 (Relu): an activation that no quantizer follows; put a quantizer (Quant, "
            "QuantizeLinear, MultiThreshold) between it and the next layer")),
    "places of maxima": (
        of_indices,
        one("MaxPool_0 (MaxPool): it gives indices, too; the maxima alone are expected")),
    "averages without their pads": (
        lambda g, x: g.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        one("AveragePool_0 (AveragePool): pads [1, 1, 1, 1] that do not count: windows at the "
            "edges have another divisor; set count_include_pad, or leave out the pads")),
    "averages beyond the edge": (
        lambda g, x: g.node("AveragePool", x, kernel_shape=[2, 4], strides=[2, 4], ceil_mode=1,
                            count_include_pad=1),
        one("AveragePool_0 (AveragePool): windows that reach beyond the pads (ceil_mode) have "
            "another divisor; set ceil_mode to 0, or make the pads larger")),
    "interpolation": (
        lambda g, x: g.node("Resize", x, "", np.array([1, 1, 2, 2]), mode="linear"),
        one("Resize_0 (Resize): from dims [1, 4, 7, 6] to [1, 4, 14, 12], mode linear; every pixel "
            "repeated (nearest, asymmetric, floor, by whole numbers) is expected")),
    "one and a half": (
        lambda g, x: g.node("Resize", x, "", np.array([1, 1, 1, 1.5]), mode="nearest"),
        one("Resize_0 (Resize): from dims [1, 4, 7, 6] to [1, 4, 7, 9], mode nearest; every pixel "
            "repeated (nearest, asymmetric, floor, by whole numbers) is expected")),
    "half": (
        lambda g, x: g.node("Resize", x, "", np.array([1, 1, 0.5, 0.5]), mode="nearest"),
        one("Resize_0 (Resize): from dims [1, 4, 7, 6] to [1, 4, 3, 3], mode nearest; every pixel "
            "repeated (nearest, asymmetric, floor, by whole numbers) is expected")),
    "channels of two scales": (
        joined("Concat", 0.3, 0.41001, axis=1),
        one("Concat_0 (Concat): the scales of its inputs are 0.300000012 and 0.41001001: not small "
            "multiples of a common one, for a few bits; put one quantizer (the same scale) on all "
            "of them")),
    "channels of sums": (
        joined("Concat", None, None, axis=1),
        one("Concat_0 (Concat): some of its inputs have one scale a channel; one for all is "
            "expected: put one quantizer (the same scale) on all of them")),
    "rows behind rows": (
        joined("Concat", 0.5, 0.5, axis=2),
        one("Concat_0 (Concat): it puts rows or columns behind one another (axis 2 of dims "
            "[1, 6, 7, 6]); channels alone are expected")),
    "sums of two scales": (
        joined("Add", 0.3, 0.41001),
        one("Add_0 (Add): the scales of its inputs are 0.300000012 and 0.41001001: not small "
            "multiples of a common one, the same for all channels; put one quantizer (the same "
            "scale) on both")),
    "sums of sums": (
        joined("Add", None, None),
        one("Add_0 (Add): the scales of its inputs are 0.0625 and 0.0625, in another channel "
            "0.0625 and 0.25: not small multiples of a common one, the same for all channels; put "
            "one quantizer (the same scale) on both")),
    "a vector for all pixels": (
        lambda g, x: g.node("Add", *(g.quant(each, 0.5, 3) for each in (
            conv(g, x, 6, C, (1, 1)), conv(g, x, 6, C, (H, W))))),
        one("Add_0 (Add): dims [1, 6, 7, 6] and [1, 6, 1, 1]; two of the same are expected")),
    "a product of branches": (
        joined("Mul", 0.5, 0.5),
        one("Mul_0 (Mul): it joins branches that are not of one layer; of such, only Add and "
            "Concat can be built")),
    "a difference of branches": (
        joined("Sub", 0.5, 0.5),
        one("Sub_0 (Sub): it joins branches that are not of one layer; of such, only Add and "
            "Concat can be built")),
    "rows cut out": (
        lambda g, x: g.node("Slice", x, *(g.constant([v], np.int64) for v in (1, 3, 2))),
        one("Slice_0 (Slice): from dims [1, 4, 7, 6] to [1, 4, 2, 6]; neighbouring channels of all "
            "pixels are expected")),
    "every second channel": (
        lambda g, x: g.node("Slice", x, *(g.constant([v], np.int64) for v in (0, 4, 1, 2))),
        one("Slice_0 (Slice): from dims [1, 4, 7, 6] to [1, 2, 7, 6]; neighbouring channels of all "
            "pixels are expected")),
    "mirrors": (
        lambda g, x: conv(g, g.node("Pad", x, pads(g, 1, 1, 1, 1), mode="reflect"), 3, C),
        one("Pad_0 (Pad): mode reflect, pads [[0, 0, 1, 1], [0, 0, 1, 1]]; constant pixels around "
            "the image are expected")),
    "pads without code": (
        lambda g, x: conv(g, g.node("Pad", x, pads(g, 1, 1, 1, 1), np.float32(9)), 3, C),
        one("Pad_0 (Pad): pads of 9, which its input has no code for; quantize it so that it is "
            "one, or put a quantizer behind and give its code")),
    "a quantizer behind pads": (
        lambda g, x: conv(g, g.quant(g.node("Pad", x, pads(g, 1, 1, 1, 1), np.float32(0)), 1.0, 2),
                          3, C),
        one("Quant_1 (Quant): it stands between a Pad and the window that the pad is for; put it "
            "in front of the Pad")),
    "pads at the end": (
        lambda g, x: g.node("Pad", conv(g, x, 3, C), pads(g, 1, 1, 1, 1), np.float32(0)),
        one("Pad_0 (Pad): a Pad stands behind the last layer; take it out, and pad on the host")),
    "pads of two values": (
        lambda g, x: conv(g, g.node("Pad", x, pads(g, 1, 1, 1, 1), np.float32(1)), 3, C,
                          pads=[1, 1, 1, 1]),
        one("Conv_0 (Conv): its own pads are 0, those of the Pad in front of it are not; let Pad "
            "do all of it")),
    "pads of maxima": (
        lambda g, x: g.node("MaxPool", g.node("Pad", x, pads(g, 1, 1, 1, 1)), kernel_shape=[3, 3],
                            pads=[1, 1, 1, 1]),
        one("MaxPool_0 (MaxPool): its own pads are less than all, those of the Pad in front of it "
            "are not; let Pad do all of it")),
    "pixels turned": (
        lambda g, x: conv(g, g.node("Transpose", g.quant(conv(g, x, 5, C), 1.0, 3),
                                    perm=[0, 1, 3, 2]), 3, 5),
        one("Conv_1 (Conv): the pixels of its input are arranged otherwise than they come in; "
            "leave out what rearranges rows and columns")),
}


@pytest.mark.parametrize("body, message", REFUSALS.values(), ids=REFUSALS)
def test_refuses_what_cannot_be_built(body, message):
    assert refusal(cnn(body)) == message


def test_all_branches_are_looked_at():
    def body(g, x):
        a = g.node("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
        b = g.node("Resize", x, "", np.array([1, 1, 2, 2]), mode="linear")
        b = g.node("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2])
        c = g.node("MaxPool", g.node("Neg", x), kernel_shape=[1, 1])
        return g.node("Concat", *(conv(g, y, 2, C, (1, 1)) for y in (a, b, c)), axis=1)

    lines = refusal(cnn(body)).splitlines()
    assert lines[0] == "model: 3 nodes cannot be built:"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "  node AveragePool_0 (AveragePool)", "  node Resize_0 (Resize)",
        "  node MaxPool_1 (MaxPool)"]


def test_refuses_weights_without_elements():
    g = Graph(list(DIMS))
    x = g.node("Conv", g.quant("x", 0.5, 3), np.zeros((0, C, 1, 1)))
    assert refusal(g.model(x, [1, 0, H, W])) == one(
        "Conv_0 (Conv): weights constant3 of dims [0, 4, 1, 1] have no elements")


def test_refuses_volumes():
    g = Graph([1, 2, 4, 4, 4])
    x = g.node("Conv", g.quant("x", 0.5, 3), g.quant(np.ones((3, 2, 2, 2, 2)), 1.0, 2))
    assert refusal(finished(g, x)) == one(
        "Conv_0 (Conv): a tensor of dims [1, 2, 4, 4, 4]; (N, C, L) or (N, C, H, W) is expected")


def test_refuses_the_top_of_an_image():
    assert refusal(cnn(lambda g, x: conv(g, x, 5, C)), top=1) == one(
        "Conv_0 (Conv): top 1 of outputs [5, 4, 5]; one vector is expected")


def test_refuses_raw_pixels_that_have_no_zero():
    g = Graph(list(DIMS))
    model = finished(g, conv(g, "x", 5, C, pads=[1, 1, 1, 1]))
    assert refusal(model, input=InputType("uint8", scale=2 / 255, offset=-1.0)) == one(
        f"Conv_0 (Conv): its pads are 0, which its input (0 to 255 times {2 / 255} plus -1.0) has "
        "no code for; quantize it so that 0 is one, or leave out the padding")


@pytest.mark.parametrize("options, given", [
    (dict(kernel=0), "0, 2, 4, 2"), (dict(stride=9999), "2, 9999, 4, 2"),
    (dict(ibits=1.5), "2, 2, 1.5, 2"), (dict(obits=-1), "2, 2, 4, -1")])
def test_refuses_quantized_averages_without_sense(options, given):
    options = {"kernel": 2, "stride": 2, "ibits": 4, "obits": 2, **options}
    g = Graph(list(DIMS))
    model = g.model(g.node("QuantAvgPool2d", g.quant("x", 1.0, 4), domain=QONNX, signed=1,
                           **options), [1, C, 3, 3])
    assert refusal(model, ModelError) == (
        f"node QuantAvgPool2d_0 (QuantAvgPool2d): its kernel, stride, ibits, obits are {given}; "
        "whole numbers from 1 to 4096 are expected")
