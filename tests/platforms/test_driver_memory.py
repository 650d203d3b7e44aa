"""Tests of platforms/driver/memory.py, against a model of the shell's registers."""

import numpy as np
import pytest

from quinnoa.platforms.driver import registers as at
from quinnoa.platforms.driver.errors import DriverError, DriverTimeout
from quinnoa.platforms.driver.memory import SLOTS, MemoryTransport
from tests.platforms.shell_model import Clock, ShellModel


def double(frames):
    """Return the first five bytes of each frame of eight, doubled."""
    return frames[:, :5] * 2


def opened(*, batch=10, **options):
    shell, clock = ShellModel(double, 8, 5, **options), Clock()
    return MemoryTransport(shell, shell, batch=batch, sleep=clock.sleep, clock=clock), shell


def drawn(frames, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (frames, 8), dtype=np.uint8)


def test_batches_come_back_each_with_its_own_results():
    transport, _ = opened()
    batches = [drawn(n, n) for n in (1, 10, 3, 7, 10, 10, 2)]
    handles = [transport.submit(frames) for frames in batches]
    for handle, frames in reversed(list(zip(handles, batches, strict=True))):
        assert np.array_equal(transport.wait(handle), double(frames))


def test_as_many_batches_are_queued_as_there_are_slots():
    transport, shell = opened(cycles=10 ** 6)
    for _ in range(SLOTS):
        transport.submit(drawn(10))
    assert len(shell.queue) == SLOTS
    with pytest.raises(DriverTimeout, match=r"^after 0\.5 s 0 of 10 frames of batch 1 are done: "
                                            r"STATUS is 0x0 \(busy, the queue full\)$"):
        transport.submit(drawn(10), timeout=0.5)


@pytest.mark.parametrize("counted", [0, 2 ** 32 - 3, 12345])
def test_counters_may_go_round(counted):
    transport, _ = opened(counted=counted)
    for n in range(12):
        frames = drawn(4, n)
        assert np.array_equal(transport.wait(transport.submit(frames)), double(frames))


def test_frames_done_are_counted_as_they_come():
    transport, shell = opened(cycles=50)
    first, second = transport.submit(drawn(4)), transport.submit(drawn(6))
    seen = [(transport.poll(first), transport.poll(second)) for _ in range(300)]
    assert seen[0] == (0, 0) and seen[-1] == (4, 6)
    assert {n for n, _ in seen} == set(range(5)) and {n for _, n in seen} == set(range(7))
    transport.wait(first)
    assert transport.poll(first) == 4


def test_a_timeout_says_how_far_it_came_and_may_be_tried_again():
    transport, shell = opened(cycles=5)
    frames = drawn(8)
    handle = transport.submit(frames)
    while transport.poll(handle) < 3:
        pass
    shell.stuck = True
    with pytest.raises(DriverTimeout, match=r"^after 2 s 3 of 8 frames of batch 1 are done: STATUS "
                                            r"is 0x4 \(room in the queue\)$"):
        transport.wait(handle, timeout=2)
    shell.stuck = False
    assert np.array_equal(transport.wait(handle), double(frames))


def test_an_abort_drops_all_and_leaves_it_usable():
    transport, shell = opened(cycles=40)
    handles = [transport.submit(drawn(9)) for _ in range(3)]
    while not transport.poll(handles[0]):
        pass
    transport.abort()
    assert not shell.queue
    for n, handle in enumerate(handles):
        with pytest.raises(DriverError, match=f"^batch {n + 1} was dropped by an abort$"):
            transport.wait(handle)
        assert transport.poll(handle) == 0
    frames = drawn(10, 1)
    assert np.array_equal(transport.wait(transport.submit(frames)), double(frames))


def test_a_bus_error_is_said_and_the_next_batch_is_right():
    transport, shell = opened()
    shell.fault = 2
    handle = transport.submit(drawn(5))
    with pytest.raises(DriverError, match="^a bus error in batch 1: the accelerator was refused a "
                                          "read or a write at its addresses; all batches under way "
                                          "are dropped$"):
        transport.wait(handle)
    shell.fault = None
    frames = drawn(10, 1)
    assert np.array_equal(transport.wait(transport.submit(frames)), double(frames))


def test_what_another_left_behind_is_aborted():
    shell, clock = ShellModel(double, 8, 5, cycles=10 ** 6), Clock()
    shell.queue.append([0, 0, 10])
    transport = MemoryTransport(shell, shell, sleep=clock.sleep, clock=clock)
    assert (at.CONTROL, at.ABORT) in shell.log and not shell.queue
    frames = drawn(1)
    shell.frame_cycles = 2
    assert np.array_equal(transport.wait(transport.submit(frames)), double(frames))


def test_another_program_is_noticed():
    transport, shell = opened()
    shell.values[at.BATCHES_DONE] += 1
    with pytest.raises(DriverError, match="^the accelerator has done what this driver never asked "
                                          "for: another program uses it, too$"):
        transport.wait(transport.submit(drawn(1)))


def test_closing_stops_what_is_under_way_before_the_memory_goes():
    transport, shell = opened(cycles=10 ** 6)
    transport.submit(drawn(1))
    transport.close()
    assert shell.memory.freed and not shell.queue
    with pytest.raises(DriverError, match="^the accelerator is closed$"):
        transport.submit(drawn(1))
    transport.close()


def test_memory_stays_where_a_stuck_accelerator_may_write():
    transport, shell = opened(cycles=10 ** 6)
    transport.submit(drawn(1))
    shell.values[at.CONTROL] = 1         # never done
    transport.close()
    assert not shell.memory.freed


def test_contents_are_written_word_by_word_while_idle():
    transport, shell = opened(cycles=10 ** 6)
    words = np.array([7, 0xFFFFFFFF, 0], np.uint32)
    transport.write_contents(words)
    assert shell.contents == {0: 7, 1: 0xFFFFFFFF, 2: 0}
    transport.submit(drawn(1))
    with pytest.raises(DriverError, match="^contents can be written while nothing is under way: "
                                          "1 batches are$"):
        transport.write_contents(words)


def test_batches_are_as_large_as_the_memory_allows():
    # Four slots of 64 bytes in and 64 bytes out for each frame.
    assert opened(batch=None, limit=4 * 128 * 3)[0].capacity == 3
    assert opened(batch=2, limit=4 * 128 * 3)[0].capacity == 2
    with pytest.raises(DriverError, match="^the buffer has 511 bytes: 4 batches of a frame of 8 "
                                          "bytes in and 5 out need 512$"):
        opened(limit=511)


@pytest.mark.parametrize("frames, message", [
    (np.zeros((2, 7), np.uint8), r"frames must be uint8 \(frames, 8\): they are uint8 \(2, 7\)"),
    (np.zeros((2, 8), np.int8), r"frames must be uint8 \(frames, 8\): they are int8 \(2, 8\)"),
    (np.zeros((0, 8), np.uint8), r"a batch must have 1 to 10 frames: it has 0"),
    (np.zeros((11, 8), np.uint8), r"a batch must have 1 to 10 frames: it has 11"),
])
def test_refuses_batches_that_do_not_fit(frames, message):
    transport, _ = opened()
    with pytest.raises(DriverError, match=f"^{message}$"):
        transport.submit(frames)


@pytest.mark.parametrize("register, value, message", [
    (at.MAGIC, 0xFFFFFFFF, "no accelerator answers: MAGIC reads 0xffffffff, not 0x514e4e41; is its "
                           r"bitstream loaded\?"),
    (at.VERSION, 2, "the accelerator has version 2 of the register map, this driver knows 1; use "
                    "the driver that came with the bitstream"),
])
def test_refuses_what_is_no_accelerator_without_a_write(register, value, message):
    shell = ShellModel(double, 8, 5)
    shell.values[register] = value
    with pytest.raises(DriverError, match=f"^{message}$"):
        MemoryTransport(shell, shell)
    assert not shell.log


def test_cycles_count_those_with_work_apart():
    transport, _ = opened(cycles=20)
    before = transport.cycles()
    transport.wait(transport.submit(drawn(10)))
    transport.wait(transport.submit(drawn(1)))
    after = transport.cycles()
    assert after.busy - before.busy == 11 * 20
    assert after.total > after.busy
