"""Layer records: what a network is made of once it is in integers, one frozen record a kind."""

from dataclasses import dataclass, field, replace
from math import prod
from typing import ClassVar

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.matvec import matvec
from quinnoa.rtl.thresholds import Thresholds

__all__ = ["Add", "Concat", "Depthwise", "Fold", "Layer", "MatMul", "Reduce", "Slice", "Stream",
           "Threshold", "TopK", "Upsample", "Window"]


@dataclass(frozen=True)
class Stream:
    """What flows between two layers: a tensor a frame, channels last, of integers of one shape.

    Parameters
    ----------
    dims : tuple of int
        (C,) or (H, W, C).
    shape : Shape or BIPOLAR
        Shape of one element.
    """

    dims: tuple[int, ...]
    shape: Shape | ShapeCastable

    @property
    def channels(self) -> int:
        """C: elements of one vector."""
        return self.dims[-1]

    @property
    def vectors(self) -> int:
        """Vectors (pixels) a frame."""
        return prod(self.dims[:-1])


@dataclass(frozen=True)
class Fold:
    """How a layer is folded in time, and where its weights live.

    ``pe`` rows or channels side by side, ``simd`` columns side by side; ``memory`` is "auto",
    "logic", "lutrom" or "block"; ``pad`` lets PE and SIMD not divide: the matrix is padded.
    ``steps`` says how thresholds are compared: "auto", "parallel" or "search".
    """

    pe: int = 1
    simd: int = 1
    memory: str = "auto"
    pad: bool = False
    steps: str = "auto"


@dataclass(frozen=True, eq=False)
class Layer:
    """Common to all kinds: a name by kind and position, its streams, its fold.

    Attributes
    ----------
    i, o : Stream
        What it takes (of several, the first) and what it gives.
    more : tuple of Stream
        What else it takes.
    feeds : tuple of str, or None
        Names of the layers that give ``i`` and ``more``; "" is the network's input. None: the layer
        before it in the network's order.
    source : str
        The ONNX nodes it came from, for people.
    pixels : int
        Neighbouring pixels of a row that enter at once, as one of more channels: see ``pixels.py``.
    """

    name: str
    i: Stream
    o: Stream
    fold: Fold = field(default_factory=Fold)
    source: str = ""
    more: tuple[Stream, ...] = ()
    feeds: tuple[str, ...] | None = None
    pixels: int = field(kw_only=True, default=1)

    kind: ClassVar[str] = ""

    def folded(self, fold: Fold) -> "Layer":
        """Return the same layer, folded so."""
        return replace(self, fold=fold)

    def model(self, *x: np.ndarray) -> np.ndarray:
        """Compute the layer: integers ``(frames, *i.dims)`` to ``(frames, *o.dims)``."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class MatMul(Layer):
    """``o = thresholds(weights @ i)``, or the accumulators where there are no thresholds.

    ``weights`` is (MH, MW) of int; ``w_shape`` the shape of one weight (BIPOLAR for -1/+1).
    """

    kind: ClassVar[str] = "mvtu"

    weights: np.ndarray = field(kw_only=True)
    w_shape: Shape | ShapeCastable = field(kw_only=True)
    thresholds: Thresholds | None = field(kw_only=True, default=None)

    def model(self, *x: np.ndarray) -> np.ndarray:
        acc = matvec(self.weights, x[0])
        return acc if self.thresholds is None else self.thresholds.model(acc)


@dataclass(frozen=True, eq=False)
class Threshold(Layer):
    """``o = thresholds(i)``, on its own."""

    kind: ClassVar[str] = "threshold"

    thresholds: Thresholds = field(kw_only=True)

    def model(self, *x: np.ndarray) -> np.ndarray:
        return self.thresholds.model(x[0])


@dataclass(frozen=True, eq=False)
class TopK(Layer):
    """The indices of the ``k`` greatest elements, greatest first; of equals the first."""

    kind: ClassVar[str] = "topk"

    k: int = field(kw_only=True, default=1)

    def model(self, *x: np.ndarray) -> np.ndarray:
        return np.argsort(-np.asarray(x[0], np.int64), axis=-1, kind="stable")[..., :self.k]


@dataclass(frozen=True, eq=False)
class Window(Layer):
    """Sliding window: for every output pixel the kernel's pixels, (ky, kx, c) with c fastest.

    ``i.dims`` is (H, W, C), ``o.dims`` (OH, OW, KH * KW * C). Where the kernel reaches past an edge
    by ``pads`` (top, left, bottom, right) it sees ``pad_value``. Folds by ``simd``: lanes on both
    sides, a divisor of C.
    """

    kind: ClassVar[str] = "swu"

    kernel: tuple[int, int] = field(kw_only=True)
    stride: tuple[int, int] = field(kw_only=True, default=(1, 1))
    dilation: tuple[int, int] = field(kw_only=True, default=(1, 1))
    pads: tuple[int, int, int, int] = field(kw_only=True, default=(0, 0, 0, 0))
    pad_value: int = field(kw_only=True, default=0)

    def model(self, *x: np.ndarray) -> np.ndarray:
        top, left, bottom, right = self.pads
        padded = np.pad(x[0], ((0, 0), (top, bottom), (left, right), (0, 0)),
                        constant_values=self.pad_value)
        (oh, ow, _), (sy, sx), (dy, dx) = self.o.dims, self.stride, self.dilation
        parts = [padded[:, ky * dy:ky * dy + (oh - 1) * sy + 1:sy,
                        kx * dx:kx * dx + (ow - 1) * sx + 1:sx]
                 for ky in range(self.kernel[0]) for kx in range(self.kernel[1])]
        return np.concatenate(parts, axis=-1)


@dataclass(frozen=True, eq=False)
class Depthwise(Layer):
    """Depthwise product: channel c of every window meets its own kernels alone.

    ``i.dims`` is (OH, OW, K * C) as a ``Window`` gives it; ``weights`` (C * M, K), row c * M + j is
    the j-th kernel of channel c; ``o.dims`` (OH, OW, C * M). Folds by ``pe``: input channels side
    by side, a divisor of C.
    """

    kind: ClassVar[str] = "vvtu"

    weights: np.ndarray = field(kw_only=True)
    w_shape: Shape | ShapeCastable = field(kw_only=True)
    thresholds: Thresholds | None = field(kw_only=True, default=None)

    def model(self, *x: np.ndarray) -> np.ndarray:
        rows, k = self.weights.shape
        channels = self.i.channels // k
        windows = np.asarray(x[0], np.int64).reshape(*x[0].shape[:-1], k, channels)
        kernels = self.weights.astype(np.int64).reshape(channels, rows // channels, k)
        acc = np.einsum("...kc,cmk->...cm", windows, kernels).reshape(*x[0].shape[:-1], rows)
        return acc if self.thresholds is None else self.thresholds.model(acc)


@dataclass(frozen=True, eq=False)
class Reduce(Layer):
    """Pooling: of every run of ``vectors`` vectors of C channels each channel's greatest, or sum.

    ``op`` is "max" or "sum". ``i`` holds ``vectors`` times as many elements as ``o``, whose last
    dimension is C: the windows of a ``Window``, or a whole image for a global pooling. Folds by
    ``pe``: lanes on both sides, a divisor of C.
    """

    kind: ClassVar[str] = "pool"

    op: str = field(kw_only=True)
    vectors: int = field(kw_only=True)

    def model(self, *x: np.ndarray) -> np.ndarray:
        runs = np.asarray(x[0]).reshape(len(x[0]), -1, self.vectors, self.o.channels)
        y = runs.max(axis=2) if self.op == "max" else runs.sum(axis=2, dtype=np.int64)
        return y.reshape(len(x[0]), *self.o.dims)


@dataclass(frozen=True, eq=False)
class Add(Layer):
    """``o = thresholds(sum_k multipliers[k] * x[k])``, or the sums where there are no thresholds.

    All inputs have the same dims. Folds by ``pe``: lanes, a divisor of C.
    """

    kind: ClassVar[str] = "add"

    multipliers: tuple[int, ...] = field(kw_only=True)
    thresholds: Thresholds | None = field(kw_only=True, default=None)

    def model(self, *x: np.ndarray) -> np.ndarray:
        acc = np.zeros(x[0].shape, np.int64)
        for multiplier, each in zip(self.multipliers, x, strict=True):
            acc += multiplier * np.asarray(each, np.int64)
        return acc if self.thresholds is None else self.thresholds.model(acc)


@dataclass(frozen=True, eq=False)
class Concat(Layer):
    """The channels of all inputs behind one another, pixel by pixel; all of one shape.

    Folds by ``pe``: lanes on all sides, a divisor of every input's channels.
    """

    kind: ClassVar[str] = "concat"

    def model(self, *x: np.ndarray) -> np.ndarray:
        return np.concatenate(x, axis=-1)


@dataclass(frozen=True, eq=False)
class Slice(Layer):
    """The channels from ``start`` up to ``start + o.channels`` of every pixel.

    Folds by ``pe``: lanes, a divisor of ``start``, of ``o.channels`` and of C.
    """

    kind: ClassVar[str] = "slice"

    start: int = field(kw_only=True)

    def model(self, *x: np.ndarray) -> np.ndarray:
        return x[0][..., self.start:self.start + self.o.channels]


@dataclass(frozen=True, eq=False)
class Upsample(Layer):
    """Nearest neighbour: every pixel ``factor`` = (rows, columns) times.

    Folds by ``pe``: lanes, a divisor of C.
    """

    kind: ClassVar[str] = "upsample"

    factor: tuple[int, int] = field(kw_only=True)

    def model(self, *x: np.ndarray) -> np.ndarray:
        return x[0].repeat(self.factor[0], axis=1).repeat(self.factor[1], axis=2)
