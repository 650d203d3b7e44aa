"""Cut: the graph as joints and the chains between them.

A joint is a node that is more than element by element: a product, a pool, a join of branches. A
chain leads from one joint's output to what the next one reads. Where an output goes several ways,
the chain ends with the last quantizer that all ways pass, and each way goes on from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import onnx

from .chains import Chain, common_quantizer, live_tensors
from .constants import Folded
from .operators import JOINTS

__all__ = ["Cut", "cut"]


@dataclass(eq=False)
class Cut:
    """Joints and chains.

    Attributes
    ----------
    source : str
        The tensor that all begins with.
    joints : list of NodeProto
        In order.
    chains : dict of str to Chain
        By their targets: a joint's inputs, the model's output, and where ways part.
    roots : dict of str to str
        For each tensor the joint's output, or ``source``, that it is a function of.
    readers : dict of str to int
        How many chains and joints read a tensor.
    """

    source: str
    joints: list[onnx.NodeProto] = field(default_factory=list)
    chains: dict[str, Chain] = field(default_factory=dict)
    roots: dict[str, str] = field(default_factory=dict)
    readers: dict[str, int] = field(default_factory=dict)

    def way(self, target: str) -> Chain:
        """Return all nodes from the root of a tensor to it, as one chain."""
        nodes: list[onnx.NodeProto] = []
        name = target
        while name in self.chains:
            nodes = [*self.chains[name].nodes, *nodes]
            name = self.chains[name].source
        return Chain(nodes, name, target)


def cut(nodes: Sequence[onnx.NodeProto], source: str, folded: Folded) -> Cut:
    """Cut the nodes behind tensor ``source``, on which alone they depend."""
    found = Cut(source, roots={source: source})
    inside: dict[str, list[onnx.NodeProto]] = {}
    targets: dict[str, list[str]] = {}
    for node in nodes:
        read = folded.dynamic_inputs(node)
        roots = {found.roots[name] for name in read}
        if node.op_type in JOINTS or len(roots) > 1:
            found.joints.append(node)
            found.roots.update({name: name for name in node.output if name})
            for name in read:
                targets.setdefault(found.roots[name], []).append(name)
        else:
            root = roots.pop()
            inside.setdefault(root, []).append(node)
            found.roots.update({name: root for name in node.output if name})
    o = folded.model.output
    targets.setdefault(found.roots[o], []).append(o)
    for root, names in targets.items():
        found.readers[root] = names.count(root)
        _part(inside.get(root, []), root, list(dict.fromkeys(names)), found)
    return found


def _part(nodes: list[onnx.NodeProto], source: str, targets: list[str], found: Cut) -> None:
    """Lay the chains from ``source`` to ``targets`` through ``nodes``."""
    parting = len(targets) > 1 and source not in targets
    targets = [name for name in targets if name != source]
    nodes = _leading(nodes, targets)
    last = common_quantizer(nodes, source, targets) if parting else None
    if last is not None:
        live = list(live_tensors(nodes, source, targets))
        last = max(k for k in range(last, len(nodes)) if len(live[k]) == 1)
        middle = nodes[last].output[0]
        found.chains[middle] = Chain(nodes[:last + 1], source, middle)
        found.readers[source] = found.readers.get(source, 0) + 1
        found.readers[middle] = int(middle in targets)
        _part(nodes[last + 1:], middle, targets, found)
        return
    groups = _apart(nodes, source, targets)
    for group in groups:
        if len(group) > 1 and len(groups) > 1:
            _part(nodes, source, group, found)
            continue
        for name in group:
            found.chains[name] = Chain(_leading(nodes, [name]), source, name)
            found.readers[source] = found.readers.get(source, 0) + 1


def _leading(nodes: list[onnx.NodeProto], targets: list[str]) -> list[onnx.NodeProto]:
    """Return the nodes that lead to targets."""
    needed, kept = set(targets), []
    for node in reversed(nodes):
        if needed.intersection(node.output):
            needed.update(node.input)
            kept.append(node)
    return kept[::-1]


def _apart(nodes: list[onnx.NodeProto], source: str, targets: list[str]) -> list[list[str]]:
    """Group targets: those of one group share nodes on their way from ``source``."""
    groups: list[tuple[set[int], list[str]]] = []
    for name in targets:
        way, names = {id(node) for node in _leading(nodes, [name])}, [name]
        for other in [group for group in groups if way & group[0]]:
            groups.remove(other)
            way, names = way | other[0], [*other[1], *names]
        groups.append((way, names))
    return [names for _, names in groups]
