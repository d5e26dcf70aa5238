"""The paths of the service, as OpenAPI describes them."""

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
from addnet.inference.answering.uploads import RefusedError, Upload, Uploads
from addnet.inference.answers import Answer
from addnet.inference.service.counters import Counters
from addnet.inference.service.jobs import Jobs, ServiceJob
from addnet.inference.service.works import BusyError, FileWork, WorkRegister

log = logging.getLogger(__name__)

_ABOUT = """\
Says of images and videos whether faces in them are fakes, as `addnet predict` does. A verdict is an estimate and no
proof.

Files are sent as a form (`multipart/form-data`), read in processes of their own, and gone once they are answered for.
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
    400: {"description": "Not a form with files, or cut off."},
    401: {"description": "A token is needed."},
    413: {"description": "A file is too large."},
    429: {"description": "Too many files wait; Retry-After says for how long."},
    503: {"description": "There is no room for more files just now."},
}


@dataclass
class Answers:
    """What is said, in the order of the files.

    Attributes:
        answers: One for each file.
        sheets: With `explain=true`, a PNG in base64 for each; null where there is no face.
    """

    answers: list[Answer]
    sheets: list[str | None] | None = None


@dataclass
class JobState:
    """How far a file is.

    Attributes:
        id: Of the job.
        status: `waiting`, `working`, `done`, `given up` or `failed`.
        name: Of the file.
        frames_looked_at: Faces that have a score so far.
        frames_at_most: Frames of a video that will be looked at.
        answer: Once it is done.
    """

    id: str
    status: str
    name: str
    frames_looked_at: int
    frames_at_most: int
    answer: Answer | None = None


class Api:
    """What the paths do. For one thread, that of the server.

    Args:
        works: What is under way.
        uploads: Where files lie.
        jobs: Files that nobody waits for on a connection.
        counters: Are told of everything.
        about: The detector, as `addnet.predict.about` describes it.
        files: That one request may bring.
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
        """The application."""
        app = FastAPIOffline(title="ADDNet", version=__version__, description=_ABOUT, redoc_url=None)
        form: dict[str, Any] = {"openapi_extra": _FORM, "responses": _REFUSED}
        app.exception_handler(RefusedError)(self._refused)
        app.exception_handler(BusyError)(self._busy)
        app.exception_handler(404)(_not_found)
        app.get("/health", summary="Whether it is there")(self.health)
        app.get("/metrics", summary="Counts, for Prometheus", response_class=PlainTextResponse)(self.metrics)
        app.get("/v1/detector", summary="Who answers, and how often it errs")(self.detector)
        app.post("/v1/answers", summary="Files → answers", response_model=Answers, **form)(self.answers)
        app.post("/v1/sheet", summary="A file → its sheet of reasons, a PNG", **form)(self.sheet)
        app.post("/v1/jobs", status_code=202, summary="A file → a job", response_model=JobState, **form)(self.new_job)
        app.get("/v1/jobs/{number}", summary="How far a job is", response_model=JobState)(self.job)
        app.delete("/v1/jobs/{number}", status_code=204, summary="Gives a job up, or forgets it")(self.end_job)
        return app

    async def health(self) -> dict[str, Any]:
        """Always answers, with or without a token."""
        looked_at, waiting = self._works.counts
        return {"status": "ok", "version": __version__, "files_looked_at": looked_at, "files_waiting": waiting}

    async def metrics(self) -> PlainTextResponse:
        """In the text format of Prometheus."""
        looked_at, waiting = self._works.counts
        now = {"addnet_files_looked_at": looked_at, "addnet_files_waiting": waiting, "addnet_jobs": len(self._jobs)}
        return PlainTextResponse(self._counters.text(now))

    async def detector(self) -> dict[str, Any]:
        """What it learnt from, where fake begins, error rates."""
        return self._about

    async def answers(self, request: Request, explain: bool = False) -> JSONResponse:
        """The answers of `addnet predict`, in the order of the files; with `explain`, sheets of reasons as well."""
        self._works.require_room(1)
        said = await self._said(request, files=self._files, explained=explain)
        content: dict[str, Any] = {"answers": [one.answer.as_dict() for one in said]}
        if explain:
            sheets = [await self._sheet(one) for one in said]
            content["sheets"] = [base64.b64encode(sheet).decode() if sheet else None for sheet in sheets]
        return JSONResponse(content)

    async def sheet(self, request: Request) -> Response:
        """An image of what the network sees, and of what speaks for fake."""
        self._works.require_room(1)
        (said,) = await self._said(request, files=1, explained=True)
        if png := await self._sheet(said):
            return Response(png, media_type="image/png")
        return JSONResponse({"error": said.answer.reason or said.answer.verdict}, 422)

    async def new_job(self, request: Request, response: Response) -> JSONResponse:
        """For what takes long, such as videos: the answer waits under the number of the job."""
        self._works.require_room(1)
        (upload,) = await self._uploads.take(request, files=1)
        (work,) = self._begun([upload], explained=False)
        job = self._jobs.add(work)
        begun = time.monotonic()
        work.done.add_done_callback(lambda done: self._count(None if done.cancelled() else done.result(), begun))
        return JSONResponse(self._state(job), 202, {"location": f"/v1/jobs/{job.number}"})

    async def job(self, number: str) -> JSONResponse:
        """Its answer, once it is there."""
        found = self._jobs.find(number)
        return JSONResponse(self._state(found)) if found else _unknown()

    async def end_job(self, number: str) -> Response:
        """The file is gone then, and so is its answer."""
        if found := self._jobs.find(number):
            self._jobs.drop(found)
            return Response(status_code=204)
        return _unknown()

    async def _said(self, request: Request, *, files: int, explained: bool) -> list[Reply]:
        """What is said about the files of a request, as long as its connection stands."""
        begun = time.monotonic()
        works = self._begun(await self._uploads.take(request, files=files), explained=explained)
        unwanted: Callable[[], Awaitable[bool]] = request.is_disconnected
        try:
            said = [await self._works.wait(work, unwanted) for work in works]
        finally:
            for work in works:
                work.errand.give_up("nobody waits for it")
        for one in said:
            self._count(one, begun)
        if None in said:
            raise RefusedError(500, "the program failed at a file; its log says why")
        return [one for one in said if one]

    def _begun(self, uploads: list[Upload], *, explained: bool) -> list[FileWork]:
        try:
            self._works.require_room(len(uploads))
        except BusyError:
            for upload in uploads:
                self._uploads.discard(upload)
            raise
        return [self._works.begin(upload, explained=explained) for upload in uploads]

    async def _sheet(self, said: Reply) -> bytes | None:
        from starlette.concurrency import run_in_threadpool

        if said.explanation is None:
            return None
        # Matplotlib is for one thread
        return await run_in_threadpool(self._works.visit.turns.do, FileTask(), _drawn, said)

    def _count(self, said: Reply | None, begun: float) -> None:
        self._counters.answered(said.answer.verdict if said else "failed", time.monotonic() - begun)

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
        assert isinstance(error, RefusedError)
        return JSONResponse({"error": str(error)}, error.status)

    async def _busy(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, BusyError)
        return JSONResponse({"error": str(error)}, 429, {"retry-after": str(error.seconds)})


def _drawn(said: Reply) -> bytes:
    from addnet.inference.sheet import explanation_plot

    assert said.explanation is not None, "asked for by whoever has one"
    worst = said.answer.worst
    title = f"{said.answer.path}: {worst.verdict}, score {worst.score:.3f}" if worst else said.answer.path
    stream = io.BytesIO()
    explanation_plot(said.explanation, title=title).savefig(stream, dpi=100, format="png")
    return stream.getvalue()


async def _not_found(request: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": "there is nothing here; /docs lists what there is"}, 404)


def _unknown() -> JSONResponse:
    return JSONResponse({"error": "there is no such job, or its answer was forgotten"}, 404)
