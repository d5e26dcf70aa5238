"""Opening files that anybody may have made: never waiting, regular files only, never more bytes than are sensible."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, cast

from addnet.errors import UserError

if TYPE_CHECKING:
    from io import BufferedReader

# a FIFO opens at once, a terminal doesn't become that of the program, and no child gets the file
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_BINARY", 0)
)
_KINDS = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_bytes(path: str | os.PathLike[str], *, most: int) -> bytes:
    """All bytes of a regular file.

    Args:
        path: The file; links are followed.
        most: Bytes that are read at most; a larger file is refused before any of it is read.

    Raises:
        UserError: It is a FIFO, a socket, a device or a larger file, or no file can have such a name. The text begins
            with `path: `.
        OSError: It can't be opened or read or is a folder, as `open` says.
    """
    descriptor, size = _descriptor(path, most)
    try:
        data = os.read(descriptor, size)
        if len(data) < size:  # a read may give less than is there: after a signal, or beyond 2 GB
            parts = [data]
            while parts[-1] and (size := size - len(parts[-1])):
                parts.append(os.read(descriptor, size))
            data = b"".join(parts)
    finally:
        os.close(descriptor)
    return data


@contextmanager
def opened(path: str | os.PathLike[str], *, most: int | None) -> Iterator[BinaryIO]:
    """A regular file, opened for reading and closed after the block.

    Args:
        path: The file; links are followed.
        most: Bytes that it may have; None: as many as it likes, where it is read piece by piece.

    Raises:
        UserError: As `read_bytes`.
        OSError: It can't be opened, as `open` says.
    """
    descriptor, _ = _descriptor(path, most)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def sha256_of(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a regular file, in hexadecimal.

    Raises:
        UserError: As `read_bytes`.
        OSError: It can't be opened or read.
    """
    with opened(path, most=None) as file:
        return hashlib.file_digest(cast("BufferedReader", file), "sha256").hexdigest()


def require_regular(path: str | os.PathLike[str], *, most: int | None = None) -> int:
    """Checks a file before a library opens it by its name, and returns its size in bytes.

    Raises:
        UserError: As `read_bytes`.
        OSError: It can't be opened, as `open` says.
    """
    descriptor, size = _descriptor(path, most)
    os.close(descriptor)
    return size


def descriptor_of(path: str | os.PathLike[str], *, most: int | None = None) -> int:
    """The descriptor of a regular file, opened for reading; whoever asks closes it.

    Raises:
        UserError: As `read_bytes`.
        OSError: It can't be opened, as `open` says.
    """
    return _descriptor(path, most)[0]


def status_of(path: str | os.PathLike[str]) -> os.stat_result:
    """What the file system says of a file, links followed.

    Raises:
        UserError: No file can have such a name.
        OSError: As `os.stat`.
    """
    try:
        return os.stat(path)  # noqa: PTH116 - runs once an image
    except ValueError as error:
        raise _no_name(path, error) from error


def reason(error: Exception, path: str | os.PathLike[str], name: str = "") -> str:
    """What an error says of a file, where the file is named beside it: without its path, which nobody else has.

    Args:
        error: The error.
        path: The file as it was opened.
        name: The file as it is called where the reason is shown.

    Example:
        >>> reason(UserError("/home/a.jpg: a FIFO"), "/home/a.jpg"), reason(UserError("no /b.jpg"), "/b.jpg", "b.jpg")
        ('a FIFO', 'no b.jpg')
    """
    text = str(error).removeprefix(f"{os.fspath(path)}: ")
    return text.replace(os.fspath(path), name) if name else text


def kind_in_words(mode: int) -> str:
    """What lies under a name that is not a regular file, by the mode that `stat` gives; empty for a regular file.

    Example:
        >>> kind_in_words(stat.S_IFIFO | 0o644)
        'a FIFO'
    """
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else than a file")


def _descriptor(path: str | os.PathLike[str], most: int | None) -> tuple[int, int]:
    """An open descriptor and the size of its file."""
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:
        raise _no_name(path, error) from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # what a socket, or a device that isn't there, gives
            raise UserError(f"{os.fspath(path)}: a socket or a device, not a file that can be read") from error
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if kind := kind_in_words(status.st_mode):
            raise UserError(f"{os.fspath(path)}: {kind}, not a file that can be read")
        if most is not None and status.st_size > most:
            raise UserError(f"{os.fspath(path)}: file of {_size(status.st_size)}; at most {_size(most)} are read")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def _no_name(path: str | os.PathLike[str], error: ValueError) -> UserError:
    """What is said of a name with NUL, or with characters that stand for no bytes."""
    return UserError(f"{os.fspath(path)}: not a valid name of a file ({error})")


def _size(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MB" if count >= 1 << 20 else f"{count:,} bytes"
