"""Points: what is computed of a sweep, each a job that any worker can do from its data alone.

There are three kinds. ``accuracy``: of a model, on labelled frames. ``range``: the cycles a frame
of a model in its slowest folds and in the fastest that fit a device. ``point``: the figures of a
model in the cheapest folds for some cycles a frame.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import quinnoa
from quinnoa.arrays import accuracy
from quinnoa.errors import FoldError, QuinnoaError

__all__ = ["Job", "compute", "fingerprint", "provide"]

# What jobs are computed from, by its SHA-256: the bytes of models; frames and their labels.
_data: dict[str, Any] = {}


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Return the version, and a hash of the sources: what results depend on besides settings."""
    files = {}
    for base in map(Path, quinnoa.__path__):
        for part in ("rtl", "graph", "platforms", "sim", ""):
            for path in base.glob(f"{part}/**/*.*" if part else "*.py"):
                if path.suffix in (".py", ".json", ".cpp", ".v"):
                    files[path.relative_to(base).as_posix()] = path.read_bytes()
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {len(files[name])}\n".encode() + files[name])
    return f"{quinnoa.__version__}+{digest.hexdigest()[:12]}"


@dataclass(frozen=True)
class Job:
    """Something to compute.

    Parameters
    ----------
    kind : str
        "accuracy", "range" or "point".
    settings : mapping
        All that the result follows from, as JSON has it: ``model`` (SHA-256), ``name``, ``input``,
        ``top``; ``frames`` (SHA-256); ``device``, ``writable``, ``clock_mhz``, ``target``,
        ``synthesis``, ``simulation``.
    made_by : str
        ``fingerprint()`` of who asks: a worker of another version refuses.
    """

    kind: str
    settings: Mapping[str, Any]
    made_by: str = field(default_factory=fingerprint)

    @property
    def key(self) -> str:
        """A hash of all of it."""
        text = json.dumps([self.kind, dict(self.settings), self.made_by], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def provide(data: Mapping[str, Any]) -> None:
    """Give this process what jobs are computed from, by SHA-256."""
    _data.update(data)


def compute(job: Job) -> dict[str, Any]:
    """Return the result of a job, as JSON has it.

    Raises ``QuinnoaError`` where it fails, or where the job was made by another version.
    """
    if job.made_by != fingerprint():
        raise QuinnoaError(f"this worker has quinnoa {fingerprint()}, the sweep {job.made_by}: "
                           "install the same on both")
    kinds: dict[str, Callable[..., dict[str, Any]]] = {
        "accuracy": _accuracy, "range": _range, "point": _point}
    return kinds[job.kind](**job.settings)


@lru_cache(maxsize=8)
def _network(model: str, name: str, input: str, top: int | None):
    """Load a model once for all its points; ``input`` is JSON."""
    from quinnoa.flow import load
    kind = json.loads(input)
    return load(_data[model], input=tuple(kind) if kind else None, top=top).renamed(name)


def _load(model, name, input, top):
    return _network(model, name, json.dumps(input), top)


def _accuracy(*, model, name, input, top, frames) -> dict[str, Any]:
    network = _load(model, name, input, top)
    x, labels = _data[frames]
    return {"accuracy": accuracy(network.run(x), labels, top), "frames": len(x)}


def _range(*, model, name, input, top, device, writable=False) -> dict[str, Any]:
    from quinnoa.flow import fold
    from quinnoa.graph.lanes import cycles
    from quinnoa.graph.layers import Fold
    from quinnoa.platforms.parts import part_named

    network = _load(model, name, input, top)
    slowest = max(cycles(layer, Fold()) for layer in network.layers)
    try:
        filled = fold(network, device=device, maximum=True, family=part_named(device).family,
                      writable=writable)
    except FoldError as error:
        return {"slowest": slowest, "fastest": None, "why": str(error)}
    return {"slowest": slowest, "fastest": max(map(cycles, filled.layers))}


def _point(*, model, name, input, top, device, clock_mhz, target, synthesis, simulation,
           writable=False) -> dict[str, Any]:
    from quinnoa.flow import budget_of
    from quinnoa.graph.fold import fold_for_cycles
    from quinnoa.graph.solver import plan_of
    from quinnoa.graph.writable import widened
    from quinnoa.platforms.parts import part_named
    from quinnoa.summary import summarise

    part = part_named(device)
    whole = _load(model, name, input, top)
    network = fold_for_cycles(whole, target, family=part.family, budget=budget_of(device),
                              writable=writable)
    planned = plan_of(network, part.family, writable)
    network = widened(network) if writable else network
    report = summarise(network, planned, family=part.family, device=device, clock_mhz=clock_mhz)
    point = {key: report[key] for key in
             ("cycles", "bound_cycles", "latency", "fps", "bottleneck", "clock_mhz")}
    point |= {"target": target, **report["totals"],
              "folds": {layer.name: [layer.fold.pe, layer.fold.simd] for layer in network.layers},
              "i": _bits(whole.i), "o": _bits(whole.layers[-1].o),
              "products": _products(whole, report)}
    if synthesis or simulation:
        point |= _tried(network, planned, part.family, synthesis, simulation)
    return point


def _tried(network, planned, family, synthesis, simulation) -> dict[str, Any]:
    from quinnoa.trial import simulated, synthesised, verilog_of
    verilog, tried = verilog_of(network, planned), {}
    if simulation:
        tried["simulation"] = simulated(verilog, network, planned)
    if synthesis:
        tried["synthesis"] = synthesised(verilog, name=network.name, family=family)
    return tried


def _products(network, report) -> list[dict[str, Any]]:
    """Return of every layer with weights its work and its traffic a frame, as the model has it.

    What a window cuts out of an image again and again is read once.
    """
    from amaranth import Shape

    from quinnoa.graph.layers import Depthwise, MatMul, Window

    units = {unit["name"]: unit for unit in report["layers"]}
    windows = {layer.name: layer.i for layer in network.layers if isinstance(layer, Window)}
    return [{"name": layer.name, "macs": layer.weights.size * layer.i.vectors,
             "w_bits": Shape.cast(layer.w_shape).width, "x_bits": Shape.cast(layer.i.shape).width,
             "weights": layer.weights.size * Shape.cast(layer.w_shape).width,
             "i": _bits(windows.get(fed, layer.i)), "o": _bits(layer.o),
             "cycles": units[layer.name]["cycles"], "lut": units[layer.name]["lut"]}
            for layer, (fed, *_) in zip(network.layers, network.feeds, strict=True)
            if isinstance(layer, MatMul | Depthwise)]


def _bits(stream) -> int:
    """Return the bits of a frame of a stream."""
    from amaranth import Shape
    return stream.vectors * stream.channels * Shape.cast(stream.shape).width
