# amaranth: UnusedElaboratable=no
"""A deploy folder as it is: its ``validate.py`` runs against a Verilated shell on a serial line."""

import re
import subprocess
import sys

import numpy as np
import pytest

from quinnoa.graph.build import build
from quinnoa.platforms.deploy import frame_formats
from quinnoa.platforms.uart import UARTShell
from quinnoa.sim import serial
from quinnoa.verilog import to_verilog
from tests.platforms.deployed import NETWORK_ID, deploy, small

BAUD = 1_000_000


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Build the shell of a ULX3S around the small network."""
    core, plan = build(small()[0])
    i_format, o_format = frame_formats(plan, 32)
    shell = UARTShell(core, i_format, o_format, network_id=NETWORK_ID, clock_hz=8 * BAUD,
                      baud=BAUD)
    return serial.build(to_verilog(shell, name="shell"), "shell", tmp_path_factory.mktemp("shell"))


def validated(folder, program, *options):
    """Run ``validate.py`` as a user does."""
    line = serial.SerialLine(program)
    try:
        return subprocess.run(
            [sys.executable, "validate.py", "--port", line.port, "--frames", "60", *options],
            cwd=folder, capture_output=True, text=True, timeout=100,
            env={"PYTHONDONTWRITEBYTECODE": "1"})
    finally:
        line.close()


def test_validation_passes(program, tmp_path):
    deploy(tmp_path, "ulx3s-85f", baud=BAUD)
    done = validated(tmp_path / "deploy", program)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["accuracy: 100.00 % of 50 images", "mismatches: 0 of 50 images"]
    assert re.match(r"throughput: 60 frames in .* s: \d+ frames/s; ", lines[2])


def test_a_wrong_expectation_is_found(program, tmp_path):
    deploy(tmp_path, "ulx3s-85f", baud=BAUD)
    path = tmp_path / "deploy" / "expected.npy"
    expected = np.load(path)
    expected[7, 2] += 1
    np.save(path, expected)
    done = validated(tmp_path / "deploy", program)
    assert done.returncode == 1
    assert "mismatches: 1 of 50 images, the first is image 7\n" in done.stdout


def test_the_folder_of_another_network_is_refused(program, tmp_path):
    deploy(tmp_path, "ulx3s-85f", baud=BAUD, network_id=0x42)
    done = validated(tmp_path / "deploy", program)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr == ("error: the bitstream on the device is of network 0123456789abcdef, "
                           "this folder is of network 0000000000000042 (small): load small.bit\n")
