"""Random convolutional graphs: every value of every quantizer, and the outputs, as qonnx has."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings, strategies

import quinnoa
from tests.cnn_models import cnv, images
from tests.models import reference
from tests.random_graphs import random_graph

GRAPHS = int(os.environ.get("QUINNOA_GRAPHS", "200"))


def check(model, x):
    """Compare the values of all quantizers that the network knows of, and the outputs."""
    values = reference(model, x, values=True)
    network = quinnoa.load(model)
    codes = network.activations(x)
    assert codes
    for tap in network.taps:
        given = tap.encoding.values(codes[tap.tensor], np.float32)
        assert np.array_equal(given, values[tap.target].reshape(len(x), -1)), tap.tensor
    y = network.run(x)
    assert y.shape == values["y"].shape
    assert np.array_equal(y, values["y"])


@pytest.mark.slow
@settings(max_examples=GRAPHS, deadline=None, derandomize=True, database=None,
          suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(strategies.data(), strategies.integers(0, 999))
def test_random_graphs_agree_on_every_value(data, seed):
    model, x = random_graph(lambda options: data.draw(strategies.sampled_from(options)), seed=seed)
    check(model, x)


@pytest.mark.parametrize("w_bits, a_bits", [(1, 1), (1, 2), (2, 2)])
def test_cnv_agrees_on_every_value(w_bits, a_bits):
    check(cnv(w_bits, a_bits), images((3, 32, 32), 4, bits=8))
