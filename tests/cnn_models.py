"""Quantized convolutional networks with random weights: the builder, CNV, and a ResNet-50.

All constants are dyadic: float32 arithmetic is exact, branches add exactly, and sums land on the
ties of quantizers.
"""

from dataclasses import dataclass, replace
from math import ceil, log2, prod, sqrt

import numpy as np

from tests.models import EPSILON, QONNX, Draw, Graph, batch_norm, input_scale, inputs, typical

__all__ = ["Grid", "Net", "Sums", "Tensor", "cnv", "images", "resnet50"]


@dataclass(frozen=True)
class Grid:
    """What a quantizer gives: ``scale * (code - zero)``; 1 bit and signed is bipolar."""

    scale: float
    bits: int
    signed: bool = True
    narrow: bool = False
    zero: float = 0.0

    @property
    def bipolar(self):
        return self.bits == 1 and self.signed

    @property
    def typical(self):
        return typical(self.bits, unsigned=not self.signed and not self.zero)


@dataclass(frozen=True)
class Tensor:
    """A quantized tensor: ``dims`` are (C, H, W), (C, L) or (C,)."""

    name: str
    dims: tuple[int, ...]
    grid: Grid


@dataclass(frozen=True, eq=False)
class Sums:
    """What a product gives: multiples of each channel's ``step``, usually to ``spread`` of them."""

    name: str
    dims: tuple[int, ...]
    step: np.ndarray
    spread: float


class Net(Graph):
    """A graph in the making that knows what its tensors mean; ``trunc`` is Trunc's version."""

    def __init__(self, dims, grid, *, seed=0, channels_last=False, trunc=2):
        last = (*dims[1:], dims[0])
        super().__init__([1, *(last if channels_last else dims)])
        self.draw, self.trunc = Draw(seed, ties=True), trunc
        x = self.transposed("x", (0, len(dims), *range(1, len(dims)))) if channels_last else "x"
        self.x = self.on(grid, x, dims)

    def on(self, grid, name, dims):
        """Quantize tensor ``name``."""
        if grid.bits == 1 and not grid.signed:
            name = self.node("Quant", name, grid.scale, grid.zero, 1.0, domain=QONNX, signed=0,
                             narrow=0, rounding_mode="ROUND")
        else:
            name = self.quant(name, grid.scale, grid.bits, signed=grid.signed, narrow=grid.narrow,
                              zero=grid.zero)
        return Tensor(name, tuple(dims), grid)

    def transposed(self, name, perm):
        return self.node("Transpose", name, perm=perm)

    def conv(self, x, channels, kernel, *, stride=1, dilation=1, pads=0, auto_pad=None, groups=1,
             w_bits=2, per_channel=True, bias=False):
        """Convolve; what is given as a number holds for every axis, ``pads`` for both ends too."""
        size = x.dims[1:]
        kernel, stride, dilation = (each(value, len(size)) for value in (kernel, stride, dilation))
        weights, scale, counts = self.weights(x.dims[0] // groups * prod(kernel), channels, w_bits,
                                              per_channel=per_channel)
        axes = (1,) * len(size)
        weight = self.quant(weights.T.reshape(channels, x.dims[0] // groups, *kernel),
                            scale.reshape(channels, 1, *axes) if per_channel else scale, w_bits,
                            narrow=True)
        where = ({"auto_pad": auto_pad} if auto_pad else {"pads": each(pads, 2 * len(size))})
        o, step, spread = self.windows(x, kernel, stride, dilation, **where), *counted(
            x, scale, counts, channels)
        args = [self.multiples(step, spread, channels)] if bias else []
        name = self.node("Conv", x.name, weight, *args, kernel_shape=kernel, strides=stride,
                         dilations=dilation, group=groups, **where)
        return Sums(name, (channels, *o), step, spread)

    def fc(self, x, channels, *, w_bits=2, per_channel=True, bias=False, gemm=False):
        """Multiply a vector with a matrix."""
        weights, scale, counts = self.weights(x.dims[0], channels, w_bits, per_channel=per_channel)
        step, spread = counted(x, scale, counts, channels)
        if gemm:
            weight = self.quant(weights.T, np.transpose(scale), w_bits, narrow=True)
            args = [self.multiples(step, spread, channels)] if bias else []
            name = self.node("Gemm", x.name, weight, *args, transB=1)
        else:
            name = self.node("MatMul", x.name, self.quant(weights, scale, w_bits, narrow=True))
            if bias:
                name = self.node("Add", name, self.multiples(step, spread, channels))
        return Sums(name, (channels,), step, spread)

    def weights(self, mw, mh, bits, *, per_channel):
        """Draw weights (MW, MH), their scale, and the length of their integers."""
        weights, scale = self.draw.weights(mw, mh, bits, per_channel=per_channel)
        high = max(2 ** (bits - 1) - 1, 1)
        counts = np.clip(np.round(weights / scale), -high, high)
        return weights, scale, sqrt(mw) if bits == 1 else np.linalg.norm(counts, axis=0).mean()

    def multiples(self, step, spread, channels):
        return self.draw.around_zero(spread / 4, 1, channels) * step

    def windows(self, x, kernel, stride, dilation=1, pads=0, auto_pad=None):
        """Return the windows along each axis."""
        size = x.dims[1:]
        stride = each(stride, len(size))
        if auto_pad:
            return tuple(-(-n // s) for n, s in zip(size, stride, strict=True))
        pads, n = each(pads, 2 * len(size)), len(size)
        reach = [(k - 1) * d + 1 for k, d in zip(each(kernel, n), each(dilation, n), strict=True)]
        return tuple((size[a] + pads[a] + pads[a + n] - reach[a]) // stride[a] + 1
                     for a in range(n))

    def normal(self, sums, *, target, negative_gammas=True):
        """Normalise: then the sums go as far as ``target``."""
        constants = batch_norm(self.draw, sums.dims[0], step=sums.step, spread=sums.spread,
                               target=target, negative_gammas=negative_gammas)
        return self.node("BatchNormalization", sums.name, *constants, epsilon=EPSILON)

    def activation(self, sums, grid, *, bn=True, relu=False):
        """Quantize sums, on ``grid`` behind a batch norm, else on one as wide as the sums go."""
        name = sums.name
        if bn:
            name = self.normal(sums, target=grid.typical * grid.scale)
        else:
            grid = replace(grid, scale=float(self.draw.scale(
                np.median(sums.step) * sums.spread / grid.typical)))
        name = self.node("Relu", name) if relu else name
        return self.on(grid, name, sums.dims)

    def max_pool(self, x, kernel, *, stride, pads=0):
        n = len(x.dims) - 1
        o = self.windows(x, kernel, stride, pads=pads)
        name = self.node("MaxPool", x.name, kernel_shape=each(kernel, n), strides=each(stride, n),
                         pads=each(pads, 2 * n))
        return replace(x, name=name, dims=(x.dims[0], *o))

    def average(self, x, kernel=None, *, stride=1, pads=0):
        """Return the average over windows, or over all; multiples of scale / elements."""
        n = len(x.dims) - 1
        if kernel is None:
            count, o, name = prod(x.dims[1:]), (1,) * n, self.node("GlobalAveragePool", x.name)
        else:
            count, o = prod(each(kernel, n)), self.windows(x, kernel, stride, pads=pads)
            name = self.node("AveragePool", x.name, kernel_shape=each(kernel, n),
                             strides=each(stride, n), pads=each(pads, 2 * n), count_include_pad=1)
        step = np.full(x.dims[0], x.grid.scale / count)
        return Sums(name, (x.dims[0], *o), step, x.grid.typical * sqrt(count))

    def plain(self, sums, x):
        """Take averages of ``x`` as they are; their elements a power of two."""
        count = round(x.grid.scale / sums.step[0])
        grid = replace(x.grid, scale=float(sums.step[0]), bits=x.grid.bits + ceil(log2(count)))
        return Tensor(sums.name, sums.dims, grid)

    def truncated(self, sums, x, bits, *, mode="FLOOR"):
        """Truncate averages of ``x``, which has no zero point, as Brevitas does."""
        count = round(x.grid.scale / sums.step[0])
        i_bits = x.grid.bits + ceil(log2(count))
        shift = max(i_bits - bits, 0)
        if self.trunc == 1:
            name = self.node("Mul", sums.name, float(count))
            name = self.node("Trunc", name, x.grid.scale, 0.0, float(i_bits),
                             float(i_bits - shift), domain=QONNX, rounding_mode=mode)
            return Tensor(name, sums.dims, Grid(x.grid.scale, bits, x.grid.signed))
        scale = 2.0 ** (round(log2(x.grid.scale / count)) + shift)
        name = self.node("Trunc", sums.name, x.grid.scale / count, 0.0, float(i_bits), scale,
                         float(bits), domain=QONNX, rounding_mode=mode, narrow=0,
                         signed=int(x.grid.signed))
        return Tensor(name, sums.dims, Grid(scale, bits, x.grid.signed))

    def quant_average(self, x, kernel, stride, bits):
        """FINN's QuantAvgPool2d: sums shifted; ``x`` is unsigned integers."""
        name = self.node("QuantAvgPool2d", x.name, domain=QONNX, kernel=kernel, stride=stride,
                         ibits=x.grid.bits, obits=bits, signed=0, data_layout="NCHW")
        return Tensor(name, (x.dims[0], *self.windows(x, kernel, stride)), Grid(1.0, bits, False))

    def add(self, a, b, grid, *, relu=False):
        """Add two branches of dyadic scales and quantize the sum; with no grid leave it so."""
        name = self.node("Add", a.name, b.name)
        if grid is None:
            scale = min(a.grid.scale, b.grid.scale)
            bits = 1 + max(t.grid.bits + round(log2(t.grid.scale / scale)) for t in (a, b))
            return Tensor(name, a.dims, Grid(scale, bits, a.grid.signed or b.grid.signed))
        return self.on(grid, self.node("Relu", name) if relu else name, a.dims)

    def concat(self, *parts):
        name = self.node("Concat", *(part.name for part in parts), axis=1)
        return replace(parts[0], name=name,
                       dims=(sum(part.dims[0] for part in parts), *parts[0].dims[1:]))

    def split(self, x, *channels):
        name = self.node("Split", x.name, self.constant(channels, np.int64), axis=1)
        names = [name, *(f"{name}_{k}" for k in range(1, len(channels)))]
        del self.nodes[-1].output[:]
        self.nodes[-1].output.extend(names)
        return [Tensor(name, (n, *x.dims[1:]), x.grid)
                for name, n in zip(names, channels, strict=True)]

    def upsample(self, x, factor):
        factor = each(factor, len(x.dims) - 1)
        name = self.node("Resize", x.name, "", np.array([1, 1, *factor], np.float32),
                         mode="nearest", coordinate_transformation_mode="asymmetric",
                         nearest_mode="floor")
        return replace(x, name=name, dims=(x.dims[0], *np.multiply(x.dims[1:], factor).tolist()))

    def pad(self, x, pads):
        n = len(x.dims) - 1
        pads = each(pads, 2 * n)
        name = self.node("Pad", x.name,
                         self.constant([0, 0, *pads[:n], 0, 0, *pads[n:]], np.int64), 0.0)
        size = [x.dims[1 + a] + pads[a] + pads[a + n] for a in range(n)]
        return replace(x, name=name, dims=(x.dims[0], *size))

    def flatten(self, x, *, channels_last=False):
        n = len(x.dims) - 1
        name = self.transposed(x.name, (0, *range(2, n + 2), 1)) if channels_last else x.name
        return replace(x, name=self.node("Flatten", name), dims=(prod(x.dims),))

    def done(self, o):
        """Finish with ``o``, Sums or a Tensor, as the output."""
        model = self.model(o.name, [1, *o.dims])
        model.opset_import[1].version = self.trunc
        return model


def each(value, axes):
    """Return ``value`` for each of so many axes, as a tuple."""
    return (value,) * axes if np.ndim(value) == 0 else tuple(value)


def counted(x, scale, length, channels):
    """Return the worth of one count in each channel, and how far the counts usually go."""
    step = np.broadcast_to(np.multiply(scale, x.grid.scale), (1, channels))[0]
    return step, max(length, 1.0) * x.grid.typical


def cnv(w_bits=1, a_bits=1, *, seed=0, small=False):
    """Make a CNV: conv 64, 64, pool, conv 128, 128, pool, conv 256, 256, full 512, 512, 10.

    Input: (3, 32, 32), 8 bits; fewer pixels would not do. ``small`` has an eighth of the channels.
    """
    width = 8 if small else 64
    net = Net((3, 32, 32), Grid(input_scale(8), 8), seed=seed)
    grid, x = Grid(1.0, a_bits, narrow=True), net.x
    for k, channels in enumerate((width, width, 2 * width, 2 * width, 4 * width, 4 * width)):
        x = net.activation(net.conv(x, channels, 3, w_bits=w_bits), grid)
        if k in (1, 3):
            x = net.max_pool(x, 2, stride=2)
    x = net.flatten(x)
    for _ in range(2):
        x = net.activation(net.fc(x, 8 * width, w_bits=w_bits), grid)
    return net.done(net.fc(x, 10, w_bits=w_bits))


def resnet50(*, w_bits=2, a_bits=2, size=224, width=64, seed=0):
    """Make a ResNet-50: bottlenecks of 3, 4, 6 and 3, additions of one scale, a global average."""
    net = Net((3, size, size), Grid(input_scale(8), 8), seed=seed)
    relu, join = Grid(1.0, a_bits, signed=False), Grid(1.0, a_bits + 1)

    def conv(x, channels, kernel, grid=relu, **options):
        sums = net.conv(x, channels, kernel, w_bits=w_bits, **options)
        return net.activation(sums, grid, relu=grid is relu)

    x = conv(net.x, width, 7, stride=2, pads=3)
    x = net.max_pool(x, 3, stride=2, pads=1)
    for stage, blocks in enumerate((3, 4, 6, 3)):
        channels = width << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            branch = conv(conv(x, channels, 1), channels, 3, stride=stride, pads=1)
            branch = conv(branch, 4 * channels, 1, join)
            around = x if block else conv(x, 4 * channels, 1, join, stride=stride)
            x = net.add(branch, around, relu, relu=True)
    x = net.flatten(net.truncated(net.average(x), x, a_bits))
    return net.done(net.fc(x, 1000, w_bits=w_bits, gemm=True, bias=True))


def images(dims, count, *, bits, seed=0):
    """Return float32 inputs (count, *dims) about [-1, 1]: half of them are ties or zeros."""
    return inputs((prod(dims),), count, i_bits=bits, seed=seed).reshape(count, *dims)
