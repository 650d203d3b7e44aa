"""Tincy YOLO: Tiny YOLO on 416 × 416 pixels as FINN's authors changed it, with random weights.

Of the nine convolutions of Tiny YOLO (Darknet's ``tiny-yolo-voc``) the first takes the stride of
the pool behind it, the second has 64 outputs for 32, the seventh and eighth 512 for 1024 (Preußer
et al., "Inference of Quantized Neural Networks on Heterogeneous All-Programmable Devices", 2018).
Weights are bipolar, activations of 3 bits; first and last layer have 8 bits.
"""

import numpy as np
from amaranth import signed, unsigned

from quinnoa.graph.layers import Fold, Layer, MatMul, Reduce, Stream, Window
from quinnoa.graph.network import Network
from quinnoa.graph.products import accumulator_shape
from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.thresholds import Thresholds

__all__ = ["FOLDS", "tincy_yolo"]

# Outputs, kernel, stride of every convolution, and the stride of the pool behind it.
LAYERS = [(16, 3, 2, None), (64, 3, 1, 2), (64, 3, 1, 2), (128, 3, 1, 2), (256, 3, 1, 2),
          (512, 3, 1, 1), (512, 3, 1, None), (512, 3, 1, None), (125, 1, 1, None)]
# FINN's (PE, SIMD) on a VU9P.
FOLDS = list(zip((16, 64, 32, 16, 16, 16, 32, 32, 25), (3, 16, 32, 32, 32, 32, 32, 32, 8),
                 strict=True))


def tincy_yolo(*, size: int = 416, seed: int = 0) -> Network:
    """Return the network at FINN's folds, windows and pools a pixel a cycle; layers alone."""
    rng = np.random.default_rng(seed)
    layers: list[Layer] = []
    o, pools = Stream((size, size, 3), unsigned(8)), 0
    for k, ((mh, kernel, stride, pool), (pe, simd)) in enumerate(zip(LAYERS, FOLDS, strict=True)):
        if kernel > 1:
            layers.append(_window(len(layers) - k - pools, o, kernel, stride, (1, 1, 1, 1)))
            o = layers[-1].o
        ends = k in (0, len(LAYERS) - 1)
        w_shape = signed(8) if ends else BIPOLAR
        weights = (rng.integers(-127, 128, (mh, o.channels)) if ends else
                   rng.choice(np.array([-1, 1]), (mh, o.channels)))
        last = k == len(LAYERS) - 1
        thresholds = None if last else Thresholds(np.arange(7)[None], unsigned(3))
        shape = accumulator_shape(weights, o.shape) if last else unsigned(3)
        layers.append(MatMul(
            f"mvtu{k}", o, Stream((*o.dims[:-1], mh), shape), Fold(pe, simd),
            weights=weights, w_shape=w_shape, thresholds=thresholds))
        o = layers[-1].o
        if pool:
            # Darknet pads below and to the right where windows are one pixel apart.
            window = _window(len(layers) - k - 1 - pools, o, 2, pool,
                             (0, 0, 2 - pool, 2 - pool))
            oh, ow, _ = window.o.dims
            layers += [window, Reduce(f"pool{pools}", window.o, Stream((oh, ow, mh), o.shape),
                                      Fold(pe=mh), op="max", vectors=4)]
            o, pools = layers[-1].o, pools + 1
    return Network("tincy_yolo", "tincy_yolo", b"", None, tuple(layers), None)


def _window(number: int, i: Stream, kernel: int, stride: int,
            pads: tuple[int, int, int, int]) -> Window:
    height, width, channels = i.dims
    oh = (height + pads[0] + pads[2] - kernel) // stride + 1
    ow = (width + pads[1] + pads[3] - kernel) // stride + 1
    return Window(f"swu{number}", i, Stream((oh, ow, kernel * kernel * channels), i.shape),
                  Fold(simd=channels), kernel=(kernel, kernel), stride=(stride, stride), pads=pads)
