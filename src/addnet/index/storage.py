"""Reads the bytes of images, whether they are separate files or members of archives."""

from __future__ import annotations

from pathlib import Path

from addnet.errors import UserError
from addnet.faces.images import MAX_BYTES
from addnet.index.archives import ArchiveReader, split_path
from addnet.index.records import WHOLE_FILE
from addnet.untrusted.files import read_bytes, status_of


class Storage:
    """Reads files and members of archives alike, from several threads and processes. Can be pickled.

    Args:
        seek_points: Folder with the seek points of gzipped archives; None: each process makes them anew.

    Example:
        >>> len(Storage().read(__file__)) == Path(__file__).stat().st_size
        True
    """

    def __init__(self, seek_points: Path | None = None) -> None:
        self._archives = ArchiveReader(seek_points)

    def read(self, path: str | Path, offset: int = WHOLE_FILE, length: int = 0) -> bytes:
        """Returns all bytes of an image.

        Args:
            path: The file, or `archive/member`: the root of a record joined with its `Record.path`.
            offset: Position of the first byte in the uncompressed archive; -1: a separate file.
            length: Number of bytes in the archive.

        Raises:
            UserError: The file can't be opened, isn't a regular file or is larger than 400 MB; or the archive is
                damaged or ends before the last of these bytes.
        """
        if offset != WHOLE_FILE:
            return self._archives.read(_archive(path), offset, length)
        try:
            return read_bytes(path, most=MAX_BYTES)
        except OSError as error:
            raise UserError(f"cannot open {path}: {error.strerror or error}") from error

    def stat(self, path: str | Path, offset: int = WHOLE_FILE, length: int = 0) -> tuple[int, int]:
        """Returns what shows whether an image has changed.

        Returns:
            Its size in bytes and the time of its last change in nanoseconds; for a member, the time of its archive.

        Raises:
            UserError: The file doesn't exist, or its folder may not be read.
        """
        file = path if offset == WHOLE_FILE else _archive(path)
        try:
            stat = status_of(file)
        except OSError as error:
            raise UserError(f"cannot open {file}: {error.strerror or error}") from error
        return (stat.st_size if offset == WHOLE_FILE else length), stat.st_mtime_ns


def _archive(path: str | Path) -> str:
    parts = split_path(str(path))
    if parts is None:
        raise UserError(
            f"{path} has an offset but names no archive (.tar, .tar.gz, .tgz) to read from; index the data again"
        )
    return parts[0]
