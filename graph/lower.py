"""Lower: from a model file to a network in integers.

Every joint (a product, a pool, a join of branches) becomes a layer or two, and the chain of nodes
in front of it its thresholds: the chain itself is evaluated, as it is in the file, for the
integers that the layer before makes possible.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import onnx

from quinnoa.errors import QuinnoaError

from .activate import MAX_INSIDE, activated
from .chains import Chain, check_elementwise, common_quantizer, live_tensors, order_of, propagated
from .checker import check_network
from .constants import Folded, Problem, fold_constants, refuse
from .cut import Cut, cut
from .draft import Draft
from .encoding import Encoding, InputType, limits
from .joints import JOINT
from .layers import Stream
from .network import Head, Network, Tail, Tap
from .operators import PRODUCTS, QUANTIZERS
from .pools import behind_quantizers
from .products import kernels_of, product_of
from .quantizers import has_limits, quantizer
from .read import read
from .segment import Segment
from .source import Source, image_dims, image_order, source_of
from .top import ranking
from .vectors import for_vectors

__all__ = ["MAX_INSIDE", "InputType", "load", "lower"]


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
    """The state of lowering: the network so far, the tensors in integers, and the problems."""

    def __init__(self, folded: Folded, input: InputType | None, top: int | None) -> None:
        folded, moved, behind = behind_quantizers(folded)
        self.folded, self.input, self.top = folded, input, top
        self.file = folded.model.file
        self.draft = Draft(folded, moved, behind)
        self.problems: list[Problem] = []
        self.sources: dict[str, Source | None] = {}

    def network(self) -> Network:
        """Lower the whole model."""
        model, draft = self.folded.model, self.draft
        head, found = self._head()
        for node in found.joints:
            names = self.folded.dynamic_inputs(node)
            inputs = [source for name in names if (source := self._source(name, found))]
            results: dict[str, Source] = {}
            if len(inputs) == len(names):
                results = self._tried(partial(JOINT[node.op_type], draft, node, inputs)) or {}
            for name in node.output:
                self.sources[name] = results.get(name)
        tail = self._tail(found)
        refuse(self.file, self.problems)
        if not draft.layers:
            refuse(self.file, [Problem(self.folded.nodes[-1], "nothing in front of it is for the "
                                       "hardware: no product follows a quantizer")])
        assert tail is not None
        made = {name: k for k, node in enumerate(model.nodes) for name in node.output}
        taps = sorted(draft.taps, key=lambda tap: made[tap.tensor])
        fates = {**self.folded.fates, **draft.fates}
        findings = [fates[id(node)] for node in model.nodes if id(node) in fates]
        return Network(model.name, model.file, model.source, head, tuple(draft.layers), tail,
                       tuple(findings), tuple(taps), tuple(draft.sums), self.input, self.top)

    def _tried(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives; None, and a problem noted, where it cannot."""
        try:
            return make()
        except Problem as problem:
            self.problems.append(problem)
            return None

    def _refused(self, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gives, or refuse the model at once."""
        result = self._tried(make)
        refuse(self.file, self.problems)
        return result

    def _checked(self, found: Cut) -> Cut:
        """Look at all nodes in front of a joint, and read the weights of all products."""
        seen: set[int] = set()
        for node in found.joints:
            for name in self.folded.dynamic_inputs(node):
                nodes = [n for n in found.way(name).nodes if id(n) not in seen]
                seen.update(map(id, nodes))
                self._tried(partial(check_elementwise, nodes, self.folded))
            if node.op_type in (*PRODUCTS, "Conv"):
                read = kernels_of if node.op_type == "Conv" else product_of
                product = self._tried(partial(read, node, self.folded))
                self.draft.products[node.output[0]] = product
            elif node.op_type not in JOINT:
                self.problems.append(Problem(
                    node, "it joins branches that are not of one layer; of such, only Add and "
                          "Concat can be built"))
            elif node.op_type not in ("Add", "Concat") and self.folded.dynamic_inputs(node) != [
                    node.input[0]]:
                self.problems.append(Problem(node, "its parameters depend on the model's input; "
                                                   "constants are expected"))
        refuse(self.file, self.problems)
        return found

    def _source(self, name: str, found: Cut) -> Source | None:
        """Return the integers of a tensor; lay the thresholds in front of it."""
        if name not in self.sources:
            chain = found.chains[name]
            source = self._source(chain.source, found)
            alone = found.readers[chain.source] == 1
            self.sources[name] = source and self._tried(
                lambda: activated(self.draft, source, chain, alone=alone))
        return self.sources[name]

    def _head(self) -> tuple[Head, Cut]:
        """Return the head and what is behind it; the integers between them are noted."""
        port, folded = self.folded.model.input, self.folded
        found = cut(folded.nodes, port.name, folded)
        annotated = folded.model.datatypes.get(port.name, "")
        encoding = None
        if self.input is not None:
            encoding = self.input.encoding
        elif limits(annotated) and not self._quantizes(found, port.name):
            encoding = InputType(annotated.lower()).encoding
        if encoding is None:
            return self._quantizing_head()
        self._checked(found)
        dims, order = self._layout(found)
        stream = Stream(dims, encoding.shape)
        self.sources[port.name] = source_of("", stream, encoding, order)
        return Head(port, encoding, raw=self.input is not None, order=order,
                    channels=stream.channels), found

    def _quantizes(self, found: Cut, name: str) -> bool:
        """Tell whether one quantizer stands in front of all that reads a tensor."""
        chain = self._only(found, name)
        return chain is not None and chain.quantizer() is not None

    def _only(self, found: Cut, name: str) -> Chain | None:
        """Return the chain that alone reads a tensor."""
        chains = [chain for chain in found.chains.values() if chain.source == name]
        return chains[0] if found.readers.get(name) == len(chains) == 1 else None

    def _quantizing_head(self) -> tuple[Head, Cut]:
        """Return the head that quantizes on the host, and what is behind it."""
        folded, port = self.folded, self.folded.model.input
        o = folded.model.output
        live = live_tensors(folded.nodes, port.name, [o])
        first = next((k for k, names in enumerate(live) if len(names) == 1
                      and folded.nodes[k].op_type in QUANTIZERS), None)
        if first is None:
            self._checked(cut(folded.nodes, port.name, folded))
            refuse(self.file, [Problem(folded.nodes[-1], "no quantizer stands behind the input or "
                                       "any product; quantize inputs and activations (Quant, "
                                       "QuantizeLinear, MultiThreshold)")])
        assert first is not None
        front, target = folded.nodes[:first + 1], folded.nodes[first].output[0]
        chain = self._only(cut(folded.nodes[first + 1:], target, folded), target)
        if chain is not None and chain.target != o:
            # All up to the first product: what is behind the quantizer scales, at most.
            front, target = [*front, *chain.nodes], chain.target
        elif chain is not None:
            last = common_quantizer(folded.nodes, port.name, [o])
            assert last is not None
            front, target = folded.nodes[:last + 1], folded.nodes[last].output[0]
        found = self._checked(cut(folded.nodes[len(front):], target, folded))
        return self._refused(lambda: self._encoding_head(front, target, found)), found

    def _encoding_head(self, front: list[onnx.NodeProto], target: str, found: Cut) -> Head:
        """Return the head of the nodes ``front``, with what its integers mean."""
        port = self.folded.model.input
        k = Chain(front, port.name, target).quantizer()
        assert k is not None
        last = front[k]
        if not has_limits(last):
            raise Problem(last, "it has no limits, and the model's input has none; put a quantizer "
                                "behind the input, or give an input type (--input)")
        rest = Chain(front[k:], last.input[0], target)
        check_elementwise(rest.nodes, self.folded)
        dims, order = self._layout(found)
        # The quantizer and what is behind it, for vectors: order_of says where its input's are.
        place = np.empty_like(order)
        place[order_of(rest, self.folded)] = order
        base = source_of("", Stream(dims, 1), Encoding(1.0, 0.0, 0, 0), place)
        vectors, folded = for_vectors(rest, self.folded, base)
        encoding = propagated(quantizer(vectors.nodes[0], folded), vectors.split(0)[1], folded,
                              recode=True)
        source = source_of("", Stream(dims, encoding.shape), encoding, order)
        self.sources[target] = source
        hosted = [node for node in front if node.op_type in (*PRODUCTS, "Conv")]
        self.draft.became(front, "the host, in front")
        self.draft.became(hosted, "the host, in front", "the input has no quantizer: with an input "
                          "type (--input) the layer enters the hardware")
        self.draft.tap(Tap(last.output[0], target, "", encoding, order))
        return Head(port, encoding, Segment(self.folded, front, port.name, target), order=order,
                    channels=dims[-1])

    def _layout(self, found: Cut) -> tuple[tuple[int, ...], np.ndarray]:
        """Return the dims of the first stream, and the element of it that each of a tensor's is.

        It is what the first window, pool or join takes for (H, W, C); a vector, if there is none.
        """
        folded, source = self.folded, found.source
        for node in found.joints:
            for name in folded.dynamic_inputs(node):
                dims = folded.dims[name]
                if found.roots[name] != source or node.op_type in PRODUCTS or len(dims) < 3:
                    continue
                chain = found.way(name)
                try:
                    order = order_of(chain, folded)
                    image = image_dims(node, dims)
                except Problem:
                    continue             # told when the joint is lowered
                place = np.empty_like(order)
                place[order] = image_order(image)
                return image, place
        size = int(np.prod(folded.dims[source])) // folded.model.input.dims[0]
        return (size,), np.arange(size)

    def _tail(self, found: Cut) -> Tail | None:
        """Return the tail: all behind the last quantizer, or else behind the last joint."""
        o = self.folded.model.output
        chain = found.chains.get(o, Chain([], o, o))
        source = self._source(chain.source, found)
        if source is None or self.problems:
            return None
        k = chain.quantizer()
        if k is not None:
            front, chain = chain.split(k)
            self._refused(partial(check_elementwise, front.nodes, self.folded))
            source = self._refused(partial(activated, self.draft, source, front, alone=True))
        assert source is not None
        if any(source.pads):
            refuse(self.file, [Problem(self.folded.nodes[-1], "a Pad stands behind the last layer; "
                                       "take it out, and pad on the host")])
        if self.top is not None and self.draft.layers:
            self._refused(partial(self._ranked, source, chain, self.top))
            return Tail()
        for node in chain.nodes:
            dropped = node.op_type in ("Softmax", "LogSoftmax")
            self.draft.became([node], "the host, behind", "dropped from the hardware; the host "
                              "applies it" if dropped else "")
        segment = Segment(self.folded, chain.nodes, chain.source, chain.target)
        return Tail(source.encoding, source.order, segment)

    def _ranked(self, source: Source, chain: Chain, top: int) -> None:
        """End the network with the indices of the greatest outputs."""
        node = chain.nodes[-1] if chain.nodes else self.folded.nodes[-1]
        if source.stream.vectors != 1:
            raise Problem(node, f"top {top} of outputs {list(source.stream.dims)}; one vector is "
                                "expected")
        ranking(self.draft, source.seen_as((source.stream.channels,), node), chain, top)
