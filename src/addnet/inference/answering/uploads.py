"""Uploads: files of bounded size, under private names, in a folder of bounded size.

What is refused, cut off or not asked about is gone at once, or within seconds.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from addnet.untrusted.limits import bytes_in_words

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_ENVELOPE = 64 << 10  # bytes of a request around its file
_UNASKED = 60.0  # seconds that a file stays which nobody asks about,
_UNASKED_WHEN_FULL = 5.0  # and where others need its room; a page asks at once
_TICK = 1.0


@dataclass
class Upload:
    """A file that a visitor sent.

    Attributes:
        path: Where it lies. Its name is private; the suffix is one that is known, or none.
        name: What the visitor calls it.
        size: Bytes that came with it.
        since: When it came.
        session: Of who asked about it; it stays as long as that visitor is there.
    """

    path: Path
    name: str
    size: int
    since: float
    session: str | None = None


class RefusedError(Exception):
    """An upload that isn't taken.

    Args:
        status: Of the answer, by HTTP.
        reason: In words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Uploads:
    """The folder of uploads. For one thread, that of the server.

    Args:
        folder: Of this program alone; made if it isn't there.
        most: Bytes of a file.
        quota: Bytes of all files, those on their way too.
        seconds: That one may be on its way.
        has_left: Whether a session is gone, whose files nobody waits for.
    """

    def __init__(
        self, folder: Path, *, most: int, quota: int, seconds: float = 120.0, has_left: Callable[[str], bool]
    ) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self._most, self._quota, self._seconds = most, quota, seconds
        self._has_left = has_left
        self._waiting: dict[str, Upload] = {}
        self._held = 0
        self._timer: asyncio.TimerHandle | None = None

    async def receive(self, request: Request) -> Response:
        """Takes the file of a request; the answer is its private name in a list, as Gradio's page expects it."""
        from starlette.responses import JSONResponse, PlainTextResponse

        try:
            (upload,) = await self.take(request, files=1)
        except RefusedError as error:
            return PlainTextResponse(str(error), error.status)
        self._waiting[upload.path.name] = upload
        self._look_again()
        return JSONResponse([upload.path.name])

    async def take(self, request: Request, *, files: int) -> list[Upload]:
        """The files of a form, for whoever answers for them and then calls `discard` for each.

        Args:
            request: The request, of which nothing has been read.
            files: How many there may be.

        Raises:
            RefusedError: They aren't taken; what came of them is gone.
        """
        from starlette.formparsers import MultiPartException
        from starlette.requests import ClientDisconnect

        came = _ReceivedBytes()
        try:
            async with asyncio.timeout(self._seconds):
                return await self._received(request, came, files)
        except BaseException as error:
            self._held -= came.bytes
            if isinstance(error, MultiPartException):
                said = "one file" if files == 1 else f"a file, or up to {files},"
                raise RefusedError(400, f"not {said} in a form: {error.message}") from error
            if isinstance(error, TimeoutError):
                raise RefusedError(408, f"the upload took longer than {self._seconds:g} seconds") from error
            if isinstance(error, ClientDisconnect):
                raise RefusedError(400, "cut off") from error
            raise

    def asked(self, name: str, session: str) -> Path | None:
        """The file of a private name, which a session asks about; None: there is none, or it is another one's."""
        upload = self._waiting.get(name)
        if upload is None or upload.session not in (None, session):
            return None
        upload.session = session
        return upload.path

    def claim(self, name: str) -> Upload | None:
        """The file of a private name, for whoever answers for it and then calls `discard`; None: there is none."""
        return self._waiting.pop(name, None)

    def discard(self, upload: Upload) -> None:
        """Deletes a file."""
        upload.path.unlink(missing_ok=True)
        self._held -= upload.size

    def sweep(self, unasked: float = _UNASKED) -> None:
        """Deletes what nobody waits for.

        Args:
            unasked: Seconds that a file may wait to be asked about.
        """
        now = time.monotonic()
        for name, upload in list(self._waiting.items()):
            if now - upload.since > unasked if upload.session is None else self._has_left(upload.session):
                self.discard(self._waiting.pop(name))

    async def _received(self, request: Request, came: _ReceivedBytes, files: int) -> list[Upload]:
        from starlette.concurrency import run_in_threadpool
        from starlette.datastructures import UploadFile
        from starlette.formparsers import MultiPartParser

        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            raise RefusedError(415, "not a form with a file")
        announced = request.headers.get("content-length", "")
        self._require_room(int(announced) if announced.isdecimal() else 0, files)
        parser = MultiPartParser(request.headers, self._chunks(request, came, files), max_files=files, max_fields=0)
        form = await parser.parse()
        taken: list[Upload] = []
        try:
            for _, file in form.multi_items():
                if not isinstance(file, UploadFile):
                    raise RefusedError(400, "not a form with a file")
                name = PurePosixPath((file.filename or "").replace("\\", "/")).name
                path = self.folder / (secrets.token_urlsafe(16) + _suffix(name))
                taken.append(Upload(path, name or "file", file.size or 0, time.monotonic()))
                self._require_room(taken[-1].size, 1)
                await run_in_threadpool(_write, file.file, path)
            if not taken:
                raise RefusedError(400, "not a form with a file")
        except BaseException:
            for upload in taken:
                upload.path.unlink(missing_ok=True)
            raise
        finally:
            await form.close()
        taken[0].size += came.bytes - sum(upload.size for upload in taken)  # what is around them
        return taken

    async def _chunks(self, request: Request, came: _ReceivedBytes, files: int) -> AsyncGenerator[bytes, None]:
        async for chunk in request.stream():
            self._held += len(chunk)
            came.bytes += len(chunk)
            self._require_room(came.bytes, files)
            yield chunk

    def _require_room(self, size: int, files: int) -> None:
        """Refuses a request that is larger than one of so many files may be, or than there is room for."""
        if size > files * (self._most + _ENVELOPE):
            raise RefusedError(413, f"a file of more than {bytes_in_words(self._most)} isn't taken")
        if self._held > self._quota:
            self.sweep(_UNASKED_WHEN_FULL)
            if self._held > self._quota:
                raise RefusedError(503, "too many files wait to be looked at; try again in a minute")

    def _look_again(self) -> None:
        """Looks each second for what nobody waits for, as long as something waits."""
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_TICK, self._swept)

    def _swept(self) -> None:
        self._timer = None
        self.sweep()
        self._look_again()


@dataclass
class _ReceivedBytes:
    """Bytes of a request that have come."""

    bytes: int = 0


def _suffix(name: str) -> str:
    """The suffix of a name if it is one that tells images from videos: nothing else of a name reaches the disk."""
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if suffix in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) else ""


def _write(file: BinaryIO, path: Path) -> None:
    with path.open("xb") as own:
        shutil.copyfileobj(file, own, 1 << 20)
