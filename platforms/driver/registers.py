"""Registers: the map of a shell, as docs/architecture.md has it. 32 bits each, byte addresses."""

__all__ = [
    "ABORT", "BATCHES_DONE", "BUSY_CYCLES", "BYTES_IN", "BYTES_OUT", "CONTENTS", "CONTROL",
    "CYCLES", "ERROR", "FRAMES", "FRAMES_DONE", "IDLE", "MAGIC", "MAGIC_VALUE", "NETWORK_ID",
    "ROOM", "SHAPE_ID", "SOURCE", "STATUS", "TARGET", "VERSION", "VERSION_VALUE",
]

MAGIC = 0x00
VERSION = 0x04
NETWORK_ID = 0x08                        # low, then high
SHAPE_ID = 0x10                          # low, then high
CONTROL = 0x18
STATUS = 0x1C
SOURCE = 0x20                            # low, then high
TARGET = 0x28                            # low, then high
FRAMES = 0x30
BATCHES_DONE = 0x34
FRAMES_DONE = 0x38
CYCLES = 0x3C
BYTES_IN = 0x40
BYTES_OUT = 0x44
BUSY_CYCLES = 0x48
CONTENTS = 0x10000                       # word a at CONTENTS + 4 * a

MAGIC_VALUE = 0x514E4E41                 # "QNNA"
VERSION_VALUE = 1

ABORT = 1 << 0                           # of CONTROL
IDLE = 1 << 0                            # of STATUS
ERROR = 1 << 1
ROOM = 1 << 2
