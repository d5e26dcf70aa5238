"""Processes that stand ready to open what visitors send; one that is told to stop is replaced by a fresh one."""

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

_TRAVEL = 4  # items at once


class Readers(Generic[Item]):
    """A few processes, each at one file at a time.

    They keep the bounds of the job, see `addnet.untrusted.limits`, and end with this process, however it ends.

    Args:
        job: What is done with a file.
        count: How many files are read at once.
    """

    def __init__(self, job: PoolJob[Path, Iterable[Item]], count: int) -> None:
        self._job = job
        self._all: set[_Reader[Item]] = set()
        self._free: queue.SimpleQueue[_Reader[Item]] = queue.SimpleQueue()
        for _ in range(count):
            self._add()

    def wait_until_ready(self) -> None:
        """Waits until all processes have opened what they need; without it the first files wait.

        Raises:
            UserError: `start` of the job raised one.
        """
        for reader in list(self._all):
            reader.ready.result()

    @contextmanager
    def reading(self, path: Path, errand: FileTask) -> Iterator[Iterator[Item]]:
        """What the job makes of a file, as it is made.

        Raises:
            UserError: The errand is given up; or, within the block, what `Stream` raises.
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
        """Kills all of them, whatever they are at."""
        for reader in list(self._all):
            reader.kill()

    def _add(self) -> None:
        reader = _Reader(self._job)
        self._all.add(reader)
        self._free.put(reader)


class _Reader(Generic[Item]):
    """One process.

    Attributes:
        ready: Done once it has opened what it needs.
    """

    def __init__(self, job: PoolJob[Path, Iterable[Item]]) -> None:
        self._job = job
        self._lane = ProcessExecutor(1)
        self._at_work = self._killed = False
        self.ready: Future[None] = self._lane.submit(_open, job)

    @property
    def idle(self) -> bool:
        """Whether it lives and has nothing left to do."""
        return not self._at_work and not self._killed

    def items(self, path: Path) -> Iterator[Item]:
        self._at_work = True
        try:
            yield from Stream(self._lane, self._job, path, at_once=_TRAVEL)
        except GeneratorExit:  # whoever reads stops, this one may be at the file still
            raise
        except Exception:
            self._at_work = False
            raise
        self._at_work = False

    def kill(self) -> None:
        self._killed = True
        self._lane.shutdown(wait=False, cancel_futures=True)


def _open(job: PoolJob[Any, Any]) -> None:
    """Opens what the job needs; runs in the process."""
    opened(job)
