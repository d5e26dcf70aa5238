"""Answers visitors: one file per visitor at a time, within limited time, and only while the visitor is there."""

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

_TICK = 0.5  # seconds between checks whether the visitor is still there


class PageHandler:
    """Answers with HTML. Not thread-safe: used by the server's thread, which it never blocks.

    Args:
        visit: Answers for files.
        uploads: The folder of uploads.
        visitors: The visitors who are connected.
    """

    def __init__(self, visit: Visit, uploads: Uploads, visitors: Visitors) -> None:
        self.visit = visit
        self._uploads, self._visitors = uploads, visitors
        self._threads = ThreadPoolExecutor(visit.workers, "file")
        self._errands: dict[str, FileTask] = {}

    async def answer(self, name: str, session: str) -> str:
        """Returns the answer about an upload, which is deleted afterwards.

        Args:
            name: The private name of the upload.
            session: The session of the visitor.
        """
        upload = self._uploads.claim(name)
        if upload is None:
            return welcome(self.visit.detector.background)
        try:
            return await self._answer(upload.path, upload.name, session)
        finally:
            self._uploads.discard(upload)

    async def answer_example(self, example: Path, session: str) -> str:
        """Returns the answer about an example of the page, which isn't deleted."""
        return await self._answer(example, example.name, session)

    def close(self) -> None:
        """Cancels all work."""
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
            errand.give_up("nobody is waiting for the answer")
            if self._errands.get(session) is errand:
                del self._errands[session]
            await asyncio.wait({work})  # the caller deletes the file that it reads

    async def _watched(self, work: asyncio.Future[str], errand: FileTask, session: str) -> None:
        """Waits for the work, and cancels it if it takes too long or the visitor has left."""
        most = self.visit.limits.max_work
        until = time.monotonic() + most
        while not (await asyncio.wait({work}, timeout=_TICK))[0]:
            if self._visitors.has_left(session):
                errand.give_up("nobody is waiting for the answer")
            elif time.monotonic() > until:
                errand.give_up(f"it took longer than {most:g} seconds; try a smaller image or a shorter video")

    def _work(self, path: Path, name: str, errand: FileTask) -> str:
        reply = self.visit.ask_safely(path, name=name, errand=errand)
        return self.visit.turns.do(FileTask(), fragment, reply, self.visit.detector)  # Matplotlib isn't thread-safe
