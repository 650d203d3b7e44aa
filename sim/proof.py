"""Proofs of the stream contract of a unit, by Yosys and the ABC inside it.

The unit is put between a source and a sink that do whatever the contract allows: offer or not, take
or not, any payload. One vector, any one, is followed: its beats must come out as the unit's own
``model`` says, after those of every vector before it and before those after it. As every vector can
be the one that is followed, none is dropped, doubled, changed or overtaken. ABC searches all states
that can be reached, however many cycles that takes: what it proves holds for ever.
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib import util
from pathlib import Path

import numpy as np
from amaranth import ClockDomain, Const, Module, Mux, Shape, Signal, Value
from amaranth.back import rtlil
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from quinnoa.errors import QuinnoaError

from .streams import Payload

__all__ = ["CLAIMS", "Proof", "prove"]

CLAIMS = (
    "o holds a beat until it is taken",
    "every vector comes out as the model says, once and in order",
    "o gives nothing that was not taken, and does not fall behind without limit",
    "while o is ready, what is offered and what is owed moves on",
)

# Property-directed search finds counterexamples soon, and some invariants. For counters the set of
# all reachable states is the better way, once equal registers are merged.
SCRIPT = ("read_aiger {graph}; cone -O {output}; pdr -T 1; "
          "scorr; dc2; scorr; print_stats; reach -B 10000000 -T {seconds}")


@dataclass(frozen=True)
class Proof:
    """Whether a unit keeps the contract.

    Parameters
    ----------
    proved : bool
        All claims hold for ever.
    broken : str
        The claim that fails, or "".
    cycle : int or None
        The cycle in which it fails.
    """

    proved: bool
    broken: str = ""
    cycle: int | None = None


def _table(unit, elements):
    """Return the bits of the output vector of every input vector, and the beats of one."""
    i_shape, o_shape = unit.i.payload.shape(), unit.o.payload.shape()
    element = Payload(i_shape.elem_shape)
    width = Shape.cast(i_shape.elem_shape).width
    values = np.array([element.decode(code) for code in range(1 << width)])
    # x[n, k] is what element k of the vector with the bits n stands for.
    codes = np.arange(1 << elements * width)[:, None] >> np.arange(elements) * width
    y = unit.model(values[codes & ((1 << width) - 1)])
    lanes, beat = o_shape.length, Payload(o_shape)
    beats = -(-y.shape[1] // lanes)
    zero = Payload(o_shape.elem_shape).decode(0)
    padded = np.full((len(y), beats * lanes), zero)
    padded[:, :y.shape[1]] = y
    width = Shape.cast(o_shape).width
    words = [sum(beat.encode(part) << n * width for n, part in enumerate(row))
             for row in padded.reshape(-1, beats, lanes).tolist()]
    return words, beats


class _Contract(wiring.Component):
    """The unit between any source and any sink; bit n of ``bad`` tells that claim n fails.

    Parameters
    ----------
    unit : Component
    elements : int
        Elements of an input vector.
    limit : int
        Vectors that the unit may hold at a time.
    bound : int
        Cycles within which something moves.
    """

    def __init__(self, unit, *, elements, limit, bound):
        self.unit, self.elements, self.limit, self.bound = unit, elements, limit, bound
        shape = unit.i.payload.shape()
        self.bits = elements * Shape.cast(shape.elem_shape).width
        super().__init__({
            "clk": In(1),
            # All that source and sink are free to do.
            "valid": In(1), "payload": In(Shape.cast(shape).width), "ready": In(1),
            # Which vector is followed, and what it is.
            "follow": In(1), "vector": In(self.bits),
            "bad": Out(len(CLAIMS)),
        })

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = domain = ClockDomain(reset_less=True)
        m.d.comb += domain.clk.eq(self.clk)
        m.submodules.unit = self.unit

        # The vector is chosen once, in cycle 0, in which nothing else happens.
        started, vector = Signal(), Signal(self.bits)
        m.d.sync += started.eq(1)
        with m.If(~started):
            m.d.sync += vector.eq(self.vector)

        enters, whole, begins = self._source(m, started, vector)
        self._sink(m, started, vector, enters, whole, begins)
        return m

    def _source(self, m, started, vector):
        """Offer anything; what is offered holds.

        Returns ``enters``, a vector's first beat is taken; ``whole``, no vector is taken in part;
        ``begins``, the followed vector is offered for the first time.
        """
        i, width = self.unit.i, len(self.payload)
        beats = -(-self.bits // width)
        n, held = Signal(range(beats)), Signal()
        last = n == beats - 1
        payload, held_payload = Signal(width), Signal(width)

        # The beats of the followed vector are those of `vector`.
        followed, following, begins, enters = Signal(), Signal(), Signal(), Signal()
        m.d.comb += begins.eq(i.valid & ~held & (n == 0) & self.follow & ~followed)
        with m.If(begins):
            m.d.sync += [followed.eq(1), following.eq(1)]

        # Lanes past the end of a vector are 0.
        mask = (1 << self.bits - (beats - 1) * width) - 1
        free = Mux(last, self.payload & mask, self.payload)
        m.d.comb += [
            i.valid.eq(started & (held | self.valid)),
            payload.eq(Mux(held, held_payload, Mux(
                following | begins, vector.word_select(n, width), free))),
            Value.cast(i.payload).eq(payload),
            enters.eq(i.valid & i.ready & (n == 0)),
        ]
        m.d.sync += [held.eq(i.valid & ~i.ready), held_payload.eq(payload)]
        with m.If(i.valid & i.ready):
            m.d.sync += n.eq(Mux(last, 0, n + 1))
            with m.If(last):
                m.d.sync += following.eq(0)
        return enters, n == 0, begins

    def _sink(self, m, started, vector, enters, whole, begins):
        """Take or not, and watch."""
        i, o, width = self.unit.i, self.unit.o, len(Value.cast(self.unit.o.payload))
        words, beats = _table(self.unit, self.elements)
        payload = Value.cast(o.payload)
        n, leaves = Signal(range(beats)), Signal()
        m.d.comb += [
            o.ready.eq(started & self.ready),
            leaves.eq(o.valid & o.ready & (n == beats - 1)),
        ]
        with m.If(o.valid & o.ready):
            m.d.sync += n.eq(Mux(n == beats - 1, 0, n + 1))

        # Claim 0.
        refused, refused_payload = Signal(), Signal(width)
        m.d.sync += [refused.eq(o.valid & ~o.ready), refused_payload.eq(payload)]
        m.d.comb += self.bad[0].eq(refused & (~o.valid | (payload != refused_payload)))

        # Claim 1: `ahead` vectors come out before the followed one.
        # `inside` counts the vectors begun on i and not finished on o.
        inside = Signal(range(self.limit + 2))
        m.d.sync += inside.eq(inside + enters - leaves)
        ahead, followed = Signal.like(inside), Signal()
        with m.If(begins):
            m.d.sync += [followed.eq(1), ahead.eq(inside - leaves)]
        with m.Elif(leaves & followed):
            m.d.sync += [ahead.eq(ahead - 1), followed.eq(ahead != 0)]
        table = Const(sum(word << at * beats * width for at, word in enumerate(words)),
                      len(words) * beats * width)
        expected = table.word_select(vector, beats * width).word_select(n, width)
        m.d.comb += self.bad[1].eq(followed & (ahead == 0) & o.valid & (payload != expected))

        # Claim 2.
        m.d.comb += self.bad[2].eq((o.valid & (inside == 0)) | (inside > self.limit))

        # Claim 3: what was taken whole is owed.
        wait = Signal(range(self.bound + 1))
        moves = (i.valid & i.ready) | o.valid
        with m.If(o.ready & (i.valid | ((inside != 0) & whole)) & ~moves):
            m.d.sync += wait.eq(wait + 1)
        with m.Else():
            m.d.sync += wait.eq(0)
        m.d.comb += self.bad[3].eq(wait == self.bound)


def _abc():
    """Find the ABC that comes with Yosys."""
    spec = util.find_spec("pyosys")
    if spec is None or not spec.submodule_search_locations:
        raise QuinnoaError("Yosys is missing: pip install pyosys")
    return Path(spec.submodule_search_locations[0]) / "yosys-abc"


def _to_aiger(contract, target):
    """Write the contract as an and-inverter graph of one clock, every register 0 at the start."""
    from pyosys import libyosys as yosys
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "top.il")
        source.write_text(rtlil.convert(contract, name="top", emit_src=False))
        design = yosys.Design()
        for command in (f'read_rtlil "{source}"', "hierarchy -top top", "proc", "flatten",
                        "opt -full", "memory -nomap", "memory_map", "opt -full", "async2sync",
                        "dffunmap", "setundef -undriven -anyseq", "techmap",
                        "opt -fast -nodffe -nosdff", "dffunmap", "aigmap", "opt_clean",
                        f'write_aiger -zinit "{target}"'):
            yosys.Pass.call(design, f"tee -q {command}")


def prove(unit, *, elements, limit=None, bound=None, seconds=300):
    """Prove that ``unit`` keeps the stream contract and computes its model, for ever.

    Parameters
    ----------
    unit : Component
        With streams ``i`` and ``o``, and ``model``; ``schedule`` where it has to give limit or
        bound. It must be small.
    elements : int
        Elements of an input vector: all their bits together at most 12.
    limit : int, optional
        Vectors it may hold at a time; by its schedule.
    bound : int, optional
        Cycles within which something moves while ``o`` is ready; by its schedule.
    seconds : int
        Time for each claim.

    Returns
    -------
    Proof

    Raises
    ------
    QuinnoaError
        The search came to no end.
    """
    bits = elements * Shape.cast(unit.i.payload.shape().elem_shape).width
    if bits > 12:
        raise ValueError(f"a vector of at most 12 bits can be proved: it has {bits}")
    if limit is None:
        limit = unit.schedule.room // int(np.sum(unit.schedule.gives)) + 2
    if bound is None:
        bound = unit.schedule.latency + len(unit.schedule.takes) + 1
    contract = _Contract(unit, elements=elements, limit=limit, bound=bound)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder, "top.aig")
        _to_aiger(contract, graph)
        for n, claim in enumerate(CLAIMS):
            cycle = _search(graph, n, seconds)
            if cycle is not None:
                return Proof(False, claim, cycle)
    return Proof(True)


def _search(graph, output, seconds):
    """Return the first cycle in which an output of the graph can be 1, or None if it never can."""
    script = SCRIPT.format(graph=graph.name, output=output, seconds=seconds)
    done = subprocess.run([str(_abc()), "-c", script], capture_output=True, text=True,
                          cwd=graph.parent)
    failed = re.search(r"was asserted in frame (\d+)", done.stdout)
    if failed:
        return int(failed[1])
    # No registers and no gates left: a constant, and it is 0, or frame 0 would have told.
    if re.search(r"Property proved|is proved unreachable|lat = +0 +and = +0 ", done.stdout):
        return None
    raise QuinnoaError(f"no proof and no counterexample of \"{CLAIMS[output]}\" within {seconds} s:"
                       f"\n{done.stdout[-1000:]}{done.stderr[-1000:]}")
