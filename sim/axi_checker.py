"""AXI protocol checker: watches a port cycle by cycle, and says what breaks the specification."""

from collections import defaultdict, deque
from collections.abc import Callable

__all__ = ["AXIChecker", "AXIFault"]

_ADDRESS = ("id", "addr", "len", "size", "burst", "lock", "cache", "prot", "qos")
# Payload of every channel, by version.
_PAYLOADS = {
    version: {
        "aw": tuple(f"aw{name}" for name in address), "ar": tuple(f"ar{name}" for name in address),
        "w": ("wdata", "wstrb", *w), "b": (*ids["b"], "bresp"),
        "r": (*ids["r"], "rdata", "rresp", *(("rlast",) if address is _ADDRESS else ())),
    }
    for version, address, w, ids in (
        ("axi3", _ADDRESS, ("wlast", "wid"), {"b": ("bid",), "r": ("rid",)}),
        ("axi4", _ADDRESS, ("wlast",), {"b": ("bid",), "r": ("rid",)}),
        ("lite", ("addr", "prot"), (), {"b": (), "r": ()}))
}
_INCR, _WRAP = 0b01, 0b10


class AXIFault(AssertionError):
    """A port breaks the AXI specification."""


class AXIChecker:
    """Watches an AXI port; raises ``AXIFault`` at the first thing that breaks the specification.

    Of every channel: what is offered stays until it is taken. Of addresses: bursts within 4 KiB,
    of a length, size and kind that exist. Of write data: WLAST at the last beat of its burst, and
    nowhere else; with AXI3 WID is AWID, bursts in the order of their addresses, not interleaved.
    Of answers: a B for every write when all of it is there, an R for every beat read, RLAST at
    the last one, with the ID of the request, and none besides.

    Parameters
    ----------
    name : str
        Of the port, for messages.
    version : str
        "axi3", "axi4" or "lite".
    data_bits : int
    beats : int, optional
        Of the longest burst allowed. That of the version by default: 16, 256 or 1.

    Attributes
    ----------
    cycles : int
        Cycles watched.
    counts : dict of str to int
        Transfers on every channel.
    bursts : dict of str to list of int
        Beats of every burst asked for on "ar" and on "aw".
    """

    def __init__(self, name: str, *, version: str, data_bits: int, beats: int | None = None):
        self.name, self.version, self.size = name, version, data_bits // 8
        self.beats = {"axi3": 16, "axi4": 256, "lite": 1}[version] if beats is None else beats
        self.payloads = _PAYLOADS[version]
        self.cycles = 0
        self.counts = dict.fromkeys(self.payloads, 0)
        self.bursts: dict[str, list[int]] = {"ar": [], "aw": []}
        self._held: dict[str, dict[str, int]] = {}
        self._begun: list[dict[str, int]] = []            # W beats of a burst not at its end
        self._addresses: deque[tuple[int, int]] = deque()  # writes without all their data
        self._written: deque[tuple[int, int]] = deque()   # data without an address
        self._answers: dict[int, int] = defaultdict(int)  # B owed, by ID
        self._reads: dict[int, deque[int]] = defaultdict(deque)  # R beats owed, by ID

    def cycle(self, get: Callable[[str], int]) -> None:
        """Look at the port just before a clock edge; ``get`` gives the value of a signal."""
        moved = {}
        for channel, names in self.payloads.items():
            valid, held = get(f"{channel}valid"), self._held.get(channel)
            if held and not valid:
                self._fault(f"{channel}valid went low before {channel}ready was high")
            if not valid:
                continue
            now = {name: get(name) for name in names}
            if held and now != held:
                changed = ", ".join(name for name in names if now[name] != held[name])
                self._fault(f"{changed} changed before {channel}ready was high")
            self._look(channel, now, is_new=not held)
            self._held[channel] = now
            if get(f"{channel}ready"):
                moved[channel] = self._held.pop(channel)
                self.counts[channel] += 1

        # What is asked for in this cycle can be answered from the next one on.
        for channel in ("b", "r", "aw", "w", "ar"):
            if channel in moved:
                getattr(self, f"_move_{channel}")(moved[channel])
        while self._addresses and self._written:
            self._match(self._addresses.popleft(), self._written.popleft())
        self.cycles += 1

    def finish(self) -> None:
        """See that nothing is under way."""
        owed = {
            "offers": len(self._held), "write addresses": len(self._addresses),
            "bursts of write data": len(self._written) + bool(self._begun),
            "B": sum(self._answers.values()), "reads": sum(map(len, self._reads.values())),
        }
        if any(owed.values()):
            self._fault("not at its end: " + ", ".join(
                f"{count} {what}" for what, count in owed.items() if count))

    def _fault(self, what: str) -> None:
        raise AXIFault(f"{self.name}, cycle {self.cycles}: {what}")

    def _look(self, channel: str, now: dict[str, int], *, is_new: bool) -> None:
        """See that what is offered is allowed."""
        if channel in ("aw", "ar") and is_new and self.version != "lite":
            self._look_at_burst(channel, now)
        elif channel == "b" and not self._answers[now.get("bid", 0)]:
            self._fault(f"B without a write of ID {now.get('bid', 0)} that is all there")
        elif channel == "r":
            owed = self._reads[now.get("rid", 0)]
            if not owed:
                self._fault(f"R without a read of ID {now.get('rid', 0)}")
            elif now.get("rlast", 1) != (owed[0] == 1):
                self._fault(f"rlast is {now['rlast']} with {owed[0]} beats to come")

    def _look_at_burst(self, channel: str, now: dict[str, int]) -> None:
        address, beats = now[f"{channel}addr"], now[f"{channel}len"] + 1
        size, kind = 1 << now[f"{channel}size"], now[f"{channel}burst"]
        if size > self.size:
            self._fault(f"{channel}size says {size} bytes on a bus of {self.size}")
        if kind > _WRAP:
            self._fault(f"{channel}burst is {kind}")
        most = self.beats if kind == _INCR else min(self.beats, 16)
        if beats > most:
            self._fault(f"{channel}len says {beats} beats, at most {most} are allowed")
        if kind == _WRAP and (beats not in (2, 4, 8, 16) or address % size):
            self._fault(f"{channel} wraps after {beats} beats of {size} bytes from {address:#x}")
        start = address // size * size
        if kind == _INCR and start // 4096 != (start + size * beats - 1) // 4096:
            self._fault(f"{channel} crosses 4 KiB: {beats} beats of {size} bytes from "
                        f"{address:#x}")

    def _move_aw(self, now):
        beats = now.get("awlen", 0) + 1
        self.bursts["aw"].append(beats)
        self._addresses.append((now.get("awid", 0), beats))

    def _move_w(self, now):
        self._begun.append(now)
        is_last = now.get("wlast", 1)
        if len({beat.get("wid") for beat in self._begun}) > 1:
            self._fault("wid changes within a burst")
        if is_last:
            self._written.append((now.get("wid"), len(self._begun)))
            self._begun = []
        elif self._addresses and not self._written:
            _, beats = self._addresses[0]
            if len(self._begun) >= beats:
                self._fault(f"wlast is not at beat {beats} of {beats}")

    def _match(self, address, written):
        """Bring a write's address and its data together."""
        (awid, beats), (wid, length) = address, written
        if length != beats:
            self._fault(f"wlast is at beat {length} of {beats}")
        if wid is not None and wid != awid:
            self._fault(f"wid is {wid} where awid is {awid}")
        self._answers[awid] += 1

    def _move_b(self, now):
        self._answers[now.get("bid", 0)] -= 1

    def _move_ar(self, now):
        self.bursts["ar"].append(now.get("arlen", 0) + 1)
        self._reads[now.get("arid", 0)].append(now.get("arlen", 0) + 1)

    def _move_r(self, now):
        owed = self._reads[now.get("rid", 0)]
        owed[0] -= 1
        if not owed[0]:
            owed.popleft()
