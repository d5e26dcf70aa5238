"""Uploads: files of limited size, under private names, in a folder of limited size.

Files that are refused, incomplete or not claimed by a visitor are deleted at once or within a minute.
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

_ENVELOPE = 64 << 10  # bytes of a request besides its file
_UNASKED = 60.0  # seconds before a file that no visitor claims is deleted
_UNASKED_WHEN_FULL = 5.0  # the same when the folder is full; a page claims its files at once
_TICK = 1.0


@dataclass
class Upload:
    """A file that a visitor sent.

    Attributes:
        path: Path of the file. Its name is private; it has a known suffix, or none.
        name: The visitor's name for it.
        size: Bytes received with it.
        since: Time of arrival, by `time.monotonic`.
        session: Session of the visitor who claimed it; the file stays until that visitor leaves.
    """

    path: Path
    name: str
    size: int
    since: float
    session: str | None = None


class UploadRefusedError(Exception):
    """An upload that was refused.

    Args:
        status: HTTP status of the response.
        reason: The reason in words.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class Uploads:
    """The folder of uploads. Not thread-safe: used by the server's thread only.

    Args:
        folder: A folder used by this program only; created if needed.
        most: Largest size of a file in bytes.
        quota: Largest total size of all files in bytes, including those being received.
        seconds: Longest duration of an upload in seconds.
        has_left: Whether the visitor of a session has left, so that nobody waits for its files.
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
        """Receives the file of a request; the response is a list with its private name, as Gradio's page expects."""
        from starlette.responses import JSONResponse, PlainTextResponse

        try:
            (upload,) = await self.take(request, files=1)
        except UploadRefusedError as error:
            return PlainTextResponse(str(error), error.status)
        self._waiting[upload.path.name] = upload
        self._look_again()
        return JSONResponse([upload.path.name])

    async def take(self, request: Request, *, files: int) -> list[Upload]:
        """Receives the files of a form; the caller must call `discard` for each of them.

        Args:
            request: The request, of which nothing has been read.
            files: Largest number of files.

        Raises:
            RefusedError: The files are refused; those already received are deleted.
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
                expected = "one file" if files == 1 else f"1 to {files} files"
                raise UploadRefusedError(400, f"not a form with {expected}: {error.message}") from error
            if isinstance(error, TimeoutError):
                raise UploadRefusedError(408, f"the upload took longer than {self._seconds:g} seconds") from error
            if isinstance(error, ClientDisconnect):
                raise UploadRefusedError(400, "the connection was closed during the upload") from error
            raise

    def asked(self, name: str, session: str) -> Path | None:
        """Returns the file of a private name for a session; None if there is none or another session claimed it."""
        upload = self._waiting.get(name)
        if upload is None or upload.session not in (None, session):
            return None
        upload.session = session
        return upload.path

    def claim(self, name: str) -> Upload | None:
        """Takes the file of a private name; the caller must call `discard`. None if there is no such file."""
        return self._waiting.pop(name, None)

    def discard(self, upload: Upload) -> None:
        """Deletes a file."""
        upload.path.unlink(missing_ok=True)
        self._held -= upload.size

    def sweep(self, unasked: float = _UNASKED) -> None:
        """Deletes files that nobody waits for.

        Args:
            unasked: Seconds before a file that no visitor has claimed is deleted.
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
            raise UploadRefusedError(415, "not a form with a file")
        announced = request.headers.get("content-length", "")
        self._require_room(int(announced) if announced.isdecimal() else 0, files)
        parser = MultiPartParser(request.headers, self._chunks(request, came, files), max_files=files, max_fields=0)
        form = await parser.parse()
        taken: list[Upload] = []
        try:
            for _, file in form.multi_items():
                if not isinstance(file, UploadFile):
                    raise UploadRefusedError(400, "not a form with a file")
                name = PurePosixPath((file.filename or "").replace("\\", "/")).name
                path = self.folder / (secrets.token_urlsafe(16) + _suffix(name))
                taken.append(Upload(path, name or "file", file.size or 0, time.monotonic()))
                self._require_room(taken[-1].size, 1)
                await run_in_threadpool(_write, file.file, path)
            if not taken:
                raise UploadRefusedError(400, "not a form with a file")
        except BaseException:
            for upload in taken:
                upload.path.unlink(missing_ok=True)
            raise
        finally:
            await form.close()
        taken[0].size += came.bytes - sum(upload.size for upload in taken)  # the bytes of the request besides files
        return taken

    async def _chunks(self, request: Request, came: _ReceivedBytes, files: int) -> AsyncGenerator[bytes, None]:
        async for chunk in request.stream():
            self._held += len(chunk)
            came.bytes += len(chunk)
            self._require_room(came.bytes, files)
            yield chunk

    def _require_room(self, size: int, files: int) -> None:
        """Refuses a request that is larger than this many files may be, or than the room that is left."""
        if size > files * (self._most + _ENVELOPE):
            raise UploadRefusedError(413, f"the file is too large; at most {bytes_in_words(self._most)} are allowed")
        if self._held > self._quota:
            self.sweep(_UNASKED_WHEN_FULL)
            if self._held > self._quota:
                raise UploadRefusedError(503, "too many files are waiting; try again in a minute")

    def _look_again(self) -> None:
        """Schedules a sweep each second as long as files are waiting."""
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_later(_TICK, self._swept)

    def _swept(self) -> None:
        self._timer = None
        self.sweep()
        self._look_again()


@dataclass
class _ReceivedBytes:
    """The number of bytes of a request received so far."""

    bytes: int = 0


def _suffix(name: str) -> str:
    """Returns the suffix of a name if it is one of an image or video; no other part of a name reaches the disk."""
    suffix = PurePosixPath(name.lower()).suffix
    return suffix if suffix in (*IMAGE_SUFFIXES, *VIDEO_SUFFIXES) else ""


def _write(file: BinaryIO, path: Path) -> None:
    with path.open("xb") as own:
        shutil.copyfileobj(file, own, 1 << 20)
