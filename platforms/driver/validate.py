"""Validate: runs the images that an accelerator came with, and measures how fast it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, List, Optional

import numpy as np

from .accelerator import Accelerator
from .errors import DriverError

__all__ = ["main", "validate"]


def validate(accelerator: Accelerator, folder: Path, frames: int) -> bool:
    """Say accuracy, mismatches and rate; return whether all results were as expected."""
    right = True
    path = folder / "images.npy"
    if path.is_file():
        images = np.load(str(path), allow_pickle=False)
        outputs = accelerator.run(images)
        classes = outputs.reshape(len(outputs), -1)
        if classes.shape[1] > 1 and accelerator.metadata["top"] is None:
            classes = classes.argmax(axis=1)[:, None]
        if (folder / "labels.npy").is_file():
            labels = np.load(str(folder / "labels.npy"), allow_pickle=False).reshape(-1)
            print("accuracy: %.2f %% of %d images" % (
                100 * np.mean(classes[:, 0] == labels), len(images)))
        if (folder / "expected.npy").is_file():
            expected = np.load(str(folder / "expected.npy"), allow_pickle=False)
            differs = (outputs != expected).reshape(len(outputs), -1).any(axis=1)
            print("mismatches: %d of %d images%s" % (
                differs.sum(), len(images),
                ", the first is image %d" % np.argmax(differs) if differs.any() else ""))
            right = not differs.any()
    bound = accelerator.metadata["clock_mhz"] * 1e6 / accelerator.metadata["bound_cycles"]
    print("throughput: %s; the bound is %.0f frames/s" % (accelerator.throughput(frames), bound))
    return right


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
