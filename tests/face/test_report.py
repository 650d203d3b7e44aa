"""Tests of quinnoa/report.py."""

import json
import re
from html.parser import HTMLParser

import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.report import duration, measured, page, rate, read, refresh, share, show

HOSTILE = "<script>alert('x')</script>"
SIMULATION = {"level": "rtl", "frames": 1000, "mismatches": 0, "cycles_per_frame": 64,
              "latency": 131, "accuracy": 0.931, "seconds": 3.21}


def layer(name, kind, cycles, **more):
    return {"name": name, "kind": kind, "cycles": cycles, "lut": 0, "ff": 0, "bram36": 0, "uram": 0,
            "dsp": 0, **more}


def report(**more):
    """Return a report of three units: the least that ``report.json`` may hold, and ``more``."""
    bits = {"lanes": 8, "bits": 1}
    layers = [
        layer("mvtu0", "mvtu", 64, lut=300, ff=100, bram36=2, mh=64, mw=784, pe=16, simd=49,
              i={"lanes": 49, "bits": 1}, o=bits, memory="block", memory_width=784,
              memory_depth=64, weights="bipolar"),
        layer("fifo0", "fifo", 0, lut=10, i=bits, o=bits, depth=7),
        layer("mvtu1", "mvtu", 16, lut=90, ff=10, mh=10, mw=64, pe=5, simd=8, i=bits,
              o={"lanes": 5, "bits": 8}, memory="logic", memory_width=40, memory_depth=16)]
    return {"name": "tfc", "model": "tfc.onnx", "family": "xc7", "device": None, "clock_mhz": 100.0,
            "bound_cycles": 64, "bottleneck": "mvtu0", "latency": 131, "fps": 1562500.0,
            "layers": layers, "totals": {"lut": 400, "ff": 110, "bram36": 2, "uram": 0, "dsp": 0},
            **more}


class Page(HTMLParser):
    """What a browser sees of a page: its tags with attributes, and its text."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.text = [], []
        self.feed(html)
        self.words = " ".join(" ".join(self.text).split())

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text.append(data)


def widths(html):
    """Return the widths of the bars, in percent."""
    return [float(width) for width in re.findall(r'style="width:([\d.]+)%"', html)]


def test_the_page_needs_nothing_beside_it():
    seen = Page(page(report(), SIMULATION))
    assert {tag for tag, _ in seen.tags}.isdisjoint({"script", "link", "img", "iframe", "object"})
    assert not [attrs for _, attrs in seen.tags if {"src", "href"} & set(attrs)]
    assert "url(" not in page(report(), SIMULATION)


def test_the_page_shows_the_headline_figures():
    words = Page(page(report())).words
    for figure in ("1.56 M", "one every 0.64 µs", "1.31 µs", "131 cycles", "100 MHz"):
        assert figure in words


def test_bars_are_as_long_as_what_they_stand_for():
    bars = widths(page(report()))
    # Cycles against the slowest layer, then LUT, FF and BRAM36 against their totals.
    assert bars == [100, 0, 25, 75, 2.5, 22.5, pytest.approx(90.909), 0, pytest.approx(9.091),
                    100, 0, 0]


def test_the_slowest_layers_alone_are_marked():
    html = page(report())
    assert re.findall(r'<tr class="hot"><td class="left">(\w+)<', html) == ["mvtu0"]


def test_the_picture_shows_folds_streams_and_fifo_depths():
    words = Page(page(report())).words
    network = words[words.index("The network"):words.index("Cycles a frame Against")]
    for text in ("mvtu0 100 % mvtu 64×784 PE 16, SIMD 49 64", "7 deep",
                 "mvtu1 25 % mvtu 10×64 PE 5, SIMD 8 16", "49 × 1 bit", "8 × 1 bit", "5 × 8 bit"):
        assert text in network


def test_the_bottleneck_alone_is_marked_in_the_picture():
    html = page(report())
    assert re.findall(r'<g class="unit( hot)?".*?<text class="name"[^>]*>(\w+)<', html, re.DOTALL) \
        == [(" hot", "mvtu0"), ("", "mvtu1")]


def test_boxes_are_shaded_by_the_share_of_cycles():
    layers = [one | {"utilisation": share} for one, share in
              zip(report()["layers"], (0.5, 0, 0.125), strict=True)]
    assert re.findall(r"fill-opacity:([\d.]+)", page(report(layers=layers))) == ["0.300", "0.075"]


def test_a_chart_of_many_units_shows_the_largest():
    layers = [layer(f"mvtu{k}", "mvtu", k, lut=k) for k in range(40)]
    totals = {"lut": 780, "ff": 0, "bram36": 0, "uram": 0, "dsp": 0}
    html = page(report(layers=layers, totals=totals, bound_cycles=39, bottleneck="mvtu39"))
    words = Page(html).words
    chart = words[words.index("Cycles a frame Against"):words.index("Area")]
    shown = re.findall(r"mvtu(\d+) \d+ \d", chart)
    assert shown == [str(k) for k in range(39, 15, -1)]
    assert "and 16 others" in chart


def test_memory_says_how_full_the_block_rams_are():
    words = Page(page(report())).words
    # 784 * 64 bits in two block RAMs of 36 Kb.
    assert "mvtu0 bipolar block 784 64 50,176 2 68.1 %" in words


def test_shares_of_a_device_are_shown_where_one_is_named():
    html = page(report(device="xc7z020", available={"lut": 53200, "ff": 106400, "bram36": 140,
                                                    "uram": 0, "dsp": 220}))
    assert "0.8 % of 53,200" in Page(html).words
    assert "for xc7z020" in Page(html).words
    assert "for any device, every" in Page(page(report(family="generic"))).words


def test_measurements_stand_against_the_bound():
    html = page(report(), SIMULATION)
    words = Page(html).words
    for figure in ("1,000 frames through the Verilog", "equal to the bound", "93.10 %"):
        assert figure in words
    assert 'class="tile bad"' not in html


def test_measurements_that_miss_are_marked():
    html = page(report(), SIMULATION | {"cycles_per_frame": 66, "mismatches": 3})
    assert "the bound is 64" in Page(html).words
    assert html.count('class="tile bad"') == 2


@pytest.mark.parametrize("mismatches, rounds, mark, note", [
    (0, 0, "good", "with the ONNX executor"),
    (0, 2, "good", "with the ONNX executor, 2 by its rounding apart"),
    (1, 2, "bad", "with the ONNX executor, 2 by its rounding apart")])
def test_the_executor_stands_beside_the_model(mismatches, rounds, mark, note):
    executor = {"mismatches_onnx": mismatches, "executor_rounds": rounds}
    html = page(report(), SIMULATION | executor)
    assert f'class="tile {mark}"><dt>Mismatches</dt><dd>{mismatches}</dd><small>{note}<' in html


def test_names_of_the_model_are_escaped():
    one = layer(HOSTILE, HOSTILE, 64, weights=HOSTILE, memory=HOSTILE, memory_width=1,
                memory_depth=1)
    finding = dict.fromkeys(("node", "op", "becomes", "note"), HOSTILE)
    html = page(report(name=HOSTILE, model=HOSTILE, device=HOSTILE, bottleneck=HOSTILE,
                       layers=[one], findings=[finding]))
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 12


def test_a_page_can_be_drawn_again(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps(report()))
    refresh(tmp_path)
    first = (tmp_path / "report.html").read_text(encoding="utf-8")
    refresh(tmp_path)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == first
    (tmp_path / "simulation.json").write_text(json.dumps(SIMULATION))
    refresh(tmp_path)
    assert "Measured" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Measured" not in first


def test_the_terminal_shows_every_layer(capsys):
    show(report(), SIMULATION)
    out = capsys.readouterr().out
    assert "tfc: 1.56 M frames/s at 100 MHz" in out
    for name, cycles, lut in (("mvtu0", 64, 300), ("fifo0", 0, 10), ("mvtu1", 16, 90)):
        row = next(line for line in out.splitlines() if name in line)
        assert re.search(rf"\b{cycles}\b.*\b{lut}\b", row)
    assert "0 mismatches" in out


def test_a_measurement_is_one_line():
    assert measured(SIMULATION) == ("rtl: 1,000 frames, 0 mismatches with the model, 64 cycles a "
                                    "frame, latency 131 cycles, accuracy 93.10 %, in 3.2 s")


def test_a_measurement_of_the_model_has_no_cycles():
    result = SIMULATION | {"level": "model", "cycles_per_frame": None, "latency": None,
                           "accuracy": None}
    assert measured(result) == "model: 1,000 frames, 0 mismatches with the model, in 3.2 s"


@pytest.mark.parametrize("value, text", [
    (1562500, "1.56 M"), (97656.25, "97,656"), (100, "100"), (12.5, "12.5"), (0.25, "0.25")])
def test_rates_are_short(value, text):
    assert rate(value) == text


@pytest.mark.parametrize("seconds, text", [
    (0.64e-6, "0.64 µs"), (999e-6, "999 µs"), (6.98673e-3, "6.99 ms"),
    (642.45e-6, "642 µs"), (66.149e-3, "66.1 ms"), (999.7e-6, "1 ms"), (1.5, "1.5 s"),
    (1234.5, "1,234 s")])
def test_durations_are_short(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize("part, whole, text", [
    (1, 3, "33.3 %"), (2, 2, "100 %"), (0, 5, "0 %"), (1, 0, "")])
def test_shares_are_short(part, whole, text):
    assert share(part, whole) == text


def test_refuses_a_folder_without_report(tmp_path):
    with pytest.raises(QuinnoaError) as error:
        read(tmp_path)
    assert str(error.value) == (
        f"{tmp_path} is not a compiled folder: it has no report.json; "
        f"make one with `quinnoa compile MODEL -o {tmp_path}`")


def test_refuses_a_broken_report(tmp_path):
    (tmp_path / "report.json").write_text("{")
    with pytest.raises(QuinnoaError) as error:
        read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path / 'report.json'} cannot be read: ")


@pytest.mark.parametrize("name, made, message", [
    ("report", [], "it has no name, model, family, device, clock_mhz, bound_cycles, bottleneck, "
     "latency, fps, layers, totals; compile again"),
    ("report", {key: value for key, value in report().items() if key != "totals"},
     "it has no totals; compile again"),
    ("simulation", {"level": "rtl", "seconds": 3}, "it has no frames, mismatches; simulate again")])
def test_refuses_a_report_that_lacks_something(tmp_path, name, made, message):
    (tmp_path / "report.json").write_text(json.dumps(report()))
    (tmp_path / f"{name}.json").write_text(json.dumps(made))
    with pytest.raises(QuinnoaError) as error:
        read(tmp_path)
    assert str(error.value) == f"{tmp_path / name}.json is damaged: {message}"


def test_what_limits_the_folds_is_told(capsys):
    made = report(solution={"text": "mvtu0 sets the rate.\nA step faster: +4 LUT."})
    assert "<li>mvtu0 sets the rate.</li>" in page(made)
    show(made)
    assert "mvtu0 sets the rate.\nA step faster: +4 LUT.\n" in capsys.readouterr().out
    assert '<ul class="solution">' not in page(report(solution=None))


def holding(**more):
    """Return a report that knows what its FIFO holds."""
    made = report(edges=[{"source": source, "target": target, "lanes": 8, "bits": 1}
                         for source, target in (
                             (None, ["mvtu0", "i"]), (["mvtu0", "o"], ["fifo0", "i"]),
                             (["fifo0", "o"], ["mvtu1", "i"]), (["mvtu1", "o"], None))])
    made["layers"][1] |= {"held": 7, "occupancy": [0, 0, 7, 3], **more}
    return made


def test_what_a_fifo_holds_is_drawn_over_a_frame():
    html = page(holding())
    words = Page(html).words
    assert "fifo0 mvtu0 → mvtu1 7 of 7" in words and "0 64 cycles" in words
    # Four parts in a box of 400 × 100: none, none, all, three of seven.
    assert re.findall(r'<path d="(.*Z)"/>', html) == ["M0 100H200V0H300V57.14H400V100H0Z"]
    assert "The deepest" not in words


def test_fifos_of_which_nothing_is_known_are_counted_not_drawn():
    assert 'id="fifos"' not in page(report())
    made = holding()
    made["layers"].append(layer("fifo1", "fifo", 0, depth=2))
    made["edges"] = []
    words = Page(page(made)).words
    assert "The deepest 1." in words and "fifo0 7 of 7" in words
