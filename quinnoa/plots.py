"""Plots: charts of points and lines as SVG, coloured by the page that they stand in.

``figure`` returns HTML: title, legend and drawing; ``STYLE`` is the CSS that it needs, for light
and dark pages. Series differ in colour and in mark, and every mark tells its figures when pointed
at. ``page`` returns a page of charts alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10

__all__ = ["STYLE", "Axis", "Chart", "Limit", "Mark", "Series", "figure", "page",
           "short"]

WIDTH, HEIGHT = 540.0, 340.0
LEFT, RIGHT, TOP, BOTTOM = 58.0, 16.0, 12.0, 44.0     # around the plot
LETTER = 6.5                             # width of a letter of a label, about
COLOURS = 8

STYLE = """
figure { margin: 0; min-width: 0; }
figcaption { font-size: 14px; font-weight: 600; margin-bottom: 4px; }
.keys { display: flex; flex-wrap: wrap; gap: 2px 16px; min-height: 20px; font-size: 12.5px; }
.keys svg { display: inline-block; width: 22px; height: 12px; vertical-align: -1px;
  margin-right: 4px; }
.keys .word { color: var(--soft); }
.plot { display: block; width: 100%; height: auto; font-size: 11px; }
.plot text { fill: var(--soft); }
.plot .name { fill: var(--ink); stroke: var(--card); stroke-width: 3px; paint-order: stroke; }
.plot .end { text-anchor: end; } .plot .mid { text-anchor: middle; }
.plot .grid { stroke: var(--line); fill: none; } .plot .fine { stroke-opacity: 0.45; }
.plot .frame { stroke: var(--soft); fill: none; }
.plot .limit { stroke: var(--hot); stroke-dasharray: 5 4; fill: none; }
.plot .over { fill: var(--hot); }
.line { fill: none; stroke-width: 1.6; } .dash { stroke-dasharray: 2 4; }
.spot { stroke-width: 1.6; fill: var(--card); } .strong { fill: currentColor; }
.spot, .line { stroke: currentColor; }
:root { --s0: #2f6fae; --s1: #c2571a; --s2: #2c8a5b; --s3: #a03a86; --s4: #8a6d00; --s5: #3a8fa8;
  --s6: #c03a3a; --s7: #6a6f78; }
@media (prefers-color-scheme: dark) { :root { --s0: #6db0f2; --s1: #f0975a; --s2: #5fc592;
  --s3: #dc82c6; --s4: #d6b64a; --s5: #6cc7df; --s6: #f07f7f; --s7: #a9b0ba; } }
""" + "\n".join(f".s{k} {{ color: var(--s{k}); }}" for k in range(COLOURS)) + "\n"

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --card: #fff; --ink: #1d242b; --soft: #66717c; --line: #e0e4e8;
  --hot: #d9822b; }}
@media (prefers-color-scheme: dark) {{ :root {{ --card: #1c2227; --ink: #e3e8ec; --soft: #95a1ac;
  --line: #2e363d; --hot: #e39a4b; }} }}
body {{ max-width: 1160px; margin: 0 auto; padding: 24px 20px; background: var(--card);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }}
h1 {{ font-size: 24px; margin: 0; }} p {{ color: var(--soft); margin: 0 0 18px; }}
main {{ display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 460px), 1fr));
  gap: 26px 32px; }}
{style}</style></head>
<body><h1>{title}</h1><p>{text}</p><main>{figures}</main></body></html>
"""


@dataclass(frozen=True)
class Axis:
    """What an axis shows, with its unit; ``log`` scales it so; ``zero`` begins it at 0.

    ``ticks`` are places with words of their own.
    """

    label: str
    log: bool = False
    zero: bool = False
    ticks: tuple[tuple[float, str], ...] = ()


@dataclass(frozen=True)
class Mark:
    """A point; ``title`` is all about it, ``name`` stands beside it where there is room."""

    x: float
    y: float
    title: str = ""
    strong: bool = True
    name: str = ""


@dataclass(frozen=True)
class Series:
    """Marks of one kind; ``line`` joins them, ``spots`` draws them."""

    name: str
    marks: Sequence[Mark]
    line: bool = True
    spots: bool = True
    dashed: bool = False


@dataclass(frozen=True)
class Limit:
    """A level that is not to be passed, and what it is."""

    y: float
    name: str


@dataclass(frozen=True)
class Chart:
    """Series over two axes."""

    title: str
    x: Axis
    y: Axis
    series: Sequence[Series]
    limits: Sequence[Limit] = field(default=())


def short(value: float) -> str:
    """Return a number in few letters: 0.5, 20, 1.5 k, 12 M."""
    for unit, scale in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(value) >= scale * 0.9995:
            return f"{value / scale:.3g} {unit}"
    return f"{value:.3g}"


def figure(chart: Chart) -> str:
    """Return a chart as HTML."""
    keys = "".join(f'<span class="s{k % COLOURS}">{_key(k, series)}<span class="word">'
                   f"{escape(series.name)}</span></span>"
                   for k, series in enumerate(chart.series) if series.name)
    return (f"<figure><figcaption>{escape(chart.title)}</figcaption>"
            f'<div class="keys">{keys}</div>{_svg(chart)}</figure>')


def page(title: str, text: str, charts: Sequence[Chart]) -> str:
    """Return a page of charts that needs nothing beside it."""
    return PAGE.format(title=escape(title), text=escape(text), style=STYLE,
                       figures="".join(map(figure, charts)))


def _svg(chart: Chart) -> str:
    marks = [mark for series in chart.series for mark in series.marks]
    x = _Scale(chart.x, [mark.x for mark in marks], LEFT, WIDTH - RIGHT)
    # A limit far above all is no reason to draw what matters small.
    most = max((mark.y for mark in marks), default=1.0)
    limits = [limit for limit in chart.limits if limit.y <= most * (8 if chart.y.log else 1.6)]
    y = _Scale(chart.y, [mark.y for mark in marks] + [limit.y for limit in limits],
               HEIGHT - BOTTOM, TOP)
    parts = [*_grid(chart, x, y)]
    taken: list[tuple[float, float, float, float]] = []
    for limit in limits:
        at = y(limit.y)
        parts.append(f'<path class="limit" d="M{LEFT:.1f} {at:.1f}H{WIDTH - RIGHT:.1f}"/>')
        above = at - 5 if at > TOP + 18 else at + 14
        parts.append(f'<text class="over" x="{LEFT + 6:.1f}" y="{above:.1f}">'
                     f"{escape(limit.name)}</text>")
        taken.append((LEFT, above - 10, LEFT + 6 + LETTER * len(limit.name), above + 3))
    for k, series in enumerate(chart.series):
        parts.append(f'<g class="s{k % COLOURS}">')
        places = [(x(mark.x), y(mark.y)) for mark in series.marks]
        if series.line and len(places) > 1:
            path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
            parts.append(f'<path class="line{" dash" if series.dashed else ""}" d="M{path}"/>')
        if series.spots:
            parts += [_spot(k, a, b, mark) for (a, b), mark in zip(places, series.marks,
                                                                   strict=True)]
            taken += [(a - 5, b - 5, a + 5, b + 5) for a, b in places]
        parts.append("</g>")
    for series in chart.series:
        parts += [_name(x(mark.x), y(mark.y), mark.name, taken) for mark in series.marks
                  if mark.name]
    return (f'<svg class="plot" viewBox="0 0 {WIDTH:.0f} {HEIGHT:.0f}" role="img" '
            f'aria-label="{escape(chart.title)}">{"".join(parts)}</svg>')


class _Scale:
    """From values to places on the page, and the ticks between."""

    def __init__(self, axis: Axis, values: Sequence[float], start: float, stop: float) -> None:
        self._log, self._start, self._stop = axis.log, start, stop
        values = [value for value in values if value > 0] if axis.log else list(values)
        low, high = min(values, default=1.0), max(values, default=1.0)
        self.fine: list[float] = []
        if axis.ticks:
            places = [place for place, _ in axis.ticks]
            apart = (max(places) - min(places)) / max(len(places) - 1, 1) or 1.0
            self._low, self._high = min(places) - apart / 3, max(places) + apart / 3
            self.ticks = places
        elif axis.log:
            self._low, self._high = log10(low / 1.25), log10(high * 1.25)
            self._decades()
        else:
            low = 0.0 if axis.zero else low
            room = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
            self._low, self._high = low if axis.zero else low - room, high + room
            step = _step((self._high - self._low) / 7.5)
            self.ticks = [k * step for k in range(ceil(self._low / step),
                                                  floor(self._high / step) + 1)]

    def _decades(self) -> None:
        every = [k * 10.0 ** d for d in range(floor(self._low) - 1, ceil(self._high) + 1)
                 for k in range(1, 10)]
        inside = [value for value in every if self._low <= log10(value) <= self._high]
        digits = (1,) if self._high - self._low > 2.2 else (1, 2, 5)
        self.ticks = [value for value in inside
                      if round(value / 10.0 ** floor(log10(value) + 1e-9)) in digits]
        if len(self.ticks) < 2:
            self.ticks = inside
        self.fine = [value for value in inside if value not in self.ticks]

    def __call__(self, value: float) -> float:
        place = log10(max(value, 1e-300)) if self._log else value
        return self._start + (place - self._low) / (self._high - self._low) * (
            self._stop - self._start)


def _step(least: float) -> float:
    """Return the next of 1, 2, 5, 10, 20, … from ``least`` on."""
    scale = 10.0 ** floor(log10(least))
    return next(k * scale for k in (1, 2, 5, 10) if k * scale >= least * 0.999999)


def _grid(chart: Chart, x: _Scale, y: _Scale) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    words = dict(chart.x.ticks)
    parts = []
    for fine, ticks in ((True, y.fine), (False, y.ticks)):
        parts += [f'<path class="grid{" fine" if fine else ""}" d="M{LEFT} {y(v):.1f}H{right}"/>'
                  for v in ticks]
    for fine, ticks in ((True, x.fine), (False, [] if words else x.ticks)):
        parts += [f'<path class="grid{" fine" if fine else ""}" d="M{x(v):.1f} {TOP}V{bottom}"/>'
                  for v in ticks]
    parts += [f'<text class="end" x="{LEFT - 7}" y="{y(v) + 4:.1f}">{short(v)}</text>'
              for v in y.ticks]
    parts += [f'<text class="mid" x="{x(v):.1f}" y="{bottom + 16}">'
              f"{escape(words.get(v) or short(v))}</text>" for v in x.ticks]
    middle = (TOP + bottom) / 2
    return [*parts, f'<path class="frame" d="M{LEFT} {TOP}V{bottom}H{right}"/>',
            f'<text class="mid" x="{(LEFT + right) / 2:.1f}" y="{HEIGHT - 8}">'
            f"{escape(chart.x.label)}</text>",
            f'<text class="mid" transform="translate(13 {middle:.1f}) rotate(-90)">'
            f"{escape(chart.y.label)}</text>"]


def _spot(k: int, x: float, y: float, mark: Mark) -> str:
    """Draw a mark: filled where it is a strong one."""
    title = f"<title>{escape(mark.title)}</title>" if mark.title else ""
    kind = "spot strong" if mark.strong else "spot"
    return f'<path class="{kind}" d="{_shape(k, x, y, 4.2 if mark.strong else 3.6)}">{title}</path>'


def _shape(k: int, x: float, y: float, r: float) -> str:
    """Return the outline of a series' marks: circle, square, triangle, diamond by turns."""
    if k % 4 == 0:
        return (f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 0 {2 * r:.1f} 0a{r} {r} 0 1 0 {-2 * r:.1f} 0z")
    corners = [[(-.85, -.85), (.85, -.85), (.85, .85), (-.85, .85)],
               [(0, -1.15), (1.05, .8), (-1.05, .8)],
               [(0, -1.25), (1.1, 0), (0, 1.25), (-1.1, 0)]][k % 4 - 1]
    return "M" + "L".join(f"{x + r * a:.1f} {y + r * b:.1f}" for a, b in corners) + "z"


def _key(k: int, series: Series) -> str:
    line = (f'<path class="line{" dash" if series.dashed else ""}" d="M0 6H22"/>'
            if series.line else "")
    strong = any(mark.strong for mark in series.marks)
    spot = _spot(k, 11, 6, Mark(0, 0, strong=strong)) if series.spots else ""
    return f'<svg viewBox="0 0 22 12" aria-hidden="true">{line}{spot}</svg>'


def _name(x: float, y: float, name: str, taken: list[tuple[float, float, float, float]]) -> str:
    """Write a name beside a mark where it covers nothing; nowhere if there is no such place."""
    width = LETTER * len(name)
    for dx, dy in ((8, 4), (-8 - width, 4), (-width / 2, -9), (-width / 2, 17)):
        box = (x + dx, y + dy - 9, x + dx + width, y + dy + 3)
        inside = box[0] > LEFT and box[2] < WIDTH - 2 and box[1] > 0 and box[3] < HEIGHT - BOTTOM
        if inside and not any(box[0] < c and a < box[2] and box[1] < d and b < box[3]
                              for a, b, c, d in taken):
            taken.append(box)
            return f'<text class="name" x="{x + dx:.1f}" y="{y + dy:.1f}">{escape(name)}</text>'
    return ""
