"""Opens files from untrusted sources: regular files only, without blocking, and with a limit on their size."""

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

# opening a FIFO doesn't block, a terminal doesn't become the controlling one, and no child process inherits the file
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
    """Returns all bytes of a regular file.

    Args:
        path: The file; links are followed.
        most: The largest size in bytes; a larger file is refused before any of it is read.

    Raises:
        UserError: It is a FIFO, a socket, a device or a larger file, or its name is not a valid file name. The
            message begins with `path: `.
        OSError: It can't be opened or read, or it is a folder; the same errors as `open`.
    """
    descriptor, size = _descriptor(path, most)
    try:
        data = os.read(descriptor, size)
        if len(data) < size:  # one read may return only a part: after a signal, or beyond 2 GB
            parts = [data]
            while parts[-1] and (size := size - len(parts[-1])):
                parts.append(os.read(descriptor, size))
            data = b"".join(parts)
    finally:
        os.close(descriptor)
    return data


@contextmanager
def opened(path: str | os.PathLike[str], *, most: int | None) -> Iterator[BinaryIO]:
    """Opens a regular file for reading and closes it after the block.

    Args:
        path: The file; links are followed.
        most: The largest size in bytes; None: no limit, for files that are read piece by piece.

    Raises:
        UserError: It is not a regular file, it is larger than `most`, or its name is invalid; see `read_bytes`.
        OSError: It can't be opened; the same errors as `open`.
    """
    descriptor, _ = _descriptor(path, most)
    with os.fdopen(descriptor, "rb") as file:
        yield file


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Returns the SHA-256 of a regular file in hexadecimal.

    Raises:
        UserError: It is not a regular file, or its name is invalid; see `read_bytes`.
        OSError: It can't be opened or read.
    """
    with opened(path, most=None) as file:
        return hashlib.file_digest(cast("BufferedReader", file), "sha256").hexdigest()


def require_regular(path: str | os.PathLike[str], *, most: int | None = None) -> int:
    """Checks a file before a library opens it by its name, and returns its size in bytes.

    Raises:
        UserError: It is not a regular file, it is larger than `most`, or its name is invalid; see `read_bytes`.
        OSError: It can't be opened; the same errors as `open`.
    """
    descriptor, size = _descriptor(path, most)
    os.close(descriptor)
    return size


def descriptor_of(path: str | os.PathLike[str], *, most: int | None = None) -> int:
    """Opens a regular file for reading and returns its descriptor; the caller closes it.

    Raises:
        UserError: It is not a regular file, it is larger than `most`, or its name is invalid; see `read_bytes`.
        OSError: It can't be opened; the same errors as `open`.
    """
    return _descriptor(path, most)[0]


def status_of(path: str | os.PathLike[str]) -> os.stat_result:
    """Returns the status of a file, following links.

    Raises:
        UserError: Its name is not a valid file name.
        OSError: The same errors as `os.stat`.
    """
    try:
        return os.stat(path)  # noqa: PTH116 - runs once an image
    except ValueError as error:
        raise _invalid_name(path, error) from error


def reason(error: Exception, path: str | os.PathLike[str], name: str = "") -> str:
    """Returns the message of an error without the file's path, for output that names the file separately.

    Args:
        error: The error.
        path: The path by which the file was opened.
        name: The name that replaces the path in the rest of the message.

    Example:
        >>> reason(UserError("/home/a.jpg: a FIFO"), "/home/a.jpg"), reason(UserError("no /b.jpg"), "/b.jpg", "b.jpg")
        ('a FIFO', 'no b.jpg')
    """
    text = str(error).removeprefix(f"{os.fspath(path)}: ")
    return text.replace(os.fspath(path), name) if name else text


def kind_in_words(mode: int) -> str:
    """Returns what a path is, by its `st_mode`, if it isn't a regular file; an empty string for a regular file.

    Example:
        >>> kind_in_words(stat.S_IFIFO | 0o644)
        'a FIFO'
    """
    return "" if stat.S_ISREG(mode) else _KINDS.get(stat.S_IFMT(mode), "something else than a file")


def _descriptor(path: str | os.PathLike[str], most: int | None) -> tuple[int, int]:
    """Opens a regular file; returns its descriptor and its size in bytes."""
    try:
        descriptor = os.open(path, _FLAGS)
    except ValueError as error:
        raise _invalid_name(path, error) from error
    except OSError as error:
        if error.errno == errno.ENXIO:  # raised for a socket, or a device that doesn't exist
            raise UserError(f"{os.fspath(path)}: a socket or a device, not a file that can be read") from error
        raise
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        if kind := kind_in_words(status.st_mode):
            raise UserError(f"{os.fspath(path)}: {kind}, not a file that can be read")
        if most is not None and status.st_size > most:
            raise UserError(f"{os.fspath(path)}: the file has {_size(status.st_size)}; at most {_size(most)} are read")
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor, status.st_size


def _invalid_name(path: str | os.PathLike[str], error: ValueError) -> UserError:
    """Returns the error for a name that contains NUL or characters that can't be encoded."""
    return UserError(f"{os.fspath(path)}: not a valid file name ({error})")


def _size(count: int) -> str:
    return f"{count / (1 << 20):,.0f} MB" if count >= 1 << 20 else f"{count:,} bytes"
