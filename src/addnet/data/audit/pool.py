"""Records in chunks on all cores, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from typing import NoReturn, TypeVar

from addnet.errors import UserError
from addnet.index.records import Record
from addnet.pool import Job, cores, in_order, run_local

T = TypeVar("T")
Task = Callable[[list[Record]], T]

CHUNK = 64


def over_chunks(
    task: Task[T], records: Iterable[Record], *, count: int, workers: int | None = None, chunk: int = CHUNK
) -> Iterator[T]:
    """What `task` gives for each chunk of records, in order.

    Args:
        task: Picklable; reaches each process once, so that what it opens (models, files) stays open there.
        records: May be a generator.
        count: How many records there are.
        workers: Processes; default: all cores. With 1, and for few records, this process does it.
        chunk: Records a call.

    Raises:
        UserError: A chunk can't be done at all: it kills every process that tries.
    """
    workers = min(workers or cores(), count // chunk)
    job = Job.of(partial(_numbered, task=task))
    chunks = enumerate(_chunks(records, chunk))
    yield from in_order(run_local(job, chunks, failed=_failed, workers=workers if workers > 1 else 0))


def _chunks(records: Iterable[Record], chunk: int) -> Iterator[list[Record]]:
    stream = iter(records)
    while part := list(islice(stream, chunk)):
        yield part


def _numbered(chunk: tuple[int, list[Record]], task: Task[T]) -> tuple[int, T]:
    number, records = chunk
    return number, task(records)


def _failed(chunk: tuple[int, list[Record]], reason: str) -> NoReturn:
    _, records = chunk
    raise UserError(f"one of the {len(records)} pictures from {records[0].path} on can't be examined: {reason}")
