"""Runs generators in worker processes and passes on their items as they are yielded; each may fail on its own."""

from __future__ import annotations

import traceback
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
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

_TAKEN = 8  # items per message
_AHEAD = 4  # messages that are requested ahead of the consumer

_under_way: dict[str, _StreamSource] = {}  # in a worker process: the one stream that it is generating


class StreamChunk(NamedTuple):
    """One message of a worker: items, whether they are the last, and the exception raised after them."""

    items: list[Any]
    ended: bool
    error: Exception | None = None


class Stream(Generic[Task, Item]):
    """The items that a generator yields for one task.

    Attributes:
        task: The task.
    """

    def __init__(self, lane: ProcessExecutor, job: PoolJob[Task, Iterable[Item]], task: Task, *, at_once: int) -> None:
        self.task = task
        self.lane = lane
        self._at_once = at_once
        self._job, self._token = job, uuid.uuid4().hex
        self._requests: deque[Future[StreamChunk]] = deque()
        for number in range(_AHEAD):
            self._request(first=number == 0)

    def __iter__(self) -> Iterator[Item]:
        """Yields the items in order.

        Raises:
            UserError: The function raised one, exceeded the limits of a file, or its process died.
            RuntimeError: The function raised another exception; the message contains its traceback.
        """
        ended = False
        while not ended:
            try:
                items, ended, raised = self._requests.popleft().result()
            except WorkerDiedError as error:
                raise UserError(f"the process that was reading the file died: {error}") from error
            if not ended:
                self._request()
            yield from items
            if raised:
                raise raised

    def close(self) -> None:
        """Cancels the requests that weren't answered yet."""
        for future in self._requests:
            future.cancel()

    def _request(self, *, first: bool = False) -> None:
        self._requests.append(self.lane.submit(_take, self._job, self._token, self.task, self._at_once, first=first))


def streams(
    job: PoolJob[Task, Iterable[Item]],
    tasks: Iterable[Task],
    *,
    workers: int,
    at_once: int = _TAKEN,
    lanes: Sequence[ProcessExecutor] = (),
) -> Generator[Stream[Task, Item], None, None]:
    """Yields a stream for each task, in the order of the tasks, while later streams are being generated already.

    A process generates one stream after another, so that whatever the job's `start` opens is opened once. It pauses
    while its items aren't consumed, so that memory doesn't grow; the pause doesn't count towards the time limit.
    Closing the generator kills the processes.

    Args:
        job: Its function returns an iterable.
        tasks: May be a generator.
        workers: Number of processes, at least 1.
        at_once: Number of items per message; if a process dies, the items of an unfinished message are lost.
        lanes: Executors of one process each, to be used instead of `workers` new ones.
    """
    waiting = iter(tasks)
    lanes = lanes or [ProcessExecutor(1) for _ in range(workers)]
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


class _StreamSource:
    """A stream inside its worker process; its time limit runs only while items are being generated."""

    def __init__(self, limits: Limits, make: Callable[[], Iterable[Any]]) -> None:
        self._bound = Bound(limits)
        self._make = make
        self._items: Iterator[Any] | None = None

    def take(self, count: int) -> StreamChunk:
        """Generates the next `count` items."""
        items: list[Any] = []
        try:
            with self._bound:
                self._items = iter(self._make()) if self._items is None else self._items
                for item in islice(self._items, count):
                    items.append(item)  # noqa: PERF402 - items before an exception are kept
        except UserError as error:
            return StreamChunk(items, True, UserError(str(error)))
        except Exception:
            return StreamChunk(
                items, True, RuntimeError(f"in the process that was reading the file:\n{traceback.format_exc()}")
            )
        return StreamChunk(items, len(items) < count)


def _take(job: PoolJob[Task, Iterable[Item]], token: str, task: Task, count: int, *, first: bool) -> StreamChunk:
    """Returns the next items of a stream; runs in the worker."""
    if first:
        _under_way.clear()
        _under_way[token] = _StreamSource(job.limits, partial(opened(job), task))
    source = _under_way.get(token)
    return source.take(count) if source else StreamChunk([], True)
