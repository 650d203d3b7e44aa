# amaranth: UnusedElaboratable=no
"""Tests of platforms/bare.py."""

import numpy as np
import pytest
from amaranth import signed

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.axistream import AxiStream
from quinnoa.platforms.bare import BareTop
from quinnoa.platforms.packing import pack
from quinnoa.rtl.chain import Chain
from quinnoa.rtl.dataflow import addresses
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.sim import cocotb
from quinnoa.verilog import to_verilog

NETWORK_ID, SHAPE_ID = 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210


def make_core(seed, writable=True):
    """Make two layers of random weights and thresholds."""
    rng = np.random.default_rng(seed)
    one = MVTU(rng.choice([-1, 1], (8, 12)), pe=2, simd=4, x_shape=signed(4), w_shape=BIPOLAR,
               thresholds=Thresholds(rng.integers(-9, 9, (8, 1)), BIPOLAR), writable=writable)
    two = MVTU(rng.integers(-4, 4, (5, 8)), pe=5, simd=2, x_shape=BIPOLAR, w_shape=signed(3),
               writable=writable)
    return Chain(one, two, names=("mvtu0", "mvtu1"))


def contents(core, other):
    """Return what the addresses of ``core`` hold with the weights and thresholds of ``other``."""
    return core.contents({name: core.units[name].contents(unit.weights, unit.thresholds)
                          for name, unit in other.units.items()})


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    core = make_core(0)
    top = BareTop(core, beats_in=3, beats_out=1, network_id=NETWORK_ID, shape_id=SHAPE_ID)
    return core, cocotb.build(to_verilog(top, name="bare"), "bare",
                              tmp_path_factory.mktemp("bare"))


def task(core, other, *, density=0.3, frames=6):
    """Tell the bench what to send and what to expect."""
    x = np.random.default_rng(1).integers(-8, 8, (frames, 12))
    sent = pack(x, signed(4), lanes=4)

    def expected(network):
        return pack(network.model(x), network.o.payload.shape().elem_shape, lanes=5)

    def told(given, wanted):
        return [(a.tobytes().hex(), b.tobytes().hex())
                for a, b in zip(given.reshape(frames, -1), wanted.reshape(frames, -1),
                                strict=True)]

    words = contents(core, other)
    return {"density": density, "seed": 3, "deadline": 10_000, "patience": 8,
            "registers": [(0x00, 0x514E4E41), (0x04, 1), (0x08, 0x89AB_CDEF), (0x0C, 0x0123_4567),
                          (0x10, 0x7654_3210), (0x14, 0xFEDC_BA98), (0x18, 0), (0x10000, 0)],
            "before": told(sent, expected(core)), "after": told(sent, expected(other)),
            "words": words.tolist()}


def test_registers_read_and_contents_are_written(bench):
    core, built = bench
    built.run("quinnoa.sim.bare_bench", "bare", task(core, make_core(1)))


def test_the_bench_sees_a_word_that_is_not_written(bench):
    core, built = bench
    wrong = task(core, make_core(1))
    # The first weight of the last layer, on which every output 0 depends.
    wrong["words"][addresses(core.units)[0]["mvtu1"]] ^= 1
    with pytest.raises(QuinnoaError, match=r"frame \d+ is "):
        built.run("quinnoa.sim.bare_bench", "bare", wrong)


def test_a_core_that_is_not_writable_has_streams_alone():
    members = BareTop(make_core(0, writable=False), beats_in=3, beats_out=1).signature.members
    streams = AxiStream(make_core(0, writable=False), beats_in=3, beats_out=1).signature.members
    assert dict(members.items()) == dict(streams.items())


def test_addresses_reach_the_last_word():
    top = BareTop(make_core(0), beats_in=3, beats_out=1)
    assert 0x10000 + 4 * top.core.words <= 1 << len(top.s_axilite.awaddr)
    assert len(top.s_axilite.awaddr) == 17


def test_refuses_ids_that_do_not_fit():
    with pytest.raises(ValueError) as raised:
        BareTop(make_core(0), beats_in=3, beats_out=1, shape_id=1 << 64)
    assert str(raised.value) == f"shape_id must lie in [0, 2**64): it is {1 << 64}"
