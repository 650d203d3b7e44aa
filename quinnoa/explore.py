"""Explore: models, devices and folds against each other, as a table and a page of pictures.

The folds of a model on a device are a ladder: from the slowest there are to the fastest that fit, a
geometric sequence of cycles a frame, each in its cheapest folds. Points of one device are compared
by frames a second, by LUTs, block RAMs, UltraRAMs and DSPs, and, where labelled frames tell it, by
accuracy; a point is optimal if no other is as good in all and better in one.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from quinnoa import __version__
from quinnoa.arrays import read_samples
from quinnoa.errors import QuinnoaError
from quinnoa.points import Job
from quinnoa.process import Progress, silent
from quinnoa.store import Store

__all__ = ["explore", "ladder", "mark_optimal", "show"]

RESOURCES = ("lut", "ff", "bram36", "uram", "dsp")
SCARCE = ("lut", "bram36", "uram", "dsp")
COLUMNS = ("model", "device", "clock_mhz", "cycles", "fps", "latency", "lut", "ff",
           "bram36", "uram", "dsp", "share", "fits", "accuracy", "optimal", "bottleneck")

Point = dict[str, Any]


def explore(models: Sequence[Any], folder, *, devices: Sequence[str], clock_mhz: float = 100.0,
            points: int = 10, input=None, top: int | None = None, images=None, labels=None,
            writable: bool = False, synthesis: bool = False, simulation: bool = False,
            scheduler: str | None = None, workers: int | None = None,
            progress: Progress = silent) -> dict[str, Any]:
    """Explore models on devices; write and return ``points.json``.

    Parameters
    ----------
    models : sequence of paths
        ONNX files.
    folder : path
        Where ``points.json``, ``points.csv`` and ``explore.html`` go, and each result as it comes
        in: called again after a kill, what is there is not computed again.
    devices : sequence of str
        Parts, as ``platforms.parts`` knows them.
    clock_mhz : float
    points : int
        Steps of the ladder of each model on each device.
    input, top
        As for ``quinnoa.load``.
    images, labels : paths of .npy files, optional
        Frames and their classes, for the accuracy of each model.
    writable : bool
        Weights and thresholds can be written at run time.
    synthesis, simulation : bool
        Synthesise each point by Yosys; run each on Verilator.
    scheduler, workers, progress
        As for ``sweep``.

    Raises
    ------
    QuinnoaError
        A model, a device, the folder or the scheduler is at fault. What fails of the points is in
        the result as ``failed``, and does not raise.
    """
    from quinnoa.flow import check_clock
    from quinnoa.page import write_page
    from quinnoa.platforms.parts import part_named
    from quinnoa.sweep import sweep

    if points < 1:
        raise QuinnoaError(f"points is {points}, but must be at least 1")
    check_clock(clock_mhz)
    if (images is None) != (labels is None):
        raise QuinnoaError("the accuracy needs both frames and their classes")
    names = list(dict.fromkeys(part_named(device).name for device in devices))
    if not names or not models:
        raise QuinnoaError("a model and a device at least are needed")
    progress("reading the models")
    samples = None if images is None else read_samples(images, labels)
    data, settings = _models(models, input, top, samples)
    frames = samples and _add_samples(samples, data)
    store = Store(folder)

    jobs = [Job("range", {**model, "device": device, "writable": writable})
            for model in settings for device in names]
    if frames is not None:
        jobs += [Job("accuracy", {**model, "frames": frames}) for model in settings]

    def follow(job: Job, result: dict[str, Any]) -> Iterable[Job]:
        if job.kind != "range":
            return []
        return [Job("point", {**job.settings, "clock_mhz": clock_mhz, "target": target,
                              "synthesis": synthesis, "simulation": simulation})
                for target in ladder(result["slowest"], result["fastest"], points)]

    try:
        outcome = sweep(jobs, data, store, follow=follow, scheduler=scheduler, workers=workers,
                        progress=progress)
    except KeyboardInterrupt:
        raise QuinnoaError(f"stopped; {folder} keeps what is done, and the same command goes on "
                           "from there") from None
    result = _gather(outcome, settings, names, clock_mhz)
    progress("writing the page")
    store.write("points.json", json.dumps(result, indent=1) + "\n")
    store.write("points.csv", _as_csv(result["points"]))
    write_page(result, store)
    return {**result, "found": outcome.found}


def ladder(slowest: int, fastest: int | None, points: int) -> list[int]:
    """Return cycles a frame from the slowest to the fastest, in steps of one ratio, once each.

    Where nothing fits, ``fastest`` is None, and the slowest alone is of interest.
    """
    if fastest is None:
        return [slowest]
    if points == 1:
        return [fastest]
    # slowest * (fastest / slowest) ^ (k / (points - 1))
    steps = [slowest * (fastest / slowest) ** (k / (points - 1)) for k in range(points)]
    return list(dict.fromkeys([slowest, *(round(step) for step in steps[1:-1]), fastest]))


def _models(models, input, top, samples) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the bytes of models by their SHA-256, and the settings of each."""
    from quinnoa.flow import load

    data: dict[str, Any] = {}
    settings: list[dict[str, Any]] = []
    for path in models:
        network = load(path, input=tuple(input) if input else None, top=top)
        if samples is not None:
            _check_samples(path, network, samples[0])
        digest = hashlib.sha256(network.source).hexdigest()
        if digest in data:
            raise QuinnoaError(f"{path} is given twice, or a copy of it")
        name, count = network.name, 2
        while name in [each["name"] for each in settings]:
            name, count = f"{network.name}_{count}", count + 1
        data[digest] = network.source
        settings.append({"model": digest, "name": name, "input": list(input) if input else None,
                         "top": top})
    return data, settings


def _check_samples(path, network, x: np.ndarray) -> None:
    """Refuse frames that a model does not take, before anything is computed."""
    try:
        network.encode(x)
    except QuinnoaError as error:
        raise QuinnoaError(f"{path}: {error}") from None


def _add_samples(samples, data: dict[str, Any]) -> str:
    """Add labelled frames to the data; return their SHA-256."""
    x, y = samples
    text = f"{x.dtype} {x.shape} {y.dtype}".encode()
    digest = hashlib.sha256(text + x.tobytes() + y.tobytes()).hexdigest()
    data[digest] = samples
    return digest


def _gather(outcome, settings, devices, clock_mhz) -> dict[str, Any]:
    """Return all results in one: the same, whatever the order in which they came."""
    from quinnoa.platforms.parts import part_named

    accuracy, why = {}, []
    found: dict[tuple[str, str, int], Point] = {}
    for job, result in sorted(outcome.results, key=lambda each: each[0].settings.get("target", 0)):
        name = job.settings["name"]
        if job.kind == "accuracy":
            accuracy[name] = result["accuracy"]
        elif job.kind == "point":
            device = job.settings["device"]
            # Several steps of a ladder may end in folds of the same cycles: those of the first.
            found.setdefault((name, device, result["cycles"]), {
                "model": name, "device": device, **result})
        elif result["fastest"] is None:
            why.append({"model": name, "device": job.settings["device"], "why": result["why"]})
    order = [each["name"] for each in settings]
    points = sorted(found.values(), key=lambda p: (devices.index(p["device"]),
                                                   order.index(p["model"]), -p["cycles"]))
    for point in points:
        point["accuracy"] = accuracy.get(point["model"])
        _measure(point, part_named(point["device"]))
    mark_optimal(points)
    failed = [{"kind": job.kind, "why": reason, **{
        key: job.settings[key] for key in ("name", "device", "target") if key in job.settings}}
        for job, reason in outcome.failed]
    return {"quinnoa": __version__, "clock_mhz": clock_mhz,
            "models": [{"name": each["name"], "sha256": each["model"],
                        "accuracy": accuracy.get(each["name"])} for each in settings],
            "devices": [{"name": name, "family": part_named(name).family, **{
                key: getattr(part_named(name), key) for key in RESOURCES}} for name in devices],
            "points": points, "too_large": why, "failed": failed}


def _measure(point: Point, part) -> None:
    """Say what share of a device a point takes, and whether it fits."""
    from quinnoa.flow import budget_of
    from quinnoa.graph.resources import Resources

    area = _area(point)
    shares = [area[key] / getattr(part, key) if getattr(part, key) else float(area[key] > 0)
              for key in RESOURCES]
    point["share"] = round(max(shares), 6)
    need = Resources(**{key: area[key] for key in RESOURCES})
    point["fits"] = budget_of(part.name).holds(need) and max(shares) <= 1


def mark_optimal(points: list[Point]) -> None:
    """Set ``optimal`` of every point: it fits, and no other that does is as good in all and better.

    Models are compared with each other only where the accuracy of all is known.
    """
    def merits(point: Point) -> np.ndarray:
        return np.array([point["fps"], point["accuracy"] or 0.0, *(-_area(point)[key]
                                                                   for key in SCARCE)])

    together = all(point["accuracy"] is not None for point in points)
    groups: dict[Any, list[Point]] = {}
    for point in points:
        point["optimal"] = point["fits"]
        if point["fits"]:
            groups.setdefault((point["device"], together or point["model"]), []).append(point)
    for group in groups.values():
        every = np.array([merits(point) for point in group])
        for point, own in zip(group, every, strict=True):
            point["optimal"] = not ((every >= own).all(axis=1) & (every > own).any(axis=1)).any()


def _area(point: Point) -> dict[str, Any]:
    """Return what a point takes: by synthesis if there is one."""
    return point.get("synthesis") or point


def _as_csv(points: list[Point]) -> str:
    """Return points as CSV, with what synthesis and simulation found in columns of their own."""
    columns = [*COLUMNS]
    for trial, keys in (("synthesis", RESOURCES), ("simulation", ("cycles_per_frame", "latency"))):
        if any(trial in point for point in points):
            columns += [f"{trial}_{key}" for key in keys]

    def cell(point: Point, column: str) -> Any:
        trial, _, key = column.partition("_")
        return point[trial][key] if trial in point and column not in point else point.get(column)

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([[cell(point, column) for column in columns] for point in points])
    return text.getvalue()


def show(result: dict[str, Any], folder: Path) -> None:
    """Print the points as tables, the optimal ones marked, and what was too large."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from quinnoa.report import number

    console = Console()
    groups: dict[tuple[str, str], list[Point]] = {}
    for point in result["points"]:
        groups.setdefault((point["device"], point["model"]), []).append(point)
    for (device, model), points in groups.items():
        accuracy = points[0]["accuracy"]
        title = f"{model} on {device} at {number(result['clock_mhz'])} MHz"
        title += "" if accuracy is None else f", accuracy {100 * accuracy:.2f} %"
        table = Table(title=Text(title), title_justify="left", box=SIMPLE_HEAD,
                      padding=(0, 0, 0, 1), pad_edge=False)
        rows = [_cells(point) for point in points]
        # What no point has is no column.
        columns = [key for key in rows[0] if any(row[key] for row in rows)]
        for key in columns:
            table.add_column(key, justify="right", no_wrap=True)
        for point, row in zip(points, rows, strict=True):
            table.add_row(*(Text(row[key]) for key in columns),
                          style=None if point["optimal"] else "dim")
        console.print(table)
    for each in result["too_large"]:
        console.print(Text(f"{each['model']} on {each['device']}: {each['why']}"))
    found = f", {result['found']} results were there before" if result.get("found") else ""
    count = len(result["points"])
    console.print(Text(f"{count} point{'s' * (count != 1)}, ● optimal{found}; "
                       f"{folder / 'explore.html'} shows them"), soft_wrap=True)


def _cells(point: Point) -> dict[str, str]:
    """Return the cells of a point's row by their headings."""
    from quinnoa.report import duration, number, rate, share

    made, run = point.get("synthesis"), point.get("simulation")
    return {
        "": "●" if point["optimal"] else "",
        "cycles": number(point["cycles"]), "frames/s": rate(point["fps"]),
        "latency": duration(point["latency"] / point["clock_mhz"] / 1e6),
        "LUT": number(point["lut"]),
        **{word: number(point[key] or None) for word, key in
           (("BRAM36", "bram36"), ("URAM", "uram"), ("DSP", "dsp"))},
        "share": share(point["share"], 1), "fits": "" if point["fits"] else "no",
        "Yosys": number(made["lut"]) if made else "",
        "BRAM": number(made["bram36"]) if made else "",
        "RTL": "" if run is None else number(run["cycles_per_frame"]) + (
            f", {run['mismatches']} wrong" if run["mismatches"] else "")}
