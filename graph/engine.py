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
HOST = -1
MOST_FRAMES = 512
TURNS = 8                                # frames that may repeat as one, at the most


@cache
def _library() -> ctypes.CDLL:
    library = load_library(SOURCE)
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    for name, result, arguments in (
            ("new", pointer, [number, pointer, number, pointer, pointer, pointer, pointer, pointer,
                              number]),
            ("delete", None, [pointer]),
            ("go", ctypes.c_int, [pointer, number, pointer]),
            ("first_in", number, [pointer]),
            ("taken", number, [pointer, number]),
            ("most", number, [pointer, number, number]),
            ("watch", None, [pointer, number]),
            ("probe", number, [pointer, number, number, pointer]),
            ("room", number, [pointer, pointer, number, number, number]),
            ("state", number, [pointer, pointer])):
        function = getattr(library, f"timing_{name}")
        function.restype, function.argtypes = result, arguments
    return library


class _Link(NamedTuple):
    """A link of the native code, and the steps of its ends that give to it and take from it."""

    room: int                            # ENDLESS: the giver waits for nothing
    latency: int
    giver: int                           # HOST: the host, at either end
    taker: int
    tokens: int                          # at the start
    beats: int                           # a frame
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
            links.append(_Link(room, latency, HOST if giver is None else giver,
                               HOST if taker is None else taker, 0, beats, gives, takes))
        links += [_Link(ENDLESS, link.latency + 1, link.giver, link.giver, link.room, 1,
                        link.gives, link.gives)
                  for link in links if link.giver != HOST and _closest(link) <= link.latency]
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
        self.periods = np.array([*self.flow.periods, 1, 1], np.int64)
        for p, (_, process) in enumerate(self.flow.processes):
            takes = [k for k, link in enumerate(links) if link.taker == p]
            gives = [k for k, link in enumerate(links) if link.giver == p]
            value, lengths, last = _runs([*(links[k].takes for k in takes),
                                          *(links[k].gives for k in gives)])
            if len(value) == 1:          # one run a frame
                lengths, self.periods[p] = lengths * self.periods[p], 1
            found, kind = np.unique(value, return_inverse=True)
            for gap, bits in (divmod(value, 1 << len(takes) + len(gives))
                              for value in found.tolist()):
                taken = [k for bit, k in enumerate(takes) if bits >> bit & 1]
                given = [k for bit, k in enumerate(gives, len(takes)) if bits >> bit & 1]
                kinds += [gap, len(taken), *taken, len(given), *given]
            # What a process does behind its last event need not be done within a frame.
            kinds.append(-process.period if backwards else last - process.period)
            counts.append(len(found))
            self.runs.append(np.ascontiguousarray(np.stack([kind.reshape(-1), lengths], axis=1),
                                                  dtype=np.int32))
        # The host's first beat comes by the pace, its others at once.
        i_link, = (k for k, link in enumerate(links) if link.giver == HOST)
        o_link, = (k for k, link in enumerate(links) if link.taker == HOST)
        kinds += [0, 0, 1, i_link, 0, 0, 1, i_link, 0]
        kinds += [0, 1, o_link, 0, 0]
        self.runs += [np.array(runs, np.int32) for runs in (
            [[0, 1], [1, links[i_link].beats - 1]][:links[i_link].beats],
            [[0, links[o_link].beats]])]
        self.kinds, self.counts = np.array(kinds, np.int64), np.array([*counts, 2, 1], np.int64)
        self.lengths = np.array([len(run) for run in self.runs], np.int64)


def _runs(does: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the kinds of events of a period, in runs, with their lengths, and the last one's step.

    ``does`` tells of every link in which steps it is taken from or given to; an event's kind is a
    bit for each, and, above them, its distance from the event before.
    """
    code: np.ndarray = np.zeros(len(does[0]), np.uint8 if len(does) <= 8 else np.int64)
    for bit, steps in enumerate(does):
        code |= steps.astype(code.dtype) << bit
    starts = np.append(0, np.flatnonzero(code[1:] != code[:-1]) + 1)
    lengths, bits = np.diff(starts, append=len(code)), code[starts].astype(np.int64)
    starts, lengths, bits = (values[bits > 0] for values in (starts, lengths, bits))
    ends = starts + lengths - 1
    last = int(ends[-1])
    # Of each stretch the first event is farther from the one before than all others.
    gaps = starts - np.append(last - len(code), ends[:-1])
    value = np.stack([gaps << len(does) | bits, 1 << len(does) | bits], axis=1).ravel()
    lengths = np.stack([np.ones_like(lengths), lengths - 1], axis=1).ravel()
    value, lengths = value[lengths > 0], lengths[lengths > 0]
    starts = np.flatnonzero(np.append(True, value[1:] != value[:-1]))
    return value[starts], np.add.reduceat(lengths, starts), last


def _closest(link: _Link) -> int:
    """Return the fewest steps from one that gives to the one that gives ``room`` beats later.

    ``room`` will do where they are more than the latency.
    """
    if link.room > link.latency:
        return link.room
    steps = np.flatnonzero(link.gives)
    lap, at = np.divmod(np.arange(len(steps)) + link.room, len(steps))
    return int((lap * len(link.gives) + steps[at] - steps).min())


def _tokens(process: Process, other: Process, wait: Wait) -> tuple[np.ndarray, np.ndarray, int]:
    """Return the steps that wait, those of the other process waited for, and the tokens before."""
    steps = np.append(0, np.flatnonzero(wait.counts[1:] != wait.counts[:-1]) + 1)
    counts = np.asarray(wait.counts[steps], np.int64)
    # A step need not wait for what the steps before it have waited for, those of the period
    # before included.
    before = np.maximum.accumulate(np.append(counts.max() - other.period, counts[:-1]))
    first = np.maximum.accumulate(np.append(0, counts[:-1]))
    if np.any((first < counts) & (counts <= before)):
        raise ValueError("the counts of a Wait must not span more than the other's period")
    kept = counts[counts > before]
    waits = np.zeros(process.period, bool)
    waits[steps[counts > before]] = True
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
    bare : bool
        Whether it is for the probed edges' ``transfers`` alone: nothing else is kept.

    Attributes
    ----------
    frames : int
        Frames done.
    ends, o_ends : array
        As in ``Run``.
    """

    def __init__(self, program: Program, depths: Sequence[int], *, pace: int = 0,
                 fifo_delay: int | Sequence[int] | None = None,
                 probes: Sequence[int] = (), bare: bool = False) -> None:
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
        source, sink = len(flow.processes), len(flow.processes) + 1
        rows = [[ENDLESS if link.giver == HOST else link.room, link.latency, 1,
                 source if link.giver == HOST else link.giver,
                 sink if link.taker == HOST else link.taker, link.tokens, 0, link.beats, 0, 0]
                for link in program.links]
        for row, depth, delay in zip(rows, depths, fifo_delay, strict=False):
            if depth:
                row[:3] = ENDLESS if depth == ENDLESS else row[0] + depth, row[1] + delay, 2
                if not bare:
                    row[8:] = (2, row[1]) if depth == ENDLESS else (1, delay)
        for edge in probes:
            rows[edge][6] = 1 if bare else 2
        links = np.array(rows, np.int64)
        pointers = (ctypes.c_void_p * len(program.runs))(
            *(runs.ctypes.data for runs in program.runs))
        self._handle = self._library.timing_new(
            len(links), links.ctypes.data, len(program.runs), program.counts.ctypes.data,
            program.kinds.ctypes.data, pointers, program.lengths.ctypes.data,
            program.periods.ctypes.data, pace)
        self.frames = 0
        # And one that is watched.
        self._ends = np.zeros((MOST_FRAMES + 1, len(program.runs)), np.int64)
        self._states: dict[int, np.ndarray] = {}
        self._unwatched: int | None = None

    def __del__(self) -> None:
        if handle := getattr(self, "_handle", None):
            self._library.timing_delete(handle)

    def go(self, frames: int) -> None:
        """Go on until so many frames are done; ``QuinnoaError`` where the graph stands still."""
        if frames <= self.frames:
            return
        done = self._library.timing_go(self._handle, frames, self._ends.ctypes.data)
        if not done:
            flow = self._program.flow
            raise stands_still([
                flow.describe(edge) for k, edge in enumerate(flow.edges)
                if self._library.timing_taken(self._handle, k) < frames * flow.beats[k]])
        self.frames = frames

    def period(self, turns: int) -> int:
        """Return the cycles after which ``turns`` frames repeat, certainly; 0 if they do not yet.

        They do once all that the next frame depends on is as it was so many frames before, but for
        as many cycles. The input offers by that pace, or always.
        """
        if self.frames not in self._states:
            state = np.zeros(self._library.timing_state(self._handle, None), np.int64)
            self._library.timing_state(self._handle, state.ctypes.data)
            self._states[self.frames] = state
            self._states.pop(self.frames - TURNS - 1, None)
        if self.frames - turns not in self._states:
            return 0
        shift = self._states[self.frames] - self._states[self.frames - turns]
        return int(shift[0]) if np.all(shift == shift[0]) else 0

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
        return self._ends[:self.frames, :-2]

    @property
    def o_ends(self) -> np.ndarray:
        """Cycle in which each frame's last beat leaves the network."""
        return self._ends[:self.frames, -1]

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
        count = self._library.timing_probe(self._handle, edge, which, None)
        kept = np.zeros(max(0, count), np.int64)
        self._library.timing_probe(self._handle, edge, which, kept.ctypes.data)
        return kept

    def transfers(self, edge: int) -> np.ndarray:
        """Return the cycle of every transfer of a probed edge, into the unit that it leads to."""
        return self._probe(edge, 0)

    def room(self, backwards: "Simulation", edge: int, end: int, back: int) -> int:
        """Return the least room with which steps that give can be as late as a frame backwards.

        With the transfers X of this run's frame, and the steps S of that one, which ends in cycle
        ``end``, ``S[m] >= X[m - room] + back``. The edge was probed in either run.
        """
        return int(self._library.timing_room(self._handle, backwards._handle, edge, end, back))

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

    def watch(self, edges: Sequence[int]) -> None:
        """Keep the transfers of edges from the next frame on; none of them was probed."""
        for edge in edges:
            self._library.timing_watch(self._handle, edge)
        self._unwatched = self.frames

    def watched(self, edges: Sequence[int], cycles: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return of FIFOs the cycles in which the beats of the last frame entered, and left.

        The run has settled: frames go through every ``cycles`` cycles. Where no frame has gone
        through since these edges are watched, one does now.
        """
        if self._unwatched is None:
            self.watch(edges)
        if self._unwatched == self.frames:
            self.go(self.frames + 1)
        return [self._watched(edge, cycles) for edge in edges]

    def _watched(self, edge: int, cycles: int) -> tuple[np.ndarray, np.ndarray]:
        frame = slice(-self._program.flow.beats[edge], None)
        left, given = self._probe(edge, 0)[frame], self._probe(edge, 1)[frame]
        # The beat that must have left, a cycle before, is one of this frame or of one like it.
        frames, beat = np.divmod(np.arange(len(left)) - self._depths[edge], len(left))
        return np.maximum(given - self._delays[edge], left[beat] + frames * cycles + 1), left
