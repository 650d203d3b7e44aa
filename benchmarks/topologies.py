"""The published topologies with random weights, as layer records, and their published folds."""

import numpy as np
from amaranth import signed, unsigned

from quinnoa.graph.layers import Fold, MatMul, Stream
from quinnoa.graph.network import Network
from quinnoa.graph.products import accumulator_shape
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds

__all__ = ["TABLE", "network"]

# Name, widths, bits of input, weights and activations, folds (PE, SIMD), bound in cycles a frame,
# and what FINN was measured at (cycles a frame, from its papers and its own tests; None: unknown).
# MLP rows: the 2021 Brevitas/FINN benchmark; A3W3 was measured, A4W4 at 16/16 did not fit.
_TFC = ("TFC", (784, 64, 64, 64, 10), [(16, 49), (8, 8), (8, 8), (10, 8)])
_LFC = ("LFC", (784, 1024, 1024, 1024, 10), [(32, 49), (64, 32), (32, 64), (10, 8)])
_KWS = ("KWS", (490, 256, 256, 256, 12), [(32, 10), (32, 8), (32, 8), (1, 8)])
_NID = (600, 64, 64, 64, 1)


def _square(pe, simd):
    """Folds of the 2021 benchmark: the same PE and SIMD in every layer, as far as MH allows."""
    last = max(d for d in range(1, 11) if 10 % d == 0 and d <= pe)
    return [(pe, simd)] * 3 + [(last, simd)]


TABLE = [
    (*_TFC, (1, 1, 1), 64, "104–119"),
    (*_LFC, (1, 1, 1), 512, "595"),
    (*_KWS, (8, 3, 3), 392, "404"),
    ("NID", _NID, [(16, 40), (4, 16), (4, 16), (1, 1)], (1, 2, 2), 64, "72–87"),
    ("NID", _NID, [(32, 15), (4, 16), (4, 16), (1, 1)], (1, 2, 2), 80, "72–87"),
]
for bits in (2, 3, 4):
    for pe, simd, bound, finn in ((2, 2, 16384, 16399), (2, 8, 4096, None), (8, 8, 1024, 1036),
                                  (8, 16, 512, 524), (16, 16, 256, 268)):
        TABLE.append((f"MLP A{bits}W{bits}", (1024, 64, 64, 64, 10), _square(pe, simd),
                      (8, bits, bits), bound,
                      "did not fit" if (bits, pe) == (4, 16) else str(finn or "")))


def network(widths, folds, bits, *, seed=0):
    """Return an MLP with random weights and thresholds: layers alone, nothing on the host.

    Parameters
    ----------
    widths : tuple of int
        Inputs and outputs of every layer.
    folds : list of (PE, SIMD)
    bits : (int, int, int)
        Bits of the input, of weights and of activations; 1 is bipolar.
    """
    rng = np.random.default_rng(seed)
    i_bits, w_bits, a_bits = bits
    x_shape = BIPOLAR if i_bits == 1 else signed(i_bits)
    layers = []
    for k, (pe, simd) in enumerate(folds):
        mw, mh = widths[k], widths[k + 1]
        if w_bits == 1:
            weights, w_shape = rng.choice([-1, 1], (mh, mw)), BIPOLAR
        else:
            top = 2 ** (w_bits - 1) - 1
            weights, w_shape = rng.integers(-top, top + 1, (mh, mw)), signed(w_bits)
        thresholds = None
        if k < len(folds) - 1:
            steps = 2 ** a_bits - 1
            spread = int(np.abs(weights).sum(axis=1).mean() ** 0.5) * 2 ** (i_bits - 1)
            values = np.sort(rng.integers(-spread, spread + 1, (mh, steps)), axis=1)
            y_shape = BIPOLAR if a_bits == 1 else unsigned(a_bits)
            thresholds = Thresholds(values, y_shape)
        else:
            y_shape = accumulator_shape(weights, x_shape)
        layers.append(MatMul(
            f"mvtu{k}", Stream((mw,), x_shape), Stream((mh,), y_shape), Fold(pe, simd),
            weights=weights, w_shape=w_shape, thresholds=thresholds))
        x_shape, i_bits = y_shape, a_bits
    return Network("random", "random", b"", None, tuple(layers), None)
