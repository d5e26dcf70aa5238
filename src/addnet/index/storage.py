"""Bytes of images, wherever they lie: files of their own, or members of archives."""

from __future__ import annotations

from pathlib import Path

from addnet.errors import UserError
from addnet.faces.images import MAX_BYTES
from addnet.index.archives import ArchiveReader, split_path
from addnet.index.records import WHOLE_FILE
from addnet.untrusted.files import read_bytes, status_of


class Storage:
    """Reads files and members alike. For threads and processes; travels by pickle.

    Args:
        seek_points: Folder with the seek points of gzipped archives; None: they are made in each process anew.

    Example:
        >>> len(Storage().read(__file__)) == Path(__file__).stat().st_size
        True
    """

    def __init__(self, seek_points: Path | None = None) -> None:
        self._archives = ArchiveReader(seek_points)

    def read(self, path: str | Path, offset: int = WHOLE_FILE, length: int = 0) -> bytes:
        """All bytes of an image.

        Args:
            path: The file, or `archive/member`; as `Record.path` below its root.
            offset: First byte in the uncompressed archive; -1: a file of its own.
            length: Bytes from there.

        Raises:
            UserError: The file can't be opened, is no regular file or larger than 400 MB; or the archive is damaged or
                ends before.
        """
        if offset != WHOLE_FILE:
            return self._archives.read(_archive(path), offset, length)
        try:
            return read_bytes(path, most=MAX_BYTES)
        except OSError as error:
            raise UserError(f"cannot open {path}: {error.strerror or error}") from error

    def stat(self, path: str | Path, offset: int = WHOLE_FILE, length: int = 0) -> tuple[int, int]:
        """What tells whether an image has changed.

        Returns:
            Its size in bytes and the time of its last change in nanoseconds; of a member, its archive's time.

        Raises:
            UserError: No such file, or no leave to look at it.
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
        raise UserError(f"{path} names no archive (.tar, .tar.gz, .tgz) to read {path!s} from; index the data again")
    return parts[0]
