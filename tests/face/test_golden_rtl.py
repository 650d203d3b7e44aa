"""The Verilog of networks that others trained gives, vector for vector, what others computed."""

import numpy as np
import pytest

import quinnoa
from tests.graph import golden

pytestmark = pytest.mark.slow


def through_rtl(g, frames, folder, **options):
    """Compile, stream ``frames`` vectors through the Verilated RTL; return what comes out."""
    np.save(folder / "x.npy", g.x[:frames])
    network = quinnoa.load(g.source)
    report = quinnoa.compile_network(network, folder / "out", **(options or {"fps": 50_000}))
    result = quinnoa.simulate(folder / "out", input=folder / "x.npy")
    assert result["mismatches"] == 0
    assert result["frames"] == min(frames, len(g.x))
    if result["frames"] > 20:
        assert result["cycles_per_frame"] == report["bound_cycles"]
        assert result["latency"] == report["latency"]
    return np.load(folder / "out" / "outputs.npy")


def same(y, expected):
    """Equal up to the rounding of the last affine step in float32."""
    expected = expected[:len(y)]
    np.testing.assert_allclose(y, expected, rtol=0, atol=4e-6 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["TFC_1W1A", "TFC_2W2A"])
def test_zoo_tfc(name, tmp_path):
    g = golden.zoo(name)
    same(through_rtl(g, 100, tmp_path), g.y)


def test_jet_tagging(tmp_path):
    g = golden.jettagging()
    same(through_rtl(g, 200, tmp_path, fps=500_000), g.y)


def test_finn_multithreshold_model(tmp_path):
    g = golden.finn()
    y = through_rtl(g, 4, tmp_path)
    np.testing.assert_array_equal(y.reshape(-1), g.y.reshape(-1))
    # The same network as the zoo's, whose classes are known for more images.
    with np.load(golden.data("zoo/TFC_1W1A-mnist1000.npz")) as archive:
        classes = archive["pred"][:100]
    images = golden.Golden(g.source, golden.mnist(100).astype(np.float32), classes)
    y = through_rtl(images, 100, tmp_path)
    np.testing.assert_array_equal(y.reshape(-1), classes)


@pytest.mark.parametrize("form", ["qonnx", "mt"])
def test_lfc(form, tmp_path):
    g = golden.lfc(form)
    y = through_rtl(g, 100, tmp_path, fps=5_000)
    np.testing.assert_array_equal(y >= 0 if form == "qonnx" else y, g.y[:100])


@pytest.mark.parametrize("name", golden.BREVITAS)
def test_brevitas_exports(name, tmp_path):
    # Both exporters' files give the same Verilog, so one of them is run.
    g = golden.brevitas(name)
    for exporter in ("", "-ts"):
        network = quinnoa.load(golden.brevitas(name + exporter).source).renamed("net")
        quinnoa.compile_network(network, tmp_path / f"of{exporter}", fps=50_000)
    assert ((tmp_path / "of" / "net.v").read_bytes()
            == (tmp_path / "of-ts" / "net.v").read_bytes())
    same(through_rtl(g, 100, tmp_path), g.y)
