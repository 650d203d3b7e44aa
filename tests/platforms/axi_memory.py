"""A memory behind an AXI port, for benches of Amaranth's simulator."""

import random
from collections import deque

from quinnoa.sim.axi_checker import AXIChecker


class AXIMemory:
    """Serves the AXI port of a manager from bytes, in order, and has it checked.

    Parameters
    ----------
    bus : interface
        The manager's, whole or the channels of one direction.
    version : str
        As ``AXIChecker`` takes it.
    size : int
        Bytes.
    density : float
        Probability that a cycle is idle, on every channel.
    latency : int
        Most cycles from a request to its answer.
    bad : range
        Addresses that are answered by an error.
    """

    def __init__(self, bus, *, version, size, density=0.0, latency=0, seed=0, bad=range(0),
                 beats=None):
        self.bus, self.data = bus, bytearray(size)
        self.names = list(bus.signature.members)
        whole = "rdata" if "rdata" in self.names else "wdata"
        self.word = len(getattr(bus, whole)) // 8
        self.checker = AXIChecker("m_axi", version=version, data_bits=8 * self.word, beats=beats)
        self.density, self.latency, self.bad = density, latency, bad
        self.rng = random.Random(f"memory {seed}")
        self.blocked = False
        self.reads, self.addresses, self.beats, self.answers = (deque() for _ in range(4))

    def _wait(self):
        return self.checker.cycles + self.rng.randint(0, self.latency)

    def _set(self, ctx, name, value):
        if name in self.names:
            ctx.set(getattr(self.bus, name), value)

    async def serve(self, ctx):
        """Run for ever: a background testbench."""
        offers = {"r": False, "b": False}
        while True:
            def idle():
                return self.blocked or self.rng.random() < self.density

            for channel in ("ar", "aw", "w"):
                self._set(ctx, f"{channel}ready", not idle() and len(self.reads) < 256)
            for channel, queue in (("r", self.reads), ("b", self.answers)):
                if not offers[channel] and queue and queue[0][0] <= self.checker.cycles \
                        and not idle():
                    offers[channel] = True
                    for name, value in queue[0][1].items():
                        self._set(ctx, name, value)
                self._set(ctx, f"{channel}valid", offers[channel])
            _, _, *values = await ctx.tick().sample(*(getattr(self.bus, n) for n in self.names))
            now = dict(zip(self.names, values, strict=True))
            self.checker.cycle(lambda name, now=now: now.get(name, 0))

            def moved(channel, now=now):
                return now.get(f"{channel}valid") and now.get(f"{channel}ready")

            for channel, queue in (("r", self.reads), ("b", self.answers)):
                if moved(channel):
                    offers[channel] = False
                    queue.popleft()
            if moved("ar"):
                self._read(now)
            if moved("aw"):
                self.addresses.append((now["awaddr"], now["awid"]))
            if moved("w"):
                self.beats.append((now["wdata"], now["wstrb"], now["wlast"]))
            self._write()

    def _read(self, now):
        address, at = now["araddr"], self._wait()
        for beat in range(now["arlen"] + 1):
            here = address + beat * self.word
            word = int.from_bytes(self.data[here:here + self.word], "little")
            self.reads.append((at, {"rid": now["arid"], "rdata": word,
                                    "rresp": 2 * (here in self.bad),
                                    "rlast": beat == now["arlen"]}))

    def _write(self):
        """Carry out the first burst once all of it is there."""
        if not self.addresses or not any(last for _, _, last in self.beats):
            return
        (address, identity), is_bad = self.addresses.popleft(), False
        while True:
            word, strobes, last = self.beats.popleft()
            is_bad |= address in self.bad
            for k in range(self.word):
                if strobes >> k & 1:
                    self.data[address + k] = word >> 8 * k & 0xFF
            address += self.word
            if last:
                break
        self.answers.append((self._wait(), {"bid": identity, "bresp": 2 * is_bad}))
