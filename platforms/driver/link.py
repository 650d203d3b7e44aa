"""Link: the host's end of the protocol of docs/uart-protocol.md, without a line or a clock.

It is given the bytes that come, and the time, and says which bytes to send.
"""

from __future__ import annotations

import struct
from collections import deque
from typing import Deque, List, NamedTuple, Optional

from .errors import DriverError
from .packets import (
    CONTENTS,
    DATA,
    IDENTIFY,
    IDENTITY,
    RESET,
    REWIND,
    STATUS,
    Deframer,
    Reply,
    request,
)
from .transport import Cycles, Identity

__all__ = ["Batch", "Link"]

_IDENTITY = struct.Struct("<IIQQIIIIII")

MOST_WORDS = 256                         # of payload in a packet
AHEAD = 0.01                             # seconds of bytes given to the line before their time
PAUSE = 0.002                            # seconds between two questions whether there is room
UNANSWERED = 32                          # packets of words on their way, at most
RESYNCS = 20                             # without a frame in between, until another host is blamed


class Batch:
    """Frames on their way: ``data`` of the first to the last, ``result`` as far as it has come."""

    def __init__(self, first: int, frames: int, data: bytes) -> None:
        self.first, self.frames, self.data = first, frames, data
        self.result = bytearray()
        self.dropped = False

    @property
    def end(self) -> int:
        """Number of the frame after the last."""
        return self.first + self.frames


class _Sent(NamedTuple):
    """A request not yet answered, and the word after the last that was sent until then."""

    tag: int
    end: int


class Link:
    """One session with a shell.

    Frames are numbered from 0 as they are submitted, words of frames and of results likewise. An
    epoch begins with one of the frames; positions in packets count from there.

    Parameters
    ----------
    baud : float
        Bits a second of the line.
    patience : float
        Seconds after which a request is taken for lost.
    retries : int
        Requests that may go unanswered one after the other.
    epoch : int
        Number of the first epoch.
    name : str
        Of the line, for messages.
    """

    def __init__(self, *, baud: float, patience: float, retries: int, epoch: int,
                 name: str) -> None:
        self.baud, self.patience, self.retries, self.name = baud, patience, retries, name
        self.identity: Optional[Identity] = None
        self.cycles: Optional[Cycles] = None
        self.batches: Deque[Batch] = deque()
        self._deframer, self._tag, self._identify_tag = Deframer(), 0, 0
        self._contents: Optional[bytes] = None
        self._submitted = self._done = 0
        self._epoch, self._resyncs, self._asks_identity = epoch, 0, False
        self._unanswered, self._line_free, self._heard, self._again = 0, 0.0, 0.0, 0.0
        # What is still to be done before frames go: "identify", "contents", "frames".
        self._plan: List[str] = ["identify", "frames"]
        self._room, self._o_room, self._packet_words = 0, 4, 1
        # Words: those of the epoch's first frame; taken, to be sent next, out of the shell's
        # memory, sent at any time. Results: the first, received, told to be received.
        self._origin = self._taken = self._next = self._left = self._furthest = 0
        self._o_origin = self._received = self._acknowledged = 0
        self._sent: Deque[_Sent] = deque()
        self._gap, self._rewind = False, -1
        self._open = self._writes = False
        self._begin_epoch()

    # What callers ask for

    @property
    def ready(self) -> bool:
        """The shell is known, and takes frames."""
        return self._open and not self._plan

    @property
    def idle(self) -> bool:
        """No batch is under way."""
        return not self.batches

    @property
    def status(self) -> str:
        """How far it came, for messages."""
        if not self._open:
            return "no answer to a reset" if self.identity else "no answer at all"
        words = self.identity.i_bytes // 4 if self.identity else 1
        return "%d of %d frames done, the accelerator took %.1f of them" % (
            self._done, self._submitted, self._taken / words)

    def submit(self, frames: int, data: bytes) -> Batch:
        """Queue frames."""
        batch = Batch(self._submitted, frames, data)
        self._submitted += frames
        self.batches.append(batch)
        return batch

    def abort(self) -> None:
        """Drop all batches, and begin a new epoch."""
        for batch in self.batches:
            batch.dropped = True
        self.batches.clear()
        self._done = self._submitted
        self._plan = ["frames"]
        self._begin_epoch()

    def write(self, contents: bytes) -> None:
        """Write the contents of a writable core; no batch may be under way."""
        self._contents = contents
        self._plan = ["contents", "frames"]
        self._begin_epoch()

    def ask_cycles(self) -> None:
        """Have ``cycles`` set anew."""
        self.cycles, self._asks_identity, self._again = None, True, 0.0

    # Sending

    def output(self, now: float) -> bytes:
        """Return the bytes to put on the line now."""
        if now < self._line_free - AHEAD:
            return b""
        line = self._request(now)
        if line:
            self._line_free = max(now, self._line_free) + len(line) * 10 / self.baud
        return line

    def deadline(self, now: float) -> float:
        """Return when ``output`` is to be asked again, if nothing comes before."""
        at = now + 3600
        if self._asks():
            at = self._again
        if self._sendable() or self._wants_poll():
            at = now
        elif self._waiting():
            at = min(at, self._quiet_until())
            if self._blocked():
                at = min(at, self._line_free + PAUSE)
        return max(at, self._line_free - AHEAD)

    def _asks(self) -> bool:
        """Tell whether an identity or a reset is to be asked for until it is answered."""
        return not self._open or self._asks_identity

    def _request(self, now: float) -> bytes:
        """Choose what to say."""
        if self._asks() and now >= self._again:
            self._count()
            self._again = max(now, self._line_free) + self.patience
            if self._asks_identity or self._plan[0] == "identify":
                line = self._make(IDENTIFY)
                self._identify_tag = self._tag
                return line
            return self._make(RESET, CONTENTS if self._plan[0] == "contents" else 0)
        if not self._open:
            return b""
        if self._sendable():
            return self._data()
        quiet = self._waiting() and now >= self._quiet_until()
        if quiet:
            self._count()
        if quiet or self._wants_poll() or (self._blocked() and now >= self._line_free + PAUSE):
            return self._make(DATA)
        return b""

    def _count(self) -> None:
        """Count one more request that is made because none was answered."""
        self._unanswered += 1
        if self._unanswered > self.retries:
            raise DriverError("nothing answers at %s at %d baud: check the cable, the power, and "
                              "that the bitstream is loaded (%s)" % (
                                  self.name, self.baud, self.status))

    def _make(self, kind: int, flags: int = 0, payload: bytes = b"") -> bytes:
        self._tag = (self._tag + 1) & 0xFF
        if kind == DATA and self._gap and self._rewind < 0:
            flags, self._rewind = flags | REWIND, self._tag
        line = request(kind, self._tag, flags, self._epoch, self._next - self._origin,
                       self._received - self._o_origin, payload)
        if kind == DATA:
            self._next += len(payload) // 4
            self._acknowledged = self._received
            self._sent.append(_Sent(self._tag, self._next))
        return line

    def _data(self) -> bytes:
        """Return the next words."""
        return self._make(DATA, 0, self._words(self._next, self._sendable()))

    def _words(self, start: int, count: int) -> bytes:
        """Return ``count`` words from ``start`` on."""
        if self._writes:
            return (self._contents or b"")[4 * start:4 * (start + count)]
        size, out = self._i_bytes, bytearray()
        at, end = 4 * start, 4 * (start + count)
        for batch in self.batches:
            if batch.first * size < end and batch.end * size > at:
                out += batch.data[at - batch.first * size:end - batch.first * size]
                at = 4 * start + len(out)
        return bytes(out)

    @property
    def _i_bytes(self) -> int:
        return self.identity.i_bytes if self.identity else 4

    @property
    def _o_bytes(self) -> int:
        return self.identity.o_bytes if self.identity else 4

    @property
    def _end(self) -> int:
        """The word after the last to send."""
        if self._writes:
            return len(self._contents or b"") // 4
        return self._submitted * self._i_bytes // 4

    def _sendable(self) -> int:
        """Return how many words can go now: a full packet, all that are left, or none."""
        if not self._open or len(self._sent) >= UNANSWERED:
            return 0
        count = min(self._end - self._next, self._packet_words)
        return count if self._next + count <= self._left + self._room else 0

    def _blocked(self) -> bool:
        """Tell whether words wait for room, and none are on their way."""
        return self._open and not self._sent and self._next < self._end and not self._sendable()

    def _waiting(self) -> bool:
        """Tell whether something is to come."""
        return self._open and (self._writes or bool(self.batches))

    def _wants_poll(self) -> bool:
        """Tell whether something is to be said even without words to send."""
        return self._open and ((self._gap and self._rewind < 0)
                               or self._received - self._acknowledged >= self._o_room // 4)

    def _quiet_until(self) -> float:
        return max(self._line_free, self._heard) + self.patience

    # Receiving

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the line."""
        for reply in self._deframer.feed(data):
            if reply.kind == IDENTITY:
                self._identified(reply, now)
            elif reply.kind == STATUS and reply.epoch == self._epoch:
                self._answered(now)
                if self._open:
                    self._advance(reply)
                elif self._plan[0] != "identify":
                    self._open = True
                    self._writes = self._plan.pop(0) == "contents"
            elif reply.kind == STATUS and self._open and any(
                    sent.tag == reply.tag for sent in self._sent):
                # The shell was reset by other than us.
                self._restart(["identify", *(["contents"] if self._contents else []), "frames"])

    def _answered(self, now: float) -> None:
        self._heard, self._unanswered = now, 0

    def _identified(self, reply: Reply, now: float) -> None:
        """Learn what the shell is, and how much it holds."""
        learns = not self._open and self._plan[0] == "identify"
        if reply.tag != self._identify_tag or not (learns or self._asks_identity):
            return
        self._answered(now)
        values = _IDENTITY.unpack(reply.payload.ljust(_IDENTITY.size, b"\0")[:_IDENTITY.size])
        identity = Identity(*values[:6]).checked()
        if self.identity not in (None, identity):
            raise DriverError("another bitstream answers at %s: it is network %016x, it was "
                              "network %016x" % (self.name, identity.network_id,
                                                 self.identity.network_id))
        self.identity, self.cycles, self._asks_identity = identity, Cycles(*values[8:]), False
        self._room, self._o_room = values[6:8]
        self._packet_words = max(1, min(self._room // 4, MOST_WORDS))
        if learns:
            self._plan.pop(0)
            self._begin_epoch()

    def _advance(self, reply: Reply) -> None:
        """Learn from a status what was taken, what got lost, and results."""
        taken = self._taken + ((reply.taken - (self._taken - self._origin)) & 0xFFFFFFFF)
        if taken <= max(self._next, self._furthest):
            self._taken = taken
            self._next = max(self._next, taken)
        left = self._left + ((reply.left - (self._left - self._origin)) & 0xFFFF)
        if left <= self._taken:
            self._left = left

        # Words sent before a request that is answered, but not taken, are lost: go back.
        if any(sent.tag == reply.tag for sent in self._sent):
            while self._sent:
                sent = self._sent.popleft()
                if sent.tag == self._rewind:
                    self._rewind = -1
                if sent.tag == reply.tag:
                    break
            if sent.end > self._taken:
                self._furthest = max(self._furthest, self._next)
                self._next = self._taken
                self._sent.clear()
                self._rewind = -1

        if self._writes:
            if self._left == self._end:
                self._begin_epoch()
        else:
            self._collect(reply)

    def _collect(self, reply: Reply) -> None:
        """Take the results that come next, of those in a status."""
        skip = (self._received - self._o_origin - reply.position) & 0xFFFFFFFF
        if skip >= 1 << 31:
            self._gap = True
            return
        self._gap = False
        data = memoryview(reply.payload)[4 * skip:]
        self._received += len(data) // 4
        size = self._o_bytes
        while len(data):
            if not self.batches:
                raise DriverError("the accelerator at %s gives more results than frames" %
                                  self.name)
            batch = self.batches[0]
            part = data[:batch.frames * size - len(batch.result)]
            batch.result += part
            data = data[len(part):]
            done = batch.first + len(batch.result) // size
            if done > self._done:
                self._done, self._resyncs = done, 0
            if len(batch.result) == batch.frames * size:
                self.batches.popleft()

    # Epochs

    def _restart(self, plan: List[str]) -> None:
        """Begin anew with the first frame not done, after what ``plan`` says."""
        self._resyncs += 1
        if self._resyncs > RESYNCS:
            raise DriverError("the accelerator at %s is reset again and again by other than this "
                              "program" % self.name)
        self._plan = plan
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        """Begin with the first frame not done; results of half a frame are forgotten."""
        self._open = self._writes = False
        self._epoch = self._epoch % 0xFFFFFFFF + 1
        writes = self._plan[:1] == ["contents"]
        for batch in self.batches:
            del batch.result[(max(self._done, batch.first) - batch.first) * self._o_bytes:]
        self._origin = 0 if writes else self._done * self._i_bytes // 4
        self._o_origin = 0 if writes else self._done * self._o_bytes // 4
        self._taken = self._next = self._left = self._furthest = self._origin
        self._received = self._acknowledged = self._o_origin
        self._sent.clear()
        self._gap, self._rewind, self._again = False, -1, 0.0
