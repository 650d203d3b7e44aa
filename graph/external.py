"""External data: tensors that an ONNX file keeps in files beside it, read under a close watch."""

from collections.abc import Iterator
from pathlib import Path

import onnx

from quinnoa.errors import ModelError

__all__ = ["inline_external_data"]


def inline_external_data(proto: onnx.ModelProto, file: str, folder: Path | None) -> bool:
    """Read all external tensors into the model; tell whether there were any.

    Their files must lie in the folder of the ONNX file or below, symbolic links followed.
    """
    found = False
    for tensor in _tensors(proto.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _inline(tensor, file, folder)
            found = True
    return found


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            yield attribute.t
            yield from attribute.tensors


def _inline(tensor: onnx.TensorProto, file: str, folder: Path | None) -> None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    shown = ascii(location)
    where = f"{file}: external data of {ascii(tensor.name)[1:-1]} at {shown}"
    if folder is None:
        raise ModelError(f"{where}: a model that is not read from a file has no folder to find it")
    path = _inside(folder, location)
    if path is None:
        raise ModelError(f"{where}: outside the folder of the ONNX file; it must lie in it")
    try:
        offset, length = int(entries.get("offset", 0)), entries.get("length")
        if not path.is_file():
            raise ModelError(f"{where}: there is no such file")
        size = path.stat().st_size
        count = size - offset if length is None else int(length)
        if offset < 0 or count < 0 or offset + count > size:
            raise ModelError(f"{where}: bytes {offset} to {offset + count} of a file of {size}")
        with path.open("rb") as stream:
            stream.seek(offset)
            tensor.raw_data = stream.read(count)
    except (OSError, ValueError) as error:
        raise ModelError(f"{where}: cannot be read: {error}") from None
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _inside(folder: Path, location: str) -> Path | None:
    """Return the path of ``location``, or None where it leaves ``folder``."""
    try:
        root = folder.resolve()
        path = (root / location).resolve()
        return path if location and path != root and path.is_relative_to(root) else None
    except (OSError, ValueError, RuntimeError):
        return None
