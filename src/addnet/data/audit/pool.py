"""Records in chunks on all cores, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TypeVar

from addnet.index.records import Record
from addnet.pool import PoolJob, cores, in_order, run_local

T = TypeVar("T")

CHUNK = 64


def over_records(
    task: Callable[[Record], T],
    records: Iterable[Record],
    *,
    failed: Callable[[Record, str], T],
    count: int,
    workers: int | None = None,
    chunk: int = CHUNK,
) -> Iterator[T]:
    """The result of `task` for each record, in order.

    Args:
        task: Picklable; sent to each process once, so that what it opens (models, files) stays open there.
        records: May be a generator.
        failed: Makes the result for a record that kills its process or exceeds the limits of a file.
        count: How many records there are.
        workers: Number of processes; default: all cores, and one for few records.
        chunk: How many records a process gets at once.
    """
    workers = max(1, min(workers or cores(), count // chunk))
    job = PoolJob.of(partial(_numbered, task=task))
    lost = partial(_lost, failed=failed)
    yield from in_order(run_local(job, enumerate(records), failed=lost, workers=workers, chunk=chunk))


def _numbered(numbered: tuple[int, Record], task: Callable[[Record], T]) -> tuple[int, T]:
    number, record = numbered
    return number, task(record)


def _lost(numbered: tuple[int, Record], reason: str, failed: Callable[[Record, str], T]) -> tuple[int, T]:
    number, record = numbered
    return number, failed(record, reason)
