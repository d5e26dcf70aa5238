"""What lies in a tar archive and where, listed without unpacking it."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from addnet.errors import UserError
from addnet.untrusted.files import descriptor_of

TAR, GZIP = "tar", "gzip"
HEAD = tarfile.BLOCKSIZE
_MAX_HEADER = 1 << 14  # bytes of a long name or a pax header; a longer one is an attack on memory
# such a run takes tarfile half a second each time (CVE-2024-6232; not needed from Python 3.11.10 and 3.12.6 on)
_MANY_DIGITS = re.compile(rb"\d{256}")
_FREE, _TIMES = 1 << 30, 100  # bytes that any archive may expand to, and how often its own size beyond that
_REPACK = "unpack it and pack the folder again with `tar -cf`"
_OTHER_KINDS = {
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"PK\x03\x04": "zip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!": "rar",
}
_LINKS_AND_DEVICES = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device file",
    tarfile.BLKTYPE: "a device file",
    tarfile.FIFOTYPE: "a named pipe",
}
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")  # surrogates stand for bytes that are not UTF-8
_DRIVE = re.compile(r"[A-Za-z]:")


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive.

    Attributes:
        name: Relative, with forward slashes and without `.` or `..`.
        offset: Its first byte in the uncompressed tar.
        length: Bytes from there.
    """

    name: str
    offset: int
    length: int


class _RefusedError(Exception):
    """Why an archive is not read although it may be whole."""


def archive_kind(archive: Path, head: bytes) -> str:
    """`tar` or `gzip`, told by the first 512 bytes: names lie, WildDeepfake's `N.tar.gz` are plain tar.

    Raises:
        UserError: Empty, packed in another way, or a placeholder of Git LFS.
    """
    if not head:
        raise UserError(f"{archive} is empty (0 bytes); download it again")
    if head[257:262] == b"ustar":  # first: a member's name may begin like anything below
        return TAR
    if head.startswith(b"\x1f\x8b"):
        return GZIP
    for magic, name in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise UserError(f"{archive} is packed with {name}; only tar and gzipped tar are read: {_REPACK}")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{archive} is a placeholder of Git LFS, not the archive; fetch it with `git lfs pull`")
    return TAR


def list_members(archive: Path, *, seek_points: Path | None = None) -> Iterator[Member]:
    """The regular files of an archive in their order; folders are passed over.

    An archive counts as a whole: use what was listed only when the iteration has come to its end. Links, device
    files, sparse files, names that leave the archive and names that occur twice are refused rather than skipped,
    because an archive that has them was not made for images.

    Args:
        archive: A tar file, plain or gzipped.
        seek_points: Folder that the seek points of a gzipped archive are kept in, made after the last member.

    Raises:
        UserError: Cut short, damaged, hostile or of another kind; the text names the archive, the member and how
            many members before it are whole.
    """
    whole = 0
    try:
        with _opened(archive) as file:
            stream, most = _unpacked(archive, file)
            for member in _members(_Headers(stream, most)):
                whole += 1
                yield member
            _drain(stream, most)
    except UserError:
        raise
    except _RefusedError as error:
        raise UserError(f"{archive} is refused: {error}; {_REPACK}") from error
    except Exception as error:  # tarfile and zlib raise almost anything on damaged bytes; the reason is kept
        raise UserError(
            f"{archive} is damaged or cut short ({error}) after {whole} whole members; download or pack it again"
        ) from error
    if seek_points is not None:
        from addnet.index.seek_points import keep_seek_points  # here: it needs indexed_gzip, plain archives do not

        keep_seek_points(archive, seek_points)


def _opened(archive: Path) -> io.BufferedIOBase:
    try:
        return os.fdopen(descriptor_of(archive), "rb")
    except OSError as error:
        raise UserError(f"cannot open {archive}: {error.strerror or error}") from error


def _unpacked(archive: Path, file: io.BufferedIOBase) -> tuple[io.BufferedIOBase, int | None]:
    """The tar in a file, and how many bytes a gzipped one may have."""
    kind = archive_kind(archive, file.read(HEAD))
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return (file, None) if kind == TAR else (gzip.GzipFile(fileobj=file), most_unpacked(size))


def most_unpacked(size: int) -> int:
    """How many bytes a gzipped archive of a size may expand to: images hardly shrink, zeros to a thousandth.

    Example:
        >>> most_unpacked(10 << 20) >> 20
        2024
    """
    return _FREE + _TIMES * size


def expands(most: int) -> str:
    """Why an archive that expands to more is refused."""
    return f"it expands to more than {most / (1 << 30):,.1f} GB, a hundred times its size"


class _Headers:
    """What tarfile reads headers from: goes only forward, which is what ends every loop, and reads no more at once."""

    def __init__(self, stream: io.BufferedIOBase, most: int | None) -> None:
        self._stream = stream
        self._most = most
        self.tell = stream.tell
        self.last = b""

    def seek(self, offset: int) -> int:
        if offset < self.tell():
            raise _RefusedError("a header points back into the archive")
        self._require_within(offset)
        return self._stream.seek(offset)

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise _RefusedError(f"a header of {size} bytes (at most {_MAX_HEADER} are read)")
        self._require_within(self.tell() + size)
        self.last = self._stream.read(size)
        if size > tarfile.BLOCKSIZE and _MANY_DIGITS.search(self.last):
            raise _RefusedError("a header of digits")
        return self.last

    def _require_within(self, offset: int) -> None:
        if self._most is not None and offset > self._most:
            raise _RefusedError(expands(self._most))


def _members(headers: _Headers) -> Iterator[Member]:
    seen: set[int] = set()
    pending: Member | None = None
    with tarfile.TarFile(fileobj=headers, mode="r", encoding="utf-8") as tar:  # type: ignore[arg-type]
        while (entry := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # a million of them are not to stay in memory
            if pending:  # its data are there only if the next header was found behind them
                yield pending
            pending = _checked(entry, seen)
    if headers.last.strip(b"\0"):
        raise tarfile.ReadError("a header with a wrong checksum")
    if len(headers.last) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("no mark of its end")
    if pending:
        yield pending


def _checked(entry: tarfile.TarInfo, seen: set[int]) -> Member | None:
    name = _safe_name(entry.name)
    if entry.isdir():
        return None
    if entry.type in _LINKS_AND_DEVICES:
        raise _RefusedError(f"{entry.name!r} is {_LINKS_AND_DEVICES[entry.type]}")
    if entry.type not in _FILES or entry.issparse() or entry.size < 0 or not name:
        raise _RefusedError(f"{entry.name!r} is no ordinary file (type {entry.type!r}, {entry.size} bytes)")
    # hashes, not names: 70 MB for a million members
    if hash(name) in seen:
        raise _RefusedError(f"{name!r} occurs twice")
    seen.add(hash(name))
    return Member(name, entry.offset_data, entry.size)


def _safe_name(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/"):
        raise _RefusedError(f"{name!r} is an absolute path")
    if ".." in parts:
        raise _RefusedError(f"{name!r} leaves the archive")
    if "\\" in name or (parts and _DRIVE.match(parts[0])):
        raise _RefusedError(f"{name!r} is a path of Windows")
    if _UNPRINTABLE.search(name):
        raise _RefusedError(f"the name {name!r} has control characters or is not UTF-8")
    return "/".join(parts)


def _drain(stream: io.BufferedIOBase, most: int | None) -> None:
    """Reads a gzipped archive to its end, where its checksum stands."""
    if most is not None:
        while stream.read(1 << 18):
            if stream.tell() > most:
                raise _RefusedError(expands(most))


def file_stamp(stat: os.stat_result) -> tuple[int, int]:
    """Size and time of the last change: whether what is kept about a file still fits it."""
    return stat.st_size, stat.st_mtime_ns
