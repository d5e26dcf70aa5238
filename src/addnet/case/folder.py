"""The folder of a case: new, whole under its name or not there, with the hash of everything in it."""

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
_MODE = 0o755  # of a folder that others may read, as `mkdir` makes it


def require_new(folder: Path) -> Path:
    """Checks, before any work, that a case may be written under a name.

    Raises:
        UserError: Something is there already, or no folder can be made there.
    """
    if folder.exists() or folder.is_symlink():
        raise UserError(f"case={folder} is there already; a case is written once and never changed: name a new folder")
    require_writable("case", folder.absolute().parent)
    return folder


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Gives a folder beside a case to write to, which gets its name once it is whole.

    Until then it is called `.NAME.unfinished-…`: an error or Ctrl-C removes it, a kill leaves it under that name. What
    has come to lie under the name of the case meanwhile is left as it is.

    Raises:
        UserError: A folder of that name has appeared meanwhile.
        NotWrittenError: It can't be written, for example because the disk is full.
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
            part.rename(folder)  # fails where something has appeared since, unless it is an empty folder
    finally:
        shutil.rmtree(part, ignore_errors=True)  # of an error; else it is there no more


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NotWrittenError(f"the case {folder} could not be written: {error.strerror or error}") from error


def write_sums(folder: Path) -> None:
    """Writes the SHA-256 of each file of a folder, in the form that `sha256sum -c` reads."""
    lines = [f"{sha256_of(file)}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _settle(folder: Path) -> None:
    """Waits until its files are on the disk, not only in the system's cache."""
    for file in sorted(folder.iterdir()):
        with file.open("rb") as stream:
            os.fsync(stream.fileno())
