# amaranth: UnusedElaboratable=no
"""Every unit of rtl/, small: proved to keep the stream contract and to compute its model."""

import pytest
from amaranth import signed, unsigned
from amaranth.lib.data import ArrayLayout

from quinnoa.rtl.chain import Chain
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.width import WidthConverter
from quinnoa.sim.proof import Proof, prove


def fifo(style, depth):
    return lambda: FIFO(ArrayLayout(2, 1), depth=depth, style=style)


def width(elements, i_lanes, o_lanes):
    return lambda: WidthConverter(unsigned(1), elements=elements, i_lanes=i_lanes, o_lanes=o_lanes)


def threshold(values, shape, style):
    return lambda: ThresholdUnit(Thresholds(values, shape), channels=len(values), lanes=1,
                                 i_shape=unsigned(2), style=style)


def topk(**options):
    return lambda: TopKUnit(shape=unsigned(1), **options)


def mvtu(weights, x_shape, w_shape, steps=None, y_shape=None, **options):
    thresholds = steps and Thresholds(steps, y_shape)
    return lambda: MVTU(weights, x_shape=x_shape, w_shape=w_shape, thresholds=thresholds, **options)


def chain():
    return Chain(FIFO(ArrayLayout(unsigned(1), 1), depth=2), width(2, 1, 2)())


SIGNS, SUMS = [[1, -1], [1, 1]], [[1, -2], [1, 1]]

# Name: how to make the unit, and the elements of an input vector.
QUICK = {
    "fifo registers": (fifo("registers", 2), 1),
    "fifo srl": (fifo("srl", 4), 1),
    "fifo lutram": (fifo("lutram", 4), 1),
    "fifo block": (fifo("block", 4), 1),
    "width wider": (width(2, 1, 2), 2),
    "topk": (topk(elements=3, lanes=1), 3),
}
SLOW = {
    "width narrower": (width(2, 2, 1), 2),
    "width uneven": (width(3, 1, 2), 3),
    "threshold parallel": (threshold([[1], [2]], unsigned(1), "parallel"), 2),
    "threshold search": (threshold([[1, 3]], unsigned(2), "search"), 1),
    "topk in parallel": (topk(elements=2, lanes=2), 2),
    "mvtu xnor": (mvtu(SIGNS, BIPOLAR, BIPOLAR, [[0], [2]], BIPOLAR, pe=1, simd=1), 2),
    "mvtu unfolded": (mvtu([[1, -1]], BIPOLAR, BIPOLAR, [[2]], BIPOLAR, pe=1, simd=2), 2),
    "mvtu parallel": (mvtu(SUMS, unsigned(1), signed(2), [[0], [2]], unsigned(1), pe=2, simd=1), 2),
    "mvtu sums": (mvtu(SUMS, unsigned(1), signed(2), pe=1, simd=1), 2),
    "mvtu padded": (mvtu([[1, -2, 1]], unsigned(1), signed(2), pe=1, simd=2, pad=True), 3),
    "chain": (chain, 2),
}


@pytest.mark.parametrize("name", [
    *QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_unit_is_proved(name):
    make, elements = (QUICK | SLOW)[name]
    unit = make()
    # A chain has no schedule of its own.
    options = {"limit": 5, "bound": 8} if name == "chain" else {}
    assert prove(unit, elements=elements, **options) == Proof(True)
