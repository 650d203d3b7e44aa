"""Bad model files of many kinds: each function writes one and returns the command that meets it.

A *kind* takes a folder to write into and returns a ``Bad``: the arguments of the command, words
that its one error message must hold, and the exit status. ``KINDS`` lists them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.models import mlp

__all__ = ["KINDS", "WIDTHS", "Bad", "Kind", "compiling", "constant", "good", "insert", "kinds",
           "named", "swap"]


@dataclass(frozen=True)
class Bad:
    argv: list[str]
    words: tuple[str, ...]
    status: int = 1


Kind = Callable[[Path], Bad]
KINDS: list[Kind] = []
WIDTHS = (8, 6, 4)


def kinds(of: list[Kind]) -> Callable[[Kind], Kind]:
    """Return the decorator that adds a kind to a list."""
    def kind(function):
        of.append(function)
        return function
    return kind


kind = kinds(KINDS)


def good(**options):
    """Make the sound network that most kinds are made from."""
    return mlp(WIDTHS, w_bits=2, a_bits=2, seed=1, **options)


def compiling(folder, model, *words, options=(), status=1):
    """Write a model (bytes or a ModelProto) and compile it."""
    path = folder / "net.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    return Bad(["compile", str(path), "-o", str(folder / "out"), *options], words, status)


def named(model, name):
    return next(node for node in model.graph.node if node.name == name)


def swap(model, node, index, value):
    """Put ``value`` in place of one input of a node; other nodes keep theirs."""
    name = f"swapped{len(model.graph.initializer)}"
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    named(model, node).input[index] = name


def constant(model, node, index):
    """Return the initializer that a node reads."""
    name = named(model, node).input[index]
    return next(i for i in model.graph.initializer if i.name == name)


def insert(model, before, *nodes):
    """Insert nodes; the first input of ``before`` becomes the last one's output."""
    position = next(i for i, node in enumerate(model.graph.node) if node.name == before)
    named(model, before).input[0] = nodes[-1].output[0]
    for node in reversed(nodes):
        model.graph.node.insert(position, node)


# Not a model at all.

@kind
def text_file(folder):
    return compiling(folder, b"a network, honestly\n", "net.onnx", "ONNX")


@kind
def empty_file(folder):
    return compiling(folder, b"", "net.onnx", "empty")


@kind
def png_file(folder):
    return compiling(folder, b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8, "net.onnx", "ONNX")


@kind
def truncated_file(folder):
    data = good().SerializeToString()
    return compiling(folder, data[:len(data) // 2], "net.onnx", "ONNX")


@kind
def name_that_is_no_text(folder):
    return compiling(folder, good().SerializeToString().replace(b"MatMul_0", b"MatMul_\xbb"),
                     "net.onnx", "ONNX")


@kind
def folder_for_a_model(folder):
    (folder / "net.onnx").mkdir()
    return Bad(["compile", str(folder / "net.onnx"), "-o", str(folder / "out")],
               ("net.onnx", "folder"))


@kind
def missing_file(folder):
    return Bad(["check", str(folder / "absent.onnx")], ("absent.onnx", "no such file"))


@kind
def no_graph(folder):
    return compiling(folder, helper.make_model(onnx.GraphProto(), ir_version=8), "net.onnx")


@kind
def opset_of_the_future(folder):
    model = good()
    model.opset_import[0].version = 999
    return compiling(folder, model, "opset", "999")


# Graphs that are not sound.

@kind
def cyclic_graph(folder):
    model = good()
    named(model, "MatMul_0").input[0] = named(model, "BatchNormalization_0").output[0]
    return compiling(folder, model, "MatMul_0", "cycl")


@kind
def missing_initializer(folder):
    model = good()
    name = constant(model, "BatchNormalization_0", 2).name
    kept = [i for i in model.graph.initializer if i.name != name]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return compiling(folder, model, name)


@kind
def output_that_nothing_makes(folder):
    model = good()
    model.graph.output[0].name = "elsewhere"
    return compiling(folder, model, "elsewhere")


@kind
def duplicate_outputs(folder):
    model = good()
    named(model, "Quant_2").output[0] = named(model, "MatMul_0").output[0]
    return compiling(folder, model, "MatMul_0_out")


@kind
def quantizer_with_two_inputs(folder):
    model = good()
    del named(model, "Quant_2").input[2:]
    return compiling(folder, model, "Quant_2")


@kind
def shape_mismatch(folder):
    model = good()
    swap(model, "Quant_3", 0, np.ones((7, 4)))
    return compiling(folder, model, "MatMul_1", "6", "7")


@kind
def scales_for_the_wrong_channels(folder):
    model = good()
    swap(model, "Quant_1", 1, np.ones((1, 5)))
    return compiling(folder, model, "Quant_1", "5")


@kind
def huge_claimed_dims(folder):
    model = good()
    del constant(model, "Quant_1", 0).dims[:]
    constant(model, "Quant_1", 0).dims.extend([1 << 31, 1 << 31])
    return compiling(folder, model, constant(model, "Quant_1", 0).name)


@kind
def too_little_data(folder):
    model = good()
    weights = constant(model, "Quant_1", 0)
    weights.raw_data = weights.raw_data[:-4]
    return compiling(folder, model, weights.name)


# External data.

def external(folder, location, *words):
    """Let the first weights lie in another file."""
    model = good()
    weights = constant(model, "Quant_1", 0)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=str(location))
    path = folder / "model" / "net.onnx"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return Bad(["compile", str(path), "-o", str(folder / "out")], words)


@kind
def external_data_in_the_parent(folder):
    (folder / "secret.bin").write_bytes(bytes(8 * 6 * 4))
    return external(folder, "../secret.bin", "../secret.bin")


@kind
def external_data_by_absolute_path(folder):
    (folder / "secret.bin").write_bytes(bytes(8 * 6 * 4))
    return external(folder, folder / "secret.bin", "secret.bin")


@kind
def external_data_through_a_link(folder):
    (folder / "secret.bin").write_bytes(bytes(8 * 6 * 4))
    (folder / "model").mkdir()
    (folder / "model" / "weights.bin").symlink_to(folder / "secret.bin")
    return external(folder, "weights.bin", "weights.bin")


@kind
def external_data_missing(folder):
    return external(folder, "weights.bin", "weights.bin")


@kind
def external_data_too_short(folder):
    (folder / "model").mkdir()
    (folder / "model" / "weights.bin").write_bytes(bytes(10))
    return external(folder, "weights.bin", constant(good(), "Quant_1", 0).name)
