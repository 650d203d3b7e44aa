# amaranth: UnusedElaboratable=no
"""Tests of platforms/uart.py with its driver: over a pseudo-terminal, against the Verilated shell.

The line is one of real bits, and may be a bad one.
"""

import os
import re
import threading
import time

import numpy as np
import pytest
from amaranth import signed, unsigned

from quinnoa.platforms.driver.errors import DriverError, DriverTimeout
from quinnoa.platforms.driver.packets import RESET, request
from quinnoa.platforms.driver.uart import UARTTransport
from quinnoa.platforms.frames import FrameFormat
from quinnoa.platforms.uart import UARTShell
from quinnoa.rtl.mvtu import MVTU
from quinnoa.sim import serial
from quinnoa.verilog import to_verilog

NETWORK, SHAPE = 0x0123_4567_89AB_CDEF, 0xFEDC_BA98_7654_3210
MW, MH, PE, SIMD = 160, 12, 4, 8
BAUD = 1_000_000
I_FORMAT = FrameFormat.of(unsigned(8), lanes=SIMD, beats=MW // SIMD, word_bits=32)


def weights(seed):
    return np.random.default_rng(seed).integers(-8, 8, (MH, MW))


def core():
    return MVTU(weights(0), pe=PE, simd=SIMD, x_shape=unsigned(8), w_shape=signed(4),
                writable=True)


def shell(unit, **options):
    o_format = FrameFormat.of(unit.o.payload.shape().elem_shape, lanes=PE, beats=MH // PE,
                              word_bits=32)
    return UARTShell(unit, I_FORMAT, o_format, **{
        "network_id": NETWORK, "shape_id": SHAPE, "clock_hz": 8 * BAUD, "baud": BAUD, **options})


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Build a shell of which neither memory holds a frame more than is under way."""
    verilog = to_verilog(shell(core(), i_depth=32, o_depth=16), name="shell")
    return serial.build(verilog, "shell", tmp_path_factory.mktemp("shell"))


def frames(count, seed=0):
    """Return frames, as bytes and as values."""
    x = np.random.default_rng(seed).integers(0, 256, (count, MW), dtype=np.uint8)
    # Zeros and ones are what the framing is about.
    x[::3] &= np.random.default_rng(seed + 1).integers(0, 2, x[::3].shape, dtype=np.uint8) * 255
    return x, x.astype(np.int64)


def expected(x, w):
    """Return the bytes of the results."""
    width = shell(core()).o_format
    assert width.slot == 32 or width.slot == 16
    y = (x @ w.T).astype(np.int16 if width.slot == 16 else np.int32)
    return np.ascontiguousarray(y).view(np.uint8).reshape(len(x), -1)


def open_line(line, **options):
    return UARTTransport(line.port, BAUD, **{"patience": 0.05, **options})


def run(transport, data, size=10, timeout=60):
    """Run frames in batches of ``size``, all under way as far as they may."""
    handles = [transport.submit(data[at:at + size], timeout) for at in range(0, len(data), size)]
    return np.concatenate([transport.wait(handle, timeout) for handle in handles])


def test_frames_larger_than_the_memory_go_through(program):
    data, x = frames(60)
    with serial.SerialLine(program) as line:
        transport = open_line(line)
        identity = transport.identify()
        assert (identity.network_id, identity.shape_id) == (NETWORK, SHAPE)
        assert (identity.i_bytes, identity.o_bytes) == (MW, expected(x[:1], weights(0)).shape[1])
        assert np.array_equal(run(transport, data), expected(x, weights(0)))
        transport.close()


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow)
                                      for seed in range(1, 8))])
def test_no_answer_is_wrong_over_a_bad_line(program, seed):
    data, x = frames(150, seed)
    noise = {"flip": 0.001, "drop": 0.001, "garbage": 0.0005, "repeat": 0.001}
    down, up = (serial.Noise(**noise, seed=2 * seed + way) for way in range(2))
    with serial.SerialLine(program, down=down, up=up) as line:
        transport = open_line(line, retries=200)
        y = run(transport, data)
        transport.close()
    assert np.array_equal(y, expected(x, weights(0)))
    assert all(way.counts[what] > 5 for way in (down, up) for what in noise)


def test_wrong_bits_on_the_line_itself_damage_no_answer(program):
    data, x = frames(60, 20)
    # Of 80 cycles a byte one in 40,000 is wrong: a word in 500, and words that are none.
    with serial.SerialLine(program, flips=(1 << 32) // 10_000, seed=1) as line:
        transport = open_line(line, retries=200)
        y = run(transport, data)
        transport.close()
    assert np.array_equal(y, expected(x, weights(0)))


@pytest.mark.parametrize("period", [8 / 1.02, 8 / 0.98])
def test_runs_where_the_rates_are_two_percent_apart(program, period):
    data, x = frames(10)
    with serial.SerialLine(program, period=period) as line:
        transport = open_line(line, retries=2)
        assert np.array_equal(run(transport, data), expected(x, weights(0)))
        transport.close()


def test_a_host_that_comes_back_after_a_cut_gets_right_answers(program):
    noise = {"flip": 0.0005, "drop": 0.0005, "garbage": 0.0005, "repeat": 0.002}
    with serial.SerialLine(program, down=serial.Noise(**noise, seed=1),
                           up=serial.Noise(**noise, seed=2)) as line:
        cut = 0
        for seed in range(12):
            data, x = frames(20, 30 + seed)
            transport = open_line(line, retries=200)
            handles = [transport.submit(data[at:at + 5], 10) for at in range(0, 20, 5)]
            if seed % 2:
                # In the middle of whatever is under way: of a frame, most of all.
                while transport.poll(handles[0]) < seed // 4:
                    time.sleep(0.001)
                line.connect()
                with pytest.raises(DriverError, match="was cut"):
                    for handle in handles:
                        transport.wait(handle, 10)
                cut += 1
            else:
                y = np.concatenate([transport.wait(handle, 60) for handle in handles])
                assert np.array_equal(y, expected(x, weights(0)))
            transport.close()
    assert cut == 6


def test_a_host_that_is_gone_without_a_word_leaves_nothing_behind(program):
    with serial.SerialLine(program) as line:
        for seed in range(6):
            data, x = frames(8, 50 + seed)
            transport = open_line(line)
            handle = transport.submit(data, 10)
            while seed % 2 and transport.poll(handle) < 2:
                time.sleep(0.001)
            if seed % 2 == 0:
                assert np.array_equal(transport.wait(handle, 10), expected(x, weights(0)))
            transport.close()


def test_frames_are_sent_again_where_another_resets_the_shell(program):
    data, x = frames(60, 70)
    resets = [b""]

    def down(passing):
        """Put a reset of a host from before into the stream, between packets, now and then."""
        if len(resets) == 4 or not passing.endswith(b"\0") or line.bytes_down < 3000 * len(resets):
            return passing
        resets.append(request(RESET, 7, 0, len(resets), 0, 0))
        return passing + resets[-1]

    with serial.SerialLine(program, down=down) as line:
        transport = open_line(line)
        assert np.array_equal(run(transport, data), expected(x, weights(0)))
        transport.close()
    assert len(resets) == 4


def test_an_abort_drops_what_is_under_way_and_new_frames_are_right(program):
    data, x = frames(40, 80)
    with serial.SerialLine(program) as line:
        transport = open_line(line)
        handles = [transport.submit(data[at:at + 10], 10) for at in range(0, 40, 10)]
        while transport.poll(handles[0]) < 3:
            time.sleep(0.001)
        transport.abort(10)
        with pytest.raises(DriverError, match="^the batch was dropped by an abort$"):
            transport.wait(handles[-1], 10)
        assert np.array_equal(run(transport, data[5:25]), expected(x[5:25], weights(0)))
        transport.close()


def test_contents_are_written_over_a_bad_line(program):
    data, x = frames(10, 90)
    noise = {"flip": 0.001, "drop": 0.001, "garbage": 0.0005, "repeat": 0.002}
    down, up = (serial.Noise(**noise, seed=way) for way in range(2))
    with serial.SerialLine(program, down=down, up=up) as line:
        transport = open_line(line, retries=200)
        for seed in (1, 2):
            transport.write_contents(core().contents(weights(seed)))
            assert np.array_equal(run(transport, data), expected(x, weights(seed)))
        # They outlive a reset.
        transport.abort(10)
        assert np.array_equal(run(transport, data[:5]), expected(x[:5], weights(2)))
        handle = transport.submit(data[:2], 10)
        with pytest.raises(DriverError, match="^contents can be written only while no batch is "
                                              "under way$"):
            transport.write_contents(core().contents(weights(1)))
        transport.wait(handle, 10)
        transport.close()


def test_cycles_are_read_while_frames_run(program):
    data, x = frames(30)
    with serial.SerialLine(program) as line:
        transport = open_line(line)
        before = transport.cycles()
        handle = transport.submit(data, 10)
        during = transport.cycles()
        assert np.array_equal(transport.wait(handle, 10), expected(x, weights(0)))
        after = transport.cycles()
        transport.close()
    assert before.total < during.total < after.total
    # A frame takes 164 bytes of 80 cycles and more; between frames the shell is idle.
    busy = after.busy - before.busy
    assert 30 * MW * 80 * 0.5 < busy < after.total - before.total


def test_a_shell_that_does_not_answer_is_said(program):
    with serial.SerialLine(program, down=lambda data: b"") as line:
        with pytest.raises(DriverError, match=re.escape(
                f"nothing answers at {line.port} at {BAUD} baud: check the cable, the power, and "
                "that the bitstream is loaded (no answer at all)")):
            open_line(line, patience=0.01, retries=5)


def test_a_lapse_says_how_far_it_came(program):
    data, _ = frames(10)
    cut = threading.Event()
    with serial.SerialLine(program, down=lambda passing: b"" if cut.is_set() else passing) as line:
        transport = open_line(line, retries=1000)
        cut.set()
        handle = transport.submit(data, 1)
        with pytest.raises(DriverTimeout, match=re.escape(
                f"{line.port} was not done within 0.3 s: 0 of 10 frames done, the accelerator "
                "took 0.0 of them")):
            transport.wait(handle, 0.3)
        transport.close()
        with pytest.raises(DriverError, match=f"^{line.port} is closed$"):
            transport.submit(data, 1)


@pytest.mark.parametrize("options, message", [
    ({"network_id": 1 << 64}, "network_id must be of 64 bits: it is 0x10000000000000000"),
    ({"i_depth": 48}, "depth must be a power of two from 8 to 32768: it is 48"),
    ({"o_depth": 1}, "depth must be a power of two from 2 on: it is 1"),
])
def test_refuses_what_cannot_be(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        shell(core(), **options)


def test_refuses_formats_of_other_cores():
    unit, other = core(), FrameFormat.of(signed(4), lanes=2, beats=6, word_bits=32)
    with pytest.raises(ValueError, match="but the core has"):
        UARTShell(unit, I_FORMAT, other, network_id=0, clock_hz=8 * BAUD, baud=BAUD)
    wide = FrameFormat.of(unsigned(8), lanes=SIMD, beats=MW // SIMD, word_bits=64)
    with pytest.raises(ValueError, match="^word_bits of i_format must be 32: it is 64$"):
        UARTShell(unit, wide, other, network_id=0, clock_hz=8 * BAUD, baud=BAUD)


def test_lines_that_cannot_be_opened_are_said(tmp_path):
    plain = tmp_path / "line"
    plain.write_bytes(b"")
    master, slave = os.openpty()
    for port, baud, message in [
            (tmp_path / "none", BAUD, "none cannot be opened (No such file or directory): "
                                      "is the board plugged in?"),
            (plain, BAUD, "line is no serial line"),
            (os.ttyname(slave), 1_234_567, "this machine's serial lines have no 1234567 baud: "
                                           "they have 50, 75, ")]:
        with pytest.raises(DriverError, match=re.escape(message)):
            UARTTransport(str(port), baud)
    os.close(master)
    os.close(slave)
