"""Picture: a network laid out as layers of a graph, in columns that a page may set side by side.

Every unit stands in the row of its longest path from the input. A stream that skips rows passes
them as a line of its own. Rows are ordered by the mean place of their neighbours, and units set as
near to that place as those beside them let them.

Between two rows that one stream alone joins the picture may be cut: it comes as columns of about
the same height.
"""

from dataclasses import dataclass, field
from math import ceil
from typing import Any

__all__ = ["Column", "Line", "Node", "picture"]

BOX, BOX_HEIGHT = 172.0, 54.0           # a layer
MARK_HEIGHT = 17.0                      # a FIFO, a width converter
DOT = 8.0                               # a fork
LETTER = 5.7                            # width of a letter of a mark, at the most
LANE = 14.0                             # a stream that passes a row
APART = 12.0                            # between neighbours of a row
GAP, LABELLED = 16.0, 30.0              # between rows; where a stream in between is labelled
EDGE = 6.0                              # around a column
COLUMNS, LEAST, MOST = 4, 340.0, 1000.0  # columns to aim at, and limits of their height
TURNS, SWEEPS = 8, 60                   # over all rows, to order and to place them
STRAIGHT = 8.0                          # weight of units end to end, against 1 at a fork or a join


@dataclass(eq=False)
class Node:
    """A unit, an end of the network, or (``unit`` None) a stream that passes a row.

    ``kind`` is "box", "mark", "dot" or "lane"; x and y are those of its middle. ``room`` is the
    width that it keeps free, for what is written beside it.
    """

    kind: str
    width: float
    height: float
    unit: dict[str, Any] | None = None
    text: str = ""
    row: int = 0
    x: float = 0.0
    y: float = 0.0
    room: float = 0.0
    above: list["Node"] = field(default_factory=list)
    below: list["Node"] = field(default_factory=list)


@dataclass(frozen=True)
class Line:
    """A stream as it is drawn: the path, what is written beside it and where, and all about it.

    ``left`` tells whether the label ends at x, and does not begin there.
    """

    path: str
    title: str
    label: str = ""
    x: float = 0.0
    y: float = 0.0
    left: bool = False


@dataclass(frozen=True)
class Column:
    """Nodes and lines of one column; ``left`` and ``top`` are the origin of its drawing."""

    left: float
    top: float
    width: float
    height: float
    nodes: list[Node]
    lines: list[Line]


@dataclass(eq=False)
class _Stream:
    """An edge of the report, and the nodes that it leads through."""

    edge: dict[str, Any]
    nodes: list[Node]
    label: str


def picture(report: dict[str, Any]) -> list[Column]:
    """Lay out the units and edges of a report."""
    edges = report.get("edges") or _chain(report["layers"])
    nodes = {unit["name"]: _node(unit) for unit in report["layers"]}
    first, last = _ends(report)
    streams, rows = _rows(nodes, edges, first, last)
    _order(rows)
    _place(rows)
    heights = _stack(rows, streams)
    return [_column(rows[start:stop], streams) for start, stop in _cut(rows, streams, heights)]


def _chain(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the edges of a report that tells of none: units end to end."""
    ports = [None, *([layer["name"], "o"] for layer in layers)]
    targets = [*([layer["name"], "i"] for layer in layers), None]
    streams = [layer.get("i") or {} for layer in layers] + [layers[-1].get("o") or {}]
    return [{"source": source, "target": target, **stream}
            for source, target, stream in zip(ports, targets, streams, strict=True)]


def _node(unit: dict[str, Any]) -> Node:
    if unit["kind"] == "fork":
        return Node("dot", DOT, DOT, unit)
    if unit["kind"] == "fifo":
        return _mark(f"{unit['depth']:,} deep", unit)
    if unit["kind"] == "width" and unit.get("i") and unit.get("o"):
        return _mark(f"{unit['i']['lanes']} → {unit['o']['lanes']}", unit)
    return Node("box", BOX, BOX_HEIGHT, unit)


def _mark(text: str, unit: dict[str, Any] | None = None) -> Node:
    return Node("mark", LETTER * len(text) + 14, MARK_HEIGHT, unit, text)


def _ends(report: dict[str, Any]) -> tuple[Node, Node]:
    """Return the nodes of the network's own streams."""
    i, o = (report["layers"][k].get(side) or {} for k, side in ((0, "i"), (-1, "o")))
    return _mark(" ".join(["in", _dims(i)]).strip()), _mark(" ".join(["out", _dims(o)]).strip())


def _dims(stream: dict[str, Any]) -> str:
    return " × ".join(f"{size:,}" for size in stream.get("dims", []))


def _rows(nodes: dict[str, Node], edges: list[dict[str, Any]], first: Node, last: Node) -> tuple[
        list[_Stream], list[list[Node]]]:
    """Put every node into its row; lead streams through the rows that they pass."""
    ends = []
    for edge in edges:
        source, target = edge["source"], edge["target"]
        ends.append((nodes[source[0]] if source else first, nodes[target[0]] if target else last))
    # Units come after those that feed them.
    for node in (*nodes.values(), last):
        node.row = max((source.row + 1 for source, target in ends if target is node), default=0)
    rows: list[list[Node]] = [[] for _ in range(max(n.row for n in (*nodes.values(), last)) + 1)]
    for node in (first, *nodes.values(), last):
        rows[node.row].append(node)
    streams = []
    for edge, (source, target) in zip(edges, ends, strict=True):
        way = [source, *(Node("lane", LANE, 0, row=row)
                         for row in range(source.row + 1, target.row)), target]
        for node in way[1:-1]:
            rows[node.row].append(node)
        for above, below in zip(way, way[1:], strict=False):
            above.below.append(below)
            below.above.append(above)
        new = source.kind == "box" or source is first or source.unit and (
            source.unit["kind"] == "width")
        label = f"{edge['lanes']} × {edge['bits']} bit" if new and "lanes" in edge else ""
        if label and target.row == source.row + 1:
            source.room = 2 * (8 + LETTER * len(label))
        streams.append(_Stream(edge, way, label))
    return streams, rows


def _order(rows: list[list[Node]]) -> None:
    """Order each row by where its neighbours are, from above and from below by turns."""
    for sweep in range(TURNS):
        down = sweep % 2 == 0
        for row in rows if down else reversed(rows):
            places = {node: k for k, node in enumerate(row)}

            def mean(node: Node, down=down, places=places) -> float:
                beside = node.above if down else node.below
                return (sum(each.x for each in beside) / len(beside)) if beside else places[node]

            row.sort(key=mean)
            for k, node in enumerate(row):
                node.x = k - (len(row) - 1) / 2


def _place(rows: list[list[Node]]) -> None:
    """Set x: as near to the mean of the neighbours as the order and the widths of a row let."""
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _spread(row, [_wanted(node) for node in row])
    # Then straight, and apart, by turns, until it is both.
    straights = _straights(rows)
    for _ in range(SWEEPS):
        for nodes in straights:
            x = sum(node.x for node in nodes) / len(nodes)
            for node in nodes:
                node.x = x
        for row in rows:
            _spread(row, [node.x for node in row])


def _straights(rows: list[list[Node]]) -> list[list[Node]]:
    """Return the runs of nodes end to end."""
    runs: dict[Node, list[Node]] = {}
    for node in (node for row in rows for node in row):
        alone = len(node.above) == 1 and len(node.above[0].below) == 1
        runs[node] = runs[node.above[0]] if alone else []
        runs[node].append(node)
    return [run for node, run in runs.items() if run[0] is node]


def _wanted(node: Node) -> float:
    """Return the mean place of the neighbours; what is end to end wants to be straight."""
    total = weights = 0.0
    for above, below in (*((each, node) for each in node.above),
                         *((node, each) for each in node.below)):
        weight = STRAIGHT if len(above.below) == len(below.above) == 1 else 1.0
        total += weight * (above.x + below.x - node.x)
        weights += weight
    return total / weights if weights else node.x


def _spread(row: list[Node], wanted: list[float]) -> None:
    """Set x of a row, least squares from what is wanted: isotonic regression of the slack."""
    offsets: list[float] = []
    blocks: list[tuple[float, int]] = []     # of equal slack: how much, and for how many
    before = None
    for node, want in zip(row, wanted, strict=True):
        # What is written beside a node stands to its right.
        apart = (max(before.width, before.room) + node.width) / 2 + APART if before else 0.0
        offsets.append(offsets[-1] + apart if offsets else 0.0)
        blocks.append((want - offsets[-1], 1))
        before = node
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (a, m), (b, n) = blocks[-2:]
            blocks[-2:] = [((a * m + b * n) / (m + n), m + n)]
    slack = [value for value, count in blocks for _ in range(count)]
    for node, offset, shift in zip(row, offsets, slack, strict=True):
        node.x = offset + shift


def _stack(rows: list[list[Node]], streams: list[_Stream]) -> list[float]:
    """Set y; return the bottom of every row."""
    labelled = {stream.nodes[0].row for stream in streams if stream.label}
    bottoms, y = [], 0.0
    for k, row in enumerate(rows):
        height = max(node.height for node in row)
        for node in row:
            node.y = y + height / 2
        bottoms.append(y + height)
        y += height + (LABELLED if k in labelled else GAP)
    return bottoms


def _cut(rows: list[list[Node]], streams: list[_Stream], bottoms: list[float]) -> list[
        tuple[int, int]]:
    """Choose columns: runs of rows, parted where one stream alone passes."""
    crossing = [0] * len(rows)
    for stream in streams:
        for node in stream.nodes[:-1]:
            crossing[node.row] += 1
    # Not between a layer and what stands on its stream: a column begins with a layer's output, and
    # holds a layer.
    boxes = [k for k, row in enumerate(rows) if any(node.kind == "box" for node in row)]
    after = [k for k in boxes[:-1] if crossing[k] == 1]
    most = min(max(bottoms[-1] / COLUMNS, LEAST), MOST)
    count = ceil(bottoms[-1] / most)
    while True:
        columns = _fill([*after, len(rows) - 1], bottoms, most)
        if len(columns) <= count or most > bottoms[-1]:
            return columns
        # Rows are not of a size: a little more for each, rather than a column for the rest.
        most *= 1.04
        if most > 1.2 * MOST:
            count, most = count + 1, MOST


def _fill(after: list[int], bottoms: list[float], most: float) -> list[tuple[int, int]]:
    """Fill columns up to a height: they may end after these rows."""
    columns, start, last = [], 0, None
    for k in after:
        top = bottoms[start - 1] if start else 0.0
        if last is not None and bottoms[k] - top > most:
            columns.append((start, last + 1))
            start = last + 1
        last = k
    return [*columns, (start, len(bottoms))]


def _column(rows: list[list[Node]], streams: list[_Stream]) -> Column:
    """Draw some rows, and the streams that lead to or through them."""
    first, last = rows[0][0].row, rows[-1][0].row
    nodes = [node for row in rows for node in row if node.kind != "lane"]
    lines = []
    cut_above = cut_below = False
    for stream in streams:
        begin, end = stream.nodes[0].row, stream.nodes[-1].row
        if end < first or begin > last:
            continue
        if begin < first:
            cut_above = True
            lines.append(_line(stream, streams, stub=True))
        elif end > last:
            cut_below = True
            lines.append(_tail(stream))
        else:
            lines.append(_line(stream, streams))
    every = [node for row in rows for node in row]
    left = min(node.x - node.width / 2 for node in every) - EDGE
    right = max(node.x + node.width / 2 for node in every) + EDGE
    top = min(node.y - node.height / 2 for node in every) - (LABELLED if cut_above else EDGE)
    bottom = max(node.y + node.height / 2 for node in every) + (GAP if cut_below else EDGE)
    return Column(left, top, right - left, bottom - top, nodes, lines)


def _title(stream: _Stream) -> str:
    """Say all of a stream."""
    source, target = stream.edge["source"], stream.edge["target"]
    bits = f": {stream.edge['lanes']} × {stream.edge['bits']} bit" if "lanes" in stream.edge else ""
    return (f"{'.'.join(source) if source else 'the input'} to "
            f"{'.'.join(target) if target else 'the output'}{bits}")


def _line(stream: _Stream, streams: list[_Stream], *, stub: bool = False) -> Line:
    """Draw a stream from node to node, an arrowhead at its end; of a ``stub`` the end alone."""
    source, target = stream.nodes[0], stream.nodes[-1]
    # Several streams into a unit arrive side by side, in the order in which they come from.
    arriving = sorted((each for each in streams if each.nodes[-1] is target),
                      key=lambda each: each.nodes[-2].x)
    shift = (arriving.index(stream) - (len(arriving) - 1) / 2) * 22
    x, y = target.x + shift, target.y - target.height / 2
    if stub:
        path = f"M{x:.1f} {y - LABELLED:.1f}V{y:.1f}"
        return Line(path + _head(x, y), _title(stream), stream.label, x + 6, y - LABELLED / 2)
    at_x, at_y = source.x, source.y + source.height / 2
    path, label_y = f"M{at_x:.1f} {at_y:.1f}", at_y + 13
    # The label keeps out of a bend's way.
    left = (stream.nodes[1].x if len(stream.nodes) > 2 else x) > source.x + 1
    for node in stream.nodes[1:-1]:
        path += _bend(at_x, at_y, node.x, node.y)
        at_x, at_y = node.x, node.y
    path += _bend(at_x, at_y, x, y)
    return Line(path + _head(x, y), _title(stream), stream.label,
                source.x + (-6 if left else 6), label_y, left)


def _bend(x: float, y: float, to_x: float, to_y: float) -> str:
    if abs(x - to_x) < 0.05:
        return f"V{to_y:.1f}"
    middle = (y + to_y) / 2
    return f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}"


def _head(x: float, y: float) -> str:
    return f"M{x - 3.5:.1f} {y - 5:.1f}L{x:.1f} {y:.1f}L{x + 3.5:.1f} {y - 5:.1f}"


def _tail(stream: _Stream) -> Line:
    """Draw the beginning of a stream that goes on in the next column."""
    source = stream.nodes[0]
    y = source.y + source.height / 2
    return Line(f"M{source.x:.1f} {y:.1f}v{GAP:.1f}", _title(stream))
