"""Parts of any unit, from the unit itself."""

from typing import Any

from amaranth import Shape

from quinnoa.rtl.add import AddUnit
from quinnoa.rtl.concat import ConcatUnit
from quinnoa.rtl.fifo import FIFO
from quinnoa.rtl.fork import ForkUnit
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.reduce import ReduceUnit
from quinnoa.rtl.slice import SliceUnit
from quinnoa.rtl.swu import SWU
from quinnoa.rtl.threshold import ThresholdUnit
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.upsample import UpsampleUnit
from quinnoa.rtl.vvtu import VVTU
from quinnoa.rtl.wide_swu import WideSWU
from quinnoa.rtl.width import WidthConverter

from . import banks, streams, sums, windows
from .amounts import Parts

__all__ = ["KINDS", "parts_of"]

_PARTS = {AddUnit: ("add", sums.add), ConcatUnit: ("concat", streams.concat),
          ReduceUnit: ("pool", streams.pool), SliceUnit: ("slice", streams.slice_),
          SWU: ("swu", windows.swu), WideSWU: ("wide", windows.wide_swu),
          ThresholdUnit: ("threshold", banks.threshold), TopKUnit: ("topk", sums.topk),
          UpsampleUnit: ("upsample", streams.upsample), VVTU: ("vvtu", sums.vvtu),
          WidthConverter: ("width", streams.width)}
KINDS = ("mvtu", "flat", "point", *(kind for kind, _ in _PARTS.values()), "fifo", "fork")


def parts_of(unit: Any, family: str) -> tuple[str, Parts]:
    """Return the kind of a unit, and its parts; of an ``MVTU`` see `matrix`."""
    if isinstance(unit, FIFO):
        width = Shape.cast(unit.o.payload.shape()).width
        return "fifo", streams.fifo(unit.depth, width, unit.style, family)
    if isinstance(unit, ForkUnit):
        return "fork", streams.fork(unit.ways, Shape.cast(unit.i.payload.shape()).width, family)
    if type(unit) not in _PARTS:
        raise TypeError(f"no resources known for a {type(unit).__name__}"
                        + (": its layer is wanted" if isinstance(unit, MVTU) else ""))
    kind, make = _PARTS[type(unit)]
    if kind == "swu" and unit.windows.taps == 1:
        kind = "point"
    return kind, make(unit, family)
