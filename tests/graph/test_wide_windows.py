# amaranth: UnusedElaboratable=no
"""Windows wider than a pixel: a row of the kernel, or all of it, in every cycle."""

import numpy as np
import pytest
from amaranth import signed, unsigned

from quinnoa.errors import FoldError
from quinnoa.graph.build import assemble
from quinnoa.graph.fold import cycles, fold_for_cycles
from quinnoa.graph.layers import Fold, MatMul, Stream, Window
from quinnoa.graph.network import Network
from quinnoa.graph.products import accumulator_shape
from quinnoa.graph.units import plan
from quinnoa.rtl.families import GENERIC
from quinnoa.sim.streams import run_unit


def convolution(*, lanes=1, simd=1, pe=1):
    """Return a 3 x 3 convolution of (6, 7, 2) to (4, 5, 4)."""
    weights = np.random.default_rng(0).integers(-1, 2, (4, 18))
    windows = Stream((4, 5, 18), unsigned(2))
    swu = Window("swu0", Stream((6, 7, 2), unsigned(2)), windows, Fold(simd=lanes), kernel=(3, 3))
    mvtu = MatMul("mvtu0", windows, Stream((4, 5, 4), accumulator_shape(weights, unsigned(2))),
                  Fold(pe, simd), weights=weights, w_shape=signed(2))
    return Network("wide", "wide", b"", None, (swu, mvtu), None)


@pytest.mark.parametrize("lanes, simd, pe, bound", [
    (1, 2, 1, 720),
    (2, 18, 4, 180),
    (6, 6, 4, 60),
    (18, 18, 4, 42),                     # a pixel in, a window out, a cycle
    (18, 9, 2, 80),
])
def test_convolutions_run_at_their_bound(lanes, simd, pe, bound):
    network = convolution(lanes=lanes, simd=simd, pe=pe)
    planned = plan(network, GENERIC)
    assert planned.timing.cycles == bound == max(map(cycles, network.layers))
    x = np.random.default_rng(1).integers(0, 4, (3, 6, 7, 2))
    run = run_unit(assemble(planned), x.reshape(-1, planned.i_lanes).tolist(),
                   3 * planned.beats_out)
    swu, mvtu = network.layers
    assert np.array_equal(np.reshape(run.beats, (3, 4, 5, 4)), mvtu.model(swu.model(x)))
    assert run.o_cycles[-1] - run.o_cycles[-1 - planned.beats_out] == bound
    assert run.o_cycles[planned.beats_out - 1] - run.i_cycles[0] == planned.timing.latency


def test_a_rate_beyond_a_pixel_of_the_window_a_cycle_is_reached():
    folded = fold_for_cycles(convolution(), 50)
    assert folded.layers[0].fold.simd == 18
    assert max(map(cycles, folded.layers)) <= 50


def test_refuses_lanes_between_a_pixel_and_a_row():
    with pytest.raises(FoldError, match=r"^swu0: SIMD is 4, but C is only 2, or take 6, or take "
                                        r"18$"):
        plan(convolution(lanes=4), GENERIC)
