"""FINN's own cost model: the cycles, LUTs and block RAMs that its code estimates for a network.

The formulas are those of FINN's ``get_exp_cycles``, ``lut_estimation`` and ``bram_estimation``
(v0.10), which go back to FINN-R (Blott et al., 2018), and its ``SetFolding``. They are for
comparison: nothing here decides what is built. As there, FIFOs, width converters, forks, pools and
what else has no estimate count 0 LUTs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import ceil, log2, prod
from typing import Any

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.errors import FoldError
from quinnoa.rtl.shapes import is_bipolar, range_of

from .lanes import axes
from .layers import Depthwise, Fold, Layer, MatMul, Reduce, Threshold, TopK, Window
from .network import Network
from .products import accumulator_limits

__all__ = ["FinnCost", "finn_accumulator_bits", "finn_cost", "finn_folds"]

WEIGHT_BITS = 36                         # SetFolding: of a row's weights side by side, at most


@dataclass(frozen=True)
class FinnCost:
    """What FINN's model says of one layer: cycles a frame, LUTs, block RAMs of 18 kbit."""

    name: str
    cycles: int
    lut: int = 0
    bram18: int = 0
    accumulator_bits: int | None = None


def finn_cost(network: Network) -> tuple[FinnCost, ...]:
    """Return FINN's figures for every layer, in its fold; weights live where the fold says.

    "logic" and "lutrom" are FINN's "distributed", the others its "block". Maxima over windows side
    by side are its ``StreamingMaxPool``: the window counts nothing, and the pool takes a pixel a
    cycle, whatever its fold.
    """
    readers, pools = _readers(network), _streaming_pools(network)
    windows = {window.name for window in pools.values()}
    return tuple(
        FinnCost(layer.name, 0) if layer.name in windows else
        # H * W * (1 + 1 / k^2)
        FinnCost(layer.name, pools[layer.name].i.vectors + layer.o.vectors)
        if layer.name in pools else
        _cost(layer, readers.get(layer.name), layer is network.layers[-1])
        for layer in network.layers)


def _readers(network: Network) -> dict[str, Layer]:
    """Return for every layer one that it feeds."""
    return {name: layer for layer, names in zip(network.layers, network.feeds, strict=True)
            for name in names}


def _streaming_pools(network: Network) -> dict[str, Window]:
    """Return the windows of the pools that FINN takes for a ``StreamingMaxPool``, by pool."""
    readers = _readers(network)
    pairs = [(readers.get(layer.name), layer) for layer in network.layers
             if isinstance(layer, Window) and layer.kernel == layer.stride and not any(layer.pads)
             and layer.i.vectors == layer.o.vectors * prod(layer.kernel)]
    return {pool.name: window for pool, window in pairs
            if isinstance(pool, Reduce) and pool.op == "max"}


def _cost(layer: Layer, reader: Layer | None, last: bool) -> FinnCost:
    if isinstance(layer, MatMul | Depthwise):
        return _product(layer, last)
    if isinstance(layer, Window):
        return _window(layer, isinstance(reader, Depthwise | Reduce))
    pe = layer.fold.pe
    if isinstance(layer, Reduce):
        # (C * k^2) / PE * O^2
        return FinnCost(layer.name, prod(layer.i.dims) // pe)
    if isinstance(layer, Threshold):
        # Comparators A * PE; thresholds in LUT RAM of 64 words where a lane has more than one.
        words = ceil(layer.i.channels / pe)
        bits = Shape.cast(layer.i.shape).width * pe
        return FinnCost(layer.name, words * layer.i.vectors,
                        bits + (bits * ceil(words / 64) if words > 1 else 0))
    if isinstance(layer, TopK):
        return FinnCost(layer.name, ceil(layer.i.channels / pe))
    return FinnCost(layer.name, prod(layer.o.dims) // pe)


def finn_accumulator_bits(weights: np.ndarray, x_shape: Shape | ShapeCastable,
                          w_shape: Shape | ShapeCastable) -> int:
    """Return the accumulator's bits by the actual weights.

    Bipolar weights times bipolar inputs are taken for inputs of 0 and 1, as FINN's
    ``minimize_accumulator_width`` does.
    """
    low, high = range_of(x_shape)
    if is_bipolar(x_shape) and is_bipolar(w_shape):
        low = 0
    lows, highs = accumulator_limits(weights, low, high)
    least, most = int(lows.min()), int(highs.max())
    if least >= 0:
        return max(1, most.bit_length())
    # ceil(log2(max(-min, 1 + max))) + 1
    return (max(-least, 1 + most) - 1).bit_length() + 1


def _product(layer: MatMul | Depthwise, last: bool) -> FinnCost:
    """Return the figures of ``MVAU_hls``, or of ``VVAU_hls``."""
    mh, mw = layer.weights.shape
    w, a = Shape.cast(layer.w_shape).width, Shape.cast(layer.i.shape).width
    pe, simd = layer.fold.pe, layer.fold.simd
    if isinstance(layer, Depthwise):
        # All kernels of a channel side by side, a tap a cycle.
        pe, simd = pe * (mh * mw // layer.i.channels), 1
    words = ceil(mh / pe) * ceil(mw / simd)
    accumulator = finn_accumulator_bits(layer.weights, layer.i.shape, layer.w_shape)
    if last and layer.thresholds is None:
        accumulator = 8 * ceil(accumulator / 8)
    xnor = is_bipolar(layer.i.shape) and is_bipolar(layer.w_shape)
    signed = not xnor and range_of(layer.i.shape)[0] < 0
    # alpha = log2 MW + W + A - 1 - signed(A); bits = ceil(alpha + log2(1 + 2^-alpha) + 1)
    alpha = log2(mw) + w + a - 1 - signed
    bits = min(accumulator, ceil(alpha + log2(1 + 2 ** -alpha) + 1))
    # mult = SIMD * (2 * ceil((W + A) / 6) - 1) * (W + A); adder = (W + A) * (2 * SIMD - 1)
    mult = simd * (2 * ceil((w + a) / 6) - 1) * (w + a)
    adder = (w + a) * (2 * simd - 1)
    steps = 0.0
    if isinstance(layer, Depthwise) and layer.thresholds is not None:
        # thr = (2^B - 1) * acc * tmem / 64; cmp = (2^B - 1) * acc: of an MVAU they are in LUT RAM
        # only where asked.
        levels = 2 ** Shape.cast(layer.o.shape).width - 1
        steps = levels * bits * ceil(mh / pe) / 64 + levels * bits
    spread = layer.fold.memory in ("logic", "lutrom")
    c2 = pe * simd * w * ceil(words / 64) if spread else 0
    return FinnCost(
        layer.name, words * layer.i.vectors,
        int(300 + 1.1 * (pe * (mult + adder + bits + steps)) + c2),
        0 if spread else _weight_bram18(words, pe * simd * w), accumulator)


def _weight_bram18(words: int, width: int) -> int:
    """Return the block RAMs of so many words of weights; the order of the cases is FINN's."""
    if width == 1:
        return ceil(words / 16384)
    if width == 2:
        return ceil(words / 8192)
    if width <= 4:
        return ceil(words / 4096) * ceil(width / 4)
    if width <= 9:
        return ceil(words / 2048) * ceil(width / 9)
    if width <= 18 or words > 512:
        return ceil(words / 1024) * ceil(width / 18)
    return ceil(words / 512) * ceil(width / 36)


def _window(layer: Window, depthwise: bool) -> FinnCost:
    """Return the figures of ``ConvolutionInputGenerator_rtl``, ``FMPadding`` before it."""
    (height, width, channels), (top, left, bottom, right) = layer.i.dims, layer.pads
    (kh, kw), (sh, sw), (dh, dw) = layer.kernel, layer.stride, layer.dilation
    oh, ow = layer.o.dims[:2]
    height, width = height + top + bottom, width + left + right
    parallel, simd = layer.fold.simd > channels, min(layer.fold.simd, channels)
    cf = channels // simd
    bits = simd * Shape.cast(layer.i.shape).width
    if parallel:
        cycles = height * width * cf + 2
        line = width - ((kw - 1) * dw + 1) + width * (dh - 1)
        bram18 = 0 if 1 in (height, width) else (kh - 1) * _line_bram18(line, bits)
    else:
        least = ((kh - 1) * dh * width + (kw - 1) * dw + 1) * cf
        if 1 in (height, width):
            cycles = oh * ow * kh * kw * cf + 2
            if depthwise:
                cycles += (kh * kw - 1) * (cf * (sh * sw - 1) - 1)
        else:
            # buf + OH * max(OW * kh * kw * cf, sw * W * cf)
            line = max(ow * kh * kw * cf, sw * width * cf)
            line += ow * (sw - 1) * (cf - 1) if depthwise else 0
            cycles = least + oh * line + ((sh - 1) * width * cf if depthwise else 0)
        # Room to load ahead where windows are more than a pixel apart.
        ahead = max(0, (sw - 1 - kh * kw) * cf) + max(0, ((sh - 1) * width - kh * kw) * cf)
        bram18 = _line_bram18(least + ahead, bits)
    if any(layer.pads):
        cycles = max(cycles, cf * height * width)
    return FinnCost(layer.name, cycles, 300, bram18)


def _line_bram18(depth: int, width: int) -> int:
    """Return the block RAMs of a ring buffer, the last of which may be shallower."""
    def lanes(words: int) -> int:
        return next((bits for most, bits in ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2))
                     if words <= most), 1)

    side_by_side = ceil(width / lanes(depth))
    saved = side_by_side - ceil(width / lanes(depth % 16384)) if depth > 16384 else 0
    return ceil(depth / 16384) * side_by_side - saved


def finn_folds(network: Network, fps: float, clock_mhz: float) -> Network:
    """Return the network in the folds that FINN's ``SetFolding`` chooses for ``fps`` frames/s.

    Every layer by itself, SIMD first, until it needs less than ``int(clock / fps)`` cycles. Where
    some layer cannot, all once more for what the slowest needs. Raises ``FoldError`` where no cycle
    is left.
    """
    target = int(clock_mhz * 1e6 / fps)
    if target < 1:
        raise FoldError(f"{fps:g} frames/s at {clock_mhz:g} MHz leave less than one cycle a frame")
    folded = _folds_for(network, target)
    slowest = max(cost.cycles for cost in finn_cost(folded))
    return folded if slowest <= target else _folds_for(network, slowest)


def _folds_for(network: Network, target: int) -> Network:
    readers, pools = _readers(network), _streaming_pools(network)
    folded: dict[str, Layer] = {}
    for layer in network.layers:
        reader = readers.get(layer.name)
        last = layer is network.layers[-1]

        def cycles(fold: Fold, layer: Layer = layer, reader: Layer | None = reader,
                   last: bool = last) -> int:
            return _cost(layer.folded(fold), reader, last).cycles

        folded[layer.name] = layer.folded(_fold_for(layer, cycles, target))
        if layer.name in pools:
            # A StreamingMaxPool does not fold.
            folded[layer.name] = layer.folded(replace(layer.fold, pe=layer.o.channels))
    for layer in network.layers:
        reader = readers.get(layer.name)
        if isinstance(layer, Window) and isinstance(reader, Depthwise | Reduce):
            # A depthwise window has the lanes of what it feeds.
            folded[layer.name] = layer.folded(replace(layer.fold, simd=folded[reader.name].fold.pe))
    return network.with_layers([folded[layer.name] for layer in network.layers])


def _fold_for(layer: Layer, cycles: Callable[[Fold], int], target: int) -> Fold:
    """Return the fold that ``SetFolding`` gives one layer."""
    sizes = {axis.key: axis for axis in axes(layer)}
    fold = replace(layer.fold, pe=1, simd=1, pad=False)
    if isinstance(layer, MatMul):
        bits = Shape.cast(layer.w_shape).width
        for simd in _divisors(sizes["simd"].size):
            # Too wide a weight stream: one step back.
            if cycles(replace(fold, simd=simd)) >= target and bits * simd > WEIGHT_BITS:
                break
            fold = replace(fold, simd=simd)
            if cycles(fold) < target:
                break
    if isinstance(layer, Window):
        fold = _first(fold, "simd", layer.i.channels, cycles, target)
        if fold.simd == layer.i.channels and cycles(fold) > target:
            return replace(fold, simd=prod(layer.kernel) * layer.i.channels)
        return fold
    return _first(fold, "pe", sizes["pe"].size, cycles, target)


def _first(fold: Fold, key: str, size: int, cycles: Callable[[Fold], int], target: int) -> Fold:
    """Return the fold of the first divisor of ``size`` that is fast enough, or of the last."""
    values: dict[str, Any] = {key: 1}
    for value in _divisors(size):
        values = {key: value}
        if cycles(replace(fold, **values)) < target:
            break
    return replace(fold, **values)


def _divisors(number: int) -> Iterator[int]:
    return (d for d in range(1, number + 1) if number % d == 0)
