"""Train quantized convolutional networks on images and export them as QONNX.

    python train.py --network cnv --weights 1 --activations 1 --data FOLDER --out .

``cnv`` is FINN's CNV made small: conv 3x3, conv 3x3, pool, conv 3x3, pool, two full layers; weights
of a fixed scale 1 (bipolar for 1 bit), batch norm, activations on a symmetric grid over [-1, 1].
``resnet`` has residual blocks, a depthwise convolution of stride 2 and a global average pool that
truncates; a weight scale for every channel, and ReLU activations with learned scales. In front of
an addition one quantizer serves both branches: one scale, so that the sum is exact.

The data: MNIST or Fashion-MNIST (``--data``: the folder of the four IDX files), or CIFAR-10
(``--cifar``: the folder of its Python version, ``data_batch_1`` to ``test_batch``).

The exported network takes raw pixels: its first node divides by 255.
"""

import argparse
import pickle
from pathlib import Path

import numpy as np
import onnx
import torch
from brevitas.core.quant import QuantType
from brevitas.core.restrict_val import RestrictValueType
from brevitas.core.scaling import ScalingImplType
from brevitas.core.zero_point import ZeroZeroPoint
from brevitas.export import export_qonnx
from brevitas.inject import ExtendedInjector
from brevitas.inject.enum import BitWidthImplType, FloatToIntImplType
from brevitas.nn import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU, TruncAvgPool2d
from brevitas.quant import (
    Int8ActPerTensorFloat,
    Int8WeightPerChannelFloat,
    TruncTo8bit,
    Uint8ActPerTensorFloat,
)
from brevitas.quant.solver import ActQuantSolver, WeightQuantSolver
from torch import nn

CLASSES = 10


class Fixed(ExtendedInjector):
    """A quantizer with a fixed scale."""

    bit_width_impl_type = BitWidthImplType.CONST
    scaling_impl_type = ScalingImplType.CONST
    restrict_scaling_type = RestrictValueType.FP
    zero_point_impl = ZeroZeroPoint
    float_to_int_impl_type = FloatToIntImplType.ROUND
    scaling_per_output_channel = False


class FixedWeights(Fixed, WeightQuantSolver):
    """Over [-1, 1]: bipolar for 1 bit, else narrow and signed."""

    scaling_const = 1.0
    narrow_range = True
    signed = True


class FixedActivations(Fixed, ActQuantSolver):
    """Over [-1, 1]: bipolar for 1 bit, else narrow and signed."""

    min_val = -1.0
    max_val = 1.0
    narrow_range = True
    signed = True


class Pixels(Fixed, ActQuantSolver):
    """Over [0, 1] in steps of 1/255: as the pixels come."""

    quant_type = QuantType.INT
    bit_width = 8
    min_val = 0.0
    max_val = 1.0
    narrow_range = False
    signed = False


class Scale(nn.Module):
    """Map pixels 0..255 to [0, 1]."""

    def forward(self, x):
        return x / 255


def cnv(w_bits, a_bits, channels, size):
    """Build a small CNV for images of ``channels`` times ``size`` times ``size``."""
    def kind(bits):
        return QuantType.BINARY if bits == 1 else QuantType.INT

    weight = {"weight_quant": FixedWeights, "weight_bit_width": w_bits,
              "weight_quant_type": kind(w_bits), "bias": False}

    def activation():
        return QuantIdentity(act_quant=FixedActivations, bit_width=a_bits, quant_type=kind(a_bits))

    def conv(i, o):
        return QuantConv2d(i, o, 3, **weight), nn.BatchNorm2d(o), activation()

    side = ((size - 4) // 2 - 2) // 2
    network = nn.Sequential(
        Scale(), QuantIdentity(act_quant=Pixels),
        *conv(channels, 16), *conv(16, 16), nn.MaxPool2d(2), *conv(16, 32), nn.MaxPool2d(2),
        nn.Flatten(),
        QuantLinear(32 * side * side, 32, **weight), nn.BatchNorm1d(32), activation(),
        QuantLinear(32, CLASSES, **weight), nn.BatchNorm1d(CLASSES))
    for layer in network:
        if isinstance(layer, (QuantConv2d, QuantLinear)):
            nn.init.uniform_(layer.weight, -1, 1)
    return network


class Residual(nn.Module):
    """Two convolutions and a way around them."""

    def __init__(self, channels, conv, relu, bits):
        super().__init__()
        self.branch = nn.Sequential(*conv(channels, channels, 3, padding=1), relu(),
                                    *conv(channels, channels, 3, padding=1))
        # One quantizer for both branches: their scales are one, and the sum is exact.
        self.join = QuantIdentity(act_quant=Int8ActPerTensorFloat, bit_width=bits)
        self.relu = relu()

    def forward(self, x):
        return self.relu(self.join(self.branch(x)) + self.join(x))


def resnet(w_bits, a_bits, channels, size):
    """Build a small residual network for images of ``channels`` times ``size`` times ``size``."""
    def conv(i, o, kernel, **options):
        return (QuantConv2d(i, o, kernel, bias=False, weight_quant=Int8WeightPerChannelFloat,
                            weight_bit_width=w_bits, **options), nn.BatchNorm2d(o))

    def relu(**options):
        return QuantReLU(act_quant=Uint8ActPerTensorFloat, bit_width=a_bits, **options)

    pool = TruncAvgPool2d((size + 3) // 4, trunc_quant=TruncTo8bit, bit_width=a_bits,
                          return_quant_tensor=False)
    network = nn.Sequential(
        Scale(), QuantIdentity(act_quant=Pixels),
        *conv(channels, 16, 3, stride=2, padding=1), relu(),
        Residual(16, conv, relu, a_bits),
        *conv(16, 16, 3, stride=2, padding=1, groups=16), relu(),
        *conv(16, 32, 1), relu(),
        Residual(32, conv, relu, a_bits),
        pool, nn.Flatten(),
        QuantLinear(32, CLASSES, bias=True, weight_quant=Int8WeightPerChannelFloat,
                    weight_bit_width=w_bits))
    network[-4].relu = relu(return_quant_tensor=True)
    return network


def read_idx(folder, part):
    """Read images (N, 1, 28, 28) and labels (N,) of ``part``, "train" or "t10k", as uint8."""
    # IDX files: a header of 4 + 4 * dimensions bytes, then bytes.
    images = np.fromfile(folder / f"{part}-images-idx3-ubyte", np.uint8)[16:].reshape(-1, 1, 28, 28)
    return images, np.fromfile(folder / f"{part}-labels-idx1-ubyte", np.uint8)[8:]


def read_cifar(folder, part):
    """Read images (N, 3, 32, 32) and labels (N,) of ``part``, "train" or "t10k", as uint8."""
    names = ["test_batch"] if part == "t10k" else [f"data_batch_{i}" for i in range(1, 6)]
    # Pickles can run code: use the files of www.cs.toronto.edu/~kriz/cifar.html alone.
    batches = [pickle.loads((folder / name).read_bytes(), encoding="bytes") for name in names]
    return (np.concatenate([batch[b"data"] for batch in batches]).reshape(-1, 3, 32, 32),
            np.concatenate([np.asarray(batch[b"labels"], np.uint8) for batch in batches]))


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
                        if isinstance(layer, (QuantConv2d, QuantLinear)):
                            layer.weight.clamp_(-1, 1)
        schedule.step()
        print(f"epoch {epoch + 1} of {epochs}: {100 * accuracy(network, *test):.2f} %", flush=True)


def export(network, image, path):
    """Write ``network`` as QONNX, without PyTorch's notes on where each node came from."""
    export_qonnx(network, image, str(path), input_names=["image"], output_names=["scores"],
                 external_data=False)
    model = onnx.load(path)
    for node in model.graph.node:
        del node.metadata_props[:]
    onnx.save(model, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--network", choices=("cnv", "resnet"), default="cnv")
    parser.add_argument("--weights", type=int, choices=range(1, 9), default=1,
                        help="bits of weights (resnet: at least 2)")
    parser.add_argument("--activations", type=int, choices=range(1, 9), default=1,
                        help="bits of activations (resnet: at least 2)")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--data", type=Path, help="folder of the IDX files of (Fashion-)MNIST")
    data.add_argument("--cifar", type=Path, help="folder of the Python version of CIFAR-10")
    parser.add_argument("--out", type=Path, default=Path("."), help="folder of the exported file")
    args = parser.parse_args()
    if args.network == "resnet" and min(args.weights, args.activations) < 2:
        parser.error("resnet has integer weights: --weights and --activations must be at least 2")

    torch.manual_seed(args.seed)
    torch.set_num_threads(1)             # reproducible
    read, folder = (read_idx, args.data) if args.data else (read_cifar, args.cifar)
    images, labels, *test = (
        torch.from_numpy(array).to(torch.float32 if array.ndim == 4 else torch.int64)
        for part in ("train", "t10k") for array in read(folder, part))
    channels, size = images.shape[1:3]
    build = {"cnv": cnv, "resnet": resnet}[args.network]
    network = build(args.weights, args.activations, channels, size)
    train(network, images, labels, test, epochs=args.epochs, rate=0.01, clip=build is cnv)

    path = args.out / f"{args.network}_w{args.weights}a{args.activations}.onnx"
    export(network.eval(), torch.zeros(1, channels, size, size), path)
    print(f"{path}: {100 * accuracy(network, *test):.2f} % of {len(test[1])} test images")


if __name__ == "__main__":
    main()
