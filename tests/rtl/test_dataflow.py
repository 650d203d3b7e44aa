# amaranth: UnusedElaboratable=no
"""Tests of rtl/dataflow.py."""

import re

import numpy as np
import pytest
from amaranth import Fragment, signed, unsigned
from amaranth.lib.data import ArrayLayout

from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.dataflow import Dataflow
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim.streams import run_vectors, stalls

EDGES = [
    (("add0", "o"), ("fifo1", "i")),
    (("fork0", "o_1"), ("fifo0", "i")),
    (("fork0", "o"), ("threshold0", "i")),
    (("threshold0", "o"), ("add0", "i")),
    (("fifo0", "o"), ("add0", "i_1")),
]


def make_units(depth=4):
    """Make a residual block over vectors of 6 elements; its units in any order."""
    thresholds = Thresholds(np.arange(-3, 3)[:, None], BIPOLAR)
    return {
        "add0": AddUnit(multipliers=(3, 1), shapes=(BIPOLAR, signed(4)), channels=6, lanes=2),
        "fork0": ForkUnit(ArrayLayout(signed(4), 2), ways=2),
        "threshold0": ThresholdUnit(thresholds, channels=6, lanes=2, i_shape=signed(4)),
        "fifo0": FIFO(ArrayLayout(signed(4), 2), depth=depth),
        "fifo1": FIFO(ArrayLayout(signed(5), 2), depth=2),
    }


def make(edges=EDGES, i=("fork0", "i"), o=("fifo1", "o"), **more):
    return Dataflow(make_units() | more, edges, i=i, o=o)


@pytest.mark.parametrize("i_density, o_density", [(0, 0), (.5, 0), (0, .5), (.4, .4)])
def test_computes_what_its_edges_say(i_density, o_density):
    dut = make()
    x = np.random.default_rng(0).integers(-8, 8, size=(20, 6))
    y, _ = run_vectors(dut, x, 6, i_gap=stalls(1, i_density), o_gap=stalls(2, o_density))
    assert y.tolist() == dut.model(x).tolist()
    assert y.tolist() == (3 * np.where(x >= np.arange(-3, 3), 1, -1) + x).tolist()


def test_branches_that_hold_the_same_run_without_a_bubble():
    # The FIFO holds a beat up to the cycle in which it gives it, and only then has room again.
    latency = make_units()["threshold0"].latency
    for depth, distances in ((latency + 1, {1}), (latency, {1, 2})):
        dut = Dataflow(make_units(depth), EDGES, i=("fork0", "i"), o=("fifo1", "o"))
        _, run = run_vectors(dut, np.zeros((20, 6), int), 6)
        assert set(np.diff(run.o_cycles)) == distances


def test_submodules_carry_the_names():
    names = [name for _, name, _ in Fragment.get(make(), None).subfragments]
    assert names == ["add0", "fork0", "threshold0", "fifo0", "fifo1"]


def without(edge):
    return [each for each in EDGES if each != edge]


@pytest.mark.parametrize("change, message", [
    ({"edges": without(EDGES[1])},
     "every stream is connected once: fork0.o_1 is connected 0 times, "
     "fifo0.i is connected 0 times"),
    ({"edges": [*EDGES, EDGES[2]]},
     "every stream is connected once: fork0.o is connected 2 times, "
     "threshold0.i is connected 2 times"),
    ({"i": ("fifo0", "i")}, "every stream is connected once: fork0.i is connected 0 times, "
                            "fifo0.i is connected 2 times"),
    ({"i": ("fork0", "o")}, "fork0.o must be an input: it is an output"),
    ({"edges": [*EDGES, (("fifo0", "i"), ("fifo1", "i"))]},
     "fifo0.i must be an output: it is an input"),
    ({"o": ("fifo2", "o")},
     "there is no unit fifo2: there are add0, fork0, threshold0, fifo0, fifo1"),
    ({"o": ("fork0", "o_2")}, "fork0 has no stream o_2: it has i, o, o_1"),
    ({"edges": [*without(EDGES[4]), (("fifo0", "o"), ("fifo1", "i"))]},
     f"fifo0.o offers {ArrayLayout(signed(4), 2)!r}, "
     f"but fifo1.i takes {ArrayLayout(signed(5), 2)!r}"),
    ({"edges": [*EDGES, (("fifo2", "o"), ("fifo2", "i"))], "fifo2": FIFO(unsigned(1), depth=2)},
     "units must not feed themselves: fifo2 do, or wait for those that do"),
])
def test_refuses(change, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        make(**change)


def test_refuses_bits_for_bipolar():
    units = {"a": FIFO(ArrayLayout(unsigned(1), 2), depth=2),
             "b": FIFO(ArrayLayout(BIPOLAR, 2), depth=2)}
    with pytest.raises(ValueError, match=r"^a\.o offers .*, but b\.i takes .*$"):
        Dataflow(units, [(("a", "o"), ("b", "i"))], i=("a", "i"), o=("b", "o"))
