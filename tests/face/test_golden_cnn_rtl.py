"""The Verilog of convolutional networks that others trained gives what others computed."""

from pathlib import Path

import numpy as np
import pytest

import quinnoa
from tests.graph import golden

pytestmark = pytest.mark.slow
CNV_FOLDS = Path(__file__).resolve().parents[2] / "benchmarks" / "folds" / "cnv_w1a1.toml"


def compiled(source, folder, **options):
    """Compile a model by the name ``net``; return the report."""
    return quinnoa.compile_network(quinnoa.load(source).renamed("net"), folder, **options)


def through_rtl(x, folder, report):
    """Stream frames through the Verilated RTL; return what comes out, the timing checked."""
    np.save(folder.parent / "x.npy", x)
    result = quinnoa.simulate(folder, input=folder.parent / "x.npy")
    assert (result["frames"], result["mismatches"]) == (len(x), 0)
    assert result["cycles_per_frame"] == report["cycles"]
    assert result["latency"] == report["latency"]
    return np.load(folder / "outputs.npy")


@pytest.mark.parametrize("dataset", golden.CNVS)
def test_cnv_at_the_published_folds(dataset, tmp_path):
    # Both forms of the file give the same Verilog, so one of them is run.
    reports = {form: compiled(golden.cnv_source(dataset, form), tmp_path / form,
                              fold_file=CNV_FOLDS) for form in ("qonnx", "mt")}
    assert ((tmp_path / "qonnx" / "net.v").read_bytes()
            == (tmp_path / "mt" / "net.v").read_bytes())
    report = reports["qonnx"]
    assert report["bound_cycles"] == report["cycles"] == 32_768
    assert report["latency"] < 151_180               # FINN's, measured
    g = golden.cnv(dataset, "qonnx", 20)
    # Of Street View there are nine images: the rest are those of the other data set.
    more = golden.cnv("cifar10", "qonnx", 20 - len(g.x)).x
    y = through_rtl(np.concatenate([g.x, more]), tmp_path / "qonnx", report)
    np.testing.assert_array_equal(y[:len(g.x)].reshape(g.y.shape), g.y)


@pytest.mark.parametrize("name", golden.CNNS)
def test_brevitas_exports(name, tmp_path):
    # Both exporters' files give the same Verilog, so one of them is run.
    g = golden.brevitas_cnn(name)
    reports = [compiled(golden.brevitas_cnn(name + exporter).source, tmp_path / f"of{exporter}",
                        fps=3_000) for exporter in ("", "-ts")]
    assert ((tmp_path / "of" / "net.v").read_bytes()
            == (tmp_path / "of-ts" / "net.v").read_bytes())
    assert reports[0]["cycles"] == reports[0]["bound_cycles"] <= 33_333
    y = through_rtl(g.x[:20], tmp_path / "of", reports[0])
    np.testing.assert_allclose(y, g.y[:20], rtol=0, atol=4e-6 * np.abs(g.y).max())
