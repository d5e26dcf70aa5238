"""The routes of the service, documented with OpenAPI."""

from __future__ import annotations

import base64
import io
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi_offline import FastAPIOffline

from addnet import __version__
from addnet.inference.answering.asking import Reply
from addnet.inference.answering.errand import FileTask
from addnet.inference.answering.uploads import Upload, UploadRefusedError, Uploads
from addnet.inference.answers import Answer
from addnet.inference.service.counters import Counters
from addnet.inference.service.jobs import Jobs, ServiceJob
from addnet.inference.service.works import BusyError, FileWork, WorkRegister

log = logging.getLogger(__name__)

_ABOUT = """\
Says whether faces in images and videos are fakes, like `addnet predict`. A verdict is an estimate, not a proof.

Files are sent as a form (`multipart/form-data`), read in separate processes, and deleted once they have an answer.
"""
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                    "required": ["file"],
                }
            }
        },
    }
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    400: {"description": "Not a form with files, or the upload was interrupted."},
    401: {"description": "A token is needed."},
    413: {"description": "A file is too large."},
    429: {"description": "Too many files are waiting; try again after the seconds in Retry-After."},
    503: {"description": "There is no room for more files at the moment."},
}


@dataclass
class Answers:
    """The answers, in the order of the files.

    Attributes:
        answers: One for each file.
        sheets: With `explain=true`, a PNG in base64 for each file; null if there is no face.
    """

    answers: list[Answer]
    sheets: list[str | None] | None = None


@dataclass
class JobState:
    """The state of a job.

    Attributes:
        id: Id of the job.
        status: `waiting`, `working`, `done`, `given up` or `failed`.
        name: Name of the file.
        frames_looked_at: Number of faces scored so far.
        frames_at_most: Largest number of frames of a video that will be examined.
        answer: The answer, once the job is done.
    """

    id: str
    status: str
    name: str
    frames_looked_at: int
    frames_at_most: int
    answer: Answer | None = None


class Api:
    """The handlers of the routes. Not thread-safe: used by the server's thread only.

    Args:
        works: Files that are being processed or waiting.
        uploads: The folder of uploads.
        jobs: Files whose answers are fetched later by a job id.
        counters: Counts requests and answers.
        about: The description of the detector from `addnet.predict.about`.
        files: Largest number of files in a request.
    """

    def __init__(
        self,
        works: WorkRegister,
        uploads: Uploads,
        jobs: Jobs,
        counters: Counters,
        *,
        about: Mapping[str, Any],
        files: int,
    ) -> None:
        self._works, self._uploads, self._jobs, self._counters = works, uploads, jobs, counters
        self._about, self._files = dict(about), files

    def build(self) -> FastAPI:
        """Builds the application."""
        app = FastAPIOffline(title="ADDNet", version=__version__, description=_ABOUT, redoc_url=None)
        form: dict[str, Any] = {"openapi_extra": _FORM, "responses": _REFUSED}
        app.exception_handler(UploadRefusedError)(self._refused)
        app.exception_handler(BusyError)(self._busy)
        app.exception_handler(404)(_not_found)
        app.get("/health", summary="Health check")(self.health)
        app.get("/metrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)(self.metrics)
        app.get("/v1/detector", summary="The detector and its error rates")(self.detector)
        app.post("/v1/answers", summary="Files → answers", response_model=Answers, **form)(self.answers)
        app.post("/v1/sheet", summary="A file → a sheet that explains its score, a PNG", **form)(self.sheet)
        app.post("/v1/jobs", status_code=202, summary="A file → a job", response_model=JobState, **form)(self.new_job)
        app.get("/v1/jobs/{number}", summary="State of a job", response_model=JobState)(self.job)
        app.delete("/v1/jobs/{number}", status_code=204, summary="Cancels or deletes a job")(self.end_job)
        return app

    async def health(self) -> dict[str, Any]:
        """Returns the version and the numbers of files; needs no token."""
        looked_at, waiting = self._works.counts
        return {"status": "ok", "version": __version__, "files_looked_at": looked_at, "files_waiting": waiting}

    async def metrics(self) -> PlainTextResponse:
        """Returns the metrics in the text format of Prometheus."""
        looked_at, waiting = self._works.counts
        now = {"addnet_files_looked_at": looked_at, "addnet_files_waiting": waiting, "addnet_jobs": len(self._jobs)}
        return PlainTextResponse(self._counters.text(now))

    async def detector(self) -> dict[str, Any]:
        """Returns the description of the detector: training data, thresholds, error rates."""
        return self._about

    async def answers(self, request: Request, explain: bool = False) -> JSONResponse:
        """Returns the answers of `addnet predict` in the order of the files; with `explain`, also sheets."""
        self._works.require_room(1)
        replies = await self._replies(request, files=self._files, explained=explain)
        content: dict[str, Any] = {"answers": [reply.answer.as_dict() for reply in replies]}
        if explain:
            sheets = [await self._sheet(reply) for reply in replies]
            content["sheets"] = [base64.b64encode(sheet).decode() if sheet else None for sheet in sheets]
        return JSONResponse(content)

    async def sheet(self, request: Request) -> Response:
        """Returns an image of the network's input and of the evidence for fake."""
        self._works.require_room(1)
        (reply,) = await self._replies(request, files=1, explained=True)
        if png := await self._sheet(reply):
            return Response(png, media_type="image/png")
        return JSONResponse({"error": reply.answer.reason or reply.answer.verdict}, 422)

    async def new_job(self, request: Request, response: Response) -> JSONResponse:
        """Starts a job, for files that take long, such as videos; the answer is fetched later by the job's id."""
        self._works.require_room(1)
        (upload,) = await self._uploads.take(request, files=1)
        (work,) = self._begun([upload], explained=False)
        job = self._jobs.add(work)
        begun = time.monotonic()
        work.done.add_done_callback(lambda done: self._count(None if done.cancelled() else done.result(), begun))
        return JSONResponse(self._state(job), 202, {"location": f"/v1/jobs/{job.number}"})

    async def job(self, number: str) -> JSONResponse:
        """Returns the state of a job, with its answer once it is done."""
        found = self._jobs.find(number)
        return JSONResponse(self._state(found)) if found else _unknown()

    async def end_job(self, number: str) -> Response:
        """Cancels a job that is running, or deletes one that has ended, with its file and its answer."""
        if found := self._jobs.find(number):
            self._jobs.drop(found)
            return Response(status_code=204)
        return _unknown()

    async def _replies(self, request: Request, *, files: int, explained: bool) -> list[Reply]:
        """Answers for the files of a request; cancelled if its connection is closed."""
        begun = time.monotonic()
        works = self._begun(await self._uploads.take(request, files=files), explained=explained)
        unwanted: Callable[[], Awaitable[bool]] = request.is_disconnected
        try:
            replies = [await self._works.wait(work, unwanted) for work in works]
        finally:
            for work in works:
                work.errand.give_up("nobody is waiting for the answer")
        for reply in replies:
            self._count(reply, begun)
        if None in replies:
            raise UploadRefusedError(500, "internal error while answering for a file; see the log of the service")
        return [reply for reply in replies if reply]

    def _begun(self, uploads: list[Upload], *, explained: bool) -> list[FileWork]:
        try:
            self._works.require_room(len(uploads))
        except BusyError:
            for upload in uploads:
                self._uploads.discard(upload)
            raise
        return [self._works.begin(upload, explained=explained) for upload in uploads]

    async def _sheet(self, reply: Reply) -> bytes | None:
        from starlette.concurrency import run_in_threadpool

        if reply.explanation is None:
            return None
        # Matplotlib isn't thread-safe
        return await run_in_threadpool(self._works.visit.turns.do, FileTask(), _sheet_png, reply)

    def _count(self, reply: Reply | None, begun: float) -> None:
        self._counters.answered(reply.answer.verdict if reply else "failed", time.monotonic() - begun)

    def _state(self, job: ServiceJob) -> dict[str, Any]:
        answer = job.said.answer if job.said and not job.dropped else None
        return {
            "id": job.number,
            "status": job.status,
            "name": job.name,
            "frames_looked_at": job.work.errand.faces,
            "frames_at_most": self._works.visit.limits.frames,
            "answer": answer.as_dict() if answer else None,
        }

    async def _refused(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, UploadRefusedError)
        return JSONResponse({"error": str(error)}, error.status)

    async def _busy(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BusyError)
        return JSONResponse({"error": str(error)}, 429, {"retry-after": str(error.seconds)})


def _sheet_png(reply: Reply) -> bytes:
    from addnet.inference.sheet import explanation_plot

    assert reply.explanation is not None, "checked by the caller"
    worst = reply.answer.worst
    title = f"{reply.answer.path}: {worst.verdict}, score {worst.score:.3f}" if worst else reply.answer.path
    stream = io.BytesIO()
    explanation_plot(reply.explanation, title=title).savefig(stream, dpi=100, format="png")
    return stream.getvalue()


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "not found; /docs lists all paths"}, 404)


def _unknown() -> JSONResponse:
    return JSONResponse({"error": "there is no such job, or its answer was deleted"}, 404)
