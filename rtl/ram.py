"""RAM that is written by one port and read by another: in LUTs, block RAM or UltraRAM."""

from amaranth import unsigned
from amaranth.lib import memory

__all__ = ["RAM_STYLES", "ram"]

# What synthesis calls them.
RAM_STYLES = {"lutram": "distributed", "block": "block", "ultra": "ultra"}


def ram(m, name, *, width, depth, style, init=()):
    """Lay a RAM into module ``m``; return its ports to write and to read.

    The word at the read address is there within the cycle: in any style but "lutram" a register
    without reset has to take it, which becomes that of the RAM.

    A word that is read in the cycle in which it is written is anything, and nobody may use it.
    Synthesis is told (``no_rw_check`` of Yosys): where a RAM does not give the word before, as that
    of ECP5, it would add a comparison of the addresses and a way past it.
    """
    m.submodules[name] = store = memory.Memory(
        shape=unsigned(width), depth=depth, init=init,
        attrs={"ram_style": RAM_STYLES[style], "no_rw_check": 1})
    return store.write_port(), store.read_port(domain="comb")
