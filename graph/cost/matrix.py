"""Cost of the matrix-vector-threshold unit, part by part as `rtl/mvtu.py` lays it."""

from math import ceil

from quinnoa.rtl.families import FAMILIES
from quinnoa.rtl.weights import block_is_cheaper

from .amounts import Parts
from .arithmetic import added, has_lut4, ordered
from .banks import bank
from .control import bits_of, block_rom, counter, flag_ff, outlet, ram
from .dots import accumulator_sites, tree
from .facts import Facts
from .memories import distinct, rom_luts
from .plain import plain
from .written import connected, written, written_style

__all__ = ["mvtu", "rom", "rom_latency"]

# Constants of the rows that are written with the weights.
_WRITTEN = ("start", "compare", "falls", "rest")


def rom_latency(depth: int, width: int, columns: float, style: str, family: str) -> int:
    """Return the latency of a ``WeightMemory``: 0 where it is constant or logic."""
    if depth == 1 or not columns or style == "logic":
        return 0
    if style == "auto":
        cheaper = block_is_cheaper(depth, width, family=FAMILIES[family])
        style = "block" if cheaper else "lutrom"
    return 2 if style == "block" else 1


def rom(parts: Parts, part: str, depth: int, varied: float, columns: float, latency: int,
        family: str) -> None:
    """Add a ``WeightMemory`` of that latency.

    Of its bits ``varied`` are not the same in all words, and ``columns`` of these differ.
    """
    if depth == 1 or not columns:
        return
    if latency == 2:
        # Synthesis leaves out what is the same in all words.
        block_rom(parts, depth, ceil(varied), family)
        return
    luts = rom_luts(depth, columns, family)
    parts.add("deep" if depth > 64 else part, luts, columns * latency)


def mvtu(facts: Facts, pe: int, simd: int, memory: str, family: str, *,
         style: str = "auto", exact: bool = True) -> Parts:
    """Return the parts of an MVTU that is folded in time."""
    parts = Parts()
    nf, sf = ceil(facts.mh / pe), ceil(facts.mw / simd)
    width, steps = facts.width, facts.steps

    # Weights.
    word = pe * simd * facts.w_bits
    columns = distinct(nf * sf, word)
    if facts.writable:
        weights_at = written(parts, nf * sf, word, written_style(nf * sf, word, memory, family),
                             family)
        connected(parts, [(nf * sf, word), *(
            (nf, pe * values.shape[1] * bits) for name, (values, bits) in facts.constants.items()
            if name in _WRITTEN)])
    else:
        weights_at = rom_latency(nf * sf, word, columns, memory, family)
        rom(parts, "weights", nf * sf, word, columns, weights_at, family)

    # Operands.
    x = simd * facts.x_bits
    deep = nf > 1 and block_is_cheaper(sf, x, written=True, family=FAMILIES[family])
    replay_at = 0 if nf == 1 else 1 if sf == 1 else 2 + deep
    operands_at = max(replay_at, weights_at)
    # What addresses a ROM in LUTs itself is counted without a carry chain.
    direct = operands_at == weights_at == 1 and not facts.writable
    parts.ff += x * (operands_at - replay_at)
    if nf > 1:
        _replay(parts, sf, x, deep, family)

    # Dot products and accumulators.
    if FAMILIES[family].lut6:
        dot = tree(simd, facts.x_shape, facts.w_shape, width, 2, exact)
        parts.exact += pe * (dot.sites + accumulator_sites(dot.heights, width) + dot.srl)
        parts.exact += dot.shared_srl
        parts.ff += pe * (dot.ff + width) + dot.shared_ff
        init_at = dot.latency
    else:
        init_at = plain(parts, pe, simd, facts.x_shape, facts.w_shape, width, family)
        parts.exact += pe * (width + added(width, family))
        parts.ff += pe * width
    parts.add("pe", pe)

    # Control.
    parts.add("control", 6)
    counter(parts, sf, family, addresses=direct)
    counter(parts, nf, family, addresses=direct)
    parts.ff += flag_ff(sf) + flag_ff(nf)
    address = bits_of(nf) + bits_of(sf)
    if nf > 1 and sf & (sf - 1):
        address = counter(parts, nf * sf, family, addresses=True)
    parts.ff += address * (operands_at - weights_at) * (nf * sf > 1)
    parts.ff += (1 + (sf > 1)) * (operands_at + init_at)

    # What the rows are compared with, their counts, and out.
    start_at = operands_at + init_at
    levels = _levels(steps)
    searches = facts.searches(style)
    beat_at = start_at + 1 + (facts.bank(pe, family, exact)[0].latency if searches else
                              (steps > 1) + len(levels[1:]))
    parts.ff += beat_at
    _constants(parts, facts, nf, pe, start_at, beat_at, family, searches)
    if searches:
        bank(parts, *facts.bank(pe, family, exact), family)
    else:
        _count(parts, facts, pe, nf, levels, family)
    outlet(parts, pe * facts.y_bits, beat_at, family, sf)
    return parts


def _replay(parts: Parts, sf: int, x: int, deep: bool, family: str) -> None:
    """Add the memory of the beats of a vector."""
    if sf == 1:
        parts.ff += x
        return
    ram(parts, sf, x, family, deep=deep)
    # The address; and behind block RAM a second register.
    parts.ff += bits_of(sf) + x * deep


def _constants(parts: Parts, facts: Facts, nf: int, pe: int, start_at: int, beat_at: int,
               family: str, searches: bool) -> None:
    """Add the constants of the rows, and the counter that reads them."""
    if nf == 1 and not facts.writable:
        return
    wanted = {"start": start_at, "compare": start_at + 1, "falls": start_at + 1, "base": beat_at,
              "rest": start_at + 1}
    found = {name: facts.columns(name, pe) for name in facts.constants
             if name == "start" or not searches}
    latency = {}
    for name, (width, varied, columns) in found.items():
        if facts.writable and name in _WRITTEN:
            latency[name] = written(parts, nf, width, written_style(nf, width, "auto", family),
                                    family)
            if name == "compare" and nf > 1:
                # The middle step is the top bit: what is kept for it is not read.
                parts.ff -= pe * facts.width
        else:
            latency[name] = rom_latency(nf, width, columns, "auto", family)
            rom(parts, "constants", nf, varied, columns, latency[name], family)
    asked = {name: wanted[name] - cycles for name, cycles in latency.items() if cycles}
    if searches:
        asked["group"] = start_at + 1
    elif nf * pe > facts.mh:
        parts.add("constants", 1, 1)
        parts.add("full", (nf * pe - facts.mh) * facts.y_bits)
        asked["full"] = beat_at - 1
    if asked:
        bits = counter(parts, nf, family, addresses=True)
        parts.ff += bits * (max(asked.values()) - min(asked.values()))


def _levels(steps: int) -> list[int]:
    """Return how many terms each level adds, as ``rtl.mvtu`` counts."""
    levels, terms = [6], ceil(steps / 6)
    while terms > 1:
        levels.append(3)
        terms = ceil(terms / 3)
    return levels


def _count(parts: Parts, facts: Facts, pe: int, nf: int, levels: list[int],
           family: str) -> None:
    """Add comparisons with all steps but the middle one, and their count."""
    steps, width = facts.steps, facts.width
    if not steps:
        return
    if steps > 1:
        varied = facts.columns("compare", pe)[1] if nf > 1 else 0
        if facts.writable:
            varied = pe * (steps - 1) * width
        if has_lut4(family):
            some = "compare" if varied else "compare_fixed"
            parts.add(some, pe * (steps - 1) * ordered(width, family))
        else:
            parts.add("compare", varied / 2)
            parts.add("compare_fixed", (pe * (steps - 1) * width - varied) / 4)
        parts.add("carried", pe * (steps - 1))
        parts.ff += pe * steps
        # Six bits or fewer are a LUT for each bit of their count; then counts are added.
        groups = [min(6, steps - k) for k in range(0, steps, 6)]
        bits = sum(n.bit_length() for n in groups if n > 1)
        parts.add("count", pe * bits)
        if len(levels) > 1:
            parts.ff += pe * sum(n.bit_length() for n in groups)
            parts.add("count", pe * facts.y_bits * (len(groups) - 1) / 2)
    if "base" in facts.constants:
        parts.add("base", pe * facts.y_bits)
    if "falls" in facts.constants:
        parts.add("falls", pe * steps)
