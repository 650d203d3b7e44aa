# amaranth: UnusedElaboratable=no
"""Tests of graph/units.py on graphs: branches, windows, flattened images."""

import random

import numpy as np
import pytest
from amaranth import unsigned

import quinnoa
from quinnoa.graph.build import build
from quinnoa.graph.lanes import axes, cycles, i_lanes
from quinnoa.graph.layers import Add, Concat, Fold, Slice, Stream, Threshold, Window
from quinnoa.graph.network import Network
from quinnoa.graph.timing import simulate
from quinnoa.graph.units import converters, plan
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.shapes import is_bipolar
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim.streams import run_unit
from tests.random_graphs import random_graph, seeded

SHAPE = unsigned(4)


def divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


def folded(network, seed):
    """Fold every layer at random."""
    rng = random.Random(seed)
    return network.with_layers([
        layer.folded(Fold(**{axis.key: rng.choice(divisors(axis.size)) for axis in axes(layer)}))
        for layer in network.layers])


def bits(values, shape):
    """Return what travels for integers."""
    return (values > 0).astype(int) if is_bipolar(shape) else values


# Residual blocks, joins and parts, depthwise and nested ones, of every ending.
@pytest.mark.parametrize("seed", [8, 18, 20, 28, 40, 56])
def test_every_transfer_of_the_gateware_is_in_the_cycle_computed(seed):
    model, x = random_graph(seeded(seed), seed=seed, frames=3)
    network = folded(quinnoa.load(model), seed)
    accelerator, made = build(network)
    codes = network.encode(x)
    i, o = network.i, network.layers[-1].o
    vectors = bits(codes.reshape(-1, i.channels), i.shape)
    vectors = np.pad(vectors, ((0, 0), (0, -i.channels % made.i_lanes)))
    run = run_unit(accelerator, vectors.reshape(-1, made.i_lanes).tolist(),
                   len(x) * made.beats_out)
    expected = simulate(made.flow, made.depths, len(x))
    assert [cycle - run.i_cycles[0] for cycle in run.i_cycles] == expected.entries[0]
    assert [cycle - run.i_cycles[0] for cycle in run.o_cycles] == expected.transfers[-1]
    got = np.array(run.beats).reshape(len(x) * o.vectors, -1)[:, :o.channels]
    want = network.run_integers(codes).reshape(got.shape)
    np.testing.assert_array_equal(got, bits(want, o.shape))
    assert made.timing.cycles == max(cycles(layer) for layer in network.layers)


def layers_of(*layers):
    return Network("small", "small", b"", None, layers, None)


def halves():
    return Thresholds(np.array([[4, 8, 12]]), unsigned(2))


def test_units_and_streams_of_a_residual_block():
    x = Stream((4, 4, 8), SHAPE)
    y = Stream((4, 4, 8), unsigned(2))
    made = plan(layers_of(
        Threshold("threshold0", x, y, Fold(4), thresholds=halves(), feeds=("",)),
        Threshold("threshold1", y, y, Fold(2), thresholds=halves(), feeds=("threshold0",)),
        Add("add0", y, Stream((4, 4, 8), unsigned(3)), Fold(2), multipliers=(1, 1), more=(y,),
            feeds=("threshold1", "threshold0")),
    ), GENERIC)
    assert [unit.name for unit in made.units] == [
        "threshold0", "width0", "fork0", "threshold1", "fifo0", "add0"]
    assert made.i == ("threshold0", "i") and made.o == ("add0", "o")
    assert made.edges == (
        (("threshold0", "o"), ("width0", "i")), (("width0", "o"), ("fork0", "i")),
        (("fork0", "o"), ("threshold1", "i")), (("threshold1", "o"), ("add0", "i")),
        (("fork0", "o_1"), ("fifo0", "i")), (("fifo0", "o"), ("add0", "i_1")))
    assert [depth > 0 for depth in made.depths] == [False] * 5 + [True, False]


def test_the_input_may_have_several_readers():
    x = Stream((2, 2, 6), SHAPE)
    part = Stream((2, 2, 3), SHAPE)
    made = plan(layers_of(
        Slice("slice0", x, part, Fold(3), start=0, feeds=("",)),
        Slice("slice1", x, part, Fold(3), start=3, feeds=("",)),
        Concat("concat0", part, x, Fold(3), more=(part,), feeds=("slice1", "slice0")),
    ), GENERIC)
    assert [unit.name for unit in made.units] == ["fork0", "slice0", "slice1", "concat0"]
    assert made.i == ("fork0", "i")
    assert (made.beats_in, made.beats_out, made.timing.cycles) == (8, 8, 8)


@pytest.mark.parametrize("given, g, taken, t, expected", [
    ((2, 2, 6), 3, (2, 2, 6), 3, []),
    ((2, 2, 6), 3, (2, 2, 6), 2, [(6, 3, 2)]),
    # An image flattened: no padding on the way in, or none on the way out.
    ((2, 2, 6), 3, (24,), 8, [(24, 3, 8)]),
    ((2, 2, 6), 4, (24,), 3, [(6, 4, 3)]),
    # Padding at the end of every pixel must go before vectors of other ends are made.
    ((2, 2, 6), 4, (24,), 8, [(6, 4, 6), (24, 6, 8)]),
    # Windows: SIMD larger than a pixel.
    ((2, 2, 54), 6, (2, 2, 54), 18, [(54, 6, 18)]),
])
def test_width_converters_between_vectors_of_different_lengths(given, g, taken, t, expected):
    made = converters(Stream(given, SHAPE), g, Stream(taken, SHAPE), t)
    assert [(unit.elements, unit.i_lanes, unit.o_lanes) for unit in made] == expected


def test_a_window_has_its_lanes_on_both_sides():
    window = Window("swu0", Stream((4, 4, 6), SHAPE), Stream((2, 2, 54), SHAPE), Fold(simd=3),
                    kernel=(3, 3))
    made = plan(layers_of(window), GENERIC)
    assert i_lanes(window) == made.i_lanes == made.o_lanes == 3
    assert (made.beats_in, made.beats_out) == (32, 72)
    assert made.timing.cycles == cycles(window) == 72
