"""Resources: what a layer takes of a device, from the structure that its generator lays down."""

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log2

from amaranth import Shape

from quinnoa.rtl.shapes import is_bipolar, range_of, shape_for
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.weights import block_is_cheaper

from .layers import (
    Add,
    Concat,
    Depthwise,
    Fold,
    Layer,
    MatMul,
    Reduce,
    Slice,
    Stream,
    Threshold,
    TopK,
    Upsample,
    Window,
)
from .products import accumulator_shape

__all__ = ["Resources", "buffer_resources", "converter_resources", "fork_resources",
           "layer_resources", "memory_resources", "ram_resources"]


@dataclass(frozen=True)
class Resources:
    """LUT sites, flip-flops, block RAMs of 36 kbit, UltraRAMs and DSP slices."""

    lut: int = 0
    ff: int = 0
    bram36: float = 0
    uram: int = 0
    dsp: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.lut + other.lut, self.ff + other.ff, self.bram36 + other.bram36,
                         self.uram + other.uram, self.dsp + other.dsp)


# LUT sites a bit-product, compressor tree included: XNOR-popcount of 32 to 128 products by our own
# generator on xc7 (benchmarks/lut_per_product.py), plain adder trees elsewhere.
LUT_PER_PRODUCT = {"xc7": 0.97, "xcup": 0.97, "ecp5": 2.6, "generic": 2.2}

# Shapes of one block RAM of 18 kbit: (depth, width), UG473 table 1-7.
BRAM18_SHAPES = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))


@lru_cache(maxsize=None)
def memory_resources(depth: int, width: int, style: str = "auto") -> Resources:
    """Return what a read-only memory takes: LUT-ROM (64 x 1 a LUT6) or block RAM."""
    # There are only 2**depth different columns of a memory, and equal ones are laid once.
    columns = min(width, 2 ** min(depth, 32) - 2)
    lutrom = Resources(lut=0 if depth <= 1 else columns * ceil(depth / 64), ff=width)
    if style in ("lutrom", "logic") or (style == "auto" and not block_is_cheaper(depth, width)):
        return lutrom
    # Depth times width in 18 kbit halves, the cheapest of the shapes.
    halves = min(ceil(depth / rows) * ceil(width / bits) for rows, bits in BRAM18_SHAPES)
    return Resources(bram36=halves / 2)


@lru_cache(maxsize=1024)
def _accumulator_bits(layer: MatMul) -> int:
    """Return the bits of a layer's accumulator; layers are told apart by identity."""
    return accumulator_shape(layer.weights, layer.i.shape).width


def _bits(shape: object) -> int:
    return 1 if is_bipolar(shape) else Shape.cast(shape).width


def layer_resources(layer: Layer, fold: Fold, family: str) -> Resources:
    """Return what one layer takes in a fold, for the family "xc7", "xcup", "ecp5", "generic"."""
    if isinstance(layer, MatMul):
        return _matmul_resources(layer, fold, family)
    if isinstance(layer, Threshold):
        return _threshold_resources(layer, fold)
    if isinstance(layer, TopK):
        bits = _bits(layer.i.shape) + ceil(log2(max(layer.i.channels, 2)))
        return Resources(lut=2 * layer.k * fold.pe * bits + 20, ff=2 * layer.k * fold.pe * bits)
    if isinstance(layer, Window):
        return _window_resources(layer, fold)
    if isinstance(layer, Depthwise):
        return _depthwise_resources(layer, fold, family)
    return _elementwise_resources(layer, fold)


def ram_resources(depth: int, width: int) -> Resources:
    """Return what a memory that is written and read takes: LUTRAM or block RAM."""
    if block_is_cheaper(depth, width, sites=4 / 3):
        return memory_resources(depth, width, "block")
    # RAM64M has 64 x 3 bits in 4 LUTs, RAM32M 32 x 6.
    lutram = (ceil(width / 6) if depth <= 32 else ceil(width / 3) * ceil(depth / 64)) * 4
    return Resources(lut=lutram, ff=width)


def _window_resources(layer: Window, fold: Fold) -> Resources:
    """Sum the ring, of a power of two, its outlet, and the counters and balances about it."""
    channels, (rows, columns) = layer.i.channels, layer.kernel
    held = (rows - 1) * layer.dilation[0] * layer.i.dims[1]
    if fold.simd <= channels:
        banks, bits = 1, fold.simd * _bits(layer.i.shape)
        depth = (held + (columns - 1) * layer.dilation[1] + 1) * (channels // fold.simd)
    else:
        # A word is a row of the kernel; rows that are seen together are in different banks.
        banks = rows if fold.simd > columns * channels else 1
        bits, depth = columns * channels * _bits(layer.i.shape), held + 1
    depth = 1 << ceil(log2(max(2, -(-depth // banks))))
    total = _outlet(fold.simd * _bits(layer.i.shape)) + Resources(
        lut=60 + 4 * ceil(log2(depth)), ff=60 + 4 * ceil(log2(depth)))
    for _ in range(banks):
        total += ram_resources(depth, bits)
    return total


def _depthwise_resources(layer: Depthwise, fold: Fold, family: str) -> Resources:
    """Sum products, accumulators of all channels, weights and comparisons."""
    rows, taps = layer.weights.shape
    groups = layer.i.channels // taps // fold.pe
    lanes = rows // groups
    low, high = range_of(layer.i.shape)
    reach = int(abs(layer.weights).sum(axis=1).max()) * max(-low, high)
    acc = shape_for(-reach, reach).width
    w_bits = _bits(layer.w_shape)
    dot = ceil(lanes * _bits(layer.i.shape) * w_bits * LUT_PER_PRODUCT[family])
    total = Resources(lut=dot + lanes * acc, ff=dot + lanes * acc)
    if groups > 1:
        total += ram_resources(groups, lanes * acc)
    total += memory_resources(groups * taps, lanes * w_bits, fold.memory)
    total += _comparison_resources(layer.thresholds, lanes, acc, groups)
    return total + _outlet(lanes * _bits(layer.o.shape))


def _elementwise_resources(layer: Layer, fold: Fold) -> Resources:
    """Sum what works on ``pe`` lanes of every beat."""
    bits, groups = _bits(layer.o.shape), layer.o.channels // fold.pe
    wide = fold.pe * bits
    total = _outlet(wide)
    if isinstance(layer, Reduce):
        # A comparison or sum of every lane, and what is reached so far of every channel.
        total += Resources(lut=2 * wide, ff=2 * wide)
        return total + (ram_resources(groups, wide) if groups > 1 else Resources())
    if isinstance(layer, Add):
        low = high = 0
        for m, stream in zip(layer.multipliers, (layer.i, *layer.more), strict=True):
            ends = [m * end for end in range_of(stream.shape)]
            low, high = low + min(ends), high + max(ends)
        acc = shape_for(low, high).width
        adders = fold.pe * acc * len(layer.multipliers)
        return total + Resources(lut=adders, ff=adders) + _comparison_resources(
            layer.thresholds, fold.pe, acc, groups)
    if isinstance(layer, Concat):
        return total + Resources(lut=wide * (len(layer.more) + 1) // 2)
    if isinstance(layer, Upsample):
        return total + ram_resources(layer.i.dims[1] * groups, wide)
    if isinstance(layer, Slice):
        return total
    raise TypeError(f"no resources known for a {layer.kind}")


def _comparison_resources(thresholds: Thresholds | None, lanes: int, acc: int,
                          groups: int) -> Resources:
    """Sum comparisons in parallel and their counts, and the memory of what is compared with."""
    if thresholds is None:
        return Resources()
    n = thresholds.steps
    rows = groups if thresholds.channels > 1 else 1
    return (Resources(lut=lanes * n * (ceil(acc / 2) + 1), ff=lanes * n)
            + memory_resources(rows, lanes * n * acc))


def _outlet(bits: int) -> Resources:
    """Return an outlet's: RAM32M, and counters, flags, credits."""
    return Resources(lut=ceil(bits / 6) * 4 + 25, ff=bits + 30)


def fork_resources(ways: int, width: int) -> Resources:
    """Return what a fork takes: two registers a bit of each output."""
    return Resources(lut=ways * (width + 4), ff=ways * (2 * width + 4))


def _matmul_resources(layer: MatMul, fold: Fold, family: str) -> Resources:
    mh, mw = layer.weights.shape
    pe, simd = fold.pe, fold.simd
    sf, nf = ceil(mw / simd), ceil(mh / pe)
    x_bits, w_bits, y_bits = _bits(layer.i.shape), _bits(layer.w_shape), _bits(layer.o.shape)
    acc = _accumulator_bits(layer)

    products = pe * simd * x_bits * w_bits
    dot = ceil(products * LUT_PER_PRODUCT[family] * (0.4 if sf * nf == 1 else 1))
    total = Resources(lut=dot, ff=dot)
    # One LUT a bit of the accumulator; none where a vector is one beat.
    total += Resources(lut=pe * acc if sf > 1 else 0, ff=pe * acc)
    total += memory_resources(sf * nf, pe * simd * w_bits, fold.memory)
    if layer.thresholds is not None:
        # The middle comparison is the accumulator's top bit; the others take two bits of it a LUT6,
        # and their count a LUT each.
        n = layer.thresholds.steps
        total += Resources(lut=pe * (n - 1) * (ceil(acc / 2) + 1), ff=pe * n)
        total += memory_resources(nf, pe * n * acc)
    if nf > 1:
        # Replay buffer: RAM32M holds 32 x 6 bits in 4 LUTs.
        total += Resources(lut=ceil(simd * x_bits / 6) * 4 * ceil(sf / 32), ff=simd * x_bits)
    # Output FIFO: RAM32M again; control: counters, flags, credits.
    return total + Resources(lut=ceil(pe * y_bits / 6) * 4 + 25, ff=pe * y_bits + 50)


def _threshold_resources(layer: Threshold, fold: Fold) -> Resources:
    n, i_bits, o_bits = layer.thresholds.steps, _bits(layer.i.shape), _bits(layer.o.shape)
    groups = ceil(layer.i.channels / fold.pe)
    control = Resources(lut=fold.pe * o_bits + 20, ff=fold.pe * o_bits + 30)
    if n > 15:
        # Binary search: one comparison and one memory a level.
        levels = n.bit_length()
        lut = fold.pe * levels * ceil(i_bits / 2)
        rows = groups if layer.thresholds.channels > 1 else 1
        search = Resources(lut=lut, ff=fold.pe * levels * (i_bits + o_bits))
        for level in range(levels):
            memory = memory_resources(rows << level, i_bits)
            for _ in range(fold.pe):
                search += memory
        return control + search
    lut = fold.pe * (n * ceil(i_bits / 2) + n - 1)
    return control + Resources(lut=lut, ff=fold.pe * n) + memory_resources(
        groups if layer.thresholds.channels > 1 else 1, fold.pe * n * i_bits)


def converter_resources(stream: Stream, i_lanes: int, o_lanes: int) -> Resources:
    """Return what the width converter between two lane counts takes; nothing if they are alike."""
    if i_lanes == o_lanes:
        return Resources()
    bits = _bits(stream.shape)
    if max(i_lanes, o_lanes) % min(i_lanes, o_lanes) == 0:
        wide = max(i_lanes, o_lanes) * bits
        return Resources(lut=wide + 15, ff=wide + 15)
    wide = (i_lanes + o_lanes) * bits
    return Resources(lut=3 * wide + 30, ff=wide + 30)


def buffer_resources(depth: int, width: int) -> Resources:
    """Return what a FIFO takes: shift-register LUTs up to 32 deep, then LUTRAM or block RAM."""
    if depth <= 2:
        return Resources(lut=width + 4, ff=2 * width + 4)
    if depth <= 64:
        return Resources(lut=width * ceil(depth / 32) + 12, ff=width + 12)
    memory = memory_resources(depth, width, "block")
    return memory + Resources(lut=30, ff=30 + width)
