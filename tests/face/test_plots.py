"""Tests of quinnoa/plots.py and roofline.py."""

import re
from xml.etree import ElementTree

import pytest

from quinnoa.plots import STYLE, Axis, Chart, Limit, Mark, Series, figure, page, short
from quinnoa.roofline import roofline

MARKS = [Mark(10, 1), Mark(100, 4), Mark(1000, 2)]
DEVICE = {"name": "xc7z020", "family": "xc7", "lut": 50_000}


def chart(series, *, x=None, y=None, limits=()):
    return Chart("title", x or Axis("frames/s", log=True), y or Axis("LUT", zero=True), series,
                 limits)


def drawn(chart):
    """Return the figure as XML: so it is well-formed."""
    return ElementTree.fromstring(figure(chart))


def spots(tree):
    """Return the places of the circles of a drawing; the legend's are not among them."""
    plot, = (svg for svg in tree.iter("svg") if svg.get("class") == "plot")
    found = []
    for path in plot.iter("path"):
        if "spot" in path.get("class", ""):
            x, y, r = re.match(r"M([\d.]+) ([\d.]+)a([\d.]+)", path.get("d")).groups()
            found.append((float(x) + float(r), float(y)))
    return found


def texts(tree):
    return [element.text for element in tree.iter("text")]


def test_places_are_in_proportion():
    (x0, y0), (x1, y1), (x2, y2) = spots(drawn(chart([Series("a", MARKS)])))
    assert x2 - x1 == pytest.approx(x1 - x0, abs=0.11)      # a decade each
    assert (y0 - y1) / (y0 - y2) == pytest.approx(3, rel=0.01)
    assert y1 < y2 < y0                                     # up is more


def test_everything_stays_inside():
    tree = drawn(chart([Series("a", MARKS)], limits=[Limit(5, "most")]))
    for x, y in spots(tree):
        assert 58 <= x <= 524 and 12 <= y <= 296
    assert "most" in texts(tree)


def test_a_limit_far_above_all_is_not_drawn():
    assert "most" not in texts(drawn(chart([Series("a", MARKS)], limits=[Limit(700, "most")])))


@pytest.mark.parametrize("log, values", [
    (log, values) for values in ([5], [5, 5], [0], [0.001, 0.002], [1, 1e9], [999, 1001])
    for log in (False, True) if not (log and 0 in values)])
def test_every_axis_has_ticks_that_differ(log, values):
    axis = Axis("x", log=log)
    tree = drawn(chart([Series("a", [Mark(v, 1) for v in values])], x=axis))
    plot, = (svg for svg in tree.iter("svg") if svg.get("class") == "plot")
    below = [float(text.get("x")) for text in plot.iter("text")
             if text.get("class") == "mid" and text.get("y") == "312.0"]
    assert below and len(set(below)) == len(below)
    assert len(spots(tree)) == len(values)


def test_ticks_may_have_words_of_their_own():
    axis = Axis("PE/SIMD", ticks=((0, "2/2"), (1, "8/8")))
    shown = texts(drawn(chart([Series("a", [Mark(0, 1), Mark(1, 2)])], x=axis)))
    assert {"2/2", "8/8", "PE/SIMD", "LUT"} <= set(shown)


def test_names_of_marks_cover_nothing():
    marks = [Mark(10 + 0.1 * k, 1, name=f"mvtu{k}") for k in range(12)]
    tree = drawn(chart([Series("a", marks)]))
    boxes = [(float(t.get("x")), float(t.get("y"))) for t in tree.iter("text")
             if t.get("class") == "name"]
    assert 0 < len(boxes) < 12
    for k, (x, y) in enumerate(boxes):
        assert not any(abs(x - a) < 30 and abs(y - b) < 12 for a, b in boxes[:k])


def test_what_is_written_is_escaped():
    evil = "<script>alert('x')</script>"
    text = page(evil, evil, [Chart(evil, Axis(evil, log=True), Axis(evil), [
        Series(evil, [Mark(1, 1, evil, name=evil)])], [Limit(1, evil)])])
    assert "<script" not in text and text.count("&lt;script") >= 8


def test_a_page_is_whole_in_itself():
    text = page("t", "about", [chart([Series("a", MARKS)])])
    assert STYLE in text and "prefers-color-scheme: dark" in text
    assert not re.search(r"(src|href)=|url\(|@import", text)


@pytest.mark.parametrize("value, text", [
    (0, "0"), (0.25, "0.25"), (20, "20"), (999, "999"), (1000, "1 k"), (12_345, "12.3 k"),
    (1.5e6, "1.5 M"), (2e9, "2 G"), (2.01e12, "2.01 T"), (-4000, "-4 k"), (999_999, "1 M")])
def test_numbers_are_short(value, text):
    assert short(value) == text


def product(name, macs, lut, cycles, *, bits=(2, 2), i=0, o=0, weights=0):
    return {"name": name, "macs": macs, "w_bits": bits[0], "x_bits": bits[1], "weights": weights,
            "i": i, "o": o, "cycles": cycles, "lut": lut}


def test_a_roofline_is_as_the_device_and_the_design_have_it():
    point = {"model": "m", "clock_mhz": 100.0, "cycles": 50, "i": 800, "o": 80, "products": [
        product("mvtu0", 1000, 80, 50, i=800, o=160, weights=7040),
        product("mvtu1", 500, 20, 25, i=160, o=80, weights=1000)]}
    whole, layers, roof = roofline(point, DEVICE).series
    mark, = whole.marks
    # 2 * 1500 operations on (800 + 80) / 8 bytes, 2 M times a second
    assert (mark.x, mark.y) == pytest.approx((3000 / 110, 3000 * 2e6))
    # 2000 operations on 1000 bytes; 1000 on 155
    assert [(m.name, m.x, m.y) for m in layers.marks] == [
        ("mvtu0", pytest.approx(2), pytest.approx(4e9)),
        ("mvtu1", pytest.approx(1000 / 155), pytest.approx(2e9))]
    # 100 LUT for 80 operations a cycle; 35,000 LUT of the device at 100 MHz
    low, ridge, right = roof.marks
    assert right.y == ridge.y == pytest.approx(35_000 * 100e6 * 80 / 100)
    assert roof.name == "W2A2, 1.2 LUT an operation: 2.8 Top/s"
    # 8 bytes a cycle
    assert ridge.y / ridge.x == low.y / low.x == pytest.approx(800e6)


def test_a_roofline_has_a_roof_for_each_pair_of_widths():
    point = {"model": "m", "clock_mhz": 100.0, "cycles": 10, "i": 8, "o": 8, "products": [
        product("mvtu0", 100, 50, 10, bits=(1, 8), i=8, o=8),
        product("mvtu1", 100, 10, 10, bits=(1, 1), i=8, o=8)]}
    names = [series.name.split(",")[0] for series in roofline(point, DEVICE).series[2:]]
    assert names == ["W1A1", "W1A8"]                        # the higher first
