"""Files that are answered for: so many at once, so many more wait, each in bounded time and only while it is wanted."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from addnet.inference.answering.asking import Reply, Visit
from addnet.inference.answering.errand import FileTask
from addnet.inference.answering.uploads import Upload, Uploads

_TICK = 0.25  # seconds after which is looked whether the answer is still wanted


class BusyError(Exception):
    """As many files are waiting as may.

    Args:
        seconds: After which it is worth another try.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many files wait to be looked at; try again in {seconds} seconds")
        self.seconds = seconds


@dataclass
class FileWork:
    """The work on one file.

    Attributes:
        upload: The file, which is gone when the work has ended.
        errand: By which it may be given up, and which knows how far it is.
        done: What is said about it; None where the program failed.
        begun: Whether a thread is at it.
    """

    upload: Upload
    errand: FileTask = field(default_factory=FileTask)
    done: asyncio.Future[Reply | None] = field(init=False)
    begun: bool = False


class WorkRegister:
    """What is under way. For one thread, that of the server, which never waits here.

    Args:
        visit: Answers for files.
        uploads: Where they lie.
        waiting: Files that may wait besides those that are looked at.
    """

    def __init__(self, visit: Visit, uploads: Uploads, *, waiting: int) -> None:
        self.visit = visit
        self._uploads = uploads
        self._most = visit.workers + waiting
        self._threads = ThreadPoolExecutor(visit.workers, "file")
        self._under_way: list[FileWork] = []
        self._lasted = 1.0  # seconds of a file, by the last ones

    @property
    def counts(self) -> tuple[int, int]:
        """Files that are looked at, and that wait."""
        begun = sum(work.begun for work in self._under_way)
        return begun, len(self._under_way) - begun

    def require_room(self, files: int) -> None:
        """Checks that so many files more may wait.

        Raises:
            BusyError: They may not.
        """
        if len(self._under_way) + files > self._most:
            raise BusyError(max(1, round(self._lasted * len(self._under_way) / self.visit.workers)))

    def begin(self, upload: Upload, *, explained: bool) -> FileWork:
        """Begins, or waits until there is a thread; the upload is gone at the end, whatever it is."""
        work = FileWork(upload)
        self._under_way.append(work)
        loop = asyncio.get_running_loop()

        def ask() -> Reply | None:
            work.begun, begun = True, time.monotonic()
            try:
                said = self.visit.ask_safely(upload.path, name=upload.name, errand=work.errand, explained=explained)
            finally:
                self._lasted += 0.2 * (time.monotonic() - begun - self._lasted)
            return said

        work.done = loop.run_in_executor(self._threads, ask)
        work.done.add_done_callback(lambda _: self._ended(work))
        return work

    async def wait(self, work: FileWork, unwanted: Callable[[], Awaitable[bool]]) -> Reply | None:
        """Waits for the work, and gives it up where it takes too long or nobody wants it any more.

        Args:
            work: From `begin`.
            unwanted: Whether nobody does.
        """
        most, until = self.visit.limits.max_work, 0.0
        while not (await asyncio.wait({work.done}, timeout=_TICK))[0]:
            until = until or (time.monotonic() + most if work.begun else 0.0)
            if await unwanted():
                work.errand.give_up("nobody waits for it")
            elif until and time.monotonic() > until:
                work.errand.give_up(f"it took longer than {most:g} seconds; a smaller image or a shorter video may do")
        return work.done.result()

    def close(self) -> None:
        """Gives up whatever is under way."""
        for work in self._under_way:
            work.errand.give_up("the service ends")
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _ended(self, work: FileWork) -> None:
        self._under_way.remove(work)
        self._uploads.discard(work.upload)
