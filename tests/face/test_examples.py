"""Tests of examples/: they run, and do what they say."""

import runpy
from pathlib import Path

import numpy as np
import pytest

from quinnoa.sim.streams import run_vectors

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(scope="module")
def by_hand():
    return runpy.run_path(str(EXAMPLES / "by_hand.py"))


def test_the_classifier_by_hand_equals_its_model_one_vector_every_40_cycles(by_hand):
    rng = np.random.default_rng(7)
    chain = by_hand["classifier"](rng)
    x = rng.choice([-1, 1], (12, by_hand["FEATURES"]))
    classes, run = run_vectors(chain, x, 1)
    assert np.array_equal(classes, chain.model(x))
    assert len(set(classes.ravel().tolist())) > 1
    # 5 rows of 16 columns, 2 side by side: 40 cycles.
    assert np.diff(run.o_cycles[4:]).tolist() == [40] * 7


def test_the_classifier_by_hand_prints_verilog(by_hand, capsys):
    by_hand["main"]()
    assert "module " in capsys.readouterr().out
