"""Units composed by hand, with no ONNX file: a small classifier with 2-bit activations.

Run it: the chain is simulated on random vectors, compared with its model, and printed as Verilog.
"""

import numpy as np
from amaranth import signed, unsigned

from quinnoa.rtl.chain import Chain
from quinnoa.rtl.mvtu import MVTU
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds
from quinnoa.rtl.topk import TopKUnit
from quinnoa.rtl.width import WidthConverter
from quinnoa.sim.streams import run_vectors
from quinnoa.verilog import to_verilog

__all__ = ["classifier"]

FEATURES, HIDDEN, CLASSES = 48, 16, 5


def classifier(rng):
    """Return a chain that takes vectors of 48 bits and gives the index of one of 5 classes."""
    # 48 bipolar inputs, 16 outputs of 2 bits, each with three thresholds: 4 * 6 = 24 cycles.
    hidden = MVTU(
        rng.choice([-1, 1], (HIDDEN, FEATURES)), pe=4, simd=8, x_shape=BIPOLAR, w_shape=BIPOLAR,
        thresholds=Thresholds(np.sort(rng.integers(-20, 20, (HIDDEN, 3)), axis=1), unsigned(2)))
    # 4 lanes to 2.
    narrow = WidthConverter(unsigned(2), elements=HIDDEN, i_lanes=4, o_lanes=2)
    # 3-bit weights, and the accumulators as they are: 5 * 8 = 40 cycles, which sets the rate.
    scores = MVTU(rng.integers(-4, 4, (CLASSES, HIDDEN)), pe=1, simd=2, x_shape=unsigned(2),
                  w_shape=signed(3))
    best = TopKUnit(elements=CLASSES, lanes=1,
                    shape=scores.o.payload.shape().elem_shape, k=1)
    return Chain(hidden, narrow, scores, best, names=["hidden", "narrow", "scores", "best"])


def main():
    rng = np.random.default_rng(1)
    chain = classifier(rng)
    x = rng.choice([-1, 1], (20, FEATURES))
    classes, run = run_vectors(chain, x, 1)
    assert np.array_equal(classes, chain.model(x))
    cycles = set(np.diff(run.o_cycles[5:]).tolist())
    print(f"{len(x)} vectors, all as the model says; one every {cycles} cycles")
    print(to_verilog(classifier(np.random.default_rng(1)), name="classifier")[:200], "...")


if __name__ == "__main__":
    main()
