# amaranth: UnusedElaboratable=no
"""Threshold unit: computes ``y = thresholds(a)`` for every vector ``a`` of the input stream."""

import numpy as np
from amaranth import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .bank import Comparators, Search, bank
from .control import count
from .families import GENERIC
from .outlet import Outlet
from .schedule import Schedule
from .writable_bank import writable_bank
from .writes import Contents, writes_signature

__all__ = ["Comparators", "Search", "ThresholdUnit", "bank"]


class ThresholdUnit(wiring.Component):
    """Threshold unit: computes ``y = thresholds(a)`` for every vector ``a`` of the input stream.

    A vector enters and leaves as ``ceil(channels / lanes)`` beats, in natural order, lowest index
    in lane 0. Lanes past the end of a vector are 0 bits on ``o``, whatever they were on ``i``.

    Timing: ``II = ceil(channels / lanes)`` cycles a vector; a beat is offered ``latency`` cycles
    after it was taken.

    Parameters
    ----------
    thresholds : Thresholds
        For ``channels`` channels, or one for all of them.
    channels : int
        Elements of a vector.
    lanes : int
        Channels side by side. Need not divide ``channels``.
    i_shape : Shape or BIPOLAR
        Shape of one element of ``i``.
    style : str
        "parallel": a comparator for every step. "search": one for every bit of the count, where
        every channel only rises or only falls. "auto" searches from 7 steps on.
    writable : bool
        Thresholds can be written at run time: others to the same shape, as ``contents`` lays them.
        Each channel must rise or fall throughout, and has a step for every level of the shape.
    family : Family
        What memories cost.

    Members
    -------
    i : In(stream), i_shape * lanes
    o : Out(stream), thresholds.shape * lanes
    writes : In(writes_signature(words))
        Only if writable. A write is done two cycles later.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, thresholds, *, channels, lanes, i_shape, style="auto", writable=False,
                 family=GENERIC):
        self.thresholds, self.channels, self.lanes = thresholds, channels, lanes
        self.writable = writable
        options = {"thresholds": thresholds, "lanes": lanes, "channels": channels,
                   "a_shape": i_shape, "style": style, "family": family}
        self._bank = writable_bank(**options) if writable else bank(**options)
        o_layout = data.ArrayLayout(thresholds.shape, lanes)
        self._outlet = Outlet(o_layout, latency=self._bank.latency)
        members = {"i": In(stream.Signature(data.ArrayLayout(i_shape, lanes))),
                   "o": Out(stream.Signature(o_layout))}
        if writable:
            self._contents = Contents(self._bank.memories)
            members["writes"] = In(writes_signature(self.words))
        super().__init__(members)

    @property
    def schedule(self):
        """Every step takes a beat and gives one."""
        beats = np.ones(self._bank.groups, bool)
        return Schedule(beats, beats, self.latency, self._outlet.room)

    @property
    def ii(self):
        """Cycles a vector."""
        return self.schedule.period

    @property
    def latency(self):
        """Cycles from a beat taken to the same beat offered."""
        return self._bank.latency + self._outlet.latency

    @property
    def words(self):
        """Addresses of ``writes``."""
        return self._contents.words

    def contents(self, thresholds):
        """Return what the addresses hold, uint32, for thresholds to the same shape."""
        return self._contents.image(self._bank.words(thresholds))

    def model(self, x):
        """Compute what the gateware computes: ``(..., channels)`` to ``(..., channels)``."""
        return self.thresholds.model(x)

    def elaborate(self, platform):
        m = Module()
        m.submodules.bank = bank = self._bank
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Take a beat of a group.
        step = Signal()
        group, _ = count(m, "group", bank.groups, step, addresses=True)
        m.d.comb += [
            self.i.ready.eq(outlet.ready),
            step.eq(self.i.valid & self.i.ready),
            outlet.give.eq(step),
            bank.a.eq(self.i.payload),
            bank.group.eq(group),
        ]

        # It comes out of the bank by itself.
        valid = step
        for k in range(bank.latency):
            after = Signal(name=f"valid_{k + 1}")
            m.d.sync += after.eq(valid)
            valid = after
        if self.writable:
            self._contents.connect(m, self.writes)
        m.d.comb += [outlet.push.eq(valid), outlet.data.eq(bank.y)]
        return m
