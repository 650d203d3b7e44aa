"""Tests of rtl/matvec.py."""

import numpy as np
import pytest

from quinnoa.rtl.matvec import matvec


def exact(weights, x):
    return [[sum(int(a) * int(b) for a, b in zip(row, vector, strict=True)) for row in weights]
            for vector in x]


@pytest.mark.parametrize("w_bits, x_bits", [(1, 1), (8, 8), (12, 11), (13, 11), (20, 20), (24, 28),
                                            (30, 28), (8, 52)])
def test_is_exact_on_both_sides_of_every_format(w_bits, x_bits):
    rng = np.random.default_rng(w_bits)
    weights = rng.integers(-2 ** w_bits, 2 ** w_bits + 1, size=(3, 5))
    x = rng.integers(-2 ** x_bits, 2 ** x_bits + 1, size=(4, 5))
    weights[0], x[0] = 2 ** w_bits, 2 ** x_bits          # all at their ends
    weights[1], x[1] = 2 ** w_bits - 1, 2 ** x_bits - 1  # odd, so that rounding shows
    got = matvec(weights, x)
    assert got.dtype == np.int64
    assert got.tolist() == exact(weights, x)


def test_keeps_the_leading_axes():
    weights = np.array([[1, -1, 2]], dtype=np.int8)
    x = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    assert matvec(weights, x).shape == (2, 4, 1)
    assert matvec(weights, x)[1, 3].tolist() == [21 - 22 + 46]
    assert matvec(weights, x[:0]).shape == (0, 4, 1)


def test_refuses_floats():
    with pytest.raises(TypeError, match=r"^x must be integers: they are float64$"):
        matvec(np.ones((1, 1), int), np.ones(1))


def test_refuses_what_may_overflow():
    with pytest.raises(OverflowError, match=rf"^products may reach {2 ** 63}, which does not "
                                            r"fit int64$"):
        matvec(np.array([[2 ** 31, 2 ** 31]]), np.array([2 ** 31, 2 ** 31]))
