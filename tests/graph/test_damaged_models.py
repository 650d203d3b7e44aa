"""Models damaged at random load, or are refused by an error of ours: nothing else, and soon."""

import random

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import quinnoa
from quinnoa.errors import QuinnoaError
from tests.models import QONNX, mlp, multithreshold_mlp
from tests.random_graphs import random_graph, seeded

MODELS = [
    mlp((8, 6, 4), w_bits=2, a_bits=2, bias=True, relu=True),
    mlp((8, 6, 4), w_bits=3, a_bits=3, form="qcdq"),
    mlp((4, 6, 3), w_bits=8, a_bits=8, zero_points=True),
    mlp((4, 3), w_bits=1, a_bits=1),
    multithreshold_mlp((8, 6, 4), w_bits=2, a_bits=2),
]
CNNS = [random_graph(seeded(seed), seed=seed)[0] for seed in range(12)]
OPERATORS = """Quant BipolarQuant MatMul Gemm Add Sub Mul Div Pow Sqrt BatchNormalization Relu PRelu
    Clip Sigmoid Tanh Sign Identity Dropout Reshape Flatten Transpose Squeeze Concat Shape Gather
    Softmax TopK ArgMax Round Exp Log Neg Abs Where Cast Split Slice Range Expand QuantizeLinear
    DequantizeLinear MultiThreshold Trunc Constant Unsqueeze Not Equal Min Conv ConvTranspose
    MaxPool AveragePool GlobalMaxPool GlobalAveragePool ReduceMean ReduceMax Resize Upsample Pad
    QuantAvgPool2d""".split()
ATTRIBUTES = """axis perm alpha beta transA signed narrow axes to keepdims epsilon out_bias k mode
    kernel_shape strides pads dilations group auto_pad ceil_mode count_include_pad nearest_mode
    """.split()
SETTINGS = [0, 1, -1, 5, 2 ** 40, 0.5, -2.0, float("nan"), "CEIL", "x", [1, 2], [-1], [0.5], 2,
            [2, 2], [3, 3], [0, 0], [1, 1, 1, 1], [1, 0, 2, 0], [-1, 1, 1, 1], "SAME_UPPER"]
NUMBERS = [0, -1, np.nan, np.inf, -np.inf, 1e38, 1e-45, 0.5, 255, 1e9]


def damage_bytes(model, rng):
    """Return the model's bytes with some changed, gone or added."""
    data = bytearray(model.SerializeToString())
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        k = rng.randrange(len(data))
        match rng.randrange(3):
            case 0:
                data[k] ^= 1 << rng.randrange(8)
            case 1:
                del data[k:k + rng.randrange(1, 8)]
            case 2:
                data[k:k] = rng.randbytes(rng.randrange(1, 5))
    return bytes(data)


def damage_graph(model, rng):
    """Return a model that still is ONNX, but with a node or a constant that is not what it was."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    nodes, constants = model.graph.node, model.graph.initializer
    node, constant = rng.choice(nodes), rng.choice(constants)
    values = numpy_helper.to_array(constant).copy()
    tensors = [c.name for c in constants] + [o for n in nodes for o in n.output] + ["x", ""]
    match rng.randrange(9):
        case 0:
            node.op_type, node.domain = rng.choice(OPERATORS), rng.choice(["", QONNX])
        case 1:
            node.input[rng.randrange(len(node.input))] = rng.choice(tensors)
        case 2:
            del node.input[rng.randrange(len(node.input))]
        case 3:
            node.input.append(rng.choice(tensors))
        case 4:
            name = rng.choice(ATTRIBUTES + [a.name for a in node.attribute])
            kept = [a for a in node.attribute if a.name != name]
            del node.attribute[:]
            node.attribute.extend([*kept, helper.make_attribute(name, rng.choice(SETTINGS))])
        case 5:
            nodes.remove(node)
        case 6:
            number = rng.choice(NUMBERS)
            if values.dtype.kind == "f":
                values.reshape(-1)[rng.randrange(values.size)] = number
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
        case 7:
            values = rng.choice([values.reshape(-1), values.T.copy(), values[None],
                                 values.astype(np.float64), values.reshape(-1)[:0]])
            constant.CopyFrom(numpy_helper.from_array(values, constant.name))
        case 8:
            dims = model.graph.input[0].type.tensor_type.shape.dim
            dims[rng.randrange(len(dims))].dim_value = rng.choice([0, 1, 2, -1, 2 ** 27])
    return model.SerializeToString()


@pytest.mark.parametrize("damage", [damage_bytes, damage_graph])
@pytest.mark.parametrize("models", [MODELS, CNNS], ids=["mlps", "cnns"])
@pytest.mark.parametrize("seed", range(5))
def test_damaged_models_load_or_are_refused(models, damage, seed):
    rng = random.Random(seed)
    refused = 0
    for _ in range(60 if models is MODELS else 20):
        data = damage(rng.choice(models), rng)
        try:
            network = quinnoa.load(data)
            network.run(np.zeros((2, *network.head.port.dims[1:]), network.head.port.dtype))
        except QuinnoaError as error:
            assert str(error)
            refused += 1
    assert refused
