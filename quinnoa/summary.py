"""Summary: the figures of a compiled network, in the form ``report.json`` fixes."""

from typing import Any

from amaranth import Shape

from quinnoa import __version__
from quinnoa.graph.lanes import axes
from quinnoa.graph.layers import (
    Add,
    Depthwise,
    Layer,
    MatMul,
    Reduce,
    Slice,
    TopK,
    Upsample,
    Window,
)
from quinnoa.graph.resources import (
    Resources,
    layer_resources,
    relay_resources,
    unit_resources,
)
from quinnoa.platforms.parts import part_named
from quinnoa.rtl.shapes import is_bipolar, range_of
from quinnoa.rtl.swu import SWU
from quinnoa.rtl.wide_swu import WideSWU

__all__ = ["summarise"]


def summarise(network, plan, *, family, device, clock_mhz) -> dict[str, Any]:
    """Return the report of a network that was planned: what ``report.json`` holds."""
    layers, total = [], Resources()
    steps = dict(zip(plan.flow.names, plan.flow.steps, strict=True))
    busy = dict(zip(plan.flow.names, plan.timing.utilisation, strict=True))
    held = _held(plan)
    for unit in plan.units:
        entry, need = _entry(unit, steps.get(unit.name, 0), family, plan.words)
        if unit.name in held:
            entry |= held[unit.name]
        else:
            entry["utilisation"] = busy[unit.name]
        layers.append(entry)
        total += need
    slowest = max(layers, key=lambda layer: layer["cycles"])
    report = {
        "name": network.name, "model": network.model, "quinnoa": __version__,
        "family": family, "device": device, "clock_mhz": clock_mhz,
        "bound_cycles": slowest["cycles"], "bottleneck": slowest["name"],
        "cycles": plan.timing.cycles, "latency": plan.timing.latency,
        "fps": clock_mhz * 1e6 / plan.timing.cycles,
        "layers": layers, "edges": _edges(plan), "totals": _as_dict(total),
        "findings": [{"node": f.node, "op": f.op, "becomes": f.becomes, "note": f.note}
                     for f in network.findings],
    }
    if device is not None:
        part = part_named(device)
        report["available"] = {"lut": part.lut, "ff": part.ff, "bram36": part.bram36,
                               "uram": part.uram, "dsp": part.dsp}
    return report


def _as_dict(need: Resources) -> dict[str, float]:
    return {"lut": need.lut, "ff": need.ff, "bram36": need.bram36, "uram": need.uram,
            "dsp": need.dsp}


def _edges(plan) -> list[dict[str, Any]]:
    """Return every stream, those of the network itself included."""
    units = {unit.name: unit.component for unit in plan.units}
    edges = [(None, plan.i), *plan.edges, (plan.o, None)]
    return [{"source": source and list(source), "target": target and list(target),
             **_stream(getattr(units[port[0]], port[1]))}
            for source, target in edges for port in [source or target]]


def _held(plan) -> dict[str, dict[str, Any]]:
    """Return of every FIFO the beats that it held: at the most, and over a frame."""
    names, timing = plan.flow.names, plan.timing
    held = {}
    for k, edge in enumerate(plan.flow.edges):
        if edge.target is not None:
            over_frame = {"occupancy": timing.over_frame[k]} if k in timing.over_frame else {}
            held[names[edge.target], edge.i_port] = {"held": timing.occupancy[k], **over_frame}
    leads = {source[0]: target for source, target in plan.edges if source[0] not in names}
    return {fifo: held[name, int(member.partition("_")[2] or 0)]
            for fifo, (name, member) in leads.items()}


def _entry(unit, cycles: int, family: str, words: int) -> tuple[dict[str, Any], Resources]:
    """Return what the report says of one unit, and what it needs.

    ``words`` : addresses of what is written, which pass by every unit that takes some.
    """
    component, layer = unit.component, unit.layer
    entry: dict[str, Any] = {"name": unit.name, "cycles": cycles, "i": _stream(component.i),
                             "o": _stream(component.o)}
    if layer is None and hasattr(component, "ways"):
        need = unit_resources(component, family)
        entry |= {"kind": "fork", "ways": component.ways, "latency": component.latency}
    elif layer is None and hasattr(component, "depth"):
        need = unit_resources(component, family)
        entry |= {"kind": "fifo", "depth": component.depth, "memory": component.style}
    elif layer is None:
        need = unit_resources(component, family)
        entry |= {"kind": "width", "latency": component.latency}
    else:
        writable = "writes" in component.signature.members
        need = layer_resources(layer, layer.fold, family, writable)
        if writable:
            need += relay_resources(words, 1, family)
        entry["i"]["dims"], entry["o"]["dims"] = list(layer.i.dims), list(layer.o.dims)
        entry |= {"kind": layer.kind, "latency": component.latency, "source": layer.source,
                  **{axis.key: getattr(layer.fold, axis.key) for axis in axes(layer)},
                  **_details(layer, component)}
    return entry | _as_dict(need), need


def _details(layer: Layer, component) -> dict[str, Any]:
    """Return what the report says of a layer of this kind alone."""
    if isinstance(layer, MatMul | Depthwise):
        mh, mw = layer.weights.shape
        memory = component.weight_memory
        return {"mh": mh, "mw": mw, "fold": component.ii, "memory": memory.style,
                "memory_width": memory.width, "memory_depth": memory.depth,
                "weights": _words(layer.w_shape), "accumulator_bits": component.acc_width}
    if isinstance(layer, Window):
        return {"kernel": list(layer.kernel), "stride": list(layer.stride),
                "dilation": list(layer.dilation), "pads": list(layer.pads),
                "memory": component.memory, "memory_width": _kept_width(component),
                "memory_depth": component.depth}
    if isinstance(layer, Reduce):
        return {"op": layer.op, "vectors": layer.vectors}
    if isinstance(layer, Add):
        return {"multipliers": list(layer.multipliers)}
    if isinstance(layer, Slice):
        return {"start": layer.start, "stop": layer.start + layer.o.channels}
    if isinstance(layer, Upsample):
        return {"factor": list(layer.factor)}
    if isinstance(layer, TopK):
        return {"k": layer.k}
    return {}


def _kept_width(component: SWU | WideSWU) -> int:
    """Return the bits of what an SWU keeps side by side."""
    if isinstance(component, SWU):
        return _width(component.i)
    # A word is a row of the kernel.
    return component.banks * component.windows.kernel[1] * _width(component.i)


def _stream(port) -> dict[str, int]:
    layout = port.payload.shape()
    return {"lanes": layout.length, "bits": Shape.cast(layout.elem_shape).width}


def _width(port) -> int:
    return Shape.cast(port.payload.shape()).width


def _words(shape) -> str:
    """Name a weight's shape in words."""
    if is_bipolar(shape):
        return "bipolar"
    low, high = range_of(shape)
    return f"{Shape.cast(shape).width} bit, {low} to {high}"
