# amaranth: UnusedElaboratable=no
"""Writes: memories whose words can be written at run time, and at which addresses they are."""

from typing import NamedTuple

import numpy as np
from amaranth import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .control import delay
from .families import GENERIC
from .ram import ram
from .weights import WeightMemory, block_is_cheaper

__all__ = ["Contents", "WritableMemory", "make_memory", "relay", "spread", "writes_signature"]

PART = 32                                # bits of what is written at once
# Parts that one register of address and data serves: RAM for 512 bits of every row.
LEAF = 16


def writes_signature(words):
    """Return the signature of ``writes`` for addresses below ``words``; never refused."""
    return wiring.Signature({
        "valid": Out(1), "address": Out(max((words - 1).bit_length(), 1)), "data": Out(PART)})


def spread(sizes):
    """Return where ranges of so many words begin, and how many words that makes.

    Each begins at a multiple of the power of two that holds it, so that the upper bits of an
    address tell the range and the lower ones the place in it. The largest come first: so nothing
    is lost between them.
    """
    blocks = [1 << (size - 1).bit_length() for size in sizes]
    starts, end = [0] * len(blocks), 0
    for k in sorted(range(len(blocks)), key=lambda k: -blocks[k]):
        starts[k], end = end, end + blocks[k]
    return starts, end


class WritableMemory(wiring.Component):
    """Memory of wide words that are written in parts of 32 bits; shows word ``addr``.

    ========= ======= ================================================================
    style     latency what it is
    ========= ======= ================================================================
    registers 0       there is one word
    lutram    1       LUTs with a register behind
    block     2       block RAM with a second register behind, to leave it fast
    ========= ======= ================================================================

    Each part is a memory of its own: it has one port to be written and one to be read, as RAM of
    every family has them, and a part needs none of the others to be written.

    Parameters
    ----------
    words : sequence of int
        The first contents.
    width : int
        Bits of a word.
    memory : str
        "lutrom", which then is LUTRAM, "block" or "auto", which takes what is cheaper. One word is
        in registers.
    family : Family
        What RAM in LUTs costs.

    Members
    -------
    addr : In(range(depth))
    data : Out(width)
    parts : In, an entry a part
        ``en``, ``addr`` and ``data``: bits ``32*k`` and up of a word.
    """

    def __init__(self, words, *, width, memory="auto", family=GENERIC):
        if memory not in ("auto", "lutrom", "block"):
            raise ValueError("a memory that is written must be auto, lutrom, block: "
                             f"it is {memory!r}")
        self.words, self.width, self.depth = list(words), width, len(words)
        if memory == "auto" and block_is_cheaper(self.depth, width, written=True, family=family):
            memory = "block"
        self.style = ("registers" if self.depth == 1 else
                      "block" if memory == "block" else "lutram")
        self.widths = [min(PART, width - low) for low in range(0, width, PART)]
        part = wiring.Signature({"en": Out(1), "addr": Out(range(self.depth)), "data": Out(PART)})
        super().__init__({"addr": In(range(self.depth)), "data": Out(width),
                          "parts": In(part).array(len(self.widths))})

    @property
    def latency(self):
        """Cycles from an address to its word."""
        return {"registers": 0, "lutram": 1, "block": 2}[self.style]

    def split(self, words):
        """Return the parts of words, (parts, depth) of uint32."""
        data = b"".join(int(word).to_bytes(4 * len(self.widths), "little") for word in words)
        return np.frombuffer(data, "<u4").reshape(self.depth, len(self.widths)).T

    def elaborate(self, platform):
        m = Module()
        rows = self.split(self.words).tolist()
        for k, (width, part) in enumerate(zip(self.widths, self.parts, strict=True)):
            shown = self.data.word_select(k, PART)
            if self.style == "registers":
                word = Signal(width, name=f"word_{k}", init=rows[k][0], reset_less=True)
                m.d.comb += shown.eq(word)
                with m.If(part.en):
                    m.d.sync += word.eq(part.data)
                continue
            write, read = ram(m, f"part{k}", width=width, depth=self.depth, style=self.style,
                              init=rows[k])
            m.d.comb += [
                write.en.eq(part.en), write.addr.eq(part.addr), write.data.eq(part.data),
                read.addr.eq(self.addr), shown.eq(delay(m, read.data, self.latency)),
            ]
        return m


def make_memory(words, *, width, memory="auto", writable=False, family=GENERIC):
    """Return the memory of words that never change, or of those that may be written."""
    if writable:
        return WritableMemory(words, width=width, memory=memory, family=family)
    return WeightMemory(words, width=width, memory=memory, family=family)


class Contents:
    """The memories of a unit that can be written, and the address of every word of every part.

    A part of a memory is a range of as many addresses as the memory has words.

    Parameters
    ----------
    memories : dict of str to WritableMemory

    Attributes
    ----------
    words : int
        Addresses in all. Where nothing is, nothing happens.
    """

    def __init__(self, memories):
        self.memories = dict(memories)
        self._parts = [(name, k) for name, each in self.memories.items()
                       for k in range(len(each.widths))]
        depths = [self.memories[name].depth for name, _ in self._parts]
        self._starts, self.words = spread(depths)

    def image(self, words):
        """Return what the addresses hold, uint32, where the memories hold ``words``, by name."""
        image = np.zeros(self.words, np.uint32)
        parts = {name: each.split(words[name]) for name, each in self.memories.items()}
        for (name, k), start in zip(self._parts, self._starts, strict=True):
            image[start:start + self.memories[name].depth] = parts[name][k]
        return image

    def connect(self, m, writes):
        """Take writes to the memories; each is done in the second cycle after it was ``valid``.

        What is in the first is told as registers: address and data, once for up to 16 parts, and
        whether a part is written.
        """
        order = sorted(range(len(self._parts)), key=self._starts.__getitem__)
        hit = _Decoder(m, writes)
        for first in range(0, len(order), LEAF):
            leaf = order[first:first + LEAF]
            deepest = max(self.memories[self._parts[k][0]].depth for k in leaf)
            address = Signal(range(deepest), name=f"address_{first}", reset_less=True)
            data = Signal(PART, name=f"data_{first}", reset_less=True)
            m.d.sync += [address.eq(writes.address), data.eq(writes.data)]
            for k in leaf:
                name, part = self._parts[k]
                port = self.memories[name].parts[part]
                en = Signal(name=f"writes_{name}_{part}")
                m.d.sync += en.eq(hit(self._starts[k], self.memories[name].depth))
                m.d.comb += [port.en.eq(en), port.addr.eq(address), port.data.eq(data)]


class _Decoder:
    """Tells whether a write goes to a range; ranges that share their upper bits share a gate."""

    def __init__(self, m, writes):
        self._m, self._writes, self._seen = m, writes, {}

    def __call__(self, start, size):
        bits = (size - 1).bit_length()
        return self._hit(start >> bits, bits)

    def _hit(self, tag, bits):
        """Return whether the address from ``bits`` on is ``tag``: four bits of it at a time."""
        upper = self._writes.address[bits:]
        if not len(upper):
            return self._writes.valid
        if (tag, bits) not in self._seen:
            self._seen[tag, bits] = found = Signal(name=f"is_{tag}_from_{bits}")
            above = self._hit(tag >> 4, bits + 4)
            self._m.d.comb += found.eq(above & (upper[:4] == tag % 16))
        return self._seen[tag, bits]


class _Write(NamedTuple):
    """What ``writes`` carries."""

    valid: Value
    address: Value
    data: Value


def relay(m, writes, targets):
    """Pass writes on to components at their addresses, from one to the next, a cycle each.

    Parameters
    ----------
    m : Module
    writes : Interface
        Of ``writes_signature``.
    targets : dict of str to (int, Component)
        By name the first address, and what is there: a component with ``writes`` and ``words``.
    """
    for name, (start, target) in targets.items():
        held = _Write(*(Signal.like(getattr(writes, field), name=f"{name}_{field}",
                                    reset_less=field != "valid") for field in _Write._fields))
        m.d.sync += [after.eq(getattr(writes, field))
                     for field, after in held._asdict().items()]
        m.d.comb += [
            target.writes.valid.eq(_Decoder(m, held)(start, target.words)),
            target.writes.address.eq(held.address), target.writes.data.eq(held.data),
        ]
        writes = held
