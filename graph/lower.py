"""Lower: from a model file to a network in integers.

Every product of weights and codes becomes a layer, and the chain of nodes behind it, up to the
next quantizer and on to the next product, its thresholds: the chain itself is evaluated, as it is
in the file, for the accumulators that the weights make possible.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx

from quinnoa.errors import QuinnoaError

from .chains import Chain, check_elementwise, cut, order_of, propagated
from .checker import check_network
from .constants import Finding, Folded, Problem, fold_constants, refuse
from .encoding import Encoding, InputType, alike, limits
from .layers import Layer, MatMul, Stream, Threshold
from .network import Head, Network, Sum, Tail, Tap
from .operators import PRODUCTS, is_monotone
from .products import (
    Product,
    accumulator_limits,
    accumulator_shape,
    product_of,
    weight_shape,
)
from .quantizers import MAX_BITS, has_limits, quantizer
from .read import label, printable, read
from .segment import Segment
from .steps import MAX_TABLE, TooManySteps, thresholds_of
from .top import ranking

__all__ = ["MAX_INSIDE", "InputType", "Source", "load", "lower"]

# Thresholds a row that the matrix-vector unit compares with itself; more get a unit of their own.
MAX_INSIDE = 15


@dataclass(frozen=True, eq=False)
class Source:
    """The integers that a stream carries, as a tensor of the file.

    Attributes
    ----------
    encoding : Encoding
        In the tensor's order.
    order : array of int
        The stream's element that each of the tensor's is.
    low, high : array of int
        Limits of every element of the stream.
    stride : int
        Values from ``low`` to ``high`` that occur: every one, or every second.
    """

    encoding: Encoding
    order: np.ndarray
    low: np.ndarray
    high: np.ndarray
    stride: int = 1


def load(path: Any, *, input: InputType | None = None, top: int | None = None) -> Network:
    """Read a model (a path, bytes or a ``ModelProto``) and lower it to a network in integers.

    Parameters
    ----------
    path : path, bytes or ModelProto
    input : InputType, optional
        Type of the raw integers that enter the hardware, and what they mean to the model.
    top : int, optional
        End the hardware with the indices of the ``top`` greatest outputs.

    Raises ``ModelError`` for a file that is no sound model, ``UnsupportedModel`` for one that
    cannot be built, with every node that blocks.
    """
    return lower(fold_constants(read(path)), input=input, top=top)


def lower(folded: Folded, *, input: InputType | None = None, top: int | None = None) -> Network:
    """Lower a model whose constants are folded; see ``load``."""
    if top is not None and (not isinstance(top, int) or top < 1):
        raise QuinnoaError(f"top is {top!r}; a whole number of at least 1 is expected")
    lowering = _Lowering(folded, input, top)
    network = lowering.network()
    check_network(network)
    return network


class _Lowering:
    """The state of lowering: layers so far, problems, and what became of the nodes."""

    def __init__(self, folded: Folded, input: InputType | None, top: int | None) -> None:
        self.folded, self.input, self.top = folded, input, top
        self.file = folded.model.file
        self.layers: list[Layer] = []
        self.taps: list[Tap] = []
        self.sums: list[Sum] = []
        self.problems: list[Problem] = []
        self.fates: dict[int, Finding] = {}

    def network(self) -> Network:
        """Lower the whole model."""
        chains, products = self._cut()
        matrices = self._matrices(chains, products)
        head, source, chains, products = self._head(chains, products)
        for chain, node in zip(chains, products, strict=False):
            source = self._multiplied(self._activated(source, chain), node,
                                      matrices[node.output[0]])
        refuse(self.file, self.problems)
        tail = self._tail(source, chains[-1])
        refuse(self.file, self.problems)
        model = self.folded.model
        if not self.layers:
            refuse(self.file, [Problem(self.folded.nodes[-1], "nothing in front of it is for the "
                                       "hardware: no product follows a quantizer")])
        fates = {**self.folded.fates, **self.fates}
        findings = [fates[id(node)] for node in model.nodes if id(node) in fates]
        return Network(model.name, model.file, model.source, head, tuple(self.layers), tail,
                       tuple(findings), tuple(self.taps), tuple(self.sums), self.input,
                       self.top)

    def _cut(self) -> tuple[list[Chain], list[onnx.NodeProto]]:
        try:
            return cut(self.folded)
        except Problem as problem:
            refuse(self.file, [problem])
            raise

    def _matrices(self, chains: list[Chain], products: list[onnx.NodeProto]) -> dict[str, Product]:
        """Read the weights of all products, and look at all nodes that stand in front of one."""
        matrices = {}
        for chain, node in zip(chains, products, strict=False):
            for check in (lambda c=chain: check_elementwise(c.nodes, self.folded),
                          lambda n=node: matrices.update({n.output[0]: product_of(n, self.folded)})
                          ):
                try:
                    check()
                except Problem as problem:
                    self.problems.append(problem)
        refuse(self.file, self.problems)
        return matrices

    def _head(self, chains: list[Chain], products: list[onnx.NodeProto]
              ) -> tuple[Head, Source, list[Chain], list[onnx.NodeProto]]:
        """Return the head, the integers behind it, and the chains and products that are left."""
        port = self.folded.model.input
        elements = int(np.prod(port.dims[1:]))
        annotated = limits(self.folded.model.datatypes.get(port.name, ""))
        encoding = None
        if self.input is not None:
            encoding = self.input.encoding
        elif annotated and chains[0].quantizer() is None:
            name = self.folded.model.datatypes[port.name]
            encoding = InputType(name.lower()).encoding
        if encoding is not None:
            head = Head(port, encoding, raw=self.input is not None)
            return head, self._source(encoding, elements), chains, products
        note = ""
        while chains[0].quantizer() is None:
            if not products:
                refuse(self.file, [Problem(self.folded.nodes[-1], "no quantizer stands behind the "
                                           "input or any product; quantize inputs and activations "
                                           "(Quant, QuantizeLinear, MultiThreshold)")])
            note = ("the input has no quantizer: with an input type (--input) the layer enters "
                    "the hardware")
            chains = [chains[0].then(products[0], chains[1]), *chains[2:]]
            products = products[1:]
        return self._quantizing_head(chains, products, note)

    def _quantizing_head(self, chains: list[Chain], products: list[onnx.NodeProto], note: str
                         ) -> tuple[Head, Source, list[Chain], list[onnx.NodeProto]]:
        """Return the head that quantizes on the host, and the rest as ``_head`` does."""
        k = chains[0].quantizer()
        assert k is not None
        front, rest = chains[0].split(k)
        last = front.nodes[-1]
        try:
            if not has_limits(last):
                raise Problem(last, "it has no limits, and the model's input has none; put a "
                                    "quantizer behind the input, or give an input type (--input)")
            encoding = quantizer(last, self.folded)
            if products:
                # All up to the first product: what is behind the quantizer scales, at most.
                encoding = propagated(encoding, rest, self.folded, recode=True)
                front, rest = chains[0], Chain([], chains[0].target, chains[0].target)
        except Problem as problem:
            refuse(self.file, [problem])
        segment = Segment(self.folded, front.nodes, front.source, front.target)
        self._became(front.nodes, "the host, in front")
        self._became([n for n in front.nodes if n.op_type in PRODUCTS], "the host, in front", note)
        elements = int(np.prod(self.folded.dims[front.target])) // self.folded.model.input.dims[0]
        self.taps.append(Tap(last.output[0], front.target, 0, encoding))
        return (Head(self.folded.model.input, encoding, segment),
                self._source(encoding, elements), [rest, *chains[1:]], products)

    def _source(self, encoding: Encoding, elements: int) -> Source:
        return Source(encoding, np.arange(elements), np.full(elements, encoding.low),
                      np.full(elements, encoding.high), 2 if encoding.bipolar else 1)

    def _activated(self, source: Source, chain: Chain) -> Source:
        """Return the integers behind a chain in front of a product; lay its thresholds."""
        k = chain.quantizer()
        try:
            order = source.order[order_of(chain, self.folded)]
            if k is None:
                encoding = propagated(source.encoding, chain, self.folded, recode=False)
                self._became(chain.nodes, "the scale of integers")
                return replace(source, encoding=encoding, order=order)
            front, rest = chain.split(k)
            encoding = self._front_encoding(source, front)
            encoding = propagated(encoding, rest, self.folded, recode=True)
            return self._stepped(source, chain, front.nodes[-1], encoding, order)
        except Problem as problem:
            self.problems.append(problem)
            refuse(self.file, self.problems)
            raise

    def _front_encoding(self, source: Source, front: Chain) -> Encoding:
        """Return what a quantizer gives behind ``source``, its limits found if it has none."""
        last = front.nodes[-1]
        encoding = quantizer(last, self.folded)
        if has_limits(last):
            return encoding
        function = self._function(source, front, encoding, np.arange(len(source.order)))
        low, high = int(source.low.min()), int(source.high.max())
        count = (high - low + 1) * len(source.low)
        if self._monotone(front):
            a = np.stack([source.low, source.high])
        elif count <= MAX_TABLE:
            a = np.broadcast_to(np.arange(low, high + 1)[:, None], (high - low + 1,
                                                                    len(source.low)))
        else:
            raise Problem(last, "it has no limits; put a quantizer that has in its place")
        encoding = encoding.limited(function(a))
        if encoding.high - encoding.low >= 2 ** MAX_BITS:
            raise Problem(last, f"it gives integers from {encoding.low} to {encoding.high}; at "
                                f"most {MAX_BITS} bits are expected of an activation")
        return encoding

    def _monotone(self, chain: Chain) -> bool:
        return all(is_monotone(node, self.folded.dynamic_inputs(node)) for node in chain.nodes)

    def _function(self, source: Source, chain: Chain, encoding: Encoding,
                  order: np.ndarray) -> Any:
        """Return the chain as a function from the stream's integers to codes, in its order."""
        segment = Segment(self.folded, chain.nodes, chain.source, chain.target)

        def function(a: np.ndarray) -> np.ndarray:
            values = segment(source.encoding.values(a[:, source.order], segment.dtype))
            if np.isnan(values).any():
                raise Problem(chain.nodes[-1], "it gives NaN for some of the accumulators")
            codes = np.empty(values.shape, np.int64)
            codes[:, order] = encoding.codes(values)
            return codes

        return function

    def _stepped(self, source: Source, chain: Chain, last: onnx.NodeProto, encoding: Encoding,
                 order: np.ndarray) -> Source:
        """Lay the thresholds of a chain that gives ``encoding`` at its end."""
        try:
            thresholds = thresholds_of(
                self._function(source, chain, encoding, order), source.low, source.high,
                encoding.shape, monotone=self._monotone(chain))
        except TooManySteps as error:
            raise Problem(last, f"as a function of the accumulator it has {error}") from None
        before = self.layers[-1] if self.layers else None
        nodes = ", ".join(label(node) for node in chain.nodes)
        o = Stream((len(order),), thresholds.shape)
        fits = isinstance(before, MatMul) and before.thresholds is None
        if fits and thresholds.steps <= MAX_INSIDE:
            assert isinstance(before, MatMul)
            self.layers[-1] = replace(before, thresholds=thresholds, o=o,
                                      source=f"{before.source}, {nodes}")
        else:
            i = before.o if before else Stream((len(order),), source.encoding.shape)
            self.layers.append(Threshold(self._name("threshold"), i, o, source=nodes,
                                         thresholds=thresholds))
        layer = self.layers[-1]
        inside = isinstance(layer, MatMul)
        self._became(chain.nodes, f"thresholds of {layer.name}" if inside else layer.name)
        stepped = self._source(encoding, len(order))
        identity = np.array_equal(order, np.arange(len(order)))
        self.taps.append(Tap(last.output[0], chain.target, len(self.layers), encoding,
                             None if identity else tuple(order.tolist())))
        return replace(stepped, order=order)

    def _multiplied(self, source: Source, node: onnx.NodeProto, product: Product) -> Source:
        """Lay the layer of a product; return its accumulators."""
        x = source.encoding
        if np.ndim(x.scale):
            self.problems.append(Problem(node, "its input has one scale a channel; one for all "
                                               "is expected: quantize it per tensor"))
            refuse(self.file, self.problems)
        # Column order[j] of the stream's matrix is column j of the tensor's.
        weights = np.empty_like(product.codes)
        weights[:, source.order] = product.codes
        before = self.layers[-1].o if self.layers else Stream((weights.shape[1],), x.shape)
        self.layers.append(MatMul(
            self._name("mvtu"), before,
            Stream((len(weights),), accumulator_shape(weights, before.shape)),
            source=label(node), weights=weights, w_shape=weight_shape(weights)))
        self._became([node], self.layers[-1].name)
        self._became(self.folded.makers(node), f"weights of {self.layers[-1].name}")
        # y = s_w * (W @ (s_x * codes + o_x)) + b = s_w*s_x * acc + s_w * (W @ o_x) + b
        offset = product.scale * (product.codes @ np.broadcast_to(
            np.asarray(x.offset, np.float64), product.codes.shape[1])) + product.bias
        low, high = _limits_of(weights, source)
        encoding = Encoding(alike(product.scale * x.scale), alike(offset), int(low.min()),
                            int(high.max()))
        self.sums.append(Sum(node.output[0], len(self.layers) - 1, encoding))
        return Source(encoding, np.arange(len(weights)), low, high, source.stride)

    def _tail(self, source: Source, chain: Chain) -> Tail:
        """Return the tail: all behind the last quantizer, or else behind the last product."""
        k = chain.quantizer()
        if k is not None:
            front, chain = chain.split(k)
            try:
                check_elementwise(front.nodes, self.folded)
                order = source.order[order_of(front, self.folded)]
                encoding = self._front_encoding(source, front)
                source = self._stepped(source, front, front.nodes[-1], encoding, order)
            except Problem as problem:
                refuse(self.file, [problem])
        if self.top is not None and self.layers:
            try:
                added, becomes = ranking(source, chain, self.folded, self.top,
                                         self.layers[-1].o, self._name)
            except Problem as problem:
                refuse(self.file, [problem])
            self.layers += added
            for nodes, text, note in becomes:
                self._became(nodes, text, note)
            return Tail()
        for node in chain.nodes:
            dropped = node.op_type in ("Softmax", "LogSoftmax")
            self._became([node], "the host, behind",
                         "dropped from the hardware; the host applies it" if dropped else "")
        segment = Segment(self.folded, chain.nodes, chain.source, chain.target)
        return Tail(source.encoding, source.order, segment)

    def _name(self, kind: str) -> str:
        return f"{kind}{sum(layer.kind == kind for layer in self.layers)}"

    def _became(self, nodes: list[onnx.NodeProto], becomes: str, note: str = "") -> None:
        for node in nodes:
            self.fates[id(node)] = Finding(label(node), printable(node.op_type), becomes, note)


def _limits_of(weights: np.ndarray, source: Source) -> tuple[np.ndarray, np.ndarray]:
    return accumulator_limits(weights, source.encoding.low, source.encoding.high)
