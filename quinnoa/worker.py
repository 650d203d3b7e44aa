"""Worker: what a sweep lays on every worker of Dask's before it computes."""

import signal
from collections.abc import Mapping
from typing import Any

from distributed import WorkerPlugin

from quinnoa.errors import QuinnoaError
from quinnoa.points import fingerprint, provide

__all__ = ["Data"]


class Data(WorkerPlugin):
    """Models and frames for every worker of a cluster, those that come later included.

    Parameters
    ----------
    name : str
        Of the plugin, one for each sweep.
    data : mapping
        As ``points.provide`` takes it.
    made_by : str
        ``points.fingerprint()`` of the sweep; a worker of another is refused.
    own : bool
        The worker is a process of the sweep itself: Ctrl-C, which reaches it too, is for the sweep.
    """

    def __init__(self, *, name: str, data: Mapping[str, Any], made_by: str, own: bool) -> None:
        self.name = name
        self._data, self._made_by, self._own = dict(data), made_by, own

    def setup(self, worker) -> None:
        """Give the worker's process the data."""
        if fingerprint() != self._made_by:
            raise QuinnoaError(f"a worker has quinnoa {fingerprint()}, the sweep {self._made_by}")
        provide(self._data)
        if self._own:
            # Not SIG_IGN, which the programs that it starts would have, too.
            signal.signal(signal.SIGINT, lambda *_: None)
