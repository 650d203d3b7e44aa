"""Arrays: frames and their classes, from ``.npy`` files."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from quinnoa.errors import QuinnoaError

__all__ = ["accuracy", "read_array", "read_samples"]


def read_samples(frames: Path | str, labels: Path | str | None = None, *,
                 limit: int | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Return frames, one at least, and the class of each, or None.

    Parameters
    ----------
    frames, labels : paths of .npy files
        Frames along the first axis; integers, as many.
    limit : int, optional
        Only so many of the first.
    """
    if limit is not None and limit < 1:
        raise QuinnoaError(f"limit is {limit}, but must be at least 1")
    x = read_array(frames, "frames")
    if not x.ndim or not len(x):
        raise QuinnoaError(f"{frames} has no frames")
    if labels is None:
        return x[:limit], None
    y = read_array(labels, "labels").reshape(-1)
    if y.dtype.kind not in "iu":
        raise QuinnoaError(f"{labels} holds {y.dtype}: labels are integers, a class for each frame")
    if len(y) != len(x):
        raise QuinnoaError(f"{labels} has {len(y)} labels for {len(x)} frames")
    return x[:limit], y[:limit]


def read_array(path: Path | str, what: str) -> np.ndarray:
    """Return the array of a ``.npy`` file; ``what`` names it in errors."""
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise QuinnoaError(f"{path}: there is no such file") from None
    except (OSError, ValueError, EOFError, MemoryError, BadZipFile) as error:
        raise QuinnoaError(f"{path}: not a .npy file of {what}: {error}") from None
    if not isinstance(array, np.ndarray):
        raise QuinnoaError(f"{path}: an archive of several arrays; {what} must be one .npy array")
    return array


def accuracy(outputs: np.ndarray, labels: np.ndarray, top: int | None) -> float:
    """Return the share of frames whose label is the greatest output, or the first index.

    ``top`` tells that the outputs are indices, as ``Network.top`` does.
    """
    classes = outputs.reshape(len(labels), -1)
    if classes.shape[1] > 1 and top is None:
        classes = classes.argmax(axis=1)[:, None]
    return float(np.mean(classes[:, 0] == labels))
