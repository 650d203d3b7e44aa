"""Source: the integers that a layer gives, as a tensor of the file."""

from dataclasses import dataclass, replace

import numpy as np
import onnx

from quinnoa.rtl.shapes import range_of

from .constants import Problem
from .encoding import Encoding, alike
from .layers import Stream

__all__ = ["Pads", "Source", "code_of", "image_dims", "image_order", "source_of"]

CLOSE = 2.0 ** -20                       # of a step: rounding of scales in float32

Pads = tuple[int, int, int, int]


@dataclass(frozen=True, eq=False)
class Source:
    """The integers that a stream carries, as a tensor of the file.

    Attributes
    ----------
    layer : str
        The layer that gives them; "" is the network's input.
    stream : Stream
    encoding : Encoding
        Of each of the stream's channels, or of all.
    order : array of int
        The stream's element that each of the tensor's is.
    low, high : array of int
        Limits of every channel.
    stride : int
        Values from ``low`` to ``high`` that occur: every one, or every second.
    quantized : bool
        A quantizer made them; otherwise they are sums.
    pads : tuple of int
        Pixels (top, left, bottom, right) that the tensor has around the stream's.
    pad_code : int
        What those are.
    """

    layer: str
    stream: Stream
    encoding: Encoding
    order: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stride: int = 1
    quantized: bool = True
    pads: Pads = (0, 0, 0, 0)
    pad_code: int = 0

    @property
    def given(self) -> tuple[str, Stream]:
        """What a layer that reads it is fed with."""
        return self.layer, self.stream

    def seen_as(self, dims: tuple[int, ...], node: onnx.NodeProto) -> "Source":
        """Return the same elements as vectors of other channels: an image flattened, or a pixel."""
        if dims == self.stream.dims:
            return self
        vectors, channels = self.stream.vectors, dims[-1]

        def whole(values: float | np.ndarray) -> np.ndarray:
            each = np.broadcast_to(np.asarray(values), self.stream.channels)
            return np.tile(each, vectors).reshape(-1, channels)

        scale, offset = whole(self.encoding.scale), whole(self.encoding.offset)
        if (scale != scale[:1]).any() or (offset != offset[:1]).any():
            raise Problem(node, "its input has one scale a channel, of another tensor; one for all "
                                "is expected: quantize it per tensor")
        encoding = replace(self.encoding, scale=alike(scale[0]), offset=alike(offset[0]))
        return replace(self, stream=replace(self.stream, dims=dims), encoding=encoding,
                       low=whole(self.low).min(axis=0), high=whole(self.high).max(axis=0))

    def image(self, node: onnx.NodeProto, dims: tuple[int, ...]) -> tuple["Source", np.ndarray]:
        """Return it as (H, W, C), and the stream's channel that each of the tensor's is.

        ``dims`` are those of the tensor: (N, C, H, W) or (N, C, L).
        """
        height, width, channels = image_dims(node, dims)
        top, left, bottom, right = self.pads
        shape = (height - top - bottom, width - left - right, channels)
        if self.order.size != np.prod(shape):
            raise Problem(node, f"a tensor of dims {list(dims)} where {list(self.stream.dims)} "
                                "come in")
        each = self.order.reshape(channels, *shape[:2])
        own = each[:, 0, 0]
        if (np.sort(own) != np.arange(channels)).any() or (
                self.order != image_order(shape, own)).any():
            raise Problem(node, "the pixels of its input are arranged otherwise than they come in; "
                                "leave out what rearranges rows and columns")
        return self.seen_as(shape, node), own


def image_dims(node: onnx.NodeProto, dims: tuple[int, ...]) -> tuple[int, int, int]:
    """Return (H, W, C) of a tensor (N, C, H, W) or (N, C, L)."""
    if len(dims) not in (3, 4):
        raise Problem(node, f"a tensor of dims {list(dims)}; (N, C, L) or (N, C, H, W) is expected")
    height, width = (1, *dims[2:])[-2:]
    return height, width, dims[1]


def image_order(dims: tuple[int, ...], channels: np.ndarray | None = None) -> np.ndarray:
    """Return, for each element of a tensor (C, H, W), the element of a stream (H, W, C)."""
    height, width, count = dims
    channels = np.arange(count) if channels is None else channels
    pixels = np.arange(height * width) * count
    return (channels[:, None] + pixels).reshape(-1)


def source_of(layer: str, stream: Stream, encoding: Encoding, order: np.ndarray) -> Source:
    """Return what a quantizer gives: any code in any channel."""
    return Source(layer, stream, encoding, order, np.full(stream.channels, encoding.low),
                  np.full(stream.channels, encoding.high), 2 if encoding.bipolar else 1)


def code_of(value: float, source: Source) -> int | None:
    """Return the code of a value, the same in all channels, if there is one."""
    encoding = source.encoding
    code = (value - np.asarray(encoding.offset)) / np.asarray(encoding.scale)
    whole = np.rint(code)
    low, high = range_of(source.stream.shape)
    near = (np.abs(code - whole) <= CLOSE * np.maximum(np.abs(whole), 1)).all()
    if not near or (whole != whole.flat[0]).any() or not low <= whole.flat[0] <= high:
        return None
    if encoding.bipolar and whole.flat[0] not in (-1, 1):
        return None
    return int(whole.flat[0])
