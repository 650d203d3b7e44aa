"""Lanes: what the layers of each kind fold by, and the lanes and cycles that a fold gives."""

from math import ceil, gcd, prod
from typing import NamedTuple

from .layers import (
    Concat,
    Depthwise,
    Fold,
    Layer,
    MatMul,
    Reduce,
    Slice,
    Threshold,
    TopK,
    Upsample,
    Window,
)

__all__ = ["Axis", "axes", "cycles", "fastest", "i_lanes", "o_lanes"]


class Axis(NamedTuple):
    """One number of a fold: ``key`` says how many of the ``size`` things ``what`` go side by side.

    ``pads`` tells whether ``size`` may be padded where the number does not divide it; ``more`` are
    numbers beyond ``size`` that will do too.
    """

    key: str
    what: str
    size: int
    pads: bool = False
    more: tuple[int, ...] = ()

    @property
    def choices(self) -> list[int]:
        """All numbers that need no padding, ascending."""
        return [d for d in range(1, self.size + 1) if self.size % d == 0] + list(self.more)


def axes(layer: Layer) -> tuple[Axis, ...]:
    """Return what a layer folds by."""
    channels = layer.i.channels
    if isinstance(layer, MatMul):
        mh, mw = layer.weights.shape
        return Axis("pe", "MH", mh, True), Axis("simd", "MW", mw, True)
    if isinstance(layer, Window):
        # Beyond a pixel: a row of the kernel a cycle, or all of it.
        rows, columns = layer.kernel
        wide = sorted({columns * channels, rows * columns * channels} - {channels})
        return (Axis("simd", "C", channels, more=tuple(wide)),)
    if isinstance(layer, Depthwise):
        return (Axis("pe", "C", channels // layer.weights.shape[1]),)
    if isinstance(layer, Reduce):
        return (Axis("pe", "C", layer.o.channels),)
    if isinstance(layer, Concat):
        common = gcd(channels, *(stream.channels for stream in layer.more))
        return (Axis("pe", "the common divisor of the channels", common),)
    if isinstance(layer, Slice):
        common = gcd(channels, layer.start, layer.o.channels)
        return (Axis("pe", "the common divisor of the channels", common),)
    return (Axis("pe", "channels", channels, isinstance(layer, Threshold | TopK)),)


def i_lanes(layer: Layer, fold: Fold | None = None) -> int:
    """Return the lanes of the streams that a layer takes."""
    fold = fold or layer.fold
    if isinstance(layer, Window):
        return min(fold.simd, layer.i.channels)
    return fold.simd if isinstance(layer, MatMul) else fold.pe


def o_lanes(layer: Layer, fold: Fold | None = None) -> int:
    """Return the lanes of the stream that a layer gives."""
    fold = fold or layer.fold
    if isinstance(layer, TopK):
        return layer.k
    if isinstance(layer, Window):
        return fold.simd
    if isinstance(layer, Depthwise):
        return fold.pe * (layer.o.channels * layer.weights.shape[1] // layer.i.channels)
    return fold.pe


def cycles(layer: Layer, fold: Fold | None = None) -> int:
    """Return the folding bound of a layer: cycles a frame."""
    fold = fold or layer.fold
    if isinstance(layer, MatMul):
        # (MH / PE) * (MW / SIMD) cycles a vector
        mh, mw = layer.weights.shape
        return ceil(mh / fold.pe) * ceil(mw / fold.simd) * layer.i.vectors
    if isinstance(layer, Window):
        return max(prod(layer.i.dims) // i_lanes(layer, fold), prod(layer.o.dims) // fold.simd)
    if isinstance(layer, Upsample | Concat):
        return prod(layer.o.dims) // fold.pe
    return ceil(layer.i.channels / fold.pe) * layer.i.vectors


def fastest(layer: Layer) -> Fold:
    """Return a layer's fold of the most things side by side."""
    most = {axis.key: axis.choices[-1] for axis in axes(layer)}
    return Fold(pe=most.get("pe", 1), simd=most.get("simd", 1))
