"""Generators in processes that go on to the next one: what each yields comes as it is made, and one may die alone."""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any, Generic, TypeVar

from addnet.errors import UserError
from addnet.pool.job import Job, opened
from addnet.pool.processes import ProcessExecutor, WorkerDiedError

Task = TypeVar("Task")
Item = TypeVar("Item")

_TAKEN = 8  # items that travel at once
_AHEAD = 4  # times so many are made before anybody takes them

_under_way: dict[str, Iterator[Any]] = {}  # of a worker process: the one stream that it is at


class Stream(Generic[Task, Item]):
    """What comes of one task.

    Attributes:
        task: The task.
    """

    def __init__(self, lane: ProcessExecutor, job: Job[Task, Iterable[Item]], task: Task) -> None:
        self.task = task
        self.lane = lane
        self._job, self._token = job, uuid.uuid4().hex
        self._asked: deque[Future[tuple[list[Item], bool]]] = deque()
        for number in range(_AHEAD):
            self._ask(first=number == 0)

    def __iter__(self) -> Iterator[Item]:
        """The items, in their order.

        Raises:
            UserError: What the function raised; or its process died.
        """
        ended = False
        while not ended:
            try:
                items, ended = self._asked.popleft().result()
            except WorkerDiedError as error:
                raise UserError(f"the process that was reading it died: {error}") from error
            if not ended:
                self._ask()
            yield from items

    def close(self) -> None:
        """Gives up what wasn't taken."""
        for future in self._asked:
            future.cancel()

    def _ask(self, *, first: bool = False) -> None:
        take: Callable[..., tuple[list[Item], bool]] = _take
        self._asked.append(self.lane.submit(take, self._job, self._token, self.task, first=first))


def streams(
    job: Job[Task, Iterable[Item]], tasks: Iterable[Task], *, workers: int
) -> Generator[Stream[Task, Item], None, None]:
    """What a function gives for each task, in the order of tasks, while others are under way already.

    A process makes a stream after the other, so that what `start` of the job opens is opened once. It waits while
    nobody takes what it made, so that memory doesn't grow. Closing the generator kills the processes.

    Args:
        job: Its function gives what can be iterated over.
        tasks: May be a generator.
        workers: Processes, at least 1.
    """
    waiting = iter(tasks)
    lanes = [ProcessExecutor(1) for _ in range(workers)]
    try:
        begun = deque(Stream(lane, job, task) for lane, task in zip(lanes, waiting, strict=False))
        while begun:
            stream = begun.popleft()
            yield stream
            stream.close()
            begun.extend(Stream(stream.lane, job, task) for task in islice(waiting, 1))
    finally:
        for lane in lanes:
            lane.shutdown(wait=False, cancel_futures=True)


def _take(job: Job[Task, Iterable[Item]], token: str, task: Task, *, first: bool) -> tuple[list[Item], bool]:
    """The next items of a stream, and whether they are the last; runs in the worker."""
    if first:
        _under_way.clear()
        function: Callable[[Task], Iterable[Item]] = opened(job)
        _under_way[token] = iter(function(task))
    items = list(islice(_under_way.get(token, iter(())), _TAKEN))
    return items, len(items) < _TAKEN
