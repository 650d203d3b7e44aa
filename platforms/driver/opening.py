"""Opening: the way to an accelerator that the metadata and this machine ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Mapping, Optional, Union

from .errors import DriverError
from .linux import DMABuffers, Registers, load_firmware
from .memory import MemoryTransport
from .on_pynq import PynqBuffers, is_pynq
from .registers import CONTENTS
from .transport import Transport
from .zynq import BASES, PS

__all__ = ["open_transport"]

BATCH_SECONDS = 0.25                     # of the accelerator, for a batch, unless asked otherwise


def open_transport(metadata: Mapping[str, Any], folder: Path, *, load: bool = True,
                   **options: Any) -> Transport:
    """Open the transport of an accelerator; load its bitstream first, if asked.

    Options over UART: ``port``. Behind the PS of a Zynq: ``batch`` (frames, at most),
    ``buffer`` (a u-dma-buf such as "udmabuf0", or "pynq"; as it is there unless given),
    ``crystal_mhz`` (of the PS) and ``root`` (a file system).
    """
    shell = metadata["shell"]
    if shell == "uart":
        if "port" not in options:
            raise DriverError("%s is reached over a serial line: give port, for example "
                              "/dev/ttyUSB0" % metadata["board"])
        from .uart import UARTTransport
        return UARTTransport(options.pop("port"), metadata["baud"], **options)
    if shell not in BASES:
        raise DriverError("this driver knows no shell %r" % shell)
    return _behind_ps(metadata, folder, load, **options)


def _behind_ps(metadata: Mapping[str, Any], folder: Path, load: bool, *,
               batch: Optional[int] = None, buffer: Optional[str] = None,
               crystal_mhz: Optional[float] = None, root: Union[str, Path] = "/") -> Transport:
    shell, root = metadata["shell"], Path(root)
    on_pynq = buffer == "pynq" or buffer is None and is_pynq()
    buffers: Any = PynqBuffers() if on_pynq else DMABuffers(buffer, root)
    ps = PS(shell, lambda base, size: Registers(base, size, root), root, crystal_mhz)
    try:
        if load:
            # The clock runs as it will before anything is clocked by it.
            ps.set_clock(metadata["clock_mhz"])
            ps.set_widths()
        elif ps.crystal_mhz is not None:
            ps.check_clock(metadata["clock_mhz"])
    finally:
        ps.close()
    if load:
        load_firmware(metadata, folder, root)
    words = metadata["writable"]["words"] if metadata["writable"] else 0
    registers = Registers(BASES[shell], CONTENTS + 4 * words, root)
    quick = int(BATCH_SECONDS * metadata["clock_mhz"] * 1e6 / metadata["bound_cycles"])
    try:
        return MemoryTransport(registers, buffers, batch=batch, most=max(1, quick))
    except BaseException:
        registers.close()
        raise
