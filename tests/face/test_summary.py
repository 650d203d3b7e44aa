# amaranth: UnusedElaboratable=no
"""Tests of quinnoa/summary.py."""

import json
from functools import cache
from operator import attrgetter

import pytest

from quinnoa.flow import load
from quinnoa.graph.checker import check_network
from quinnoa.graph.units import plan
from quinnoa.graph.writable import widened
from quinnoa.report import page, show
from quinnoa.rtl.families import GENERIC
from quinnoa.summary import summarise
from tests.layered import branches, cnv_like
from tests.models import mlp

NETWORKS = [cnv_like, branches]


@cache
def planned(network):
    net = network()
    check_network(net)
    return net, plan(net, GENERIC)


def summary(network):
    return summarise(*planned(network), family="generic", device=None, clock_mhz=100)


def entry(network, name):
    return next(layer for layer in summary(network)["layers"] if layer["name"] == name)


@pytest.mark.parametrize("network", NETWORKS)
def test_every_unit_and_every_stream_is_told_of_once(network):
    report, made = summary(network), planned(network)[1]
    assert [layer["name"] for layer in report["layers"]] == [unit.name for unit in made.units]
    told = [(edge["source"] and tuple(edge["source"]), edge["target"] and tuple(edge["target"]))
            for edge in report["edges"]]
    assert told == [(None, made.i), *made.edges, (made.o, None)]


@pytest.mark.parametrize("network", NETWORKS)
def test_streams_are_as_wide_as_the_ports_at_both_ends(network):
    made = planned(network)[1]
    units = {unit.name: unit.component for unit in made.units}
    for edge in summary(network)["edges"]:
        for name, member in filter(None, (edge["source"], edge["target"])):
            bits = len(getattr(units[name], member).payload.as_value())
            assert bits == edge["lanes"] * edge["bits"]


@pytest.mark.parametrize("network", NETWORKS)
def test_the_bottleneck_works_in_every_cycle_and_no_unit_in_more(network):
    report = summary(network)
    shares = {layer["name"]: layer["utilisation"] for layer in report["layers"]
              if layer["kind"] != "fifo"}
    assert shares[report["bottleneck"]] == max(shares.values()) == 1
    assert all(share > 0 for share in shares.values())
    assert report["bound_cycles"] == report["cycles"] == 100e6 / report["fps"]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_summary_is_plain_data(network):
    report = summary(network)
    assert json.loads(json.dumps(report)) == report


@pytest.mark.parametrize("network", NETWORKS)
def test_page_and_tables_show_a_summary(network, capsys):
    report = summary(network)
    html = page(report)
    show(report)
    out = capsys.readouterr().out
    for layer in report["layers"]:
        assert layer["name"] in html
        assert layer["name"] in out


@pytest.mark.parametrize("network, name, expected", [
    (cnv_like, "swu0", {"kernel": [3, 3], "stride": [1, 1], "pads": [0, 0, 0, 0], "simd": 3,
                        "memory_width": 24}),
    (cnv_like, "mvtu0", {"mh": 8, "mw": 27, "pe": 4, "simd": 9, "fold": 6, "weights": "bipolar"}),
    (cnv_like, "pool0", {"op": "max", "vectors": 4, "pe": 4}),
    (cnv_like, "topk0", {"k": 1}),
    (branches, "vvtu0", {"mh": 8, "mw": 9, "pe": 2, "fold": 36, "memory_depth": 36}),
    (branches, "add0", {"multipliers": [1, 2]}),
    (branches, "slice1", {"start": 4, "stop": 8}),
    (branches, "upsample0", {"factor": [2, 2]}),
    (branches, "fork0", {"ways": 2}),
    (branches, "concat0", {"kind": "concat", "cycles": 144})])
def test_layers_tell_what_their_kind_is_known_by(network, name, expected):
    found = entry(network, name)
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("name, member", [
    ("swu0", "memory"), ("mvtu0", "weight_memory.style"), ("mvtu1", "weight_memory.style")])
def test_memories_are_as_the_units_have_them(name, member):
    unit = next(unit for unit in planned(cnv_like)[1].units if unit.name == name)
    found = entry(cnv_like, name)
    assert found["memory"] == attrgetter(member)(unit.component)
    memory = unit.component if name == "swu0" else unit.component.weight_memory
    assert found["memory_depth"] == memory.depth > 0


def test_layers_tell_the_dims_of_their_streams():
    found = entry(cnv_like, "swu0")
    assert (found["i"], found["o"]) == ({"lanes": 3, "bits": 8, "dims": [8, 8, 3]},
                                        {"lanes": 3, "bits": 8, "dims": [6, 6, 27]})


def test_fifos_tell_their_depth_and_what_they_held():
    made = planned(branches)[1]
    fifos = [layer for layer in summary(branches)["layers"] if layer["kind"] == "fifo"]
    depths = [(depth, held) for depth, held in zip(made.depths, made.timing.occupancy, strict=True)
              if depth]
    assert [(fifo["depth"], fifo["held"]) for fifo in fifos] == depths
    assert depths


def test_of_every_fifo_it_is_told_what_it_holds_over_a_frame():
    report = summary(branches)
    fifos = [layer for layer in report["layers"] if layer["kind"] == "fifo"]
    assert fifos
    for fifo in fifos:
        assert 0 < max(fifo["occupancy"]) <= fifo["held"] <= fifo["depth"]
        assert len(fifo["occupancy"]) == min(400, report["cycles"])


def test_what_is_written_at_run_time_is_counted():
    net = load(mlp((16, 8, 8, 4), w_bits=2, a_bits=2, seed=3))
    fixed, written = (
        summarise(each, plan(each, GENERIC, writable=writable), family="generic", device=None,
                  clock_mhz=100)
        for each, writable in ((net, False), (widened(net), True)))
    of = {layer["name"]: layer for layer in fixed["layers"]}
    matrices = [layer for layer in written["layers"] if layer["kind"] == "mvtu"]
    # Each keeps what is written, and passes it on: 32 bits of data, and more of an address.
    assert matrices and all(layer["ff"] > of[layer["name"]]["ff"] + 2 * 32 for layer in matrices)
    assert written["totals"]["ff"] == sum(layer["ff"] for layer in written["layers"])
