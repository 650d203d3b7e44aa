"""Read an ONNX file: check that it is a sound model, and put its nodes in order.

Nothing in the file is executed, no name in it is trusted, and external data cannot leave the
file's folder.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from quinnoa.errors import ModelError, UnsupportedModel

from .external import inline_external_data

__all__ = ["OLDEST_OPSET", "QONNX_DOMAINS", "Model", "Port", "label", "read"]

OLDEST_OPSET = 9
NEWEST_OPSET = 26                        # the newest that ONNX Runtime takes (1.31)
MAX_BYTES = 2 ** 31 - 1                  # protobuf holds no more
MAX_ELEMENTS = 2 ** 26                   # of a model's input
STANDARD_DOMAINS = ("", "ai.onnx")
QONNX_DOMAINS = ("qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas")
# Verilog's (IEEE 1364-2005, annex B), and SystemVerilog's that a file may well be called: names
# that a module cannot have.
KEYWORDS = frozenset("""
    always and assign automatic begin buf bufif0 bufif1 case casex casez cell cmos config deassign
    default defparam design disable edge else end endcase endconfig endfunction endgenerate
    endmodule endprimitive endspecify endtable endtask event for force forever fork function
    generate genvar highz0 highz1 if ifnone incdir include initial inout input instance integer
    join large liblist library localparam macromodule medium module nand negedge nmos nor
    noshowcancelled not notif0 notif1 or output parameter pmos posedge primitive pull0 pull1
    pulldown pullup pulsestyle_ondetect pulsestyle_onevent rcmos real realtime reg release repeat
    rnmos rpmos rtran rtranif0 rtranif1 scalared showcancelled signed small specify specparam
    strong0 strong1 supply0 supply1 table task time tran tranif0 tranif1 tri tri0 tri1 triand
    trior trireg unsigned use uwire vectored wait wand weak0 weak1 while wire wor xnor xor
    bind bit break byte chandle checker class clocking const constraint context continue cover
    cross dist do enum export extends extern final global import inside int interface let local
    logic longint matches modport new null package packed priority program property protected pure
    rand ref restrict return sequence shortint shortreal solve static string strong struct super
    tagged this throughout type typedef union unique until untyped var virtual void weak with
    within
""".split())


@dataclass(frozen=True)
class Port:
    """The model's input: its name, element type, and dims, the first the batch."""

    name: str
    dtype: np.dtype
    dims: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Model:
    """A sound model: nodes in topological order, constants, one input, one output.

    Attributes
    ----------
    name : str
        A safe identifier made of the file's name.
    file : str
        The file's name.
    source : bytes
        The model as ONNX, external data included.
    nodes : tuple of NodeProto
        In topological order.
    constants : dict of str to array
        The initializers.
    input : Port
    output : str
    opset : int
        Of the standard operators.
    datatypes : dict of str to str
        ``finn_datatype`` annotations of tensors.
    """

    name: str
    file: str
    source: bytes
    nodes: tuple[onnx.NodeProto, ...]
    constants: dict[str, np.ndarray]
    input: Port
    output: str
    opset: int
    datatypes: dict[str, str]


def label(node: onnx.NodeProto) -> str:
    """Name a node for people: its own name, or else the tensor it makes; printable and short."""
    name = node.name or next((f"({output})" for output in node.output if output), "")
    return printable(name or "(unnamed)")


def printable(name: str, length: int = 60) -> str:
    """Make a name from a file printable and short."""
    name = "".join(c if c.isprintable() else "?" for c in name)
    return name if len(name) <= length else name[:length - 3] + "..."


def read(source: Any) -> Model:
    """Read a model from a path, bytes or a ``ModelProto``.

    Raises ``ModelError`` where the file is no sound model, ``UnsupportedModel`` for more than one
    input or output and for dims that are not known.
    """
    proto, file, folder, data = _parse(source)
    graph = proto.graph
    if not graph.node:
        raise ModelError(f"{file}: the graph has no nodes: not an ONNX model, or an empty one")
    if proto.functions:
        proto = _inlined(proto, file)
        graph = proto.graph
    if inline_external_data(proto, file, folder):
        data = proto.SerializeToString()
    constants = _initializers(graph, file)
    i = _input(graph, constants, file)
    nodes = _sorted_nodes(graph, {i.name, *constants}, file)
    return Model(name=_identifier(file), file=file, source=data, nodes=nodes, constants=constants,
                 input=i, output=_output(graph, nodes, file), opset=_opset(proto, file),
                 datatypes=_datatypes(graph))


def _parse(source: Any) -> tuple[onnx.ModelProto, str, Path | None, bytes]:
    """Return the model, the file's name, its folder (None if there is no file), its bytes."""
    if isinstance(source, onnx.ModelProto):
        return (onnx.ModelProto.FromString(source.SerializeToString()), "model", None,
                source.SerializeToString())
    folder, file = None, "model"
    if isinstance(source, bytes):
        data = source
    else:
        path = Path(source)
        folder, file = path.parent, printable(path.name, 255)
        data = _bytes_of(path)
    try:
        proto = onnx.ModelProto.FromString(data)
    except Exception:                    # protobuf's own, of which there are several
        proto = None
    if proto is None or not _is_text(proto):
        raise ModelError(f"{file}: not an ONNX file, or one that is cut off: its {len(data)} bytes "
                         "cannot be parsed")
    return proto, file, folder, data


def _is_text(message: Any) -> bool:
    """Tell whether all strings of a message are UTF-8: those that are not stay bytes."""
    for field, value in message.ListFields():
        if field.type in (field.TYPE_STRING, field.TYPE_MESSAGE):
            several = not isinstance(value, (str, bytes)) and not hasattr(value, "ListFields")
            for one in value if several else [value]:
                if isinstance(one, bytes) or not (isinstance(one, str) or _is_text(one)):
                    return False
    return True


def _bytes_of(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise ModelError(f"{path}: a folder, not an ONNX file")
        if size > MAX_BYTES:
            raise ModelError(f"{path}: {size} bytes, more than an ONNX file can have ({MAX_BYTES})")
        data = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"{path}: cannot be read: {reason}") from None
    if not data:
        raise ModelError(f"{path}: the file is empty")
    return data


def _inlined(proto: onnx.ModelProto, file: str) -> onnx.ModelProto:
    """Put the bodies of the model's own functions in the place of their calls."""
    import onnx.inliner
    try:
        return onnx.inliner.inline_local_functions(proto)
    except Exception as error:
        raise ModelError(f"{file}: its functions cannot be inlined: {error}") from None


def _initializers(graph: onnx.GraphProto, file: str) -> dict[str, np.ndarray]:
    if graph.sparse_initializer:
        raise UnsupportedModel(f"{file}: sparse initializers; export the weights as dense tensors")
    constants: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        name = printable(tensor.name)
        if tensor.name in constants:
            raise ModelError(f"{file}: two initializers are named {name}")
        constants[tensor.name] = array_of(tensor, f"{file}: initializer {name}")
    return constants


def array_of(tensor: onnx.TensorProto, where: str) -> np.ndarray:
    """Return a tensor's values; refuse one whose data do not fit its dims, and NaN."""
    try:
        array = numpy_helper.to_array(tensor)
    except Exception as error:
        reason = str(error).split("\n")[0]
        raise ModelError(f"{where}: its data do not fit dims {list(tensor.dims)}: {reason}"
                         ) from None
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise ModelError(f"{where}: {int(np.isnan(array).sum())} of its {array.size} values are "
                         "NaN; the training diverged, or the file is damaged")
    return array


def _input(graph: onnx.GraphProto, constants: dict[str, np.ndarray], file: str) -> Port:
    """Return the one input: initializers may be listed as inputs, too."""
    used = {name for node in graph.node for name in node.input}
    inputs = [i for i in graph.input if i.name not in constants]
    inputs = [i for i in inputs if i.name in used] or inputs
    if not inputs:
        raise ModelError(f"{file}: the graph has no input")
    if len(inputs) > 1:
        names = ", ".join(printable(i.name) for i in inputs)
        raise UnsupportedModel(f"{file}: {len(inputs)} inputs ({names}); exactly one is expected: "
                               "split the model, or make the others constants")
    i = inputs[0]
    kind = i.type.tensor_type
    if not i.type.HasField("tensor_type") or not kind.elem_type:
        raise ModelError(f"{file}: input {printable(i.name)} is not a tensor of a known type")
    if not kind.HasField("shape") or not kind.shape.dim:
        raise UnsupportedModel(f"{file}: input {printable(i.name)} has no dims; export the model "
                               "with a fixed input shape such as [1, 784]")
    dims = []
    for k, dim in enumerate(kind.shape.dim):
        # A batch that is not fixed is 1 here; `run` takes any.
        size = dim.dim_value if dim.dim_value > 0 else 1 if k == 0 else 0
        if not size:
            what = f"dynamic ({printable(dim.dim_param)})" if dim.dim_param else str(dim.dim_value)
            raise UnsupportedModel(f"{file}: dim {k} of input {printable(i.name)} is {what}; only "
                                   "the batch, dim 0, may be: export with a fixed input shape")
        dims.append(size)
    if len(dims) < 2:
        raise UnsupportedModel(f"{file}: input {printable(i.name)} has dims {dims}; a batch in "
                               "front is expected, such as [1, 784]")
    if np.prod(dims, dtype=float) > MAX_ELEMENTS:
        raise UnsupportedModel(f"{file}: input {printable(i.name)} has dims {dims}, more than "
                               f"{MAX_ELEMENTS} elements")
    return Port(i.name, _dtype(kind.elem_type, i.name, file), tuple(dims))


def _dtype(elem_type: int, name: str, file: str) -> np.dtype:
    try:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(elem_type)
    except KeyError:
        raise ModelError(f"{file}: {printable(name)} has the unknown element type {elem_type}"
                         ) from None
    if dtype.kind not in "fiub":
        raise UnsupportedModel(f"{file}: {printable(name)} has element type {dtype}; a model of "
                               "float32 tensors is expected")
    return dtype


def _sorted_nodes(graph: onnx.GraphProto, known: set[str],
                  file: str) -> tuple[onnx.NodeProto, ...]:
    """Return the nodes in topological order; refuse what is read but never made, and cycles."""
    made = set(known)
    for node in graph.node:
        for name in filter(None, node.output):
            if name in made:
                raise ModelError(f"{file}: node {label(node)} makes {printable(name)}, which "
                                 "something else makes already")
            made.add(name)
    for node in graph.node:
        for name in filter(None, node.input):
            if name not in made:
                raise ModelError(f"{file}: node {label(node)} ({printable(node.op_type)}) reads "
                                 f"{printable(name)}, which is neither an initializer nor made by "
                                 "a node: an initializer is missing")
    # Kahn's algorithm; of the nodes that are ready always the first in the file.
    missing = [{name for name in node.input if name and name not in known} for node in graph.node]
    readers: dict[str, list[int]] = {}
    for k, names in enumerate(missing):
        for name in names:
            readers.setdefault(name, []).append(k)
    ready = [k for k, names in enumerate(missing) if not names]
    order = []
    while ready:
        k = heappop(ready)
        order.append(graph.node[k])
        for name in filter(None, graph.node[k].output):
            for reader in readers.get(name, ()):
                missing[reader].discard(name)
                if not missing[reader]:
                    heappush(ready, reader)
    if len(order) < len(graph.node):
        stuck = next(node for node, names in zip(graph.node, missing, strict=True) if names)
        raise ModelError(f"{file}: the graph has a cycle that node {label(stuck)} is on or behind")
    return tuple(order)


def _output(graph: onnx.GraphProto, nodes: tuple[onnx.NodeProto, ...], file: str) -> str:
    if len(graph.output) != 1:
        names = ", ".join(printable(o.name) for o in graph.output)
        raise UnsupportedModel(f"{file}: {len(graph.output)} outputs ({names}); exactly one is "
                               "expected: drop the others from the graph's outputs")
    o = graph.output[0]
    if not any(o.name in node.output for node in nodes):
        raise ModelError(f"{file}: no node makes the output {printable(o.name)}")
    return o.name


def _opset(proto: onnx.ModelProto, file: str) -> int:
    """Return the version of the standard operators; 13 where the file does not say."""
    versions = [o.version for o in proto.opset_import if o.domain in STANDARD_DOMAINS]
    opset = max(versions, default=13)
    if opset < OLDEST_OPSET:
        raise UnsupportedModel(f"{file}: opset {opset}; {OLDEST_OPSET} or newer is expected: "
                               "convert it with onnx.version_converter")
    newest = onnx.defs.onnx_opset_version()
    if opset > newest:
        raise UnsupportedModel(f"{file}: opset {opset}; {newest} is the newest that is known: "
                               "export for that")
    # Beyond what ONNX Runtime takes: as good as older, if no operator has changed since.
    if opset > NEWEST_OPSET:
        for node in proto.graph.node:
            if node.domain in STANDARD_DOMAINS and _since(node, opset) > NEWEST_OPSET:
                raise UnsupportedModel(f"{file}: node {label(node)}: {printable(node.op_type)} of "
                                       f"opset {opset}; {NEWEST_OPSET} is the newest that is "
                                       "known: export for that")
        opset = NEWEST_OPSET
    return opset


def _since(node: onnx.NodeProto, opset: int) -> int:
    try:
        return onnx.defs.get_schema(node.op_type, opset).since_version
    except Exception:
        return 0                         # not an operator: told with the unsupported nodes


def _datatypes(graph: onnx.GraphProto) -> dict[str, str]:
    return dict(_annotations(graph))


def _annotations(graph: onnx.GraphProto) -> Iterator[tuple[str, str]]:
    for annotation in graph.quantization_annotation:
        for entry in annotation.quant_parameter_tensor_names:
            if entry.key == "finn_datatype":
                yield annotation.tensor_name, entry.value


def _identifier(file: str) -> str:
    """Make an identifier of a file's name: ``tfc-w1.a1.onnx`` gives ``tfc_w1_a1``."""
    name = re.sub(r"\W+", "_", re.sub(r"\.onnx$", "", file), flags=re.ASCII).strip("_")[:60]
    if not name or name[0].isdigit() or name in KEYWORDS:
        name = f"net_{name}".rstrip("_")
    return name
