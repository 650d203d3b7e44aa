"""Weight memory: a ROM of wide words, where it is cheapest to keep."""

import numpy as np
from amaranth import Array, Const, Module, Signal, unsigned
from amaranth.lib import memory as rom
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .families import GENERIC

__all__ = ["MEMORIES", "WeightMemory", "block_is_cheaper", "pack_words"]

MEMORIES = ("logic", "lutrom", "block")

# Depth and width of the forms a half block RAM takes, in 7 Series, UltraScale+ and ECP5 alike.
_BLOCK_FORMS = ((16384, 1), (8192, 2), (4096, 4), (2048, 9), (1024, 18), (512, 36))


def block_is_cheaper(depth, width, *, written=False, family=GENERIC):
    """Tell whether block RAM is the cheaper place for ``depth`` words of ``width`` bits.

    LUTs take, for each bit of a word, one for each ``rom_rows`` words, or, if they are ``written``,
    ``ram_luts`` for each ``ram_rows``; block RAM takes
    ``min over its forms of ceil(depth / form depth) * ceil(width / form width)`` halves, at the
    ``block_price`` of the family. So words up to 64 deep, and narrow ones, stay in LUTs.
    """
    rows, each = (family.ram_rows, family.ram_luts) if written else (family.rom_rows, 1)
    luts = each * width * -(-depth // rows)
    return luts > family.block_price * min(
        -(-depth // d) * -(-width // w) for d, w in _BLOCK_FORMS)


def pack_words(bits, width):
    """Make words of elements: ``(depth, elements)`` of ``width`` bits each, element 0 lowest."""
    bits = np.asarray(bits)
    planes = ((bits[:, :, None] >> np.arange(width)) & 1).astype(np.uint8)
    rows = np.packbits(planes.reshape(len(bits), bits.shape[1] * width), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in rows]


class WeightMemory(wiring.Component):
    """Weight memory: shows word ``addr``, ``latency`` cycles later.

    ========= ======= ================================================================
    memory    latency what it is
    ========= ======= ================================================================
    constant  0       no memory at all: there is one word, or all words are equal
    logic     0       combinational, to be merged into what it feeds
    lutrom    1       LUTs with a register behind
    block     2       block RAM with a second register behind, to leave it fast
    ========= ======= ================================================================

    Parameters
    ----------
    words : sequence of int
        The contents; word k is shown for address k.
    width : int
        Bits of a word.
    memory : str
        "logic", "lutrom" or "block"; "auto" takes "block" where ``block_is_cheaper``, else
        "lutrom". Synthesis honours "block" and keeps "lutrom" out of block RAM (``ram_style``).
    family : Family
        What LUTs and block RAM cost.

    Members
    -------
    addr : In(range(depth))
    data : Out(width)

    Attributes
    ----------
    depth, width : int
        Of the contents.
    style : str
        What it is, as in the table.
    """

    def __init__(self, words, *, width, memory="auto", family=GENERIC):
        if memory not in ("auto", *MEMORIES):
            raise ValueError(f"memory must be auto, {', '.join(MEMORIES)}: it is {memory!r}")
        words = [int(word) for word in words]
        if not words:
            raise ValueError("a weight memory needs at least one word: it has none")
        # Words that do not fit would be truncated without a word, so look here.
        for k, word in enumerate(words):
            if not 0 <= word < 1 << width:
                raise ValueError(f"words must lie in [0, 2**{width}): word {k} is {word}")

        self.words, self.width = words, width
        if all(word == words[0] for word in words):
            self.style = "constant"
        elif memory == "auto":
            self.style = ("block" if block_is_cheaper(self.depth, width, family=family)
                          else "lutrom")
        else:
            self.style = memory
        super().__init__({"addr": In(range(self.depth)), "data": Out(width)})

    @property
    def depth(self):
        """Words."""
        return len(self.words)

    @property
    def latency(self):
        """Cycles from an address to its word."""
        return {"constant": 0, "logic": 0, "lutrom": 1, "block": 2}[self.style]

    def model(self, addr):
        """Look up the words of addresses."""
        return [self.words[k] for k in np.ravel(addr).tolist()]

    def elaborate(self, platform):
        m = Module()
        if self.style == "constant":
            m.d.comb += self.data.eq(self.words[0])
        elif self.style == "logic":
            m.d.comb += self.data.eq(Array(Const(w, self.width) for w in self.words)[self.addr])
        else:
            # "registers" keeps Vivado and Yosys from block RAM, and a ROM so kept is LUTs.
            ram_style = "block" if self.style == "block" else "registers"
            m.submodules.rom = store = rom.Memory(
                shape=unsigned(self.width), depth=self.depth, init=self.words,
                attrs={"ram_style": ram_style})
            port = store.read_port()
            m.d.comb += port.addr.eq(self.addr)
            if self.style == "block":
                data = Signal(self.width, reset_less=True)
                m.d.sync += data.eq(port.data)
                m.d.comb += self.data.eq(data)
            else:
                m.d.comb += self.data.eq(port.data)
        return m
