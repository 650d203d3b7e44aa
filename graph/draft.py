"""Draft: the network in the making: its layers so far, and what became of the file's nodes."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import onnx

from .constants import Finding, Folded
from .layers import Layer, Stream
from .network import Sum, Tap
from .products import Product
from .read import label, printable
from .source import Source

__all__ = ["Draft"]


class Draft:
    """Layers in order, taps, sums, and the fates of nodes.

    Parameters
    ----------
    folded : Folded
    moved : dict of str to NodeProto
        Nodes of the file that stand elsewhere now, by the tensor that each makes there.
    behind : set of str
        Quantizers' tensors in the file that something else makes now.
    """

    def __init__(self, folded: Folded, moved: dict[str, onnx.NodeProto], behind: set[str]) -> None:
        self.folded, self.moved, self.behind = folded, moved, behind
        self.wanted = {folded.model.output, *(name for node in folded.nodes for name in node.input)}
        self.tensors = {name for node in folded.model.nodes for name in node.output}
        self.layers: list[Layer] = []
        self.taps: list[Tap] = []
        self.sums: list[Sum] = []
        self.products: dict[str, Product] = {}
        self.fates: dict[int, Finding] = {}

    def name(self, kind: str) -> str:
        """Return the name of the next layer of a kind."""
        return f"{kind}{sum(layer.kind == kind for layer in self.layers)}"

    def lay(self, make: type[Layer], sources: Sequence[Source], o: Stream, source: str,
            **parameters: Any) -> str:
        """Lay a layer that reads ``sources``; return its name."""
        i, *more = (each.stream for each in sources)
        feeds = tuple(each.layer for each in sources)
        before = self.layers[-1].name if self.layers else ""
        self.layers.append(make(self.name(make.kind), i, o, source=source, more=tuple(more),
                                feeds=None if feeds == (before,) else feeds, **parameters))
        return self.layers[-1].name

    def layer(self, name: str) -> Layer | None:
        """Return a layer by its name; None for the network's input."""
        return next((layer for layer in self.layers if layer.name == name), None)

    def change(self, name: str, **parameters: Any) -> None:
        """Change parameters of a layer."""
        self.layers = [replace(layer, **parameters) if layer.name == name else layer
                       for layer in self.layers]

    def tap(self, tap: Tap) -> None:
        """Note where a quantizer's codes are, if its tensor is one of the file."""
        if tap.tensor in self.tensors:
            self.taps.append(tap)

    def became(self, nodes: Iterable[onnx.NodeProto], becomes: str, note: str = "") -> None:
        """Note what became of nodes."""
        for node in nodes:
            node = self.moved.get(node.output[0], node)
            self.fates[id(node)] = Finding(label(node), printable(node.op_type), becomes, note)
