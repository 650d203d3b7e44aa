"""Memory transport: frames in memory that the accelerator reads and writes itself.

What it needs of the machine is two objects, so that it runs on any: ``registers`` with
``read32(address)`` and ``write32(address, value)``, and ``buffers`` with ``allocate(size)``, which
gives a ``Buffer``. ``linux.py`` has those of bare Linux, ``on_pynq.py`` those of a PYNQ image.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections import deque
from typing import Any, Callable, Deque, List, Optional

import numpy as np

from . import registers as at
from .errors import DriverError, DriverTimeout
from .transport import Cycles, Identity, Transport

__all__ = ["Buffer", "MemoryTransport"]

SLOTS = 4                                # batches that a shell queues, at least
BATCH_BYTES = 1 << 20                    # of a batch in and out, unless asked otherwise
PAUSE = 100e-6                           # seconds between two looks at the registers
ALIGNMENT = 64                           # of frames: a cache line, and more than any word


class Buffer(ABC):
    """Memory that both sides see, ``size`` bytes from bus address ``address`` on."""

    address: int
    array: np.ndarray
    """uint8 (size,): the same memory as the processor sees it."""

    @abstractmethod
    def to_device(self, start: int, size: int) -> None:
        """Make what the processor wrote there visible to the accelerator."""

    @abstractmethod
    def from_device(self, start: int, size: int) -> None:
        """Make what the accelerator wrote there visible to the processor."""

    @abstractmethod
    def free(self) -> None:
        """Give it back."""


class _Batch:
    """A batch under way: which one it is, and the part of the buffer that is its own."""

    def __init__(self, number: int, frames: int, first: int, slot: int) -> None:
        self.number, self.frames, self.first, self.slot = number, frames, first, slot
        self.results: Optional[np.ndarray] = None
        self.failure: Optional[str] = None
        self.taken = False


class MemoryTransport(Transport):
    """Runs a ``MemoryShell`` through its registers.

    The buffer has ``SLOTS`` slots, each with room for a batch and its results, so that the
    accelerator has work queued while the host reads and writes.

    Parameters
    ----------
    registers
        With ``read32`` and ``write32``.
    buffers
        With ``allocate(size) -> Buffer``, and perhaps ``limit``: bytes that there are.
    batch : int, optional
        Frames of a batch, at most; as many as 1 MiB holds unless given, and no more than ``most``.
    sleep, clock : callable
        ``time.sleep`` and ``time.monotonic``, or those of a simulation.
    """

    def __init__(self, registers: Any, buffers: Any, *, batch: Optional[int] = None,
                 most: Optional[int] = None, sleep: Callable[[float], None] = time.sleep,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self.registers, self.sleep, self.clock = registers, sleep, clock
        self.queue: Deque[_Batch] = deque()
        self.buffer: Optional[Buffer] = None
        # Since the counters were last known with nothing under way.
        self._submitted = self._frames = self._batches_base = self._frames_base = 0
        self.identity = self._identify().checked()
        # Batches that another left behind would write into memory that is no longer its own.
        if not self._read(at.STATUS) & at.IDLE:
            self.abort()
        i_bytes, o_bytes = self.identity.i_bytes, self.identity.o_bytes
        size = _aligned(i_bytes) + _aligned(o_bytes)
        limit = getattr(buffers, "limit", None)
        if batch is None:
            batch = max(1, BATCH_BYTES // size)
            batch = batch if most is None else min(batch, most)
        if limit is not None:
            batch = min(batch, limit // SLOTS // size)
        if batch < 1:
            raise DriverError("the buffer has %s bytes: %d batches of a frame of %d bytes in and "
                              "%d out need %d" % (limit, SLOTS, i_bytes, o_bytes, SLOTS * size))
        self.capacity = batch
        self._target = _aligned(batch * i_bytes)
        self._size = self._target + _aligned(batch * o_bytes)
        self.buffer = buffers.allocate(SLOTS * self._size)
        if self.buffer.address % ALIGNMENT:
            address = self.buffer.address
            self.buffer.free()
            raise DriverError("the buffer is at 0x%x: a multiple of %d is expected" % (
                address, ALIGNMENT))
        self._free: List[int] = list(range(SLOTS))
        self._restart()

    def identify(self) -> Identity:
        """Return what the registers said when it was opened."""
        return self.identity

    def submit(self, frames: np.ndarray, timeout: float = 10.0) -> _Batch:
        """Put a batch in memory and queue it. Without room the oldest one is waited for."""
        i_bytes = self.identity.i_bytes
        if frames.dtype != np.uint8 or frames.ndim != 2 or frames.shape[1] != i_bytes:
            raise DriverError("frames must be uint8 (frames, %d): they are %s %s" % (
                i_bytes, frames.dtype, frames.shape))
        if not 1 <= len(frames) <= self.capacity:
            raise DriverError("a batch must have 1 to %d frames: it has %d" % (
                self.capacity, len(frames)))
        buffer = self._open_buffer()
        deadline = self.clock() + timeout
        self._collect()
        while not self._free:
            self._until(self.queue[0], deadline, timeout)
        slot = self._free.pop(0)
        start = slot * self._size
        buffer.array[start:start + frames.size] = frames.reshape(-1)
        buffer.to_device(start, frames.size)
        # The queue of the shell is no shorter than there are slots, unless another uses it, too.
        while not self._read(at.STATUS) & at.ROOM:
            self._check_time(deadline, timeout, None)
        batch = _Batch(self._submitted + 1, len(frames), self._frames, slot)
        self._write64(at.SOURCE, buffer.address + start)
        self._write64(at.TARGET, buffer.address + start + self._target)
        self._write(at.FRAMES, len(frames))
        self._submitted, self._frames = batch.number, self._frames + len(frames)
        self.queue.append(batch)
        return batch

    def poll(self, handle: _Batch) -> int:
        """Return how many frames of a batch are done; of a dropped one none is."""
        if handle.results is not None or handle.taken:
            return handle.frames
        if handle.failure:
            return 0
        under_way = sum(batch.frames for batch in self.queue)
        done = self._done(at.FRAMES_DONE, self._frames_base, self._frames, under_way)
        return max(0, min(handle.frames, done - handle.first))

    def wait(self, handle: _Batch, timeout: float = 10.0) -> np.ndarray:
        """Wait for a batch; return its results, uint8 (frames, o_bytes)."""
        if handle.taken:
            raise DriverError("batch %d has been waited for already" % handle.number)
        self._until(handle, self.clock() + timeout, timeout)
        if handle.failure:
            raise DriverError(handle.failure)
        results, handle.results, handle.taken = handle.results, None, True
        assert results is not None
        return results

    def abort(self, timeout: float = 10.0) -> None:
        """Drop all batches that are not done."""
        self._write(at.CONTROL, at.ABORT)
        deadline = self.clock() + timeout
        while self._read(at.CONTROL) & at.ABORT:
            if self.clock() > deadline:
                raise DriverTimeout("an abort is not done after %g s: STATUS is %s" % (
                    timeout, self._status()))
            self.sleep(PAUSE)
        for batch in self.queue:
            batch.failure = "batch %d was dropped by an abort" % batch.number
        self.queue.clear()
        if self.buffer is not None:
            self._free = list(range(SLOTS))
        self._restart()

    def write_contents(self, words: np.ndarray) -> None:
        """Write the words of the writable contents one by one."""
        if not self._read(at.STATUS) & at.IDLE:
            raise DriverError("contents can be written while nothing is under way: %d batches are"
                              % len(self.queue))
        for a, word in enumerate(words.tolist()):
            self._write(at.CONTENTS + 4 * a, word)

    def cycles(self) -> Cycles:
        """Read CYCLES and BUSY_CYCLES."""
        return Cycles(self._read(at.CYCLES), self._read(at.BUSY_CYCLES))

    def close(self) -> None:
        """Abort what is under way, and give the memory back."""
        buffer, self.buffer = self.buffer, None
        if buffer is None:
            return
        try:
            if not self._read(at.STATUS) & at.IDLE:
                self.abort()
        except DriverTimeout:
            return                       # it may write into the memory yet: that stays where it is
        buffer.free()
        for each in (self.registers, buffer):
            getattr(each, "close", lambda: None)()

    def _until(self, batch: _Batch, deadline: float, timeout: float) -> None:
        """Wait until a batch has its results, or a failure."""
        while batch.results is None and not batch.failure:
            self._collect()
            if batch.results is None and not batch.failure:
                self._check_time(deadline, timeout, batch)

    def _collect(self) -> None:
        """Take the results of all batches that are done, and free their slots."""
        if self._read(at.STATUS) & at.ERROR:
            number = self.queue[0].number if self.queue else self._submitted
            self.abort()
            raise DriverError("a bus error in batch %d: the accelerator was refused a read or a "
                              "write at its addresses; all batches under way are dropped" % number)
        done = self._done(at.BATCHES_DONE, self._batches_base, self._submitted, len(self.queue))
        buffer, o_bytes = self._open_buffer(), self.identity.o_bytes
        while self.queue and self.queue[0].number <= done:
            batch = self.queue.popleft()
            start, size = batch.slot * self._size + self._target, batch.frames * o_bytes
            buffer.from_device(start, size)
            batch.results = buffer.array[start:start + size].reshape(-1, o_bytes).copy()
            self._free.append(batch.slot)

    def _check_time(self, deadline: float, timeout: float, batch: Optional[_Batch]) -> None:
        """Pause, or say that it is too late."""
        if self.clock() <= deadline:
            self.sleep(PAUSE)
            return
        if batch is None:
            raise DriverTimeout("no room in the queue after %g s: STATUS is %s" % (
                timeout, self._status()))
        raise DriverTimeout("after %g s %d of %d frames of batch %d are done: STATUS is %s" % (
            timeout, self.poll(batch), batch.frames, batch.number, self._status()))

    def _status(self) -> str:
        """Say what STATUS shows."""
        status = self._read(at.STATUS)
        bits = ((at.IDLE, "idle"), (at.ERROR, "bus error"), (at.ROOM, "room in the queue"))
        names = [name for bit, name in bits if status & bit]
        return "0x%x (%s)" % (status, ", ".join(names) or "busy, the queue full")

    def _identify(self) -> Identity:
        return Identity(self._read(at.MAGIC), self._read(at.VERSION), self._read64(at.NETWORK_ID),
                        self._read64(at.SHAPE_ID), self._read(at.BYTES_IN),
                        self._read(at.BYTES_OUT))

    def _restart(self) -> None:
        """Count batches and frames from what the counters show now: nothing is under way."""
        self._batches_base, self._frames_base = self._read(at.BATCHES_DONE), self._read(
            at.FRAMES_DONE)
        self._submitted = self._frames = 0

    def _done(self, address: int, base: int, submitted: int, under_way: int) -> int:
        """Return how many of all that were submitted a counter, modulo 2^32, shows as done."""
        left = (base + submitted - self._read(address)) % (1 << 32)
        if left > under_way:
            raise DriverError("the accelerator has done what this driver never asked for: another "
                              "program uses it, too")
        return submitted - left

    def _open_buffer(self) -> Buffer:
        if self.buffer is None:
            raise DriverError("the accelerator is closed")
        return self.buffer

    def _read(self, address: int) -> int:
        return int(self.registers.read32(address))

    def _write(self, address: int, value: int) -> None:
        self.registers.write32(address, value)

    def _read64(self, address: int) -> int:
        return self._read(address) | self._read(address + 4) << 32

    def _write64(self, address: int, value: int) -> None:
        self._write(address, value & 0xFFFFFFFF)
        self._write(address + 4, value >> 32)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
