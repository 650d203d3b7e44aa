"""Network: a model in integers, from the host's head through the layers to the host's tail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from amaranth.lib.wiring import Component

from quinnoa.errors import QuinnoaError
from quinnoa.rtl.families import GENERIC, Family
from quinnoa.rtl.shapes import range_of

from .constants import Finding
from .encoding import Encoding, InputType
from .layers import Layer, Stream
from .read import Port
from .segment import Segment

if TYPE_CHECKING:
    from .fold import Budget

__all__ = ["Head", "Network", "Sum", "Tail", "Tap", "arranged", "narrow"]

CHUNK = 1024                             # frames that go through at a time, at most
ELEMENTS = 2 ** 24                       # of one layer's input or output, for all those frames


@dataclass(frozen=True, eq=False)
class Head:
    """Host, in front: from the model's input to the integers of the first layer.

    With ``segment`` the file's own nodes, up to the first quantizer; without, the input already is
    integers of ``encoding``'s limits. ``order`` says which element of the stream each element of
    the tensor is; None, the same. ``channels`` are the stream's.
    """

    port: Port
    encoding: Encoding
    segment: Segment | None = None
    raw: bool = False
    order: np.ndarray | None = None
    channels: int = 1

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return the codes (frames, elements), in the stream's order."""
        flat = x.reshape(len(x), int(np.prod(x.shape[1:])))
        if not np.isfinite(flat).all():
            raise QuinnoaError(f"input {self.port.name} has {int((~np.isfinite(flat)).sum())} "
                               "values that are infinite or NaN")
        if self.segment is None:
            codes = flat.astype(np.int64)
            self._check_codes(flat, codes)
            return arranged(codes, self.order)
        values = arranged(self.segment(flat), self.order)
        codes = self.encoding.codes(values.reshape(len(x), -1, self.channels))
        return codes.reshape(len(x), -1)

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
        """Return the outputs for integers (frames, vectors, channels)."""
        if self.segment is None or self.encoding is None or self.order is None:
            return y.reshape(len(y), y.shape[-1]).astype(np.int64)
        values = self.encoding.values(y, self.segment.dtype)
        return self.segment.run(values.reshape(len(y), len(self.order))[:, self.order])


@dataclass(frozen=True, eq=False)
class Tap:
    """Where the codes of a tensor are: behind ``layer``; "" is the network's input.

    ``tensor`` is the output of an activation quantizer, ``target`` what stands behind its scales.
    ``order`` says which element of the stream each element of the tensor is.
    """

    tensor: str
    target: str
    layer: str
    encoding: Encoding
    order: np.ndarray


@dataclass(frozen=True, eq=False)
class Sum:
    """What the sums of ``layer``, its thresholds aside, mean: the values of a tensor."""

    tensor: str
    layer: str
    encoding: Encoding
    order: np.ndarray


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
        The hardware, each behind those that feed it; the last gives the output.
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
        return self.decode(self.run_integers(self.encode(x)))

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return the integers that enter the first layer, ``(frames, *dims)``."""
        x = self._checked(x)
        step = max(1, min(CHUNK, ELEMENTS // prod(self.head.port.dims[1:])))
        parts = [self.head(x[k:k + step]) for k in range(0, len(x), step)]
        codes = np.concatenate(parts) if parts else np.zeros(0, np.int64)
        return codes.reshape(len(x), *self.i.dims)

    def run_integers(self, codes: np.ndarray) -> np.ndarray:
        """Return the integers that leave the last layer for those that enter the first."""
        codes, last = np.asarray(codes), self.layers[-1].name
        parts = [outputs for start in range(0, len(codes), self._chunk)
                 for name, outputs in self.outputs(codes[start:start + self._chunk])
                 if name == last]
        y = np.concatenate(parts) if parts else np.zeros(0)
        return y.reshape(len(codes), *self.layers[-1].o.dims).astype(np.int64)

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return what the file returns, from the integers that leave the last layer."""
        o = self.layers[-1].o
        y = np.asarray(y).reshape(len(y), o.vectors, o.channels)
        step = max(1, min(CHUNK, ELEMENTS // prod(o.dims)))
        parts = [self.tail(y[k:k + step]) for k in range(0, len(y), step)]
        return np.concatenate(parts) if parts else self.tail(y)

    def activations(self, x: np.ndarray) -> dict[str, np.ndarray]:
        """Return the codes (frames, elements) of every activation quantizer's output tensor."""
        codes = self.encode(x)
        found: dict[str, list[np.ndarray]] = {tap.tensor: [] for tap in self.taps}
        for start in range(0, max(len(codes), 1), self._chunk):
            for name, outputs in self.outputs(codes[start:start + self._chunk]):
                for tap in self.taps:
                    if tap.layer == name:
                        flat = outputs.reshape(len(outputs), -1)
                        found[tap.tensor].append(flat[:, tap.order].astype(np.int64))
        return {tensor: np.concatenate(parts) for tensor, parts in found.items()}

    def outputs(self, codes: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each layer's name and what it gives, in order; first "" and the codes themselves.

        Integers are of the narrowest type; what no layer reads any more is given up.
        """
        feeds = self.feeds
        last = {name: k for k, names in enumerate(feeds) for name in names}
        values = {"": narrow(codes.reshape(len(codes), *self.i.dims), self.i)}
        yield "", values[""]
        for k, (layer, names) in enumerate(zip(self.layers, feeds, strict=True)):
            streams = (layer.i, *layer.more)
            x = [values[name].reshape(len(codes), *stream.dims)
                 for name, stream in zip(names, streams, strict=True)]
            values[layer.name] = narrow(layer.model(*x), layer.o)
            for name in set(names):
                if last[name] == k:
                    del values[name]
            yield layer.name, values[layer.name]

    @property
    def i(self) -> Stream:
        """What enters: the stream of the first layer that reads the input."""
        for layer, names in zip(self.layers, self.feeds, strict=True):
            for name, stream in zip(names, (layer.i, *layer.more), strict=True):
                if not name:
                    return stream
        raise ValueError(f"{self.name}: no layer reads the input")

    @property
    def feeds(self) -> tuple[tuple[str, ...], ...]:
        """For every layer the names of those that feed it; "" is the network's input."""
        before = ["", *(layer.name for layer in self.layers)]
        return tuple((name,) if layer.feeds is None else layer.feeds
                     for name, layer in zip(before, self.layers, strict=False))

    @property
    def _chunk(self) -> int:
        """Frames that go through at a time."""
        largest = max(prod(stream.dims) for layer in self.layers
                      for stream in (layer.i, *layer.more, layer.o))
        return max(1, min(CHUNK, ELEMENTS // largest))

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
            remedy = f': x.astype("{port.dtype}") rounds it' if x.dtype.kind in "iuf" else ""
            raise QuinnoaError(f"input {port.name} takes {port.dtype}: {x.dtype} is given{remedy}")
        return x.astype(port.dtype, copy=False)


def arranged(values: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    """Return values (frames, elements) of a tensor in the order of the stream."""
    if order is None:
        return values
    result = np.empty_like(values)
    result[:, order] = values
    return result


def narrow(values: np.ndarray, stream: Stream) -> np.ndarray:
    """Return integers in the narrowest numpy type that holds the stream's."""
    low, high = range_of(stream.shape)
    types = (np.int8, np.int16, np.int32, np.int64)
    fits = (t for t in types if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return values.astype(next(fits, np.int64), copy=False)
