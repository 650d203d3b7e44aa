# amaranth: UnusedElaboratable=no
"""Every unit of rtl/ under cocotb on Verilator: equal to its model, however the streams stall."""

import numpy as np
import pytest
from amaranth import signed, unsigned
from amaranth.lib.data import ArrayLayout

from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.packing import pack
from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.chain import Chain
from quinnoa.rtl.concat import ConcatUnit
from quinnoa.rtl.dataflow import Dataflow
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.reduce import ReduceUnit
from quinnoa.rtl.shapes import BIPOLAR, is_bipolar, range_of
from quinnoa.rtl.slice import SliceUnit
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.upsample import UpsampleUnit
from quinnoa.rtl.width import WidthConverter
from quinnoa.sim import cocotb
from quinnoa.verilog import to_verilog

VECTORS = 12

pytestmark = pytest.mark.slow


def some(shape, size, seed=0):
    """Return values of ``shape``."""
    low, high = range_of(shape)
    rng = np.random.default_rng(seed)
    return rng.choice([-1, 1], size) if is_bipolar(shape) else rng.integers(low, high + 1, size)


def steps(channels, count, spread, shape, seed=0):
    """Return ascending thresholds."""
    values = np.random.default_rng(seed).integers(-spread, spread, (channels, count))
    base = 0 if is_bipolar(shape) else range_of(shape)[0]
    return Thresholds(np.sort(values, axis=1), shape, base=np.full(channels, base))


def mvtu(mh, mw, x_shape, w_shape, count=0, y_shape=None, **options):
    """Return an MVTU of random weights, with ``count`` thresholds."""
    thresholds = steps(mh, count, 2 * mw, y_shape) if count else None
    return MVTU(some(w_shape, (mh, mw)), x_shape=x_shape, w_shape=w_shape, thresholds=thresholds,
                **options)


def branches():
    """Return 3 * x + (x with its halves swapped), for vectors of 6 elements, as one component."""
    x = ArrayLayout(signed(3), 1)
    units = {
        "fork0": ForkUnit(x, ways=3),
        "slice0": SliceUnit(shape=signed(3), channels=6, start=0, stop=3, lanes=1),
        "slice1": SliceUnit(shape=signed(3), channels=6, start=3, stop=6, lanes=1),
        "fifo0": FIFO(x, depth=4),
        "fifo1": FIFO(x, depth=8),
        "concat0": ConcatUnit(shape=signed(3), channels=(3, 3), lanes=1),
        "add0": AddUnit(multipliers=(3, 1), shapes=(signed(3), signed(3)), channels=6, lanes=1),
    }
    edges = [("fork0.o", "slice0.i"), ("fork0.o_1", "slice1.i"), ("fork0.o_2", "fifo1.i"),
             ("slice0.o", "fifo0.i"), ("slice1.o", "concat0.i"), ("fifo0.o", "concat0.i_1"),
             ("fifo1.o", "add0.i"), ("concat0.o", "add0.i_1")]
    return Dataflow(units, [(a.split("."), b.split(".")) for a, b in edges],
                    i=("fork0", "i"), o=("add0", "o"))


@pytest.fixture(scope="module")
def units():
    """Make the units, each with the dims of its input."""
    return {
        **{f"fifo_{style}": (FIFO(ArrayLayout(signed(5), 3), depth=depth, style=style), 3)
           for style, depth in {"registers": 2, "srl": 5, "lutram": 9, "block": 17}.items()},
        "narrower": (WidthConverter(signed(3), elements=8, i_lanes=4, o_lanes=1), 8),
        "wider": (WidthConverter(BIPOLAR, elements=8, i_lanes=2, o_lanes=8), 8),
        "uneven": (WidthConverter(unsigned(2), elements=10, i_lanes=3, o_lanes=4), 10),
        "parallel": (ThresholdUnit(steps(6, 3, 30, unsigned(2)), channels=6, lanes=2,
                                   i_shape=signed(6), style="parallel"), 6),
        "search": (ThresholdUnit(steps(6, 15, 30, unsigned(4)), channels=6, lanes=3,
                                 i_shape=signed(6), style="search"), 6),
        "largest": (TopKUnit(elements=10, lanes=3, shape=signed(5)), 10),
        "largest3": (TopKUnit(elements=6, lanes=2, shape=unsigned(3), k=3), 6),
        "xnor": (mvtu(8, 12, BIPOLAR, BIPOLAR, 1, BIPOLAR, pe=2, simd=4), 12),
        "ternary": (mvtu(6, 8, unsigned(2), signed(2), 3, unsigned(2), pe=3, simd=2), 8),
        "signs": (mvtu(4, 6, signed(4), BIPOLAR, 3, signed(2), pe=4, simd=6), 6),
        "sums": (mvtu(5, 6, unsigned(8), signed(4), pe=1, simd=1), 6),
        "padded": (mvtu(5, 7, BIPOLAR, signed(3), pe=2, simd=3, pad=True), 7),
        "block": (mvtu(8, 8, unsigned(3), signed(3), 7, unsigned(3), pe=2, simd=2,
                       memory="block"), 8),
        "chain": (Chain(mvtu(4, 6, unsigned(2), BIPOLAR, 1, BIPOLAR, pe=2, simd=3),
                        WidthConverter(BIPOLAR, elements=4, i_lanes=2, o_lanes=4),
                        mvtu(3, 4, BIPOLAR, BIPOLAR, pe=1, simd=4)), 6),
        "max1": (ReduceUnit(op="max", vectors=4, channels=2, lanes=2, shape=BIPOLAR), 8),
        "max2": (ReduceUnit(op="max", vectors=3, channels=4, lanes=2, shape=signed(3)), 12),
        "sum3": (ReduceUnit(op="sum", vectors=5, channels=3, lanes=1, shape=unsigned(4)), 15),
        "upsample": (UpsampleUnit(height=2, width=3, channels=3, factor=(2, 3), lanes=1,
                                  shape=signed(4)), (2, 3, 3)),
        "columns": (UpsampleUnit(height=2, width=2, channels=4, factor=(1, 2), lanes=2,
                                 shape=BIPOLAR), (2, 2, 4)),
        "slice": (SliceUnit(shape=unsigned(3), channels=6, start=2, stop=4, lanes=2), 6),
        "branches": (branches(), 6),
    }


def beats(values, shape):
    """Cut vectors into beats, filled up with 0."""
    lanes, values = shape.length, values.reshape(len(values), -1)
    padded = np.pad(values, ((0, 0), (0, -values.shape[1] % lanes)))
    return padded.reshape(-1, lanes).tolist()


@pytest.fixture(scope="module")
def bench(units, tmp_path_factory):
    bundle = cocotb.Bundle({name: unit for name, (unit, _) in units.items()})
    return cocotb.build(to_verilog(bundle, name="units"), "units", tmp_path_factory.mktemp("units"))


@pytest.mark.parametrize("density", [0, 0.25, 0.7])
def test_every_unit_equals_its_model(units, bench, density):
    tasks = {}
    for name, (unit, dims) in units.items():
        i_shape, o_shape = unit.i.payload.shape(), unit.o.payload.shape()
        x = some(i_shape.elem_shape, (VECTORS, *np.ravel(dims)), seed=1)
        tasks[name] = unit, beats(x, i_shape), beats(unit.model(x), o_shape)
    bench.run_bundle(tasks, density=density, seed=1)


def test_a_chain_equals_its_model_behind_axi_streams(units, tmp_path):
    core, elements = units["chain"]
    i_shape, o_shape = core.i.payload.shape(), core.o.payload.shape()
    x = some(i_shape.elem_shape, (VECTORS, elements), seed=2)
    y = core.model(x)
    top = AxiStream(core, beats_in=elements // i_shape.length, beats_out=y.shape[1])
    frames = [pack(values, shape.elem_shape, lanes=shape.length).reshape(VECTORS, -1)
              for values, shape in ((x, i_shape), (y, o_shape))]
    bench = cocotb.build(to_verilog(top, name="top"), "top", tmp_path)
    for density in (0, 0.4):
        bench.run_axi(*frames, density=density)


def test_every_kind_of_unit_is_here(units):
    kinds = {type(unit) for unit, _ in units.values()}
    kinds |= {type(unit) for unit in units["branches"][0].units.values()}
    assert kinds == {FIFO, WidthConverter, ThresholdUnit, TopKUnit, MVTU, Chain, Dataflow, ForkUnit,
                     AddUnit, ReduceUnit, ConcatUnit, SliceUnit, UpsampleUnit}
