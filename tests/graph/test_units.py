# amaranth: UnusedElaboratable=no
"""Tests of graph/units.py: the chain of a network, and its FIFOs."""

from dataclasses import replace

import pytest
from amaranth import signed

from benchmarks.topologies import TABLE, network
from quinnoa.errors import FoldError
from quinnoa.graph.layers import Fold
from quinnoa.graph.steady import Timer
from quinnoa.graph.units import plan
from quinnoa.rtl.families import GENERIC

SMALL = [row for row in TABLE if row[0] in ("TFC", "NID", "MLP A2W2")]


@pytest.mark.parametrize("name, widths, folds, bits, bound, finn", SMALL)
def test_fifos_are_the_smallest_that_reach_the_bound(name, widths, folds, bits, bound, finn):
    made = plan(network(widths, folds, bits), GENERIC)
    timer = Timer(made.flow)
    assert made.timing.cycles == timer.timing(made.depths).cycles == bound
    for k, depth in enumerate(made.depths):
        if depth:
            less = [*made.depths[:k], depth - 1 if depth > 2 else 0, *made.depths[k + 1:]]
            worse = timer.timing(less)
            assert worse.cycles > bound or worse.latency > made.timing.latency


def test_units_are_named_by_kind_and_position():
    made = plan(network((784, 64, 64, 64, 10), [(16, 49), (8, 8), (8, 8), (10, 8)],
                              (1, 1, 1)), GENERIC)
    assert [unit.name for unit in made.units] == [
        "mvtu0", "width0", "mvtu1", "fifo0", "mvtu2", "mvtu3"]


def test_refuses_a_fold_that_does_not_divide():
    net = network((12, 8), [(3, 4)], (1, 1, 1))
    with pytest.raises(FoldError, match=r"^mvtu0: PE must divide MH: MH is 8, PE is 3; take 2 or "
                                        r"4, or pad = true \(pads to 9\)$"):
        plan(net, GENERIC)


def test_pads_where_asked():
    net = network((12, 8, 4), [(3, 5), (2, 3)], (2, 2, 2))
    net = net.with_layers([layer.folded(replace(layer.fold, pad=True)) for layer in net.layers])
    made = plan(net, GENERIC)
    # ceil(8/3) * ceil(12/5)
    assert made.timing.cycles == 9
    assert made.beats_in == 3


def test_refuses_a_record_that_says_another_shape():
    net = network((12, 8), [(1, 1)], (1, 1, 1))
    layer = net.layers[0]
    wrong = replace(layer, o=replace(layer.o, shape=signed(20)))
    with pytest.raises(ValueError, match=r"^mvtu0 gives signed\(5\), but its record says "
                                         r"signed\(20\)$"):
        plan(net.with_layers([wrong]), GENERIC)


def test_a_network_of_one_layer_is_a_chain():
    made = plan(network((12, 8), [(4, 12)], (1, 1, 1)), GENERIC)
    assert [unit.name for unit in made.units] == ["mvtu0"]
    assert made.units[0].layer.fold == Fold(4, 12)
