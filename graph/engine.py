"""Engine: the simulation that ``timing.py`` defines, in native code for graphs of any size."""

import ctypes
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from quinnoa.native import load_library
from quinnoa.rtl.fifo import fifo_latency
from quinnoa.rtl.schedule import Process, Wait

from .timing import Flow, stands_still

__all__ = ["ENDLESS", "Program", "Simulation"]

SOURCE = Path(__file__).with_name("timing.cpp")
ENDLESS = -1                             # the depth of a FIFO that never fills
MOST_FRAMES = 512


@cache
def _library() -> ctypes.CDLL:
    library = load_library(SOURCE)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    for name, result, arguments in (
            ("new", pointer, [number, pointer, pointer, pointer, number, pointer, pointer, pointer,
                              pointer, pointer, number, number]),
            ("delete", None, [pointer]),
            ("go", ctypes.c_int, [pointer, number, pointer, pointer, pointer]),
            ("first_in", number, [pointer]),
            ("taken", number, [pointer, number]),
            ("most", number, [pointer, number, number]),
            ("probe", number, [pointer, number, number, ctypes.POINTER(pointer)])):
        function = getattr(library, f"timing_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class Program:
    """A flow in the form that the native code runs.

    Only steps that take, give, wait or are waited for are events. A ``Wait`` becomes a link: of the
    steps that wait, only those for more than the steps before them; each step waited for gives a
    token.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        links: list[list[int]] = []
        takes: list[list[tuple[int, np.ndarray]]] = [[] for _ in flow.processes]
        gives: list[list[tuple[int, np.ndarray]]] = [[] for _ in flow.processes]
        for edge, (giver, taker), beats in zip(flow.edges, flow.ends, flow.beats, strict=True):
            room, latency = -1, 0           # the host waits for nothing
            if edge.source is not None and giver is not None:
                schedule = flow.schedules[edge.source]
                room, latency = schedule.room, schedule.latency
                gives[giver].append((len(links), flow.processes[giver][1].gives[edge.o_port]))
            if taker is not None:
                takes[taker].append((len(links), flow.processes[taker][1].takes[edge.i_port]))
            links.append([room, latency, -1 if giver is None else giver,
                          -1 if taker is None else taker, 0, beats, 0])
        for p, (unit, process) in enumerate(flow.processes):
            for wait in process.waits:
                other = flow.first_process[unit] + wait.process
                waits, waited, tokens = _tokens(process, flow.processes[other][1], wait)
                takes[p].append((len(links), waits))
                gives[other].append((len(links), waited))
                links.append([-1, wait.delay, other, p, tokens, 1, 0])
        self.links = np.array(links, np.int64)
        self._lay_events(takes, gives)

    def _lay_events(self, takes, gives) -> None:
        """Find the events of every process, and the kinds that they are of."""
        kinds, counts, self.events = [], [], []
        for (_, process), taken, given in zip(self.flow.processes, takes, gives, strict=True):
            # A bit for each link that a step takes from or gives to.
            code = np.zeros(process.period, np.int64)
            for k, (_, does) in enumerate((*taken, *given)):
                code |= does.astype(np.int64) << k
            steps = np.flatnonzero(code)
            gaps = np.diff(steps, prepend=steps[-1] - process.period)
            base = 1 << (len(taken) + len(given))
            found, event = np.unique(gaps * base + code[steps], return_inverse=True)
            if len(found) > 1 << 16:
                raise ValueError("a schedule has more than 65536 kinds of steps")
            for value in found.tolist():
                gap, bits = divmod(value, base)
                kinds.append(gap)
                for group, shift in ((taken, 0), (given, len(taken))):
                    own = [link for k, (link, _) in enumerate(group) if bits >> (shift + k) & 1]
                    kinds += [len(own), *own]
            kinds.append(int(steps[0] - gaps[0]))
            counts.append(len(found))
            self.events.append(np.ascontiguousarray(event.reshape(-1), dtype=np.uint16))
        self.kinds, self.counts = np.array(kinds, np.int64), np.array(counts, np.int64)
        self.lengths = np.array([len(event) for event in self.events], np.int64)
        self.periods = np.array(self.flow.periods, np.int64)


def _tokens(process: Process, other: Process, wait: Wait) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the steps that wait, those of the other process waited for, and the tokens before."""
    counts = np.asarray(wait.counts, np.int64)
    # A step need not wait for what the steps before it have waited for, those of the period
    # before included.
    before = np.maximum.accumulate(np.concatenate(([counts.max() - other.period], counts[:-1])))
    waits = counts > before
    first = np.maximum.accumulate(np.concatenate(([0], np.maximum(counts[:-1], 0))))
    if np.any((counts > first) & ~waits):
        raise ValueError("the counts of a Wait must not span more than the other's period")
    kept = counts[waits]
    waited = np.zeros(other.period, bool)
    waited[(kept - 1) % other.period] = True
    # Token n is for steps counts[k] + n * period; those of 0 or fewer steps are there already,
    # and what is given before the first one is wanted is nobody's: a negative number.
    lap, at = np.divmod(kept - 1, other.period)
    order = np.sort(at)
    tokens = -int(lap[0] * len(kept) + np.searchsorted(order, at[0]))
    return waits, waited, tokens


class Simulation:
    """A run through the graph that can go on, frame by frame.

    Parameters
    ----------
    program : Program
    depths : sequence of int
        Depth of the FIFO in every edge; 0 for none, ``ENDLESS`` for one that never fills.
    pace : int
        Cycles a frame at which the input offers: the beats of frame n not before ``n * pace``.
    fifo_delay : int, optional
        Cycles from a beat's way into a FIFO to its offer; those of ``FIFO`` by default.
    probes : sequence of int
        Edges of which every transfer is kept.

    Attributes
    ----------
    frames : int
        Frames done.
    ends, marks, o_ends : array
        As in ``Run``.
    """

    def __init__(self, program: Program, depths: Sequence[int], *, pace: int = 0,
                 fifo_delay: int | None = None, probes: Sequence[int] = ()) -> None:
        self._library, self._program = _library(), program
        flow = program.flow
        links = program.links.copy()
        links[list(probes), 6] = 1
        spare = len(links) - len(depths)
        full = np.array([*depths, *[0] * spare], np.int64)
        latencies = np.array([fifo_latency(depth) if fifo_delay is None else fifo_delay
                              for depth in full.tolist()], np.int64)
        pointers = (ctypes.c_void_p * len(program.events))(
            *(events.ctypes.data for events in program.events))
        self._handle = self._library.timing_new(
            len(links), links.ctypes.data, full.ctypes.data, latencies.ctypes.data,
            len(program.events), program.counts.ctypes.data, program.kinds.ctypes.data, pointers,
            program.lengths.ctypes.data, program.periods.ctypes.data, pace,
            max(256, flow.bound // 64))
        self.frames = 0
        processes = len(flow.processes)
        self._ends = np.zeros((MOST_FRAMES, processes), np.int64)
        self._marks = np.zeros((MOST_FRAMES, processes), np.uint64)
        self._o_ends = np.zeros(MOST_FRAMES, np.int64)

    def __del__(self) -> None:
        if handle := getattr(self, "_handle", None):
            self._library.timing_delete(handle)

    def go(self, frames: int) -> None:
        """Go on until so many frames are done; ``QuinnoaError`` where the graph stands still."""
        done = self._library.timing_go(self._handle, frames, self._ends.ctypes.data,
                                       self._marks.ctypes.data, self._o_ends.ctypes.data)
        if not done:
            flow = self._program.flow
            raise stands_still([
                flow.describe(edge) for k, edge in enumerate(flow.edges)
                if self._library.timing_taken(self._handle, k) < frames * flow.beats[k]])
        self.frames = frames

    @property
    def first_in(self) -> int:
        """Cycle in which the first beat is taken at the input."""
        return int(self._library.timing_first_in(self._handle))

    @property
    def beats(self) -> int:
        """Transfers so far, of all streams."""
        return sum(int(self._library.timing_taken(self._handle, k))
                   for k in range(len(self._program.flow.edges)))

    @property
    def ends(self) -> np.ndarray:
        """Cycle of the last event of each process in each frame."""
        return self._ends[:self.frames]

    @property
    def marks(self) -> np.ndarray:
        """Alike where the distances between the events of a frame are alike."""
        return self._marks[:self.frames]

    @property
    def o_ends(self) -> np.ndarray:
        """Cycle in which each frame's last beat leaves the network."""
        return self._o_ends[:self.frames]

    @property
    def occupancy(self) -> list[int]:
        """Beats that the FIFO of every edge held at the most."""
        return self._most(0)

    def outstanding(self, after: int) -> list[int]:
        """Return for endless FIFOs the most beats between the step that gives and the transfer.

        A beat counts up to the cycle ``after`` that of its transfer: 0 or 1.
        """
        return self._most(after)

    def _most(self, meter: int) -> list[int]:
        return [int(self._library.timing_most(self._handle, k, meter))
                for k in range(len(self._program.flow.edges))]

    def _probe(self, edge: int, which: int) -> list[int]:
        data = ctypes.c_void_p()
        count = self._library.timing_probe(self._handle, edge, which, ctypes.byref(data))
        if not count:
            return []
        assert data.value is not None
        return list((ctypes.c_int64 * count).from_address(data.value))

    def transfers(self, edge: int) -> list[int]:
        """Return the cycle of every transfer of a probed edge, into the unit that it leads to."""
        return self._probe(edge, 0)

    def entries(self, edge: int) -> list[int]:
        """Return the same, out of the unit that it comes from."""
        return self._probe(edge, 1)
