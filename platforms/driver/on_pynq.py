"""PYNQ: buffers as a PYNQ image has them. All else there is as on any Linux."""

from __future__ import annotations

import numpy as np

from .errors import DriverError
from .memory import Buffer

__all__ = ["PynqBuffers", "is_pynq"]


def is_pynq() -> bool:
    """Tell whether this is a PYNQ image: its module is there, and finds its device."""
    try:
        import pynq  # type: ignore[import-not-found]
        return pynq.Device.active_device is not None
    except Exception:                    # whatever it lacks, it cannot be used
        return False


class PynqBuffers:
    """Buffers of ``pynq.allocate``: cached, without gaps."""

    def allocate(self, size: int) -> Buffer:
        """Allocate ``size`` bytes."""
        return _PynqBuffer(size)


class _PynqBuffer(Buffer):
    def __init__(self, size: int) -> None:
        from pynq import allocate
        try:
            self._whole = allocate(shape=(size,), dtype=np.uint8)
        except Exception as error:
            raise DriverError("%d bytes cannot be allocated: %s; give a smaller batch" % (
                size, error)) from None
        self.address, self.array = int(self._whole.device_address), np.asarray(self._whole)

    def to_device(self, start: int, size: int) -> None:
        self._whole[start:start + size].flush()

    def from_device(self, start: int, size: int) -> None:
        self._whole[start:start + size].invalidate()

    def free(self) -> None:
        del self.array
        self._whole.freebuffer()
