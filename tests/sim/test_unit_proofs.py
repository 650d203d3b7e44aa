# amaranth: UnusedElaboratable=no
"""Every unit of rtl/, small: proved to keep the stream contract and to compute its model."""

import pytest
from amaranth import signed, unsigned
from amaranth.lib.data import ArrayLayout

from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.chain import Chain
from quinnoa.rtl.concat import ConcatUnit
from quinnoa.rtl.dataflow import Dataflow
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.reduce import ReduceUnit
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.slice import SliceUnit
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.upsample import UpsampleUnit
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


def add():
    """One fork, and the sum of both its ways."""
    bit = unsigned(1)
    return Dataflow(
        {"fork0": ForkUnit(ArrayLayout(bit, 1), ways=2),
         "add0": AddUnit(multipliers=(1, 2), shapes=(bit, bit), channels=1, lanes=1)},
        [(("fork0", "o"), ("add0", "i")), (("fork0", "o_1"), ("add0", "i_1"))],
        i=("fork0", "i"), o=("add0", "o"))


def swap():
    """Two channels cut apart and put together the other way round."""
    bit = unsigned(1)
    return Dataflow(
        {"fork0": ForkUnit(ArrayLayout(bit, 1), ways=2),
         "slice0": SliceUnit(shape=bit, channels=2, start=0, stop=1, lanes=1),
         "slice1": SliceUnit(shape=bit, channels=2, start=1, stop=2, lanes=1),
         "concat0": ConcatUnit(shape=bit, channels=(1, 1), lanes=1)},
        [(("fork0", "o"), ("slice0", "i")), (("fork0", "o_1"), ("slice1", "i")),
         (("slice1", "o"), ("concat0", "i")), (("slice0", "o"), ("concat0", "i_1"))],
        i=("fork0", "i"), o=("concat0", "o"))


def reduce(**options):
    return lambda: ReduceUnit(lanes=1, **options)


class FlatUpsample(UpsampleUnit):
    """Its images as vectors."""

    def model(self, x):
        images = x.reshape(-1, self.height, self.width, self.channels)
        return super().model(images).reshape(len(x), -1)


def upsample():
    return FlatUpsample(height=1, width=2, channels=1, factor=(2, 2), lanes=1, shape=unsigned(1))


SIGNS, SUMS = [[1, -1], [1, 1]], [[1, -2], [1, 1]]

# Name: how to make the unit, and the elements of an input vector.
QUICK = {
    "fifo registers": (fifo("registers", 2), 1),
    "fifo srl": (fifo("srl", 4), 1),
    "fifo lutram": (fifo("lutram", 4), 1),
    "fifo block": (fifo("block", 4), 1),
    "width wider": (width(2, 1, 2), 2),
    "topk": (topk(elements=3, lanes=1), 3),
    "slice": (lambda: SliceUnit(shape=unsigned(1), channels=3, start=1, stop=2, lanes=1), 3),
    "reduce": (reduce(op="max", vectors=3, channels=1, shape=unsigned(1)), 3),
    "fork and add": (add, 1),
    "fork, slice and concat": (swap, 2),
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
    "reduce in a line": (reduce(op="sum", vectors=2, channels=2, shape=BIPOLAR), 4),
    "reduce in a memory": (reduce(op="max", vectors=2, channels=3, shape=unsigned(1)), 6),
    "upsample": (upsample, 2),
}


@pytest.mark.parametrize("name", [
    *QUICK, *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_unit_is_proved(name):
    make, elements = (QUICK | SLOW)[name]
    unit = make()
    # Several units have no schedule of their own.
    options = {"limit": 8, "bound": 8} if isinstance(unit, Dataflow) else {}
    assert prove(unit, elements=elements, **options) == Proof(True)
