"""The random networks are worth testing with: values vary, do not saturate, and meet ties."""

import numpy as np
import pytest

from tests.models import NID, TFC, inputs, mlp, multithreshold_mlp, reference

# Behind a ReLU a bipolar quantizer gives +1 alone.
CASES = [(bits, options) for options in ({}, {"bn": False, "bias": True}, {"relu": True})
         for bits in range(2 if "relu" in options else 1, 9)]


@pytest.mark.parametrize("bits, options", CASES)
def test_quantizers_meet_ties_and_use_their_levels(bits, options):
    model = mlp(NID, w_bits=bits, a_bits=bits, seed=bits, **options)
    values = reference(model, inputs(NID, 50, i_bits=bits, seed=bits), values=True)
    constants = {i.name for i in model.graph.initializer}
    quantizers = [node for node in model.graph.node
                  if "Quant" in node.op_type and node.input[0] not in constants]
    assert len(quantizers) == len(NID) - 1
    ties = 0
    for node in quantizers:
        x, y = values[node.input[0]] / values[node.input[1]], values[node.output[0]]
        ties += np.sum(x == 0 if bits == 1 else x % 1 == 0.5)
        levels, counts = np.unique(y, return_counts=True)
        assert len(levels) > 2 ** bits / 2
        assert counts.max() < 0.8 * y.size
    assert ties > 10
    assert np.all(np.std(values["y"], axis=0) > 0)


@pytest.mark.parametrize("ties", [True, False])
def test_gammas_of_both_signs_and_a_scale_for_every_channel(ties):
    constants = {i.name: i for i in mlp(NID, w_bits=3, a_bits=3, ties=ties).graph.initializer}
    assert (1, 64) in {tuple(i.dims) for i in constants.values()}
    model = mlp(NID, w_bits=3, a_bits=3, ties=ties)
    values = reference(model, inputs(NID, 1, i_bits=3), values=True)
    gamma = values[next(n for n in model.graph.node if n.op_type == "BatchNormalization").input[1]]
    assert 16 < np.sum(gamma < 0) < 48
    mantissas = set(np.frexp(np.abs(gamma))[0].tolist())
    assert (mantissas == {0.5}) == ties


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_the_qcdq_form_computes_the_same(bits):
    x = inputs(NID, 10, i_bits=bits)
    qonnx, qcdq = (reference(mlp(NID, w_bits=bits, a_bits=bits, form=form), x)
                   for form in ("qonnx", "qcdq"))
    assert np.array_equal(qonnx, qcdq)


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_multithresholds_use_their_levels(bits):
    model = multithreshold_mlp(TFC, w_bits=bits, a_bits=bits)
    values = reference(model, inputs(TFC, 20, i_bits=bits), values=True)
    for node in model.graph.node:
        if node.op_type == "MultiThreshold":
            assert len(np.unique(values[node.output[0]])) == 2 ** bits
    assert np.all(np.std(values["y"], axis=0) > 0)
