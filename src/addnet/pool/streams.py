"""Generators in processes that go on to the next one: what each yields comes as it is made, and one may die alone."""

from __future__ import annotations

import traceback
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from addnet.errors import UserError
from addnet.pool.job import PoolJob, opened
from addnet.pool.processes import ProcessExecutor, WorkerDiedError
from addnet.untrusted.limits import Bound, Limits

Task = TypeVar("Task")
Item = TypeVar("Item")

_TAKEN = 8  # items that travel at once
_AHEAD = 4  # times so many are made before anybody takes them

_under_way: dict[str, _Source] = {}  # of a worker process: the one stream that it is at


class StreamChunk(NamedTuple):
    """What travels at once: items, whether they are the last, and what was raised behind them."""

    items: list[Any]
    ended: bool
    error: Exception | None = None


class Stream(Generic[Task, Item]):
    """What comes of one task.

    Attributes:
        task: The task.
    """

    def __init__(self, lane: ProcessExecutor, job: PoolJob[Task, Iterable[Item]], task: Task, *, at_once: int) -> None:
        self.task = task
        self.lane = lane
        self._at_once = at_once
        self._job, self._token = job, uuid.uuid4().hex
        self._asked: deque[Future[StreamChunk]] = deque()
        for number in range(_AHEAD):
            self._ask(first=number == 0)

    def __iter__(self) -> Iterator[Item]:
        """The items, in their order.

        Raises:
            UserError: The function raised one; it took more than a file may; or its process died.
            RuntimeError: The function raised something else; the text has its traceback.
        """
        ended = False
        while not ended:
            try:
                items, ended, raised = self._asked.popleft().result()
            except WorkerDiedError as error:
                raise UserError(f"the process that was reading it died: {error}") from error
            if not ended:
                self._ask()
            yield from items
            if raised:
                raise raised

    def close(self) -> None:
        """Gives up what wasn't taken."""
        for future in self._asked:
            future.cancel()

    def _ask(self, *, first: bool = False) -> None:
        self._asked.append(self.lane.submit(_take, self._job, self._token, self.task, self._at_once, first=first))


def streams(
    job: PoolJob[Task, Iterable[Item]], tasks: Iterable[Task], *, workers: int, at_once: int = _TAKEN
) -> Generator[Stream[Task, Item], None, None]:
    """What a function gives for each task, in the order of tasks, while others are under way already.

    A process makes a stream after the other, so that what `start` of the job opens is opened once. It waits while
    nobody takes what it made, so that memory doesn't grow; that time isn't counted. Closing the generator kills the
    processes.

    Args:
        job: Its function gives what can be iterated over.
        tasks: May be a generator.
        workers: Processes, at least 1.
        at_once: Items that travel together; those of a process that dies are lost together.
    """
    waiting = iter(tasks)
    lanes = [ProcessExecutor(1) for _ in range(workers)]
    try:
        begun = deque(Stream(lane, job, task, at_once=at_once) for lane, task in zip(lanes, waiting, strict=False))
        while begun:
            stream = begun.popleft()
            yield stream
            stream.close()
            begun.extend(Stream(stream.lane, job, task, at_once=at_once) for task in islice(waiting, 1))
    finally:
        for lane in lanes:
            lane.shutdown(wait=False)
        for lane in lanes:  # all of them are killed by now
            lane.shutdown()


class _Source:
    """A stream where it is made: time counts while it is asked for something."""

    def __init__(self, limits: Limits, make: Callable[[], Iterable[Any]]) -> None:
        self._bound = Bound(limits)
        self._make = make
        self._items: Iterator[Any] | None = None

    def take(self, count: int) -> StreamChunk:
        items: list[Any] = []
        try:
            with self._bound:
                self._items = iter(self._make()) if self._items is None else self._items
                for item in islice(self._items, count):
                    items.append(item)  # noqa: PERF402 - those before an error are kept
        except UserError as error:
            return StreamChunk(items, True, UserError(str(error)))
        except Exception:
            return StreamChunk(
                items, True, RuntimeError(f"in the process that was reading it:\n{traceback.format_exc()}")
            )
        return StreamChunk(items, len(items) < count)


def _take(job: PoolJob[Task, Iterable[Item]], token: str, task: Task, count: int, *, first: bool) -> StreamChunk:
    """The next items of a stream; runs in the worker."""
    if first:
        _under_way.clear()
        _under_way[token] = _Source(job.limits, partial(opened(job), task))
    source = _under_way.get(token)
    return source.take(count) if source else StreamChunk([], True)
