"""Records in chunks on all cores, in order, with a bounded number on their way."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Any, TypeVar

import cv2

from addnet.errors import UserError
from addnet.index.records import Record

T = TypeVar("T")
Task = Callable[[list[Record]], T]

CHUNK = 64
_AHEAD = 4  # chunks waiting for each process: enough to keep it busy, too few to fill the memory

_task: Task[Any] | None = None


def over_chunks(
    task: Task[T], records: Iterable[Record], *, count: int, workers: int | None = None, chunk: int = CHUNK
) -> Iterator[T]:
    """What `task` gives for each chunk of records, in order.

    Args:
        task: Picklable; reaches each process once, so that what it opens (models, files) stays open there.
        records: May be a generator.
        count: How many records there are.
        workers: Processes; default: all cores. They are spawned: OpenCV's threads do not survive a fork.
        chunk: Records a call.

    Raises:
        UserError: A process was killed.
    """
    chunks = _chunks(records, chunk)
    workers = min(workers or os.cpu_count() or 1, count // chunk)
    if workers <= 1:
        yield from map(task, chunks)
        return
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(task,))
    waiting: deque[Future[T]] = deque()
    try:
        for part in chunks:
            waiting.append(pool.submit(_run, part))
            if len(waiting) >= _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError(
            f"one of {workers} processes was killed, usually for lack of memory; set audit.workers={workers // 2}"
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _chunks(records: Iterable[Record], chunk: int) -> Iterator[list[Record]]:
    stream = iter(records)
    while part := list(islice(stream, chunk)):
        yield part


def _start(task: Task[Any]) -> None:
    global _task
    _task = task
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle


def _run(records: list[Record]) -> Any:
    assert _task is not None
    return _task(records)
