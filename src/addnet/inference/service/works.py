"""Files being answered: limited numbers are processed and wait, each for a limited time and only while it is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from addnet.inference.answering.asking import Reply, Visit
from addnet.inference.answering.errand import FileTask
from addnet.inference.answering.uploads import Upload, Uploads

_TICK = 0.25  # seconds between checks whether the answer is still wanted


class BusyError(Exception):
    """The queue of files is full.

    Args:
        seconds: Estimated seconds until there is room.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many files are waiting; try again in {seconds} seconds")
        self.seconds = seconds


@dataclass
class FileWork:
    """The work on one file.

    Attributes:
        upload: The file, which is deleted when the work has ended.
        errand: The task, by which the work can be cancelled and which counts its faces.
        done: The answer; None if the program failed.
        begun: Whether a thread has begun to work on it.
    """

    upload: Upload
    errand: FileTask = field(default_factory=FileTask)
    done: asyncio.Future[Reply | None] = field(init=False)
    begun: bool = False


class WorkRegister:
    """All files being processed or waiting. Not thread-safe: used by the server's thread, which it never blocks.

    Args:
        visit: Answers for files.
        uploads: The folder of uploads.
        waiting: Largest number of files that wait, in addition to those being processed.
    """

    def __init__(self, visit: Visit, uploads: Uploads, *, waiting: int) -> None:
        self.visit = visit
        self._uploads = uploads
        self._most = visit.workers + waiting
        self._threads = ThreadPoolExecutor(visit.workers, "file")
        self._under_way: list[FileWork] = []
        self._lasted = 1.0  # moving average of the seconds per file

    @property
    def counts(self) -> tuple[int, int]:
        """Numbers of files being processed and of files waiting."""
        begun = sum(work.begun for work in self._under_way)
        return begun, len(self._under_way) - begun

    def require_room(self, files: int) -> None:
        """Checks that this many more files may wait.

        Raises:
            BusyError: There is no room for them.
        """
        if len(self._under_way) + files > self._most:
            raise BusyError(max(1, round(self._lasted * len(self._under_way) / self.visit.workers)))

    def begin(self, upload: Upload, *, explained: bool) -> FileWork:
        """Begins the work as soon as a thread is free; the upload is deleted at the end, whatever the result."""
        work = FileWork(upload)
        self._under_way.append(work)
        loop = asyncio.get_running_loop()

        def ask() -> Reply | None:
            work.begun, begun = True, time.monotonic()
            try:
                reply = self.visit.ask_safely(upload.path, name=upload.name, errand=work.errand, explained=explained)
            finally:
                self._lasted += 0.2 * (time.monotonic() - begun - self._lasted)
            return reply

        work.done = loop.run_in_executor(self._threads, ask)
        work.done.add_done_callback(lambda _: self._ended(work))
        return work

    async def wait(self, work: FileWork, unwanted: Callable[[], Awaitable[bool]]) -> Reply | None:
        """Waits for the work, and cancels it if it takes too long or is no longer wanted.

        Args:
            work: From `begin`.
            unwanted: Returns whether nobody waits for the answer any more.
        """
        most, until = self.visit.limits.max_work, 0.0
        while not (await asyncio.wait({work.done}, timeout=_TICK))[0]:
            until = until or (time.monotonic() + most if work.begun else 0.0)
            if await unwanted():
                work.errand.give_up("nobody is waiting for the answer")
            elif until and time.monotonic() > until:
                work.errand.give_up(f"it took longer than {most:g} seconds; try a smaller image or a shorter video")
        return work.done.result()

    def close(self) -> None:
        """Cancels all work."""
        for work in self._under_way:
            work.errand.give_up("the service is shutting down")
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, work: FileWork) -> None:
        self._under_way.remove(work)
        self._uploads.discard(work.upload)
