"""Engine: the simulation that ``timing.py`` defines, in native code for graphs of any size."""

import ctypes
from collections.abc import Sequence
from copy import copy
from functools import cache
from pathlib import Path
from typing import NamedTuple

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
            ("new", pointer, [number, pointer, number, pointer, pointer, pointer, pointer, pointer,
                              number, number]),
            ("delete", None, [pointer]),
            ("go", ctypes.c_int, [pointer, number, pointer, pointer, pointer]),
            ("first_in", number, [pointer]),
            ("taken", number, [pointer, number]),
            ("most", number, [pointer, number, number]),
            ("watch", None, [pointer, number]),
            ("probe", number, [pointer, number, number, ctypes.POINTER(pointer)])):
        function = getattr(library, f"timing_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class _Link(NamedTuple):
    """A link of the native code, and the steps of its ends that give to it and take from it."""

    room: int                            # ENDLESS: the giver waits for nothing
    latency: int
    giver: int                           # -1: the host, at either end
    taker: int
    tokens: int                          # at the start
    beats: int                           # a frame, at the network's ends
    gives: np.ndarray                    # (period,) of bool
    takes: np.ndarray

    def reversed(self) -> "_Link":
        """Return the link as it is when time runs backwards."""
        return self._replace(giver=self.taker, taker=self.giver, gives=self.takes[::-1],
                             takes=self.gives[::-1])


class Program:
    """A flow in the form that the native code runs.

    Only steps that take, give, wait or are waited for are events. A ``Wait`` becomes a link: of the
    steps that wait, only those for more than the steps before them; each step waited for gives a
    token. So does what the room of a unit asks of its own steps,

        S[m] >= S[m - room] + latency + 1,

    where they are not that far apart anyway. With it a FIFO is no more than more room and latency:
    of the steps S that give, X that take, and the cycles E in which beats enter the FIFO,

        E[m] = max(S[m] + latency, X[m - depth] + 1),    X[m] >= E[m] + latency of the FIFO,
        S[m] >= E[m - room] + 1

    come down to X[m] >= S[m] + both latencies, S[m] >= X[m - room - depth] + 2, since X[m] is later
    than X[m - 1] by a cycle at least, and no FIFO is less deep than its latency and one.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        links, host = [], np.zeros(0, bool)
        for edge, (giver, taker), beats in zip(flow.edges, flow.ends, flow.beats, strict=True):
            room, latency, gives, takes = ENDLESS, 0, host, host     # the host waits for nothing
            if edge.source is not None and giver is not None:
                schedule = flow.schedules[edge.source]
                room, latency = schedule.room, schedule.latency
                gives = flow.processes[giver][1].gives[edge.o_port]
            if taker is not None:
                takes = flow.processes[taker][1].takes[edge.i_port]
            links.append(_Link(room, latency, -1 if giver is None else giver,
                               -1 if taker is None else taker, 0, beats, gives, takes))
        links += [_Link(ENDLESS, link.latency + 1, link.giver, link.giver, link.room, 1,
                        link.gives, link.gives)
                  for link in links if link.giver >= 0 and _closest(link) <= link.latency]
        for p, (unit, process) in enumerate(flow.processes):
            for wait in process.waits:
                other = flow.first_process[unit] + wait.process
                waits, waited, tokens = _tokens(process, flow.processes[other][1], wait)
                links.append(_Link(ENDLESS, wait.delay, other, p, tokens, 1, waited, waits))
        self._lay(links)

    def reversed(self) -> "Program":
        """Return the program for time that runs backwards, from the end of a frame.

        The earliest cycles of one frame are there the latest ones here: X and S change places.
        """
        made = copy(self)
        made._lay([link.reversed() for link in self.links], backwards=True)
        return made

    def _lay(self, links: list[_Link], *, backwards: bool = False) -> None:
        """Find the events of every process, and the kinds that they are of."""
        self.links = links
        kinds, counts, self.runs = [], [], []
        periods = list(self.flow.periods)
        for p, (_, process) in enumerate(self.flow.processes):
            takes = [k for k, link in enumerate(links) if link.taker == p]
            gives = [k for k, link in enumerate(links) if link.giver == p]
            # A bit for each link that a step takes from or gives to.
            does = [*(links[k].takes for k in takes), *(links[k].gives for k in gives)]
            code = np.zeros(process.period, np.int64)
            for bit, steps in enumerate(does):
                code |= steps.astype(np.int64) << bit
            steps = np.flatnonzero(code)
            gaps = np.diff(steps, prepend=steps[-1] - process.period)
            value = (gaps << len(does)) + code[steps]
            starts = np.flatnonzero(np.diff(value, prepend=-1))
            lengths = np.diff(starts, append=len(value))
            if len(starts) == 1:         # one run a frame
                lengths, periods[p] = lengths * periods[p], 1
            found, kind = np.unique(value[starts], return_inverse=True)
            for gap, bits in (divmod(value, 1 << len(does)) for value in found.tolist()):
                taken = [k for bit, k in enumerate(takes) if bits >> bit & 1]
                given = [k for bit, k in enumerate(gives, len(takes)) if bits >> bit & 1]
                kinds += [gap, len(taken), *taken, len(given), *given]
            # What a process does behind its last event need not be done within a frame.
            kinds.append(-process.period if backwards else int(steps[-1]) - process.period)
            counts.append(len(found))
            self.runs.append(np.ascontiguousarray(np.stack([kind.reshape(-1), lengths], axis=1),
                                                  dtype=np.int32))
        self.kinds, self.counts = np.array(kinds, np.int64), np.array(counts, np.int64)
        self.lengths = np.array([len(run) for run in self.runs], np.int64)
        self.periods = np.array(periods, np.int64)


def _closest(link: _Link) -> int:
    """Return the fewest steps from one that gives to the one that gives ``room`` beats later."""
    steps = np.flatnonzero(link.gives)
    lap, at = np.divmod(np.arange(len(steps)) + link.room, len(steps))
    return int((lap * len(link.gives) + steps[at] - steps).min())


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
    fifo_delay : int or sequence of int, optional
        Cycles from a beat's way into a FIFO to its offer, of all or of each; those of ``FIFO`` by
        default.
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
                 fifo_delay: int | Sequence[int] | None = None,
                 probes: Sequence[int] = ()) -> None:
        self._library, self._program = _library(), program
        flow = program.flow
        if depths[0] or depths[-1]:
            raise ValueError(f"there is no FIFO at the network's ends: depths are {depths[0]} "
                             f"and {depths[-1]}")
        if fifo_delay is None:
            fifo_delay = [fifo_latency(depth) for depth in depths]
        elif isinstance(fifo_delay, int):
            fifo_delay = [fifo_delay] * len(depths)
        self._depths, self._delays = depths, fifo_delay
        rows = [[link.room, link.latency, 1, link.giver, link.taker, link.tokens, link.beats, 0, 0,
                 0] for link in program.links]
        for row, depth, delay in zip(rows, depths, fifo_delay, strict=False):
            if depth:
                row[:3] = ENDLESS if depth == ENDLESS else row[0] + depth, row[1] + delay, 2
                row[8:] = (2, row[1]) if depth == ENDLESS else (1, delay)
        for edge in probes:
            rows[edge][7] = 1
        links = np.array(rows, np.int64)
        pointers = (ctypes.c_void_p * len(program.runs))(
            *(runs.ctypes.data for runs in program.runs))
        self._handle = self._library.timing_new(
            len(links), links.ctypes.data, len(program.runs), program.counts.ctypes.data,
            program.kinds.ctypes.data, pointers, program.lengths.ctypes.data,
            program.periods.ctypes.data, pace, max(256, flow.bound // 64))
        self.frames = 0
        processes = len(flow.processes)
        # And one that is watched.
        self._ends = np.zeros((MOST_FRAMES + 1, processes), np.int64)
        self._marks = np.zeros((MOST_FRAMES + 1, processes), np.uint64)
        self._o_ends = np.zeros(MOST_FRAMES + 1, np.int64)

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
        return [min(depth, most) for depth, most in zip(self._depths, self._most(0), strict=True)]

    def outstanding(self, after: int) -> list[int]:
        """Return for endless FIFOs the most beats between the step that gives and the transfer.

        A beat counts up to the cycle ``after`` that of its transfer: 0 or 1.
        """
        return self._most(after)

    def _most(self, meter: int) -> list[int]:
        return [int(self._library.timing_most(self._handle, k, meter))
                for k in range(len(self._program.flow.edges))]

    def _probe(self, edge: int, which: int) -> np.ndarray:
        data = ctypes.c_void_p()
        count = self._library.timing_probe(self._handle, edge, which, ctypes.byref(data))
        if not count:
            return np.zeros(0, np.int64)
        assert data.value is not None
        return np.frombuffer((ctypes.c_int64 * count).from_address(data.value), np.int64).copy()

    def transfers(self, edge: int) -> np.ndarray:
        """Return the cycle of every transfer of a probed edge, into the unit that it leads to."""
        return self._probe(edge, 0)

    def entries(self, edge: int) -> np.ndarray:
        """Return the same, out of the unit that it comes from."""
        left, depth = self._probe(edge, 0), self._depths[edge]
        if not depth:
            return left
        entered = self._probe(edge, 1) - self._delays[edge]
        if depth != ENDLESS:
            later = entered[depth:]
            np.maximum(later, left[:len(later)] + 1, out=later)
        return entered

    def watched(self, edges: Sequence[int], cycles: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return of FIFOs the cycles in which the beats of one more frame enter, and leave.

        The run has settled: frames go through every ``cycles`` cycles. No edge was probed.
        """
        for edge in edges:
            self._library.timing_watch(self._handle, edge)
        self.go(self.frames + 1)
        return [self._watched(edge, cycles) for edge in edges]

    def _watched(self, edge: int, cycles: int) -> tuple[np.ndarray, np.ndarray]:
        left = self._probe(edge, 0)
        # The beat that must have left, a cycle before, is one of this frame or of one like it.
        frames, beat = np.divmod(np.arange(len(left)) - self._depths[edge], len(left))
        return np.maximum(self._probe(edge, 1) - self._delays[edge],
                          left[beat] + frames * cycles + 1), left
