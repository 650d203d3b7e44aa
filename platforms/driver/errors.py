"""What goes wrong between a driver and its accelerator."""

__all__ = ["DriverError", "DriverTimeout", "HostError"]


class DriverError(Exception):
    """The accelerator, the way to it, or what it was given is at fault; the message says which."""


class DriverTimeout(DriverError):
    """The accelerator was not done in time; the message says how far it came."""


class HostError(DriverError):
    """What the host computes cannot be computed here; the accelerator's integers can."""
