"""The comparison with the executor tells what differs, and what only the executor rounds."""

import numpy as np
import pytest

from quinnoa.graph.compare import against_executor
from quinnoa.graph.lower import InputType, load
from tests.models import Graph, inputs, mlp

WIDTHS = (12, 8, 5)


@pytest.mark.parametrize("options", [{}, {"top": 2}, {"input": InputType("uint4", 0.125, -1.0)}])
def test_a_sound_network_has_no_mismatches(options):
    network = load(mlp(WIDTHS, w_bits=2, a_bits=3), **options)
    x = (np.random.default_rng(0).integers(0, 16, (300, 12)) if "input" in options
         else inputs(WIDTHS, 300, i_bits=3))
    assert against_executor(network, x) == {"frames": 300, "mismatches": 0, "rounded": 0}


def test_wrong_outputs_are_counted_and_not_excused():
    network = load(mlp(WIDTHS, w_bits=2, a_bits=3))
    x = inputs(WIDTHS, 300, i_bits=3)
    y = network.run(x)
    y[[3, 270]] += 1
    assert against_executor(network, x, y) == {"frames": 300, "mismatches": 2, "rounded": 0}


def test_wrong_thresholds_are_not_excused():
    from dataclasses import replace

    from quinnoa.rtl.thresholds import Thresholds
    network = load(mlp(WIDTHS, w_bits=2, a_bits=3))
    first, last = network.layers
    moved = Thresholds(first.thresholds.values + 1, first.thresholds.shape, first.thresholds.base,
                       first.thresholds.falls)
    wrong = network.with_layers([replace(first, thresholds=moved), last])
    result = against_executor(wrong, inputs(WIDTHS, 300, i_bits=3))
    assert result["mismatches"] > 50 and result["rounded"] == 0


def test_sums_that_the_executor_rounds_across_a_tie_are_told_apart():
    # acc * 0.1f * 0.7f + 0 in front of a quantizer whose steps lie on multiples of the product's
    # own scale: the executor sums rounded values, the network multiplies the sum once.
    rng = np.random.default_rng(0)
    g = Graph([1, 64])
    weights = g.quant(rng.integers(-3, 4, (64, 32)) * np.float32(0.7), np.float32(0.7), 3)
    x = g.node("MatMul", g.quant("x", np.float32(0.1), 8), weights)
    step = np.float32(2 * np.float64(np.float32(0.1)) * np.float64(np.float32(0.7)))
    x = g.node("MatMul", g.quant(x, step, 8), g.quant(rng.integers(-1, 2, (32, 4)) * 1.0, 1.0, 2))
    network = load(g.model(x, [1, 4]))
    x = rng.normal(0, 2, (300, 64)).astype(np.float32)
    result = against_executor(network, x)
    assert result["mismatches"] == result["rounded"] > 0


def test_a_sample_at_a_time_where_the_batch_moves():
    g = Graph([1, 12])
    weights = np.random.default_rng(0).integers(-1, 2, (12, 5)).astype(np.float32)
    x = g.node("Gemm", g.node("Transpose", g.quant("x", 0.25, 3), perm=[1, 0]), weights, transA=1)
    network = load(g.model(x, [1, 5]))
    x = inputs(WIDTHS, 20, i_bits=3)
    assert against_executor(network, x) == {"frames": 20, "mismatches": 0, "rounded": 0}
    y = network.run(x)
    y[7] += 1
    assert against_executor(network, x, y)["mismatches"] == 1
