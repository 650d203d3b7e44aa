"""Dot products: LUT sites, registers and stages of compressor trees, without laying them all out.

`rtl.compressor.sum_plan` tries dozens of trees for the best; here are two, and large ones are taken
to grow with their lanes: within 1 % of the best for 1 to 72 lanes of 1 to 32 bit products.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import log2

from amaranth import Shape, ShapeCastable

from quinnoa.rtl.compressor import accumulate_plan, best_plan, dot_heap, sum_plan
from quinnoa.rtl.plan import ONE, ZERO, Lut, Plan
from quinnoa.rtl.raw import bit_weights

__all__ = ["Tree", "accumulator_sites", "tree"]

# Bit products from which on sites and registers grow with the lanes, and trees tried up to there.
_ENOUGH, _TRIES = 384, 3


@dataclass(frozen=True)
class Tree:
    """A dot product down to two rows.

    Attributes
    ----------
    sites : float
        LUT sites.
    latency : int
        Stages.
    heights : tuple of int
        Bits of every column of the result.
    ff, shared_ff : float
        Registers of its own; and of its inputs of x, which all trees of the same x share.
    srl, shared_srl : float
        Shift registers that synthesis makes of three and more in a row, instead of them.
    """

    sites: float
    latency: int
    heights: tuple[int, ...]
    ff: float
    shared_ff: float
    srl: float
    shared_srl: float


@lru_cache(maxsize=1 << 12)
def tree(simd: int, x_shape: Shape | ShapeCastable, w_shape: Shape | ShapeCastable, width: int,
         rows: int, exact: bool = True) -> Tree:
    """Return the tree of a dot product of ``simd`` lanes modulo ``2**width``.

    The very one that is laid, which takes up to a second to find, or one much like it.
    """
    lanes = simd
    if exact:
        plan = sum_plan(simd, x_shape, w_shape, width, rows=rows)
    else:
        few = max(1, _ENOUGH // len(bit_weights(x_shape, w_shape)))
        lanes = simd if simd <= 1.25 * few else few
        plan = _plan(lanes, x_shape, w_shape, width, rows)
    own, shared, own_srl, shared_srl = _registers(plan, lanes * _bits(x_shape))
    scale = simd / lanes
    latency, heights = plan.latency, plan.heights
    if scale > 1:
        # Twice the lanes, some stages more.
        latency = round(latency + log2(scale))
    return Tree(plan.sites * scale, latency, heights, own * scale, shared * scale,
                own_srl * scale, shared_srl * scale)


def _bits(shape: Shape | ShapeCastable) -> int:
    return Shape.cast(shape).width


def _plan(simd: int, x_shape: Shape | ShapeCastable, w_shape: Shape | ShapeCastable, width: int,
          rows: int) -> Plan:
    heap = dot_heap(simd, x_shape, w_shape, width)
    return best_plan(range(_TRIES), heap, width, rows)


def _registers(plan: Plan, x_nets: int) -> tuple[int, int, int, int]:
    """Count a plan's flip-flops and shift registers: its own and those of its inputs of x."""
    made = {2 + k: 0 for k in range(plan.inputs)}
    reads: dict[int, set[int]] = {}
    for t, stage in enumerate(plan.stages):
        for primitive in stage:
            if isinstance(primitive, Lut):
                used = primitive.inputs
            else:
                used = (*primitive.s, *primitive.di, primitive.ci)
            for n in used:
                reads.setdefault(n, set()).add(t)
            made |= dict.fromkeys(primitive.makes, t + 1)
    for n in (n for column in plan.outputs for n in column):
        reads.setdefault(n, set()).add(plan.latency)
    ff, srl = [0, 0], [0, 0]
    for n, ends in reads.items():
        if n in (ZERO, ONE):
            continue
        is_input = n < 2 + plan.inputs
        shared = is_input and n < 2 + x_nets
        # Of what a stage makes the register is behind it.
        at = 0 if is_input else made[n] - 1
        for end in sorted(ends):
            run = end - at
            if run >= 3:
                srl[shared] += 1
            elif run > 0:
                ff[shared] += run
            at = max(at, end)
    return ff[0], ff[1], srl[0], srl[1]


@lru_cache(maxsize=1 << 12)
def accumulator_sites(heights: tuple[int, ...], width: int) -> int:
    """Return the LUT sites that add two rows to a sum or to its start."""
    return accumulate_plan(heights[:width], width, True).sites
