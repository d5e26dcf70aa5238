"""Files and folders that are whole under their name, or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from addnet.errors import NotWrittenError, UserError


def require_free(output: Path, *, overwrite: bool) -> None:
    """Checks, before any work, that something may be written under a name.

    Raises:
        UserError: Something is there already.
    """
    if output.exists() and not overwrite:
        raise UserError(f"output={output} is there already; name another, or overwrite it with overwrite=true")


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """Gives a place beside `output` to write a file or a folder to, and then moves it there.

    What an error leaves is removed; what a kill leaves has another name, and is written over next time. Where `output`
    is a folder already, its files are replaced one by one and others stay.

    Raises:
        UserError: It can't be written, for example because the disk is full.
    """
    part = output.with_name(f".part-{output.name}")  # keeps the suffix, which some writers insist on
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _remove(part)
        yield part
        _settle(part)
        _move(part, output)
    except OSError as error:
        raise NotWrittenError(f"{output} could not be written ({error.strerror or error}){_free(output)}") from error
    finally:
        with suppress(OSError):  # where nothing could be written there is nothing to remove
            _remove(part)


def _move(part: Path, output: Path) -> None:
    if part.is_dir() and output.is_dir():
        for file in sorted(part.iterdir()):
            file.replace(output / file.name)
    else:
        part.replace(output)


def _settle(part: Path) -> None:
    """Waits until it is on the disk, not only in the system's cache."""
    for file in sorted(part.iterdir()) if part.is_dir() else [part]:
        with file.open("rb") as stream:
            os.fsync(stream.fileno())


def _remove(part: Path) -> None:
    if part.is_dir():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _free(output: Path) -> str:
    there = next((folder for folder in output.absolute().parents if folder.is_dir()), Path("/"))
    return f"; {shutil.disk_usage(there).free / 2**20:,.0f} MiB are free there. Make room, or name another output"
