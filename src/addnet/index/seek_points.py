"""Random access to gzipped archives: where decompression can start, kept in a file of its own for each archive.

A seek point stands at every megabyte of uncompressed data and takes 32 KB, the window that decompression looks back
into. `indexed_gzip` makes and uses them; what is added here is that a file tells what it was made for and whether it
is whole: a wrong window would give wrong bytes without an error.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
import struct
import threading
import zlib
from pathlib import Path
from typing import Any

from addnet.errors import UserError
from addnet.index.members import GZIP, HEAD, archive_kind, expands, file_stamp, most_unpacked
from addnet.untrusted.files import descriptor_of

log = logging.getLogger(__name__)

SPACING = 1 << 20
_MAGIC = b"addnet seek points 1\n"
_HEAD = struct.Struct("<qqI")  # the archive's size and time of change, CRC-32 of what follows


class PositionedFile(io.RawIOBase):
    """A file descriptor with a position of its own, so that a forked process does not move its parent's.

    Args:
        descriptor: Stays open as long as this object and is closed with it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._position = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes from the position; -1: the rest of the file."""
        wanted = size if size >= 0 else max(0, os.fstat(self.descriptor).st_size - self._position)
        data = os.pread(self.descriptor, wanted, self._position)
        self._position += len(data)
        return data

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Moves the position."""
        base = (0, self._position, os.fstat(self.descriptor).st_size)[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def close(self) -> None:
        """Closes the descriptor."""
        if not self.closed:
            os.close(self.descriptor)
        super().close()


def open_gzip(archive: Path, stream: PositionedFile, folder: Path | None) -> Any:
    """A gzipped archive with its seek points, which are made where they are missing, stale or damaged.

    Args:
        archive: For messages and for the name of the file with the seek points.
        stream: The archive.
        folder: Where seek points are kept; None: only in memory.

    Returns:
        An `indexed_gzip.IndexedGzipFile`. Seek and read by its attribute `raw`, whose reads start at the nearest seek
        point and stop where they should; it is for one thread at a time.

    Raises:
        UserError: The archive is damaged.
    """
    from indexed_gzip import IndexedGzipFile  # type: ignore[import-untyped]

    stamp = file_stamp(os.fstat(stream.descriptor))
    try:
        handle = IndexedGzipFile(fileobj=stream, spacing=SPACING)
        if folder is None:
            _build(handle, archive, stamp[0])
        elif not _imported(handle, archive, folder, stamp):
            _build(handle, archive, stamp[0])
            _save(handle, points_file(archive, folder), stamp)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise UserError(f"{archive} is damaged ({error}); download or pack it again") from error
    return handle


def _build(handle: Any, archive: Path, size: int) -> None:
    """Makes the seek points of a whole archive, unless it expands to more than images would.

    Going to a place behind its end makes all of them, as `build_full_index` does, which knows no limit.
    """
    most = most_unpacked(size)
    if handle.raw.seek(most) == most and handle.raw.read(1):
        raise UserError(f"{archive} is refused: {expands(most)}")


def keep_seek_points(archive: Path, folder: Path) -> None:
    """Makes and keeps the seek points of an archive, if it is gzipped and they are not there.

    Raises:
        UserError: The archive cannot be opened or is damaged.
    """
    try:
        stream = PositionedFile(descriptor_of(archive))
    except OSError as error:
        raise UserError(f"cannot open {archive}: {error.strerror or error}") from error
    with stream:
        if archive_kind(archive, os.pread(stream.descriptor, HEAD, 0)) == GZIP:
            open_gzip(archive, stream, folder)


def points_file(archive: Path, folder: Path) -> Path:
    """Where the seek points of an archive are kept."""
    place = hashlib.blake2b(os.fsencode(archive.resolve()), digest_size=8).hexdigest()
    return folder / f"{archive.name}-{place}.gzidx"


def _imported(handle: Any, archive: Path, folder: Path, stamp: tuple[int, int]) -> bool:
    file = points_file(archive, folder)
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("cannot read %s: %s; the seek points of %s are made again", file, error.strerror, archive)
        return False
    head = content[len(_MAGIC) : len(_MAGIC) + _HEAD.size]
    points = memoryview(content)[len(_MAGIC) + _HEAD.size :]
    if not content.startswith(_MAGIC) or len(head) < _HEAD.size or _HEAD.unpack(head)[2] != zlib.crc32(points):
        log.warning("%s is damaged; the seek points of %s are made again", file, archive)
        return False
    if _HEAD.unpack(head)[:2] != stamp:
        log.warning("%s has changed; its seek points are made again", archive)
        return False
    handle.import_index(fileobj=io.BytesIO(points))
    return True


def _save(handle: Any, file: Path, stamp: tuple[int, int]) -> None:
    """Writes the file whole or not at all; training goes on without it."""
    points = io.BytesIO()
    handle.export_index(fileobj=points)
    data = points.getbuffer()
    partial = file.with_name(f".{file.name}.{os.getpid()}-{threading.get_ident()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("wb") as stream:
                stream.write(_MAGIC + _HEAD.pack(*stamp, zlib.crc32(data)))
                stream.write(data)
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        log.warning("cannot keep seek points in %s: %s; each process makes its own", file.parent, error.strerror)
