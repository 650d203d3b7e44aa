# amaranth: UnusedElaboratable=no
"""Outlet: the small FIFO at the end of every unit, and the credits that keep it from filling."""

from amaranth import Module, Shape
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from .fifo import Credits, Store, cheapest_style

__all__ = ["Outlet"]


class Outlet(wiring.Component):
    """What lets a pipeline run free: a step starts only when there is room for its beat at the end.

    A unit raises ``give`` in the cycle of a step that makes a beat, only while ``ready`` is high;
    its pipeline never stalls, and raises ``push`` with the beat ``pipeline`` cycles later::

        credits(t+1) = credits(t) - give(t) + taken(t),    ready(t) = (credits(t) != 0)

    where ``taken`` is a transfer on ``o`` and ``room`` credits are there at the start. No beat is
    ever pushed into a full store.

    Timing: ``o`` offers a beat ``latency`` cycles after its ``push``, or in the cycle after the
    beat before it is taken. A credit comes back ``pipeline + latency + 1`` cycles after it was
    spent if ``o`` takes at once, so ``room = ceil((pipeline + latency + 1) / interval)``.

    Parameters
    ----------
    shape : Shape
        Shape of a beat.
    latency : int
        Cycles from a ``give`` to its ``push``: the unit's pipeline. 0: in the same cycle.
    interval : int
        Cycles from one ``give`` to the next at the fastest.

    Members
    -------
    give : In(1)
        A step that makes a beat happens.
    ready : Out(1)
        There is a credit. A register.
    push : In(1)
        ``data`` is a beat.
    data : In(shape)
    o : Out(stream)

    Attributes
    ----------
    room : int
        Credits at the start: beats in the pipeline and the store together, at least 2.
    latency : int
        Cycles from ``push`` to ``o.valid``.
    """

    o: stream.Interface

    def __init__(self, shape, *, latency, interval=1):
        if latency < 0:
            raise ValueError(f"latency must not be negative: it is {latency}")
        if interval < 1:
            raise ValueError(f"interval must be at least 1: it is {interval}")
        # Registers offer a beat after 1 cycle, a memory after 2.
        self.room = 2 if latency + 2 <= 2 * interval else -(-(latency + 3) // interval)
        style = cheapest_style(self.room, Shape.cast(shape).width)
        self._store = Store(shape, depth=self.room, style=style)
        super().__init__({
            "give": In(1), "ready": Out(1),
            "push": In(1), "data": In(shape),
            "o": Out(stream.Signature(shape)),
        })

    @property
    def latency(self):
        """Cycles from ``push`` to ``o.valid``."""
        return self._store.latency

    def elaborate(self, platform):
        m = Module()
        m.submodules.store = store = self._store
        m.submodules.credits = credits = Credits(room=self.room)
        wiring.connect(m, store.o, wiring.flipped(self.o))
        m.d.comb += [
            self.ready.eq(credits.ready),
            credits.give.eq(self.give), credits.taken.eq(self.o.valid & self.o.ready),
            store.push.eq(self.push), store.data.eq(self.data),
        ]
        return m
