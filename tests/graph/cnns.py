"""Small convolutional networks of dyadic constants: float32 arithmetic is exact in them."""

import numpy as np

from quinnoa.graph.constants import fold_constants
from quinnoa.graph.lower import load
from quinnoa.graph.read import read
from tests.models import Graph, reference

C, H, W = 4, 7, 6
DIMS = (1, C, H, W)


def rng(seed=0):
    return np.random.default_rng(seed)


def finished(g, y):
    """Return the model that ends with ``y``, whose dims are found."""
    model = g.model(y, [1])
    dims = fold_constants(read(model)).dims["y"]
    del model.graph.output[0].type.tensor_type.shape.dim[:]
    for d in dims:
        model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = d
    return model


def cnn(body, *, dims=DIMS, bits=3, signed=True):
    """Make a model: quantizer, and what ``body`` puts behind it."""
    g = Graph(list(dims))
    return finished(g, body(g, g.quant("x", 0.5, bits, signed=signed)))


def frames(dims, count=6, seed=0):
    """Return inputs on and between the quantizer's steps."""
    return (rng(seed).integers(-10, 11, (count, *dims[1:])) * 0.25).astype(np.float32)


def conv(g, x, out, c, kernel=(3, 3), *, group=1, bias=False, bits=3, seed=1, **options):
    """Add a Conv whose weights have dyadic scales, one an output, and a bias of their halves."""
    draw = rng(seed)
    high = 2 ** (bits - 1) - 1
    codes = draw.integers(-high, high + 1, (out, c // group, *kernel)) if bits > 1 else (
        draw.choice([-1, 1], (out, c // group, *kernel)))
    scale = 2.0 ** draw.integers(-3, 0, (out, *[1] * (1 + len(kernel))))
    weights = g.quant(codes * scale, scale, bits)
    extra = [draw.integers(-8, 9, out) * 0.25] if bias else []
    return g.node("Conv", x, weights, *extra, group=group, **options)


def activation(g, x, c=None, *, relu=False, bits=3, seed=2, scale=1.0, rank=4):
    """Add a batch norm, where there are channels, and a quantizer."""
    if c:
        draw = rng(seed)
        gamma = 2.0 ** draw.integers(-2, 1, c) * draw.choice([-1, 1], c)
        x = g.node("BatchNormalization", x, gamma, draw.integers(-4, 5, c) * 0.25,
                   draw.integers(-4, 5, c) * 0.5, np.full(c, 1 - 2.0 ** -17), epsilon=2.0 ** -17)
    x = g.node("Relu", x) if relu else x
    return g.quant(x, scale, bits, signed=not relu)


def check(model, dims=DIMS, kinds=None, *, seed=0, count=6):
    """Compare with the executor, bit for bit; look at the kinds of layers."""
    x, network = frames(dims, count, seed), load(model)
    y = network.run(x)
    assert y.dtype == np.float32
    np.testing.assert_array_equal(y, reference(model, x))
    if kinds is not None:
        assert [layer.kind for layer in network.layers] == kinds.split()
    return network


def scaled(g, x, factors):
    """Add a batch norm with such gammas."""
    return g.node("BatchNormalization", x, factors, np.zeros(6), np.ones(6),
                  np.full(6, 1 - 2.0 ** -17), epsilon=2.0 ** -17)


def branches(g, x):
    """Add two branches: a convolution of three and one of one pixel."""
    return (conv(g, x, 6, C, pads=[1, 1, 1, 1]), conv(g, x, 6, C, (1, 1), seed=4))
