"""Segment: a stretch of the file's own nodes as a function of batches of flat vectors."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import onnx
from onnx import helper

from quinnoa.errors import ModelError

from .constants import Folded
from .evaluate import Step, compiled
from .operators import PRODUCTS

__all__ = ["Segment"]

BATCH = 3                                # of the trial that tells whether samples can go together


class Segment:
    """The nodes from tensor ``source`` to tensor ``target``, evaluated as in the file.

    Samples go through together, in place of the file's own batch, if all tensors keep the batch in
    front; a trial tells. Otherwise they go one by one.

    Parameters
    ----------
    folded : Folded
    nodes : sequence of NodeProto
        In order. With none of them it is the identity.
    source, target : str
    """

    def __init__(self, folded: Folded, nodes: Sequence[onnx.NodeProto], source: str,
                 target: str) -> None:
        self.folded, self.nodes = folded, list(nodes)
        self.source, self.target = source, target
        self.batch = folded.model.input.dims[0]
        self.i_dims, self.o_dims = folded.dims[source], folded.dims[target]

    @property
    def dtype(self) -> np.dtype:
        """Element type at ``source``."""
        return self.folded.dtypes[self.source]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Evaluate for ``x`` of shape (samples, elements); the result is of that form, too."""
        y = self.run(x)
        return y.reshape(len(x), -1)

    def run(self, x: np.ndarray) -> np.ndarray:
        """Evaluate for flat ``x``; the result has the dims of the file, batch in front."""
        x = np.ascontiguousarray(x, self.dtype)
        if not len(x):
            return np.zeros((0, *self.o_dims[1:]), self.folded.dtypes[self.target])
        if not self.nodes:
            return x.reshape(len(x), *self.o_dims[1:])
        if self.keeps_batch:
            return self._evaluate(self._batched, x.reshape(len(x), *self.i_dims[1:]))
        each = [self._evaluate(self._as_is, v.reshape(self.i_dims)) for v in x]
        return np.concatenate(each) if each[0].ndim else np.stack(each)

    def _evaluate(self, steps: list[Step], x: np.ndarray) -> np.ndarray:
        values = {self.source: x}
        for step in steps:
            values.update(step(values))
        return values[self.target]

    def _compile(self, nodes: Sequence[onnx.NodeProto],
                 constants: dict[str, np.ndarray]) -> list[Step]:
        return compiled(nodes, constants, self.folded.dtypes, [self.target],
                        self.folded.model.opset)

    @cached_property
    def _as_is(self) -> list[Step]:
        return self._compile(self.nodes, self.folded.constants)

    @cached_property
    def _batched(self) -> list[Step]:
        return self._compile(*self.batched)

    @cached_property
    def batched(self) -> tuple[list[onnx.NodeProto], dict[str, np.ndarray]]:
        """The nodes with every Reshape to fixed dims made to keep the batch, and the constants."""
        constants, nodes = dict(self.folded.constants), []
        for k, node in enumerate(self.nodes):
            if node.op_type == "Reshape":
                # (samples, *dims of one sample), whatever the file's batch
                dims = f"quinnoa.dims.{k}"
                constants[dims] = np.array([-1, *self.folded.dims[node.output[0]][1:]], np.int64)
                node = helper.make_node("Reshape", [node.input[0], dims], node.output, node.name)
            nodes.append(node)
        return nodes, constants

    @cached_property
    def keeps_batch(self) -> bool:
        """Whether a batch of samples gives the same as its samples one by one, in the same dims."""
        made = [name for node in self.nodes for name in node.output if name in self.folded.dims]
        if any(self.folded.dims[name][:1] != (self.batch,) for name in (self.source, *made)):
            fits = False
        else:
            fits = self._trial()
        if not fits and self.batch != 1:
            raise ModelError(f"{self.folded.model.file}: the batch of {self.batch} does not stay "
                             "in front of all tensors; export with a batch of 1")
        return fits

    def _trial(self) -> bool:
        x = np.random.default_rng(0).integers(0, 2, (BATCH, *self.i_dims[1:])).astype(self.dtype)
        try:
            y = self._evaluate(self._batched, x)
            if y.shape != (BATCH, *self.o_dims[1:]):
                return False
            if self.batch == 1 and any(n.op_type not in PRODUCTS for n in self.nodes):
                each = [self._evaluate(self._as_is, v[None]) for v in x]
                return np.allclose(y, np.concatenate(each), rtol=1e-3, equal_nan=True)
        except ModelError:
            return False
        return True
