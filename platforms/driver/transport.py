"""Transport: how frames get to an accelerator and results back, whatever lies between."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from .errors import DriverError
from .registers import MAGIC_VALUE, VERSION_VALUE

__all__ = ["Cycles", "Identity", "Transport"]


class Identity(NamedTuple):
    """What an accelerator says of itself: the registers from MAGIC to BYTES.

    ``i_bytes`` and ``o_bytes`` are those of a frame in and of a frame out.
    """

    magic: int
    version: int
    network_id: int
    shape_id: int
    i_bytes: int
    o_bytes: int

    def checked(self) -> Identity:
        """Return it; refuse what is no accelerator, or one of another register map."""
        if self.magic != MAGIC_VALUE:
            raise DriverError("no accelerator answers: MAGIC reads 0x%08x, not 0x%08x; is its "
                              "bitstream loaded?" % (self.magic, MAGIC_VALUE))
        if self.version != VERSION_VALUE:
            raise DriverError("the accelerator has version %d of the register map, this driver "
                              "knows %d; use the driver that came with the bitstream" % (
                                  self.version, VERSION_VALUE))
        return self


class Cycles(NamedTuple):
    """Clock cycles, and those with a batch in the works; both modulo 2^32."""

    total: int
    busy: int


class Transport(ABC):
    """A way to one accelerator. Batches come back in the order in which they were submitted.

    ``submit`` returns a handle for ``poll`` and ``wait``; what it is, is the transport's affair.
    Whatever fails raises ``DriverError``, a lapse of ``timeout`` seconds ``DriverTimeout``, whose
    message says how many frames were done and what the status was.
    """

    capacity: int
    """Frames that one batch may have, at most."""

    @abstractmethod
    def identify(self) -> Identity:
        """Ask the accelerator what it is."""

    @abstractmethod
    def submit(self, frames: np.ndarray, timeout: float) -> Any:
        """Send a batch on its way: uint8 (frames, i_bytes), 1 to ``capacity`` frames.

        It waits only where there is no room for one more batch.
        """

    @abstractmethod
    def poll(self, handle: Any) -> int:
        """Return how many frames of a batch are done, without waiting."""

    @abstractmethod
    def wait(self, handle: Any, timeout: float) -> np.ndarray:
        """Wait for a batch; return its results, uint8 (frames, o_bytes). Once for each batch."""

    @abstractmethod
    def abort(self, timeout: float) -> None:
        """Drop all batches that are not done, and make the accelerator ready for new ones."""

    @abstractmethod
    def write_contents(self, words: np.ndarray) -> None:
        """Write the writable contents, uint32; only while no batch is under way."""

    @abstractmethod
    def cycles(self) -> Cycles:
        """Read the cycle counters."""

    @abstractmethod
    def close(self) -> None:
        """Stop what is under way and give back what is held."""
