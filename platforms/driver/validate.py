"""Validate: runs the images that an accelerator came with, and measures how fast it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, List, Optional

import numpy as np

from .accelerator import Accelerator
from .errors import DriverError, HostError

__all__ = ["main", "validate"]


def validate(accelerator: Accelerator, folder: Path, frames: int) -> bool:
    """Say accuracy, mismatches and rate; return whether all results were as expected.

    Where the host's part takes more than numpy, the accelerator's integers are compared, too.
    """
    right = True
    if (folder / "codes.npy").is_file():
        integers = accelerator.run_integers(_read(folder, "codes"))
        right = _matches(integers, _read(folder, "integers"), "images as integers")
    if (folder / "images.npy").is_file():
        try:
            right = _run_images(accelerator, folder) and right
        except HostError as error:
            print("images: not run; %s" % error)
    bound = accelerator.metadata["clock_mhz"] * 1e6 / accelerator.metadata["bound_cycles"]
    print("throughput: %s; the bound is %.0f frames/s" % (accelerator.throughput(frames), bound))
    return right


def _run_images(accelerator: Accelerator, folder: Path) -> bool:
    """Run the images; say accuracy and mismatches, and return whether there are none."""
    outputs = accelerator.run(_read(folder, "images"))
    if (folder / "labels.npy").is_file():
        classes = outputs.reshape(len(outputs), -1)
        if classes.shape[1] > 1 and accelerator.metadata["top"] is None:
            classes = classes.argmax(axis=1)[:, None]
        labels = _read(folder, "labels").reshape(-1)
        print("accuracy: %.2f %% of %d images" % (
            100 * np.mean(classes[:, 0] == labels), len(outputs)))
    return _matches(outputs, _read(folder, "expected"), "images")


def _matches(outputs: np.ndarray, expected: np.ndarray, what: str) -> bool:
    """Say how many results differ; return whether none does."""
    differs = (outputs != expected).reshape(len(outputs), -1).any(axis=1)
    print("mismatches: %d of %d %s%s" % (
        differs.sum(), len(outputs), what,
        ", the first is image %d" % np.argmax(differs) if differs.any() else ""))
    return not differs.any()


def _read(folder: Path, name: str) -> np.ndarray:
    return np.load(str(folder / (name + ".npy")), allow_pickle=False)


def main(file: str, arguments: Optional[List[str]] = None) -> None:
    """Validate the accelerator of the folder that ``file`` is in; exit with 1 if it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=10000, help="of the throughput test")
    parser.add_argument("--no-load", action="store_true", help="the bitstream is loaded already")
    parser.add_argument("--port", help="serial port of a board without a processor")
    parser.add_argument("--batch", type=int, help="frames of a batch in memory")
    given = parser.parse_args(arguments)
    options: Any = {name: value for name, value in (("port", given.port), ("batch", given.batch))
                    if value is not None}
    folder = Path(file).resolve().parent
    try:
        with Accelerator(folder, load=not given.no_load, **options) as accelerator:
            right = validate(accelerator, folder, given.frames)
    except DriverError as error:
        sys.exit("error: %s" % error)
    sys.exit(0 if right else 1)
