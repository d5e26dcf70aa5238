"""Random access to gzipped archives: the positions at which decompression can start, in one file per archive.

There is a seek point at every megabyte of uncompressed data. It takes 32 KB, the window that decompression looks back
into. `indexed_gzip` makes and uses seek points; this module stores with them which archive they belong to, and a
checksum: a wrong window would yield wrong bytes without an error.
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
_HEAD = struct.Struct("<qqI")  # size of the archive, time of its last change (ns), CRC-32 of what follows


class PositionedFile(io.RawIOBase):
    """A file descriptor with its own position, so that a forked process doesn't move its parent's.

    Args:
        descriptor: Belongs to this object, which closes it.
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
        """Reads up to `size` bytes from the position; -1: the rest of the file."""
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
    """Opens a gzipped archive with its seek points; makes them if they are missing, outdated or damaged.

    Args:
        archive: Path of the archive, for messages and for the name of the file with the seek points.
        stream: The archive.
        folder: Folder in which seek points are saved; None: they are only kept in memory.

    Returns:
        An `indexed_gzip.IndexedGzipFile`. Seek and read through its attribute `raw`, whose reads start at the nearest
        seek point and return no more than requested. Only one thread at a time may use it.

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
            _save(handle, seek_points_file(archive, folder), stamp)
    except (OSError, ValueError, EOFError, MemoryError) as error:
        raise UserError(f"{archive} is damaged ({error}); download or pack it again") from error
    return handle


def _build(handle: Any, archive: Path, size: int) -> None:
    """Makes the seek points of a whole archive, unless it expands to more than images would.

    Seeking to a position beyond its end makes all of them, as `build_full_index` does, but that has no limit.
    """
    most = most_unpacked(size)
    if handle.raw.seek(most) == most and handle.raw.read(1):
        raise UserError(f"{archive} is refused: {expands(most)}")


def keep_seek_points(archive: Path, folder: Path) -> None:
    """Makes and saves the seek points of an archive, if it is gzipped and they don't exist yet.

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


def seek_points_file(archive: Path, folder: Path) -> Path:
    """The file in which the seek points of an archive are saved."""
    place = hashlib.blake2b(os.fsencode(archive.resolve()), digest_size=8).hexdigest()
    return folder / f"{archive.name}-{place}.gzidx"


def _imported(handle: Any, archive: Path, folder: Path, stamp: tuple[int, int]) -> bool:
    file = seek_points_file(archive, folder)
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
    """Writes the file completely or not at all; training works without it."""
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
        log.warning("cannot save seek points in %s: %s; each process makes its own", file.parent, error.strerror)
