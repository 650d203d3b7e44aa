"""Encoding: what the integers of a tensor mean."""

from dataclasses import dataclass, replace

import numpy as np
from amaranth import Shape, ShapeCastable

from quinnoa.rtl.shapes import BIPOLAR, shape_for

__all__ = ["Encoding", "InputType", "alike", "limits"]

FAR = 2.0 ** 40                          # beyond all codes


@dataclass(frozen=True, eq=False)
class Encoding:
    """Integer codes of a tensor: ``value = scale * code + offset``.

    Parameters
    ----------
    scale, offset : float or array of float64, (elements,)
        Of all elements of a sample alike, or of each.
    low, high : int
        The codes' limits.
    bipolar : bool
        Only -1 and +1 occur.
    """

    scale: float | np.ndarray
    offset: float | np.ndarray
    low: int
    high: int
    bipolar: bool = False

    @property
    def shape(self) -> Shape | ShapeCastable:
        """The narrowest shape of one code."""
        return BIPOLAR if self.bipolar else shape_for(self.low, self.high)

    @property
    def levels(self) -> np.ndarray:
        """All codes, ascending."""
        return np.arange(self.low, self.high + 1, 2 if self.bipolar else 1)

    def values(self, codes: np.ndarray, dtype: np.dtype) -> np.ndarray:
        """Return the values of codes (samples, elements), rounded once to ``dtype``."""
        with np.errstate(over="ignore"):     # infinity, as in the file
            return (self.scale * codes.astype(np.float64) + self.offset).astype(dtype)

    def codes(self, values: np.ndarray) -> np.ndarray:
        """Return the codes of values (samples, elements) that lie on the grid."""
        codes = np.rint((values.astype(np.float64) - self.offset) / self.scale)
        # What lies far off any grid stays so; it only must not overflow.
        return np.clip(codes, -FAR, FAR).astype(np.int64)

    def affine(self, scale: float | np.ndarray, offset: float | np.ndarray) -> "Encoding":
        """Return the encoding of ``scale * value + offset`` in the same codes."""
        return replace(self, scale=alike(self.scale * np.asarray(scale)),
                       offset=alike(self.offset * np.asarray(scale) + offset))

    def limited(self, codes: np.ndarray) -> "Encoding":
        """Return the same for the codes that occur."""
        low, high = int(codes.min()), int(codes.max())
        bipolar = (low, high) == (-1, 1) and not np.any(codes == 0)
        return replace(self, low=low, high=high, bipolar=bipolar)


def alike(values: float | np.ndarray) -> float | np.ndarray:
    """Return one float in place of an array of equal ones."""
    array = np.asarray(values, np.float64)
    if array.size and (array == array.flat[0]).all():
        return float(array.flat[0])
    return array


@dataclass(frozen=True)
class InputType:
    """Raw integers that enter the hardware; the model expects ``scale * integer + offset``.

    Parameters
    ----------
    name : str
        "uint8", "int4", any such from 1 to 16 bits, or "bipolar".
    scale, offset : float
    """

    name: str
    scale: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        from quinnoa.errors import QuinnoaError
        if limits(self.name) is None:
            raise QuinnoaError(f"unknown input type {self.name!r}; uint1 to uint16, int2 to int16 "
                               "and bipolar are known")
        if not (np.isfinite(self.scale) and np.isfinite(self.offset) and self.scale):
            raise QuinnoaError(f"input scale is {self.scale:g} and offset is {self.offset:g}; a "
                               "scale other than 0 and finite numbers are expected")

    @property
    def encoding(self) -> Encoding:
        """The encoding of the model's input."""
        low, high = limits(self.name) or (0, 0)
        return Encoding(float(self.scale), float(self.offset), low, high,
                        bipolar=self.name == "bipolar")

    def as_dict(self) -> dict[str, str | float]:
        """Return the parameters by name."""
        return {"name": self.name, "scale": self.scale, "offset": self.offset}


def limits(name: str) -> tuple[int, int] | None:
    """Return the lowest and highest integer of a type, such as INT8; None if there is no such."""
    name = name.lower()
    if name in ("bipolar", "binary", "ternary"):
        return {"bipolar": (-1, 1), "binary": (0, 1), "ternary": (-1, 1)}[name]
    kind, bits = name.rstrip("0123456789"), name.lstrip("abcdefghijklmnopqrstuvwxyz")
    if kind not in ("int", "uint") or not bits.isdecimal() or bits[0] == "0" or len(bits) > 2:
        return None
    width = int(bits)
    if width > 16 or (kind == "int" and width < 2):
        return None
    return (0, 2 ** width - 1) if kind == "uint" else (-2 ** (width - 1), 2 ** (width - 1) - 1)
