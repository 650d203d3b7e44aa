"""A network that does not hold together is refused by the name of its layer."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth import signed, unsigned

from quinnoa.graph.checker import check_network
from quinnoa.graph.layers import (
    Add,
    Concat,
    Depthwise,
    Reduce,
    Slice,
    Stream,
    TopK,
    Upsample,
    Window,
)
from quinnoa.graph.lower import load
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds
from tests.models import mlp

NETWORK = load(mlp((12, 8, 5), w_bits=2, a_bits=3))
FIRST, LAST = NETWORK.layers
TOP = TopK("topk0", LAST.o, Stream((1,), unsigned(3)), k=1)


def test_accepts_what_holds_together():
    check_network(NETWORK)
    check_network(NETWORK.with_layers([FIRST, LAST, TOP]))


@pytest.mark.parametrize("layers, message", [
    ([], "model has no layers"),
    ([FIRST, replace(LAST, name="mvtu0")], "mvtu0: 2 layers have this name"),
    ([LAST, replace(FIRST, i=Stream((12,), LAST.o.shape))],
     "mvtu0: takes (12,) of {last!r}, but mvtu1 gives (5,) of {last!r}"),
    ([FIRST, replace(LAST, i=Stream((8,), signed(4)))],
     "mvtu1: gives {last!r}, but its accumulators are {wide!r}"),
    ([replace(FIRST, weights=FIRST.weights[:, :11])],
     "mvtu0: weights are 8 x 11, but the streams have 12 elements in and 8 out"),
    ([replace(FIRST, weights=FIRST.weights * 5)],
     "mvtu0: weights must fit signed(2), [-2, 1]: they span [-5, 5]"),
    ([replace(FIRST, w_shape=BIPOLAR)],
     "mvtu0: weights must fit bipolar, [-1, 1]: they span [-1, 1] with 0"),
    ([replace(FIRST, thresholds=Thresholds(np.zeros((7, 1)), signed(3)))],
     "mvtu0: thresholds of 7 channels for 8"),
    ([replace(FIRST, o=Stream((8,), signed(5)))],
     "mvtu0: gives signed(5), but its thresholds signed(3)"),
    ([LAST, replace(TOP, k=6)], "topk0: k is 6, but there are 5 elements"),
    ([LAST, replace(TOP, k=2)], "topk0: gives 1 indices, but k is 2")])
def test_refuses_by_the_layers_name(layers, message):
    wide = signed(LAST.o.shape.width + 1)
    with pytest.raises(ValueError) as error:
        check_network(NETWORK.with_layers(layers))
    assert str(error.value) == message.format(last=LAST.o.shape, wide=wide)


IMAGE = Stream((4, 4, 2), signed(3))
WINDOW = Window("swu0", IMAGE, Stream((3, 3, 8), signed(3)), kernel=(2, 2))
POOL = Reduce("pool0", WINDOW.o, Stream((3, 3, 2), signed(3)), op="max", vectors=4)
KERNELS = Depthwise("vvtu0", WINDOW.o, Stream((3, 3, 2), signed(5)), w_shape=signed(2),
                    weights=np.array([[1, 0, -1, 1], [1, 1, 1, 0]]))
SUM = Add("add0", POOL.o, Stream((3, 3, 2), signed(5)), more=(POOL.o,), multipliers=(1, 3),
          feeds=("pool0", "pool0"))
BOTH = Concat("concat0", POOL.o, Stream((3, 3, 4), signed(3)), more=(POOL.o,),
              feeds=("pool0", "pool0"))
PART = Slice("slice0", BOTH.o, Stream((3, 3, 3), signed(3)), start=1)
LARGE = Upsample("upsample0", PART.o, Stream((6, 9, 3), signed(3)), factor=(2, 3))
CNN = [WINDOW, POOL, BOTH, PART, LARGE]


def test_accepts_graphs_that_hold_together():
    check_network(NETWORK.with_layers(CNN))
    check_network(NETWORK.with_layers([WINDOW, KERNELS]))
    check_network(NETWORK.with_layers([WINDOW, POOL, SUM]))
    flat = replace(POOL, i=Stream((1, 1, 32), signed(3)), o=Stream((2,), signed(3)), vectors=16)
    check_network(NETWORK.with_layers([replace(WINDOW, kernel=(1, 1), o=IMAGE), flat]))


@pytest.mark.parametrize("layers, message", [
    ([WINDOW, replace(SUM, feeds=("swu0",))], "add0: 1 layers feed 2 streams"),
    ([WINDOW, replace(POOL, feeds=("swu1",))],
     "pool0: swu1 feeds it, which is no layer in front of it"),
    ([WINDOW, replace(POOL, feeds=("",))],
     "pool0: takes (3, 3, 8) of signed(3), but the input gives (4, 4, 2) of signed(3)"),
    ([WINDOW, POOL, replace(KERNELS, feeds=("swu0",))],
     "pool0: no layer reads what it gives, and only the last, vvtu0, gives the output"),
    ([replace(WINDOW, o=Stream((3, 3, 9), signed(3)))],
     "swu0: gives (3, 3, 9) of signed(3); (3, 3, 8) of signed(3) is expected"),
    ([replace(WINDOW, stride=(2, 1))], "swu0: its last window ends 2 beyond the rows"),
    ([replace(WINDOW, dilation=(1, 2))], "swu0: its last window ends 1 beyond the columns"),
    ([replace(WINDOW, pads=(1, 0, 0, 0), pad_value=4)],
     "swu0: pads are 4, which signed(3) does not hold"),
    ([replace(WINDOW, i=Stream(IMAGE.dims, BIPOLAR), o=Stream((3, 3, 8), BIPOLAR),
              pads=(0, 0, 1, 0))], "swu0: pads are 0, which bipolar does not hold"),
    ([WINDOW, replace(KERNELS, weights=KERNELS.weights[:, :3])],
     "vvtu0: weights are 2 x 3, but the stream has 8 elements"),
    ([WINDOW, replace(KERNELS, weights=2 * KERNELS.weights)],
     "vvtu0: weights must fit signed(2), [-2, 1]: they span [-2, 2]"),
    ([WINDOW, replace(KERNELS, o=Stream((3, 3, 2), signed(6)))],
     "vvtu0: gives signed(6), but its accumulators are signed(5)"),
    ([WINDOW, replace(POOL, op="least")], "pool0: op is 'least'; 'max' or 'sum' is expected"),
    ([WINDOW, replace(POOL, vectors=3)],
     "pool0: takes (3, 3, 8), which is not 3 times (3, 3, 2)"),
    ([WINDOW, replace(POOL, op="sum")],
     "pool0: gives (3, 3, 2) of signed(3); (3, 3, 2) of signed(5) is expected"),
    ([WINDOW, POOL, replace(SUM, multipliers=(1, 0))],
     "add0: multipliers are [1, 0] for 2 streams; one each, and none of them 0, is expected"),
    ([WINDOW, POOL, replace(SUM, multipliers=(1, 1))],
     "add0: gives (3, 3, 2) of signed(5); (3, 3, 2) of signed(4) is expected"),
    ([WINDOW, POOL, replace(SUM, o=Stream((3, 3, 3), signed(5)))],
     "add0: takes (3, 3, 2) and (3, 3, 2), but gives (3, 3, 3)"),
    ([*CNN[:2], replace(BOTH, more=(Stream((3, 3, 2), signed(4)),))],
     "concat0: takes (3, 3, 2) of signed(4) beside (3, 3, 2) of signed(3)"),
    ([*CNN[:3], replace(PART, start=2)], "slice0: channels 2 to 4 of 4"),
    ([*CNN[:4], replace(LARGE, factor=(2, 2))],
     "upsample0: gives (6, 9, 3) of signed(3); (6, 6, 3) of signed(3) is expected")])
def test_refuses_graphs_by_the_layers_name(layers, message):
    with pytest.raises(ValueError) as error:
        check_network(NETWORK.with_layers(layers))
    assert str(error.value) == message
