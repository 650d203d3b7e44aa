"""A shell's registers and memory in Python: what the driver sees, its clock a count of accesses."""

import numpy as np

from quinnoa.platforms.driver import registers as at
from quinnoa.platforms.driver.memory import Buffer

__all__ = ["Clock", "ShellModel"]

BASE = 0x1000_0000                       # bus address of the memory


class Clock:
    """A clock that goes on while one sleeps, and a little at every look."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        self.now += 1e-6
        return self.now

    def sleep(self, seconds):
        self.now += seconds


class _Memory(Buffer):
    """Memory whose two sides see what the other wrote only once it was handed over."""

    def __init__(self, size, address):
        self.address, self.freed = address, False
        self.array = np.full(size, 0xAA, np.uint8)
        self.device = np.full(size, 0x55, np.uint8)

    def to_device(self, start, size):
        self.device[start:start + size] = self.array[start:start + size]

    def from_device(self, start, size):
        self.array[start:start + size] = self.device[start:start + size]

    def free(self):
        self.freed = True


class ShellModel:
    """Registers and buffers of a ``MemoryShell`` around a function.

    Parameters
    ----------
    compute : callable
        From frames (frames, i_bytes) to (frames, o_bytes).
    i_bytes, o_bytes : int
    network_id, shape_id : int
    cycles : int
        Of a frame; every access to a register takes one cycle.
    counted : int
        What the counters show at first.
    limit : int, optional
        Bytes that the buffers have.
    """

    def __init__(self, compute, i_bytes, o_bytes, *, network_id=1, shape_id=0, cycles=3, queue=4,
                 counted=0, limit=None):
        self.compute, self.frame_cycles, self.depth = compute, cycles, queue
        if limit is not None:
            self.limit = limit
        self.values = {
            at.MAGIC: at.MAGIC_VALUE, at.VERSION: at.VERSION_VALUE,
            at.NETWORK_ID: network_id & 0xFFFFFFFF, at.NETWORK_ID + 4: network_id >> 32,
            at.SHAPE_ID: shape_id & 0xFFFFFFFF, at.SHAPE_ID + 4: shape_id >> 32,
            at.BYTES_IN: i_bytes, at.BYTES_OUT: o_bytes, at.CONTROL: 0,
            at.BATCHES_DONE: counted, at.FRAMES_DONE: counted, at.CYCLES: 0, at.BUSY_CYCLES: 0}
        self.queue, self.left, self.log, self.contents = [], 0, [], {}
        self.memory, self.error, self.stuck, self.fault = None, False, False, None

    # What the driver takes for buffers.

    def allocate(self, size):
        self.memory = _Memory(size, BASE)
        return self.memory

    # What it takes for registers.

    def read32(self, address):
        assert address % 4 == 0
        self._advance(1)
        if address == at.STATUS:
            return (at.IDLE * (not self.queue) | at.ERROR * self.error
                    | at.ROOM * (len(self.queue) < self.depth))
        return self.values.get(address, 0)

    def write32(self, address, value):
        assert address % 4 == 0 and 0 <= value < 2 ** 32
        self._advance(1)
        self.log.append((address, value))
        if address >= at.CONTENTS:
            assert not self.queue, "contents are written while a batch is under way"
            self.contents[(address - at.CONTENTS) // 4] = value
        elif address == at.CONTROL and value & at.ABORT:
            self.queue.clear()
            self.error = False
        elif address == at.FRAMES:
            assert len(self.queue) < self.depth, "a batch is written into a full queue"
            source, target = (self.values[a] | self.values[a + 4] << 32
                              for a in (at.SOURCE, at.TARGET))
            self.queue.append([source, target, value])
        else:
            self.values[address] = value

    def _advance(self, cycles):
        """Let the clock run; every so many cycles a frame is done."""
        for _ in range(cycles):
            self._count(at.CYCLES)
            if not self.queue or self.stuck or self.error:
                continue
            self._count(at.BUSY_CYCLES)
            self.left += 1
            if self.left >= self.frame_cycles:
                self.left = 0
                self._frame()

    def _frame(self):
        """Compute one frame of the first batch."""
        source, target, frames = batch = self.queue[0]
        i_bytes, o_bytes = self.values[at.BYTES_IN], self.values[at.BYTES_OUT]
        data = self._part(source, i_bytes)
        if data is None or self._part(target, o_bytes) is None or self.fault == frames:
            self.error = True
            return
        self._part(target, o_bytes)[:] = self.compute(data[None].copy())[0]
        batch[:] = source + i_bytes, target + o_bytes, frames - 1
        self._count(at.FRAMES_DONE)
        if frames == 1:
            self.queue.pop(0)
            self._count(at.BATCHES_DONE)

    def _part(self, address, size):
        start = address - self.memory.address
        if start < 0 or start + size > len(self.memory.device):
            return None
        return self.memory.device[start:start + size]

    def _count(self, address):
        self.values[address] = (self.values[address] + 1) % 2 ** 32
