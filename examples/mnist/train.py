"""Train quantized MLPs on MNIST and export them as QONNX.

    python train.py --bits 2 --size 28 --data package/data --out .

Size 28 makes the networks of FINN's 2017 paper: 784-64-64-64-10, weights of a fixed scale 1
(bipolar for 1 bit, ternary for 2), batch norm, and activations on a symmetric grid over [-1, 1]
(``tfc_w1a1.onnx``, ``tfc_w2a2.onnx``). Size 32 makes those of the 2021 benchmark: 1024-64-64-64-10
on the images with a border of two zeros, a weight scale for every channel, and ReLU activations
with learned scales (``mlp32_a3w3.onnx``). Input, weights and activations all have ``bits`` bits.

The exported network takes raw pixels: its first nodes divide by 255.
"""

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from brevitas.core.quant import QuantType
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.export import export_qonnx
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType
from brevitas.nn import QuantIdentity, QuantLinear, QuantReLU
from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloat
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import nn

HIDDEN = (64, 64, 64)
CLASSES = 10


class FixedGrid(ExtendedInjector):
    """A quantizer over [-1, 1] with a fixed scale: bipolar for 1 bit, else narrow and signed."""

    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    zero_point_impl = ZeroZeroPoint
    float_to_int_impl_type = FloatToIntImplType.ROUND
    scaling_per_output_channel = False
    narrow_range = True
    signed = True


class FixedWeights(FixedGrid, WeightQuantSolver):
    scaling_const = 1.0


class FixedActivations(FixedGrid, ActQuantSolver):
    min_val = -1.0
    max_val = 1.0


class Pixels(nn.Module):
    """Map pixels 0..255 to [0, 1], or to [-1, 1] for a ``signed`` grid."""

    def __init__(self, *, signed):
        super().__init__()
        self.signed = signed

    def forward(self, x):
        x = x / 255
        return 2 * x - 1 if self.signed else x


def tfc(bits, size):
    """Build the 2017 paper's kind of network."""
    kind = QuantType.BINARY if bits == 1 else QuantType.INT
    activation = {"act_quant": FixedActivations, "bit_width": bits, "quant_type": kind}
    weight = {"weight_quant": FixedWeights, "weight_bit_width": bits, "weight_quant_type": kind}
    widths = (size * size, *HIDDEN, CLASSES)
    layers = [Pixels(signed=True), nn.Flatten(), QuantIdentity(**activation)]
    for i, (mw, mh) in enumerate(pairwise(widths)):
        layers += [QuantLinear(mw, mh, bias=False, **weight), nn.BatchNorm1d(mh)]
        nn.init.uniform_(layers[-2].weight, -1, 1)
        if i < len(HIDDEN):
            layers += [QuantIdentity(**activation), nn.Dropout(0.1)]
    return nn.Sequential(*layers)


def mlp(bits, size):
    """Build the 2021 benchmark's kind of network."""
    activation = {"act_quant": Uint8ActPerTensorFloat, "bit_width": bits}
    weight = {"weight_quant": Int8WeightPerChannelFloat, "weight_bit_width": bits}
    widths = (size * size, *HIDDEN, CLASSES)
    layers = [Pixels(signed=False), nn.Flatten(), QuantReLU(**activation)]
    for i, (mw, mh) in enumerate(pairwise(widths)):
        layers += [QuantLinear(mw, mh, bias=False, **weight), nn.BatchNorm1d(mh)]
        if i < len(HIDDEN):
            layers += [QuantReLU(**activation)]
    return nn.Sequential(*layers)


def read_mnist(folder, part, size):
    """Read images (N, 1, size, size) and labels (N,) of ``part``, "train" or "t10k", as uint8."""
    # IDX files: a header of 4 + 4 * dimensions bytes, then bytes.
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)
    labels = np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8)[8:]
    border = (size - 28) // 2
    return np.pad(images, ((0, 0), (0, 0), (border, border), (border, border))), labels


def accuracy(network, images, labels):
    """Return the share of ``images`` that ``network`` puts in the right class."""
    network.eval()
    with torch.no_grad():
        scores = torch.cat([network(batch) for batch in images.split(1000)])
    return (scores.argmax(1) == labels).float().mean().item()


def train(network, images, labels, test, *, epochs, rate, clip):
    """Minimise the cross-entropy with Adam; ``clip`` holds the weights in [-1, 1]."""
    optimizer = torch.optim.Adam(network.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        network.train()
        for batch in torch.randperm(len(images)).split(100):
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(images[batch]), labels[batch]).backward()
            optimizer.step()
            if clip:
                with torch.no_grad():
                    for layer in network:
                        if isinstance(layer, QuantLinear):
                            layer.weight.clamp_(-1, 1)
        schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: {100 * accuracy(network, *test):.2f} %", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--bits", type=int, choices=range(1, 9), default=2,
                        help="bits of input, weights and activations (size 32: at least 2)")
    parser.add_argument("--size", type=int, choices=(28, 32), default=28, help="image side")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, required=True, help="folder of MNIST's IDX files")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the exported file")
    args = parser.parse_args()
    if args.size == 32 and args.bits == 1:
        parser.error("networks of size 32 have integer weights: --bits must be at least 2")

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)             # reproducible, and as fast for layers this small
    build, name = ((tfc, f"tfc_w{args.bits}a{args.bits}") if args.size == 28 else
                   (mlp, f"mlp32_a{args.bits}w{args.bits}"))
    network = build(args.bits, args.size)
    images, labels, *test = (
        torch.from_numpy(array).to(torch.float32 if array.ndim == 4 else torch.int64)
        for part in ("train", "t10k") for array in read_mnist(args.data, part, args.size))
    train(network, images, labels, test, epochs=args.epochs, rate=0.01, clip=build is tfc)

    path = args.out / f"{name}.onnx"
    export_qonnx(network.eval(), torch.zeros(1, 1, args.size, args.size), str(path),
                 input_names=["image"], output_names=["scores"], external_data=False)
    print(f"{path}: {100 * accuracy(network, *test):.2f} % of {len(test[1])} test digits")


if __name__ == "__main__":
    main()
