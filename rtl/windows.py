"""Windows: which pixels of an image every position of a sliding kernel sees, and when."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

__all__ = ["Windows"]


@dataclass(frozen=True)
class Windows:
    """The windows of an image, in raster order, and what they need of its pixels.

    Pixel ``(ky, kx)`` of window ``(oy, ox)`` is pixel ``(oy*SY - top + ky*DY, ox*SX - left +
    kx*DX)`` of the image, or padding if that lies outside. Pixels are counted in raster order.

    Parameters
    ----------
    height, width : int
        The image.
    kernel, stride, dilation : (int, int)
        (KH, KW), (SY, SX), (DY, DX): rows, columns.
    pads : (int, int, int, int)
        Top, left, bottom, right.
    """

    height: int
    width: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    pads: tuple[int, int, int, int] = (0, 0, 0, 0)

    def __post_init__(self):
        for name in ("kernel", "stride", "dilation", "pads"):
            numbers, count = tuple(getattr(self, name)), 4 if name == "pads" else 2
            if len(numbers) != count or min(numbers) < (name != "pads"):
                least = "not be negative" if name == "pads" else "be at least 1"
                raise ValueError(f"{name} must be {count} numbers and {least}: it is {numbers}")
            object.__setattr__(self, name, numbers)
        if min(self.height, self.width) < 1:
            raise ValueError(f"an image has at least a pixel: this one is {self.height} x "
                             f"{self.width}")
        if min(self.shape) < 1:
            spans = [(k - 1) * d + 1 for k, d in zip(self.kernel, self.dilation, strict=True)]
            top, left, bottom, right = self.pads
            raise ValueError(
                f"the kernel must fit the padded image: it spans {spans[0]} x {spans[1]}, the "
                f"image is {self.height + top + bottom} x {self.width + left + right}")

    @cached_property
    def shape(self):
        """(OH, OW)."""
        sizes, pads = (self.height, self.width), self.pads
        return tuple((sizes[a] + pads[a] + pads[a + 2] - (self.kernel[a] - 1) * self.dilation[a]
                      - 1) // self.stride[a] + 1 for a in (0, 1))

    @property
    def count(self):
        """Windows a frame."""
        return self.shape[0] * self.shape[1]

    @property
    def taps(self):
        """Pixels of a window."""
        return self.kernel[0] * self.kernel[1]

    @property
    def pixels(self):
        """Pixels of the image."""
        return self.height * self.width

    def start(self, axis):
        """Return the row (axis 0) or column (1) in which every window starts, padding included."""
        return np.arange(self.shape[axis]) * self.stride[axis] - self.pads[axis]

    @property
    def ends(self):
        """The column after the last one that every window of a row sees, (OW,), in the image."""
        return np.clip(self.start(1) + (self.kernel[1] - 1) * self.dilation[1] + 1, 0, self.width)

    def outside(self, axis):
        """Tell which kernel rows (axis 0) or columns (1) are padding: (OH, KH) or (OW, KW)."""
        at = self.start(axis)[:, None] + np.arange(self.kernel[axis]) * self.dilation[axis]
        return (at < 0) | (at >= (self.height, self.width)[axis])

    def needed(self, columns):
        """Return how many pixels must be there before a window is read, (OH, OW).

        Those up to ``columns[ox] - 1`` of the last row it sees, never fewer than before, and at
        least one, so that a frame's windows are not read before the frame begins.
        """
        last = self.start(0) + (self.kernel[0] - 1) * self.dilation[0]
        rows = np.clip(last + 1, 0, self.height)[:, None]
        needed = np.where(rows, (rows - 1) * self.width + np.maximum(columns, 1), 1)
        return np.maximum.accumulate(needed.ravel()).reshape(self.shape)

    def dropped(self, columns):
        """Return how many pixels are not needed any more, (OH, OW), when a window is next.

        Of the first row it sees those before ``columns[ox]``; none that a later window needs.
        """
        rows = np.append(np.clip(self.start(0), 0, self.height), self.height)[:, None]
        columns = np.minimum.accumulate(np.clip(columns, 0, self.width)[::-1])[::-1]
        return np.minimum(rows[:-1] * self.width + columns, rows[1:] * self.width)

    def model(self, x, *, pad_value=0):
        """Cut ``(..., H, W, C)`` into windows: ``(..., OH, OW, KH * KW * C)``."""
        x = np.asarray(x)
        top, left, bottom, right = self.pads
        pads = [(0, 0)] * (x.ndim - 3) + [(top, bottom), (left, right), (0, 0)]
        padded = np.pad(x, pads, constant_values=pad_value)
        (oh, ow), (sy, sx), (dy, dx) = self.shape, self.stride, self.dilation
        parts = [padded[..., ky * dy:ky * dy + (oh - 1) * sy + 1:sy,
                        kx * dx:kx * dx + (ow - 1) * sx + 1:sx, :]
                 for ky in range(self.kernel[0]) for kx in range(self.kernel[1])]
        return np.concatenate(parts, axis=-1)
