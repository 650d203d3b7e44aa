"""Sweep: jobs on workers, each done once, in processes of this machine or on a cluster of Dask's.

Results go to the store as they come in, so that a sweep that is killed goes on where it was. A job
whose worker is lost goes to another one.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from quinnoa.errors import QuinnoaError
from quinnoa.points import Job, compute, fingerprint
from quinnoa.process import Progress, silent
from quinnoa.store import Store

__all__ = ["Outcome", "sweep"]

CONNECT = 15                     # seconds for a scheduler to answer
RETRIES = 3                      # of a job whose worker is lost

Result = dict[str, Any]


@dataclass
class Outcome:
    """What came of a sweep: results by job, and the reasons of those that failed.

    ``found`` counts the results that were there before.
    """

    results: list[tuple[Job, Result]] = field(default_factory=list)
    failed: list[tuple[Job, str]] = field(default_factory=list)
    found: int = 0


def sweep(jobs: Iterable[Job], data: Mapping[str, Any], store: Store, *,
          follow: Callable[[Job, Result], Iterable[Job]] = lambda job, result: (),
          scheduler: str | None = None, workers: int | None = None,
          progress: Progress = silent) -> Outcome:
    """Compute jobs, and those that follow from their results; return what came of them.

    Parameters
    ----------
    jobs : iterable of Job
    data : mapping
        What they are computed from, by SHA-256: see ``points.provide``.
    store : Store
        What it has is not computed again.
    follow : callable
        Given a job and its result, returns what is to be computed next.
    scheduler : str, optional
        Address of a Dask scheduler, such as tcp://host:8786; by default processes of this machine.
    workers : int, optional
        How many processes; as many as there are processors by default.
    progress : callable
        Called with what is being done, how many jobs are done, and how many there are so far.

    Raises
    ------
    QuinnoaError
        The scheduler does not answer, or its workers cannot compute. A job that fails does not
        raise: the outcome tells.
    """
    outcome, waiting, known = Outcome(), list(jobs), set[str]()

    def settle(job: Job, result: Result) -> None:
        outcome.results.append((job, result))
        waiting.extend(follow(job, result))

    def missing() -> Iterator[Job]:
        """Yield the jobs that wait and that the store has no result of."""
        while waiting:
            job = waiting.pop(0)
            if job.key in known:
                continue
            known.add(job.key)
            if (result := store.get(job)) is not None:
                outcome.found += 1
                settle(job, result)
            else:
                yield job

    first = list(missing())
    if not first:
        return outcome
    with _client(scheduler, workers, data) as client:
        from distributed import as_completed

        def submit(job: Job):
            future = client.submit(compute, job, key=f"{job.kind}-{job.key}")
            running[future.key] = job
            return future

        if not client.ncores():
            progress(f"waiting for workers of {scheduler}")
        running: dict[str, Job] = {}
        futures = as_completed(map(submit, first))
        for future in futures:
            job = running.pop(future.key)
            result, why = _gathered(future)
            if result is None:
                outcome.failed.append((job, why))
            else:
                store.put(job, result)
                settle(job, result)
            for new in missing():
                futures.add(submit(new))
            progress(f"{job.kind} of {job.settings['name']}",
                     len(outcome.results) + len(outcome.failed), len(known))
    return outcome


def _gathered(future) -> tuple[Result | None, str]:
    """Return what a future came to: a result, or None and why."""
    from distributed import KilledWorker
    try:
        return future.result(), ""
    except KilledWorker:
        return None, "its worker was lost again and again: perhaps it has too little memory"
    except QuinnoaError as error:
        return None, str(error)
    except Exception as error:
        return None, f"{type(error).__name__}: {error}"


@contextmanager
def _client(scheduler: str | None, workers: int | None, data: Mapping[str, Any]):
    """Yield a client whose workers have the data."""
    import dask
    from distributed import Client, LocalCluster

    from quinnoa.worker import Data
    made_by = fingerprint()
    plugin = Data(name=f"quinnoa-{uuid4().hex}", data=data, made_by=made_by,
                  own=scheduler is None)
    if scheduler is None:
        # What is computed holds the interpreter: processes of one thread. Losses are told at the
        # end, and what the machine's memory allows is for the machine to say.
        options = {"n_workers": workers, "threads_per_worker": 1, "memory_limit": 0,
                   "silence_logs": logging.CRITICAL, "dashboard_address": "127.0.0.1:0"}
        with dask.config.set({"distributed.scheduler.allowed-failures": RETRIES}), \
                LocalCluster(**options) as cluster, Client(cluster) as client:
            client.register_plugin(plugin)
            yield client
        return
    try:
        client = Client(scheduler, timeout=CONNECT)
    except (OSError, ValueError) as error:
        raise QuinnoaError(
            f"the scheduler {scheduler} does not answer ({error}); start one with "
            "`dask scheduler`, and workers with `dask worker ADDRESS`") from None
    with client:
        try:
            client.register_plugin(plugin)
        except Exception as error:
            raise QuinnoaError(f"the workers of {scheduler} cannot compute ({error}); install "
                               f"quinnoa {made_by} there, too") from None
        try:
            yield client
        finally:
            with suppress(Exception):
                client.unregister_worker_plugin(plugin.name)
