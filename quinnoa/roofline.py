"""Roofline: what a device could compute, by memory and by LUTs, and what a network does on it.

After FINN's 2017 paper: operations a second (a multiply-accumulate is two) against operations for
each byte of traffic with memory. The roof is level where LUTs end:

    clock * 70 % of the LUTs / LUTs an operation

for each pair of widths of weights and inputs, with the LUTs that the layers of a design take for
the operations they do side by side. It slopes where one memory port of the device's shell ends:
bytes a cycle * clock. Weights stay on chip, so a network's traffic is its input and its output; a
layer's is shown as if its weights were fetched for each frame, and its input and output passed
through memory.
"""

from typing import Any

from quinnoa.graph.fold import DEFAULT_BUDGET
from quinnoa.plots import Axis, Chart, Mark, Series, short

__all__ = ["roofline"]

# Of one memory port of the family's shell: 64 bits on Zynq-7000, 128 on Zynq UltraScale+; where
# there is no such shell, 32, as wide as its words.
BYTES_A_CYCLE = {"xc7": 8, "xcup": 16}
OTHERS = 4


def roofline(point: dict[str, Any], device: dict[str, Any]) -> Chart:
    """Return the roofline of a device with the layers of one point on it."""
    hertz, products = point["clock_mhz"] * 1e6, point["products"]
    # A frame every ``cycles``: each layer does its operations once in that time.
    frames = hertz / point["cycles"]
    layers = [Mark(2 * p["macs"] * 8 / (p["weights"] + p["i"] + p["o"]), 2 * p["macs"] * frames,
                   f"{p['name']}: {short(2 * p['macs'])}op a frame, {short(p['weights'] / 8)}B of "
                   "weights", False, p["name"]) for p in products]
    work = sum(2 * p["macs"] for p in products)
    traffic = (point["i"] + point["o"]) / 8
    whole = Mark(work / traffic, work * frames,
                 f"{point['model']}: {short(work)}op and {short(traffic)}B a frame, "
                 f"{short(work * frames)}op/s", True, point["model"])
    bandwidth = hertz * BYTES_A_CYCLE.get(device["family"], OTHERS)
    peaks = _peaks(products, hertz * device["lut"] * DEFAULT_BUDGET.lut_share)
    left = min([mark.x for mark in (*layers, whole)]) / 2
    right = max([mark.x for mark in (*layers, whole)]
                + [peak / bandwidth for peak in peaks.values()]) * 2
    series = [Series("network, its weights on chip", [whole], line=False),
              Series("its layers, if weights came from memory", layers, line=False)]
    for name, peak in sorted(peaks.items(), key=lambda each: -each[1]):
        ridge = peak / bandwidth
        series.append(Series(f"{name}: {short(peak)}op/s", [
            Mark(left, left * bandwidth), Mark(ridge, peak), Mark(right, peak)], spots=False))
    return Chart(
        f"{point['model']} on the roofline of {device['name']}, {point['clock_mhz']:g} MHz",
        Axis("operations for each byte of memory traffic", log=True),
        Axis("operations/s", log=True), series)


def _peaks(products: list[dict[str, Any]], budget: float) -> dict[str, float]:
    """Return operations a second of LUTs * clock, by the widths of weights and inputs."""
    lut: dict[tuple[int, int], float] = {}
    at_once: dict[tuple[int, int], float] = {}
    for p in products:
        key = p["w_bits"], p["x_bits"]
        lut[key] = lut.get(key, 0.0) + p["lut"]
        at_once[key] = at_once.get(key, 0.0) + 2 * p["macs"] / p["cycles"]
    return {f"W{w}A{x}, {lut[w, x] / at_once[w, x]:.2g} LUT an operation":
            budget * at_once[w, x] / lut[w, x] for w, x in lut if lut[w, x]}
