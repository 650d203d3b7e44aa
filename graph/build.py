"""Build: a folded network becomes one component with streams ``i`` and ``o``."""

from quinnoa.rtl.chain import Chain
from quinnoa.rtl.families import GENERIC, Family

from .checker import check_network
from .network import Network
from .units import Plan, plan_chain

__all__ = ["build"]


def build(network: Network, *, family: Family = GENERIC) -> tuple[Chain, Plan]:
    """Return the accelerator of a folded network, and the plan it was made by.

    The accelerator takes what ``network.encode`` gives and gives what ``network.decode`` takes:
    frames of vectors, channels fastest, cut into beats.
    """
    check_network(network)
    plan = plan_chain(network, family)
    accelerator = Chain(*(unit.component for unit in plan.units),
                        names=[unit.name for unit in plan.units])
    return accelerator, plan
