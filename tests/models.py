"""Random quantized MLPs as ONNX files, the inputs to try them on, and their reference values."""

from itertools import pairwise
from math import sqrt

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["KWS", "LFC", "MLP", "NID", "TFC", "inputs", "mlp", "multithreshold_mlp", "reference"]

KWS = (490, 256, 256, 256, 12)           # keyword spotting
NID = (600, 64, 64, 64, 1)               # network intrusion detection
TFC = (784, 64, 64, 64, 10)
LFC = (784, 1024, 1024, 1024, 10)
MLP = (1024, 64, 64, 64, 10)

QONNX = "qonnx.custom_op.general"
EPSILON = 2.0 ** -17                     # exact, and so is (1 - EPSILON) + EPSILON in float32


class Graph:
    """An ONNX graph in the making. Equal constants become one initializer, as exporters do."""

    def __init__(self, i_dims):
        self.nodes, self.constants = [], {}
        self.i = helper.make_tensor_value_info("x", TensorProto.FLOAT, i_dims)

    def constant(self, value, dtype=np.float32):
        value = np.asarray(value, dtype)
        key = value.tobytes(), value.shape, value.dtype
        return self.constants.setdefault(
            key, numpy_helper.from_array(value, f"constant{len(self.constants)}")).name

    def node(self, op, *args, domain="", **attributes):
        """Add a node and return the name of its output; an arg that is not a name is a constant."""
        name = f"{op}_{sum(node.op_type == op for node in self.nodes)}"
        names = [arg if isinstance(arg, str) else self.constant(arg) for arg in args]
        self.nodes.append(helper.make_node(op, names, [f"{name}_out"], name, domain=domain,
                                           **attributes))
        return self.nodes[-1].output[0]

    def quant(self, x, scale, bits, *, signed=True, narrow=False, zero=0.0):
        """Quantize ``x``, a name or an array: bipolar for 1 bit, ``Quant`` else."""
        if bits == 1:
            return self.node("BipolarQuant", x, scale, domain=QONNX)
        return self.node("Quant", x, scale, zero, float(bits), domain=QONNX,
                         signed=int(signed), narrow=int(narrow), rounding_mode="ROUND")

    def model(self, o, o_dims):
        """Finish: a model of IR 8 with output ``o``, renamed ``y``."""
        self.nodes[-1].output[0] = "y"
        graph = helper.make_graph(
            self.nodes, "mlp", [self.i],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, o_dims)],
            list(self.constants.values()))
        return helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", 13), helper.make_opsetid(QONNX, 1)])


class QCDQGraph(Graph):
    """The same in QCDQ form: 2 to 8 bits, weights as int8 initializers."""

    def quant(self, x, scale, bits, *, signed=True, narrow=False, zero=0.0):
        dtype = np.int8 if signed else np.uint8
        low = -2 ** (bits - 1) + narrow if signed else 0
        high = low + 2 ** bits - 1 - narrow
        scale = np.squeeze(scale)
        if isinstance(x, np.ndarray):
            q = self.constant(np.clip(np.round(x / scale), low, high), dtype)
        else:
            q = self.node("QuantizeLinear", x, scale, self.constant(zero, dtype))
            if bits < 8:
                q = self.node("Clip", q, self.constant(low, dtype), self.constant(high, dtype))
        zeros = self.constant(np.full(np.shape(scale), zero), dtype)
        return self.node("DequantizeLinear", q, scale, zeros, axis=np.ndim(x) - 1 or 1)


class Draw:
    """Random constants; with ``ties`` all of them dyadic, so that float32 sums stay exact."""

    def __init__(self, seed, *, ties):
        self.rng, self.ties = np.random.default_rng(seed), ties

    def scale(self, typical, shape=()):
        """Draw scales within a factor 2 around ``typical``; powers of two for ties."""
        scale = typical * 2.0 ** self.rng.uniform(-1, 1, shape)
        return 2.0 ** np.round(np.log2(scale)) if self.ties else scale

    def around_zero(self, spread, grid, shape):
        """Draw normal values; multiples of ``grid`` for ties."""
        values = self.rng.normal(0, 1, shape) * spread
        return np.round(values / grid) * grid if self.ties else values

    def weights(self, mw, mh, bits, *, per_channel):
        """Draw weights (MW, MH) off their grid (for ties some halfway) and their scale."""
        scale = self.scale(1 / sqrt(mw), (1, mh) if per_channel else ())
        high = max(2.0 ** (bits - 1) - 1, 1)
        # A bipolar 0 is +1: a fine grid keeps that rare.
        return self.around_zero(0.6 * high, 0.5 if bits > 1 else 0.0625, (mw, mh)) * scale, scale


def batch_norm(draw, mh, *, step, spread, target, negative_gammas):
    """Draw BatchNormalization's four constants.

    ``step`` is the worth of one accumulator count in each channel, and ``spread`` how far the
    accumulators typically go, in counts; after the batch norm they go as far as ``target``.
    """
    # For ties: gamma*step is a power of two, mean whole counts, and beta a multiple of gamma*step.
    grain = draw.scale(target / spread, mh)
    gamma = grain / step * np.where(draw.rng.random(mh) < 0.5 * negative_gammas, -1, 1)
    mean = draw.around_zero(spread / 2, 1, mh) * step
    beta = draw.around_zero(spread / 4, 1, mh) * grain
    var = np.full(mh, 1 - EPSILON) if draw.ties else draw.rng.uniform(0.25, 4, mh)
    return gamma * np.sqrt(var + EPSILON), beta, mean, var


def mlp(widths, *, w_bits, a_bits, i_bits=None, seed=0, per_channel=True, negative_gammas=True,
        ties=True, bias=False, bn=True, relu=False, zero_points=False, narrow=True, batch=1,
        form="qonnx"):
    """Make a random quantized MLP.

    Every layer is MatMul, Add, BatchNormalization, Relu and a quantizer, which the last one lacks.
    One bit is bipolar. Layers spread their values over the grid of the next quantizer, some into
    saturation.

    Parameters
    ----------
    widths : sequence of int
        Inputs of the first layer, then the outputs of every layer.
    w_bits, a_bits, i_bits : int
        Bits of weights, activations, inputs (``a_bits`` if not given).
    per_channel : bool
        Weight scales differ from row to row.
    negative_gammas : bool
        Half of the batch-norm gammas are negative.
    ties : bool
        All constants are dyadic: accumulators land exactly on .5 in front of quantizers, weights
        and inputs too, and float32 arithmetic is exact.
    bias, bn, relu : bool
        There are Add, BatchNormalization, Relu. With ``relu`` inputs and activations are unsigned.
    zero_points : bool
        Inputs and activations are unsigned with a zero point (2 bits and more).
    narrow : bool
        Weights have no value ``-2**(w_bits - 1)``.
    batch : int
        First dimension of input and output.
    form : str
        "qonnx" or "qcdq" (2 bits and more).
    seed : int
        Of all that is random.
    """
    draw = Draw(seed, ties=ties)
    graph = {"qonnx": Graph, "qcdq": QCDQGraph}[form]([batch, widths[0]])
    bits = a_bits if i_bits is None else i_bits
    scale, signed = input_scale(bits), not (relu or zero_points)

    x = graph.quant("x", scale, bits, signed=signed, zero=zero_point(bits, zero_points))
    for layer, (mw, mh) in enumerate(pairwise(widths)):
        last = layer == len(widths) - 2
        weights, w_scale = draw.weights(mw, mh, w_bits, per_channel=per_channel)
        x = graph.node("MatMul", x, graph.quant(weights, w_scale, w_bits, narrow=narrow))
        # The spread of an accumulator: the length of a row's weights * a typical input.
        counts = np.clip(np.round(weights / w_scale), -2 ** (w_bits - 1), 2 ** (w_bits - 1))
        length = sqrt(mw) if w_bits == 1 else np.linalg.norm(counts, axis=0).mean()
        spread = length * typical(bits, unsigned=relu)
        step = np.broadcast_to(w_scale * scale, (1, mh))[0]
        if bias:
            x = graph.node("Add", x, draw.around_zero(spread / 4, 1, (1, mh)) * step)
        # The activation's scale: the spread covers about half the grid.
        bits = a_bits
        target = typical(bits, unsigned=relu)
        scale = 1.0 if bn else float(draw.scale(np.median(step) * spread / target))
        if bn:
            constants = batch_norm(draw, mh, step=step, spread=spread, target=target,
                                   negative_gammas=negative_gammas)
            x = graph.node("BatchNormalization", x, *constants, epsilon=EPSILON)
        if not last:
            if relu:
                x = graph.node("Relu", x)
            x = graph.quant(x, scale, bits, signed=signed,
                            zero=zero_point(bits, zero_points and not relu))
    return graph.model(x, [batch, widths[-1]])


def multithreshold_mlp(widths, *, w_bits, a_bits, i_bits=None, seed=0, batch=1):
    """Make a random MLP in FINN's form: integer weights, and MultiThreshold for activations."""
    from qonnx.core.datatype import DataType
    from qonnx.core.modelwrapper import ModelWrapper

    rng = np.random.default_rng(seed)
    graph = Graph([batch, widths[0]])
    bits = a_bits if i_bits is None else i_bits
    steps = np.arange(1 - 2 ** (bits - 1), 2 ** (bits - 1)) * input_scale(bits)
    x, annotations = multithreshold(graph, "x", steps[None], bits), {}
    for layer, (mw, mh) in enumerate(pairwise(widths)):
        high = 2 ** (w_bits - 1) - 1
        weights = rng.integers(-high, high + 1, (mw, mh)) if high else rng.choice([-1, 1], (mw, mh))
        annotations[graph.constant(weights)] = f"INT{w_bits}" if high else "BIPOLAR"
        x = graph.node("MatMul", x, weights)
        spread = sqrt(mw) * max(high, 1) * typical(bits)
        bits = a_bits
        if layer < len(widths) - 2:
            steps = np.sort(np.round(rng.normal(0, spread, (mh, 2 ** bits - 1))), axis=1)
            x = multithreshold(graph, x, steps, bits)
    x = graph.node("Mul", x, rng.choice([-0.5, 0.25, 0.125], (1, mh)))
    x = graph.node("Add", x, rng.normal(0, 1, (1, mh)))
    wrapper = ModelWrapper(graph.model(x, [batch, mh]))
    for name, datatype in annotations.items():
        wrapper.set_tensor_datatype(name, DataType[datatype])
    return wrapper.model


def multithreshold(graph, x, steps, bits):
    """Add a MultiThreshold with signed (bipolar) outputs."""
    scale, bias, kind = (2.0, -1.0, "BIPOLAR") if bits == 1 else (1.0, -2.0 ** (bits - 1),
                                                                  f"INT{bits}")
    return graph.node("MultiThreshold", x, steps, domain=QONNX, out_scale=scale, out_bias=bias,
                      out_dtype=kind, data_layout="NC")


def typical(bits, *, unsigned=False):
    """Return the typical size of a value on a grid of so many bits."""
    return 1.0 if bits == 1 else 2.0 ** (bits - 1) * (0.7 if unsigned else 0.5)


def input_scale(bits):
    """Return the scale of the input quantizer: inputs lie in about [-1, 1]."""
    return 2.0 ** (1 - bits)


def zero_point(bits, wanted):
    return 2.0 ** (bits - 1) if wanted and bits > 1 else 0.0


def inputs(widths, count, *, i_bits, seed=0):
    """Return float32 inputs (count, widths[0]) about [-1, 1]: half of them are ties or zeros."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0, 0.5, (count, widths[0]))
    grid = input_scale(i_bits) / 2
    return np.where(rng.random(x.shape) < 0.5, np.round(x / grid) * grid, x).astype(np.float32)


def reference(model, x, *, values=False):
    """Evaluate ``model`` for ``x`` by the qonnx executor; with ``values`` return every tensor."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes

    model = onnx.ModelProto.FromString(model.SerializeToString())
    for info in (model.graph.input[0], model.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_value = len(x)
    wrapper = ModelWrapper(model).transform(InferShapes())
    context = execute_onnx(wrapper, {model.graph.input[0].name: x}, values)
    return context if values else context[model.graph.output[0].name]
