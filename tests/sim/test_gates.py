# amaranth: UnusedElaboratable=no
"""Tests of sim/gates.py: the block RAMs of the families, against memories in Python."""

import re
from collections import Counter

import numpy as np
import pytest
from amaranth import Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import stream, wiring
from amaranth.lib.data import ArrayLayout
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.axistream import AxiStream
from quinnoa.sim.gates import library
from quinnoa.sim.verilator import simulate
from quinnoa.synthesis import synthesise
from quinnoa.verilog import to_verilog


class Store(wiring.Component):
    """A memory in block RAM: a beat has the bits of read address, write address, data, enables."""

    def __init__(self, *, width, depth, init, parts, transparent):
        self.width, self.depth, self.init = width, depth, init
        self.parts, self.transparent = parts, transparent
        self.address_bits = (depth - 1).bit_length()
        self.bits = 2 * self.address_bits + width + parts
        super().__init__({"i": In(stream.Signature(ArrayLayout(1, self.bits))),
                          "o": Out(stream.Signature(ArrayLayout(1, width)))})

    def elaborate(self, platform):
        m = Module()
        m.submodules.memory = memory = Memory(shape=unsigned(self.width), depth=self.depth,
                                              init=self.init, attrs={"ram_style": "block"})
        write = memory.write_port(granularity=self.width // self.parts)
        read = memory.read_port(transparent_for=(write,) if self.transparent else ())
        full, go = Signal(), Signal()
        word, n = Value.cast(self.i.payload), self.address_bits
        m.d.comb += [
            self.i.ready.eq(~full | self.o.ready), go.eq(self.i.valid & self.i.ready),
            read.en.eq(go), read.addr.eq(word[:n]), write.addr.eq(word[n:2 * n]),
            write.data.eq(word[2 * n:2 * n + self.width]),
            write.en.eq(Mux(go, word[2 * n + self.width:], 0)),
            Value.cast(self.o.payload).eq(read.data), self.o.valid.eq(full)]
        m.d.sync += full.eq(go | full & ~self.o.ready)
        return m

    def model(self, beats):
        """Return what is read for each (read address, write address, data, enables)."""
        memory, out, part = list(self.init), [], self.width // self.parts
        for read, write, data, enables in beats:
            before = memory[read]
            mask = sum(((1 << part) - 1) << n * part for n in range(self.parts) if enables >> n & 1)
            memory[write] = memory[write] & ~mask | data & mask
            out.append(memory[read] if self.transparent else before)
        return out


def wide(rng, bits):
    return int.from_bytes(rng.bytes(-(-bits // 8)), "little") % (1 << bits)


# Words of less than a byte, of a byte, of several; of both ports' data pins; enables for bytes.
SHAPES = [(4, 4096, 1, False), (9, 2000, 1, True), (16, 1024, 2, False), (36, 512, 4, True),
          (72, 512, 1, False)]


@pytest.mark.slow
@pytest.mark.parametrize("family, cell, shape", [
    *(("xc7", "RAMB", shape) for shape in SHAPES), *(("ecp5", "DP16KD", shape) for shape in SHAPES),
    ("xcup", "RAMB", SHAPES[2]), ("xcup", "RAMB", SHAPES[4])])
def test_block_rams_hold_what_is_written(family, cell, shape, tmp_path):
    width, depth, parts, transparent = shape
    rng = np.random.default_rng(width)
    store = Store(width=width, depth=depth, init=[wide(rng, width) for _ in range(depth)],
                  parts=parts, transparent=transparent)
    # Half of the addresses are among a few, so that many beats read what they write.
    beats = [(*(int(rng.integers(8 if rng.integers(2) else depth)) for _ in range(2)),
              wide(rng, width), wide(rng, parts)) for _ in range(2000)]
    assert any(read == write and enables for read, write, _, enables in beats)
    n = store.address_bits
    packed = [read | write << n | data << 2 * n | enables << 2 * n + width
              for read, write, data, enables in beats]
    words = np.array([list(beat.to_bytes(-(-store.bits // 8), "little")) for beat in packed],
                     np.uint8)

    (tmp_path / "rtl.v").write_text(to_verilog(AxiStream(store, beats_in=1, beats_out=1),
                                               name="store"))
    cells = synthesise("rtl.v", top="store", family=family, folder=tmp_path, outputs=["gates.v"])
    kinds = sum((Counter(each.kinds) for each in cells.values()), Counter())
    assert any(kind.startswith(cell) for kind in kinds)
    run = simulate((tmp_path / "gates.v").read_text(), "store", words, frames=len(beats),
                   beats_in=1, beats_out=1, optimize=0, cells=library(family))
    got = [int.from_bytes(row.tobytes(), "little") for row in run.words]
    assert got == store.model(beats)


@pytest.mark.parametrize("family, cells", [
    ("xc7", ["LUT6_2", "CARRY4", "FDRE", "SRL16E", "RAM32M", "RAMB18E1", "RAMB36E1"]),
    ("xcup", ["LUT6_2", "CARRY8", "FDRE", "RAM32M16", "RAMB18E2", "RAMB36E2"]),
    ("ecp5", ["LUT4", "CCU2C", "PFUMX", "L6MUX21", "TRELLIS_FF", "TRELLIS_DPR16X4", "DP16KD",
              "MULT18X18D"])])
def test_every_cell_is_described_once(family, cells):
    text = library(family)
    modules = Counter(re.findall(r"^module (\S+?)\s*[(;#]", text, re.M))
    assert {cell: modules[cell] for cell in cells} == dict.fromkeys(cells, 1)
    assert "endspecify" not in text


def test_a_family_without_cells_is_refused():
    with pytest.raises(QuinnoaError, match=r"^there are no cells of the family generic: gates are "
                                           r"simulated for xc7, xcup, ecp5$"):
        library("generic")


def test_a_cell_without_a_description_is_named():
    with pytest.raises(QuinnoaError, match=r"^gates of xcup cannot be simulated with DSP48E2, "
                                           r"URAM288: there is no description of it$"):
        library("xcup", ["LUT6", "URAM288", "DSP48E2"])


class Multiplier(wiring.Component):
    """Gives the product of two 18-bit numbers, signed or not."""

    def __init__(self, shape):
        self.shape = shape
        super().__init__({"i": In(stream.Signature(ArrayLayout(shape, 2))),
                          "o": Out(stream.Signature(ArrayLayout(36, 1)))})

    def elaborate(self, platform):
        m = Module()
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [Value.cast(self.o.payload).eq(self.i.payload[0] * self.i.payload[1]),
                         self.o.valid.eq(self.i.valid)]
        return m


@pytest.mark.parametrize("shape", [signed(18), unsigned(18)])
def test_the_multiplier_of_ecp5_multiplies(shape, tmp_path):
    ends = [0, 1, 2**17 - 1, *([-1, -2**17] if shape.signed else [2**18 - 1])]
    pairs = [(a, b) for a in ends for b in ends]
    words = np.array([list(((a % 2**18) | (b % 2**18) << 18).to_bytes(5, "little"))
                      for a, b in pairs], np.uint8)
    (tmp_path / "rtl.v").write_text(to_verilog(
        AxiStream(Multiplier(shape), beats_in=1, beats_out=1), name="product"))
    cells = synthesise("rtl.v", top="product", family="ecp5", folder=tmp_path,
                       outputs=["gates.v"])
    assert sum(each.as_dict()["dsp"] for each in cells.values()) == 1
    run = simulate((tmp_path / "gates.v").read_text(), "product", words, frames=len(pairs),
                   beats_in=1, beats_out=1, optimize=0, cells=library("ecp5"))
    got = [int.from_bytes(row.tobytes(), "little") % 2**36 for row in run.words]
    assert got == [a * b % 2**36 for a, b in pairs]
