"""Report: the figures of a compiled folder, as a page that opens offline and as tables.

``report.json`` is a plain dict; ``page`` and ``show`` read it and nothing else, so a report can be
drawn again at any time. Its keys:

``name``
    The accelerator: its Verilog is ``NAME.v``, its top module ``NAME``.
``model``, ``family``, ``device``
    The model's file name; the device family the units were built for; the part, or None.
``clock_mhz``, ``fps``
    The clock all figures are for, and the frames a second: clock / ``cycles``.
``bound_cycles``, ``bottleneck``
    Cycles a frame of the slowest layer, and its name.
``latency``
    Cycles from the first beat of a frame taken to its last beat offered.
``layers``
    Units, each after those that feed it, FIFOs, width converters and forks included.
``edges``
    The streams: ``source`` and ``target``, each a unit's name and its stream's, such as
    ``["fork0", "o_1"]``, or None for the host; ``lanes`` and ``bits``. Without it the units are
    a chain.
``totals``
    ``lut``, ``ff``, ``bram36``, ``uram``, ``dsp`` of the whole accelerator.
``available``, ``findings``, ``quinnoa``, ``cycles``
    Optional: the same resources of the device; ``node``, ``op``, ``becomes``, ``note`` of every
    node of the model; the version that wrote the report; cycles a frame of the whole graph, FIFOs
    and all, which is ``bound_cycles`` where nothing holds the bottleneck up.
``notes``
    Optional: what of a fold file was left out, and why.
``solution``
    Optional, where the folds were found and not given: as ``graph.solver`` says it; ``text``, lines
    on what limits, and on what the next step up or down would cost. Else None.
``finn``
    Optional: what FINN's own cost model says, ``cycles``, ``lut``, ``bram18`` (block RAMs of 18
    kbit) of the whole, and in every layer's ``finn`` of that layer, with the ``accumulator_bits``
    of products.
``build``
    Optional, of a board's build: ``board`` (None: the accelerator alone), ``part``, ``toolchain``,
    ``project`` (its folder), ``clock_mhz``; once the tool has run ``tool``, ``reached_mhz``,
    ``met``, ``worst`` (the layer in which the slowest path ends), the resources, and ``layers``:
    theirs, as far as the tool tells.

Keys of a layer: ``name``, ``kind``, ``cycles``, ``lut``, ``ff``, ``bram36``, ``uram``, ``dsp``,
and, where they apply: ``latency``; ``utilisation``, the share of the cycles in which it works;
``i`` and ``o``, the streams, each ``lanes`` and ``bits`` (of one element), and ``dims``;
``mh``, ``mw``, ``pe``, ``simd``, ``fold``; ``depth`` of a FIFO, the beats it ``held`` at the
most in the run that timed the network, and, of the deepest, ``occupancy``: the most beats in each
of up to 400 equal parts of a frame in the steady state; ``weights`` in words, such as "bipolar";
``memory`` (style), ``memory_width``, ``memory_depth`` of the weights or, in an SWU, of the lines;
``kernel``, ``stride``, ``dilation``, ``pads`` of an SWU; ``op``, ``vectors`` of a pool;
``multipliers`` of an add; ``start``, ``stop`` of a slice; ``factor`` of an upsample; ``k`` of a
top K; ``ways`` of a fork.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quinnoa.errors import QuinnoaError
from quinnoa.folder import write
from quinnoa.picture import picture

if TYPE_CHECKING:
    from jinja2 import Template

__all__ = ["built", "measured", "page", "read", "refresh", "show", "template"]

RESOURCES = {"lut": "LUT", "ff": "FF", "bram36": "BRAM36", "uram": "URAM", "dsp": "DSP"}
BETWEEN = ("fifo", "fork", "width")       # kinds of units that are no layers
MANY = 24                        # units that a chart shows
BRAM36_BITS = 36 * 1024          # UG473: 36 Kb a block RAM
# What the two files cannot do without.
KEYS = ("name", "model", "family", "device", "clock_mhz", "bound_cycles", "bottleneck", "latency",
        "fps", "layers", "totals")
SIMULATION_KEYS = ("level", "frames", "mismatches", "seconds")

Report = dict[str, Any]


def refresh(folder: Path) -> None:
    """Draw ``report.html`` from ``report.json``, and from ``simulation.json`` where it is there."""
    write(folder / "report.html", page(*read(folder)).encode())


def read(folder: Path) -> tuple[Report, Report | None]:
    """Return the report of a compiled folder, and its simulation or None."""
    report = _read_json(folder / "report.json", KEYS, "compile")
    if report is None:
        raise QuinnoaError(f"{folder} is not a compiled folder: it has no report.json; "
                           f"make one with `quinnoa compile MODEL -o {folder}`")
    return report, _read_json(folder / "simulation.json", SIMULATION_KEYS, "simulate")


def page(report: Report, simulation: Report | None = None) -> str:
    """Return the report as one HTML page that needs nothing beside it."""
    layers = [{**_BLANK, **layer} for layer in report["layers"]]
    made = template("report.html", about=_about, busy=_busy, clip=_clip, dims=_dims, fold=_fold,
                    largest=_largest, size=_size, steps=_steps, what=_what)
    return made.render(
        r=report, s=simulation, layers=layers, resources=RESOURCES, used=_used(report),
        cycles=report.get("cycles", report["bound_cycles"]), columns=picture(report),
        count=sum(layer["kind"] not in BETWEEN for layer in layers), fifos=_fifos(report),
        memories=[layer | {"fill": _fill(layer)} for layer in layers if layer["memory_depth"]],
        seconds=lambda cycles: cycles / report["clock_mhz"] / 1e6)


def template(name: str, **filters: Callable[..., Any]) -> "Template":
    """Return a page's template, with filters for figures and those given."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"duration": duration, "number": number, "rate": rate, "share": share,
                            **filters}
    return environment.get_template(name)


def built(report: Report, folder: Path) -> str:
    """Return what came of a board's build, as text."""
    build = report["build"]
    if "tool" not in build:
        return f"{build['project']} holds the project for {build['toolchain']}"
    used = ", ".join(f"{number(build[key])} {word}" for key, word in RESOURCES.items()
                     if build[key])
    said = (f"{report['name']} on {build['board'] or build['part']}: "
            f"{number(build['clock_mhz'])} MHz met, up to {number(build['reached_mhz'])}; {used} "
            f"({build['tool']})")
    if build["board"] is None:
        return said
    return f"{said}\n{folder / 'deploy'} runs it there: python validate.py"


def show(report: Report, simulation: Report | None = None) -> None:
    """Print the report as tables in the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text
    used, netlist = _used(report), (simulation or {}).get("netlist")
    table = Table(title=Text(f"{report['name']}: {rate(report['fps'])} frames/s "
                             f"at {number(report['clock_mhz'])} MHz"), title_justify="left")
    table.add_column("layer")
    table.add_column("size", no_wrap=True)
    for heading in ("PE", "SIMD", "cycles", "busy", *(RESOURCES[k] for k in used)):
        table.add_column(heading, justify="right")
    for layer in report["layers"]:
        table.add_row(Text(layer["name"]), _size(layer),
                      *(number(layer.get(k)) for k in ("pe", "simd")), number(layer["cycles"]),
                      share(_busy(layer, report), 1), *(number(layer[k]) for k in used))
    table.add_section()
    table.add_row("total", "", "", "", number(report["bound_cycles"]), "",
                  *(number(report["totals"][k]) for k in used))
    if netlist:
        table.add_row("netlist", *[""] * 5, *(number(netlist["totals"][k]) for k in used))
    console = Console()
    console.print(table)
    if "finn" in report:
        console.print(_finn_table(report))
    lines = [f"latency {number(report['latency'])} cycles, "
             f"{duration(report['latency'] / report['clock_mhz'] / 1e6)}",
             *([report["solution"]["text"]] if report.get("solution") else []),
             *report.get("notes", []), *([measured(simulation)] if simulation else [])]
    console.print(Text("\n".join(lines)), soft_wrap=True)


def _finn_table(report: Report) -> Any:
    """Return FINN's estimates beside ours, as a table for the terminal."""
    from rich.table import Table
    from rich.text import Text
    table = Table(title="FINN's cost model for the same folds", title_justify="left")
    table.add_column("layer")
    for heading in ("cycles", "FINN", "LUT", "FINN", "BRAM18", "FINN"):
        table.add_column(heading, justify="right")
    for layer in report["layers"]:
        if "finn" in layer:
            table.add_row(Text(layer["name"]), *_beside(layer, layer["cycles"], layer["finn"]))
    table.add_section()
    table.add_row("total", *_beside(report["totals"], report["bound_cycles"], report["finn"]))
    return table


def _beside(need: Report, cycles: int, finn: Report) -> list[str]:
    ours = cycles, need["lut"], 2 * need["bram36"]
    theirs = finn["cycles"], finn["lut"], finn["bram18"]
    return [number(value) for pair in zip(ours, theirs, strict=True) for value in pair]


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
    """Return a time in three digits: 0.64 µs, 6.99 ms, 642 ms, 1.5 s."""
    unit, scale = next(((u, s) for u, s in (("µs", 1e6), ("ms", 1e3)) if seconds * s < 999.5),
                       ("s", 1))
    value = seconds * scale
    return f"{number(round(value, 0 if value >= 100 else 1 if value >= 10 else 2))} {unit}"


def share(part: float, whole: float) -> str:
    """Return ``part`` as a percentage of ``whole``, nothing where the whole is 0."""
    if not whole:
        return ""
    return f"{100 * part / whole:.1f}".removesuffix(".0") + " %"


_BLANK = dict.fromkeys(["latency", "i", "o", "mh", "mw", "pe", "simd", "fold", "depth", "memory",
                        "memory_width", "memory_depth", "weights"])


def _busy(layer: Report, report: Report) -> float:
    """Return the share of the cycles in which a unit works."""
    return layer.get("utilisation", layer["cycles"] / report["bound_cycles"])


def _size(layer: Report) -> str:
    """Return what a unit of this kind is known by: a matrix, a kernel, a depth, lanes."""
    kind = layer["kind"]
    if layer.get("mw"):
        return f"{layer['mh']:,} × {layer['mw']:,}"
    if kind == "fifo":
        return f"{layer['depth']:,} deep"
    if kind == "width" and layer.get("i") and layer.get("o"):
        return f"{layer['i']['lanes']} → {layer['o']['lanes']}"
    if kind == "fork" and "ways" in layer:
        return f"{layer['ways']} ways"
    if kind == "swu" and "kernel" in layer:
        dilation = "" if set(layer["dilation"]) == {1} else f", dilation {_pair(layer['dilation'])}"
        return _kernel(layer) + dilation
    if kind == "pool" and "op" in layer:
        return f"{layer['op']} of {layer['vectors']:,}"
    if kind == "slice" and "stop" in layer:
        return f"{layer['start']:,} to {layer['stop']:,}"
    if kind == "upsample" and "factor" in layer:
        return f"by {_pair(layer['factor'])}"
    return f"top {layer['k']}" if kind == "topk" and "k" in layer else ""


def _kernel(layer: Report) -> str:
    """Return kernel and stride of an SWU."""
    stride = "" if set(layer["stride"]) == {1} else f" / {_pair(layer['stride'])}"
    return " × ".join(map(str, layer["kernel"])) + stride


def _pair(numbers: list[int]) -> str:
    """Return rows and columns, once where they are alike."""
    return " × ".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))


def _what(layer: Report) -> str:
    """Return the kind of a layer, and what of its size the picture has room for."""
    if layer["kind"] == "swu" and "kernel" in layer:
        return f"swu {_kernel(layer)}"
    if layer["kind"] in ("pool", "slice", "upsample", "topk"):
        return f"{layer['kind']} {_size(layer)}".removesuffix(" ")
    return layer["kind"]


def _dims(layer: Report) -> str:
    """Return the dims of what a layer gives, or those of its matrix."""
    dims = (layer.get("o") or {}).get("dims") or []
    return "×".join(map(str, dims)) or (f"{layer['mh']}×{layer['mw']}" if layer.get("mw") else "")


def _fold(layer: Report) -> str:
    """Return PE and SIMD, where a layer has them."""
    return ", ".join(f"{key.upper()} {layer[key]}" for key in ("pe", "simd") if layer.get(key))


def _about(unit: Report, report: Report) -> str:
    """Return all that a reader who points at a unit wants to know."""
    parts = [f"{unit['name']}: {unit['kind']} {_size(unit)}".removesuffix(" ")]
    if fold := _fold(unit):
        parts.append(fold)
    if unit["cycles"]:
        parts.append(f"{number(unit['cycles'])} cycles, busy {share(_busy(unit, report), 1)}")
    if unit.get("latency"):
        parts.append(f"latency {number(unit['latency'])}")
    parts += [f"{number(unit[key])} {RESOURCES[key]}" for key in RESOURCES if unit[key]]
    if unit.get("source"):
        parts.append(f"from {unit['source']}")
    return "; ".join(parts)


def _clip(text: str, letters: int) -> str:
    """Return a text that fits, its end left out where it must be."""
    return text if len(text) <= letters else text[:letters - 1] + "…"


def _largest(layers: list[Report], key: str) -> list[Report]:
    """Return the units that a chart shows: all of a few, of many the greatest, greatest first."""
    if len(layers) <= MANY:
        return layers
    return sorted((layer for layer in layers if layer[key]), key=lambda layer: -layer[key])[:MANY]


def _fifos(report: Report) -> list[Report]:
    """Return the FIFOs of which it is known what they hold, deepest first, with their ends."""
    ends: dict[str, dict[str, str]] = {}
    for edge in report.get("edges", []):
        source, target = (edge[side] and edge[side][0] for side in ("source", "target"))
        ends.setdefault(target, {})["source"] = source or "input"
        ends.setdefault(source, {})["target"] = target or "output"
    fifos = [layer | ends.get(layer["name"], {}) for layer in report["layers"]
             if layer["kind"] == "fifo" and layer.get("occupancy")]
    return sorted(fifos, key=lambda fifo: -fifo["depth"])


def _steps(held: list[int], depth: int) -> str:
    """Return the outline of what a FIFO holds, part by part, in a box of 400 × 100."""
    wide = 400 / len(held)
    path = [f"M0 {100 - 100 * held[0] / depth:.4g}"]
    for k in range(1, len(held)):
        if held[k] != held[k - 1]:
            path.append(f"H{wide * k:.5g}V{100 - 100 * held[k] / depth:.4g}")
    return "".join([*path, "H400V100H0Z"])


def _used(report: Report) -> list[str]:
    """Return the resources worth a column: LUT and FF always, the others where not 0."""
    return [key for key in RESOURCES if key in ("lut", "ff") or report["totals"][key]]


def _fill(layer: Report) -> float | None:
    """Return the share of the layer's block RAM bits that its memory uses."""
    if not layer["bram36"]:
        return None
    return layer["memory_width"] * layer["memory_depth"] / (layer["bram36"] * BRAM36_BITS)


def _read_json(path: Path, keys: tuple[str, ...], again: str) -> Report | None:
    """Return the data of a file, None where there is none; refuse one that lacks some."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise QuinnoaError(f"{path} cannot be read: {error}") from None
    if missing := [key for key in keys if not isinstance(found, dict) or key not in found]:
        raise QuinnoaError(f"{path} is damaged: it has no {', '.join(missing)}; {again} again")
    return found
