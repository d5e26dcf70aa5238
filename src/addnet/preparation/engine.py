"""Many files, one result each, on all cores of this machine or on a cluster."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from typing import TypeVar

from addnet.pool import PoolJob, run_local
from addnet.preparation.cluster import run_on_cluster
from addnet.untrusted.limits import Limits

Task = TypeVar("Task")
Result = TypeVar("Result")


def run(
    function: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    failed: Callable[[Task, str], Result],
    workers: int | None = None,
    scheduler: str | None = None,
    chunk: int = 1,
    start: Callable[[], object] | None = None,
    limits: Limits | None = None,
) -> Generator[Result, None, None]:
    """Does every task once and yields the results in the order in which they are finished.

    `function` is unpacked once in each process, so what it holds is made once:
    `partial(examine, landmarker=Landmarker())`. It may run again for a task whose worker died, so what it writes
    it must write whole or not at all. Close the generator (or leave it by an exception) to end early: local processes
    are killed, what waits is cancelled.

    Args:
        function: Task → result, of a module that workers can import.
        tasks: May be a generator; it is read as far as workers need it.
        failed: Makes the result of a task that raised something or killed its worker, from it and the reason.
        workers: Processes on this machine; default: all cores. 0: in this process, where a crash of native code
            ends everything. Without meaning on a cluster.
        scheduler: Address of a Dask scheduler such as `tcp://127.0.0.1:8786`; None: this machine.
        chunk: Tasks a worker gets at once: 1 for videos, some 16 for images.
        start: Called once in each process before its first task, such as `landmarker.load`.
        limits: What each task may take of a process other than this one; default: `Limits()`.

    Raises:
        UserError: What cannot work for any task, such as a scheduler that does not answer.

    Example:
        >>> sorted(run(abs, [-1, 2, -3], failed=lambda task, reason: 0, workers=0))
        [1, 2, 3]
    """
    job = PoolJob.of(function, start, limits=limits)
    if scheduler is None:
        return run_local(job, tasks, failed=failed, workers=workers, chunk=chunk)
    return run_on_cluster(job, tasks, scheduler=scheduler, failed=failed, chunk=chunk)
