# amaranth: UnusedElaboratable=no
"""Sliding-window unit: cuts an image into windows, in the order in which a product takes them."""

import numpy as np
from amaranth import Array, C, Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count, delay, flag, shifted
from .outlet import Outlet
from .schedule import Process, Schedule, Wait
from .shapes import encode, is_bipolar, shape_for
from .weights import block_is_cheaper
from .windows import Windows

__all__ = ["SWU"]

_RAM_STYLE = {"lutram": "distributed", "block": "block", "ultra": "ultra"}


class SWU(wiring.Component):
    """Sliding-window unit: cuts an image into windows, in the order in which a product takes them.

    An image (H, W, C) enters in raster order, a pixel as ``CF = C / lanes`` beats. For every window
    its pixels leave in the order (ky, kx, c), c fastest, ``CF * KH * KW`` beats a window. Where the
    kernel reaches past an edge by ``pads`` it sees ``pad_value``.

    The last ``depth`` beats are kept in a ring. The *writer* puts a beat into it when there is
    space. The *reader* begins a window when the last beat it needs is there, and gives a beat in
    every cycle from then on; with its last beat, the beats that no later window needs are dropped.

    Timing: ``II = max(H * W * CF, OH * OW * KH * KW * CF)`` cycles a frame: the ring is as deep as
    it takes for that. Either may begin in the cycle after the step of the other it waits for.

    Parameters
    ----------
    height, width, channels : int
        H, W and C of the image. One-dimensional data has H = 1.
    kernel, stride, dilation : (int, int)
        Rows, columns.
    pads : (int, int, int, int)
        Top, left, bottom, right.
    pad_value : int
        What is outside; a value of ``shape``.
    shape : Shape or BIPOLAR
        Shape of an element.
    lanes : int
        Channels of a beat. Divides C.
    memory : str
        Where the ring is: "lutram", "block", "ultra", or "auto", which takes the cheaper of the
        first two.

    Members
    -------
    i : In(stream), shape * lanes
        H * W * CF beats a frame.
    o : Out(stream), shape * lanes
        OH * OW * KH * KW * CF beats a frame.

    Attributes
    ----------
    depth : int
        Beats the ring holds, a power of two.
    memory : str
        Where it is.
    """

    i: stream.Interface
    o: stream.Interface

    def __init__(self, *, height, width, channels, kernel, stride=(1, 1), dilation=(1, 1),
                 pads=(0, 0, 0, 0), pad_value=0, shape, lanes, memory="auto"):
        if memory not in ("auto", *_RAM_STYLE):
            raise ValueError(f"memory must be auto, {', '.join(_RAM_STYLE)}: it is {memory!r}")
        if lanes < 1 or channels < 1 or channels % lanes:
            raise ValueError(f"lanes must divide C: C is {channels}, lanes is {lanes}")
        self.windows = Windows(height, width, kernel, stride, dilation, pads)
        self.channels, self.lanes, self.cf = channels, lanes, channels // lanes
        self.shape = shape if is_bipolar(shape) else Shape.cast(shape)
        self.pad_value = pad_value
        self._pad_bits = int(encode(pad_value, shape)) if any(pads) else 0

        # Beats of a window, and of a frame on either side.
        self._steps = self.windows.taps * self.cf
        self._beats_in = self.windows.pixels * self.cf
        self._beats_out = self.windows.count * self._steps
        # Before window v can be read, needed[v] beats are written; the first dropped[v] are not
        # needed any more.
        self._needed = self.windows.needed.ravel() * self.cf
        self._dropped = self.windows.dropped.ravel() * self.cf
        self.depth = 1 << (self._least_depth() - 1).bit_length()

        layout = data.ArrayLayout(self.shape, lanes)
        bits = Shape.cast(layout).width
        if memory == "auto":
            # A dual-port RAM64M has three bits in four LUTs.
            memory = "block" if block_is_cheaper(self.depth, bits, sites=4 / 3) else "lutram"
        self.memory = memory
        # LUTRAM is read within a cycle, block RAM in one; there is a register behind it.
        self._read_at = 1 if memory == "lutram" else 2
        self._outlet = Outlet(layout, latency=self._read_at)
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def _least_depth(self):
        """Return the fewest beats with which neither process slows the slower one down.

        Window v begins in cycle ``v * steps`` if the reader never waits, and not before cycle
        ``needed[v]``. Beat ``dropped[j - 1] + depth`` is the first that has to wait for windows
        up to j - 1. From window j - 1 to v, by way of the writer if j <= v, or from beat to beat,
        by way of the reader if v < j, it takes no longer than on the straight way if

            depth >= needed[v] - dropped[j - 1] + (j - v) * steps.
        """
        frame = np.array([[-self._beats_in], [0]])
        needed, dropped = ((frame + each).ravel() for each in (self._needed, self._dropped))
        begins = np.arange(len(needed)) * self._steps
        until = begins[1:] - dropped[:-1]                    # of j = 1, 2, ...
        after = needed - begins                              # of v = 0, 1, ...
        if self._beats_out >= self._beats_in:
            slack = after[1:] + np.maximum.accumulate(until)
        else:
            slack = until + np.maximum.accumulate(after)[:-1]
        return max(2, int((needed - dropped).max()), int(slack.max()))

    @property
    def schedule(self):
        """Two processes, the writer and the reader.

        The writer takes a beat a step, N = H * W * CF a frame. Step n waits for the first j windows
        to be read, with the least j for which fewer than ``depth`` of the beats up to n are still
        needed. The reader gives a beat a step; the steps of window v wait for the first
        ``needed[v]`` beats. Both wait for a cycle at the least: ``delay`` is 1.
        """
        frames, beats = np.divmod(np.arange(self._beats_in) - self.depth, self._beats_in)
        windows = np.searchsorted(self._dropped, beats, side="right")
        read = (frames * self.windows.count + windows) * self._steps
        written = np.repeat(self._needed, self._steps)

        def process(steps, takes, waits):
            takes, gives = (np.broadcast_to(each, (1, steps)) for each in (takes, not takes))
            return Process(takes, gives, (waits,))

        none = np.zeros(0, bool)
        return Schedule(none, none, self._read_at + self._outlet.latency, self._outlet.room, (
            process(self._beats_in, True, Wait(1, read, delay=1)),
            process(self._beats_out, False, Wait(0, written, delay=1))))

    @property
    def ii(self):
        """Cycles a frame."""
        return max(self._beats_in, self._beats_out)

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return int(self._needed[0]) + self._read_at + self._outlet.latency

    def model(self, x):
        """Cut values ``(..., H, W, C)`` into windows: ``(..., OH, OW, KH * KW * C)``."""
        return self.windows.model(x, pad_value=self.pad_value)

    def elaborate(self, platform):
        m = Module()
        m.submodules.outlet = outlet = self._outlet
        wiring.connect(m, outlet.o, wiring.flipped(self.o))

        # Where the next step is in its window, and the window in its frame.
        step, take = Signal(), Signal()
        (oh, ow), (kh, kw) = self.windows.shape, self.windows.kernel
        _, c_last = count(m, "c", self.cf, step)
        kx_steps = step & c_last
        _, kx_last = count(m, "kx", kw, kx_steps)
        ky_steps = kx_steps & kx_last
        _, ky_last = count(m, "ky", kh, ky_steps)
        ends = Signal()                                      # the last step of a window
        m.d.comb += ends.eq(ky_steps & ky_last)
        ox, ox_last = count(m, "ox", ow, ends)
        row_ends = ends & ox_last
        oy, oy_last = count(m, "oy", oh, row_ends)
        first = Const(1) if self._steps == 1 else flag(m, "first", c_last & kx_last & ky_last, step)

        # Which beats are there: all that decides is registers.
        column, row = _Place(m, ox, ox_last, ends), _Place(m, oy, oy_last, row_ends)
        space, ahead = self._balances(m, take, ends, column, row)
        m.d.comb += [
            self.i.ready.eq(~space[-1]),
            take.eq(self.i.valid & self.i.ready),
            step.eq(outlet.ready & ~(first & ahead[-1])),
            outlet.give.eq(step),
        ]

        # The ring. Where there is space something is written in every cycle, last the beat.
        m.submodules.ring = ring = memory.Memory(
            shape=self.i.payload.shape(), depth=self.depth, init=[],
            attrs={"ram_style": _RAM_STYLE[self.memory]})
        write = ring.write_port()
        read = ring.read_port(domain="comb" if self.memory == "lutram" else "sync")
        with m.If(take):
            m.d.sync += write.addr.eq(write.addr + 1)
        m.d.comb += [write.data.eq(self.i.payload), write.en.eq(self.i.ready)]
        self._walk(m, read.addr, step, (c_last, kx_last, ky_last, ox_last, oy_last))

        # Out; past the edges the register behind the ring is set to the padding.
        outside = (column.edges("outside_x", self.windows.outside(1), kx_steps) |
                   row.edges("outside_y", self.windows.outside(0), ky_steps))
        pad = Const(self._pad_bits, Shape.cast(self.shape).width).replicate(self.lanes)
        outside = delay(m, outside, self._read_at - 1)
        m.d.comb += [
            outlet.push.eq(shifted(m, step, self._read_at)[-1]),
            Value.cast(outlet.data).eq(delay(m, Mux(outside, pad, Value.cast(read.data)), 1)),
        ]
        return m

    def _balances(self, m, take, ends, column, row):
        """Count what is written against what may be, and against what the next window needs.

        space = dropped + depth - 1 - written, ahead = written - needed: below 0 is not enough.
        """
        needed, dropped = self._needed, self._dropped
        after_needed, after_dropped = (np.append(each[1:], each[0] + self._beats_in)
                                       for each in (needed, dropped))
        space = Signal(range(-1, self.depth + max(int((after_dropped - needed).max()), 0)),
                       init=self.depth - 1)
        ahead = Signal(range(-int(max((after_needed - needed).max(), needed[0])),
                             self.depth + int((dropped - needed).max()) + 1),
                       init=-int(needed[0]))

        def change(balance, amounts, carry):
            """Add ``amounts`` of the window if it ends, and ``carry``, by one adder."""
            amounts, rest = amounts
            by_window = amounts.reshape(self.windows.shape)
            moves = (by_window[:, :-1] != rest).any(axis=1)
            within = np.append(by_window[np.argmax(moves), :-1], rest)
            in_row = Mux(row.lookup(moves), column.lookup(within), rest)
            amount = Signal.like(balance, name="amount")
            m.d.comb += amount.eq(
                Mux(ends, Mux(column.last, row.lookup(by_window[:, -1]), in_row), rest))
            total = Cat(C(1, 1), balance) + Cat(carry, amount)
            m.d.sync += balance.eq(total[1:])

        change(space, (after_dropped - dropped - 1, -1), ~take)
        change(ahead, (needed - after_needed, 0), take)
        return space, ahead

    def _walk(self, m, address, step, lasts):
        """Step the read address through the windows; past the edges it points anywhere."""
        # Beat (y, x, c) of frame f is at address (f*H*W + y*W + x)*CF + c, modulo depth.
        top, left = self.windows.pads[:2]
        (sy, sx), (dy, dx) = self.windows.stride, self.windows.dilation
        (oh, ow), (kh, kw), w = self.windows.shape, self.windows.kernel, self.windows.width
        strides = [1, dx * self.cf, dy * w * self.cf, sx * self.cf, sy * w * self.cf,
                   self._beats_in]
        lengths = [self.cf, kw, kh, ow, oh]
        back, moves = 0, []
        for stride, length in zip(strides, [*lengths, 0], strict=True):
            moves.append(stride - back)
            back += stride * (length - 1)
        amount = Const(moves[-1] % self.depth, len(address))
        for last, move in zip(reversed(lasts), reversed(moves[:-1]), strict=True):
            amount = Mux(last, amount, Const(move % self.depth, len(address)))
        following = Signal.like(address, init=-(top * w + left) * self.cf % self.depth)
        m.d.comb += address.eq(following)
        with m.If(step):
            m.d.sync += following.eq(following + amount)


class _Place:
    """A count, and what depends on it, told ahead: registers that change with it."""

    def __init__(self, m, value, last, step):
        self.m, self.value, self.last, self.step = m, value, last, step

    def _choose(self, kept, values):
        """Set ``kept`` to the value of the next count, where that is another one."""
        m = self.m
        with m.If(self.step):
            for k in np.flatnonzero(np.any(values[1:] != values[:-1], axis=1)).tolist():
                with m.If(self.value == k):
                    m.d.sync += kept.eq(_number(values[k + 1]))
            with m.If(self.last):
                m.d.sync += kept.eq(_number(values[0]))

    def lookup(self, values):
        """Return ``values[count]``."""
        different, number = np.unique(values, return_inverse=True)
        shape = shape_for(different.min(), different.max())
        constants = [Const(int(value), shape) for value in different]
        if len(constants) == 1:
            return constants[0]
        kept = Signal(range(len(constants)), name="run", init=int(number[0]))
        width = kept.shape().width
        self._choose(kept, (number[:, None] >> np.arange(width)) & 1)
        return Array(constants)[kept]

    def edges(self, name, outside, turn):
        """Return ``outside[count, k]``, where k is how often ``turn`` was high since the last."""
        if not outside.any():
            return Const(0)
        kept = Signal(outside.shape[1], name=name, init=_number(outside[0]))
        with self.m.If(turn):
            self.m.d.sync += kept.eq(kept.rotate_right(1))
        self._choose(kept, outside)
        return kept[0]


def _number(bits):
    """Return the number of these bits, lowest first."""
    return sum(int(bit) << k for k, bit in enumerate(bits))
