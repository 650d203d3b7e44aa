"""The models of the test data that others made, with the outputs that others computed."""

import lzma
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

DATA = Path(os.environ.get("QUINNOA_DATA",
                           Path(__file__).resolve().parents[3] / "shared" / "data"))


@dataclass(frozen=True)
class Golden:
    """A model, inputs for it, and what it gives."""

    source: Path | bytes
    x: np.ndarray
    y: np.ndarray


def data(name: str) -> Path:
    """Return the path of a test file; skip the test where it is absent."""
    path = DATA / name
    if not path.exists():
        pytest.skip(f"test data {name} are not there")
    return path


def mnist(count: int) -> np.ndarray:
    """Return the first test images, uint8, (count, 1, 28, 28)."""
    with np.load(data("images/mnist_t10k_0-1999.npz")) as archive:
        return archive[next(k for k in archive if archive[k].ndim >= 3)][:count].reshape(
            -1, 1, 28, 28)


def scaled(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32) / np.float32(255)


def zoo(name: str) -> Golden:
    """TFC_1W1A or TFC_2W2A."""
    with np.load(data(f"zoo/{name}-mnist1000.npz")) as archive:
        return Golden(data(f"zoo/{name}.onnx"), scaled(mnist(1000)), archive["y"])


def jettagging() -> Golden:
    with np.load(data("zoo/qkeras_jettagging-200.npz")) as archive:
        return Golden(data("zoo/qkeras_jettagging.onnx"), archive["x"], archive["y"])


def finn() -> Golden:
    return Golden(data("finn_repo/build_dataflow_model.onnx"),
                  np.load(data("finn_repo/build_dataflow_input.npy")).astype(np.float32),
                  np.load(data("finn_repo/build_dataflow_expected_output.npy")))


def lfc(form: str) -> Golden:
    """LFC W1A1: ``qonnx`` with scores, or ``mt`` with one bit a class."""
    source = lzma.decompress(data(f"bnn_pynq/onnx/lfcW1A1-mnist-{form}.onnx.xz").read_bytes())
    images = mnist(2000)
    with np.load(data("bnn_pynq/expected/lfcW1A1-mnist--mnist_t10k_0-1999.npz")) as archive:
        bits = np.unpackbits(archive["bits"], axis=1)[:, :10]
    if form == "qonnx":
        return Golden(source, scaled(images), bits)
    return Golden(source, np.where(images.reshape(-1, 784) >= 128, 1, -1).astype(np.float32), bits)


BREVITAS = ["tfc_mnist28_w1a1_tanh", "tfc_mnist28_w2a2_tanh", "tfc_mnist28_w3a3_relu",
            "tfc_mnist32_w3a3_tanh"]


def brevitas(name: str) -> Golden:
    """One of ``BREVITAS``; with ``-ts`` behind it, of the TorchScript exporter."""
    with np.load(data(f"brevitas/{name.removesuffix('-ts')}-golden.npz")) as archive:
        x = scaled(archive["image"][:, None]) * np.float32(2) - np.float32(1)
        return Golden(data(f"brevitas/{name}.onnx"), x, archive["y"])


CNNS = ["lenet_mnist", "resdw_cifar", "unet_mnist"]


def brevitas_cnn(name: str) -> Golden:
    """One of ``CNNS``; with ``-ts`` behind it, of the TorchScript exporter."""
    plain = name.removesuffix("-ts")
    with np.load(data(f"brevitas/{plain}-golden.npz")) as archive:
        x = (archive["image"].astype(np.float32) / np.float32(127.5) if plain == "resdw_cifar"
             else scaled(archive["image"]) * np.float32(2)) - np.float32(1)
        return Golden(data(f"brevitas/{name}.onnx"), x, archive["y"])


CNVS = {"cifar10": "cifar10_test_0-999", "streetview": "svhn_9"}


def cnv_source(dataset: str, form: str) -> bytes:
    """CNV W1A1: ``qonnx`` on float images, or ``mt`` on int8."""
    return lzma.decompress(data(f"bnn_pynq/onnx/cnvW1A1-{dataset}-{form}.onnx.xz").read_bytes())


def cnv_input(images: np.ndarray, form: str) -> np.ndarray:
    """Return what that form takes for uint8 images (frames, rows, columns, 3)."""
    images = images.transpose(0, 3, 1, 2)
    if form == "qonnx":
        return scaled(images)
    return np.clip(np.round(images * 256.0 / 255) - 128, -128, 127).astype(np.float32)


def cnv(dataset: str, form: str, count: int) -> Golden:
    """CNV W1A1 for the first images of a data set."""
    images = CNVS[dataset]
    with np.load(data(f"images/{images}.npz")) as archive:
        x = cnv_input(archive["x"][:count], form)
    with np.load(data(f"bnn_pynq/expected/cnvW1A1-{dataset}--{images}.npz")) as archive:
        return Golden(cnv_source(dataset, form), x, archive["scores"][:count])


def codes(name: str) -> Iterator[tuple[int, list[np.ndarray]]]:
    """Yield image numbers, and the codes of every activation quantizer in order."""
    with np.load(data(f"brevitas/{name}-golden.npz")) as archive:
        keys = [key for key in archive if "|" in key]
        for image in sorted({key.split("|")[0] for key in keys}):
            yield int(image[3:]), [archive[key] for key in keys if key.startswith(f"{image}|")]
