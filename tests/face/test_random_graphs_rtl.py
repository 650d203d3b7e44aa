"""Random convolutional graphs as RTL: every output as the executor's, every cycle as planned."""

import os
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

import quinnoa
from quinnoa.graph.build import build
from quinnoa.graph.lanes import axes
from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.packing import pack, unpack
from quinnoa.sim.verilator import build as build_model
from quinnoa.verilog import to_verilog
from tests.cnn_models import cnv, images
from tests.models import reference
from tests.one_of import OneOf
from tests.random_graphs import random_graph, seeded

pytestmark = pytest.mark.slow
GRAPHS = int(os.environ.get("QUINNOA_GRAPHS", "200"))
AT_ONCE = 20                             # graphs of one Verilator model
FRAMES = 8


@dataclass(eq=False)
class Case:
    """A random graph, folded at random, with inputs and the executor's outputs."""

    seed: int
    network: Any
    plan: Any
    top: Any
    words: np.ndarray
    outputs: np.ndarray


def case(seed):
    pick = seeded(seed)
    model, x = random_graph(pick, seed=seed, frames=FRAMES)
    network = quinnoa.load(model)
    network = network.with_layers(
        layer.folded(replace(layer.fold, **{axis.key: pick(divisors(axis.size))
                                            for axis in axes(layer)}))
        for layer in network.layers)
    core, plan = build(network)
    words = pack(network.encode(x).reshape(-1, network.i.channels), network.i.shape,
                 lanes=plan.i_lanes)
    top = AxiStream(core, beats_in=plan.beats_in, beats_out=plan.beats_out)
    return Case(seed, network, plan, top, words, reference(model, x))


def divisors(n):
    return [d for d in range(1, n + 1) if n % d == 0]


def word(index, words, one_of):
    """Return the words of a case as those of the model of all cases."""
    whole = np.zeros((len(words), one_of.data_in // 8 + 2), np.uint8)
    whole[:, :words.shape[1]] = words
    whole[:, -2:] = index % 256, index // 256
    return whole


@pytest.mark.parametrize("first", range(0, GRAPHS, AT_ONCE))
def test_random_graphs_as_rtl_agree_on_every_output_and_cycle(first, tmp_path):
    cases = [case(seed) for seed in range(first, min(first + AT_ONCE, GRAPHS))]
    one_of = OneOf(case.top for case in cases)
    model = build_model(to_verilog(one_of, name="graphs"), "graphs", tmp_path, optimize=0)
    for index, each in enumerate(cases):
        beats = {"frames": FRAMES, "beats_in": each.plan.beats_in,
                 "beats_out": each.plan.beats_out}
        words, o = word(index, each.words, one_of), each.network.layers[-1].o
        for stalls in ({}, {"stall_in": 0.4, "stall_out": 0.4, "seed": each.seed}):
            run = model.run(words, patience=100_000, **beats, **stalls)
            given = run.words[:, :len(each.top.m_axis_tdata) // 8]
            y = each.network.decode(unpack(given, o.shape, lanes=each.plan.o_lanes,
                                           elements=o.channels).reshape(FRAMES, -1))
            assert np.array_equal(y, each.outputs), f"graph {each.seed}"
            if not stalls:
                timing = each.plan.timing
                assert (run.cycles_per_frame, run.latency) == (timing.cycles, timing.latency), (
                    f"graph {each.seed}")


@pytest.mark.parametrize("w_bits, a_bits", [(1, 1), (1, 2), (2, 2)])
def test_a_small_cnv_as_rtl_agrees_on_every_output_and_cycle(w_bits, a_bits, tmp_path):
    model, x = cnv(w_bits, a_bits, small=True), images((3, 32, 32), 8, bits=8)
    np.save(tmp_path / "x.npy", x)
    report = quinnoa.compile_network(quinnoa.load(model), tmp_path / "out", fps=25_000)
    result = quinnoa.simulate(tmp_path / "out", input=tmp_path / "x.npy")
    assert result["mismatches"] == 0
    assert result["cycles_per_frame"] == report["cycles"]
    assert result["latency"] == report["latency"]
    assert np.array_equal(np.load(tmp_path / "out" / "outputs.npy"), reference(model, x))
