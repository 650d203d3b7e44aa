"""Layer records: what a network is made of once it is in integers, one frozen record a kind."""

from dataclasses import dataclass, field, replace
from math import prod
from typing import ClassVar

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.matvec import matvec
from quinnoa.rtl.thresholds import Thresholds

__all__ = ["Fold", "Layer", "MatMul", "Stream", "Threshold", "TopK"]


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
    """

    pe: int = 1
    simd: int = 1
    memory: str = "auto"
    pad: bool = False


@dataclass(frozen=True, eq=False)
class Layer:
    """Common to all kinds: a name by kind and position, its streams, its fold."""

    name: str
    i: Stream
    o: Stream
    fold: Fold = field(default_factory=Fold)
    source: str = ""                     # the ONNX nodes it came from, for people

    kind: ClassVar[str] = ""

    def folded(self, fold: Fold) -> "Layer":
        """Return the same layer, folded so."""
        return replace(self, fold=fold)

    def model(self, x: np.ndarray) -> np.ndarray:
        """Compute what the layer computes: integers (..., C) to integers."""
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

    def model(self, x: np.ndarray) -> np.ndarray:
        acc = matvec(self.weights, x)
        return acc if self.thresholds is None else self.thresholds.model(acc)


@dataclass(frozen=True, eq=False)
class Threshold(Layer):
    """``o = thresholds(i)``, on its own."""

    kind: ClassVar[str] = "threshold"

    thresholds: Thresholds = field(kw_only=True)

    def model(self, x: np.ndarray) -> np.ndarray:
        return self.thresholds.model(x)


@dataclass(frozen=True, eq=False)
class TopK(Layer):
    """The indices of the ``k`` greatest elements, greatest first; of equals the first."""

    kind: ClassVar[str] = "topk"

    k: int = field(kw_only=True, default=1)

    def model(self, x: np.ndarray) -> np.ndarray:
        return np.argsort(-np.asarray(x, np.int64), axis=-1, kind="stable")[..., :self.k]
