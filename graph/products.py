"""Products: MatMul, Gemm and Conv as ``y = scale * (codes @ x) + bias``, with integer codes.

The codes are those of the weights' quantizer, or, for plain floats, of the grid they lie on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np
import onnx
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.rows import type_range
from quinnoa.rtl.shapes import BIPOLAR, range_of, shape_for

from .constants import Folded, Grid, Problem
from .evaluate import attributes
from .layers import Depthwise, MatMul
from .read import printable

__all__ = ["Product", "accumulator_limits", "accumulator_shape", "kernels_of", "product_of",
           "sum_shape", "weight_shape"]

MAX_WEIGHT = 2 ** 15                     # of a code's magnitude
MAX_GUESSED = 2 ** 8                     # the same where the grid is found from the floats
TOLERANCE = 2.0 ** -21                   # of a float32 that is a multiple of the grid's scale


@dataclass(frozen=True, eq=False)
class Product:
    """``y = scale * (codes @ x) + bias``.

    Attributes
    ----------
    codes : array of int64, (MH, MW)
    scale, bias : array of float64, (MH,)
    """

    codes: np.ndarray
    scale: np.ndarray
    bias: np.ndarray


def weight_shape(codes: np.ndarray) -> Shape | ShapeCastable:
    """Return the narrowest shape of the weights: bipolar if all are -1 or +1."""
    if codes.size and (np.abs(codes) == 1).all():
        return BIPOLAR
    return shape_for(min(codes.min(initial=0), 0), codes.max(initial=0))


def accumulator_limits(codes: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's lowest and highest sum for inputs in [low, high]."""
    # min over x of sum_c W[r,c]*x[c]: low where W > 0, high where W < 0
    up, down = np.where(codes > 0, codes, 0).sum(axis=1), np.where(codes < 0, codes, 0).sum(axis=1)
    return up * low + down * high, up * high + down * low


def accumulator_shape(codes: np.ndarray, x_shape: Shape | ShapeCastable) -> Shape:
    """Return the narrowest shape of all accumulators for any input of ``x_shape``."""
    low, high = accumulator_limits(codes, *range_of(x_shape))
    return shape_for(low.min(), high.max())


def sum_shape(layer: MatMul | Depthwise) -> Shape:
    """Return the narrowest shape of all accumulators for any input and any weights of a layer."""
    return shape_for(*type_range(layer.weights.shape[1], layer.i.shape, layer.w_shape))


def product_of(node: onnx.NodeProto, folded: Folded) -> Product:
    """Read the product of a constant matrix and the one tensor that depends on the input."""
    dynamic = folded.dynamic_inputs(node)
    if len(dynamic) != 1 or dynamic[0] not in node.input[:2]:
        raise Problem(node, f"{len(dynamic)} of its inputs depend on the model's input; a product "
                            "with constant weights is expected")
    first = node.input[0] == dynamic[0]
    options = attributes(node)
    name = node.input[1 if first else 0]
    flip = options.get("transB" if first else "transA", 0)
    grid = _grid_of(node, name, folded, lambda part: _matrix(node, part, first, flip))
    _check_vector(node, dynamic[0], first and not options.get("transA", 0), grid.codes.shape[1],
                  folded)
    return Product(grid.codes, grid.scale[:, 0] * options.get("alpha", 1.0),
                   _bias(node, first, len(grid.codes), folded))


def kernels_of(node: onnx.NodeProto, folded: Folded) -> Product:
    """Read the kernels of a Conv: codes (M, C/group * kernel), as they lie in the file."""
    dynamic = folded.dynamic_inputs(node)
    if dynamic != [node.input[0]]:
        raise Problem(node, f"{len(dynamic)} of its inputs depend on the model's input; a product "
                            "with constant weights is expected")
    name = node.input[1]
    grid = _grid_of(node, name, folded, lambda part: part.reshape(len(part), -1))
    bias = np.zeros(len(grid.codes))
    if len(node.input) > 2 and node.input[2]:
        bias = folded.constants[node.input[2]].astype(np.float64)
    return Product(grid.codes, grid.scale[:, 0], bias)


def _grid_of(node: onnx.NodeProto, name: str, folded: Folded,
             arrange: Callable[[np.ndarray], np.ndarray]) -> Grid:
    """Return codes and scales of weights, arranged as rows of one scale each."""
    if not folded.constants[name].size:
        raise Problem(node, f"weights {printable(name)} of dims "
                            f"{list(folded.constants[name].shape)} have no elements")
    if name in folded.grids:
        known = folded.grids[name]
        grid = Grid(arrange(known.codes), arrange(known.scale))
    else:
        grid = _found(node, arrange(folded.constants[name]), name)
    if (grid.scale != grid.scale[:, :1]).any():
        raise Problem(node, f"the scale of weights {printable(name)} differs along the inputs; one "
                            "scale, or one an output, is expected")
    if np.abs(grid.codes).max(initial=0) > MAX_WEIGHT:
        raise Problem(node, f"weights reach {np.abs(grid.codes).max()}; at most {MAX_WEIGHT} is "
                            "expected")
    return grid


def _matrix(node: onnx.NodeProto, part: np.ndarray, first: bool, flip: int) -> np.ndarray:
    """Return a constant operand as (MH, MW), whichever side it stands on."""
    while part.ndim > 2 and part.shape[0] == 1:
        part = part[0]
    if part.ndim == 1:
        part = part[:, None] if first else part[None]
    if part.ndim != 2:
        raise Problem(node, f"weights of dims {list(part.shape)}; a matrix is expected")
    # x @ B' = (B'.T @ x.T).T
    return part.T if bool(first) != bool(flip) else part


def _check_vector(node: onnx.NodeProto, x: str, rows: bool, mw: int, folded: Folded) -> None:
    """Check that each sample is one vector, along the rows, or along the columns of one sample."""
    dims, batch = folded.dims[x], folded.model.input.dims[0]
    vectors = prod(dims) // batch / mw
    if vectors != 1:
        raise Problem(node, f"a tensor of dims {list(dims)} times a matrix for {mw} inputs; one "
                            "vector a sample is expected: flatten it first")
    if not rows and batch != 1:
        raise Problem(node, f"samples in columns, with a batch of {batch}; export with batch 1")


def _bias(node: onnx.NodeProto, first: bool, mh: int, folded: Folded) -> np.ndarray:
    if len(node.input) < 3 or not node.input[2]:
        return np.zeros(mh)
    bias = folded.constants[node.input[2]].astype(np.float64) * attributes(node).get("beta", 1.0)
    try:
        return np.broadcast_to(bias, (1, mh) if first else (mh, 1)).reshape(mh)
    except ValueError:
        raise Problem(node, f"C has dims {list(bias.shape)}; one number for each of {mh} outputs "
                            "is expected") from None


def _found(node: onnx.NodeProto, weights: np.ndarray, name: str) -> Grid:
    """Find the grid that plain numbers lie on: integers, or multiples of one or a row's scale."""
    values = weights.astype(np.float64)
    if not np.isfinite(values).all():
        raise Problem(node, f"weights {printable(name)} are not finite")
    if (values == np.rint(values)).all() and np.abs(values).max(initial=0) <= MAX_WEIGHT:
        return Grid(values.astype(np.int64), np.ones(values.shape))
    grids = [grid for grid in (_guess(values), _guess_rows(values)) if grid is not None]
    if not grids:
        raise Problem(node, f"weights {printable(name)} are plain floats: "
                            f"{len(np.unique(values))} values that lie on no grid of at most "
                            f"{MAX_GUESSED} steps; quantize them (Quant or DequantizeLinear)")
    # One scale, unless a scale for each row saves bits.
    return min(grids, key=lambda grid: int(np.abs(grid.codes).max(initial=0)).bit_length())


def _guess_rows(values: np.ndarray) -> Grid | None:
    rows = [row for row in map(_guess, values) if row is not None]
    if len(rows) < len(values):
        return None
    return Grid(np.stack([row.codes for row in rows]), np.stack([row.scale for row in rows]))


def _guess(values: np.ndarray) -> Grid | None:
    """Find the scale of floats on a grid: the least gap between their magnitudes and 0."""
    magnitudes = np.unique(np.concatenate([[0.0], np.abs(values).reshape(-1)]))
    if len(magnitudes) == 1:
        return Grid(np.zeros(values.shape, np.int64), np.ones(values.shape))
    gaps = np.diff(magnitudes)
    gap = gaps[gaps > TOLERANCE * magnitudes[-1]].min()
    steps = np.rint(magnitudes[-1] / gap)
    if steps > MAX_GUESSED:
        return None
    scale = magnitudes[-1] / steps
    codes = np.rint(values / scale)
    # Each to its own precision: beside a vast one, a small one is no zero.
    if (np.abs(values - codes * scale) > TOLERANCE * np.abs(values)).any():
        return None
    return Grid(codes.astype(np.int64), np.full(values.shape, scale))
