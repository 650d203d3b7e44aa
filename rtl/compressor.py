"""Compressor trees: bit heaps to a sum, as a plan of LUT6, LUT6_2 and carry-chain primitives."""

from functools import cache
from math import inf
from random import Random

from .builder import (
    AND,
    GATED,
    NAND,
    STARTED,
    XNOR,
    XOR,
    Builder,
    Term,
    first_of,
    half,
    is_one,
    is_two,
    parity,
    second_of,
)
from .plan import ZERO
from .raw import bit_weights
from .shapes import is_bipolar

__all__ = ["accumulate_plan", "best_plan", "dot_heap", "sum_plan"]

# Most LUTs one after another in a stage, the last of them driving a carry chain.
DEPTH = 3
# Full adders one after another in the stages that form the terms.
CHAINED = 2
# Stages that the first levels take.
_STAGES = (1, 2)


def _inputs(terms):
    return len(set().union(*[t.nets for t in terms]))


def _count(builder, terms):
    """Lay a counter of two or three terms, one site if they have five inputs; return (1, 2)."""
    if _inputs(terms) <= 5:
        nets = builder.lut([parity, half], terms)
    else:
        nets = *builder.lut([parity], terms), *builder.lut([half], terms)
    return [Term((net,)) for net in nets]


class _Counting:
    """The first levels: forms the terms and counts them, in chains of full adders.

    Two terms have four inputs, so that a LUT6_2 adds a fifth: the sum of the LUT before it. That
    is two terms a site, leaving a carry for each and one sum a chain. ``CHAINED`` adders follow one
    another in a stage; the terms of the next stage come a cycle late.
    """

    def __init__(self, heap, stages):
        self._chains, self._single = [], []
        for k, terms in enumerate(heap):
            links = [terms[j:j + 2] for j in range(len(terms) % 2, len(terms), 2)]
            if len(terms) % 2 and links:
                links[0] = [*links[0], terms[0]]
            elif len(terms) % 2:
                self._single.append((k, terms[0]))
            for j in range(0, len(links), stages * CHAINED):
                self._chains.append((k, None, links[j:j + stages * CHAINED]))

    def __bool__(self):
        return bool(self._chains or self._single)

    def copy(self):
        """Return another one that goes on from here."""
        other = _Counting((), 1)
        other._chains, other._single = [*self._chains], [*self._single]
        return other

    def lay(self, builder, following):
        """Lay what fits one stage, with its results in ``following``."""
        chains, self._chains = self._chains, []
        for k, total, links in chains:
            for link in links[:CHAINED]:
                total, carry = _count(builder, [*link, total] if total else link)
                following[k + 1].append(carry)
            if links[CHAINED:]:
                self._chains.append((k, total, links[CHAINED:]))
            else:
                following[k].append(total)
        while self._single:
            pair, self._single = self._single[:2], self._single[2:]
            nets = builder.lut([first_of, second_of][:len(pair)], [pair[0][1]],
                               [term for _, term in pair[1:]])
            for (k, _), net in zip(pair, nets, strict=True):
                following[k].append(Term((net,)))


def _atoms(heights, k, rng):
    """Yield the atoms of a chain from column ``k`` up: (bits, bits one higher, places, carry in).

    A place is a LUT and a bit of the chain. Two places take 6 bits of a column, or 4 and 1 of the
    column above; the first atom takes one more as carry in where its LUT leaves the input free.
    """
    start = k
    while k < len(heights):
        h, g = heights[k], heights[k + 1] if k + 1 < len(heights) else 0
        first = k == start
        if h >= 6 and not (first and g and rng.random() < 0.15):
            yield k, 6, 0, 2, False
        elif h >= 5 and first and g:
            yield k, 5, 1, 2, True
        elif h >= 4:
            yield k, *((4, 1) if g else (min(h, 5), 0)), 2, False
        elif h == 3 and first:
            yield k, 3, 0, 1, True
            k -= 1
        elif h == 3 and g and rng.random() < 0.7:
            yield k, 3, 1, 2, False
        elif h >= 1:
            yield k, min(h, 2), 0, 1, False
            k -= 1
        else:
            return
        k += 2


def _best_chain(heights, excess, threshold, rng):
    """Return the chain that removes most bits a site, as (worth, atoms); None if none will do."""
    best = None
    for start in range(len(heights)):
        if heights[start] < 2:
            continue
        atoms, bits, places, high, useful = [], 0, 0, 0, False
        for atom in _atoms(heights, start, rng):
            k, low, up, size, _ = atom
            atoms.append(atom)
            bits, places = bits + low + up, places + size
            high += (low << (k - start)) + (up << (k - start + 1))
            useful |= k in excess or (up > 0 and k + 1 in excess)
            removed = bits - max(places, high.bit_length())
            worth = removed / places + 0.01 * places + 0.02 * rng.random()
            if useful and removed / places >= threshold and (best is None or worth > best[0]):
                best = worth, tuple(atoms), high
    return best


def _lay_chain(builder, atoms, high, columns, following):
    """Take the bits of ``atoms`` from ``columns`` and lay them as one carry chain."""
    start = atoms[0][0]
    s, di, ci = [], [], ZERO
    for k, low, up, size, carry_in in atoms:
        a = [columns[k].pop() for _ in range(low)]
        b = [columns[k + 1].pop() for _ in range(up)]
        if carry_in:
            # The bypass that feeds the chain's start cannot feed its first place as well.
            ci, = a.pop().nets
            nets = builder.lut([parity, second_of], a[:-1], a[-1:])
        else:
            nets = *builder.lut([parity], a), a[-1].nets[0] if len(a) > 1 else ZERO
        s.append(nets[0])
        di.append(nets[1])
        if size == 2:
            rest = a[:-1]
            if len(rest) // 2 + up > 1:
                nets = builder.lut([is_one, is_two], rest, b)
            else:
                nets = *builder.lut([is_one], rest, b), ZERO
            s.append(nets[0])
            di.append(nets[1])
    for j, net in enumerate(builder.chain(s, di, ci, high.bit_length() > len(s))):
        following[start + j].append(Term((net,)))


def _level(builder, columns, counting, limit, threshold, rng):
    """Compress once: chains of at least ``threshold`` while a column is higher than ``limit``."""
    builder.stage()
    columns = [list(column) for column in columns]
    following = [[] for _ in range(len(columns) + 2)]
    counting.lay(builder, following)
    laid = False
    while True:
        heights = [len(column) for column in columns]
        excess = {k for k, h in enumerate(heights) if h + len(following[k]) > limit}
        if not excess:
            break
        best = _best_chain(heights, excess, threshold, rng)
        if best is None and not laid:
            best = _best_chain(heights, excess, 0.01, rng)
        if best is None:
            break
        _, atoms, high = best
        _lay_chain(builder, atoms, high, columns, following)
        laid = True
    for k, column in enumerate(columns):
        following[k] += column
    while not following[-1]:
        following.pop()
    return following


def _final(builder, columns, width):
    """Add up to three terms a column in one carry chain; return the nets of the sum.

    Where a column has three, its majority goes on to the next column: the ternary adder. It is
    the second output of the column's LUT, and for timing analysis so depends on the majority
    before it; where that would make more than ``DEPTH`` LUTs in a row it has a LUT of its own.
    """
    high = sum(len(column) << k for k, column in enumerate(columns))
    width = min(width, high.bit_length())
    start = next((k for k, c in enumerate(columns)
                  if len(c) > 1 or any(len(t.nets) > 1 for t in c)), width)
    low = [c[0].nets[0] if c else ZERO for c in columns[:start]]
    if start >= width:
        return low[:width]
    s, di, ci, majority, depth = [], [], ZERO, None, 0
    for k in range(start, width):
        terms = list(columns[k]) if k < len(columns) else []
        raw = [t for t in terms if len(t.nets) == 1]
        if k == start and len(terms) == 3:
            # The third goes in as the carry; then the LUT must feed the first place as well.
            ci, = raw[1].nets
            nets = builder.lut([parity, second_of], [t for t in terms if t not in raw[:2]], raw[:1])
            s.append(nets[0])
            di.append(nets[1])
            continue
        carried = [Term((majority,))] if majority is not None else []
        # a + b + c + majority: the last bypasses the LUT; without one, a bit of the column does.
        bypass = majority if majority is not None else raw[-1].nets[0] if raw else ZERO
        split = len(terms) - (majority is None and bool(raw))
        if split >= 2 and k < width - 1:
            left = terms if majority is not None else [t for t in terms if t is not raw[-1]]
            other = carried or raw[-1:]
            depth = depth + 1 if carried else 1
            if _inputs([*left, *other]) <= 5 and depth < DEPTH:
                nets = builder.lut([parity, half], left, other)
            else:
                nets = *builder.lut([parity], left, other), *builder.lut([half], left)
                depth = 1
            majority = nets[1]
        else:
            nets = builder.lut([parity], [*terms, *carried]) if terms or carried else (ZERO,)
            majority = None
        s.append(nets[0])
        di.append(bypass)
    return low + builder.chain(s, di, ci, False)


def dot_heap(simd, x_shape, w_shape, width):
    """Return the heap of a dot product: the terms of every column below ``2**width``.

    Net ``2 + c*bx + i`` is bit i of x in lane c, and w follows x likewise. Bits of negative weight
    are inverted, as ``RawSum`` says.
    """
    weights = bit_weights(x_shape, w_shape)
    bw = 1 if is_bipolar(w_shape) else w_shape.width
    bx = len(weights) // bw
    straight, inverted = (XNOR, XOR) if is_bipolar(w_shape) else (AND, NAND)
    columns = [[] for _ in range(min(bx + bw - 1, width))]
    for n, (k, negative) in enumerate(weights):
        i, j = divmod(n, bw)
        if k < width:
            columns[k] += [Term((2 + c * bx + i, 2 + simd * bx + c * bw + j),
                                inverted if negative else straight) for c in range(simd)]
    return columns


@cache
def sum_plan(simd, x_shape, w_shape, width, rows=1):
    """Plan the dot product of ``dot_heap`` down to ``rows`` bits a column, 1 or 2, modulo 2**width.

    The best of some dozens of trees, found by chance from fixed seeds: fewest sites, with those
    that two rows cost an adder after it, then fewest stages.
    """
    heap = dot_heap(simd, x_shape, w_shape, width)
    bits = sum(map(len, heap))
    tries = range(max(4, min(120, 16000 // bits)))
    return best_plan(tries, heap, width, rows)


def best_plan(seeds, heap, width, rows):
    """Return the best of the plans of a heap that the ``seeds`` lead to."""
    starts = {stages: _first_level(heap, width, stages) for stages in _STAGES}
    plans = (_try_plan(seed, starts, width, rows) for seed in seeds)
    return min(plans, key=lambda plan: (plan.sites + sum(h > 1 for h in plan.heights[1:]),
                                        plan.latency))


def _first_level(heap, width, stages):
    """Form and count terms, where nothing is left to chance: builder, counting, columns."""
    builder = Builder(max(n for terms in heap for t in terms for n in t.nets) - 1)
    counting = _Counting(heap, stages)
    columns = _level(builder, [[] for _ in heap], counting, inf, 0, None)
    return builder, counting, columns[:width]


def _try_plan(seed, starts, width, rows):
    rng = Random(seed)
    threshold = rng.choice((0.5, 1.0, 1.2, 1.3, 1.5))
    limit = rows if rows > 1 else rng.choice((2, 3))
    builder, counting, columns = starts[rng.choice(_STAGES)]
    builder, counting, columns = builder.copy(), counting.copy(), [*columns]
    while counting or max(map(len, columns)) > limit:
        columns = _level(builder, columns, counting, limit, threshold, rng)[:width]
    if rows == 1:
        builder.stage()
        columns = [[Term((net,))] for net in _final(builder, columns, width)]
    while not columns[-1]:
        columns.pop()
    builder.plan.outputs = [[t.nets[0] for t in column] for column in columns]
    return builder.plan


@cache
def accumulate_plan(heights, width, init):
    """Plan ``sum' = (init if first else sum) + rows`` modulo 2**width, in one stage.

    Inputs: the rows, ``heights[k]`` bits of column k; the bits of sum; first; the bits of init, if
    there is one, else it is 0.
    """
    rows = sum(heights)
    builder = Builder(rows + width + 1 + init * width)
    nets = iter(range(2, 2 + rows))
    columns = [[Term((next(nets),)) for _ in range(h)] for h in heights]
    columns += [[] for _ in range(width - len(columns))]
    total, first, start = 2 + rows, 2 + rows + width, 3 + rows + width
    for k, column in enumerate(columns):
        column.append(Term((total + k, start + k, first), STARTED) if init
                      else Term((total + k, first), GATED))
    builder.stage()
    builder.plan.outputs = [[net] for net in _final(builder, columns, width)]
    return builder.plan
