"""Where visitors are answered: one file a visitor at a time, in bounded time, and only as long as somebody waits."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from addnet.inference.answering.asking import Visit
from addnet.inference.answering.errand import FileTask
from addnet.inference.answering.uploads import Uploads
from addnet.inference.page.fragment import fragment, welcome
from addnet.inference.page.visitors import Visitors

_TICK = 0.5  # seconds after which is looked whether the visitor is still there


class PageHandler:
    """Answers with HTML. For one thread, that of the server, which never waits here.

    Args:
        visit: Answers for files.
        uploads: Where they lie.
        visitors: Who is there.
    """

    def __init__(self, visit: Visit, uploads: Uploads, visitors: Visitors) -> None:
        self.visit = visit
        self._uploads, self._visitors = uploads, visitors
        self._threads = ThreadPoolExecutor(visit.workers, "file")
        self._errands: dict[str, FileTask] = {}

    async def answer(self, name: str, session: str) -> str:
        """What is said about an upload, which is gone afterwards.

        Args:
            name: Its private name.
            session: Of who asks.
        """
        upload = self._uploads.claim(name)
        if upload is None:
            return welcome(self.visit.detector.background)
        try:
            return await self._answer(upload.path, upload.name, session)
        finally:
            self._uploads.discard(upload)

    async def answer_example(self, example: Path, session: str) -> str:
        """The same for a file of the page itself, which stays."""
        return await self._answer(example, example.name, session)

    def close(self) -> None:
        """Gives up whatever is under way."""
        for errand in self._errands.values():
            errand.give_up("the page is closed")
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _answer(self, path: Path, name: str, session: str) -> str:
        if before := self._errands.get(session):
            before.give_up("another file was dropped")
        errand = self._errands[session] = FileTask()
        work = asyncio.get_running_loop().run_in_executor(self._threads, self._work, path, name, errand)
        try:
            await self._watched(work, errand, session)
            return work.result()
        finally:
            errand.give_up("nobody waits for it")
            if self._errands.get(session) is errand:
                del self._errands[session]
            await asyncio.wait({work})  # what it reads is deleted next

    async def _watched(self, work: asyncio.Future[str], errand: FileTask, session: str) -> None:
        """Waits for the work, and gives it up where it takes too long or nobody is there any more."""
        most = self.visit.limits.max_work
        until = time.monotonic() + most
        while not (await asyncio.wait({work}, timeout=_TICK))[0]:
            if self._visitors.has_left(session):
                errand.give_up("nobody waits for it")
            elif time.monotonic() > until:
                errand.give_up(f"it took longer than {most:g} seconds; a smaller image or a shorter video may do")

    def _work(self, path: Path, name: str, errand: FileTask) -> str:
        said = self.visit.ask_safely(path, name=name, errand=errand)
        return self.visit.turns.do(FileTask(), fragment, said, self.visit.detector)  # Matplotlib is for one thread
