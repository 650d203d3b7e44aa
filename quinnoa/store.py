"""Store: the results of a sweep, a file each, so that what is done stays done."""

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quinnoa.errors import QuinnoaError
from quinnoa.folder import listed, refuse_others
from quinnoa.points import Job

__all__ = ["Store"]

RESULTS = "results"
MARK = "explore.json"            # vouches that a folder is one of a sweep
FORMAT = 1


class Store:
    """The folder of a sweep.

    Parameters
    ----------
    folder : path
        New, empty, or one of a sweep: another file in it is refused. A sweep of other models or
        settings may share it, and what both have in common is done once.
    """

    def __init__(self, folder) -> None:
        self.folder = Path(folder)
        self._results = self.folder / RESULTS
        files = listed(self.folder)
        if files and MARK not in files:
            refuse_others(self.folder, files, "sweep")
        try:
            self._results.mkdir(parents=True, exist_ok=True)
            self.write(MARK, json.dumps({"format": FORMAT}) + "\n")
        except OSError as error:
            raise QuinnoaError(f"{folder} cannot be written to: {error.strerror}; give another "
                               "folder with -o") from None

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder: whole, or not at all."""
        path = self.folder / name
        handle, scratch = tempfile.mkstemp(prefix=".", suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(scratch, 0o644)
            os.replace(scratch, path)
        except BaseException:
            Path(scratch).unlink(missing_ok=True)
            raise

    def get(self, job: Job) -> dict[str, Any] | None:
        """Return the result of a job, or None where it is still to be computed."""
        try:
            found = json.loads((self._results / f"{job.key}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        result = found.get("result") if isinstance(found, dict) else None
        return result if isinstance(result, dict) else None

    def put(self, job: Job, result: Mapping[str, Any]) -> None:
        """Keep the result of a job."""
        self.write(f"{RESULTS}/{job.key}.json", json.dumps(
            {"kind": job.kind, "settings": dict(job.settings), "made_by": job.made_by,
             "result": dict(result)}, indent=1) + "\n")
