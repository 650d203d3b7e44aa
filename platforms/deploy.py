"""Deploy: the folder that runs an accelerator on its board: bitstream, driver, validation."""

import hashlib
import io
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from quinnoa.errors import QuinnoaError

from .bitfile import read_bitstream
from .driver.accelerator import FORMAT
from .driver.errors import DriverError
from .driver.host import Host
from .frames import FrameFormat
from .identity import identity_text
from .manual import c_header, readme

__all__ = ["check_folder", "contents_file", "frame_formats", "write_deploy"]

METADATA = "accelerator.json"
DRIVER = Path(__file__).parent / "driver"
VALIDATE = '''"""Validate: the images that came with the accelerator, and how fast it is."""

from driver.validate import main

if __name__ == "__main__":
    main(__file__)
'''


def frame_formats(plan: Any, word_bits: int) -> tuple[FrameFormat, FrameFormat]:
    """Return the formats of an accelerator's frames in memory, in and out, by its plan."""
    made = {unit.name: unit.component for unit in plan.units}

    def form(port: tuple[str, str], lanes: int, beats: int) -> FrameFormat:
        shape = getattr(made[port[0]], port[1]).payload.shape().elem_shape
        return FrameFormat.of(shape, lanes=lanes, beats=beats, word_bits=word_bits)

    return form(plan.i, plan.i_lanes, plan.beats_in), form(plan.o, plan.o_lanes, plan.beats_out)


def contents_file(words: np.ndarray, shape_id: int, host: Mapping[str, np.ndarray]) -> bytes:
    """Return the ``.npz`` of a network's writable contents, with its host's part.

    An accelerator of that shape loads it without another bitstream: ``Accelerator.load``.
    """
    words = np.asarray(words, np.uint32)
    digest = hashlib.sha256(words.astype("<u4").tobytes()).hexdigest()
    return _npz({"words": words, "shape_id": np.array(identity_text(shape_id)),
                 "sha256": np.array(digest), **host})


def write_deploy(folder: Path | str, *, network: Any, plan: Any, board: Any, bitstream: Path | str,
                 host: Mapping[str, np.ndarray], network_id: int, bound_cycles: int,
                 shape_id: int = 0, clock_mhz: float | None = None,
                 contents: np.ndarray | None = None, baud: int | None = None,
                 images: np.ndarray | None = None, labels: np.ndarray | None = None,
                 force: bool = False) -> dict[str, Any]:
    """Write the folder, whole or not at all; return its metadata.

    One that was there is replaced if all that is in it was written here and not changed since.

    Parameters
    ----------
    folder : path
    network : Network
    plan : Plan
        By which the accelerator was built.
    board : Board
    bitstream : path
        As the tool made it. It is read, and refused if it is not whole, or for another part.
    host : mapping of arrays
        ``graph.host.host_arrays(network)``.
    network_id, shape_id : int
        What the bitstream says it is.
    bound_cycles : int
        Cycles of the slowest layer.
    clock_mhz : float, optional
        The board's usual clock by default.
    contents : array of uint32, optional
        The writable contents, of a writable accelerator.
    baud : int, optional
        Of a UART.
    images, labels : array, optional
        What ``validate.py`` runs: frames as the ONNX file takes them, and their classes.
    force : bool
        Keep what else is in the folder, and write all the same.
    """
    folder = Path(folder)
    previous = check_folder(folder, force)
    files = _bitstreams(network.name, Path(bitstream), board)
    files["host.npz"] = _npz(host)
    if contents is not None:
        files["weights.npz"] = contents_file(contents, shape_id, host)
    metadata = {
        **_described(network, plan, board, files),
        "clock_mhz": board.clock_mhz if clock_mhz is None else clock_mhz,
        "network_id": identity_text(network_id), "shape_id": identity_text(shape_id),
        "bound_cycles": bound_cycles, "baud": baud, "writable": None if contents is None else {
            **_entry(files, "weights.npz"), "words": len(contents)}}
    files.update(_samples(network, host, images, labels))
    for path in sorted(DRIVER.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            files[f"driver/{path.relative_to(DRIVER).as_posix()}"] = path.read_bytes()
    files |= {"validate.py": VALIDATE.encode(), "accelerator.h": c_header(metadata).encode(),
              "README.md": readme(metadata, json.loads(str(host["host"])),
                                  samples="images.npy" in files).encode()}
    # What is ours, so that nothing else is ever replaced.
    metadata["files"] = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    files[METADATA] = (json.dumps(metadata, indent=2) + "\n").encode()
    _install(folder, files, previous)
    return metadata


def _bitstreams(name: str, source: Path, board: Any) -> dict[str, bytes]:
    """Return the bitstream, and what Linux loads, once it is seen to be whole and for the part."""
    try:
        data = source.read_bytes()
    except OSError as error:
        raise QuinnoaError(f"{source} cannot be read: {error.strerror}") from None
    made = read_bitstream(source, data)
    made.check_part(board.part)
    files = {f"{name}.bit": data}
    if board.shell.startswith("zynq"):
        files[f"{name}.bin"] = made.firmware()
    return files


def _entry(files: Mapping[str, bytes], name: str) -> dict[str, str]:
    return {"file": name, "sha256": hashlib.sha256(files[name]).hexdigest()}


def _described(network: Any, plan: Any, board: Any, files: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the metadata that follow from the network, its plan and its board."""
    formats = frame_formats(plan, board.word_bits)
    dims = network.i.dims, network.layers[-1].o.dims
    metadata: dict[str, Any] = {
        "format": FORMAT, "name": network.name, "board": board.name, "shell": board.shell,
        "part": board.part, "bitstream": _entry(files, f"{network.name}.bit"),
        "host": _entry(files, "host.npz"), "top": network.top, "latency": plan.timing.latency}
    for side, form, own in zip(("input", "output"), formats, dims, strict=True):
        metadata[side] = {**form.as_dict(), "dims": list(own)}
    if f"{network.name}.bin" in files:
        metadata["firmware"] = _entry(files, f"{network.name}.bin")
    return metadata


def _samples(network: Any, host: Mapping[str, np.ndarray], images: np.ndarray | None,
             labels: np.ndarray | None) -> dict[str, bytes]:
    """Return images, labels and what the network gives; see that the host's part is right."""
    if images is None:
        return {}
    if labels is not None and len(labels) != len(images):
        raise QuinnoaError(f"{len(labels)} labels for {len(images)} images")
    codes = network.encode(images)
    y = network.run_integers(codes)
    expected = network.decode(y)
    files = {"images.npy": _npy(images), "expected.npy": _npy(expected)}
    if labels is not None:
        files["labels.npy"] = _npy(labels)
    own = Host(host)
    if not own.alone:
        # A board may lack what evaluates nodes: there the integers are compared.
        files |= {"codes.npy": _npy(_narrowed(codes)), "integers.npy": _npy(_narrowed(y))}
    try:
        x = own.checked(images)
    except DriverError:
        return files                     # run_integers alone, and the driver says so
    same = (np.array_equal(own.encode(x), codes.reshape(len(x), -1))
            and np.array_equal(own.decode(y), expected))
    if not same:
        raise QuinnoaError(f"{network.name}: the driver's head and tail differ from the network's")
    return files


def _narrowed(array: np.ndarray) -> np.ndarray:
    """Return integers in the least type that holds them."""
    most = max(-array.min(initial=0) - 1, array.max(initial=0))
    return array.astype(next(kind for kind in (np.int8, np.int16, np.int32, np.int64)
                             if most <= np.iinfo(kind).max))


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    stream = io.BytesIO()
    named: dict[str, Any] = dict(arrays)
    np.savez_compressed(stream, **named)
    return stream.getvalue()


def check_folder(folder: Path, force: bool) -> dict[str, str]:
    """Refuse a deploy folder with what is not ours; return what is, by SHA-256."""
    if not folder.exists():
        return {}
    if not folder.is_dir():
        raise QuinnoaError(f"{folder} is a file, not a folder; give another name")
    try:
        ours: dict[str, str] = json.loads((folder / METADATA).read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError):
        ours = {}
    others = [name for name, path in _found(folder).items() if name != METADATA and (
        hashlib.sha256(path.read_bytes()).hexdigest() != ours.get(name))]
    if others and not force:
        raise QuinnoaError(f"{folder} holds what was not written here, or was changed since: "
                           f"{', '.join(others[:3])}{', …' if len(others) > 3 else ''}; move it "
                           "away, or --force")
    return ours


def _found(folder: Path) -> dict[str, Path]:
    """Return all files of a folder by name, what Python caches aside."""
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts}


def _install(folder: Path, files: Mapping[str, bytes], previous: Mapping[str, str]) -> None:
    """Write all files beside the folder, then put that in its place."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".deploy-", dir=folder.parent))
    except OSError as error:
        raise QuinnoaError(f"{folder} cannot be written: {error.strerror}") from None
    old = staging / "old"
    try:
        new = staging / "new"
        for name, data in files.items():
            (new / name).parent.mkdir(parents=True, exist_ok=True)
            (new / name).write_bytes(data)
        if folder.exists():
            # What another put there, and asked to keep.
            for name, path in _found(folder).items():
                if name not in files and name not in previous:
                    (new / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(path, new / name)
            os.replace(folder, old)
        os.replace(new, folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            os.replace(old, folder)
        raise QuinnoaError(f"{folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
