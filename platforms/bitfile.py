"""Bitstreams: checked whole and for the right part, and in the form that Linux loads."""

import re
import struct
from dataclasses import dataclass
from pathlib import Path

from quinnoa.errors import QuinnoaError

__all__ = ["Bitstream", "read_bitstream"]

# A .bit of Xilinx: a field of 9 bytes, then fields by key. The one with key "e" is the bitstream.
_XILINX = bytes.fromhex("00090ff00ff00ff00ff0000001")
_FIELDS = {0x61: "design", 0x62: "part", 0x63: "date", 0x64: "time"}
_SYNC = bytes.fromhex("aa995566")        # UG470, table 5-12; UG570 has the same
# One of ECP5: comments between ff 00 and 00 ff, then the preamble (FPGA-TN-02039).
_LATTICE = b"\xff\x00"
_PREAMBLE = b"\xff\xff\xbd\xb3"
_VERIFY_ID, _PROGRAM_DONE = bytes.fromhex("e2000000"), bytes.fromhex("5e000000")
_ECP5 = {
    0x21111043: "LFE5U-12F", 0x41111043: "LFE5U-25F", 0x41112043: "LFE5U-45F",
    0x41113043: "LFE5U-85F", 0x01111043: "LFE5UM-25F", 0x01112043: "LFE5UM-45F",
    0x01113043: "LFE5UM-85F", 0x81111043: "LFE5UM5G-25F", 0x81112043: "LFE5UM5G-45F",
    0x81113043: "LFE5UM5G-85F",
}


@dataclass(frozen=True)
class Bitstream:
    """A bitstream file that is whole.

    Parameters
    ----------
    file : str
        Its name, for messages.
    maker : str
        "xilinx" or "lattice".
    part : str
        As the file has it: without speed grade or package, perhaps.
    design : str
        What the tool calls the design; "" if the file does not say.
    data : bytes
        What goes into the device.
    """

    file: str
    maker: str
    part: str
    design: str
    data: bytes

    def check_part(self, part: str) -> None:
        """Refuse a bitstream that is not for ``part``, as a board or a tool names it."""
        own, wanted = _plain(self.part), _plain(part)
        if not (own and (wanted.startswith(own) or own.startswith(wanted))):
            raise QuinnoaError(f"{self.file} is for {self.part or 'no part that it names'}, not "
                               f"for {part}")

    def firmware(self) -> bytes:
        """Return it as the FPGA manager of Linux loads it on Zynq: the bytes of words swapped.

        The driver of Zynq-7000 takes nothing else (zynq-fpga.c looks for the sync word 66 55 99
        aa). That of Zynq UltraScale+ takes either order (xilfpga knows those of Bootgen, which is
        this one, and of Vivado), so one file does for both.
        """
        if self.maker != "xilinx":
            raise QuinnoaError(f"{self.file} is for {self.part}: Linux loads those of Zynq alone")
        count = len(self.data) // 4
        return struct.pack(f"<{count}I", *struct.unpack(f">{count}I", self.data))


def read_bitstream(file: Path | str, data: bytes | None = None) -> Bitstream:
    """Read a ``.bit`` and see that it is whole.

    Parameters
    ----------
    file : path
    data : bytes, optional
        What is in it, where that is at hand already.

    Raises ``QuinnoaError`` for one that is cut short, damaged or none at all.
    """
    name = Path(file).name
    if data is None:
        try:
            data = Path(file).read_bytes()
        except OSError as error:
            raise QuinnoaError(f"{file} cannot be read: {error.strerror}") from None
    if data.startswith(_XILINX):
        return _xilinx(name, data)
    if data.startswith(_LATTICE):
        return _lattice(name, data)
    start = data[:4].hex(" ") or "nothing"
    raise QuinnoaError(f"{name} is no bitstream: it has {len(data)} bytes and begins with {start}")


def _xilinx(name: str, data: bytes) -> Bitstream:
    """Read the fields of the header, and the bitstream behind them."""
    at, fields = len(_XILINX), {"design": "", "part": ""}
    try:
        while data[at] != 0x65:
            key, size = data[at], int.from_bytes(data[at + 1:at + 3], "big")
            if key not in _FIELDS:
                raise QuinnoaError(f"{name} is damaged: its header has a field {key:#04x} at byte "
                                   f"{at}")
            text = data[at + 3:at + 3 + size]
            fields[_FIELDS[key]] = text.rstrip(b"\0").decode("ascii", "replace")
            at += 3 + size
        size, = struct.unpack_from(">I", data, at + 1)
    except (IndexError, struct.error):
        raise QuinnoaError(f"{name} is cut short: its {len(data)} bytes end in its header"
                           ) from None
    body = data[at + 5:]
    if len(body) != size:
        raise QuinnoaError(f"{name} is not whole: its header says {size} bytes, {len(body)} are "
                           "there")
    if size % 4 or _SYNC not in body[:1024]:
        raise QuinnoaError(f"{name} is damaged: {size} bytes, and the sync word {_SYNC.hex()} is "
                           f"{'' if _SYNC in body[:1024] else 'not '}among the first of them")
    design = fields["design"].partition(";")[0]
    return Bitstream(name, "xilinx", fields["part"], design, body)


def _lattice(name: str, data: bytes) -> Bitstream:
    """Read the comments and the device's ID, and see that the last command is there."""
    start = data.find(_PREAMBLE)
    if start < 0:
        raise QuinnoaError(f"{name} is cut short: its {len(data)} bytes have no preamble "
                           f"{_PREAMBLE.hex()}")
    comments = dict(re.findall(r"(\w+): ([^\0]*)", data[2:start].decode("ascii", "replace")))
    body = data[start:]
    at = body.find(_VERIFY_ID, 0, 256)
    device = _ECP5.get(int.from_bytes(body[at + 4:at + 8], "big")) if at >= 0 else None
    if device is None:
        raise QuinnoaError(f"{name} is damaged: the ID of no ECP5 is at its start")
    # Behind the last command there are ones alone.
    if not body.rstrip(b"\xff").endswith(_PROGRAM_DONE):
        raise QuinnoaError(f"{name} is cut short: its {len(data)} bytes do not end with the "
                           "command that starts the device")
    part = comments.get("Part", "")
    if not _plain(part).startswith(_plain(device)):
        part = device
    return Bitstream(name, "lattice", part, "", body)


def _plain(part: str) -> str:
    """Return a part's name as it is compared: letters and digits, without Xilinx's "xc"."""
    plain = "".join(c for c in part.lower() if c.isalnum())
    # nextpnr says CABGA381 where the order code has BG381.
    return plain.removeprefix("xc").replace("cabga", "bg")
