"""Report: the figures of a compiled folder, as a page that opens offline and as tables.

``report.json`` is a plain dict; ``page`` and ``show`` read it and nothing else, so a report can be
drawn again at any time. Its keys:

``name``
    The accelerator: its Verilog is ``NAME.v``, its top module ``NAME``.
``model``, ``family``, ``device``
    The model's file name; the device family the units were built for; the part, or None.
``clock_mhz``, ``fps``
    The clock all figures are for, and the frames a second: clock / ``bound_cycles``.
``bound_cycles``, ``bottleneck``
    Cycles a frame of the slowest layer, and its name.
``latency``
    Cycles from the first beat of a frame taken to its last beat offered.
``layers``
    Units in the order of the stream, FIFOs and width converters included.
``totals``
    ``lut``, ``ff``, ``bram36``, ``uram``, ``dsp`` of the whole accelerator.
``available``, ``findings``, ``quinnoa``
    Optional: the same resources of the device; ``node``, ``op``, ``becomes``, ``note`` of every
    node of the model; the version that wrote the report.

Keys of a layer: ``name``, ``kind``, ``cycles``, ``lut``, ``ff``, ``bram36``, ``uram``, ``dsp``,
and, where they apply: ``latency``; ``i`` and ``o``, the streams, each ``lanes`` and ``bits`` (of
one element); ``mh``, ``mw``, ``pe``, ``simd``, ``fold``; ``depth`` of a FIFO; ``weights`` in words,
such as "bipolar", and their ``memory`` (style), ``memory_width``, ``memory_depth``.
"""

import json
from pathlib import Path
from typing import Any

from quinnoa.errors import QuinnoaError

__all__ = ["measured", "page", "read", "refresh", "show"]

RESOURCES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}
BRAM36_BITS = 36 * 1024          # UG473: 36 Kb a block RAM

Report = dict[str, Any]


def refresh(folder: Path) -> None:
    """Draw ``report.html`` from ``report.json``, and from ``simulation.json`` where it is there."""
    text = page(*read(folder))
    try:
        (folder / "report.html").write_text(text, encoding="utf-8")
    except OSError as error:
        raise QuinnoaError(f"{folder / 'report.html'} cannot be written: {error.strerror}") \
            from None


def read(folder: Path) -> tuple[Report, Report | None]:
    """Return the report of a compiled folder, and its simulation or None."""
    report = _read_json(folder / "report.json")
    if report is None:
        raise QuinnoaError(f"{folder} is not a compiled folder: it has no report.json; "
                           f"make one with `quinnoa compile MODEL -o {folder}`")
    return report, _read_json(folder / "simulation.json")


def page(report: Report, simulation: Report | None = None) -> str:
    """Return the report as one HTML page that needs nothing beside it."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration, "number": number, "rate": rate, "share": share}
    layers = [{**_BLANK, **layer} for layer in report["layers"]]
    return environment.get_template("report.html").render(
        r=report, s=simulation, layers=layers, resources=RESOURCES, used=_used(report),
        memories=[layer | {"fill": _fill(layer)} for layer in layers if layer["memory_depth"]],
        seconds=lambda cycles: cycles / report["clock_mhz"] / 1e6)


def show(report: Report, simulation: Report | None = None) -> None:
    """Print the report as tables in the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    used, bound = _used(report), report["bound_cycles"]
    table = Table(title=Text(f"{report['name']}: {rate(report['fps'])} frames/s "
                             f"at {number(report['clock_mhz'])} MHz"), title_justify="left")
    table.add_column("layer")
    for heading in ("MH × MW", "PE", "SIMD", "cycles", "busy", *(RESOURCES[k] for k in used)):
        table.add_column(heading, justify="right")
    for layer in report["layers"]:
        size = f"{layer['mh']} × {layer['mw']}" if layer.get("mw") else ""
        table.add_row(Text(layer["name"]), size, *(number(layer.get(k)) for k in ("pe", "simd")),
                      number(layer["cycles"]), share(layer["cycles"], bound),
                      *(number(layer[k]) for k in used))
    table.add_section()
    table.add_row("total", "", "", "", number(bound), "",
                  *(number(report["totals"][k]) for k in used))
    console = Console()
    console.print(table)
    console.print(Text(f"latency {number(report['latency'])} cycles, "
                       f"{duration(report['latency'] / report['clock_mhz'] / 1e6)}"))
    if simulation:
        console.print(Text(measured(simulation)))


def measured(simulation: Report) -> str:
    """Return one line that says what a simulation found."""
    parts = [f"{simulation['level']}: {number(simulation['frames'])} frames",
             f"{number(simulation['mismatches'])} mismatches with the model"]
    if simulation.get("mismatches_onnx") is not None:
        parts.append(f"{number(simulation['mismatches_onnx'])} with the ONNX executor")
    if simulation.get("cycles_per_frame") is not None:
        parts.append(f"{number(simulation['cycles_per_frame'])} cycles a frame")
    if simulation.get("latency") is not None:
        parts.append(f"latency {number(simulation['latency'])} cycles")
    if simulation.get("accuracy") is not None:
        parts.append(f"accuracy {100 * simulation['accuracy']:.2f} %")
    return ", ".join(parts) + f", in {simulation['seconds']:.1f} s"


def number(value: float | None) -> str:
    """Return ``value`` for people: thousands apart, at most two decimals, nothing for None."""
    if value is None:
        return ""
    text = f"{value:,.2f}"
    return text.rstrip("0").rstrip(".")


def rate(value: float) -> str:
    """Return frames a second with three digits or more: 1.56 M, 97,656, 12.5."""
    if value >= 1e6:
        return f"{number(value / 1e6)} M"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def duration(seconds: float) -> str:
    """Return a time with three digits or more: 0.64 µs, 6.99 ms, 1.5 s."""
    unit, scale = next(((u, s) for u, s in (("µs", 1e6), ("ms", 1e3)) if seconds * s < 1000),
                       ("s", 1))
    return f"{number(seconds * scale)} {unit}"


def share(part: float, whole: float) -> str:
    """Return ``part`` as a percentage of ``whole``, nothing where the whole is 0."""
    if not whole:
        return ""
    return f"{100 * part / whole:.1f}".removesuffix(".0") + " %"


_BLANK = dict.fromkeys(["latency", "i", "o", "mh", "mw", "pe", "simd", "fold", "depth", "memory",
                        "memory_width", "memory_depth", "weights"])


def _used(report: Report) -> list[str]:
    """Return the resources worth a column: LUT and FF always, the others where not 0."""
    return [key for key in RESOURCES if key in ("lut", "ff") or report["totals"][key]]


def _fill(layer: Report) -> float | None:
    """Return the share of the layer's block RAM bits that its memory uses."""
    if not layer["bram36"]:
        return None
    return layer["memory_width"] * layer["memory_depth"] / (layer["bram36"] * BRAM36_BITS)


def _read_json(path: Path) -> Report | None:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise QuinnoaError(f"{path} cannot be read: {error}") from None
