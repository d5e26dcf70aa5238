"""Jobs: files, such as long videos, whose answers are fetched later by an id until they are deleted."""

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
    """The job of one file.

    Attributes:
        number: Its id, which can't be guessed.
        work: The work on the file.
        name: Name of the file.
        said: The answer, once there is one.
        ended: Time at which it ended, by `time.monotonic`; None while it is running.
        dropped: Whether it was cancelled on request.
    """

    number: str
    work: FileWork
    name: str
    said: Reply | None = None
    ended: float | None = None
    dropped: bool = False

    @property
    def status(self) -> str:
        """One of the constants above."""
        if self.ended is None:
            return WORKING if self.work.begun else WAITING
        return GIVEN_UP if self.dropped else DONE if self.said else FAILED


class Jobs:
    """All jobs by id. Not thread-safe: used by the server's thread only.

    Args:
        works: Files that are being processed or waiting.
        seconds: How long an answer is kept, in seconds.
    """

    def __init__(self, works: WorkRegister, *, seconds: float) -> None:
        self._works, self._seconds = works, seconds
        self._jobs: dict[str, ServiceJob] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        self._forget()
        return len(self._jobs)

    def add(self, work: FileWork) -> ServiceJob:
        """Creates a job with a new id for a work."""
        job = ServiceJob(secrets.token_urlsafe(16), work, work.upload.name)
        self._jobs[job.number] = job
        task = asyncio.get_running_loop().create_task(self._finish(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def find(self, number: str) -> ServiceJob | None:
        """Returns the job with an id; None if there is none, or it has been deleted."""
        self._forget()
        return self._jobs.get(number)

    def drop(self, job: ServiceJob) -> None:
        """Cancels a job that is running, or deletes one that has ended."""
        job.dropped = job.ended is None
        job.work.errand.give_up("the job was cancelled")
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
