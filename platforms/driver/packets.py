"""Packets on a serial line: framed by COBS, checked by CRC-32; see docs/uart-protocol.md."""

from __future__ import annotations

import struct
import zlib
from typing import Iterator, NamedTuple

__all__ = ["CONTENTS", "DATA", "Deframer", "IDENTIFY", "IDENTITY", "RESET", "REWIND", "Reply",
           "STATUS", "frame", "request"]

IDENTIFY, RESET, DATA = 1, 2, 3          # kinds of requests
IDENTITY, STATUS = 0x81, 0x82            # kinds of replies
REWIND, CONTENTS = 1, 2                  # flags of DATA, and of RESET

_REQUEST = struct.Struct("<BBHIII")
_REPLY = struct.Struct("<BBHIII")
_CRC = struct.Struct("<I")
_LONGEST = 4096                          # bytes between two delimiters; more is noise


def request(kind: int, tag: int, flags: int, epoch: int, position: int, wanted: int,
            payload: bytes = b"") -> bytes:
    """Return a request as it stands on the line; positions are taken modulo 2^32."""
    mask = 0xFFFFFFFF
    return frame(_REQUEST.pack(kind, tag, flags, epoch, position & mask, wanted & mask) + payload)


def frame(packet: bytes) -> bytes:
    """Add the CRC, code by COBS, and put a delimiter on either side."""
    line = bytearray(1)
    for run in (packet + _CRC.pack(zlib.crc32(packet))).split(b"\0"):
        while len(run) >= 254:
            line += b"\xff" + run[:254]
            run = run[254:]
        line.append(len(run) + 1)
        line += run
    line.append(0)
    return bytes(line)


class Reply(NamedTuple):
    """A reply: ``left`` is modulo 2^16, the others modulo 2^32."""

    kind: int
    tag: int
    left: int
    epoch: int
    taken: int
    position: int
    payload: bytes


class Deframer:
    """From the bytes of a line to the replies that came undamaged."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Reply]:
        """Take bytes; return the replies that end in them."""
        *blocks, self._rest = (self._rest + data).split(b"\0")
        # Without its beginning it will not pass for a packet.
        self._rest = self._rest[-_LONGEST:]
        for block in blocks:
            packet = _decode(block)
            if len(packet) < _REPLY.size + _CRC.size or len(packet) % 4:
                continue
            body, (crc,) = packet[:-_CRC.size], _CRC.unpack(packet[-_CRC.size:])
            if zlib.crc32(body) == crc:
                kind, tag, left, epoch, taken, position = _REPLY.unpack(body[:_REPLY.size])
                yield Reply(kind, tag, left, epoch, taken, position, body[_REPLY.size:])


def _decode(line: bytes) -> bytes:
    """Decode what stood between two delimiters; nothing if it is not COBS."""
    packet, at = bytearray(), 0
    while at < len(line):
        code = line[at]
        packet += line[at + 1:at + code]
        at += code
        if at < len(line) and code < 255:
            packet.append(0)
    return bytes(packet) if at == len(line) else b""
