"""Writes files and folders atomically: complete under their name, or absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from addnet.errors import NotWrittenError, UserError


def require_free(output: Path, *, overwrite: bool) -> None:
    """Checks, before any work, that an output may be written.

    Raises:
        UserError: It already exists.
    """
    if output.exists() and not overwrite:
        raise UserError(f"output={output} already exists; name another, or replace it with overwrite=true")


@contextmanager
def whole(output: Path) -> Iterator[Path]:
    """Yields a temporary path beside `output` to write a file or a folder to, then moves the result to `output`.

    The temporary path is removed after an error; if the process is killed it stays, and the next call removes it. If
    `output` is an existing folder, its files are replaced one by one and other files in it stay.

    Raises:
        NotWrittenError: The output can't be written, for example because the disk is full.
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
        with suppress(OSError):  # if nothing could be written there is nothing to remove
            _remove(part)


def _move(part: Path, output: Path) -> None:
    if part.is_dir() and output.is_dir():
        for file in sorted(part.iterdir()):
            file.replace(output / file.name)
    else:
        part.replace(output)


def _settle(part: Path) -> None:
    """Waits until the files are on disk, not only in the system's cache."""
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
