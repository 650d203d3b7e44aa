"""Build: a folded network becomes one component with streams ``i`` and ``o``."""

from quinnoa.rtl.dataflow import Dataflow
from quinnoa.rtl.families import GENERIC, Family

from .checker import check_network
from .network import Network
from .units import Plan, plan

__all__ = ["assemble", "build"]


def build(network: Network, *, family: Family = GENERIC) -> tuple[Dataflow, Plan]:
    """Return the accelerator of a folded network, and the plan it was made by.

    The accelerator takes what ``network.encode`` gives and gives what ``network.decode`` takes:
    frames of vectors, channels fastest, cut into beats.
    """
    check_network(network)
    planned = plan(network, family)
    return assemble(planned), planned


def assemble(planned: Plan) -> Dataflow:
    """Return the component of a plan."""
    return Dataflow({unit.name: unit.component for unit in planned.units}, planned.edges,
                    i=planned.i, o=planned.o)
