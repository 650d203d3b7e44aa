"""LUT sites a product of dot products on xc7, by Yosys, beside the same from a loop of additions.

    python benchmarks/lut_per_product.py [--only TEXT]

`sum` is the pipelined dot product alone, `sum + acc` with an accumulator that starts from a port;
`plain` is ours without primitives, `loop` is `y = 0; for ...: y += x[c] * w[c]` with one register
at the end. A product is one bit of x times one bit of w. Levels are LUTs on the longest path from
register to register, with carry cells beside. The best published generator of XNOR popcounts takes
0.94 to 0.98 for 32 to 128 products, and 1.13 with its accumulator at 64.
"""

import argparse

from amaranth import Module, Signal, signed, unsigned
from amaranth.lib import wiring
from netlist import synthesize

from quinnoa.rtl.accumulator import Accumulator
from quinnoa.rtl.dot import Dot
from quinnoa.rtl.families import XC7
from quinnoa.rtl.shapes import BIPOLAR

ROWS = [
    # x, w, SIMD, bits of the sum, bits of the accumulator
    *((BIPOLAR, BIPOLAR, simd, simd.bit_length(), 11) for simd in (16, 32, 49, 64, 96, 128)),
    (BIPOLAR, signed(2), 32, 8, 12),
    (unsigned(4), BIPOLAR, 32, 10, 14),
    (unsigned(2), signed(2), 32, 9, 14),
    (unsigned(4), signed(4), 16, 13, 16),
    (unsigned(8), signed(8), 9, 20, 24),
]


class Loop(wiring.Component):
    """The dot product of a ``Dot``, as a loop of additions and one register."""

    def __init__(self, dot):
        self.raw = dot.raw
        super().__init__(dict(dot.signature.members.items()))

    def elaborate(self, platform):
        m = Module()
        total = 0
        for x, w in zip(self.x, self.w, strict=True):
            if self.raw.x_shape is BIPOLAR:
                total += x == w if self.raw.w_shape is BIPOLAR else (x.replicate(len(w)) & w)
            else:
                total += (x ^ ~w.replicate(len(x))) if self.raw.w_shape is BIPOLAR else x * w
        y = Signal.like(self.y, reset_less=True)
        m.d.sync += y.eq(total)
        m.d.comb += self.y.eq(y)
        return m


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose text contains this")
    args = parser.parse_args()
    print("| bits in x weight | SIMD | sum | a product | sum + acc | a product | plain | loop |"
          " a product | levels + carries | FF |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for x_shape, w_shape, simd, width, acc_width in ROWS:
        bits = [1 if s is BIPOLAR else s.width for s in (x_shape, w_shape)]
        row = f"| {bits[0]} x {bits[1]} | {simd} |"
        if args.only not in row:
            continue
        shapes = dict(simd=simd, x_shape=x_shape, w_shape=w_shape)
        dot = synthesize(Dot(**shapes, width=width, family=XC7))
        acc = synthesize(Accumulator(**shapes, width=acc_width, family=XC7, init=True))
        plain = synthesize(Dot(**shapes, width=width))
        loop = synthesize(Loop(Dot(**shapes, width=width)))
        products = simd * bits[0] * bits[1]
        levels, carries = acc.longest()
        print(row, dot.sites(), f"| {dot.sites() / products:.2f} |", acc.sites(),
              f"| {acc.sites() / products:.2f} |", plain.sites(), "|", loop.sites(),
              f"| {loop.sites() / products:.2f} | {levels} + {carries} |",
              acc.kinds()["FDRE"], "|", flush=True)


if __name__ == "__main__":
    main()
