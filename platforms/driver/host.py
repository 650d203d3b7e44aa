"""Host: what the host computes, in front of the accelerator and behind it, with numpy alone.

In front: the integers of the first layer from what the ONNX file takes. Where the file's nodes are,
for each element, a rising or falling function of that element, they are thresholds, found by
quinnoa among all values of the element type, so that every code is exactly the file's. Behind: what
the file gives from the integers of the last layer, as a scale and an offset or as a table of all of
them. What can be neither is nodes of the file, evaluated by ONNX Runtime if it is there.

A ``host.npz`` has all this: ``host``, a JSON text, and the arrays that it speaks of.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any, Dict, Mapping

import numpy as np

from .errors import DriverError, HostError

__all__ = ["Host", "arrays_of"]

FEW = 16                                 # thresholds: comparing with each is faster than a search


class Host:
    """Head and tail of a network.

    Parameters
    ----------
    arrays : mapping
        What ``host.npz`` holds.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        settings = json.loads(str(arrays["host"]))
        self._head, self._tail = settings["head"], settings["tail"]
        self._arrays = dict(arrays)
        self.name, self.dims = self._head["name"], tuple(self._head["dims"])
        self._nodes: Dict[str, _Nodes] = {}

    @classmethod
    def read(cls, path: Path, sha256: str) -> Host:
        """Read a file, and see that it is whole."""
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise DriverError("%s cannot be read: %s" % (path, error)) from None
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DriverError("%s is not the file that accelerator.json speaks of: its SHA-256 is "
                              "another" % path)
        return cls(arrays_of(data))

    @property
    def alone(self) -> bool:
        """Whether numpy alone computes head and tail."""
        return not any(part["kind"] is None or part["nodes"] for part in (self._head, self._tail))

    def checked(self, x: np.ndarray) -> np.ndarray:
        """Return the model's input as the head takes it; refuse what is none."""
        self._expressible(self._head, "in front of")
        self._expressible(self._tail, "behind")
        x = np.asarray(x)
        if x.ndim != len(self.dims) + 1 or x.shape[1:] != self.dims:
            raise DriverError("input %s takes arrays of shape (frames, %s): %s is given" % (
                self.name, ", ".join(map(str, self.dims)), x.shape))
        dtype = np.dtype(self._head["dtype"])
        if self._head["raw"]:
            if x.dtype.kind not in "iu":
                raise DriverError("input %s takes raw integers: %s is given" % (
                    self.name, x.dtype))
        elif not np.can_cast(x.dtype, dtype):
            # Pixels of uint8 may stand for floats: what the type holds exactly is taken.
            raise DriverError("input %s takes %s: %s is given" % (self.name, dtype, x.dtype))
        return x

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Return the integers (frames, elements) of the first layer for checked ``x``."""
        head = self._head
        values = x.reshape(len(x), int(np.prod(self.dims)))
        if not head["raw"]:
            values = values.astype(head["dtype"], copy=False)
            if not np.isfinite(values).all():
                raise DriverError("input %s has %d values that are infinite or NaN" % (
                    self.name, int((~np.isfinite(values)).sum())))
        if head["nodes"]:
            values = self._evaluated("head", values.reshape(x.shape)).reshape(len(x), -1)
        if head["kind"] != "steps":
            codes = self._whole(values)
        elif x.dtype == np.uint8 and not head["nodes"] and len(self._arrays["head_first"]) == 2:
            # Pixels: each of the 256 once.
            every = self._stepped(np.arange(256).astype(head["dtype"])[:, None])
            codes = every[:, 0][x.reshape(values.shape)]
        else:
            codes = self._stepped(values)
        order = self._arrays.get("head_order")
        if order is None:
            return codes
        arranged = np.empty_like(codes)
        arranged[:, order] = codes
        return arranged

    def decode(self, y: np.ndarray) -> np.ndarray:
        """Return what the file gives for the integers ``(frames, *dims)`` of the last layer."""
        tail, frames = self._tail, len(y)
        if tail["kind"] == "indices":
            return y.reshape(frames, y.shape[-1]).astype(np.int64)
        flat = y.reshape(frames, int(np.prod(y.shape[1:])))
        codes = flat[:, self._arrays["tail_order"]].astype(np.int64)
        low, high = tail["low"], tail["high"]
        if codes.size and (codes.min() < low or codes.max() > high):
            raise DriverError("the accelerator gave integers in [%d, %d], where only [%d, %d] can "
                              "be" % (codes.min(), codes.max(), low, high))
        dtype = np.dtype(tail["dtype"])
        if tail["kind"] == "table":
            # values[which * levels + code - low]
            values = self._arrays["tail_values"]
            codes += self._arrays["tail_which"] * (high - low + 1) - low
            result = values[codes]
        else:
            with np.errstate(over="ignore"):     # infinity, as in the file
                result = (self._arrays["tail_scale"] * codes.astype(np.float64)
                          + self._arrays["tail_offset"]).astype(dtype)
        # dims are those of one frame's share of the tensor, the first counted for each frame.
        dims = tail["dims"]
        result = result.reshape([frames * dims[0], *dims[1:]] if dims else [frames])
        if tail.get("top"):
            return _greatest(result, **tail["top"])
        return self._evaluated("tail", result) if tail["nodes"] else result

    def _expressible(self, part: Mapping[str, Any], where: str) -> None:
        if part["kind"] is None:
            raise HostError("what the file has %s the accelerator cannot be computed here: %s; "
                            "use run_integers, which takes and gives the accelerator's integers"
                            % (where, part["reason"]))

    def _stepped(self, values: np.ndarray) -> np.ndarray:
        """Return the codes of values, by the thresholds of each element's class.

        code = levels[number of thresholds that are not above the value]
        """
        steps, levels = self._arrays["head_steps"], self._arrays["head_levels"]
        first, which = self._arrays["head_first"], self._arrays["head_which"]
        codes = np.empty(values.shape, levels.dtype)
        for c in range(len(first) - 1):
            own = slice(None) if len(first) == 2 else np.flatnonzero(which == c)
            # One level more than thresholds in each class.
            codes[:, own] = levels[first[c] + c:][_counted(steps[first[c]:first[c + 1]],
                                                           values[:, own])]
        return codes

    def _whole(self, values: np.ndarray) -> np.ndarray:
        """Return values that already are integers."""
        low, high = self._head["low"], self._head["high"]
        codes = values.astype(np.int64)
        wrong = (values < low) | (values > high) | (codes != values)
        if self._head["bipolar"]:
            wrong |= codes == 0
        if wrong.any():
            what = ("-1 and +1" if self._head["bipolar"] else "integers in [%d, %d]" % (low, high))
            raise DriverError("input %s takes %s: %s is among the values given" % (
                self.name, what, values[wrong][0]))
        return codes

    def _evaluated(self, part: str, x: np.ndarray) -> np.ndarray:
        if part not in self._nodes:
            settings = self._head if part == "head" else self._tail
            self._nodes[part] = _Nodes(self._arrays[part + "_onnx"].tobytes(), settings)
        return self._nodes[part](x)


def arrays_of(data: bytes) -> Dict[str, np.ndarray]:
    """Return the arrays of a ``.npz``; ``OSError`` if it is none that is whole."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise OSError("no .npz that is whole: %s" % error) from None


def _counted(steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return how many of ascending steps are not above each value."""
    if len(steps) > FEW:
        return np.searchsorted(steps, values, side="right")
    count = np.zeros(values.shape, np.uint8)
    for step in steps:
        count += values >= step
    return count


def _greatest(x: np.ndarray, k: int, indices: bool, keep: bool) -> np.ndarray:
    """Return the k greatest of the last axis, or where they are; of equals the first."""
    # Ascending from the back, so that the first of equals comes first.
    order = x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1][..., :k]
    found = order if indices else np.take_along_axis(x, order, axis=-1)
    return found if keep else found[..., 0]


class _Nodes:
    """Nodes of the file, evaluated by ONNX Runtime as they are.

    ``together``: of all frames at once; else one by one, as arrays of dims ``frame``.
    """

    def __init__(self, model: bytes, settings: Mapping[str, Any]) -> None:
        try:
            import onnxruntime
        except ImportError:
            raise HostError(
                "the host's part of this network has nodes that take onnxruntime (%s), which is "
                "missing: pip install onnxruntime; or use run_integers, which takes and gives the "
                "accelerator's integers" % ", ".join(settings["operators"])) from None
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(model, options,
                                                     providers=["CPUExecutionProvider"])
        self._together, self._frame = settings["together"], settings["frame"]
        self._name = self._session.get_inputs()[0].name

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._together:
            return self._run(x)
        each = [self._run(frame) for frame in x.reshape([-1, *self._frame])]
        if not each:
            raise DriverError("this network takes no batch of 0 frames")
        return np.concatenate(each) if each[0].ndim else np.stack(each)

    def _run(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self._session.run(None, {self._name: np.ascontiguousarray(x)})[0])
