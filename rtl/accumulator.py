# amaranth: UnusedElaboratable=no
"""Accumulator: the sums of a dot product's beats, one beat a cycle, free-running."""

from amaranth import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .dot import Dot
from .families import GENERIC

__all__ = ["Accumulator"]


class Accumulator(wiring.Component):
    """Accumulator: adds up the raw sums of ``Dot`` over the beats of a row.

    Every cycle takes a beat, but for those in which ``hold`` is set: they leave the sum as it is.
    Where ``first`` is set the beat starts a sum, of ``init`` if there is one, else of 0, and what
    was summed before is dropped.

    Timing: ``y`` shows the sum up to and with a beat ``latency`` cycles after the beat; no valid,
    no reset, so before the first ``first`` it shows anything.

    Parameters
    ----------
    simd, x_shape, w_shape, width, family
        As ``Dot`` has them.
    init : bool
        A sum starts with the port ``init``.

    Members
    -------
    x, w : In
        As ``Dot`` has them.
    first, hold : In(1)
    init : In(width)
        Start of the sum, taken ``init_latency`` cycles after its ``first``: that saves the
        registers to keep it until then. Only if ``init``.
    y : Out(width)
    """

    def __init__(self, *, simd, x_shape, w_shape, width, family=GENERIC, init=False):
        self.dot = Dot(simd=simd, x_shape=x_shape, w_shape=w_shape, width=width, family=family)
        self.has_init = init
        members = self.dot.signature.members
        super().__init__({
            "x": members["x"], "w": members["w"], "first": In(1), "hold": In(1),
            **({"init": In(width)} if init else {}),
            "y": Out(width),
        })

    @property
    def latency(self):
        """Cycles from a beat to the sum with it."""
        return self.dot.latency + 1

    @property
    def init_latency(self):
        """Cycles from a ``first`` to its ``init``."""
        return self.dot.latency

    @property
    def scale(self):
        """``Dot.scale``."""
        return self.dot.scale

    def offset(self, weights):
        """``Dot.offset``."""
        return self.dot.offset(weights)

    def elaborate(self, platform):
        m = Module()
        m.submodules.dot = dot = self.dot
        m.d.comb += [
            dot.x.eq(self.x),
            dot.w.eq(self.w),
        ]

        # What goes with the beat waits until its raw sum is there.
        def delayed(value):
            for _ in range(dot.latency):
                held = Signal(reset_less=True)
                m.d.sync += held.eq(value)
                value = held
            return value

        # y = (init if first else y) + raw
        y = Signal.like(self.y, reset_less=True)
        start = self.init if self.has_init else 0
        first, hold = delayed(self.first), delayed(self.hold)
        with m.If(~hold):
            m.d.sync += y.eq(Mux(first, start, y) + dot.y)
        m.d.comb += self.y.eq(y)
        return m
