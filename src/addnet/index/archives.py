"""Random access to the bytes of tar archives, without unpacking them to disk."""

from __future__ import annotations

import os
import re
import threading
from collections import OrderedDict
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.images import MAX_BYTES
from addnet.index.members import HEAD, TAR, Member, archive_kind, file_stamp, list_members
from addnet.index.seek_points import PositionedFile, open_gzip
from addnet.untrusted.files import descriptor_of, status_of

__all__ = ["ArchiveReader", "Member", "list_members", "split_path"]

ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_OPEN_TARS = 128
_OPEN_GZIPS = 8  # each holds a megabyte as a buffer, and 3 % of its archive as seek points
_BORDER = re.compile(r"\.(?:tar|tar\.gz|tgz)(?=/)", re.IGNORECASE)


def split_path(path: str) -> tuple[str, str] | None:
    """Splits the path of an image into archive and member; None if the path names no archive.

    If several parts of the path have the suffix of an archive, the first one that is a file is the archive.

    Example:
        >>> split_path("fake_train/1.tar.gz/1/fake/0/12.png")
        ('fake_train/1.tar.gz', '1/fake/0/12.png')
    """
    borders = [match.end() for match in _BORDER.finditer(path)]
    if not borders:
        return None
    end = next((end for end in borders if len(borders) > 1 and os.path.isfile(path[:end])), borders[0])  # noqa: PTH113
    return path[:end], path[end + 1 :]


class _Tar:
    """A plain archive, kept open. It is closed when the last thread that reads from it is done."""

    limit = _OPEN_TARS

    def __init__(self, archive: str, descriptor: int) -> None:
        self._archive = archive
        self._descriptor = descriptor
        self.stamp = file_stamp(os.fstat(descriptor))

    def read(self, offset: int, length: int) -> bytes:
        if offset + length > self.stamp[0]:
            raise _too_short(self._archive, offset, length)
        return os.pread(self._descriptor, length, offset)

    def __del__(self) -> None:
        os.close(self._descriptor)


class _Gzip:
    """A gzipped archive with its seek points, kept open."""

    limit = _OPEN_GZIPS

    def __init__(self, archive: str, descriptor: int, seek_points: Path | None) -> None:
        self._archive = archive
        self._lock = threading.Lock()
        self.stamp = file_stamp(os.fstat(descriptor))
        self._stream = PositionedFile(descriptor)
        self._file = open_gzip(Path(archive), self._stream, seek_points)

    def read(self, offset: int, length: int) -> bytes:
        with self._lock:
            try:
                self._file.raw.seek(offset)
                return bytes(self._file.raw.read(length))
            except (OSError, ValueError, EOFError, MemoryError) as error:
                raise UserError(f"{self._archive} is damaged ({error}); download or pack it again") from error


class ArchiveReader:
    """Reads byte ranges of archives, from several threads and processes. Pickling leaves out the open files.

    Args:
        seek_points: Folder with the seek points of gzipped archives; None: each process makes them anew.
    """

    def __init__(self, seek_points: Path | None = None) -> None:
        self.seek_points = seek_points
        self._start()

    def __reduce__(self) -> tuple[type[ArchiveReader], tuple[Path | None]]:
        return ArchiveReader, (self.seek_points,)

    def _start(self) -> None:
        self._process = os.getpid()
        self._lock = threading.Lock()
        self._open: dict[type, OrderedDict[str, _Tar | _Gzip]] = {_Tar: OrderedDict(), _Gzip: OrderedDict()}

    def read(self, archive: str | Path, offset: int, length: int) -> bytes:
        """Returns the bytes of a member.

        Args:
            archive: The archive file.
            offset: Position of the first byte in the uncompressed tar.
            length: Number of bytes.

        Raises:
            UserError: The archive can't be opened, is damaged, or ends before the last of these bytes; or offset or
                length is negative, or the length is above 400 MB.
        """
        if offset < 0 or length < 0:
            raise UserError(
                f"{archive}: offset {offset} and length {length} don't describe a member; list the archive again"
            )
        if length > MAX_BYTES:
            raise UserError(
                f"{archive}: a member of {length >> 20} MB is too large; the limit is {MAX_BYTES >> 20} MB per image"
            )
        try:
            data = self._handle(str(archive)).read(offset, length)
        except OSError as error:
            raise UserError(f"cannot open {archive}: {error.strerror or error}") from error
        if len(data) != length:
            raise _too_short(archive, offset, length)
        return data

    def _handle(self, archive: str) -> _Tar | _Gzip:
        if self._process != os.getpid():  # after a fork, the lock may be held by a thread that doesn't exist here
            self._start()
        stamp = file_stamp(status_of(archive))
        with self._lock:
            for handles in self._open.values():
                handle = handles.get(archive)
                if handle is not None and handle.stamp == stamp:
                    handles.move_to_end(archive)
                    return handle
                handles.pop(archive, None)
            handle = self._opened(archive)
            handles = self._open[type(handle)]
            handles[archive] = handle
            if len(handles) > handle.limit:
                handles.popitem(last=False)
            return handle

    def _opened(self, archive: str) -> _Tar | _Gzip:
        descriptor = descriptor_of(archive)
        try:
            kind = archive_kind(Path(archive), os.pread(descriptor, HEAD, 0))
        except BaseException:
            os.close(descriptor)
            raise
        return _Tar(archive, descriptor) if kind == TAR else _Gzip(archive, descriptor, self.seek_points)


def _too_short(archive: str | Path, offset: int, length: int) -> UserError:
    return UserError(f"{archive} ends before byte {offset + length}: it has changed since it was listed; list it again")
