"""Runs a function over many files, on all cores of this machine or on a cluster."""

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
    """Runs every task once and yields the results in the order in which they finish.

    `function` is unpickled once in each process, so that objects it holds are made once:
    `partial(examine, landmarker=Landmarker())`. It may run again for a task whose worker died, so it must write each
    file completely or not at all. To stop early, close the generator (or leave it by an exception): local processes
    are killed, and waiting tasks are cancelled.

    Args:
        function: Task → result, from a module that workers can import.
        tasks: The tasks; may be a generator, which is read as workers need it.
        failed: Makes the result of a task that raised an exception or killed its worker, from the task and the reason.
        workers: Processes on this machine; default: all cores. 0: in this process, where a crash of native code
            ends everything. Ignored on a cluster.
        scheduler: Address of a Dask scheduler such as `tcp://127.0.0.1:8786`; None: this machine.
        chunk: Number of tasks that a worker gets at a time: 1 for videos, about 16 for images.
        start: Called once in each process before its first task, such as `landmarker.load`.
        limits: Memory and time that a task may take in a worker process; default: `Limits()`.

    Raises:
        UserError: A problem that affects every task, such as a scheduler that doesn't answer.

    Example:
        >>> sorted(run(abs, [-1, 2, -3], failed=lambda task, reason: 0, workers=0))
        [1, 2, 3]
    """
    job = PoolJob.of(function, start, limits=limits)
    if scheduler is None:
        return run_local(job, tasks, failed=failed, workers=workers, chunk=chunk)
    return run_on_cluster(job, tasks, scheduler=scheduler, failed=failed, chunk=chunk)
