# amaranth: UnusedElaboratable=no
"""Tests of --writable: what a compiled folder then holds, and that it runs as any other."""

import re

import numpy as np
import pytest

import quinnoa
from quinnoa.errors import UnsupportedModel
from quinnoa.platforms.driver.accelerator import read_contents
from tests.models import inputs, mlp

WIDTHS = (16, 8, 8, 4)


def compiled(folder, seed, **options):
    """Compile a random network; networks of all seeds are of one shape."""
    model = mlp(WIDTHS, w_bits=2, a_bits=2, seed=seed)
    quinnoa.compile_network(quinnoa.load(model), folder, fps=5e6, writable=True, **options)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    home = tmp_path_factory.mktemp("writable")
    return [compiled(home / str(seed), seed) for seed in (3, 4)]


def test_networks_of_one_shape_have_one_shape_id(folders):
    (words, shape_id, _), (others, other_id, _) = (
        read_contents(folder / "weights.npz") for folder in folders)
    assert shape_id == other_id
    assert re.fullmatch(r"[0-9a-f]{16}", shape_id)
    assert words.shape == others.shape
    assert words.tolist() != others.tolist()


def test_the_verilog_has_the_port_and_the_shape_id(folders):
    _, shape_id, _ = read_contents(folders[0] / "weights.npz")
    verilog = next(folders[0].glob("*.v")).read_text()
    assert "input [31:0] s_axilite_wdata" in verilog
    for half in (shape_id[:8], shape_id[8:]):
        assert f"32'h{half}" in verilog or f"32'd{int(half, 16)}" in verilog
    assert "s_axilite" in (folders[0] / "component.xml").read_text()


def test_the_rtl_gives_what_the_executor_gives(folders, tmp_path):
    np.save(tmp_path / "x.npy", inputs(WIDTHS, 20, i_bits=2, seed=3))
    result = quinnoa.simulate(folders[0], input=tmp_path / "x.npy", against="onnx")
    assert (result["frames"], result["mismatches"], result["mismatches_onnx"]) == (20, 0, 0)


def test_compiled_again_as_it_was_nothing_is_writable(folders, tmp_path):
    compiled(tmp_path / "out", 3)
    model = mlp(WIDTHS, w_bits=2, a_bits=2, seed=3)
    quinnoa.compile_network(quinnoa.load(model), tmp_path / "out", fps=5e6)
    assert not (tmp_path / "out" / "weights.npz").exists()
    assert "s_axilite" not in next((tmp_path / "out").glob("*.v")).read_text()


def test_refuses_weights_in_logic(tmp_path):
    (tmp_path / "fold.toml").write_text('[mvtu0]\npe = 8\nsimd = 8\nmemory = "logic"\n')
    with pytest.raises(UnsupportedModel, match=r'^the network cannot be made writable:\nmvtu0 \(.*'
                                               r'\): memory = "logic" cannot be written'):
        quinnoa.compile_network(quinnoa.load(mlp(WIDTHS, w_bits=2, a_bits=2, seed=3)),
                                tmp_path / "out", fold_file=tmp_path / "fold.toml", writable=True)
    assert not (tmp_path / "out").exists()
