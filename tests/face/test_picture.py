# amaranth: UnusedElaboratable=no
"""Tests of quinnoa/picture.py."""

import re
from itertools import combinations

import pytest

from quinnoa.graph.units import plan
from quinnoa.picture import picture
from quinnoa.report import page
from quinnoa.rtl.families import GENERIC
from quinnoa.summary import summarise
from tests.layered import branches, cnv_like


def summary(network):
    return summarise(network, plan(network, GENERIC), family="generic", device=None, clock_mhz=100)


def unit(name, kind="mvtu", **more):
    return {"name": name, "kind": kind, "cycles": 1, "lut": 0, "ff": 0, "bram36": 0, "uram": 0,
            "dsp": 0, **more}


def report(layers, edges):
    """Return a report of named units and pairs of names; "" is the host."""
    ports = [(source and [source, "o"], target and [target, "i"]) for source, target in edges]
    return {"name": "made", "model": "made.onnx", "family": "generic", "device": None,
            "clock_mhz": 100.0, "fps": 1.0, "bound_cycles": 1, "bottleneck": layers[0]["name"],
            "latency": 1, "layers": layers,
            "edges": [{"source": source or None, "target": target or None, "lanes": 2, "bits": 3}
                      for source, target in ports],
            "totals": dict.fromkeys(("lut", "ff", "bram36", "uram", "dsp"), 0)}


def residuals(blocks):
    """Return a report of so many residual blocks: three layers and a FIFO beside them."""
    layers, edges, before = [], [], ""
    for k in range(blocks):
        fork, fifo, add = f"fork{k}", f"fifo{k}", f"add{k}"
        long = [f"mvtu{3 * k + j}" for j in range(3)]
        layers += [unit(fork, "fork"), unit(fifo, "fifo", depth=100 + k), *map(unit, long),
                   unit(add, "add")]
        edges += [(before, fork), (fork, long[0]), (long[0], long[1]), (long[1], long[2]),
                  (long[2], add), (fork, fifo), (fifo, add)]
        before = add
    return report(layers, [*edges, (before, "")])


REPORTS = {"CNV": lambda: summary(cnv_like()), "branches": lambda: summary(branches()),
           "residuals": lambda: residuals(32)}
every_report = pytest.mark.parametrize("made", REPORTS.values(), ids=REPORTS)


@every_report
def test_every_unit_is_drawn_once(made):
    made = made()
    drawn = [node.unit["name"] for column in picture(made) for node in column.nodes if node.unit]
    assert sorted(drawn) == sorted(layer["name"] for layer in made["layers"])


@every_report
def test_every_layer_is_a_box_of_the_page(made):
    made = made()
    names = re.findall(r'<text class="name"[^>]*>(\w+)<', page(made))
    assert sorted(names) == sorted(layer["name"] for layer in made["layers"]
                                   if layer["kind"] not in ("fifo", "fork", "width"))


@every_report
def test_every_stream_arrives_once(made):
    made = made()
    arrived = [line.title for column in picture(made) for line in column.lines
               if line.path.count("M") == 2]            # the line, and an arrowhead
    told = [f"{'.'.join(edge['source'] or ['the input'])} to "
            f"{'.'.join(edge['target'] or ['the output'])}: {edge['lanes']} × {edge['bits']} bit"
            for edge in made["edges"]]
    assert sorted(arrived) == sorted(told)


@every_report
def test_nothing_lies_on_anything_else(made):
    for column in picture(made()):
        for a, b in combinations(column.nodes, 2):
            assert (abs(a.x - b.x) >= (a.width + b.width) / 2
                    or abs(a.y - b.y) >= (a.height + b.height) / 2)
        for node in column.nodes:
            assert column.left <= node.x - node.width / 2
            assert node.x + node.width / 2 <= column.left + column.width
            assert column.top <= node.y - node.height / 2
            assert node.y + node.height / 2 <= column.top + column.height


@every_report
def test_streams_lead_downwards(made):
    made = made()
    places = {node.unit["name"]: node.y for column in picture(made) for node in column.nodes
              if node.unit}
    assert all(places[edge["source"][0]] < places[edge["target"][0]] for edge in made["edges"]
               if edge["source"] and edge["target"])


def test_units_end_to_end_stand_straight():
    columns = picture(residuals(4))
    places = {node.unit["name"]: node.x for column in columns for node in column.nodes if node.unit}
    for k in range(4):
        first, *others = (places[f"mvtu{3 * k + j}"] for j in range(3))
        assert others == pytest.approx([first, first], abs=0.5)
        assert abs(places[f"fifo{k}"] - first) > 86     # beside them


def test_branches_stand_side_by_side():
    nodes = {node.unit["name"]: node for column in picture(summary(branches()))
             for node in column.nodes if node.unit}
    assert nodes["slice0"].y == nodes["slice1"].y
    assert nodes["slice0"].x < nodes["slice1"].x


def test_columns_end_where_one_stream_alone_leads_on():
    columns = picture(residuals(32))
    assert len(columns) > 8
    for column in columns:
        assert column.height < 1300
        kinds = [node.unit["kind"] for node in column.nodes if node.unit]
        assert (kinds[0], kinds[-1]) == ("fork", "add")


def test_branches_as_long_as_the_network_stay_whole():
    names = [f"mvtu{k}" for k in range(30)]
    layers = [unit("fork0", "fork"), *map(unit, names), unit("add0", "add")]
    made = report(layers, [("", "fork0"), ("fork0", names[0]),
                           *zip(names, names[1:], strict=False), (names[-1], "add0"),
                           ("fork0", "add0"), ("add0", "")])
    assert len(picture(made)) == 1


def test_marks_say_depths_and_lanes():
    lanes = {"i": {"lanes": 4, "bits": 1}, "o": {"lanes": 12, "bits": 1}}
    layers = [unit("mvtu0"), unit("width0", "width", **lanes), unit("fifo0", "fifo", depth=1234),
              unit("mvtu1")]
    names = ["", *(layer["name"] for layer in layers), ""]
    html = page(report(layers, list(zip(names, names[1:], strict=False))))
    assert re.findall(r'class="mark">.*?<text[^>]*>([^<]*)<', html, re.DOTALL) == [
        "4 → 12", "1,234 deep"]


def test_names_are_escaped_and_cut():
    name = "<script>alert('x')</script>"
    html = page(report([unit(name), unit("mvtu1")], [("", name), (name, "mvtu1"), ("mvtu1", "")]))
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;x&#39;…</text>" in html
    assert "<title>&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;.o to mvtu1.i: 2 × 3 bit<" in html
