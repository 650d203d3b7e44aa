# amaranth: UnusedElaboratable=no
"""Bare top: an accelerator with AXI-Stream in and out, and AXI4-Lite for what it holds."""

from amaranth import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from .axi import AXI4Lite
from .axilite import RegisterPort
from .axistream import AxiStream
from .memory_shell import MAGIC, REGISTERS, VERSION

__all__ = ["BareTop"]

CONTENTS = REGISTERS["WRITES"]


class BareTop(wiring.Component):
    """Bare top: ``AxiStream``, and for a writable core ``s_axilite``, for its contents.

    Word a of the contents is written at byte address 0x10000 + 4a, all four bytes at once, while no
    frame is in the core. ``MAGIC``, ``VERSION``, ``NETWORK_ID`` and ``SHAPE_ID`` are read at the
    addresses they have in every shell; all else reads 0. Every access is answered with OKAY.

    Timing: the streams are those of ``core``. A write is done a few cycles after its answer, two
    and one for every unit that can be written: a frame that follows it must not come earlier.

    Parameters
    ----------
    core : Component
        With streams ``i`` and ``o``, and ``writes`` if it is writable.
    beats_in, beats_out : int
        Beats of a frame on ``i`` and on ``o``.
    network_id, shape_id : int
        64 bits each, to be read.

    Members
    -------
    s_axis_*, m_axis_*
        As ``AxiStream`` has them.
    s_axilite : In(AXI4Lite)
        Only if the core is writable.
    """

    def __init__(self, core, *, beats_in, beats_out, network_id=0, shape_id=0):
        for name, value in (("network_id", network_id), ("shape_id", shape_id)):
            if not 0 <= value < 1 << 64:
                raise ValueError(f"{name} must lie in [0, 2**64): it is {value}")
        self.core, self.network_id, self.shape_id = core, network_id, shape_id
        self.streams = AxiStream(core, beats_in=beats_in, beats_out=beats_out)
        members = dict(self.streams.signature.members)
        self.writable = "writes" in core.signature.members
        if self.writable:
            last = CONTENTS + (4 << len(core.writes.address)) - 1
            self.bus = AXI4Lite(address_bits=last.bit_length())
            members["s_axilite"] = In(self.bus)
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        m.submodules.streams = streams = self.streams
        for name, member in streams.signature.members.items():
            inner, outer = getattr(streams, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        if not self.writable:
            return m

        m.submodules.registers = port = RegisterPort(self.bus, address_bits=self.bus.address_bits)
        wiring.connect(m, wiring.flipped(self.s_axilite), port.bus)

        # Writes above the registers are those of the contents, from word 0 on.
        above = CONTENTS.bit_length() - 3
        writes, write = self.core.writes, port.write
        valid = Signal()
        address = Signal.like(writes.address, reset_less=True)
        data = Signal.like(writes.data, reset_less=True)
        m.d.sync += [valid.eq(write.valid & write.address[above:].any()), data.eq(write.data),
                     address.eq(Cat(write.address[:above], write.address[above:] - 1))]
        m.d.comb += [writes.valid.eq(valid), writes.address.eq(address), writes.data.eq(data)]

        # Reads: who this is.
        words = {"MAGIC": MAGIC, "VERSION": VERSION,
                 "NETWORK_ID": self.network_id, "SHAPE_ID": self.shape_id}
        m.d.sync += port.read.data.eq(0)
        with m.Switch(port.read.address):
            for name, value in words.items():
                for half in range(2 if name.endswith("_ID") else 1):
                    with m.Case(REGISTERS[name] // 4 + half):
                        m.d.sync += port.read.data.eq(value >> 32 * half & 0xFFFF_FFFF)
        return m
