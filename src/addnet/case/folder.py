"""The folder of a case: always new, complete under its name or absent, with the hash of each file in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from addnet.errors import NotWrittenError, UserError
from addnet.surroundings import require_writable
from addnet.untrusted.files import sha256_of

RECORD, PAGE, PRINT, SUMS = "case.json", "report.html", "report.pdf", "SHA256SUMS"
_MODE = 0o755  # readable by others before the umask, like a folder made with `mkdir`


def require_new(folder: Path) -> Path:
    """Checks, before any work, that a case may be written to a folder.

    Raises:
        UserError: It already exists, or can't be created.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"case={folder} already exists; a case is written once and never changed: name a new folder")
    require_writable("case", folder.absolute().parent)
    return folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder beside a case to write to, which is renamed once it is complete.

    Until then it is called `.NAME.unfinished-…`. It is removed after an error or Ctrl-C, and stays if the process is
    killed. A file or folder that is created under the case's name in the meantime isn't changed.

    Raises:
        UserError: A folder of that name was created in the meantime.
        NotWrittenError: The case can't be written, for example because the disk is full.
    """
    with _in_words(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.unfinished-", dir=folder.parent))
    try:
        yield part
        with _in_words(folder):
            part.chmod(_MODE & ~_umask())
            _settle(part)
            require_new(folder)
            part.rename(folder)  # fails if something was created there since, unless it is an empty folder
    finally:
        shutil.rmtree(part, ignore_errors=True)  # after an error; otherwise it has been renamed


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWrittenError(f"the case {folder} could not be written: {error.strerror or error}") from error


def write_sums(folder: Path) -> None:
    """Writes the SHA-256 of each file of a folder in the format of `sha256sum -c`."""
    lines = [f"{sha256_of(file)}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _settle(folder: Path) -> None:
    """Waits until the files of a folder are on disk, not only in the system's cache."""
    for file in sorted(folder.iterdir()):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
