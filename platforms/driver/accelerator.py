"""Accelerator: the calls of the simulator, on hardware."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Union

import numpy as np

from .errors import DriverError
from .formats import FrameFormat
from .host import Host, arrays_of
from .transport import Identity, Transport

__all__ = ["Accelerator", "Batch", "Throughput"]

FORMAT = 1                               # of the metadata
IN_FLIGHT = 3                            # parts of a large batch under way: one more is prepared


class Throughput(NamedTuple):
    """What a throughput test measured.

    ``cycles_per_frame`` are those with a batch in the works, ``share`` the part of the bound's
    rate that was reached while there was one: 1 is all of it.
    """

    frames: int
    seconds: float
    frames_per_second: float
    cycles_per_frame: float
    bound_cycles: int
    share: float
    clock_mhz: float
    """As the wall clock and the cycle counter have it."""

    def __str__(self) -> str:
        return ("%d frames in %.3f s: %.0f frames/s; %.1f cycles a frame where the bound is %d: "
                "%.1f %% of it, at %.1f MHz" % (
                    self.frames, self.seconds, self.frames_per_second, self.cycles_per_frame,
                    self.bound_cycles, 100 * self.share, self.clock_mhz))


class Batch:
    """Frames under way: ``wait`` for what they give. Made by ``Accelerator.submit``."""

    def __init__(self, accelerator: Accelerator, frames: int, parts: Iterator[np.ndarray],
                 decode: Any, timeout: float) -> None:
        self.frames, self._accelerator, self._decode = frames, accelerator, decode
        self._parts = parts
        self._handles: List[Any] = []
        self._results: List[np.ndarray] = []
        self._result: Optional[np.ndarray] = None
        self._next = next(parts, None)
        self._aborts = accelerator.aborts
        self._submit(timeout)

    @property
    def done(self) -> int:
        """Frames that are done, without waiting."""
        if self._result is not None:
            return self.frames
        transport = self._accelerator.transport
        return sum(map(len, self._results)) + sum(map(transport.poll, self._handles))

    def wait(self, timeout: float = 10.0) -> np.ndarray:
        """Wait for the results, no longer than ``timeout`` seconds for any part of the batch."""
        if self._result is None:
            transport = self._accelerator.transport
            while self._handles:
                self._results.append(transport.wait(self._handles[0], timeout))
                self._handles.pop(0)
                self._submit(timeout)
            o = self._accelerator.output
            data = (np.concatenate(self._results) if self._results
                    else np.zeros((0, o.bytes), np.uint8))
            self._result = self._decode(o.unpack(data))
            self._results = []
        return self._result

    def _submit(self, timeout: float) -> None:
        """Submit further parts, as many as may be in flight."""
        while self._next is not None and len(self._handles) < IN_FLIGHT:
            if self._aborts != self._accelerator.aborts:
                raise DriverError("the batch was dropped by an abort")
            self._handles.append(self._accelerator.transport.submit(self._next, timeout))
            self._next = next(self._parts, None)


class Accelerator:
    """An accelerator on a board, as the folder ``deploy`` describes it.

    ``run`` takes and returns what the ONNX file takes and returns. It is for one thread.

    Parameters
    ----------
    folder : path
        With ``accelerator.json`` and what it names.
    transport : Transport, optional
        The way to the accelerator. Opened as the metadata and the machine are, unless given.
    load : bool
        Load the bitstream first, where this machine can.
    options
        For the transport: ``port`` of a UART, ``batch`` of memory, ...
    """

    def __init__(self, folder: Union[str, Path], transport: Optional[Transport] = None, *,
                 load: bool = True, **options: Any) -> None:
        self.folder = Path(folder)
        self.metadata = read_metadata(self.folder)
        self.input = FrameFormat.from_dict(self.metadata["input"], "input")
        self.output = FrameFormat.from_dict(self.metadata["output"], "output")
        self.host = Host.read(self.folder / self.metadata["host"]["file"],
                              self.metadata["host"]["sha256"])
        if transport is None:
            from .opening import open_transport
            transport = open_transport(self.metadata, self.folder, load=load, **options)
        self.transport, self.aborts = transport, 0
        try:
            check_identity(transport.identify(), self.metadata)
            if self.metadata["writable"]:
                # What was written before is not to be seen from here: it may be another's.
                self.load(self.folder / self.metadata["writable"]["file"])
        except BaseException:
            transport.close()
            raise

    def run(self, images: np.ndarray, timeout: float = 10.0) -> np.ndarray:
        """Return what the ONNX file returns for a batch of any size.

        ``timeout`` is in seconds, for each part of the batch that is under way at once.
        """
        return self.submit(images, timeout).wait(timeout)

    def run_integers(self, codes: np.ndarray, timeout: float = 10.0) -> np.ndarray:
        """Return the integers that leave the last layer for those that enter the first."""
        codes = np.asarray(codes)
        if codes.ndim and codes.shape[1:] != self.input.dims and len(codes) and (
                codes[0].size == np.prod(self.input.dims)):
            codes = codes.reshape((len(codes), *self.input.dims))
        codes = self.input.check(codes)
        return Batch(self, len(codes), self._parts(codes, lambda part: part), lambda y: y,
                     timeout).wait(timeout)

    def submit(self, images: np.ndarray, timeout: float = 10.0) -> Batch:
        """Send a batch on its way; several may be under way, and are waited for in any order.

        Of a batch of many frames a part is sent at once, the rest while it is waited for.
        """
        images = self.host.checked(images)
        return Batch(self, len(images), self._parts(images, self._encoded), self.host.decode,
                     timeout)

    def throughput(self, frames: int = 10000, timeout: float = 10.0) -> Throughput:
        """Measure with random frames, packed before the clock starts."""
        if frames < 1:
            raise DriverError("a throughput test needs at least 1 frame: %d are asked" % frames)
        transport, size = self.transport, min(frames, self.transport.capacity)
        packed = self.input.pack(self._random(size))
        sizes = [size] * (frames // size) + [frames % size] * bool(frames % size)
        handles: List[Any] = []
        total = busy = 0
        before, start = transport.cycles(), time.perf_counter()
        for count in sizes:
            handles.append(transport.submit(packed[:count], timeout))
            if len(handles) > IN_FLIGHT:
                transport.wait(handles.pop(0), timeout)
                # Often enough that no counter goes round in between.
                now = transport.cycles()
                total += (now.total - before.total) % (1 << 32)
                busy += (now.busy - before.busy) % (1 << 32)
                before = now
        for handle in handles:
            transport.wait(handle, timeout)
        now, seconds = transport.cycles(), time.perf_counter() - start
        total += (now.total - before.total) % (1 << 32)
        busy += (now.busy - before.busy) % (1 << 32)
        bound = self.metadata["bound_cycles"]
        return Throughput(frames, seconds, frames / seconds, busy / frames, bound,
                          bound * frames / busy, total / seconds / 1e6)

    def load(self, contents: Union[str, Path]) -> None:
        """Load weights, and what the host computes for them, from a ``.npz`` that quinnoa wrote."""
        if not self.metadata["writable"]:
            raise DriverError("%s was not compiled as writable: its weights are in the bitstream"
                              % self.metadata["name"])
        words, shape_id, host = read_contents(contents)
        if shape_id != self.metadata["shape_id"]:
            raise DriverError("%s is for accelerators of shape %s, this one has shape %s: compile "
                              "both networks with the same folds" % (
                                  contents, shape_id, self.metadata["shape_id"]))
        expected = self.metadata["writable"]["words"]
        if len(words) != expected:
            raise DriverError("%s has %d words, this accelerator takes %d" % (
                contents, len(words), expected))
        self.transport.write_contents(words)
        self.host = host

    def abort(self, timeout: float = 10.0) -> None:
        """Drop all batches under way; new ones may follow."""
        self.aborts += 1
        self.transport.abort(timeout)

    def close(self) -> None:
        """Stop, and give back what is held."""
        self.transport.close()

    def __enter__(self) -> Accelerator:
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def _encoded(self, images: np.ndarray) -> np.ndarray:
        return self.host.encode(images).reshape((len(images), *self.input.dims))

    def _parts(self, values: np.ndarray, encode: Any) -> Iterator[np.ndarray]:
        """Yield the frames of ``values``, packed, as many at a time as fit a batch."""
        size = self.transport.capacity
        for start in range(0, len(values), size):
            yield self.input.pack(encode(values[start:start + size]))

    def _random(self, frames: int) -> np.ndarray:
        dims, rng = (frames, *self.input.dims), np.random.RandomState(0)
        if self.input.bipolar:
            return rng.randint(0, 2, dims) * 2 - 1
        return rng.randint(self.input.low, self.input.high + 1, dims, dtype=np.int64)


def read_metadata(folder: Path) -> Mapping[str, Any]:
    """Read ``accelerator.json``."""
    path = folder / "accelerator.json"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DriverError("%s cannot be read: %s" % (path, error)) from None
    if metadata.get("format") != FORMAT:
        raise DriverError("%s has format %r, this driver knows %d: use the driver beside it" % (
            path, metadata.get("format"), FORMAT))
    return metadata


def check_identity(identity: Identity, metadata: Mapping[str, Any]) -> None:
    """Refuse an accelerator that is not the one that the metadata describe."""
    identity.checked()
    found, wanted = "%016x" % identity.network_id, metadata["network_id"]
    if found != wanted:
        raise DriverError("the bitstream on the device is of network %s, this folder is of network "
                          "%s (%s): load %s" % (found, wanted, metadata["name"],
                                                metadata["bitstream"]["file"]))
    found, wanted = "%016x" % identity.shape_id, metadata["shape_id"]
    if found != wanted:
        raise DriverError("the accelerator has shape %s, this folder is of shape %s" % (
            found, wanted))
    sizes = FrameFormat.from_dict(metadata["input"]), FrameFormat.from_dict(metadata["output"])
    if (identity.i_bytes, identity.o_bytes) != (sizes[0].bytes, sizes[1].bytes):
        raise DriverError("the accelerator has frames of %d bytes in and %d out, this folder says "
                          "%d and %d" % (identity.i_bytes, identity.o_bytes, sizes[0].bytes,
                                         sizes[1].bytes))


def read_contents(path: Union[str, Path]) -> Tuple[np.ndarray, str, Host]:
    """Read a file of writable contents; return its words, its shape, and the host's part."""
    try:
        arrays = arrays_of(Path(path).read_bytes())
        words, shape_id = arrays["words"], str(arrays["shape_id"])
        digest = str(arrays["sha256"])
    except (OSError, KeyError) as error:
        raise DriverError("%s is no file of weights: %s" % (path, error)) from None
    if words.dtype != np.uint32 or words.ndim != 1:
        raise DriverError("%s has words of type %s, not uint32" % (path, words.dtype))
    if hashlib.sha256(words.astype("<u4").tobytes()).hexdigest() != digest:
        raise DriverError("%s is damaged: the SHA-256 of its words is not as it says" % path)
    return words, shape_id, Host(arrays)
