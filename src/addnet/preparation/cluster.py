"""Preparation on several machines: an executor that uses the workers of a Dask scheduler."""

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

# the packages that landmarks and crops depend on, by the names of their distributions
_PACKAGES = ["addnet", "numpy", "opencv-python-headless", "dlib-bin", "av"]
_AHEAD = 2
_ASK_AGAIN = 5.0  # seconds

_beside = threading.local()  # on a worker of the cluster: one process for each of its threads


def run_on_cluster(
    job: PoolJob[Task, Result],
    tasks: Iterable[Task],
    *,
    scheduler: str,
    failed: Callable[[Task, str], Result],
    chunk: int = 1,
    timeout: float = 15.0,
) -> Generator[Result, None, None]:
    """Runs tasks on the workers of a Dask scheduler; see `addnet.pool.drive`.

    Workers may join and leave at any time. Closing the generator cancels the waiting tasks; a task that a worker has
    started is finished there, and its result is dropped.

    Args:
        job: The function to run on each task; workers must be able to import it.
        tasks: The tasks; may be a generator.
        scheduler: Address of the scheduler, such as `tcp://127.0.0.1:8786`.
        failed: Makes the result of a task that failed, from the task and the reason.
        chunk: Number of tasks that a worker gets at a time.
        timeout: Seconds to wait for the scheduler.

    Raises:
        UserError: Dask isn't installed, the scheduler can't be reached or was lost, or a worker has another version
            of addnet.
    """
    with _connected(scheduler, timeout) as client:
        from distributed import KilledWorker  # `_connected` has checked that it is installed

        _compare_versions(client)
        executor = client.get_executor(pure=False)  # impure: each task has its own key; Dask merges and caches none
        try:
            capacity = _Capacity(client, scheduler)
            how: Any = {"capacity": capacity, "dead": (KilledWorker, WorkerDiedError), "worker": work_beside}
            yield from drive(executor, job, tasks, failed=failed, chunk=chunk, **how)
        except (CancelledError, OSError) as error:
            raise UserError(
                f"the connection to the scheduler at {scheduler} was lost; the results received so far are kept. "
                "Start the scheduler again, then run the same command again"
            ) from error


def work_beside(job: PoolJob[Task, Result], tasks: Sequence[Task]) -> list[Outcome]:
    """Runs a chunk of tasks in a separate process alongside the cluster's worker, within the job's limits.

    If the limits ended the worker itself, its nanny would restart it, and Dask would try the task on three others.
    """
    if not hasattr(_beside, "executor"):
        # Dask's workers are daemons, which may not start processes; ours end when the worker does
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
            f"prepare.scheduler={scheduler} needs Dask: run `pip install 'addnet[cluster]'`, or leave out "
            "prepare.scheduler to use the cores of this machine"
        ) from error
    connect: Any = distributed.Client
    try:
        client = connect(scheduler, timeout=timeout, set_as_default=False)
    except (OSError, ValueError) as error:  # asyncio's TimeoutError is an OSError
        raise UserError(
            f"prepare.scheduler={scheduler}: no answer within {timeout:g} s. Give the address that "
            "`dask scheduler` prints when it starts, such as tcp://10.0.0.1:8786"
        ) from error
    try:
        yield client
    finally:
        client.close()


def _compare_versions(client: Any) -> None:
    """Raises if a worker has another addnet; warns of other packages whose version could change the results."""
    versions: Any = client.get_versions(packages=_PACKAGES)
    ours = versions["client"]["packages"]
    for address, worker in versions["workers"].items():
        for name in _PACKAGES:
            theirs = worker["packages"].get(name)
            if theirs == ours.get(name):
                continue
            difference = f"the worker at {address} has {name} {theirs}, this process has {ours.get(name)}"
            if name == "addnet":
                raise UserError(f"{difference}: install the same version on all machines")
            log.warning("%s; it may find other faces", difference)


class _Capacity:
    """The number of chunks that the current workers can take."""

    def __init__(self, client: Any, scheduler: str) -> None:
        self._client, self._scheduler = client, scheduler
        self._asked = float("-inf")
        self._threads: dict[str, int] = {}
        self._warned: set[str] = set()

    def __call__(self) -> int:
        if self._client.status == "closed":
            raise ConnectionError("the client gave up")
        if time.monotonic() - self._asked > _ASK_AGAIN:
            self._threads = dict(self._client.nthreads())
            self._asked = time.monotonic()
            self._warn()
        return max(1, _AHEAD * sum(self._threads.values()))

    def _warn(self) -> None:
        if not self._threads:
            self._warn_once("the scheduler at %s has no workers at present; waiting for some", "none")
            return
        self._warned.discard("none")
        if any(threads > 1 for threads in self._threads.values()):
            self._warn_once("workers at %s have several threads; start them with --nthreads 1", "threads")

    def _warn_once(self, text: str, what: str) -> None:
        if what not in self._warned:
            self._warned.add(what)
            log.warning(text, self._scheduler)
