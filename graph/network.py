"""Network: a model in integers, from the host's head through the layers to the host's tail."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from amaranth.lib.wiring import Component

from quinnoa.errors import QuinnoaError
from quinnoa.rtl.families import GENERIC, Family

from .constants import Finding
from .encoding import Encoding, InputType
from .layers import Layer
from .read import Port
from .segment import Segment

if TYPE_CHECKING:
    from .fold import Budget

__all__ = ["Head", "Network", "Sum", "Tail", "Tap"]

CHUNK = 1024                             # frames that go through at a time


@dataclass(frozen=True, eq=False)
class Head:
    """Host, in front: from the model's input to the integers of the first layer.

    With ``segment`` the file's own nodes, up to the first quantizer; without, the input already is
    integers of ``encoding``'s limits.
    """

    port: Port
    encoding: Encoding
    segment: Segment | None = None
    raw: bool = False

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the codes (frames, elements)."""
        flat = x.reshape(len(x), int(np.prod(x.shape[1:])))
        if not np.isfinite(flat).all():
            raise QuinnoaError(f"input {self.port.name} has {int((~np.isfinite(flat)).sum())} "
                               "values that are infinite or NaN")
        if self.segment is None:
            codes = flat.astype(np.int64)
            self._check_codes(flat, codes)
            return codes
        return self.encoding.codes(self.segment(flat))

    def _check_codes(self, flat: np.ndarray, codes: np.ndarray) -> None:
        low, high = self.encoding.low, self.encoding.high
        wrong = (flat < low) | (flat > high) | (codes != flat)
        if self.encoding.bipolar:
            wrong |= codes == 0
        if wrong.any():
            what = "-1 and +1" if self.encoding.bipolar else f"integers in [{low}, {high}]"
            raise QuinnoaError(f"input {self.port.name} takes {what}: {flat[wrong][0]} is among "
                               "the values given")


@dataclass(frozen=True, eq=False)
class Tail:
    """Host, behind: from the integers of the last layer to what the file gives.

    ``order`` says which element of the stream each element of the tensor is. Without ``segment``
    the integers are the result: indices.
    """

    encoding: Encoding | None = None
    order: np.ndarray | None = None
    segment: Segment | None = None

    def __call__(self, y: np.ndarray) -> np.ndarray:
        """Return the outputs for integers (frames, elements)."""
        if self.segment is None or self.encoding is None:
            return y.astype(np.int64)
        return self.segment.run(self.encoding.values(y[:, self.order], self.segment.dtype))


@dataclass(frozen=True, eq=False)
class Tap:
    """Where the codes of a tensor are: behind the first ``position`` layers.

    ``tensor`` is the output of an activation quantizer, ``target`` what stands behind its scales.
    """

    tensor: str
    target: str
    position: int
    encoding: Encoding
    order: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Sum:
    """What the accumulators of the layer at ``position`` mean: the values of a tensor."""

    tensor: str
    position: int
    encoding: Encoding


@dataclass(frozen=True, eq=False)
class Network:
    """A model in integers.

    Attributes
    ----------
    name : str
        A safe identifier, made of the file's name.
    model : str
        The file's name.
    source : bytes
        The model as ONNX.
    head : Head
    layers : tuple of Layer
        The hardware, in order.
    tail : Tail
    findings : tuple of Finding
        What became of every node of the file.
    taps : tuple of Tap
        Where the activation quantizers are.
    sums : tuple of Sum
        Where the products are.
    input : InputType or None
        The type of raw integers, if those enter.
    top : int or None
        How many indices end the hardware, if they do.
    """

    name: str
    model: str
    source: bytes
    head: Head
    layers: tuple[Layer, ...]
    tail: Tail
    findings: tuple[Finding, ...] = ()
    taps: tuple[Tap, ...] = ()
    sums: tuple[Sum, ...] = ()
    input: InputType | None = None
    top: int | None = None

    def run(self, x: np.ndarray) -> np.ndarray:
        """Return what the file returns for ``x``: the model's input, of any batch.

        With an ``input`` type ``x`` is raw integers; with ``top`` the result is int64 indices.
        Raises ``QuinnoaError`` where ``x`` is not what the model takes.
        """
        x = self._checked(x)
        if not len(x):
            return self.decode(np.zeros((0, self.layers[-1].o.channels), np.int64))
        return np.concatenate([self.decode(self._integers(self.head(part)))
                               for part in _chunks(x)])

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return the integers that enter the first layer, (frames, elements)."""
        x = self._checked(x)
        parts = [self.head(part) for part in _chunks(x)]
        return np.concatenate(parts) if parts else np.zeros((0, self.layers[0].i.channels),
                                                            np.int64)

    def run_integers(self, codes: np.ndarray) -> np.ndarray:
        """Return the integers that leave the last layer for those that enter the first."""
        codes = np.asarray(codes)
        codes = codes.reshape(len(codes), -1)
        parts = [self._integers(part) for part in _chunks(codes)]
        return np.concatenate(parts) if parts else np.zeros((0, self.layers[-1].o.channels),
                                                            np.int64)

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return what the file returns, from the integers that leave the last layer."""
        return self.tail(np.asarray(y).reshape(len(y), self.layers[-1].o.channels))

    def activations(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the codes (frames, elements) of every activation quantizer's output tensor."""
        codes = self.encode(x)
        result = {}
        for position in range(len(self.layers) + 1):
            for tap in self.taps:
                if tap.position == position:
                    result[tap.tensor] = codes if tap.order is None else codes[:, tap.order]
            if position < len(self.layers):
                codes = self.layers[position].model(codes)
        return result

    def fold(self, *, fps: float | None = None, file: Path | str | None = None,
             budget: "Budget | None" = None, clock_mhz: float = 100.0,
             family: str = "xc7") -> "Network":
        """Return the same, folded: as a ``fold.toml`` says, for a rate, or to fill a budget.

        With ``fps`` the cheapest folds that reach it at ``clock_mhz``; with a ``budget`` alone the
        fastest that fit it.
        """
        from .fold import DEFAULT_BUDGET, fold_for_fps, fold_from_file, fold_to_fit
        if file is not None:
            return fold_from_file(self, Path(file))
        if fps is not None:
            return fold_for_fps(self, fps, clock_mhz, family=family,
                                budget=budget or DEFAULT_BUDGET)
        return fold_to_fit(self, budget or DEFAULT_BUDGET, family=family)

    def build(self, *, family: Family = GENERIC) -> Component:
        """Return the accelerator: one Amaranth component with streams ``i`` and ``o``."""
        from .build import build
        return build(self, family=family)[0]

    def with_layers(self, layers: Sequence[Layer]) -> "Network":
        """Return the same with other layers, such as folded ones."""
        return replace(self, layers=tuple(layers))

    def renamed(self, name: str) -> "Network":
        """Return the same by another name."""
        return replace(self, name=name)

    def _integers(self, codes: np.ndarray) -> np.ndarray:
        for layer in self.layers:
            codes = layer.model(codes)
        return codes

    def _checked(self, x: np.ndarray) -> np.ndarray:
        port, x = self.head.port, np.asarray(x)
        dims = ", ".join(str(d) for d in port.dims[1:])
        if x.ndim != len(port.dims) or x.shape[1:] != port.dims[1:]:
            raise QuinnoaError(f"input {port.name} takes arrays of shape (frames, {dims}): "
                               f"{x.shape} is given")
        if self.head.raw and x.dtype.kind not in "iu":
            raise QuinnoaError(f"input {port.name} takes raw integers: {x.dtype} is given")
        if self.head.raw:
            return x
        # Pixels of uint8 may stand for floats: what float32 holds exactly is taken.
        if not np.can_cast(x.dtype, port.dtype):
            raise QuinnoaError(f"input {port.name} takes {port.dtype}: {x.dtype} is given")
        return x.astype(port.dtype, copy=False)


def _chunks(x: np.ndarray) -> list[np.ndarray]:
    return [x[k:k + CHUNK] for k in range(0, len(x), CHUNK)]
