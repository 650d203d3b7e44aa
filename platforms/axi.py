"""AXI: the signatures of AXI3, AXI4 and AXI4-Lite, with the names of the specification."""

from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

__all__ = ["AXI3", "AXI4", "BURST_INCR", "AXI4Lite", "join"]

# AxBURST: a burst's addresses go up; RESP[1]: SLVERR or DECERR.
BURST_INCR = 0b01


def _address(channel, address_bits, side):
    """Return the members of an address channel."""
    return {f"{channel}addr": Out(address_bits), **{f"{channel}{name}": member
            for name, member in side.items()}, f"{channel}valid": Out(1), f"{channel}ready": In(1)}


def _check(signature, data_widths):
    if signature.data_bits not in data_widths:
        raise ValueError(f"data_bits must be {', '.join(map(str, data_widths))}: "
                         f"it is {signature.data_bits}")
    if not 12 <= signature.address_bits <= 64:
        raise ValueError(f"address_bits must lie in [12, 64]: it is {signature.address_bits}")


class _AXI(wiring.Signature):
    """AXI as the manager drives it; flipped, as the subordinate does.

    Parameters
    ----------
    address_bits, data_bits, id_bits : int
        Widths.
    """

    def __init__(self, *, address_bits, data_bits, id_bits):
        self.address_bits, self.data_bits, self.id_bits = address_bits, data_bits, id_bits
        _check(self, (32, 64, 128, 256, 512))
        if id_bits < 1:
            raise ValueError(f"id_bits must be at least 1: it is {id_bits}")
        side = {"id": Out(id_bits), "len": Out(self.len_bits), "size": Out(3), "burst": Out(2),
                "lock": Out(self.lock_bits), "cache": Out(4), "prot": Out(3), "qos": Out(4)}
        super().__init__({
            **_address("aw", address_bits, side),
            **({"wid": Out(id_bits)} if self.has_wid else {}),
            "wdata": Out(data_bits), "wstrb": Out(data_bits // 8), "wlast": Out(1),
            "wvalid": Out(1), "wready": In(1),
            "bid": In(id_bits), "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            **_address("ar", address_bits, side),
            "rid": In(id_bits), "rdata": In(data_bits), "rresp": In(2), "rlast": In(1),
            "rvalid": In(1), "rready": Out(1),
        })

    @property
    def beats(self):
        """Beats of the longest burst."""
        return 1 << self.len_bits

    @property
    def reads(self):
        """The channels AR and R."""
        return self._channels("ar", "r")

    @property
    def writes(self):
        """The channels AW, W and B."""
        return self._channels("aw", "w", "b")

    def _channels(self, *channels):
        return wiring.Signature({name: member for name, member in self.members.items()
                                 if _channel(name) in channels})


def _channel(name):
    """Return the channel of a signal."""
    return name[:2] if name[:2] in ("aw", "ar") else name[:1]


class AXI3(_AXI):
    """AXI3: bursts of up to 16 beats, and an ID beside write data.

    On Zynq-7000 ``M_AXI_GP0`` has 32 bit of address and data and 12 bit of ID, ``S_AXI_HP0`` 32
    bit of address, 64 of data and 6 of ID (UG585, chapter 5). Their AxSIZE are of 2 bits.
    """

    len_bits, lock_bits, has_wid = 4, 2, True


class AXI4(_AXI):
    """AXI4: bursts of up to 256 beats.

    On Zynq UltraScale+ ``M_AXI_HPM0_FPD`` has 40 bit of address, 32 to 128 of data and 16 of ID,
    ``S_AXI_HP0_FPD`` 49 bit of address, 32 to 128 of data and 6 of ID (UG1085, chapter 35).
    """

    len_bits, lock_bits, has_wid = 8, 1, False


class AXI4Lite(wiring.Signature):
    """AXI4-Lite: one beat at a time, no IDs."""

    def __init__(self, *, address_bits, data_bits=32):
        self.address_bits, self.data_bits = address_bits, data_bits
        _check(self, (32, 64))
        side = {"prot": Out(3)}
        super().__init__({
            **_address("aw", address_bits, side),
            "wdata": Out(data_bits), "wstrb": Out(data_bits // 8),
            "wvalid": Out(1), "wready": In(1),
            "bresp": In(2), "bvalid": In(1), "bready": Out(1),
            **_address("ar", address_bits, side),
            "rdata": In(data_bits), "rresp": In(2), "rvalid": In(1), "rready": Out(1),
        })


def join(m, part, whole):
    """Connect the channels of ``part``, which drives them, to those of ``whole``."""
    for name, member in part.signature.members.items():
        inner, outer = getattr(part, name), getattr(whole, name)
        m.d.comb += outer.eq(inner) if member.flow is Out else inner.eq(outer)
