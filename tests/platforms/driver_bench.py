"""Benches that run inside the simulator: the driver, unchanged, on the registers and the memory.

The driver is ordinary, blocking Python in a thread of its own; every access to a register is one on
the simulated bus, and its memory is the one behind the shell's other port.
"""

import json
from pathlib import Path

import cocotb
import numpy as np
from cocotb.task import bridge, resume
from cocotb.triggers import ClockCycles
from cocotb.utils import get_sim_time

from quinnoa.platforms.driver import Accelerator, DriverError, DriverTimeout
from quinnoa.platforms.driver import registers as at
from quinnoa.platforms.driver.memory import Buffer, MemoryTransport
from quinnoa.sim.bench import PERIOD, read_task
from quinnoa.sim.shell_bench import surround, told

MEMORY = 1 << 20                         # bytes
BASE = 0x40000                           # of the buffer in it
HZ = 10_000_000                          # of the clock, as the driver's sleep and timeouts see it


class Machine:
    """What the driver needs of a machine: registers, buffers, a clock."""

    def __init__(self, dut, shell):
        self.shell, self.writes = shell, 0
        self._read, self._write = resume(shell.read32), resume(shell.write32)
        self.wait = resume(lambda cycles: self._cycles(dut, cycles))

    @staticmethod
    async def _cycles(dut, cycles):
        await ClockCycles(dut.clk, cycles)

    def read32(self, address):
        assert not self.shell.faults, self.shell.faults[0]
        return self._read(address)

    def write32(self, address, value):
        self.writes += 1
        self._write(address, value)

    def sleep(self, seconds):
        self.wait(max(1, int(seconds * HZ)))

    def clock(self):
        return get_sim_time("step") / PERIOD / HZ

    def allocate(self, size):
        return Memory(self.shell.memory, size)


class Memory(Buffer):
    """The simulated memory; the driver's side of it is apart until it is handed over."""

    def __init__(self, ram, size):
        assert BASE + size <= MEMORY
        self.address, self.array, self.ram = BASE, np.full(size, 0xAA, np.uint8), ram

    def to_device(self, start, size):
        self.ram.write(BASE + start, self.array[start:start + size].tobytes())

    def from_device(self, start, size):
        self.array[start:start + size] = np.frombuffer(self.ram.read(BASE + start, size), np.uint8)

    def free(self):
        self.array = None


def bench(body):
    """Make a bench of a function of what opens an accelerator, its machine, and the task."""
    async def run(dut):
        task = read_task()
        shell = await surround(dut, task["shell"], size=MEMORY, **told(task))
        machine = Machine(dut, shell)

        def opened(folder=None, batch=task["batch"]):
            transport = MemoryTransport(machine, machine, batch=batch, sleep=machine.sleep,
                                        clock=machine.clock)
            return Accelerator(folder or task["folder"], transport)

        await bridge(body)(opened, machine, task)
        shell.finish()

    return cocotb.test(name=body.__name__)(run)


def samples(task):
    """Return the images of the folder and what they must give."""
    folder = Path(task["folder"])
    return np.load(folder / "images.npy"), np.load(folder / "expected.npy")


@bench
def batches(opened, machine, task):
    """Run batches of all sizes, several under way."""
    images, expected = samples(task)
    images, expected = images[:200], expected[:200]
    with opened() as accelerator:
        assert np.array_equal(accelerator.run(images), expected)
        # Batches of all sizes, several under way, waited for in another order.
        rng, cuts = np.random.default_rng(task["seed"]), [0]
        while cuts[-1] < len(images):
            cuts.append(min(len(images), cuts[-1] + int(rng.integers(1, 2 * task["batch"]))))
        parts = [slice(a, b) for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
        for k in range(0, len(parts), 3):
            group = [(accelerator.submit(images[part]), part) for part in parts[k:k + 3]]
            for batch, part in [group[i] for i in rng.permutation(len(group))]:
                assert np.array_equal(batch.wait(), expected[part]), part


@bench
def thousand(opened, machine, task):
    """Run 1,000 frames: exact, and as fast as the slowest layer."""
    images, expected = samples(task)
    with opened() as accelerator:
        assert len(images) == 1000
        assert np.array_equal(accelerator.run(images), expected)
        result = accelerator.throughput(1000)
    Path(task["report"]).write_text(json.dumps({
        "share": result.share, "cycles": result.cycles_per_frame, "text": str(result)}))


@bench
def aborts(opened, machine, task):
    """Abort in the middle of frames."""
    images, expected = samples(task)
    rng, met = np.random.default_rng(task["seed"]), 0
    with opened() as accelerator:
        for _ in range(task["rounds"]):
            sent = [accelerator.submit(images[:n]) for n in rng.integers(1, 20, 3)]
            machine.wait(int(rng.integers(1, task["cycles"])))
            done = sum(batch.done for batch in sent)
            met += 0 < done < sum(batch.frames for batch in sent)
            accelerator.abort()
            for batch in sent:
                try:
                    batch.wait()
                except DriverError as error:
                    assert "was dropped by an abort" in str(error)
            part = slice(*np.sort(rng.integers(0, len(images), 2)))
            assert np.array_equal(accelerator.run(images[part]), expected[part])
    assert met, "no abort met a batch under way"


@bench
def refusals(opened, machine, task):
    """Refuse another network; tell of a wait that is too short."""
    for folder, message in task["refused"]:
        before = machine.writes
        try:
            opened(folder)
        except DriverError as error:
            assert str(error) == message
        else:
            raise AssertionError(f"{folder} is not refused")
        assert machine.writes == before, "something was written to an accelerator of another"
    images, expected = samples(task)
    with opened() as accelerator:
        # Too little time for so many frames.
        batch = accelerator.submit(images[:task["batch"]])
        try:
            batch.wait(1e-6)
        except DriverTimeout as error:
            assert str(error).startswith(f"after 1e-06 s {batch.done} of {task['batch']} frames of "
                                         "batch 1 are done: STATUS is 0x4 (room in the queue)")
        else:
            raise AssertionError("no timeout")
        assert np.array_equal(batch.wait(), expected[:task["batch"]])
        assert machine.read32(at.STATUS) & at.IDLE


@bench
def loads(opened, machine, task):
    """Write the weights of another network of the same shape, and back."""
    images, expected = samples(task)
    others, other_expected = (np.load(task[name]) for name in ("others", "others_expected"))
    with opened() as accelerator:
        for _ in range(2):
            assert np.array_equal(accelerator.run(images), expected)
            accelerator.load(task["weights"])
            assert np.array_equal(accelerator.run(others), other_expected)
            accelerator.load(Path(task["folder"]) / "weights.npz")
