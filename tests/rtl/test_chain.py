# amaranth: UnusedElaboratable=no
"""Tests of rtl/chain.py."""

import re

import numpy as np
import pytest
from amaranth import Fragment, signed, unsigned
from amaranth.lib import data

from quinnoa.rtl.chain import Chain
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.width import WidthConverter
from quinnoa.sim.streams import run_vectors, stalls


def make_chain():
    """Make a chain of three unlike units over vectors of 6 elements."""
    thresholds = Thresholds(np.arange(-3, 3)[:, None], BIPOLAR)
    return Chain(
        ThresholdUnit(thresholds, channels=6, lanes=2, i_shape=signed(4)),
        FIFO(data.ArrayLayout(BIPOLAR, 2), depth=4),
        WidthConverter(BIPOLAR, elements=6, i_lanes=2, o_lanes=3),
        names=["threshold0", "fifo0", "width0"])


@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4)])
def test_computes_its_units_one_after_the_other(i_density, o_density):
    dut = make_chain()
    x = np.random.default_rng(0).integers(-8, 8, size=(20, 6))
    y, _ = run_vectors(dut, x, 6, i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))
    assert y.tolist() == dut.model(x).tolist()
    assert dut.model(x).tolist() == np.where(x >= np.arange(-3, 3), 1, -1).tolist()


def test_submodules_carry_the_names():
    dut = make_chain()
    names = [name for _, name, _ in Fragment.get(dut, None).subfragments]
    assert names == list(dut.names) == ["threshold0", "fifo0", "width0"]


def test_a_unit_alone_is_a_chain():
    unit = FIFO(data.ArrayLayout(unsigned(3), 1), depth=2)
    dut = Chain(unit)
    y, _ = run_vectors(dut, np.arange(8).reshape(8, 1), 1)
    assert y[:, 0].tolist() == list(range(8)) and dut.units == {"unit0": unit}


@pytest.mark.parametrize("offers, takes", [
    (data.ArrayLayout(signed(4), 2), data.ArrayLayout(unsigned(4), 2)),
    (data.ArrayLayout(signed(4), 2), data.ArrayLayout(signed(8), 1)),
    (data.ArrayLayout(signed(4), 2), unsigned(8)),
    (data.ArrayLayout(BIPOLAR, 3), data.ArrayLayout(unsigned(1), 3)),
    (unsigned(1), BIPOLAR),
    (data.ArrayLayout(data.ArrayLayout(unsigned(1), 2), 2),
     data.ArrayLayout(data.ArrayLayout(BIPOLAR, 2), 2)),
])
def test_refuses_payloads_that_are_not_alike(offers, takes):
    message = f"a.o offers {offers!r}, but b.i takes {takes!r}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Chain(FIFO(offers, depth=2), FIFO(takes, depth=2), names=["a", "b"])


@pytest.mark.parametrize("count, names, message", [
    (0, None, "a chain needs at least one unit"),
    (2, ["a"], "every unit needs a name: there are 2 units and 1 names"),
    (2, ["a", "a"], "names must differ: they are a, a"),
])
def test_refuses(count, names, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Chain(*(FIFO(unsigned(2), depth=2) for _ in range(count)), names=names)
