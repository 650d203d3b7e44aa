"""Exact integer matrix-vector products for the models, at the speed of floating-point ones."""

import numpy as np

__all__ = ["matvec"]


def matvec(weights, x):
    """Compute ``x @ weights.T`` exactly: ``(MH, MW)`` and ``(..., MW)`` to ``(..., MH)`` of int64.

    Floating-point sums of integers are exact in any order while no partial sum can leave the
    integers that the format holds without a gap, 2**24 for float32 and 2**53 for float64::

        |sum of any of W[r, c] * x[c]| <= max |x| * sum_c |W[r, c]|    for each row r

    Raises
    ------
    OverflowError
        The products may not even fit int64.
    """
    weights, x = np.asarray(weights), np.asarray(x)
    for name, operand in (("weights", weights), ("x", x)):
        if operand.dtype.kind not in "iub":
            raise TypeError(f"{name} must be integers: they are {operand.dtype}")
    if weights.size == 0 or x.size == 0:
        return np.zeros(x.shape[:-1] + weights.shape[:1], np.int64)

    # Python integers, so that the bound itself is exact.
    x_max = max(abs(int(x.min())), abs(int(x.max())))
    w_max = max(abs(int(weights.min())), abs(int(weights.max())))
    bound = x_max * w_max * weights.shape[1]
    if bound > 2 ** 24 and w_max * weights.shape[1] < 2 ** 63:
        bound = x_max * int(np.abs(weights.astype(np.int64)).sum(axis=1).max())
    if bound >= 2 ** 63:
        raise OverflowError(f"products may reach {bound}, which does not fit int64")

    exact = np.float32 if bound <= 2 ** 24 else np.float64 if bound <= 2 ** 53 else np.int64
    # As one matrix: numpy would multiply each of many small ones by itself.
    y = x.reshape(-1, x.shape[-1]).astype(exact) @ weights.T.astype(exact)
    return y.astype(np.int64, copy=False).reshape(x.shape[:-1] + weights.shape[:1])
