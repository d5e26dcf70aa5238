"""Tasks → results with any executor: a bounded queue, one result per task, and recovery from dead workers."""

from __future__ import annotations

import logging
import os
import pickle
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import nullcontext
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from addnet.errors import UserError
from addnet.pool.job import Outcome, PoolJob, outcome_of, unpacked, work
from addnet.pool.processes import ProcessExecutor, WorkerDiedError
from addnet.untrusted.limits import OverTimeError
from addnet.wording import count

log = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")
Deaths: TypeAlias = tuple[type[BaseException], ...]
Worker: TypeAlias = Callable[[PoolJob[Any, Any], Sequence[Any]], list[Outcome]]

_AHEAD = 2  # chunks per worker: one being processed and one queued, so that no worker ever waits
_HOPELESS = 50  # deaths without a single finished task before the loop gives up
_PATIENCE = 5.0  # seconds after which the number of workers is checked again


class _Attempt(NamedTuple):
    """Tasks that a worker gets at once, and how often a worker died while it had only this task."""

    tasks: tuple[Any, ...]
    deaths: int = 0


class _Loop(Generic[Task, Result]):
    """The state of `drive`: the chunks being processed and the tasks to retry."""

    def __init__(
        self, executor: Executor, job: PoolJob[Task, Result], tasks: Iterable[Task], chunk: int, worker: Worker
    ) -> None:
        self.executor, self.job, self.chunk, self.worker = executor, job, chunk, worker
        self.stream = iter(tasks)
        self.pending: dict[Future[list[Outcome]], _Attempt] = {}
        self.suspects: deque[_Attempt] = deque()
        self.culprits: deque[_Attempt] = deque()
        self.deaths: int | None = 0  # None once any task has finished

    def fill(self, capacity: int) -> None:
        """Submits chunks up to the capacity; a task that killed a worker on its own runs last, with nothing else."""
        while len(self.pending) < capacity:
            attempt = self.suspects.popleft() if self.suspects else _Attempt(tuple(islice(self.stream, self.chunk)))
            if not attempt.tasks:
                if self.pending or not self.culprits:
                    return
                attempt = self.culprits.popleft()
            self.pending[self.executor.submit(self.worker, self.job, attempt.tasks)] = attempt

    def settle(
        self, future: Future[list[Outcome]], dead: tuple[type[BaseException], ...]
    ) -> list[tuple[Task, Outcome]]:
        """Returns the outcomes of a finished chunk; an empty list if its tasks are retried."""
        attempt = self.pending.pop(future)
        try:
            outcomes = future.result()
        except OverTimeError as error:
            return self._give_up(attempt, error)
        except dead as error:
            return self._retry(attempt, error)
        self.deaths = None
        return list(zip(attempt.tasks, outcomes, strict=True))

    def _give_up(self, attempt: _Attempt, error: OverTimeError) -> list[tuple[Task, Outcome]]:
        """Returns the failure of the task that took too long; the rest of its chunk is submitted again."""
        # error.begun tasks were begun: all but the last of them finished, but their results are lost
        *before, culprit = attempt.tasks[: error.begun]
        if others := (*before, *attempt.tasks[error.begun :]):
            self.suspects.append(_Attempt(others))
        return [(culprit, Outcome(None, str(error)))]

    def _retry(self, attempt: _Attempt, error: BaseException) -> list[tuple[Task, Outcome]]:
        """Queues the tasks of a chunk whose worker died; returns the failure of a task that killed two workers."""
        if self.deaths is not None:
            self.deaths += 1
            if self.deaths >= _HOPELESS:
                raise UserError(
                    f"{count(self.deaths, 'worker')} died before a single task was finished; the last one: {error}"
                ) from error
        if len(attempt.tasks) > 1:
            log.warning(
                "a worker died while processing one of %s (%s); each is tried again on its own",
                count(len(attempt.tasks), "task"),
                error,
            )
            self.suspects.extend(_Attempt((task,)) for task in attempt.tasks)
        elif attempt.deaths == 0:
            log.warning(
                "a worker died while processing %s (%s); it is tried once more at the end", attempt.tasks[0], error
            )
            self.culprits.append(_Attempt(attempt.tasks, deaths=1))
        else:
            return [(attempt.tasks[0], Outcome(None, f"killed its worker twice: {error}"))]
        return []


def drive(
    executor: Executor,
    job: PoolJob[Task, Result],
    tasks: Iterable[Task],
    *,
    failed: Callable[[Task, str], Result],
    chunk: int,
    capacity: Callable[[], int],
    dead: Deaths = (WorkerDiedError,),
    worker: Worker = work,
) -> Generator[Result, None, None]:
    """Runs tasks with an executor and yields their results in the order in which they finish.

    When a worker dies, each task of its chunk is tried again on its own. A task that kills a worker on its own is
    tried once more at the very end, while nothing else runs, and then reported as failed. A task that takes longer
    than the job allows is reported as failed without a retry. Closing the generator cancels the chunks in the queue.

    Args:
        executor: Runs `worker`.
        job: The function for each task.
        tasks: May be a generator; it is consumed only as fast as the workers need it.
        failed: Makes a result for a failed task, from the task and the reason.
        chunk: Number of tasks that a worker gets at once.
        capacity: Returns how many chunks may be submitted at a time; called repeatedly.
        dead: Exceptions by which the executor reports that a worker died.
        worker: Runs a chunk of tasks: `work`, or a function that calls it somewhere else.

    Raises:
        UserError: One worker after another died before a single task was finished.
    """
    loop = _Loop(executor, job, tasks, chunk, worker)
    ready: list[tuple[Task, Outcome]] = []
    try:
        while True:
            loop.fill(capacity())
            for task, outcome in ready:  # after `fill`, so that the workers are busy while the caller handles results
                yield _result(task, outcome, failed)
            if not loop.pending:
                return
            done, _ = wait(loop.pending, timeout=_PATIENCE, return_when=FIRST_COMPLETED)
            ready = [pair for future in done for pair in loop.settle(future, dead)]
    finally:
        for future in loop.pending:
            future.cancel()


def _result(task: Task, outcome: Outcome, failed: Callable[[Task, str], Result]) -> Result:
    return failed(task, outcome.reason) if outcome.result is None else pickle.loads(outcome.result)


def cores() -> int:
    """Returns the number of cores that this process may use; SLURM or a container may grant only some of them."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_local(
    job: PoolJob[Task, Result],
    tasks: Iterable[Task],
    *,
    failed: Callable[[Task, str], Result],
    workers: int | None = None,
    chunk: int = 1,
    executor: ProcessExecutor | None = None,
) -> Generator[Result, None, None]:
    """Runs tasks in processes of this machine; see `drive`.

    Args:
        job: The function for each task.
        tasks: May be a generator.
        failed: Makes a result for a failed task, from the task and the reason.
        workers: Number of processes; default: one per core. 0: in this process, where a crash of native code ends
            the program and the job's limits aren't enforced.
        chunk: Number of tasks that a process gets at once: more than one if a task takes less than about 100 ms.
        executor: Its `workers` processes run the tasks and stay alive afterwards; default: new processes, which end
            with the tasks.

    Raises:
        UserError: `workers` or `chunk` is out of range, or the job's `start` raised one.
    """
    if chunk < 1 or (workers is not None and workers < 0):
        raise UserError(f"workers={workers}, chunk={chunk}: workers must be at least 0 and chunk at least 1")
    if workers == 0:
        function = unpacked(job)
        for task in tasks:
            yield _result(task, outcome_of(function, task, job.limits), failed)
        return
    workers = executor.workers if executor else workers or cores()
    with nullcontext(executor) if executor else ProcessExecutor(workers) as processes:
        yield from drive(processes, job, tasks, failed=failed, chunk=chunk, capacity=lambda: _AHEAD * workers)
