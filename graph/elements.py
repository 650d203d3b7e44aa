"""Elements: a chain of elementwise nodes as functions of one value, one for each class of elements.

All elements of a channel have one function, where that is so; all elements at all where no constant
of the chain differs among them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .chains import Chain, order_of
from .constants import Folded, Problem
from .encoding import Encoding
from .layers import Stream
from .operators import RESHAPES
from .segment import Segment
from .source import source_of
from .vectors import for_vectors

__all__ = ["Elements", "elements_of"]


@dataclass(frozen=True, eq=False)
class Elements:
    """A chain of elementwise nodes as functions of one value: one for each class of elements.

    ``function`` takes points (n, classes); ``which`` is the class of each element of the chain's
    first tensor, ``order`` the element of that tensor that each of its last one's is.
    """

    function: Callable[[np.ndarray], np.ndarray]
    classes: int
    which: np.ndarray
    order: np.ndarray


def elements_of(folded: Folded, chain: Chain, stream: Stream, place: np.ndarray) -> Elements:
    """Return the functions of a chain's elements.

    ``place`` says which element of the stream each element of its first tensor is. All elements of
    a channel have one function, where that is so; all elements at all where no constant differs.
    """
    order, size = order_of(chain, folded), len(place)
    segment = Segment(folded, chain.nodes, chain.source, chain.target)
    if all(folded.constants[name].size == 1 for node in chain.nodes if node.op_type not in RESHAPES
           for name in node.input if name in folded.constants):
        def alike(x: np.ndarray) -> np.ndarray:
            # Points side by side, as if they were elements of a frame.
            filled = np.resize(x[:, 0], (-(-len(x) // size), size))
            y = np.empty_like(segment(filled))
            y[:, order] = segment(filled)
            return y.reshape(-1)[:len(x), None]
        return Elements(alike, 1, np.zeros(size, np.int64), order)
    try:
        base = source_of("", stream, Encoding(1.0, 0.0, 0, 0), place)
        laid, within = for_vectors(chain, folded, base)
        channels = Segment(within, laid.nodes, laid.source, laid.target)
        return Elements(channels, stream.channels, place % stream.channels, order)
    except Problem:
        def each(x: np.ndarray) -> np.ndarray:
            y = segment(x)
            back = np.empty_like(y)
            back[:, order] = y
            return back
        return Elements(each, size, np.arange(size), order)
