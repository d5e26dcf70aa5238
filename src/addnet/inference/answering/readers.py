"""Processes that wait for uploads and open them; one that is killed is replaced by a new one."""

from __future__ import annotations

import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, TypeVar

from addnet.inference.answering.errand import FileTask
from addnet.pool import PoolJob, Stream
from addnet.pool.job import opened
from addnet.pool.processes import ProcessExecutor

Item = TypeVar("Item")

_TRAVEL = 4  # items sent from a process at once


class Readers(Generic[Item]):
    """A few processes that each read one file at a time.

    They enforce the limits of the job, see `addnet.untrusted.limits`, and end with this process, even if it is killed.

    Args:
        job: The job that reads a file.
        count: Number of processes.
    """

    def __init__(self, job: PoolJob[Path, Iterable[Item]], count: int) -> None:
        self._job = job
        self._all: set[_Reader[Item]] = set()
        self._free: queue.SimpleQueue[_Reader[Item]] = queue.SimpleQueue()
        for _ in range(count):
            self._add()

    def wait_until_ready(self) -> None:
        """Waits until all processes have loaded their models; without this call, the first files wait for them.

        Raises:
            UserError: `start` of the job raised it.
        """
        for reader in list(self._all):
            reader.ready.result()

    @contextmanager
    def reading(self, path: Path, errand: FileTask) -> Iterator[Iterator[Item]]:
        """Yields an iterator over the items that the job makes of a file, each as soon as it is ready.

        Raises:
            UserError: The task is cancelled; or, within the block, the file can't be read or exceeds a limit.
        """
        reader = self._free.get()
        try:
            with errand.when_given_up(reader.kill):
                yield reader.items(path)
        finally:
            if reader.idle:
                self._free.put(reader)
            else:
                reader.kill()
                self._all.discard(reader)
                self._add()

    def close(self) -> None:
        """Kills all processes, even those that are busy."""
        for reader in list(self._all):
            reader.kill()

    def _add(self) -> None:
        reader = _Reader(self._job)
        self._all.add(reader)
        self._free.put(reader)


class _Reader(Generic[Item]):
    """One process.

    Attributes:
        ready: Done once the process has loaded its models.
    """

    def __init__(self, job: PoolJob[Path, Iterable[Item]]) -> None:
        self._job = job
        self._lane = ProcessExecutor(1)
        self._at_work = self._killed = False
        self.ready: Future[None] = self._lane.submit(_open, job)

    @property
    def idle(self) -> bool:
        """Whether the process is alive and has nothing to do."""
        return not self._at_work and not self._killed

    def items(self, path: Path) -> Iterator[Item]:
        self._at_work = True
        try:
            yield from Stream(self._lane, self._job, path, at_once=_TRAVEL)
        except GeneratorExit:  # the consumer stopped early: the process may still be reading the file
            raise
        except Exception:
            self._at_work = False
            raise
        self._at_work = False

    def kill(self) -> None:
        self._killed = True
        self._lane.shutdown(wait=False, cancel_futures=True)


def _open(job: PoolJob[Any, Any]) -> None:
    """Loads what the job needs; runs in the process."""
    opened(job)
