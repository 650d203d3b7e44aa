"""Serial lines of Linux and macOS, by termios."""

from __future__ import annotations

import array
import errno
import fcntl
import os
import termios
from typing import Optional

from .errors import DriverError

__all__ = ["open_tty"]

_LOW_LATENCY = 1 << 13                   # ASYNC_LOW_LATENCY of linux/tty_flags.h
_FLAGS = 4                               # where they are in struct serial_struct, as an int


def open_tty(path: str, baud: int) -> int:
    """Open a serial line: 8N1, no flow control, bytes as they are, reads and writes never waiting.

    Returns the file descriptor; what was in its queues is dropped.
    """
    speed = getattr(termios, "B%d" % baud, None)
    if speed is None:
        rates = sorted(int(name[1:]) for name in dir(termios)
                       if name[0] == "B" and name[1:].isdigit() and int(name[1:]))
        raise DriverError("this machine's serial lines have no %d baud: they have %s" % (
            baud, ", ".join(map(str, rates))))
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError as error:
        raise DriverError("%s cannot be opened (%s)%s" % (
            path, error.strerror, _help(error.errno))) from None
    try:
        if not os.isatty(fd):
            raise DriverError("%s is no serial line" % path)
        fcntl.ioctl(fd, termios.TIOCEXCL)
        settings = termios.tcgetattr(fd)
        controls = settings[6]
        controls[termios.VMIN], controls[termios.VTIME] = 1, 0
        cflag = termios.CS8 | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(fd, termios.TCSANOW, [0, 0, cflag, 0, speed, speed, controls])
        termios.tcflush(fd, termios.TCIOFLUSH)
    except (OSError, termios.error) as error:
        os.close(fd)
        raise DriverError("%s cannot be set up: %s" % (path, error)) from None
    except DriverError:
        os.close(fd)
        raise
    _hurry(fd)
    return fd


def _help(number: Optional[int]) -> str:
    """Return what would help."""
    helps = {errno.ENOENT: ": is the board plugged in?",
             errno.EACCES: ": may this user open it? Often it takes the group dialout",
             errno.EBUSY: ": another program has it"}
    return helps.get(number or 0, "")


def _hurry(fd: int) -> None:
    """Ask a USB bridge not to hold bytes back, as FTDI's do for 16 ms; not every line knows how."""
    settings = array.array("i", [0] * 32)
    try:
        fcntl.ioctl(fd, getattr(termios, "TIOCGSERIAL", 0x541E), settings)
        settings[_FLAGS] |= _LOW_LATENCY
        fcntl.ioctl(fd, getattr(termios, "TIOCSSERIAL", 0x541F), settings)
    except OSError:
        pass
