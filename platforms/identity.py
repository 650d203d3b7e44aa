"""Identity: 64 bits that tell accelerators apart, in the hardware and in what describes it."""

import hashlib
import json

__all__ = ["identity_text", "network_id"]


def network_id(verilog, i_format, o_format):
    """Return the identity of a network as compiled: the first 64 bits of SHA-256.

    Parameters
    ----------
    verilog : str
        The core's Verilog, with all that is in its memories.
    i_format, o_format : FrameFormat
        Of its frames.
    """
    formats = json.dumps([i_format.as_dict(), o_format.as_dict()], sort_keys=True)
    digest = hashlib.sha256("\0".join(("network", formats, verilog)).encode())
    return int.from_bytes(digest.digest()[:8], "big")


def identity_text(identity):
    """Return an identity as 16 hex digits."""
    return f"{identity:016x}"
