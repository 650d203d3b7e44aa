# amaranth: UnusedElaboratable=no
"""Build: a folded network becomes one component with streams ``i`` and ``o``."""

from quinnoa.rtl.dataflow import Dataflow
from quinnoa.rtl.families import GENERIC, Family

from .checker import check_network
from .network import Network
from .units import Plan, plan
from .writable import widened

__all__ = ["assemble", "build"]


def build(network: Network, *, family: Family = GENERIC,
          writable: bool = False) -> tuple[Dataflow, Plan]:
    """Return the accelerator of a folded network, and the plan it was made by.

    The accelerator takes what ``network.encode`` gives and gives what ``network.decode`` takes:
    frames of vectors, channels fastest, cut into beats. With ``writable`` it has ``writes``, for
    the contents of any network of the same shape (``writable.contents``), and is that of the
    network ``widened``.
    """
    if writable:
        network = widened(network)
    check_network(network)
    planned = plan(network, family, writable=writable)
    return assemble(planned), planned


def assemble(planned: Plan) -> Dataflow:
    """Return the component of a plan."""
    return Dataflow({unit.name: unit.component for unit in planned.units}, planned.edges,
                    i=planned.i, o=planned.o)
