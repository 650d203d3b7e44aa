"""Serial lines to Verilated shells: a pseudo-terminal, noise, and the bits on ``rx`` and ``tx``."""

import os
import pty
import random
import select
import subprocess
import threading
import tty
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .verilator import build_program

__all__ = ["Noise", "SerialLine", "build"]

HARNESS = Path(__file__).with_name("serial.cpp")
CHUNK = 256


def build(verilog: str, top: str, folder: Path) -> Path:
    """Build the program that runs a shell: module ``top`` with ``clk``, ``rst``, ``rx``, ``tx``."""
    return build_program(verilog, top, folder, HARNESS)


@dataclass
class Noise:
    """What a bad line does to bytes; each rate is the probability of a byte, or before a byte.

    Parameters
    ----------
    flip, drop, garbage : float
        A bit of it is wrong; it is lost; up to 40 random ones come before it.
    repeat : float
        A packet that went the same way before, up to 100 packets ago, comes again before it.
    seed : int
    """

    flip: float = 0.0
    drop: float = 0.0
    garbage: float = 0.0
    repeat: float = 0.0
    seed: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._past: deque[bytes] = deque(maxlen=100)
        self._packet = bytearray()

    def _happens(self, what: str) -> bool:
        happens = self._random.random() < getattr(self, what)
        if happens:
            self.counts[what] = self.counts.get(what, 0) + 1
        return happens

    def __call__(self, data: bytes) -> bytes:
        """Return what becomes of these bytes."""
        out = bytearray()
        for byte in data:
            self._packet.append(byte)
            if byte == 0:
                if len(self._packet) > 1:
                    self._past.append(b"\0" + bytes(self._packet))
                self._packet.clear()
            if self._past and self._happens("repeat"):
                out += self._random.choice(self._past)
            if self._happens("garbage"):
                out += self._random.randbytes(self._random.randint(1, 40))
            if self._happens("drop"):
                continue
            out.append(byte ^ (1 << self._random.randrange(8) if self._happens("flip") else 0))
        return bytes(out)


class SerialLine:
    """A shell that runs, and the line to it: ``port`` is a pseudo-terminal for a driver.

    Parameters
    ----------
    program : Path
        Made by ``build``.
    period : float
        Clock cycles a bit, of this end of the line.
    down, up : callable
        What becomes of bytes on the way to the shell, and back: a ``Noise``.
    flips : int
        Of 2**32 clock cycles, those in which a line is seen wrong by who reads it.
    seed : int
        Of the flips.
    patience : int
        Cycles that the shell runs on after the line has come to rest.
    """

    def __init__(self, program: Path, *, period: float = 8.0,
                 down: Callable[[bytes], bytes] = bytes, up: Callable[[bytes], bytes] = bytes,
                 flips: int = 0, seed: int = 0, patience: int = 20_000) -> None:
        self._down, self._up = down, up
        self._process = subprocess.Popen(
            [str(program), str(period), str(flips), str(seed), str(patience)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin and self._process.stdout
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        self._lock, self._closing = threading.Lock(), False
        self._master = self._slave = -1
        self.bytes_down = self.bytes_up = 0
        self.connect()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def connect(self) -> None:
        """Make a new pseudo-terminal; whoever has the one before finds its line cut."""
        master, slave = pty.openpty()
        tty.setraw(slave)
        # Held open, so that the line is there before and after a driver has it open.
        with self._lock:
            old, self._master = self._master, master
            self.port = os.ttyname(slave)
            if old >= 0:
                os.close(old)
                os.close(self._slave)
            self._slave = slave

    def close(self) -> None:
        """End the shell."""
        self._closing = True
        self._thread.join()
        self._process.kill()
        self._process.communicate()
        os.close(self._master)
        os.close(self._slave)

    def __enter__(self) -> "SerialLine":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _run(self) -> None:
        """Carry bytes both ways until closed."""
        while not self._closing:
            with self._lock:
                master = self._master
            # The line is cut only between two looks at it, under the lock.
            try:
                readable, _, _ = select.select([master, self._from], [], [], 0.02)
            except (OSError, ValueError):
                continue
            with self._lock:
                if master != self._master:
                    continue
                if master in readable:
                    data = os.read(master, CHUNK)
                    self.bytes_down += len(data)
                    os.write(self._to, self._down(data))
                if self._from in readable:
                    data = os.read(self._from, CHUNK)
                    if not data:
                        return
                    self.bytes_up += len(data)
                    self._deliver(self._up(data))

    def _deliver(self, data: bytes) -> None:
        """Give bytes to the driver; what does not fit its queue is lost, as on a real line."""
        _, writable, _ = select.select([], [self._master], [], 0)
        if writable and data:
            os.write(self._master, data)
