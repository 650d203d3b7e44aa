"""UART transport: an accelerator behind a serial line."""

from __future__ import annotations

import os
import select
import threading
import time
from typing import Callable, Optional

import numpy as np

from .errors import DriverError, DriverTimeout
from .link import Batch, Link
from .transport import Cycles, Identity, Transport
from .tty import open_tty

__all__ = ["UARTTransport"]

BATCHES = 8                              # under way, at most
BATCH_SECONDS = 0.25                     # of the line, for the batch that `capacity` is


class UARTTransport(Transport):
    """A way to an accelerator over a serial line. A thread of its own keeps the line busy.

    Parameters
    ----------
    port : str
        The line: /dev/ttyUSB0.
    baud : int
        Its rate, that of the bitstream.
    patience : float
        Seconds without an answer after which something is asked again.
    retries : int
        How often, one after the other.
    """

    def __init__(self, port: str, baud: int, *, patience: float = 0.1, retries: int = 30) -> None:
        self.port = port
        self._fd = open_tty(port, baud)
        self._wake_r, self._wake_w = os.pipe()
        self._link = Link(baud=baud, patience=patience, retries=retries, name=port,
                          epoch=int.from_bytes(os.urandom(4), "little"))
        self._changed = threading.Condition()
        self._failure: Optional[DriverError] = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="quinnoa " + port, daemon=True)
        self._thread.start()
        try:
            self._until(lambda: self._link.ready, None)
            largest = max(self.identify()[-2:])
        except BaseException:
            self.close()
            raise
        self.capacity = max(1, int(baud / 10 * BATCH_SECONDS) // largest)

    def identify(self) -> Identity:
        """Return what the accelerator said of itself when the line was opened."""
        identity = self._link.identity
        if identity is None:
            raise DriverError("%s has not answered yet" % self.port)
        return identity

    def submit(self, frames: np.ndarray, timeout: float) -> Batch:
        """Send a batch on its way: uint8 (frames, i_bytes), 1 to ``capacity`` frames."""
        size = self.identify().i_bytes
        if frames.dtype != np.uint8 or frames.ndim != 2 or frames.shape[1] != size or (
                not 1 <= len(frames) <= self.capacity):
            raise DriverError("a batch must be uint8 of 1 to %d frames of %d bytes: it is %s %s" % (
                self.capacity, size, frames.dtype, frames.shape))
        with self._changed:
            self._check()
            self._until(lambda: len(self._link.batches) < BATCHES, timeout)
            batch = self._link.submit(len(frames), frames.tobytes())
        self._wake()
        return batch

    def poll(self, handle: Batch) -> int:
        """Return how many frames of a batch are done, without waiting."""
        with self._changed:
            self._check()
            return len(handle.result) // self.identify().o_bytes

    def wait(self, handle: Batch, timeout: float) -> np.ndarray:
        """Wait for a batch; return its results, uint8 (frames, o_bytes)."""
        size = self.identify().o_bytes
        whole = handle.frames * size
        self._until(lambda: handle.dropped or len(handle.result) == whole, timeout)
        if handle.dropped:
            raise DriverError("the batch was dropped by an abort")
        return np.frombuffer(bytes(handle.result), np.uint8).reshape(handle.frames, size)

    def abort(self, timeout: float) -> None:
        """Drop all batches that are not done, and reset the accelerator."""
        with self._changed:
            self._check()
            self._link.abort()
            self._wake()
            self._until(lambda: self._link.ready, timeout)

    def write_contents(self, words: np.ndarray) -> None:
        """Write the writable contents, uint32; only while no batch is under way."""
        if not self.identify().shape_id:
            raise DriverError("the accelerator at %s is not writable" % self.port)
        if words.dtype != np.uint32 or words.ndim != 1:
            raise DriverError("contents must be uint32 of one dimension: they are %s %s" % (
                words.dtype, words.shape))
        with self._changed:
            self._check()
            if not self._link.idle:
                raise DriverError("contents can be written only while no batch is under way")
            self._link.write(words.astype("<u4").tobytes())
            self._wake()
            self._until(lambda: self._link.ready, None)

    def cycles(self) -> Cycles:
        """Read the cycle counters."""
        with self._changed:
            self._check()
            self._link.ask_cycles()
            self._wake()
            self._until(lambda: self._link.cycles is not None, None)
            assert self._link.cycles is not None
            return self._link.cycles

    def close(self) -> None:
        """Give the line back. What is under way is lost; whoever opens it next resets it."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
        self._wake()
        self._thread.join()
        for fd in (self._fd, self._wake_r, self._wake_w):
            os.close(fd)

    def _wake(self) -> None:
        """Have the thread look at the link again."""
        os.write(self._wake_w, b"!")

    def _check(self) -> None:
        """Raise what ended the thread."""
        if self._failure:
            raise DriverError(str(self._failure))
        if self._closing:
            raise DriverError("%s is closed" % self.port)

    def _until(self, done: Callable[[], bool], timeout: Optional[float]) -> None:
        """Wait until something is so; without a timeout, as long as there are answers."""
        with self._changed:
            told = self._changed.wait_for(
                lambda: done() or self._failure is not None or self._closing, timeout)
            if not done():
                self._check()
            if not told:
                raise DriverTimeout("%s was not done within %g s: %s" % (
                    self.port, timeout or 0, self._link.status))

    def _run(self) -> None:
        """Carry bytes between the line and the link, until closed."""
        pending = b""
        try:
            while not self._closing:
                with self._changed:
                    pending = pending or self._link.output(time.monotonic())
                    deadline = self._link.deadline(time.monotonic())
                if pending:
                    pending = pending[self._write(pending):]
                    deadline = 0.0 if not pending else deadline
                pause = max(0.0, min(deadline - time.monotonic(), 1.0))
                readable, _, _ = select.select([self._fd, self._wake_r],
                                               [self._fd] if pending else [], [], pause)
                if self._wake_r in readable:
                    os.read(self._wake_r, 4096)
                if self._fd in readable:
                    self._read()
        except DriverError as error:
            self._fail(error)
        except OSError as error:
            self._fail(DriverError("the line %s was cut: %s" % (self.port, error.strerror)))
        except Exception as error:
            self._fail(DriverError("the driver of %s failed: %r" % (self.port, error)))

    def _fail(self, error: DriverError) -> None:
        with self._changed:
            self._failure = error
            self._changed.notify_all()

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0

    def _read(self) -> None:
        try:
            data = os.read(self._fd, 65536)
        except BlockingIOError:
            return
        if not data:
            raise DriverError("the line %s was cut" % self.port)
        with self._changed:
            self._link.receive(data, time.monotonic())
            self._changed.notify_all()
