# amaranth: UnusedElaboratable=no
"""Resources: what a layer takes of a device, from the structure that its generator lays down.

`cost/` counts what each generator lays: LUT sites part by part, flip-flops, memories. Parts whose
LUTs synthesis chooses have a coefficient each, fitted on the syntheses of ``calibration.csv`` by
``benchmarks/calibrate.py``, and kept in ``calibration.json``.
"""

import json
from functools import lru_cache
from math import ceil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from amaranth import Shape
from amaranth.lib.data import ArrayLayout

from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.width import width_converters
from quinnoa.rtl.windows import Windows

from .components import component
from .cost.amounts import Parts, Resources
from .cost.facts import matrix_facts
from .cost.flat import flat
from .cost.matrix import mvtu
from .cost.streams import pool
from .cost.units import parts_of
from .cost.windows import window_parts
from .cost.written import relayed
from .layers import Fold, Layer, MatMul, Reduce, Stream, Window

__all__ = ["Resources", "buffer_resources", "calibrated", "converter_resources", "estimate",
           "fork_resources", "layer_parts", "layer_resources", "relay_resources", "unit_resources"]


@lru_cache(maxsize=1 << 15)
def estimate(layer: Layer, fold: Fold, family: str, writable: bool = False) -> Resources:
    """Return about what one layer takes in a fold: for choosing among thousands of folds.

    As ``layer_resources``, but that the compressor trees are not those that are laid, which take
    long to find, but some much like them. What is asked again is remembered.
    """
    return calibrated(*layer_parts(layer, fold, family, writable=writable, exact=False), family)


@lru_cache(maxsize=1 << 12)
def layer_resources(layer: Layer, fold: Fold, family: str, writable: bool = False) -> Resources:
    """Return what one layer takes in a fold, for the family "xc7", "xcup", "ecp5", "generic".

    ``writable``: what it holds can be written at run time.
    """
    return calibrated(*layer_parts(layer, fold, family, writable=writable), family)


def layer_parts(layer: Layer, fold: Fold, family: str, *, writable: bool = False,
                exact: bool = True) -> tuple[str, Parts]:
    """Return the kind of a layer's unit, and its parts before calibration."""
    if isinstance(layer, Window):
        height, width, channels = layer.i.dims
        windows = Windows(height, width, layer.kernel, layer.stride, layer.dilation, layer.pads)
        bits = Shape.cast(layer.i.shape).width
        return window_parts(windows, channels, bits, fold.simd, family, fold.memory)
    if isinstance(layer, Reduce):
        unit = SimpleNamespace(
            op=layer.op, vectors=layer.vectors, lanes=fold.pe, shape=layer.i.shape,
            o_shape=layer.o.shape, cf=layer.o.channels // fold.pe)
        return "pool", pool(unit, family)
    if not isinstance(layer, MatMul):
        made = component(layer.folded(fold), FAMILIES[family], writable=writable)
        return parts_of(made, family)
    mh, mw = layer.weights.shape
    if ceil(mh / fold.pe) == ceil(mw / fold.simd) == 1 and not writable:
        facts = matrix_facts(layer.weights, layer.thresholds, layer.i.shape, layer.w_shape, False)
        return "flat", flat(facts, family, style=fold.steps, exact=exact)
    facts = matrix_facts(layer.weights, layer.thresholds, layer.i.shape, layer.w_shape,
                         FAMILIES[family].lut6, writable)
    return "mvtu", mvtu(facts, fold.pe, fold.simd, fold.memory, family, style=fold.steps,
                        exact=exact)


def unit_resources(unit: Any, family: str) -> Resources:
    """Return what a unit takes: any but an ``MVTU``, of which the layer is wanted."""
    return calibrated(*parts_of(unit, family), family)


def converter_resources(stream: Stream, i_lanes: int, o_lanes: int,
                        family: str = "xc7") -> Resources:
    """Return what width converters between two lane counts take; nothing if they are alike."""
    return _converters(Shape.cast(stream.shape).width, stream.channels, i_lanes, o_lanes, family)


@lru_cache(maxsize=1 << 15)
def _converters(bits: int, elements: int, i_lanes: int, o_lanes: int, family: str) -> Resources:
    total = Resources()
    for unit in width_converters(Shape(bits), elements=elements, i_lanes=i_lanes, o_lanes=o_lanes):
        total += unit_resources(unit, family)
    return total


@lru_cache(maxsize=1 << 14)
def buffer_resources(depth: int, width: int, family: str = "xc7",
                     style: str = "auto") -> Resources:
    """Return what a FIFO takes."""
    return unit_resources(FIFO(ArrayLayout(1, width), depth=depth, style=style), family)


def fork_resources(ways: int, width: int, family: str = "xc7") -> Resources:
    """Return what a fork takes."""
    return unit_resources(ForkUnit(ArrayLayout(1, width), ways=ways), family)


@lru_cache(maxsize=1)
def _coefficients() -> dict[str, dict[str, dict[str, float]]]:
    """Return by family and kind the coefficient of every part."""
    found: dict[str, dict[str, dict[str, float]]] = json.loads(
        Path(__file__).with_name("calibration.json").read_text(encoding="utf-8"))
    return found


def relay_resources(words: int, units: int, family: str = "xc7") -> Resources:
    """Return what passes writes to ``words`` addresses on to so many units."""
    return calibrated("mvtu", relayed(words, units), family)


def calibrated(kind: str, parts: Parts, family: str) -> Resources:
    """Return the resources of parts; what no synthesis has told of counts as it is laid."""
    known = _coefficients()
    of_kind = known.get(family, known["xc7"]).get(kind, {})
    lut = parts.exact + sum(of_kind.get(part, 1.0) * sites for part, sites in parts.lut.items())
    return Resources(lut=round(lut), ff=round(parts.ff), bram36=parts.halves / 2,
                     uram=parts.uram, dsp=parts.dsp)
