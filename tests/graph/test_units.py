# amaranth: UnusedElaboratable=no
"""Tests of graph/units.py: the chain of a network, and its FIFOs."""

from dataclasses import replace

import pytest
from amaranth import signed

from benchmarks.topologies import TABLE, network
from quinnoa.errors import FoldError
from quinnoa.graph.layers import Fold
from quinnoa.graph.timing import Buffer, steady_state
from quinnoa.graph.units import plan_chain
from quinnoa.rtl.families import GENERIC
from quinnoa.rtl.fifo import FIFO, fifo_latency

SMALL = [row for row in TABLE if row[0] in ("TFC", "NID", "MLP A2W2")]


def timing_with(plan, change=None):
    """Time a plan's chain, one FIFO changed in depth."""
    parts, k = [], 0
    for unit in plan.units:
        if isinstance(unit.component, FIFO):
            depth = unit.component.depth
            if k == change:
                depth = depth - 1 if depth > 2 else 0
            if depth:
                parts.append(Buffer(depth, fifo_latency(depth)))
            k += 1
        else:
            parts.append(unit.component)
    return steady_state(parts, plan.beats_in, plan.beats_out)


@pytest.mark.parametrize("name, widths, folds, bits, bound, finn", SMALL)
def test_fifos_are_the_smallest_that_reach_the_bound(name, widths, folds, bits, bound, finn):
    plan = plan_chain(network(widths, folds, bits), GENERIC)
    assert plan.timing.cycles == timing_with(plan).cycles == bound
    for k in range(sum(isinstance(unit.component, FIFO) for unit in plan.units)):
        assert timing_with(plan, k).cycles > bound


def test_units_are_named_by_kind_and_position():
    plan = plan_chain(network((784, 64, 64, 64, 10), [(16, 49), (8, 8), (8, 8), (10, 8)],
                              (1, 1, 1)), GENERIC)
    assert [unit.name for unit in plan.units] == [
        "mvtu0", "width0", "mvtu1", "fifo0", "mvtu2", "mvtu3"]


def test_refuses_a_fold_that_does_not_divide():
    net = network((12, 8), [(3, 4)], (1, 1, 1))
    with pytest.raises(FoldError, match=r"^mvtu0: PE must divide MH: MH is 8, PE is 3; take 2 or "
                                        r"4, or pad = true \(pads to 9\)$"):
        plan_chain(net, GENERIC)


def test_pads_where_asked():
    net = network((12, 8, 4), [(3, 5), (2, 3)], (2, 2, 2))
    net = net.with_layers([layer.folded(replace(layer.fold, pad=True)) for layer in net.layers])
    plan = plan_chain(net, GENERIC)
    # ceil(8/3) * ceil(12/5)
    assert plan.timing.cycles == 9
    assert plan.beats_in == 3


def test_refuses_a_record_that_says_another_shape():
    net = network((12, 8), [(1, 1)], (1, 1, 1))
    layer = net.layers[0]
    wrong = replace(layer, o=replace(layer.o, shape=signed(20)))
    with pytest.raises(ValueError, match=r"^mvtu0 gives signed\(5\), but its record says "
                                         r"signed\(20\)$"):
        plan_chain(net.with_layers([wrong]), GENERIC)


def test_a_network_of_one_layer_is_a_chain():
    plan = plan_chain(network((12, 8), [(4, 12)], (1, 1, 1)), GENERIC)
    assert [unit.name for unit in plan.units] == ["mvtu0"]
    assert plan.units[0].layer.fold == Fold(4, 12)
