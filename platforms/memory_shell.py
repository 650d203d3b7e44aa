# amaranth: UnusedElaboratable=no
"""Memory shell: carries frames between memory and a core, told by registers on an AXI port."""

from amaranth import Array, Cat, Module, Mux, ResetInserter, Shape, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from quinnoa.rtl.fifo import FIFO

from .axi import join
from .axilite import RegisterPort
from .batches import Dispatcher, Progress, batch_layout
from .dma import ReadDMA, WriteDMA, transfer_layout
from .frames import FrameReader, FrameWriter

__all__ = ["MAGIC", "QUEUE", "REGISTERS", "VERSION", "MemoryShell"]

MAGIC = 0x514E4E41          # "QNNA"
VERSION = 1                 # of the registers
# Byte addresses; see docs/architecture.md.
REGISTERS = {
    "MAGIC": 0x00, "VERSION": 0x04, "NETWORK_ID": 0x08, "SHAPE_ID": 0x10, "CONTROL": 0x18,
    "STATUS": 0x1C, "SOURCE": 0x20, "TARGET": 0x28, "FRAMES": 0x30, "BATCHES_DONE": 0x34,
    "FRAMES_DONE": 0x38, "CYCLES": 0x3C, "BYTES": 0x40, "BUSY_CYCLES": 0x48, "WRITES": 0x10000,
}
# Batches that wait for their turn, and those in the works; a LUT RAM holds 32 rows.
QUEUE = 8
_IN_THE_WORKS = 17
# Bits of a FIFO of beats beside the core, at most: four block RAMs.
_BEAT_BITS = 4 * 36 * 1024
# Cycles of each step of an abort: more than any pipeline between the core and the bus has.
_ABORT_STEP = 16


class MemoryShell(wiring.Component):
    """Memory shell: carries frames from memory through a core and back, told by registers.

    Frames of a batch lie side by side in memory, and so do their results. Batches follow one
    another without a gap. The registers are those of docs/architecture.md; an abort also sets
    BATCHES_DONE, FRAMES_DONE and BUSY_CYCLES to 0. A batch for which the queue has no room, or
    which comes during an abort, is ignored.

    Parameters
    ----------
    core : Component
        With streams ``i`` and ``o``, and ``writes`` if it is writable.
    i_format, o_format : FrameFormat
        Of its frames; ``word_bits`` are those of the memory bus.
    network_id, shape_id : int
        64 bits each; ``shape_id`` is 0 if the core is not writable.
    control : AXI3, AXI4 or AXI4Lite
        Signature of the port of the registers.
    memory : AXI3 or AXI4
        Signature of the port to memory.
    burst : int
        Words of the longest burst. 16 by default.
    i_depth, o_depth : int
        Words of the stores on the way in and out. 512 (a block RAM), and 64 or two bursts.
    i_beats, o_beats : int
        Beats of the FIFOs beside the core, 0 for none. Where a beat is wider than a word, a core
        that takes the beats of a frame one after another, and then none, would wait for them; so
        by default they hold the beats of a frame, or 144 kbit.

    Members
    -------
    s_axi : In(control)
    m_axi : Out(memory)
    """

    def __init__(self, core, i_format, o_format, *, network_id, shape_id=0, control, memory,
                 burst=16, i_depth=512, o_depth=None, i_beats=None, o_beats=None):
        for name, port, form in (("i", core.i, i_format), ("o", core.o, o_format)):
            _check_format(name, port.payload.shape(), form, memory.data_bits)
        for name, value in (("network_id", network_id), ("shape_id", shape_id)):
            if not 0 <= value < 1 << 64:
                raise ValueError(f"{name} has 64 bits: it is {value:#x}")
        self.core, self.i_format, self.o_format = core, i_format, o_format
        self.network_id, self.shape_id = network_id, shape_id
        self.burst, self.i_depth = burst, i_depth
        self.o_depth = max(64, 2 * burst) if o_depth is None else o_depth
        self.i_beats = _beats_beside(i_format) if i_beats is None else i_beats
        self.o_beats = _beats_beside(o_format) if o_beats is None else o_beats
        # Address bits of a writable core's words; they lie above 2**16 bytes.
        self.write_bits = len(core.writes.address) if hasattr(core, "writes") else None
        self.address_bits = 17 if self.write_bits is None else max(17, self.write_bits + 3)
        self._control, self._memory = control, memory
        super().__init__({"s_axi": In(control), "m_axi": Out(memory)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.port = port = RegisterPort(self._control, address_bits=self.address_bits)
        wiring.connect(m, wiring.flipped(self.s_axi), port.bus)

        # What an abort empties: all but the registers themselves.
        clear = Signal()
        flow = _Flow(self._memory, self.core, self.i_format, self.o_format, burst=self.burst,
                     depths=(self.i_depth, self.o_depth), beats=(self.i_beats, self.o_beats))
        m.submodules.flow = ResetInserter(clear)(flow)
        wiring.connect(m, flow.m_axi, wiring.flipped(self.m_axi))

        # Writes: which register is meant is found out first, in two steps; there are 32 at most.
        write, hits = port.write, {}
        here, place = Signal(), Signal(5, reset_less=True)
        given, word = (Signal(32, name=name, reset_less=True) for name in ("given", "word"))
        m.d.sync += [here.eq(write.valid & ~write.address[5:].any()),
                     place.eq(write.address[:5]), given.eq(write.data), word.eq(given)]
        for name in ("CONTROL", "SOURCE", "SOURCE_HIGH", "TARGET", "TARGET_HIGH", "FRAMES"):
            base = name.removesuffix("_HIGH")
            address = REGISTERS[base] // 4 + (base != name)
            hits[name] = Signal(name=f"writes_{name}")
            m.d.sync += hits[name].eq(here & (place == address))
        kept = {name: Signal(width, name=name, reset_less=True)
                for name, width in (("SOURCE", 64), ("TARGET", 64), ("FRAMES", 32))}
        for name, register in kept.items():
            for half, hit in enumerate((name, f"{name}_HIGH")[:len(register) // 32]):
                with m.If(hits[hit]):
                    m.d.sync += register.word_select(half, 32).eq(word)

        aborting = self._abort(m, flow, clear, hits["CONTROL"] & word[0])
        shift = (self._memory.data_bits // 8).bit_length() - 1
        m.d.comb += [
            flow.batch.valid.eq(hits["FRAMES"] & ~aborting), flow.batch.payload.frames.eq(word),
            flow.batch.payload.source.eq(kept["SOURCE"] >> shift),
            flow.batch.payload.target.eq(kept["TARGET"] >> shift),
        ]
        self._writable(m, write)
        self._status(m, flow, aborting, hits["FRAMES"], port.read, kept)
        return m

    def _abort(self, m, flow, clear, begin):
        """Stop the bursts, wait until the bus is quiet, empty what is in the works."""
        aborting, quiet, count = Signal(), Signal(), Signal(range(_ABORT_STEP))
        m.d.sync += quiet.eq(flow.quiet)
        is_last = count == _ABORT_STEP - 1
        m.d.comb += flow.stop.eq(aborting)
        m.d.sync += count.eq(count + 1)
        with m.FSM(name="abort"):
            with m.State("RUN"):
                m.d.sync += count.eq(0)
                with m.If(begin):
                    m.d.sync += aborting.eq(1)
                    m.next = "DRAIN"
            with m.State("DRAIN"):
                # What began in the cycle before `stop` counts by then.
                m.d.sync += count.eq(Mux(is_last, count, count + 1))
                with m.If(is_last & quiet):
                    m.d.sync += [count.eq(0), clear.eq(1)]
                    m.next = "CLEAR"
            with m.State("CLEAR"):
                with m.If(is_last):
                    m.d.sync += [count.eq(0), clear.eq(0)]
                    m.next = "REST"
            with m.State("REST"):
                with m.If(is_last):
                    m.d.sync += aborting.eq(0)
                    m.next = "RUN"
        return aborting

    def _writable(self, m, write):
        """Pass on the writes to the contents of the core: word a at byte 0x10000 + 4a."""
        if self.write_bits is None:
            return
        writes = self.core.writes
        address = Signal.like(writes.address, reset_less=True)
        data = Signal.like(writes.data, reset_less=True)
        valid = Signal()
        m.d.sync += [valid.eq(write.valid & write.address[14:].any()), data.eq(write.data),
                     address.eq(Cat(write.address[:14], write.address[14:] - 1))]
        m.d.comb += [writes.valid.eq(valid), writes.address.eq(address), writes.data.eq(data)]

    def _status(self, m, flow, aborting, submits, read, kept):
        """Answer reads, in two steps."""
        error, cycles, busy_cycles = Signal(), Signal(32), Signal(32)
        idle, submitted = Signal(), Signal()
        # A batch keeps it from being idle from its submission on, before it is counted.
        m.d.sync += [cycles.eq(cycles + 1), submitted.eq(submits),
                     idle.eq(~(flow.busy | submits | submitted | aborting)),
                     busy_cycles.eq(busy_cycles + flow.busy), error.eq(error | flow.error)]
        with m.If(aborting):
            m.d.sync += [error.eq(0), busy_cycles.eq(0)]

        words = {}
        for name, value in {
            "MAGIC": MAGIC, "VERSION": VERSION, "CONTROL": aborting,
            "STATUS": Cat(idle, error, flow.batch.ready), "FRAMES": kept["FRAMES"],
            "BATCHES_DONE": flow.batches, "FRAMES_DONE": flow.frames, "CYCLES": cycles,
            "BUSY_CYCLES": busy_cycles,
        }.items():
            words[REGISTERS[name] // 4] = value
        for name, value in {
            "NETWORK_ID": self.network_id, "SHAPE_ID": self.shape_id,
            "SOURCE": kept["SOURCE"], "TARGET": kept["TARGET"],
            "BYTES": self.o_format.bytes << 32 | self.i_format.bytes,
        }.items():
            for half in range(2):
                words[REGISTERS[name] // 4 + half] = (value >> 32 * half) & 0xFFFF_FFFF

        # The registers are those below 0x60, eight of them a group.
        group = Signal(2, reset_less=True)
        m.d.sync += group.eq(Mux(read.address[5:].any(), 3, read.address[3:5]))
        parts = [Signal(32, name=f"group_{k}", reset_less=True) for k in range(3)]
        for k, part in enumerate(parts):
            with m.Switch(read.address[:3]):
                for place in range(8):
                    with m.Case(place):
                        m.d.sync += part.eq(words.get(8 * k + place, 0))
        m.d.sync += read.data.eq(Array([*parts, 0])[group])


def _check_format(name, payload, form, word_bits):
    """See that the format is that of the core's stream, and its words those of the bus."""
    offered = Shape.cast(payload).width
    if offered != form.bits * form.lanes:
        raise ValueError(f"a beat of {name} has {offered} bits, but its format says {form.lanes} "
                         f"lanes of {form.bits} bits")
    if form.word_bits != word_bits:
        raise ValueError(f"words of the format of {name} have {form.word_bits} bits, those of the "
                         f"memory bus {word_bits}")


def _beats_beside(form):
    """Return the depth of the FIFO between a core and its width converter."""
    # A width converter's outlet holds two beats.
    if form.words <= form.beats or form.beats <= 2:
        return 0
    return max(2, min(form.beats, _BEAT_BITS // (form.bits * form.lanes)))


class _Flow(wiring.Component):
    """All between the registers and the memory bus: queue, DMA, width converters and core."""

    def __init__(self, memory, core, i_format, o_format, *, burst, depths, beats):
        self.core, self.beats = core, beats
        self.transfer = transfer_layout(memory)
        self.reader, self.writer = FrameReader(i_format), FrameWriter(o_format)
        self.read, self.write = (kind(memory, burst=burst, depth=depth)
                                 for kind, depth in zip((ReadDMA, WriteDMA), depths, strict=True))
        self.dispatcher = Dispatcher(self.transfer, i_words=i_format.words, o_words=o_format.words)
        self.progress = Progress(words=o_format.words, burst=burst,
                                 outstanding=self.write.outstanding)
        super().__init__({
            "batch": In(stream.Signature(batch_layout(self.transfer))),
            "stop": In(1), "quiet": Out(1), "error": Out(1), "busy": Out(1),
            "frames": Out(32), "batches": Out(32),
            "m_axi": Out(memory),
        })

    def elaborate(self, platform):
        m = Module()
        m.submodules.queue = queue = FIFO(batch_layout(self.transfer), depth=QUEUE)
        m.submodules.writes = writes = FIFO(self.transfer, depth=_IN_THE_WORKS)
        m.submodules.frames = frames = FIFO(32, depth=_IN_THE_WORKS)
        for name in ("core", "reader", "writer", "read", "write", "dispatcher", "progress"):
            m.submodules[f"{name}_dma" if name in ("read", "write") else name] = getattr(self, name)
        core, read, write = self.core, self.read, self.write

        # Batches.
        wiring.connect(m, wiring.flipped(self.batch), queue.i)
        wiring.connect(m, queue.o, self.dispatcher.i)
        wiring.connect(m, self.dispatcher.reads, read.command)
        wiring.connect(m, self.dispatcher.writes, writes.i)
        wiring.connect(m, self.dispatcher.frames, frames.i)
        wiring.connect(m, writes.o, write.command)
        wiring.connect(m, frames.o, self.progress.i)
        wiring.connect(m, write.acknowledged, self.progress.acknowledged)

        # Words and beats.
        wiring.connect(m, read.o, self.reader.i)
        for name, beats, left, right in (("i_beats", self.beats[0], self.reader.o, core.i),
                                         ("o_beats", self.beats[1], core.o, self.writer.i)):
            if beats:
                m.submodules[name] = fifo = FIFO(Shape.cast(left.payload.shape()), depth=beats)
                _pass_on(m, left, fifo.i)
                left = fifo.o
            _pass_on(m, left, right)
        wiring.connect(m, self.writer.o, write.i)

        # The bus.
        for dma in (read, write):
            m.d.comb += dma.stop.eq(self.stop)
            join(m, dma.bus, self.m_axi)
        m.d.comb += [self.quiet.eq(read.quiet & write.quiet),
                     self.frames.eq(self.progress.frames), self.batches.eq(self.progress.batches)]
        m.d.sync += self.error.eq(read.error | write.error)

        # Batches submitted and not done.
        count, began = Signal(range(QUEUE + 2 * _IN_THE_WORKS)), Signal()
        m.d.sync += [began.eq(self.batch.valid & self.batch.ready),
                     count.eq(count + began - self.progress.done)]
        m.d.comb += self.busy.eq(count != 0)
        return m


def _pass_on(m, left, right):
    """Connect streams by the bits of their payloads."""
    m.d.comb += [Value.cast(right.payload).eq(Value.cast(left.payload)),
                 right.valid.eq(left.valid), left.ready.eq(right.ready)]
