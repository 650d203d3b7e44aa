"""Tests of quinnoa/netlist.py, and of simulations at gate level."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import quinnoa
from quinnoa import netlist
from quinnoa.errors import QuinnoaError
from quinnoa.netlist import kept_netlist, netlist_of
from quinnoa.report import page, show
from tests.cnn_models import Grid, Net, input_scale
from tests.models import inputs, mlp

WIDTHS = (16, 8, 4)
MNIST = Path(__file__).parents[2] / "examples" / "mnist"
TOTALS = {"lut", "ff", "bram36", "uram", "dsp"}


@pytest.fixture(scope="module")
def model():
    return mlp(WIDTHS, w_bits=2, a_bits=2, seed=3)


@pytest.fixture(scope="module", params=["xc7", "ecp5"])
def compiled(request, model, tmp_path_factory):
    """Return a compiled folder that has its netlist, and what the simulation of it said."""
    folder = tmp_path_factory.mktemp(request.param)
    np.save(folder / "x.npy", inputs(WIDTHS, 40, i_bits=2, seed=3))
    quinnoa.compile_network(quinnoa.load(model), folder / "out", fps=2e6, family=request.param)
    return folder, quinnoa.simulate(folder / "out", input=folder / "x.npy", level="gates")


@pytest.mark.slow
def test_the_netlist_gives_what_the_model_gives(compiled):
    folder, result = compiled
    report = json.loads((folder / "out" / "report.json").read_text())
    assert (result["level"], result["frames"], result["mismatches"]) == ("gates", 40, 0)
    assert result["cycles_per_frame"] == report["bound_cycles"]
    assert result["latency"] == report["latency"]


@pytest.mark.slow
def test_the_cells_stand_in_the_simulation_by_unit(compiled):
    folder, result = compiled
    report = json.loads((folder / "out" / "report.json").read_text())
    figures = result["netlist"]
    assert figures["layers"].keys() == {layer["name"] for layer in report["layers"]}
    assert figures["totals"].keys() == TOTALS
    assert figures["totals"]["ff"] >= sum(each["ff"] for each in figures["layers"].values()) > 0
    assert figures["tool"].startswith("Yosys ")


@pytest.mark.slow
def test_the_cells_stand_in_the_report(compiled):
    folder, result = compiled
    report = json.loads((folder / "out" / "report.json").read_text())
    html = (folder / "out" / "report.html").read_text()
    assert html == page(report, json.loads((folder / "out" / "simulation.json").read_text()))
    part = html[html.index('<section id="netlist">'):]
    lut = f"{result['netlist']['totals']['lut']:,}"
    assert f"<td>{lut}</td>" in part[:part.index("</section>")]


@pytest.mark.slow
def test_a_netlist_is_made_once_for_the_same_verilog(compiled, monkeypatch, tmp_path):
    folder, _ = compiled
    shutil.copytree(folder / "out", tmp_path / "out")
    settings = json.loads((tmp_path / "out" / "build.json").read_text())
    which = {"name": settings["name"], "family": settings["family"]}

    def refuse(*args, **options):
        raise QuinnoaError("synthesised again")

    monkeypatch.setattr(netlist, "synthesise", refuse)
    assert netlist_of(tmp_path / "out", **which).verilog.is_file()
    verilog = tmp_path / "out" / f"{settings['name']}.v"
    verilog.write_text(verilog.read_text() + "\n")
    assert kept_netlist(tmp_path / "out", **which) is None
    with pytest.raises(QuinnoaError, match="^synthesised again$"):
        netlist_of(tmp_path / "out", **which)
    # The RTL is simulated all the same, without the figures of another netlist.
    assert "netlist" not in quinnoa.simulate(tmp_path / "out", input=folder / "x.npy", limit=2,
                                             level="model")


@pytest.mark.slow
def test_a_netlist_that_computes_something_else_is_found(compiled, tmp_path):
    folder, _ = compiled
    shutil.copytree(folder / "out", tmp_path / "out")
    name = json.loads((tmp_path / "out" / "build.json").read_text())["name"]
    source = tmp_path / "out" / "netlist" / f"{name}.v"
    text = source.read_text()
    # Every LUT of the first layer that has the most usual contents gets their complement.
    contents = re.findall(r"\.INIT\((?:16|64)'h([0-9a-f]+)\)", text)
    most = max(set(contents), key=contents.count)
    other = f"{(1 << 4 * len(most)) - 1 - int(most, 16):0{len(most)}x}"
    source.write_text(re.sub(rf"(\.INIT\((?:16|64)'h){most}\)", rf"\g<1>{other})", text))
    try:
        result = quinnoa.simulate(tmp_path / "out", input=folder / "x.npy", level="gates", limit=10)
    except QuinnoaError as error:
        assert str(error).startswith("the simulation failed: ")
    else:
        assert result["mismatches"] > 0


def test_netlist_and_estimates_stand_side_by_side(model, tmp_path, capsys):
    report = quinnoa.compile_network(quinnoa.load(model), tmp_path / "out", fps=2e6, family="ecp5")
    some = {"lut": 7001, "ff": 7002, "bram36": 0, "uram": 0, "dsp": 0}
    figures = {"tool": "Yosys 0", "family": "ecp5", "seconds": 1.0, "cells": {"LUT4": 7001},
               "layers": {"mvtu0": some}, "totals": some}
    simulation = {"level": "gates", "frames": 3, "mismatches": 0, "seconds": 1.0,
                  "netlist": figures}
    html = page(report, simulation)
    part = html[html.index('<section id="netlist">'):]
    estimated = f"{report['layers'][0]['lut']:,}"
    assert f"<td>7,001</td><td>{estimated}</td>" in part[:part.index("</section>")]
    assert "3 frames through the netlist" in html
    show(report, simulation)
    assert "netlist" in capsys.readouterr().out
    del simulation["netlist"]
    assert '<section id="netlist">' not in page(report, simulation)


def test_the_generic_family_has_no_gates(model, tmp_path):
    quinnoa.compile_network(quinnoa.load(model), tmp_path / "out", fps=2e6)
    np.save(tmp_path / "x.npy", inputs(WIDTHS, 4, i_bits=2, seed=3))
    folder = re.escape(str(tmp_path / "out"))
    with pytest.raises(QuinnoaError, match=rf"^{folder} was compiled for the family generic, which "
                                           r"has no cells of its own: compile with --family xc7, "
                                           r"xcup, ecp5, or --device$"):
        quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy", level="gates")
    assert not (tmp_path / "out" / "simulation.json").exists()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["xc7", "ecp5"])
def test_a_shipped_network_is_the_same_in_gates(family, tmp_path):
    network = quinnoa.load(MNIST / "tfc_w1a1.onnx")
    quinnoa.compile_network(network, tmp_path / "out", fold_file=MNIST / "tfc_fold.toml",
                            family=family)
    result = quinnoa.simulate(tmp_path / "out", input=MNIST / "digits.npy", level="gates",
                              limit=12)
    assert (result["mismatches"], result["cycles_per_frame"]) == (0, 64)
    assert result["netlist"]["layers"]["mvtu0"]["lut"] > 1000


@pytest.mark.slow
@pytest.mark.parametrize("family, fps", [("xc7", 1e6), ("ecp5", 1e6), ("ecp5", 20e3)])
def test_windows_that_are_padded_are_the_same_in_gates(family, fps, tmp_path):
    # Past the edges a pool sees -8, which no register holds at first.
    net = Net((1, 6, 6), Grid(input_scale(8), 8), seed=3)
    x = net.activation(net.conv(net.x, 4, 3, pads=1), Grid(1.0, 4))
    x = net.flatten(net.max_pool(x, 3, stride=2, pads=1))
    frames = np.random.default_rng(0).integers(0, 256, (6, 1, 6, 6))
    np.save(tmp_path / "x.npy", (frames * input_scale(8)).astype(np.float32))
    quinnoa.compile_network(quinnoa.load(net.done(net.fc(x, 4))), tmp_path / "out", fps=fps,
                            family=family)
    result = quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy", level="gates")
    assert (result["frames"], result["mismatches"]) == (6, 0)
