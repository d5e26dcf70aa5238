"""Tasks → results over any executor: bounded, each exactly once, and on after a worker died."""

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

_AHEAD = 2  # chunks a worker: one that it is at, one that waits, so that it never does
_HOPELESS = 50  # deaths before anything at all came back
_PATIENCE = 5.0  # seconds after which the number of workers is looked at again


class _Attempt(NamedTuple):
    """Tasks that a worker gets at once, and how often each of them was alone with a worker that died."""

    tasks: tuple[Any, ...]
    deaths: int = 0


class _Loop(Generic[Task, Result]):
    """The state of `drive`: what is under way, what is to be tried again."""

    def __init__(
        self, executor: Executor, job: PoolJob[Task, Result], tasks: Iterable[Task], chunk: int, worker: Worker
    ) -> None:
        self.executor, self.job, self.chunk, self.worker = executor, job, chunk, worker
        self.stream = iter(tasks)
        self.pending: dict[Future[list[Outcome]], _Attempt] = {}
        self.suspects: deque[_Attempt] = deque()
        self.culprits: deque[_Attempt] = deque()
        self.deaths: int | None = 0  # None once anything came back

    def fill(self, capacity: int) -> None:
        """Hands out chunks up to the capacity; what killed a worker on its own comes last, with nothing beside it."""
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
        """What a finished chunk gave; nothing yet where its tasks are tried again."""
        attempt = self.pending.pop(future)
        try:
            outcomes = future.result()
        except OverTimeError as error:
            return self._given_up(attempt, error)
        except dead as error:
            return self._tried_again(attempt, error)
        self.deaths = None
        return list(zip(attempt.tasks, outcomes, strict=True))

    def _given_up(self, attempt: _Attempt, error: OverTimeError) -> list[tuple[Task, Outcome]]:
        """The task that took too long; those that were handed out with it are done by another process."""
        *before, culprit = attempt.tasks[: error.begun]
        if others := (*before, *attempt.tasks[error.begun :]):
            self.suspects.append(_Attempt(others))
        return [(culprit, Outcome(None, str(error)))]

    def _tried_again(self, attempt: _Attempt, error: BaseException) -> list[tuple[Task, Outcome]]:
        if self.deaths is not None:
            self.deaths += 1
            if self.deaths >= _HOPELESS:
                raise UserError(
                    f"{count(self.deaths, 'worker')} died and not one task was done; the last one: {error}"
                ) from error
        if len(attempt.tasks) > 1:
            log.warning(
                "a worker died over one of %s (%s); each is tried again", count(len(attempt.tasks), "task"), error
            )
            self.suspects.extend(_Attempt((task,)) for task in attempt.tasks)
        elif attempt.deaths == 0:
            log.warning("a worker died over %s (%s); tried once more at the end", attempt.tasks[0], error)
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
    """Does tasks through an executor, in the order in which they are finished.

    Of a chunk whose worker died, each task is tried again on its own; one that kills a worker on its own is tried
    once more at the very end, with nothing else under way; then it is given up. One that takes longer than the job
    allows is given up at once. Closing the generator cancels what waits.

    Args:
        executor: Runs `worker`.
        job: What is done with a task.
        tasks: May be a generator; it is read as far as workers need it.
        failed: Makes the result of a task that has none, from it and the reason.
        chunk: Tasks a worker gets at once.
        capacity: How many chunks may be under way; asked again and again.
        dead: Exceptions by which the executor says that a worker died.
        worker: Does a chunk of tasks; `work`, or what calls it elsewhere.

    Raises:
        UserError: Worker after worker died and nothing was done.
    """
    loop = _Loop(executor, job, tasks, chunk, worker)
    ready: list[tuple[Task, Outcome]] = []
    try:
        while True:
            loop.fill(capacity())
            for task, outcome in ready:  # only now, so that workers have work while the caller has the results
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
    """Cores that this process may use; fewer than the machine has under SLURM or in a container's share."""
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
    """Does tasks in processes of this machine; see `drive`.

    Args:
        job: What is done with a task.
        tasks: May be a generator.
        failed: Makes the result of a task that has none.
        workers: Processes; default: all cores. 0: in this process, where a crash of native code ends everything and
            the job's limits aren't kept.
        chunk: Tasks a process gets at once: more than one where a task takes less than some 100 ms.
        executor: Its `workers` processes do it, and go on afterwards; default: others, which end with the tasks.

    Raises:
        UserError: `workers` or `chunk` is out of range; or `start` of the job raised one.
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
