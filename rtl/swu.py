# amaranth: UnusedElaboratable=no
"""Sliding-window unit: cuts an image into windows, in the order in which a product takes them."""

from amaranth import Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .control import count, delay, flag, shifted
from .outlet import Outlet
from .ram import RAM_STYLES, ram
from .ring import Place, Ring
from .shapes import encode, is_bipolar
from .weights import block_is_cheaper
from .windows import Windows

__all__ = ["SWU"]


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
        if memory not in ("auto", *RAM_STYLES):
            raise ValueError(f"memory must be auto, {', '.join(RAM_STYLES)}: it is {memory!r}")
        if lanes < 1 or channels < 1 or channels % lanes:
            raise ValueError(f"lanes must divide C: C is {channels}, lanes is {lanes}")
        self.shape = shape if is_bipolar(shape) else Shape.cast(shape)
        self.pad_value = pad_value
        self._pad_bits = int(encode(pad_value, shape)) if any(pads) else 0
        self._lay(Windows(height, width, kernel, stride, dilation, pads), channels, lanes, memory)
        layout = data.ArrayLayout(self.shape, lanes)
        self._outlet = Outlet(layout, latency=self._read_at)
        super().__init__({"i": In(stream.Signature(layout)), "o": Out(stream.Signature(layout))})

    def _lay(self, windows, channels, lanes, memory):
        """Lay the ring: how deep it is, and where."""
        self.windows, self.channels, self.lanes = windows, channels, lanes
        self.cf = channels // lanes
        self.ring = Ring(
            needed=windows.needed(windows.ends) * self.cf,
            dropped=windows.dropped(windows.start(1)) * self.cf,
            steps=windows.taps * self.cf, beats_in=windows.pixels * self.cf)
        self.depth = 1 << (self.ring.least_depth - 1).bit_length()
        bits = lanes * Shape.cast(self.shape).width
        if memory == "auto":
            # A dual-port RAM64M has three bits in four LUTs.
            memory = "block" if block_is_cheaper(self.depth, bits, written=True) else "lutram"
        self.memory = memory
        # LUTRAM is read within a cycle, block RAM in one; there is a register behind it.
        self._read_at = 1 if self.memory == "lutram" else 2

    @property
    def schedule(self):
        """Two processes, the writer and the reader: see ``Ring``.

        The writer takes a beat a step, H * W * CF a frame; the reader gives one a step.
        """
        return self.ring.schedule(self.depth, latency=self._read_at + self._outlet.latency,
                                  room=self._outlet.room)

    @property
    def ii(self):
        """Cycles a frame."""
        return self.ring.period

    @property
    def latency(self):
        """Cycles from the first beat taken to the first beat offered."""
        return int(self.ring.needed[0]) + self._read_at + self._outlet.latency

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
        ends = ky_steps & ky_last                            # the last step of a window
        ox, ox_last = count(m, "ox", ow, ends)
        row_ends = ends & ox_last
        oy, oy_last = count(m, "oy", oh, row_ends)
        last = c_last & kx_last & ky_last
        first = flag(m, "first", Const(1) if self.ring.steps == 1 else last, step)

        # Which beats are there: all that decides is registers.
        column, row = Place(m, ox, ox_last, ends), Place(m, oy, oy_last, row_ends)
        space, ahead = self.ring.balances(m, self.depth, take, ends, column, row)
        m.d.comb += [
            self.i.ready.eq(~space[-1]),
            take.eq(self.i.valid & self.i.ready),
            step.eq(outlet.ready & ~(first & ahead[-1])),
            outlet.give.eq(step),
        ]

        # The ring. Where there is space something is written in every cycle, last the beat.
        beat = Value.cast(self.i.payload)
        write, read = ram(m, "ring", width=len(beat), depth=self.depth, style=self.memory)
        with m.If(take):
            m.d.sync += write.addr.eq(write.addr + 1)
        m.d.comb += [write.data.eq(beat), write.en.eq(self.i.ready)]
        self._walk(m, read.addr, step, (c_last, kx_last, ky_last, ox_last, oy_last))

        # Out; past the edges the register behind the ring is set to the padding.
        outside = (column.edges("outside_x", self.windows.outside(1), kx_steps) |
                   row.edges("outside_y", self.windows.outside(0), ky_steps))
        width = Shape.cast(self.shape).width
        pad = Const.cast(Const(self._pad_bits, width).replicate(self.lanes))
        beat, outside = (delay(m, each, self._read_at - 1) for each in (read.data, outside))
        m.d.comb += [
            outlet.push.eq(shifted(m, step, self._read_at)[-1]),
            Value.cast(outlet.data).eq(delay(m, Mux(outside, pad, beat), 1, init=pad.value)),
        ]
        return m

    def _walk(self, m, address, step, lasts):
        """Step the read address through the windows; past the edges it points anywhere."""
        # Beat (y, x, c) of frame f is at address (f*H*W + y*W + x)*CF + c, modulo depth.
        top, left = self.windows.pads[:2]
        (sy, sx), (dy, dx) = self.windows.stride, self.windows.dilation
        (oh, ow), (kh, kw), w = self.windows.shape, self.windows.kernel, self.windows.width
        strides = [1, dx * self.cf, dy * w * self.cf, sx * self.cf, sy * w * self.cf,
                   self.ring.beats_in]
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
