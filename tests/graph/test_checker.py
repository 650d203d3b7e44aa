"""A network that does not hold together is refused by the name of its layer."""

from dataclasses import replace

import numpy as np
import pytest
from amaranth import signed, unsigned

from quinnoa.graph.checker import check_network
from quinnoa.graph.layers import Stream, TopK
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
