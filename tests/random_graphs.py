"""Random small convolutional graphs: chains, residual blocks, concatenations, odd sizes.

``pick(options)`` makes every choice of structure: that of a seeded generator, or of hypothesis.
Simple options come first: hypothesis shrinks towards them. Bipolar values are never padded: 0 is
not among them.
"""

from dataclasses import replace
from math import prod

import numpy as np

from tests.cnn_models import Grid, Net, Tensor, images
from tests.models import input_scale

__all__ = ["random_graph", "seeded"]

ROOM = 600                               # elements of a tensor, at most


def seeded(seed):
    """Return a ``pick`` of a generator."""
    rng = np.random.default_rng(seed)
    return lambda options: options[int(rng.integers(len(options)))]


def random_graph(pick, *, seed=0, frames=4):
    """Return a model and ``frames`` inputs for it; ``seed`` is that of the constants alone."""
    size = pick([(4, 4), (5, 7), (6, 3), (8, 8), (1, 6), (7, 1), (9,), (12,)])
    dims = pick([1, 2, 3, 4]), *size
    bits = pick([2, 1, 3, 4, 8])
    grid = Grid(input_scale(bits), bits, signed=bits == 1 or pick([True, False]))
    last = pick([False, False, True])
    net = Net(dims, grid, seed=seed, channels_last=last, trunc=pick([2, 1]))
    x = conv(pick, net, net.x)
    for _ in range(pick([0, 1, 2, 3])):
        x = block(pick, net, x)
    model = net.done(ending(pick, net, x))
    return model, images((*dims[1:], dims[0]) if last else dims, frames, bits=bits, seed=seed)


def block(pick, net, x):
    """Add a block to tensor ``x``, of those that its dims allow."""
    blocks = [conv, depthwise, max_pool, residual, concat, average, split, around, requantized,
              nested]
    if prod(x.dims) <= ROOM / 4:
        blocks += [upsample]
    if x.grid.zero == 0 and not x.grid.bipolar:
        blocks += [padded]
    return pick(blocks)(pick, net, x)


def a_grid(pick, scale=1.0):
    bits = pick([2, 1, 3, 4])
    signed = pick([True, False])
    zero = pick([0.0, 2.0 ** (bits - 1)]) if not signed and bits > 1 else 0.0
    return Grid(scale, bits, signed, signed and bits > 1 and pick([False, True]), zero)


def geometry(pick, x, *, pooling=False, pads=True):
    """Pick kernel, stride, pads and dilation that leave at least one window."""
    options = {"kernel": [], "stride": [], "dilation": []}
    begin, end = [], []
    for size in x.dims[1:]:
        kernel = pick([3, 2, 1] if not pooling else [2, 3])
        dilation = 1 if pooling or kernel == 1 else pick([1, 1, 2])
        ends = [0, 1, 2][:min(kernel, 2 if pooling else 3) if pads else 1]
        first, last = pick(ends), pick(ends)
        if (kernel - 1) * dilation >= size + first + last:
            kernel, dilation, first, last = 1, 1, 0, 0
        for key, value in (("kernel", kernel), ("stride", pick([1, 2])), ("dilation", dilation)):
            options[key].append(value)
        begin.append(first)
        end.append(last)
    if pooling:
        del options["dilation"]
    return {**options, "pads": (*begin, *end)}


def product_options(pick):
    return {"w_bits": pick([2, 1, 3, 4]), "per_channel": pick([True, False]),
            "bias": pick([False, True])}


def activated(pick, net, sums, grid=None):
    """Put an activation behind sums; ``grid`` is one that others share."""
    if grid is None:
        grid = a_grid(pick)
        bn = pick([True, True, False])
    else:
        bn = True
    relu = not grid.signed and grid.zero == 0 and pick([True, False])
    return net.activation(sums, grid, bn=bn, relu=relu)


def conv(pick, net, x, grid=None):
    """Any convolution."""
    where = geometry(pick, x, pads=not x.grid.bipolar)
    kernel = where.pop("kernel")
    if not x.grid.bipolar and pick([False, False, True]) and max(where["dilation"]) == 1:
        del where["pads"]
        where["auto_pad"] = pick(["SAME_UPPER", "SAME_LOWER"])
    groups = pick([g for g in (1, 2, x.dims[0]) if x.dims[0] % g == 0])
    channels = groups * pick([1, 2, 3] if groups > 1 else [2, 4, 3, 5, 1])
    sums = net.conv(x, channels, kernel, groups=groups, **where, **product_options(pick))
    return activated(pick, net, sums, grid)


def same(pick, net, x, channels, grid):
    """Convolve and keep the image's size."""
    k = 1 if x.grid.bipolar else pick([3, 1])
    sums = net.conv(x, channels, k, pads=k // 2, **product_options(pick))
    return activated(pick, net, sums, grid)


def depthwise(pick, net, x):
    where = geometry(pick, x, pads=not x.grid.bipolar)
    kernel = where.pop("kernel")
    sums = net.conv(x, x.dims[0] * pick([1, 2]), kernel, groups=x.dims[0], **where,
                    **product_options(pick))
    return activated(pick, net, sums)


def max_pool(pick, net, x):
    where = geometry(pick, x, pooling=True)
    return net.max_pool(x, where.pop("kernel"), **where)


def average(pick, net, x):
    """Average, and make the averages integers again."""
    where = geometry(pick, x, pooling=True, pads=not x.grid.bipolar and not x.grid.zero)
    kernel = where.pop("kernel")
    count = prod(kernel)
    whole = count in (1, 2, 4)
    ways = ["requantized", "plain"] if whole else []
    if x.grid.zero == 0 and not x.grid.bipolar:
        ways += ["truncated"]
        if (not x.grid.signed and x.grid.scale == 1 and len(x.dims) == 3 and len(set(kernel)) == 1
                and where["stride"][0] == where["stride"][1]):
            ways += ["quant_average"]
    if not ways:
        return requantized(pick, net, x)
    return averaged(pick, net, x, pick(ways), kernel, where)


def averaged(pick, net, x, way, kernel, where):
    if way == "quant_average":
        return net.quant_average(x, kernel[0], where["stride"][0], pick([2, 3, 4]))
    sums = net.average(x, kernel, **where)
    if way == "plain":
        return net.plain(sums, x)
    if way == "truncated":
        return net.truncated(sums, x, pick([2, 3, 4]))
    return net.on(a_grid(pick, x.grid.scale * pick([1, 2, 0.5])), sums.name, sums.dims)


def requantized(pick, net, x):
    """Another grid."""
    return net.on(a_grid(pick, x.grid.scale * pick([1.0, 2.0, 0.5])), x.name, x.dims)


def residual(pick, net, x):
    """Two ways, one of them of one or two convolutions, and their sum."""
    join = replace(a_grid(pick, pick([1.0, 0.5])), zero=0.0)
    branch = same(pick, net, x, pick([x.dims[0], 3]), None) if pick([False, True]) else x
    way = pick(["joined", "as it is", "projected"])
    around = {"joined": lambda: net.on(join, x.name, x.dims), "as it is": lambda: x,
              "projected": lambda: same(pick, net, x, x.dims[0], join)}[way]()
    branch = same(pick, net, branch, x.dims[0], join)
    parts = [branch, around]
    if pick([False, True]):
        parts.reverse()
    grid = a_grid(pick, join.scale * pick([1.0, 2.0]))
    return net.add(*parts, grid, relu=not grid.signed and not grid.zero and pick([True, False]))


def concat(pick, net, x):
    """Two or three ways of one size and grid, behind one another."""
    grid = a_grid(pick)
    parts = [same(pick, net, x, pick([1, 2, 3]), grid) for _ in range(pick([2, 3]))]
    if pick([False, True]):
        parts.append(net.on(grid, x.name, x.dims))
    return net.concat(*parts)


def split(pick, net, x):
    """Channels part; some are convolved, some pass, and they meet again."""
    if x.dims[0] < 2:
        return depthwise(pick, net, x)
    first = pick([1, x.dims[0] // 2])
    a, b = net.split(x, first, x.dims[0] - first)
    a = same(pick, net, a, pick([1, 2]), None)
    b = net.on(a.grid, b.name, b.dims)
    return net.concat(*pick([(a, b), (b, a)]))


def nested(pick, net, x):
    """Put a residual block inside another."""
    join = Grid(1.0, pick([2, 3, 4]))
    inner = residual(pick, net, x)
    outer = same(pick, net, inner, x.dims[0], join)
    return net.add(outer, net.on(join, x.name, x.dims), a_grid(pick))


def around(pick, net, x):
    """As in a U-Net: halved, convolved, enlarged again, and joined with what it was."""
    factor = tuple(2 if n % 2 == 0 else 1 for n in x.dims[1:])
    grid = a_grid(pick)
    small = net.max_pool(x, factor, stride=factor)
    large = net.upsample(same(pick, net, small, pick([2, 1]), grid), factor)
    return net.concat(large, net.on(grid, x.name, x.dims))


def upsample(pick, net, x):
    return net.upsample(x, [pick([2, 1]) for _ in x.dims[1:]])


def padded(pick, net, x):
    """Zeros around it by a node of their own, and a convolution."""
    return conv(pick, net, net.pad(x, [pick([1, 0, 2]) for _ in 2 * x.dims[1:]]))


def ending(pick, net, x):
    """End with a full layer, or an image."""
    way = pick(["flat", "pool", "image", "codes"])
    if way == "codes":
        return x
    if way == "image":
        return net.conv(x, pick([2, 3]), 1, **product_options(pick))
    if way == "pool":
        power = prod(x.dims[1:]) in (1, 2, 4, 8, 16)
        x = net.plain(net.average(x), x) if power else max_all(net, x)
    x = net.flatten(x, channels_last=pick([False, True]))
    options = {**product_options(pick), "gemm": pick([False, True])}
    if pick([False, True]):
        x = activated(pick, net, net.fc(x, pick([4, 3]), **options))
    return net.fc(x, pick([3, 2, 1, 5]), **options)


def max_all(net, x):
    """Take the maximum over the whole image."""
    dims = (x.dims[0], *(1 for _ in x.dims[1:]))
    return Tensor(net.node("GlobalMaxPool", x.name), dims, x.grid)
