"""Compiled folders: what is in one, how it comes there whole, and how it is read back."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from quinnoa.errors import QuinnoaError

__all__ = ["check_folder", "install", "listed", "load_folder", "refuse_others", "settings_of",
           "verilog_in", "write"]

FORMAT = 1
# What a folder cannot be read back without.
KEYS = ("name", "family", "clock_mhz", "top", "input", "model_sha256", "beats_in", "beats_out",
        "i_lanes", "o_lanes")


def settings_of(network, plan, folds, *, family, device, clock_mhz, writable) -> dict[str, Any]:
    """Return what must be known of the way a folder was compiled, by whoever reads it again."""
    return {
        "format": FORMAT, "name": network.name, "family": family, "device": device,
        "clock_mhz": clock_mhz, "writable": writable, "top": network.top,
        "input": network.input.as_dict() if network.input else None,
        "model_sha256": hashlib.sha256(network.source).hexdigest(),
        "fold_sha256": hashlib.sha256(folds.encode()).hexdigest(),
        "beats_in": plan.beats_in, "beats_out": plan.beats_out,
        "i_lanes": plan.i_lanes, "o_lanes": plan.o_lanes,
    }


def check_folder(folder: Path, force: bool) -> None:
    """Refuse a folder that cannot be written or that holds what is not ours."""
    files = listed(folder)
    if files and "build.json" not in files and not force and files != ["fold.toml"]:
        refuse_others(folder, files, "compiled network", ", or --force")
    # The nearest folder that exists must be one we may write to.
    home = folder
    while not home.exists():
        home = home.parent
    if not os.access(home, os.W_OK | os.X_OK):
        raise QuinnoaError(f"{home} cannot be written to; give another folder with -o")


def listed(folder: Path) -> list[str]:
    """Return the names of all that a folder holds, none where it is to be made."""
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        if isinstance(error, NotADirectoryError) and folder.is_file():
            raise QuinnoaError(f"{folder} is a file, not a folder; give another name with -o"
                               ) from None
        raise QuinnoaError(f"{error.strerror}: {folder}; give another folder with -o") from None


def refuse_others(folder: Path, files: list[str], what: str, remedy: str = "") -> None:
    """Refuse a folder that holds these files, and not what is made there."""
    raise QuinnoaError(f"{folder} holds other files ({', '.join(files[:3])}"
                       f"{', …' if len(files) > 3 else ''}) and no {what}; give an empty folder "
                       f"with -o{remedy}")


def install(folder: Path, files: dict[str, bytes | dict[str, Any]]) -> None:
    """Write all files in a corner, then move them in; build.json, which vouches, comes last.

    A dict becomes JSON.
    """
    created = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=".compile-", dir=folder))
    except OSError as error:
        raise QuinnoaError(f"{folder} cannot be written to: {error.strerror}; give another folder "
                           "with -o") from None
    try:
        for name, content in files.items():
            (staging / name).write_bytes(_json(content) if isinstance(content, dict) else content)
        old = folder / "fold.toml"
        if old.is_file() and old.read_bytes() != files["fold.toml"]:
            os.replace(old, folder / "fold.toml.old")       # perhaps edited: never lost
        for stale in (*_verilog_of(folder), "build.json", "report.html", "simulation.json",
                      "outputs.npy", "weights.npz", "component.xml", "package_ip.tcl"):
            (folder / stale).unlink(missing_ok=True)
        for name in sorted(files, key=lambda name: name == "build.json"):
            os.replace(staging / name, folder / name)
    except OSError as error:
        if created:
            shutil.rmtree(folder, ignore_errors=True)
        raise QuinnoaError(f"{folder} cannot be written to: {error.strerror}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def verilog_in(folder: Path, name: str) -> str:
    """Return the Verilog of a compiled folder."""
    path = folder / f"{name}.v"
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise QuinnoaError(f"{path} cannot be read: {said}; compile again") from None


def write(path: Path, data: bytes | dict[str, Any]) -> None:
    """Write a file of a compiled folder, a dict as JSON: whole, or not at all."""
    if isinstance(data, dict):
        data = _json(data)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise QuinnoaError(f"{path} cannot be written: {error.strerror}") from None


def _json(data: dict[str, Any]) -> bytes:
    return (json.dumps(data, indent=2) + "\n").encode()


def _verilog_of(folder: Path) -> list[str]:
    """Return the Verilog file of the network that a folder was compiled of, perhaps another one."""
    try:
        name = f"{json.loads((folder / 'build.json').read_text())['name']}.v"
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [name] if Path(name).name == name else []


def load_folder(folder) -> tuple[Any, dict[str, Any]]:
    """Return the folded network of a compiled folder, and the settings it was compiled with."""
    from quinnoa.graph.fold import fold_from_file
    from quinnoa.graph.lower import InputType, load
    from quinnoa.graph.writable import widened

    folder = Path(folder)
    try:
        settings = json.loads((folder / "build.json").read_text())
        model = (folder / "model.onnx").read_bytes()
    except (OSError, ValueError):
        raise QuinnoaError(f"{folder} is not a compiled folder; make one with: quinnoa compile "
                           "MODEL -o DIR") from None
    if not isinstance(settings, dict) or settings.get("format") != FORMAT:
        raise QuinnoaError(f"{folder} was compiled by another version of quinnoa; compile again")
    if missing := [key for key in KEYS if key not in settings]:
        raise QuinnoaError(f"{folder / 'build.json'} is damaged: it has no {', '.join(missing)}; "
                           "compile again")
    if hashlib.sha256(model).hexdigest() != settings["model_sha256"]:
        raise QuinnoaError(f"{folder / 'model.onnx'} is not the model that was compiled; compile "
                           "again")
    folds = folder / "fold.toml"
    if folds.is_file() and settings.get("fold_sha256") not in (
            None, hashlib.sha256(folds.read_bytes()).hexdigest()):
        raise QuinnoaError(f"{folds} was edited since {folder} was compiled; compile again, with "
                           f"-o {folder}")
    kind = settings["input"]
    network = load(folder / "model.onnx", input=InputType(**kind) if kind else None,
                   top=settings["top"]).renamed(settings["name"])
    network = fold_from_file(network, folds)
    return widened(network) if settings.get("writable") else network, settings
