"""LUT sites, flip-flops and block RAMs of sliding-window units, by Yosys for xc7.

Levels are LUTs on the longest path from register to register, with carry cells beside.
"""

import argparse
import sys

from amaranth import unsigned
from netlist import SITES, synthesize

from quinnoa.rtl.shapes import BIPOLAR
from quinnoa.rtl.wide_swu import sliding_window

U4, U8 = unsigned(4), unsigned(8)
SAME = (1, 1, 1, 1)
ROWS = [
    # H, W, C, kernel, stride, pads, shape, lanes
    (32, 32, 3, 3, 1, None, U8, 3),
    (30, 30, 64, 3, 1, None, BIPOLAR, 32),
    (12, 12, 128, 3, 1, None, BIPOLAR, 32),
    (28, 28, 64, 3, 1, SAME, U4, 16),
    (56, 56, 64, 3, 1, SAME, U4, 32),
    (224, 224, 3, 7, 2, (3, 3, 3, 3), U8, 3),
    (56, 56, 64, 1, 2, None, U4, 16),
    (28, 28, 64, 1, 1, SAME, U4, 16),
    (32, 32, 3, 3, 1, SAME, U8, 9),
    (32, 32, 3, 3, 1, SAME, U8, 27),
    (14, 14, 64, 3, 1, None, BIPOLAR, 576),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose text contains this")
    args = parser.parse_args()
    print("| image | bits | kernel | stride | pads | lanes | ring | LUT sites | of them RAM | FF |"
          " block RAM (18 kbit) | levels + carries |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    for height, width, channels, kernel, stride, pads, shape, lanes in ROWS:
        bits = 1 if shape is BIPOLAR else shape.width
        row = (f"| {height} x {width} x {channels} | {bits} | {kernel} x {kernel} | {stride} | "
               f"{pads[0] if pads else 0} | {lanes} |")
        if args.only not in row:
            continue
        unit = sliding_window(height=height, width=width, channels=channels, kernel=(kernel,) * 2,
                              stride=(stride,) * 2, pads=pads or (0,) * 4, pad_value=1,
                              shape=shape, lanes=lanes)
        netlist = synthesize(unit)
        kinds, (levels, carries) = netlist.kinds(), netlist.longest()
        ram = sum(SITES[kind] * n for kind, n in kinds.items() if kind.startswith("RAM")
                  and kind in SITES)
        registers = sum(n for kind, n in kinds.items() if kind.startswith("FD"))
        blocks = kinds.get("RAMB18E1", 0) + 2 * kinds.get("RAMB36E1", 0)
        print(row, f"{unit.depth} {unit.memory} | {netlist.sites()} | {ram} | {registers} | "
                   f"{blocks} | {levels} + {carries} |", flush=True)


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)            # a path is walked cell by cell
    main()
