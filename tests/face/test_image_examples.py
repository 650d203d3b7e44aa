"""Tests of examples/images: the networks are as good as the README says, and exact as RTL."""

import re
from pathlib import Path

import numpy as np
import pytest

import quinnoa
from quinnoa.graph.compare import against_executor
from quinnoa.graph.encoding import InputType

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "images"
NETWORKS = sorted(path.name for path in FOLDER.glob("*.onnx"))


def images():
    return np.load(FOLDER / "images.npy"), np.load(FOLDER / "labels.npy")


def test_the_readme_tells_of_every_network():
    told = re.findall(r"^\| `(\w+\.onnx)`", (FOLDER / "README.md").read_text(), re.M)
    assert sorted(told) == NETWORKS
    assert len(NETWORKS) >= 2


@pytest.mark.parametrize("name", NETWORKS)
def test_the_networks_are_exact_and_as_accurate_as_told(name):
    x, labels = images()
    network = quinnoa.load(FOLDER / name)
    y = network.run(x)
    assert against_executor(network, x.astype(np.float32), y)["mismatches"] == 0
    row = re.search(rf"^\| `{name}`.* ([\d.]+) % \|$", (FOLDER / "README.md").read_text(), re.M)
    assert 100 * np.mean(y.argmax(axis=1) == labels) == pytest.approx(float(row[1]))


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_the_rtl_of_the_networks_equals_the_model_in_the_cycles_told(name, tmp_path):
    x, _ = images()
    np.save(tmp_path / "x.npy", x[:20])
    network = quinnoa.load(FOLDER / name, input=InputType("uint8"))
    report = quinnoa.compile_network(network, tmp_path / "out")
    result = quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy")
    assert result["mismatches"] == 0
    assert result["cycles_per_frame"] == report["cycles"] == report["bound_cycles"]
    assert result["latency"] == report["latency"]
    assert np.array_equal(np.load(tmp_path / "out" / "outputs.npy"), network.run(x[:20]))
