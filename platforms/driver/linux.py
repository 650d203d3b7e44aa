"""Bare Linux: registers through /dev/mem, buffers by u-dma-buf, bitstreams by the FPGA manager.

Everything is found under ``root``, a file system: "/" but for tests.
"""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path
from typing import Any, List, Mapping, Optional

import numpy as np

from .errors import DriverError
from .memory import Buffer

__all__ = ["DMABuffers", "Registers", "load_firmware"]

PAGE = mmap.PAGESIZE

# Directions of the kernel's DMA interface.
TO_DEVICE, FROM_DEVICE = 1, 2


class Registers:
    """Physical memory from ``base`` on, read and written 32 bits at a time.

    Parameters
    ----------
    base, size : int
        In bytes; ``base`` is a multiple of the page size.
    root : path
    """

    def __init__(self, base: int, size: int, root: Path = Path("/")) -> None:
        path = root / "dev" / "mem"
        try:
            file = os.open(str(path), os.O_RDWR | os.O_SYNC)
        except OSError as error:
            raise DriverError("%s cannot be opened: %s; run as root" % (
                path, error.strerror)) from None
        try:
            self._map = mmap.mmap(file, -(-size // PAGE) * PAGE, offset=base)
        except (OSError, ValueError) as error:
            raise DriverError("%s: no registers at 0x%x: %s" % (path, base, error)) from None
        finally:
            os.close(file)
        # An aligned element of the view is one access of 32 bits.
        self._words = np.frombuffer(self._map, "<u4")

    def read32(self, address: int) -> int:
        """Read the word at a byte address."""
        return int(self._words[address >> 2])

    def write32(self, address: int, value: int) -> None:
        """Write the word at a byte address."""
        self._words[address >> 2] = value

    def close(self) -> None:
        """Unmap them."""
        del self._words
        self._map.close()


class DMABuffers:
    """A u-dma-buf: memory without gaps that the kernel set aside; ``limit`` bytes of it.

    Parameters
    ----------
    name : str, optional
        Such as "udmabuf0"; the first that there is unless given.
    root : path
    """

    def __init__(self, name: Optional[str] = None, root: Path = Path("/")) -> None:
        self.root = root
        # The class was called udmabuf before version 2.
        found: List[Path] = []
        for kind in ("u-dma-buf", "udmabuf"):
            found += sorted((root / "sys" / "class" / kind).glob(name or "*"))
        if not found:
            raise DriverError("there is no %s: load the module, for example with `insmod "
                              "u-dma-buf.ko udmabuf0=16777216`" % (name or "u-dma-buf"))
        self._settings = found[0]
        self.name, self.limit = found[0].name, self._read("size")

    def allocate(self, size: int) -> Buffer:
        """Map its first ``size`` bytes."""
        if size > self.limit:
            raise DriverError("%s has %d bytes: %d are needed" % (self.name, self.limit, size))
        return _DMABuffer(self, size)

    def _read(self, setting: str) -> int:
        return int((self._settings / setting).read_text().strip(), 0)

    def write(self, setting: str, value: int) -> None:
        """Write a setting."""
        (self._settings / setting).write_text("%d" % value)

    @property
    def address(self) -> int:
        """Where it begins on the bus."""
        return self._read("phys_addr")


class _DMABuffer(Buffer):
    """Cached memory, handed to and fro by the kernel."""

    def __init__(self, owner: DMABuffers, size: int) -> None:
        self._owner, self.address = owner, owner.address
        path = owner.root / "dev" / owner.name
        try:
            file = os.open(str(path), os.O_RDWR)
        except OSError as error:
            raise DriverError("%s cannot be opened: %s; run as root" % (
                path, error.strerror)) from None
        try:
            self._map = mmap.mmap(file, owner.limit)
        finally:
            os.close(file)
        self.array = np.frombuffer(self._map, np.uint8)[:size]

    def to_device(self, start: int, size: int) -> None:
        self._sync("sync_for_device", start, size, TO_DEVICE)

    def from_device(self, start: int, size: int) -> None:
        self._sync("sync_for_cpu", start, size, FROM_DEVICE)

    def free(self) -> None:
        del self.array
        self._map.close()

    def _sync(self, action: str, start: int, size: int, direction: int) -> None:
        """Write caches back, or forget what is in them: a system call, hence a barrier, too."""
        for setting, value in (("sync_offset", start), ("sync_size", size),
                               ("sync_direction", direction), (action, 1)):
            self._owner.write(setting, value)


def load_firmware(metadata: Mapping[str, Any], folder: Path, root: Path = Path("/")) -> None:
    """Load the bitstream through the first FPGA manager."""
    manager = root / "sys" / "class" / "fpga_manager" / "fpga0"
    if not manager.is_dir():
        raise DriverError("%s: this Linux has no FPGA manager; load %s in the boot loader, and use "
                          "load=False" % (manager, metadata["bitstream"]["file"]))
    entry = metadata["firmware"]
    data = checked_file(folder, entry)
    # A name of its own: nothing of another's is replaced.
    name = "quinnoa-%s.bin" % metadata["network_id"]
    target = root / "lib" / "firmware" / name
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        flags = manager / "flags"
        if flags.exists():
            flags.write_text("0")        # the whole device, not a part of it
        (manager / "firmware").write_text(name)
    except OSError as error:
        raise DriverError("%s cannot be loaded: %s; run as root" % (
            entry["file"], error.strerror)) from None
    state = (manager / "state").read_text().strip()
    if state != "operating":
        raise DriverError("%s was not loaded: the state of the FPGA manager is %s" % (
            entry["file"], state))


def checked_file(folder: Path, entry: Mapping[str, str]) -> bytes:
    """Return a file of the folder; refuse one that is not as the metadata say."""
    path = folder / entry["file"]
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DriverError("%s cannot be read: %s" % (path, error.strerror)) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != entry["sha256"]:
        raise DriverError("%s is damaged, or not of this folder: its SHA-256 is %s, not %s" % (
            path, digest, entry["sha256"]))
    return data
