"""Files that are no sound models are refused, each with one message that says why."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from quinnoa.errors import ModelError, UnsupportedModel
from quinnoa.graph.read import read
from tests.models import mlp


def model(**changes):
    """Make a model of two nodes, ``y = Relu(x @ w)``; the arguments replace its parts."""
    nodes = changes.get("nodes", [helper.make_node("MatMul", ["x", "w"], ["a"], "First"),
                                  helper.make_node("Relu", ["a"], ["y"], "Second")])
    w = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    graph = helper.make_graph(
        nodes, "net",
        changes.get("inputs", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])]),
        changes.get("outputs", [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])]),
        changes.get("initializers", [w]))
    return helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", changes.get("opset", 13))])


def refusal(source, error=ModelError):
    with pytest.raises(error) as caught:
        read(source)
    return str(caught.value)


def info(name, dims, kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, dims)


def test_a_model_is_read_from_a_path_bytes_and_a_proto(tmp_path):
    path = tmp_path / "my net-2.onnx"
    path.write_bytes(model().SerializeToString())
    for source, name in ((path, "my_net_2"), (str(path), "my_net_2"),
                         (model().SerializeToString(), "model"), (model(), "model")):
        found = read(source)
        assert (found.name, found.opset, found.input.dims) == (name, 13, (1, 4))
        assert found.source == model().SerializeToString()
        assert list(found.constants) == ["w"] and len(found.nodes) == 2


@pytest.mark.parametrize("file, name", [
    ("2fast.onnx", "net_2fast"), ("module.onnx", "net_module"), ("ä b;c$.onnx", "b_c"),
    ("....onnx", "net"), ("x" * 99 + ".onnx", "x" * 60)])
def test_names_are_safe_identifiers(tmp_path, file, name):
    (tmp_path / file).write_bytes(model().SerializeToString())
    assert read(tmp_path / file).name == name


def test_refuses_what_is_no_file(tmp_path):
    assert refusal(tmp_path / "none.onnx") == f"{tmp_path}/none.onnx: there is no such file"
    assert refusal(tmp_path) == f"{tmp_path}: a folder, not an ONNX file"
    (tmp_path / "empty.onnx").touch()
    assert refusal(tmp_path / "empty.onnx") == f"{tmp_path}/empty.onnx: the file is empty"


def test_refuses_what_is_no_model():
    assert refusal(b"no model") == ("model: not an ONNX file, or one that is cut off: its 8 bytes "
                                    "cannot be parsed")
    whole = model().SerializeToString()
    assert refusal(whole[:-20]) == (f"model: not an ONNX file, or one that is cut off: its "
                                    f"{len(whole) - 20} bytes cannot be parsed")
    assert refusal(onnx.ModelProto()) == ("model: the graph has no nodes: not an ONNX model, or an "
                                          "empty one")


@pytest.mark.parametrize("changes, message", [
    ({"nodes": [helper.make_node("Relu", ["x"], ["y"], "A"),
                helper.make_node("Relu", ["x"], ["y"], "B")]},
     "model: node B makes y, which something else makes already"),
    ({"nodes": [helper.make_node("Add", ["x", "b"], ["y"], "A")]},
     "model: node A (Add) reads b, which is neither an initializer nor made by a node: an "
     "initializer is missing"),
    ({"nodes": [helper.make_node("Add", ["x", "c"], ["b"], "A"),
                helper.make_node("Relu", ["b"], ["c"], "B"),
                helper.make_node("Relu", ["c"], ["y"], "C")]},
     "model: the graph has a cycle that node A is on or behind"),
    ({"nodes": [helper.make_node("Relu", ["x"], ["z"], "A")]}, "model: no node makes the output y"),
    ({"inputs": []}, "model: node First (MatMul) reads x, which is neither an initializer nor made "
                     "by a node: an initializer is missing"),
    ({"initializers": [numpy_helper.from_array(np.full((4, 3), np.nan, np.float32), "w")]},
     "model: initializer w: 12 of its 12 values are NaN; the training diverged, or the file is "
     "damaged"),
    ({"initializers": [numpy_helper.from_array(np.ones(2, np.float32), "w")] * 2},
     "model: two initializers are named w"),
    ({"initializers": [TensorProto(name="w", data_type=1, dims=[4, 3], raw_data=b"1234")]},
     "model: initializer w: its data do not fit dims [4, 3]: cannot reshape array of size 1 into "
     "shape (4,3)")])
def test_refuses_graphs_that_are_not_sound(changes, message):
    changes = {"inputs": [info("x", [1, 4])], **changes}
    if not changes["inputs"]:
        assert refusal(model(**changes)) == "model: the graph has no input"
    else:
        assert refusal(model(**changes)) == message


@pytest.mark.parametrize("changes, message", [
    ({"inputs": [info("x", [1, "width"])]},
     "model: dim 1 of input x is dynamic (width); only the batch, dim 0, may be: export with a "
     "fixed input shape"),
    ({"inputs": [info("x", [1, -4])]},
     "model: dim 1 of input x is -4; only the batch, dim 0, may be: export with a fixed input "
     "shape"),
    ({"inputs": [info("x", [4])]},
     "model: input x has dims [4]; a batch in front is expected, such as [1, 784]"),
    ({"inputs": [info("x", None)]},
     "model: input x has no dims; export the model with a fixed input shape such as [1, 784]"),
    ({"inputs": [info("x", [1, 1 << 30])]},
     "model: input x has dims [1, 1073741824], more than 67108864 elements"),
    ({"inputs": [info("x", [1, 4], TensorProto.STRING)]},
     "model: x has element type object; a model of float32 tensors is expected"),
    ({"inputs": [info("x", [1, 4]), info("w", [4, 3])], "initializers": []},
     "model: 2 inputs (x, w); exactly one is expected: split the model, or make the others "
     "constants"),
    ({"outputs": [info("y", [1, 3]), info("a", [1, 3])]},
     "model: 2 outputs (y, a); exactly one is expected: drop the others from the graph's outputs"),
    ({"opset": 8}, "model: opset 8; 9 or newer is expected: convert it with "
                   "onnx.version_converter")])
def test_refuses_what_it_does_not_take(changes, message):
    assert refusal(model(**changes), UnsupportedModel) == message


def external(folder, location, **entries):
    """Make a model whose weights lie in another file."""
    made = model()
    tensor = made.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": location, **entries}.items():
        tensor.external_data.add(key=key, value=str(value))
    folder.mkdir(exist_ok=True)
    (folder / "net.onnx").write_bytes(made.SerializeToString())
    return folder / "net.onnx"


def test_external_data_are_read_from_the_models_folder(tmp_path):
    weights = np.arange(12, dtype=np.float32).reshape(4, 3)
    path = external(tmp_path, "data.bin", offset=4, length=48)
    (tmp_path / "data.bin").write_bytes(b"head" + weights.tobytes())
    found = read(path)
    np.testing.assert_array_equal(found.constants["w"], weights)
    # The source holds all, so it can be read from anywhere.
    np.testing.assert_array_equal(read(found.source).constants["w"], weights)


@pytest.mark.parametrize("location", ["../secret", "/etc/hostname", "link", "a/../../secret", ""])
def test_external_data_cannot_leave_the_models_folder(tmp_path, location):
    (tmp_path / "secret").write_bytes(bytes(48))
    path = external(tmp_path / "in", location)
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    assert refusal(path) == (f"net.onnx: external data of w at {location!r}: outside the folder of "
                             "the ONNX file; it must lie in it")


def test_external_data_must_be_there_whole(tmp_path):
    path = external(tmp_path, "data.bin", offset=8, length=48)
    where = "net.onnx: external data of w at 'data.bin'"
    assert refusal(path) == f"{where}: there is no such file"
    (tmp_path / "data.bin").write_bytes(bytes(48))
    assert refusal(path) == f"{where}: bytes 8 to 56 of a file of 48"
    assert refusal(path.read_bytes()) == (
        "model: external data of w at 'data.bin': a model that is not read from a file has no "
        "folder to find it")


def test_functions_of_the_model_are_inlined():
    made = mlp((6, 4, 3), w_bits=2, a_bits=2)
    expected = read(made)
    relu = helper.make_function("local", "Double", ["u"], ["v"],
                                [helper.make_node("Add", ["u", "u"], ["v"])],
                                [helper.make_opsetid("", 13)])
    made.functions.append(relu)
    made.opset_import.add(domain="local", version=1)
    node = made.graph.node[-1]
    node.output[0] = "before"
    made.graph.node.append(helper.make_node("Double", ["before"], ["y"], domain="local"))
    assert [n.op_type for n in read(made).nodes] == [n.op_type for n in expected.nodes] + ["Add"]
