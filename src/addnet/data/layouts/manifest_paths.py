"""The paths of a manifest: normalised, checked for duplicates and for missing files; on whole columns."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.data.layouts.manifest_rows import Rows
from addnet.errors import UserError
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO, VIDEO_SUFFIXES, kind_of
from addnet.untrusted.places import first_outside
from addnet.untrusted.texts import shown
from addnet.wording import count

_MOST_NAMED = 3


def normal_paths(rows: Rows, paths: pa.Array) -> pa.Array:
    """(N,) paths with forward slashes and without a leading `./`.

    Raises:
        UserError: A path is empty, or there are no rows.
    """
    if not len(paths):
        raise UserError(f"{rows.file} has no rows below its header; expected one per image or video")
    normal = pc.replace_substring_regex(pc.replace_substring(paths, "\\", "/"), r"^(\./+)+", "")
    empty = np.flatnonzero(np.asarray(pc.equal(normal, "")))
    if len(empty):
        raise UserError(f"{rows.file}, {rows.name(int(empty[0]))}: the path is empty")
    return normal


def refuse_outside(rows: Rows, paths: pa.Array, folder: Path, *, outside: bool) -> None:
    """Raises a UserError if a path leads out of the folder: a stranger's manifest must not decide what is read.

    Args:
        rows: The manifest.
        paths: From `normal_paths`.
        folder: The folder that they are relative to.
        outside: Whether the user allowed it.
    """
    if (found := first_outside(folder, paths.to_pylist(), outside=outside)) is not None:
        path, remedy = shown(paths[found.position].as_py()), "; if you trust it, type ++data.options.outside=true"
        place = f"{rows.file}, {rows.name(found.position)}: {path} {found.reason}"
        raise UserError(place if outside or "NUL" in found.reason else f"{place}{remedy}")


def refuse_twice(rows: Rows, paths: pa.Array) -> None:
    """Raises a UserError if a path is in two rows: it would be trained on twice, or be in two splits."""
    codes = np.asarray(paths.dictionary_encode().indices)
    counts = np.bincount(codes)
    if counts.max() == 1:
        return
    twice = np.flatnonzero(counts > 1)
    examples = []
    for code in twice[:_MOST_NAMED]:
        where = np.flatnonzero(codes == code)
        examples.append(
            f"{shown(paths[int(where[0])].as_py())} ({', '.join(rows.name(int(row)) for row in where[:_MOST_NAMED])})"
        )
    more = f" and {len(twice) - _MOST_NAMED:,} more" if len(twice) > _MOST_NAMED else ""
    raise UserError(
        f"{rows.file} names {count(len(twice), 'file')} more than once: {'; '.join(examples)}{more}; keep one row "
        "of each"
    )


def kinds(rows: Rows, paths: pa.Array, folder: Path) -> pa.Array:
    """(N,) whether a path is a video rather than an image, by its suffix, else by the first bytes of its file.

    Raises:
        UserError: It is neither.
    """
    are_videos = np.asarray(_ends_with(paths, VIDEO_SUFFIXES)).copy()
    for row in np.flatnonzero(~are_videos & ~np.asarray(_ends_with(paths, IMAGE_SUFFIXES))).tolist():
        kind = kind_of(folder / paths[row].as_py())
        if kind is None:
            raise UserError(
                f"{rows.file}, {rows.name(row)}: {shown(paths[row].as_py())!r} is neither an image nor a video, "
                "judging by its suffix and its content"
            )
        are_videos[row] = kind == VIDEO
    return pa.array(are_videos)


def absent_files(root: Path, paths: pa.Array) -> NDArray[np.bool_]:
    """(N,) which paths don't exist; each folder is read once, since checking single files is slow over a network."""
    folders = pc.replace_substring_regex(paths, r"[^/]*$", "").dictionary_encode()
    codes = np.asarray(folders.indices)  # (N,) number of each path's folder; `order` sorts the paths by folder
    order = np.argsort(codes, kind="stable")
    names = pc.replace_substring_regex(paths, r"^.*/", "").take(pa.array(order))
    counts = np.bincount(codes, minlength=len(folders.dictionary)).tolist()
    absent = np.zeros(len(paths), dtype=bool)
    start = 0
    for folder, number in zip(folders.dictionary.to_pylist(), counts, strict=True):
        there = _files(os.path.join(root, folder))  # noqa: PTH118 - Path takes longer than reading the folder
        absent[order[start : start + number]] = [name not in there for name in names.slice(start, number).to_pylist()]
        start += number
    return absent


def _files(folder: str) -> frozenset[str]:
    try:
        return frozenset(os.listdir(folder))  # noqa: PTH208 - names alone, for folders of a million
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror or error}") from error


def _ends_with(paths: pa.Array, suffixes: tuple[str, ...]) -> pa.Array:
    pattern = "|".join(suffix.removeprefix(".") for suffix in suffixes)
    return pc.match_substring_regex(paths, rf"\.({pattern})$", ignore_case=True)
