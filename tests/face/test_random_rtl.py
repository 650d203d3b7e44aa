"""Random networks of 1 to 8 bits, full of ties, as Verilog: every output as the executor's."""

import numpy as np
import pytest

import quinnoa
from tests.models import KWS, NID, inputs, mlp, reference

pytestmark = pytest.mark.slow
CASES = [(NID, dict(w_bits=bits, a_bits=bits)) for bits in range(1, 9)]
CASES += [
    (KWS, dict(w_bits=3, a_bits=3)),
    ((490, 48, 48, 48, 12), dict(w_bits=1, a_bits=1)),
    ((490, 48, 48, 48, 12), dict(w_bits=6, a_bits=5)),
    (NID, dict(w_bits=1, a_bits=2, i_bits=8)),
    (NID, dict(w_bits=2, a_bits=1, i_bits=1, bias=True)),
    (NID, dict(w_bits=4, a_bits=3, relu=True)),
    (NID, dict(w_bits=3, a_bits=4, zero_points=True, narrow=False)),
]


@pytest.mark.parametrize("widths, options", CASES, ids=lambda value: (
    "-".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else str(value[1])))
def test_the_rtl_of_random_networks_gives_what_the_executor_gives(widths, options, tmp_path):
    model = mlp(widths, seed=2, **options)
    x = inputs(widths, 30, i_bits=options.get("i_bits", options["a_bits"]), seed=2)
    np.save(tmp_path / "x.npy", x)
    network = quinnoa.load(model)
    report = quinnoa.compile_network(network, tmp_path / "out", fps=50_000)
    result = quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy")
    assert result["mismatches"] == 0
    assert result["cycles_per_frame"] == report["bound_cycles"]
    outputs = np.load(tmp_path / "out" / "outputs.npy")
    assert np.array_equal(outputs, reference(model, x))
