"""Raw sums of a dot product in plain logic, pipelined: for any device."""

import operator

from amaranth import C, Cat, Signal, unsigned

from .families import GENERIC
from .shapes import is_bipolar

__all__ = ["plain_latency", "plain_sum"]


def plain_latency(simd, x_shape, w_shape):
    """Return the cycles that ``plain_sum`` takes."""
    if is_bipolar(x_shape) and is_bipolar(w_shape):
        # A register after every second level of full adders, and one after the addition.
        return len(_heights(simd)[1::2]) + 1
    # A register after the products, and one after every second level of additions.
    return 1 + len(range(0, (simd - 1).bit_length(), 2))


def plain_sum(m, x, w, x_shape, w_shape, width, *, family=GENERIC):
    """Return the raw sum, as ``Dot`` has it, of the lanes of ``x`` and ``w``.

    ``family`` tells which products are sums of rows, and whether sums are kept apart.
    """
    if is_bipolar(x_shape) and is_bipolar(w_shape):
        return _popcount(m, ~(x.as_value() ^ w.as_value()), width, family.apart)
    terms = _products(m, x, w, x_shape, w_shape, family.narrow)
    return _sum(m, terms, width, family.apart)


def _products(m, x, w, x_shape, w_shape, narrow):
    """Return the term of every lane, as the table of ``Dot`` has it."""
    if is_bipolar(x_shape):
        terms = [x[c].replicate(w_shape.width) & w[c].as_unsigned() for c in range(len(x))]
        return [term.as_signed() for term in terms] if w_shape.signed else terms
    if is_bipolar(w_shape):
        terms = [~(w[c].replicate(x_shape.width) ^ x[c].as_unsigned()) for c in range(len(x))]
        return [term.as_signed() for term in terms] if x_shape.signed else terms
    if min(x_shape.width, w_shape.width) > narrow:
        return [x[c] * w[c] for c in range(len(x))]
    return [_rows(m, *sorted((x[c], w[c]), key=len)) for c in range(len(x))]


def _rows(m, a, b):
    """Return ``a * b``, a row of adders for each bit of ``a`` but the first."""
    # a * b = sum_k (a[k] * b) << k, less the last of them where a has a sign.
    total, signed_a = C(0, 1), a.shape().signed
    for k, bit in enumerate(a.as_unsigned()):
        row = bit.replicate(len(b)) & b.as_unsigned()
        row = (row.as_signed() if b.shape().signed else row) << k
        total = total - row if signed_a and k == len(a) - 1 else total + row if k else row
        if 0 < k < len(a) - 1:
            total = _apart(m, total)
    return total


def _apart(m, value):
    """Return ``value`` as a signal that synthesis leaves as it is."""
    kept = Signal(value.shape(), name="apart", attrs={"keep": 1})
    m.d.comb += kept.eq(value)
    return kept


def _register(m, value, width):
    """Return ``value`` one cycle later, cut to ``width`` bits."""
    shape = value.shape()
    register = Signal(shape if shape.width < width else unsigned(width), reset_less=True)
    m.d.sync += register.eq(value)
    return register


def _sum(m, terms, width, apart):
    """Add ``terms`` up; registers after the terms and after every second level."""
    terms = [_register(m, term, width) for term in terms]
    while len(terms) > 1:
        for level in range(2):
            pairs = [operator.add(*terms[k:k + 2]) for k in range(0, len(terms) - 1, 2)]
            if apart and level == 0:
                pairs = [_apart(m, pair) for pair in pairs]
            terms = pairs + terms[2 * len(pairs):]
        terms = [_register(m, term, width) for term in terms]
    return terms[0]


def _heights(n):
    """Bits of each weight before each level of full adders, until no weight has more than three."""
    levels, heights = [], [n]
    while max(heights) > 3:
        levels.append(heights)
        heights = [a - 2 * (a // 3) + b // 3
                   for a, b in zip([*heights, 0], [0, *heights], strict=True)]
        if not heights[-1]:
            heights.pop()
    return levels


def _popcount(m, bits, width, apart):
    """Count the ones of ``bits``; a register after every second level of full adders.

    The bits of one weight are one value, and a level adds its thirds in all places at once: the
    number of expressions grows with the logarithm of the bits.
    """
    columns = [Signal(len(bits))]
    m.d.comb += columns[0].eq(bits)
    for level, _ in enumerate(_heights(len(bits))):
        # a + b + c = (a ^ b ^ c) + 2 * maj(a, b, c) in every place.
        following = [[] for _ in range(len(columns) + 1)]
        for k, column in enumerate(columns):
            a, b, c, rest = _thirds(column)
            following[k] += [a ^ b ^ c, rest]
            following[k + 1] += [(a & b) | (c & (a | b))]
        # Named by a signal, a column is translated once, however often it is used.
        columns = [Signal(sum(map(len, parts)), reset_less=True) for parts in following[:width]]
        domain = m.d.sync if level % 2 else m.d.comb
        domain += [column.eq(Cat(parts)) for column, parts in zip(columns, following, strict=False)]
        if not len(columns[-1]):
            columns.pop()
    rows = [Cat(column[r] if r < len(column) else C(0, 1) for column in columns) for r in range(3)]
    two = rows[0] + rows[1]
    return _register(m, (_apart(m, two) if apart else two) + rows[2], width)


def _thirds(value):
    """Cut a value into three equal parts and the rest."""
    n = len(value) // 3
    return value[:n], value[n:2 * n], value[2 * n:3 * n], value[3 * n:]
