"""Table: constants that depend on an address, with a memory for only those bits that do."""

import numpy as np
from amaranth import Cat, Const, Shape
from amaranth.lib import memory

from .control import delay
from .families import GENERIC
from .weights import block_is_cheaper

__all__ = ["Table"]


class Table:
    """Columns of integers, a row an address; read some cycles after the address.

    Bits that are the same in all rows are constants, and bits that are alike are kept once.

    Parameters
    ----------
    columns : array of int, (rows, columns)
    shapes : list of Shape, (columns,)
        Shape of the integers of each column.
    style : str
        Where they are: "logic", "block", or with "auto" whichever is cheaper.
    family : Family
        What memories cost.

    Attributes
    ----------
    words : list of int, (rows,)
        What the memory holds, in words of ``width`` bits.
    """

    def __init__(self, columns, shapes, *, style="auto", family=GENERIC):
        self.rows = len(columns)
        self._shapes = [Shape.cast(shape) for shape in shapes]
        # Where each bit of each column is: in the word, or in the constants after it.
        self._places, kept = [], {}
        for column, shape in zip(np.asarray(columns, np.int64).T, self._shapes, strict=True):
            bits = (column >> np.arange(shape.width)[:, None] & 1).astype(np.uint8)
            self._places.append([
                Const(int(bit[0]), 1) if np.all(bit == bit[0])
                else kept.setdefault(bit.tobytes(), len(kept)) for bit in bits])
        self.width = len(kept)
        rows = np.frombuffer(b"".join(kept), np.uint8).reshape(self.width, self.rows).T
        self.words = [int.from_bytes(row.tobytes(), "little")
                      for row in np.packbits(rows, axis=1, bitorder="little")]
        self.style = style
        if style == "auto":
            cheaper = self.width and block_is_cheaper(self.rows, self.width, family=family)
            self.style = "block" if cheaper else "logic"

    @property
    def latency(self):
        """Cycles from the address to the columns: 0 if all rows are alike.

        Block RAM takes 2, as its output is slow and so goes into a register.
        """
        return 0 if not self.width else 2 if self.style == "block" else 1

    def read(self, m, name, address):
        """Return the columns of the row ``address``, as they are ``latency`` cycles later."""
        word = Const(0, 0)
        if self.width:
            attrs = {"logic": {"rom_style": "distributed", "ram_style": "logic"},
                     "block": {"rom_style": "block", "ram_style": "block"}}[self.style]
            m.submodules[name] = rows = memory.Memory(
                shape=self.width, depth=self.rows, init=self.words, attrs=attrs)
            port = rows.read_port()
            m.d.comb += port.addr.eq(address)
            word = delay(m, port.data, self.latency - 1)
        columns = []
        for places, shape in zip(self._places, self._shapes, strict=True):
            value = Cat(word[place] if isinstance(place, int) else place for place in places)
            if not any(isinstance(place, int) for place in places):
                value = Const.cast(value)
            columns.append(value.as_signed() if shape.signed else value)
        return columns
