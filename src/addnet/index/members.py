"""Lists the members of a tar archive and their positions, without unpacking it."""

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
_MAX_HEADER = 1 << 14  # bytes of a long name or a pax header; a longer one is an attempt to exhaust memory
# such a run costs tarfile half a second each time (CVE-2024-6232; fixed in Python 3.11.10 and 3.12.6)
_MANY_DIGITS = re.compile(rb"\d{256}")
_FREE, _TIMES = 1 << 30, 100  # an archive may expand to 1 GiB plus a hundred times its own size
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
        name: Relative path, with forward slashes and without `.` or `..`.
        offset: Position of its first byte in the uncompressed tar.
        length: Number of bytes.
    """

    name: str
    offset: int
    length: int


class _ArchiveRefusedError(Exception):
    """The reason why an archive isn't read, although it may be intact."""


def archive_kind(archive: Path, head: bytes) -> str:
    """`tar` or `gzip`, judged by the first 512 bytes: names can be wrong (WildDeepfake's `N.tar.gz` are plain tar).

    Raises:
        UserError: The archive is empty, packed with another program, or a placeholder of Git LFS.
    """
    if not head:
        raise UserError(f"{archive} is empty (0 bytes); download it again")
    if head[257:262] == b"ustar":  # checked first, because a member's name may begin like any of the others
        return TAR
    if head.startswith(b"\x1f\x8b"):
        return GZIP
    for magic, name in _OTHER_KINDS.items():
        if head.startswith(magic):
            raise UserError(f"{archive} is packed with {name}; only tar and gzipped tar can be read: {_REPACK}")
    if head.startswith(b"version https://git-lfs"):
        raise UserError(f"{archive} is a placeholder of Git LFS, not the archive; fetch it with `git lfs pull`")
    return TAR


def list_members(archive: Path, *, seek_points: Path | None = None) -> Iterator[Member]:
    """Yields the regular files of an archive in their order; skips folders.

    Don't use the members before the iteration has finished: an archive is accepted or refused as a whole. Links,
    device files, sparse files, names that leave the archive and names that occur twice are refused rather than
    skipped, because an archive that has them wasn't made for images.

    Args:
        archive: A tar file, plain or gzipped.
        seek_points: Folder for the seek points of a gzipped archive, which are saved after the last member.

    Raises:
        UserError: The archive is truncated, damaged, hostile or of another kind. The message says why, and of a
            damaged archive how many members before the damage are intact.
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
    except _ArchiveRefusedError as error:
        raise UserError(f"{archive} is refused: {error}; {_REPACK}") from error
    except Exception as error:  # tarfile and zlib raise almost anything on damaged bytes; the message has the reason
        raise UserError(
            f"{archive} is damaged or truncated ({error}) after {whole} intact members; download or pack it again"
        ) from error
    if seek_points is not None:
        from addnet.index.seek_points import keep_seek_points  # only here: plain archives don't need indexed_gzip

        keep_seek_points(archive, seek_points)


def _opened(archive: Path) -> io.BufferedIOBase:
    try:
        return os.fdopen(descriptor_of(archive), "rb")
    except OSError as error:
        raise UserError(f"cannot open {archive}: {error.strerror or error}") from error


def _unpacked(archive: Path, file: io.BufferedIOBase) -> tuple[io.BufferedIOBase, int | None]:
    """The uncompressed tar of a file, and the most bytes that a gzipped one may expand to (None: plain)."""
    kind = archive_kind(archive, file.read(HEAD))
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return (file, None) if kind == TAR else (gzip.GzipFile(fileobj=file), most_unpacked(size))


def most_unpacked(size: int) -> int:
    """The most bytes that a gzipped archive of this size may expand to: images hardly shrink, zeros to a thousandth.

    Example:
        >>> most_unpacked(10 << 20) >> 20
        2024
    """
    return _FREE + _TIMES * size


def expands(most: int) -> str:
    """The reason given for refusing an archive that expands to more than this."""
    return f"it expands to more than {most / (1 << 30):,.1f} GB, a hundred times its size"


class _Headers:
    """The stream from which tarfile reads headers: it only moves forward, so every loop ends, and limits each read."""

    def __init__(self, stream: io.BufferedIOBase, most: int | None) -> None:
        self._stream = stream
        self._most = most
        self.tell = stream.tell
        self.last = b""

    def seek(self, offset: int) -> int:
        if offset < self.tell():
            raise _ArchiveRefusedError("a header points back into the archive")
        self._require_within(offset)
        return self._stream.seek(offset)

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:
            raise _ArchiveRefusedError(f"it has a header of {size} bytes (the limit is {_MAX_HEADER})")
        self._require_within(self.tell() + size)
        self.last = self._stream.read(size)
        if size > tarfile.BLOCKSIZE and _MANY_DIGITS.search(self.last):
            raise _ArchiveRefusedError("it has a header with 256 or more digits in a row")
        return self.last

    def _require_within(self, offset: int) -> None:
        if self._most is not None and offset > self._most:
            raise _ArchiveRefusedError(expands(self._most))


def _members(headers: _Headers) -> Iterator[Member]:
    seen: set[int] = set()
    pending: Member | None = None
    with tarfile.TarFile(fileobj=headers, mode="r", encoding="utf-8") as tar:  # type: ignore[arg-type]
        while (entry := tar.next()) is not None:
            tar.members.clear()  # type: ignore[attr-defined]  # a million of them must not stay in memory
            if pending:  # its data are complete only if the next header was found behind them
                yield pending
            pending = _checked(entry, seen)
    if headers.last.strip(b"\0"):
        raise tarfile.ReadError("a header with a wrong checksum")
    if len(headers.last) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("no end-of-archive block")
    if pending:
        yield pending


def _checked(entry: tarfile.TarInfo, seen: set[int]) -> Member | None:
    name = _safe_name(entry.name)
    if entry.isdir():
        return None
    if entry.type in _LINKS_AND_DEVICES:
        raise _ArchiveRefusedError(f"{entry.name!r} is {_LINKS_AND_DEVICES[entry.type]}")
    if entry.type not in _FILES or entry.issparse() or entry.size < 0 or not name:
        raise _ArchiveRefusedError(f"{entry.name!r} is not a regular file (type {entry.type!r}, {entry.size} bytes)")
    # hashes rather than names: a million members take only 70 MB
    if hash(name) in seen:
        raise _ArchiveRefusedError(f"{name!r} occurs twice")
    seen.add(hash(name))
    return Member(name, entry.offset_data, entry.size)


def _safe_name(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/"):
        raise _ArchiveRefusedError(f"{name!r} is an absolute path")
    if ".." in parts:
        raise _ArchiveRefusedError(f"{name!r} leaves the archive")
    if "\\" in name or (parts and _DRIVE.match(parts[0])):
        raise _ArchiveRefusedError(f"{name!r} is a Windows path")
    if _UNPRINTABLE.search(name):
        raise _ArchiveRefusedError(f"the name {name!r} has control characters or is not UTF-8")
    return "/".join(parts)


def _drain(stream: io.BufferedIOBase, most: int | None) -> None:
    """Reads a gzipped archive to its end, where its checksum is."""
    if most is not None:
        while stream.read(1 << 18):
            if stream.tell() > most:
                raise _ArchiveRefusedError(expands(most))


def file_stamp(stat: os.stat_result) -> tuple[int, int]:
    """Size and time of the last change, by which a cache recognises that a file has changed."""
    return stat.st_size, stat.st_mtime_ns
