"""The netlist of a compiled folder: made by Yosys once, and kept there for as long as it holds."""

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from quinnoa.errors import QuinnoaError
from quinnoa.folder import verilog_in
from quinnoa.synthesis import RECIPES, Cells, synthesise, yosys_version

__all__ = ["Netlist", "kept_netlist", "netlist_of"]

FOLDER = "netlist"
LOG = "synthesis.log"            # as synthesise names it
TIMEOUT = 3600.0                 # seconds


@dataclass(frozen=True)
class Netlist:
    """A netlist as Verilog, and its figures.

    Parameters
    ----------
    verilog : Path
    figures : dict
        ``tool``, ``family``, ``seconds`` of synthesis; ``lut``, ``ff``, ``bram36``, ``uram``,
        ``dsp`` of every unit (``layers``) and of all (``totals``); ``cells`` by kind.
    """

    verilog: Path
    figures: dict[str, Any]


def kept_netlist(folder: Path, *, name: str, family: str) -> Netlist | None:
    """Return the netlist that a compiled folder has; None without one of just this Verilog."""
    try:
        kept = json.loads((folder / FOLDER / "netlist.json").read_text())
        if kept["key"] == _key(folder, name, family):
            return Netlist(folder / FOLDER / f"{name}.v", kept["figures"])
    except (OSError, ValueError, KeyError, QuinnoaError):
        pass
    return None


def netlist_of(folder: Path, *, name: str, family: str,
               progress: Callable[..., None] | None = None) -> Netlist:
    """Return the netlist of a compiled folder, made now unless it is there.

    Parameters
    ----------
    folder : Path
    name, family : str
        The accelerator's, and the device family it was compiled for.
    progress : callable, optional
        Called with what is being done.

    Raises
    ------
    QuinnoaError
        The family has no cells; or Yosys is missing, fails, or is not done in an hour.
    """
    if family not in RECIPES:
        raise QuinnoaError(f"{folder} was compiled for the family {family}, which has no cells of "
                           f"its own: compile with --family {', '.join(RECIPES)}, or --device")
    if kept := kept_netlist(folder, name=name, family=family):
        return kept
    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix=".netlist-", dir=folder) as scratch:
        made = Path(scratch, FOLDER)
        made.mkdir()
        shutil.copyfile(folder / f"{name}.v", made / "source.v")
        try:
            cells = synthesise("source.v", top=name, family=family, folder=made,
                               outputs=[f"{name}.v"], progress=progress, timeout=TIMEOUT)
        except QuinnoaError as error:
            raise _with_log(error, made / LOG, folder / LOG) from None
        total = sum(cells.values(), Cells({}))
        figures = {
            "tool": f"Yosys {yosys_version()}", "family": family,
            "seconds": round(time.perf_counter() - started, 3),
            "layers": {unit: count.as_dict() for unit, count in cells.items() if unit},
            "totals": total.as_dict(), "cells": dict(sorted(total.kinds.items()))}
        (made / "netlist.json").write_text(json.dumps(
            {"key": _key(folder, name, family), "figures": figures}, indent=2) + "\n")
        (made / "source.v").unlink()
        shutil.rmtree(folder / FOLDER, ignore_errors=True)
        try:
            os.replace(made, folder / FOLDER)
        except OSError:
            # Another process has just put the same there.
            if kept_netlist(folder, name=name, family=family) is None:
                raise
    return Netlist(folder / FOLDER / f"{name}.v", figures)


def _with_log(error: QuinnoaError, log: Path, kept: Path) -> QuinnoaError:
    """Keep the log that an error names; return the error that names it there."""
    if not log.is_file():
        return error
    os.replace(log, kept)
    return QuinnoaError(str(error).replace(str(log), str(kept)))


def _key(folder: Path, name: str, family: str) -> str:
    """Return a hash of all that the netlist follows from."""
    text = "\n".join([verilog_in(folder, name), family, RECIPES.get(family, ""),
                      yosys_version()])
    return hashlib.sha256(text.encode()).hexdigest()
