# amaranth: UnusedElaboratable=no
"""Tests of sim/equivalence.py."""

from amaranth import Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from quinnoa.sim.equivalence import difference


class Majority(wiring.Component):
    """Majority of three bits as an expression, or as a LUT3 of truth table ``init``."""

    def __init__(self, *, init=None, registers=0):
        self.init, self.registers = init, registers
        super().__init__({"a": In(3), "y": Out(1)})

    def elaborate(self, platform):
        m = Module()
        a, y = self.a, Signal()
        if self.init is None:
            m.d.comb += y.eq((a[0] & a[1]) | (a[2] & (a[0] | a[1])))
        else:
            m.submodules.lut = Instance("LUT3", p_INIT=Const(self.init, 8), i_I0=a[0], i_I1=a[1],
                                        i_I2=a[2], o_O=y)
        for _ in range(self.registers):
            held = Signal(reset_less=True)
            m.d.sync += held.eq(y)
            y = held
        m.d.comb += self.y.eq(y)
        return m


def test_equal_components_show_no_difference():
    assert difference(Majority(), Majority(init=0b11101000), xilinx=True) == ""


def test_one_wrong_bit_of_a_truth_table_is_found():
    for bit in range(8):
        wrong = Majority(init=0b11101000 ^ 1 << bit)
        assert "model found: FAIL!" in difference(Majority(), wrong, xilinx=True)


def test_pipelines_are_compared_once_they_are_full():
    assert difference(Majority(registers=2), Majority(init=0b11101000, registers=2), cycles=3,
                      xilinx=True) == ""
    assert difference(Majority(registers=2), Majority(init=0b11101000, registers=1), cycles=3,
                      xilinx=True)
