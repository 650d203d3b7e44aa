"""Fold constants: evaluate every node whose inputs are known, and learn the dims of the others.

What a quantizer makes of a constant keeps its integer codes and scales beside its float values.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx

from quinnoa.errors import ModelError, UnsupportedModel

from .evaluate import attributes, evaluate, is_qonnx, product
from .expand import expanded
from .operators import PRODUCTS, RESHAPES, blocked
from .read import Model, label, printable
from .size import check_size

__all__ = ["Finding", "Folded", "Grid", "Problem", "fold_constants", "refuse"]

MAX_ZERO = 2 ** 16                       # of a zero point: float32 tells code + zero apart
ROUNDING_MODES = ("ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN")


@dataclass(frozen=True)
class Finding:
    """What became of one node of the file, for people."""

    node: str
    op: str
    becomes: str
    note: str = ""


class Problem(Exception):
    """A node that cannot be built, and why: collected, and told together with all others."""

    def __init__(self, node: onnx.NodeProto, reason: str) -> None:
        super().__init__(f"node {label(node)} ({printable(node.op_type)}): {reason}")


def refuse(file: str, problems: list[Problem]) -> None:
    """Raise ``UnsupportedModel`` with all problems, if there are any."""
    if problems:
        count = f"{len(problems)} node{'s' * (len(problems) > 1)}"
        lines = "".join(f"\n  {problem}" for problem in problems)
        raise UnsupportedModel(f"{file}: {count} cannot be built:{lines}")


@dataclass(frozen=True, eq=False)
class Grid:
    """A constant on a grid: ``codes`` int64 and ``scale`` float64 of its dims; their product."""

    codes: np.ndarray
    scale: np.ndarray


@dataclass(frozen=True, eq=False)
class Folded:
    """A model whose constants are folded.

    Attributes
    ----------
    model : Model
    nodes : list of NodeProto
        Those that depend on the model's input and lead to its output, in topological order.
    constants : dict of str to array
    grids : dict of str to Grid
        Constants that a quantizer made.
    dims : dict of str to tuple
        Dims of all tensors, with the batch of the file.
    dtypes : dict of str to dtype
        Element types of all tensors that are not constants.
    fates : dict of int to Finding
        What became of the nodes that are no more, by their ``id``.
    """

    model: Model
    nodes: list[onnx.NodeProto]
    constants: dict[str, np.ndarray]
    grids: dict[str, Grid]
    dims: dict[str, tuple[int, ...]]
    dtypes: dict[str, np.dtype]
    fates: dict[int, Finding]

    def makers(self, node: onnx.NodeProto) -> list[onnx.NodeProto]:
        """Return the nodes, folded by now, that made the constant operands of a node."""
        wanted = {name for name in node.input if name in self.constants}
        found = []
        for maker in reversed(self.model.nodes):
            if wanted.intersection(maker.output) and maker.op_type != "Constant":
                wanted.update(name for name in maker.input if name in self.constants)
                found.append(maker)
        return found

    def dynamic_inputs(self, node: onnx.NodeProto) -> list[str]:
        """Return the inputs of a node that depend on the model's input."""
        return [name for name in node.input if name and name not in self.constants]


def fold_constants(model: Model) -> Folded:
    """Fold what is constant, and evaluate the rest once for a zero input to learn all dims."""
    model = expanded(model)
    _check_operators(model)
    fold = _Fold(model)
    for node in model.nodes:
        fold.take(node)
    nodes = _live(fold.dynamic, model.output)
    if not nodes:
        raise ModelError(f"{model.file}: the output does not depend on the input")
    live = {id(node) for node in nodes}
    for node in fold.dynamic:
        if id(node) not in live:
            fold.fates[id(node)] = Finding(label(node), printable(node.op_type), "nothing",
                                           "the output does not depend on it")
    return Folded(model, nodes, fold.constants, fold.grids,
                  {name: value.shape for name, value in fold.values.items()},
                  {name: value.dtype for name, value in fold.values.items()}, fold.fates)


def _check_operators(model: Model) -> None:
    static = set(model.constants)
    problems = []
    for node in model.nodes:
        known = all(name in static for name in node.input if name)
        reason = blocked(node, static=known)
        if reason:
            problems.append(Problem(node, reason))
        if known or node.op_type in ("Shape", "Size"):
            static.update(node.output)
    refuse(model.file, problems)


@dataclass(eq=False)
class _Fold:
    """The state of folding."""

    model: Model
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    grids: dict[str, Grid] = field(default_factory=dict)
    values: dict[str, np.ndarray] = field(default_factory=dict)
    dynamic: list[onnx.NodeProto] = field(default_factory=list)
    fates: dict[int, Finding] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.constants.update(self.model.constants)
        i = self.model.input
        self.values[i.name] = np.zeros(i.dims, i.dtype)

    def take(self, node: onnx.NodeProto) -> None:
        """Fold a node, or evaluate it for the zero input."""
        check_arity(node, self.model.opset)
        check_parameters(node, self.constants)
        if node.op_type == "MultiThreshold":
            _check_thresholds(node, {**self.constants, **self.values})
        known = all(name in self.constants for name in node.input if name)
        if node.op_type == "Constant" and not node.input:
            self.constants[node.output[0]] = _constant(node, self.model.file)
        elif known or node.op_type in ("Shape", "Size"):
            values = self.constants if known else self.values
            check_size(node, values, self.model.opset)
            made = evaluate(node, values, self.model.opset)
            if any(value.dtype.kind == "f" and np.isnan(value).any() for value in made.values()):
                raise ModelError(f"node {label(node)} ({printable(node.op_type)}): makes NaN of "
                                 "constants")
            self.constants.update(made)
            self._keep_grid(node)
        else:
            both = {**self.constants, **self.values}
            check_size(node, both, self.model.opset)
            if node.op_type in PRODUCTS:
                made = {node.output[0]: _product_dims(node, both)}
            else:
                made = evaluate(node, both, self.model.opset)
            self.values.update(made)
            self.dynamic.append(node)
            return
        self.fates[id(node)] = Finding(label(node), printable(node.op_type), "a constant")

    def _keep_grid(self, node: onnx.NodeProto) -> None:
        """Note codes and scales of what a quantizer makes, and carry them through reshapes."""
        o, first = node.output[0], node.input[0] if node.input else ""
        if node.op_type in ("Quant", "IntQuant", "BipolarQuant", "DequantizeLinear"):
            grid = _grid(node, self.constants)
            if grid is not None:
                self.grids[o] = grid
        elif first in self.grids and node.op_type in (*RESHAPES, "Identity"):
            grid = self.grids[first]
            self.grids[o] = Grid(*(
                evaluate(node, {**self.constants, first: part}, self.model.opset)[o]
                for part in (grid.codes, grid.scale)))


def _constant(node: onnx.NodeProto, file: str) -> np.ndarray:
    options = attributes(node)
    kind = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64,
            "value_ints": np.int64}
    for name, value in options.items():
        if name == "value":
            from .read import array_of
            return array_of(value, f"{file}: constant {label(node)}")
        if name in kind:
            return np.asarray(value, kind[name])
    raise ModelError(f"{file}: node {label(node)}: a constant of {', '.join(options) or 'nothing'}")


def _product_dims(node: onnx.NodeProto, values: dict[str, np.ndarray]) -> np.ndarray:
    try:
        return product(node, values)
    except ValueError:
        a, b = (values[name].shape for name in node.input[:2])
        raise ModelError(f"node {label(node)} ({node.op_type}): dims {list(a)} and {list(b)} do "
                         "not fit") from None


def check_arity(node: onnx.NodeProto, opset: int) -> None:
    """Refuse a standard node with fewer inputs than its operator needs, or more than it takes."""
    if is_qonnx(node):
        return                           # its parameters are looked at one by one
    try:
        schema = onnx.defs.get_schema(node.op_type, opset)
    except Exception:
        raise ModelError(f"node {label(node)} ({node.op_type}): there is no such operator in opset "
                         f"{opset}") from None
    given = len(node.input)
    needed = schema.min_input
    if not all(node.input[:needed]) or not needed <= given <= schema.max_input or not node.output:
        raise ModelError(f"node {label(node)} ({node.op_type}): inputs {list(node.input)}; "
                         f"{needed} to {schema.max_input} of them are expected, and an output")


def check_parameters(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> None:
    """Refuse quantizers whose scale, zero point or bits make no sense, or are not constant."""
    names = {"Quant": ("scale", "zero point", "bits"), "IntQuant": ("scale", "zero point", "bits"),
             "BipolarQuant": ("scale",), "QuantizeLinear": ("scale",),
             "DequantizeLinear": ("scale",), "MultiThreshold": ("thresholds",),
             "Trunc": ("scale", "zero point", "input bits")}.get(node.op_type, ())
    where = f"node {label(node)} ({node.op_type})"
    if node.op_type == "BatchNormalization" and node.input[4] in constants:
        variance = constants[node.input[4]]
        if not (variance >= 0).all():
            raise ModelError(f"{where}: its variance is {variance.min():g}; at least 0 is expected")
    if node.op_type in ("Quant", "IntQuant", "Trunc"):
        mode = attributes(node).get("rounding_mode", "ROUND")
        if str(mode).upper() not in ROUNDING_MODES:
            raise UnsupportedModel(f"{where}: its rounding mode is {printable(str(mode))}; one of "
                                   f"{', '.join(ROUNDING_MODES)} is expected")
    given = len([name for name in node.input[:1 + len(names)] if name])
    if names and (given < 1 + len(names) or not node.output):
        raise ModelError(f"{where}: {given} inputs; {1 + len(names)} are expected")
    for name, tensor in zip(names, node.input[1:], strict=False):
        if tensor not in constants:
            raise UnsupportedModel(f"{where}: its {name} depends on the model's input; a constant "
                                   "is expected: export with fixed quantization parameters")
        value = constants[tensor]
        if name == "scale" and not (np.isfinite(value).all() and (value > 0).all()):
            bad = value[~(np.isfinite(value) & (value > 0))].reshape(-1)[0]
            raise ModelError(f"{where}: its scale is {bad:g}; above 0 is expected")
        if name == "zero point" and not (np.abs(value.astype(np.float64)) <= MAX_ZERO).all():
            raise ModelError(f"{where}: its zero point is {np.abs(value).max():g}; at most "
                             f"{MAX_ZERO} is expected")
        if name == "bits":
            bits = np.asarray(value, np.float64)
            if bits.size != 1 or bits.reshape(-1)[0] not in range(1, 33):
                raise ModelError(f"{where}: its bits are {value.tolist()}; one whole number from 1 "
                                 "to 32 is expected")


def _check_thresholds(node: onnx.NodeProto, values: dict[str, np.ndarray]) -> None:
    x, steps = (values[name].shape for name in node.input[:2])
    layout = attributes(node).get("data_layout") or {3: "NWC"}.get(len(x), "NC")
    axis = layout.index("C") if "C" in layout else 1
    channels = x[axis] if axis < len(x) else 1
    if len(steps) != 2 or steps[0] not in (1, channels):
        raise ModelError(f"node {label(node)} ({node.op_type}): its threshold shape is "
                         f"{list(steps)}, for {channels} channels; [1 or {channels}, steps] is "
                         "expected")


def _grid(node: onnx.NodeProto, constants: dict[str, np.ndarray]) -> Grid | None:
    """Return codes and scales of the constant that a quantizer makes: zero points subtracted."""
    value = constants[node.output[0]]
    scale = constants[node.input[1]].astype(np.float64)
    if node.op_type == "DequantizeLinear" and scale.ndim == 1 and scale.size > 1:
        axis = attributes(node).get("axis", 1)
        dims = [1] * value.ndim
        dims[axis] = -1
        scale = scale.reshape(dims)
    try:
        scale = np.broadcast_to(scale, value.shape)
    except ValueError:
        return None                      # in blocks: left to the values themselves
    ratio = value / scale
    codes = np.rint(ratio)
    # A zero point that is no integer puts the values beside the grid.
    if np.abs(ratio - codes).max(initial=0) > 2.0 ** -10:
        return None
    return Grid(codes.astype(np.int64), np.array(scale))


def _live(nodes: list[onnx.NodeProto], output: str) -> list[onnx.NodeProto]:
    needed, live = {output}, []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            live.append(node)
    return live[::-1]


