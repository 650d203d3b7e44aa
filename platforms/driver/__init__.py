"""Driver: runs an accelerator from Python. Needs numpy alone, and never quinnoa."""

from .accelerator import Accelerator, Batch, Throughput
from .errors import DriverError, DriverTimeout, HostError

__all__ = ["Accelerator", "Batch", "DriverError", "DriverTimeout", "HostError", "Throughput"]
