"""Files that nobody waits for on a connection, such as long videos: asked about by a number until forgotten."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass

from addnet.inference.answering.asking import Reply
from addnet.inference.service.works import FileWork, WorkRegister

WAITING, WORKING, DONE, GIVEN_UP, FAILED = "waiting", "working", "done", "given up", "failed"


@dataclass
class ServiceJob:
    """One file.

    Attributes:
        number: Its name, which nobody can guess.
        work: The work on it.
        name: What the file is called.
        said: The answer, once there is one.
        ended: When; None while it is under way.
        dropped: Whether it was given up on demand.
    """

    number: str
    work: FileWork
    name: str
    said: Reply | None = None
    ended: float | None = None
    dropped: bool = False

    @property
    def status(self) -> str:
        """One of the words above."""
        if self.ended is None:
            return WORKING if self.work.begun else WAITING
        return GIVEN_UP if self.dropped else DONE if self.said else FAILED


class Jobs:
    """All that is known by a number. For one thread, that of the server.

    Args:
        works: What is under way.
        seconds: That an answer is kept once it is there.
    """

    def __init__(self, works: WorkRegister, *, seconds: float) -> None:
        self._works, self._seconds = works, seconds
        self._jobs: dict[str, ServiceJob] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        self._forget()
        return len(self._jobs)

    def add(self, work: FileWork) -> ServiceJob:
        """Gives a work a number."""
        job = ServiceJob(secrets.token_urlsafe(16), work, work.upload.name)
        self._jobs[job.number] = job
        task = asyncio.get_running_loop().create_task(self._finish(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def find(self, number: str) -> ServiceJob | None:
        """The job of a number; None where there is none, or no longer."""
        self._forget()
        return self._jobs.get(number)

    def drop(self, job: ServiceJob) -> None:
        """Gives up a job, or forgets its answer."""
        job.dropped = job.ended is None
        job.work.errand.give_up("it was given up")
        if job.ended is not None:
            del self._jobs[job.number]

    async def _finish(self, job: ServiceJob) -> None:
        async def unwanted() -> bool:
            return False

        job.said = await self._works.wait(job.work, unwanted)
        job.ended = time.monotonic()

    def _forget(self) -> None:
        now = time.monotonic()
        for number, job in list(self._jobs.items()):
            if job.ended is not None and now - job.ended > self._seconds:
                del self._jobs[number]
