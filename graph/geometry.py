"""Geometry: where the windows of a convolution or a pool lie in the image."""

from dataclasses import dataclass

import numpy as np
import onnx

from .constants import Folded
from .evaluate import attributes
from .source import Pads, image_dims

__all__ = ["Geometry", "geometry"]


@dataclass(frozen=True)
class Geometry:
    """Windows of (rows, columns) each.

    Attributes
    ----------
    kernel, stride, dilation : tuple of int
    pads : tuple of int
        Pixels (top, left, bottom, right) around the image that windows see: those of the node, and
        what the last windows see beyond.
    own : tuple of int
        The node's own pads alone.
    size : tuple of int
        Windows (rows, columns) of an image.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    pads: Pads
    own: Pads
    size: tuple[int, int]

    def is_whole(self, dims: tuple[int, ...]) -> bool:
        """Tell whether the one window is the whole image."""
        return self.kernel == dims[:2] and self.size == (1, 1) and not any(self.pads)

    @property
    def is_pixel(self) -> bool:
        """Whether every window is one pixel, and every pixel a window."""
        return self.kernel == self.stride == (1, 1) and not any(self.pads)


def geometry(node: onnx.NodeProto, folded: Folded, kernel: tuple[int, ...] | None = None,
             around: Pads = (0, 0, 0, 0)) -> Geometry:
    """Return the windows of a Conv or a pool; the tensor has ``around`` more pixels than come in.

    ``kernel`` is the weights', where there are any.
    """
    i = image_dims(node, folded.dims[folded.dynamic_inputs(node)[0]])
    o = image_dims(node, folded.dims[node.output[0]])
    options = attributes(node)
    if node.op_type.startswith("Global"):
        kernel = i[:2]
        options = {}
    kernel = _two(kernel or options["kernel_shape"], 1)
    stride, dilation = _two(options.get("strides"), 1), _two(options.get("dilations"), 1)
    begin, end = _pads(options, i, o, kernel, stride, dilation)
    pads = []
    for k in range(2):
        # The last window ends with pixel (O - 1)*stride + (K - 1)*dilation, counted from the pads.
        reach = (o[k] - 1) * stride[k] + (kernel[k] - 1) * dilation[k] + 1
        first = begin[k] + around[k]
        inside = i[k] - around[k] - around[k + 2]
        pads.append((first, max(0, reach - first - inside)))
    (top, bottom), (left, right) = pads
    return Geometry(kernel, stride, dilation, (top, left, bottom, right), (*begin, *end), o[:2])


def _two(values: object, default: int) -> tuple[int, int]:
    """Return an attribute for (rows, columns); one of columns alone has one row."""
    given = [int(v) for v in np.atleast_1d(np.asarray(values))] if values is not None else []
    rows, columns = (default, default, *given)[-2:] if len(given) < 2 else given
    return rows, columns


def _pads(options: dict, i: tuple[int, ...], o: tuple[int, ...], kernel: tuple[int, int],
          stride: tuple[int, int], dilation: tuple[int, int]
          ) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the pads (rows, columns) at the beginning and at the end."""
    auto = options.get("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        total = [max(0, (o[k] - 1) * stride[k] + (kernel[k] - 1) * dilation[k] + 1 - i[k])
                 for k in range(2)]
        less, more = [n // 2 for n in total], [n - n // 2 for n in total]
        begin, end = (less, more) if auto == "SAME_UPPER" else (more, less)
        return (begin[0], begin[1]), (end[0], end[1])
    given = list(options.get("pads") or []) if auto == "NOTSET" else []
    half = len(given) // 2
    return _two(given[:half] or None, 0), _two(given[half:] or None, 0)
