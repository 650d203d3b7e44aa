"""Plans of primitives: LUT sites and carry chains as data, for numpy and for the gateware."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from amaranth import Cat, Const, Instance, Signal

__all__ = ["ONE", "ZERO", "Carry", "Lut", "Plan"]

ZERO, ONE = 0, 1                         # nets that are constant; the others count from 2


@dataclass(frozen=True)
class Lut:
    """One LUT site: ``o = init[inputs]``; a LUT6_2 where ``o5``, its lower half, is a net too."""

    inputs: tuple[int, ...]
    init: int
    o: int
    o5: int | None = None

    @property
    def makes(self):
        """The nets it drives."""
        return (self.o,) if self.o5 is None else (self.o, self.o5)

    def lay(self, m, nets, family):
        """Add the primitive to module ``m``."""
        pins = {f"i_I{k}": nets[n] for k, n in enumerate(self.inputs)}
        if self.o5 is None:
            size = len(self.inputs)
            m.submodules += Instance(f"LUT{size}", p_INIT=Const(self.init, 1 << size), **pins,
                                     o_O=nets[self.o])
        else:
            pins |= {f"i_I{k}": Const(0, 1) for k in range(len(self.inputs), 5)}
            m.submodules += Instance("LUT6_2", p_INIT=Const(self.init, 64), **pins,
                                     i_I5=Const(1, 1), o_O5=nets[self.o5], o_O6=nets[self.o])


@dataclass(frozen=True)
class Carry:
    """A carry chain: ``o[k] = s[k] ^ c[k]``, ``c[k+1] = c[k] if s[k] else di[k]``; c[0] is ci."""

    s: tuple[int, ...]
    di: tuple[int, ...]
    ci: int
    o: tuple[int, ...]
    co: int | None

    @property
    def makes(self):
        """The nets it drives."""
        return self.o if self.co is None else (*self.o, self.co)

    def lay(self, m, nets, family):
        """Add the primitives to module ``m``, ``family.carry`` places each."""
        size, carried = family.carry, None
        for k in range(0, len(self.s), size):
            places = len(self.s[k:k + size])
            o, co = Signal(size), Signal(size)
            if size == 8:
                start = {"p_CARRY_TYPE": "SINGLE_CY8", "i_CI_TOP": Const(0, 1),
                         "i_CI": nets[self.ci] if carried is None else carried}
            else:
                start = {"i_CI": Const(0, 1) if carried is None else carried,
                         "i_CYINIT": nets[self.ci] if carried is None else Const(0, 1)}
            m.submodules += Instance(
                f"CARRY{size}", **start, o_O=o, o_CO=co,
                i_S=Cat(nets[n] for n in self.s[k:k + size]),
                i_DI=Cat(nets[n] for n in self.di[k:k + size]))
            m.d.comb += Cat(nets[n] for n in self.o[k:k + size]).eq(o)
            carried = co[places - 1]
        if self.co is not None:
            m.d.comb += nets[self.co].eq(carried)


@dataclass
class Plan:
    """Primitives in stages, a register after each: data that numpy and the gateware both read.

    Parameters
    ----------
    inputs : int
        Nets 2 to 1 + inputs are the inputs.
    stages : list of list of Lut or Carry
        Combinational; a stage sees the nets of the stages before it, registered.
    outputs : list of list of int
        Nets of every column (of weight ``2**column``): the sum of them all is the result.
    """

    inputs: int
    stages: list[list[Lut | Carry]] = field(default_factory=list)
    outputs: list[list[int]] = field(default_factory=list)
    nets: int = 2

    @property
    def sites(self):
        """LUT sites; a LUT6_2 is one."""
        return sum(isinstance(p, Lut) for stage in self.stages for p in stage)

    @property
    def heights(self):
        """Bits of every column of the result."""
        return tuple(len(column) for column in self.outputs)

    @property
    def latency(self):
        """Registers from the inputs to the outputs."""
        return len(self.stages)

    def evaluate(self, bits):
        """Return the columns of the result, ``(..., nets of the column)`` each, from the inputs.

        ``bits`` is a bool array ``(..., inputs)``.
        """
        bits = np.asarray(bits, dtype=bool)
        nets = {ZERO: np.zeros(bits.shape[:-1], bool), ONE: np.ones(bits.shape[:-1], bool)}
        nets |= {2 + k: bits[..., k] for k in range(self.inputs)}
        for primitive in (p for stage in self.stages for p in stage):
            if isinstance(primitive, Lut):
                index = sum((nets[n].astype(int) << k for k, n in enumerate(primitive.inputs)),
                            np.zeros(bits.shape[:-1], int))
                table = np.array([primitive.init >> k & 1 for k in range(64)], bool)
                if primitive.o5 is not None:
                    nets[primitive.o5] = table[index]
                    index = index | 32
                nets[primitive.o] = table[index]
            else:
                c = nets[primitive.ci]
                for s, di, o in zip(primitive.s, primitive.di, primitive.o, strict=True):
                    nets[o] = nets[s] ^ c
                    c = np.where(nets[s], c, nets[di])
                if primitive.co is not None:
                    nets[primitive.co] = c
        return [np.stack([nets[n] for n in column], axis=-1) if column
                else np.zeros((*bits.shape[:-1], 0), bool) for column in self.outputs]

    def total(self, bits):
        """Return the integer result, from the inputs ``(..., inputs)``."""
        return sum(column.sum(axis=-1) << k for k, column in enumerate(self.evaluate(bits)))

    @cached_property
    def _last_use(self):
        """The last stage that reads each net; the number of stages for an output."""
        last = {}
        for t, stage in enumerate(self.stages):
            for primitive in stage:
                if isinstance(primitive, Lut):
                    reads = primitive.inputs
                else:
                    reads = (*primitive.s, *primitive.di, primitive.ci)
                last |= dict.fromkeys(reads, t)
        return last | dict.fromkeys((n for column in self.outputs for n in column), self.latency)

    def lay(self, m, inputs, *, family, registers=True):
        """Lay the primitives into module ``m``; return the columns of the result, lists of bits.

        ``inputs`` is one bit a net; ``family`` names the carry primitive.
        """
        nets = {ZERO: Const(0, 1), ONE: Const(1, 1)}
        nets |= {2 + k: bit for k, bit in enumerate(inputs)}
        held = {}
        for t, stage in enumerate(self.stages):
            made = [n for p in stage for n in p.makes]
            wires = Signal(len(made), name=f"level{t}")
            nets |= {net: wires[k] for k, net in enumerate(made)}
            # A net is both made and read within a stage where a LUT feeds the chain beside it.
            for primitive in stage:
                primitive.lay(m, nets, family)
            if registers:
                nets = self._hold(m, nets, held, t)
        return [[nets[n] for n in column] for column in self.outputs]

    def _hold(self, m, nets, held, t):
        """Register the nets that stages after ``t`` read; ``held`` counts each net's registers."""
        live = [n for n in nets if n not in (ZERO, ONE) and self._last_use.get(n, -1) > t]
        after = {n: nets[n] for n in (ZERO, ONE)}
        # From the second on they are kept: as a shift register they would take a slow LUT.
        for name, keep in ((f"stage{t}", False), (f"kept{t}", True)):
            some = [n for n in live if (held.get(n, 0) > 0) == keep]
            if some:
                register = Signal(len(some), name=name, reset_less=True,
                                  attrs={"keep": 1} if keep else {})
                m.d.sync += register.eq(Cat(nets[n] for n in some))
                after |= {n: register[k] for k, n in enumerate(some)}
        held.update({n: held.get(n, 0) + 1 for n in live})
        return after
