"""Preparation beyond one machine: the workers of a Dask scheduler as an executor."""

from __future__ import annotations

import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from typing import Any, TypeVar

from addnet.errors import UserError
from addnet.pool import Outcome, PoolJob, ProcessExecutor, WorkerDiedError, drive, work

log = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")

# what decides landmarks and crops, by the names of the distributions
_PACKAGES = ["addnet", "numpy", "opencv-python-headless", "dlib-bin", "av"]
_AHEAD = 2
_ASK_AGAIN = 5.0  # seconds

_beside = threading.local()  # of a worker of the cluster: a process for each of its threads


def run_on_cluster(
    job: PoolJob[Task, Result],
    tasks: Iterable[Task],
    *,
    scheduler: str,
    failed: Callable[[Task, str], Result],
    chunk: int = 1,
    timeout: float = 15.0,
) -> Generator[Result, None, None]:
    """Does tasks on the workers of a Dask scheduler; see `addnet.pool.drive`.

    Workers may come and go meanwhile. Closing the generator cancels what waits; what a worker is at is finished
    there, and its result dropped.

    Args:
        job: What is done with a task; its function must be importable by the workers.
        tasks: May be a generator.
        scheduler: Such as `tcp://127.0.0.1:8786`.
        failed: Makes the result of a task that has none.
        chunk: Tasks a worker gets at once.
        timeout: Seconds to wait for the scheduler.

    Raises:
        UserError: Dask is not installed, the scheduler cannot be reached or was lost, or a worker has another version
            of addnet.
    """
    with _connected(scheduler, timeout) as client:
        from distributed import KilledWorker  # there is one: `_connected` would have said so

        _compare_versions(client)
        executor = client.get_executor(pure=False)  # not pure: each task its own key, nothing merged or remembered
        try:
            capacity = _Capacity(client, scheduler)
            how: Any = {"capacity": capacity, "dead": (KilledWorker, WorkerDiedError), "worker": work_beside}
            yield from drive(executor, job, tasks, failed=failed, chunk=chunk, **how)
        except (CancelledError, OSError) as error:
            raise UserError(
                f"the scheduler at {scheduler} was lost; what came back until then is kept. "
                "Start it again, then give the same command again"
            ) from error


def work_beside(job: PoolJob[Task, Result], tasks: Sequence[Task]) -> list[Outcome]:
    """Does a chunk of tasks in a process beside the worker of the cluster, which keeps the job's limits.

    A worker that was ended instead would be started again by its nanny, and the task be tried on three others.
    """
    if not hasattr(_beside, "executor"):
        # Dask makes its workers daemons, which may not start processes; ours end with them
        multiprocessing.current_process().daemon = False
        _beside.executor = ProcessExecutor(1)
    outcomes: list[Outcome] = _beside.executor.submit(work, job, tasks).result()
    return outcomes


@contextmanager
def _connected(scheduler: str, timeout: float) -> Iterator[Any]:
    try:
        import distributed
    except ImportError as error:
        raise UserError(
            f"prepare.scheduler={scheduler} needs Dask: `pip install 'addnet[cluster]'`, or leave it away to use the "
            "cores of this machine"
        ) from error
    connect: Any = distributed.Client
    try:
        client = connect(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:  # asyncio's TimeoutError is an OSError
        raise UserError(
            f"prepare.scheduler={scheduler}: nobody answered within {timeout:g} s. Expected is the address that "
            "`dask scheduler` prints when it starts, such as tcp://10.0.0.1:8786"
        ) from error
    try:
        yield client
    finally:
        client.close()


def _compare_versions(client: Any) -> None:
    """Refuses workers with another addnet, and tells of other packages that could make a difference."""
    versions: Any = client.get_versions(packages=_PACKAGES)
    ours = versions["client"]["packages"]
    for address, worker in versions["workers"].items():
        for name in _PACKAGES:
            theirs = worker["packages"].get(name)
            if theirs == ours.get(name):
                continue
            difference = f"the worker at {address} has {name} {theirs}, this process has {ours.get(name)}"
            if name == "addnet":
                raise UserError(f"{difference}: install the same on all machines")
            log.warning("%s; faces may be found differently", difference)


class _Capacity:
    """How many chunks the workers can take, as they are now."""

    def __init__(self, client: Any, scheduler: str) -> None:
        self._client, self._scheduler = client, scheduler
        self._asked = float("-inf")
        self._threads: dict[str, int] = {}
        self._told: set[str] = set()

    def __call__(self) -> int:
        if self._client.status == "closed":
            raise ConnectionError("the client gave up")
        if time.monotonic() - self._asked > _ASK_AGAIN:
            self._threads = dict(self._client.nthreads())
            self._asked = time.monotonic()
            self._tell()
        return max(1, _AHEAD * sum(self._threads.values()))

    def _tell(self) -> None:
        if not self._threads:
            self._tell_once("the scheduler at %s has no workers (any more); waiting for some", "none")
            return
        self._told.discard("none")
        if any(threads > 1 for threads in self._threads.values()):
            self._tell_once("workers at %s have several threads; start them with --nthreads 1", "threads")

    def _tell_once(self, text: str, what: str) -> None:
        if what not in self._told:
            self._told.add(what)
            log.warning(text, self._scheduler)
