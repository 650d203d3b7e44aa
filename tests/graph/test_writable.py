# amaranth: UnusedElaboratable=no
"""Tests of graph/writable.py."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth import signed, unsigned

from quinnoa.errors import QuinnoaError, UnsupportedModel
from quinnoa.graph.build import build
from quinnoa.graph.layers import Depthwise, Fold, MatMul, Stream, Threshold
from quinnoa.graph.writable import contents, same_shape, shape_text, widened
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.shapes import is_bipolar, range_of
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.packing import pack, unpack
from quinnoa.sim.verilator import simulate
from quinnoa.verilog import to_verilog
from tests.layered import branches, cnv_like
from tests.rewritten import Rewritten


def other_of(network, seed):
    """Return a network of the same shape with other weights and thresholds."""
    rng = np.random.default_rng(seed)
    layers = []
    for layer in network.layers:
        if isinstance(layer, MatMul | Depthwise):
            low, high = range_of(layer.w_shape)
            layer = replace(layer, weights=rng.choice(
                [-1, 1] if is_bipolar(layer.w_shape) else np.arange(low, high + 1),
                layer.weights.shape))
        if getattr(layer, "thresholds", None) is not None:
            layer = replace(layer, thresholds=steps(rng, layer.thresholds.shape,
                                                    layer.o.channels))
        layers.append(layer)
    return network.with_layers(layers)


def steps(rng, shape, channels):
    """Return thresholds about 0, of which some channels fall."""
    low, high = (0, 1) if is_bipolar(shape) else range_of(shape)
    falls = rng.random(channels) < .3
    return Thresholds(np.sort(rng.integers(-9, 10, (channels, high - low))), shape,
                      np.where(falls, high, low), np.repeat(falls[:, None], high - low, axis=1))


def run_twice(network, other, *, frames=4, name="top"):
    """Run frames through a network's RTL, write the other's contents, and run them again."""
    accelerator, planned = build(network, writable=True)
    i, o = network.i, widened(network).layers[-1].o
    codes = np.random.default_rng(0).integers(*range_of(i.shape), (frames, *i.dims), endpoint=True)
    if is_bipolar(i.shape):
        codes = np.where(codes > 0, 1, -1)
    top = AxiStream(
        Rewritten(accelerator, contents(other, planned), beats_in=frames * planned.beats_in,
                  beats_out=frames * planned.beats_out),
        beats_in=planned.beats_in, beats_out=planned.beats_out)
    words = pack(np.concatenate([codes, codes]).reshape(-1, i.channels), i.shape,
                 lanes=planned.i_lanes)
    run = simulate(to_verilog(top, name=name), name, words, frames=2 * frames,
                   beats_in=planned.beats_in, beats_out=planned.beats_out)
    y = unpack(run.words, o.shape, lanes=planned.o_lanes, elements=o.channels)
    expected = np.concatenate([net.run_integers(codes) for net in (network, other)])
    assert y.reshape(-1).tolist() == expected.reshape(-1).tolist()


@pytest.mark.parametrize("make", [cnv_like, branches])
def test_a_written_network_is_computed_exactly(make):
    network = make()
    run_twice(network, other_of(network, 1))
