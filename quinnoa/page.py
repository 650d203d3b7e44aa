"""Page: the results of a sweep as one HTML page, pictures and tables, that is read offline."""

from typing import Any

from quinnoa.graph.fold import DEFAULT_BUDGET
from quinnoa.plots import STYLE, Axis, Chart, Limit, Mark, Series, figure
from quinnoa.report import number, rate, share, template
from quinnoa.roofline import roofline
from quinnoa.store import Store

__all__ = ["charts", "write_page"]

ROOFLINES = 8                    # of these many models of a device

Result = dict[str, Any]


def write_page(result: Result, store: Store) -> None:
    """Write ``explore.html``."""
    store.write("explore.html", template("explore.html").render(
        r=result, style=STYLE, charts={device["name"]: [figure(c) for c in charts(result, device)]
                                       for device in result["devices"]},
        accurate=any(model["accuracy"] is not None for model in result["models"]),
        synthesised=any("synthesis" in point for point in result["points"]),
        simulated=any("simulation" in point for point in result["points"])))


def charts(result: Result, device: dict[str, Any]) -> list[Chart]:
    """Return the pictures of one device."""
    points = {model["name"]: [p for p in result["points"] if p["model"] == model["name"]
                              and p["device"] == device["name"]] for model in result["models"]}
    points = {name: own for name, own in points.items() if own}
    made = [_against_rate(points, device, "lut", "LUT", DEFAULT_BUDGET.lut_share)]
    if any(p["bram36"] for own in points.values() for p in own):
        made.append(_against_rate(points, device, "bram36", "BRAM36", DEFAULT_BUDGET.bram_share))
    if any(p["accuracy"] is not None for own in points.values() for p in own):
        made.append(_accuracy(points, device))
    for own in list(points.values())[:ROOFLINES]:
        fits = [p for p in own if p["fits"] and p["products"]]
        if fits:
            made.append(roofline(max(fits, key=lambda p: p["fps"]), device))
    return made


def _about(point: Result) -> str:
    """Return all that a reader who points at a mark wants to know."""
    parts = [point["model"], f"{rate(point['fps'])} frames/s", f"{number(point['cycles'])} cycles",
             f"{number(point['lut'])} LUT", f"{number(point['bram36'])} BRAM36",
             f"{share(point['share'], 1)} of the device"]
    if point["accuracy"] is not None:
        parts.append(f"accuracy {share(point['accuracy'], 1)}")
    return "; ".join(parts) + ("" if point["fits"] else "; does not fit")


def _against_rate(points, device, key: str, word: str, budget: float) -> Chart:
    """Return area against frames a second; optimal points are filled."""
    series = [Series(name, [Mark(p["fps"], p[key], _about(p), p["optimal"]) for p in own])
              for name, own in points.items()]
    log = key == "lut"
    return Chart(f"{word} against throughput", Axis("frames/s", log=True),
                 Axis(f"{word}, estimated", log=log, zero=not log), series,
                 [Limit(device[key] * budget,
                        f"{share(budget, 1)} of {device['name']}: {device[key] * budget:,.0f}")])


def _accuracy(points, device) -> Chart:
    """Return accuracy against area."""
    series = [Series(name, [Mark(p["lut"], 100 * p["accuracy"], _about(p), p["optimal"])
                            for p in own if p["accuracy"] is not None], line=False)
              for name, own in points.items()]
    return Chart("Accuracy against area", Axis("LUT, estimated", log=True), Axis("accuracy, %"),
                 series)
