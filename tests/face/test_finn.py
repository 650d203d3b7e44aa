"""Tests of quinnoa/finn.py, and of FINN's configurations on the command line."""

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

import quinnoa
from quinnoa import cli
from quinnoa.finn import add_finn_to_folder
from quinnoa.folder import load_folder
from quinnoa.graph.finn_cost import finn_cost
from tests.snippets import ROOT, snippets
from tests.snippets import run as run_snippet

MODEL = str(ROOT / "examples/mnist/tfc_w1a1.onnx")
CONFIG = {
    "Thresholding_hls_0": {"PE": 49},
    "MVAU_hls_0": {"PE": 16, "SIMD": 49, "ram_style": "block"},
    "MVAU_hls_1": {"PE": 8, "SIMD": 8}, "MVAU_hls_2": {"PE": 8, "SIMD": 8},
    "MVAU_hls_3": {"PE": 10, "SIMD": 8}}
NOTE = ("Thresholding_hls_0: ignored: thresholds are in the layers in front of them, or on the "
        "host")


class Cells(HTMLParser):
    """The table cells of a page's section."""

    def __init__(self, html, section):
        super().__init__()
        self.section, self.inside, self.cells, self.cell = section, False, [], False
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        if tag == "section":
            self.inside = dict(attrs).get("id") == self.section
        self.cell = self.inside and tag == "td"
        if self.cell:
            self.cells.append("")

    def handle_endtag(self, tag):
        self.cell = False

    def handle_data(self, data):
        if self.cell:
            self.cells[-1] += data


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    return end.value.code


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a folder compiled in FINN's folds, with FINN's figures; and what was printed."""
    folder = tmp_path_factory.mktemp("finn")
    (folder / "folding.json").write_text(json.dumps(CONFIG))
    report = quinnoa.compile_network(quinnoa.load(MODEL), folder / "tfc", family="xc7", finn=True,
                                     fold_file=folder / "folding.json")
    return folder / "tfc", report


def test_a_folding_configuration_is_a_fold_file(compiled):
    folder, report = compiled
    assert report["bound_cycles"] == 64
    assert report["notes"] == [NOTE]
    network, _ = load_folder(folder)
    assert [(layer.fold.pe, layer.fold.simd, layer.fold.memory) for layer in network.layers] == [
        (16, 49, "block"), (8, 8, "auto"), (8, 8, "auto"), (10, 8, "auto")]


def test_finns_figures_stand_in_the_report(compiled):
    folder, report = compiled
    costs = finn_cost(load_folder(folder)[0])
    layers = {layer["name"]: layer["finn"] for layer in report["layers"] if "finn" in layer}
    assert layers == {cost.name: {
        "cycles": cost.cycles, "lut": cost.lut, "bram18": cost.bram18,
        "accumulator_bits": cost.accumulator_bits} for cost in costs}
    assert report["finn"] == {"cycles": 64, "lut": sum(cost.lut for cost in costs),
                              "bram18": sum(cost.bram18 for cost in costs)}
    cells = Cells((folder / "report.html").read_text(), "finn").cells
    first = next(layer for layer in report["layers"] if layer["name"] == "mvtu0")
    assert cells[:9] == [
        "mvtu0", "64", "64", f"{first['lut']:,}", f"{costs[0].lut:,}", f"{2 * first['bram36']:g}",
        str(costs[0].bram18), str(first["accumulator_bits"]), str(costs[0].accumulator_bits)]
    assert NOTE in (folder / "report.html").read_text()


def test_report_adds_finns_figures_to_a_folder(compiled, tmp_path, capsys):
    folder, report = compiled
    plain = {key: value for key, value in report.items() if key not in ("finn", "notes")}
    plain["layers"] = [{key: value for key, value in layer.items() if key != "finn"}
                       for layer in report["layers"]]
    (folder / "report.json").write_text(json.dumps(plain))
    assert run("report", str(folder)) == 0
    assert "FINN" not in capsys.readouterr().out + (folder / "report.html").read_text()
    assert run("report", str(folder), "--finn") == 0
    assert "FINN's cost model for the same folds" in capsys.readouterr().out
    assert json.loads((folder / "report.json").read_text()) == {
        key: value for key, value in report.items() if key != "notes"}
    add_finn_to_folder(folder)
    assert json.loads((folder / "report.json").read_text())["finn"] == report["finn"]


def test_the_command_tells_what_it_left_out(tmp_path, capsys):
    (tmp_path / "folding").write_text(json.dumps(CONFIG))
    assert run("compile", MODEL, "-o", str(tmp_path / "tfc"), "--finn",
               "--fold", str(tmp_path / "folding")) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert NOTE in out
    assert "FINN's cost model for the same folds" in out


def test_the_commands_and_the_code_of_the_page_run(tmp_path, monkeypatch):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    names = {}
    for snippet in snippets("docs/finn.md"):
        run_snippet(snippet, names)
    report = json.loads(Path("build/finn/report.json").read_text())
    assert (report["bound_cycles"], report["finn"]["cycles"]) == (64, 64)
    assert names["lut"] == sum(cost.lut for cost in finn_cost(names["network"])) > 0


def test_the_command_refuses_a_configuration_of_another_network(tmp_path, capsys):
    path = tmp_path / "folding.json"
    path.write_text(json.dumps(CONFIG | {"MVAU_hls_1": {"PE": 12}}))
    assert run("compile", MODEL, "-o", str(tmp_path / "tfc"), "--fold", str(path)) == 1
    assert capsys.readouterr().err == (
        f"error: {path}: MVAU_hls_1 (mvtu1): PE must divide MH: MH is 64, PE is 12; take 8 or "
        "16\n")
    assert not (tmp_path / "tfc").exists()
