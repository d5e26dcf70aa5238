"""Videos and pictures in folders: found quickly, in order, with the number of a frame read from its name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.formats import PICTURE_SUFFIXES, VIDEO_SUFFIXES
from addnet.faces.walk import entries, walk

NO_FACES = frozenset({"landmarks", "masks", "models"})  # lie beside the pictures and are none

_FRAME = re.compile(r"(?:^|[_\-. ]|frame)(\d+)$", re.IGNORECASE)


def require_folder(root: Path) -> None:
    """Raises a UserError if the data folder is not there."""
    if not root.is_dir():
        raise UserError(f"data.data_dir={root}: no such folder")


def frame_number(stem: str) -> int:
    """The frame's number in its video, read from the end of a file name; -1 if there is none.

    Example:
        >>> frame_number("0012"), frame_number("000_003_frame7"), frame_number("seed0188")
        (12, 7, -1)
    """
    match = _FRAME.search(stem)
    return int(match.group(1)) if match else -1


def folders_in(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted; none if it is not there. Hidden ones are left out."""
    if not folder.is_dir():
        return []
    return sorted(entry.name for entry in entries(folder) if entry.is_dir())


def videos_in(folder: Path) -> list[str]:
    """Names of the video files in a folder, sorted; none if it is not there."""
    return sorted(_files(folder, VIDEO_SUFFIXES))


def pictures_in(folder: Path) -> list[str]:
    """Names of the pictures in a folder by frame number, then by name; none if it is not there."""
    return _by_frame(_files(folder, PICTURE_SUFFIXES))


def points_in(folder: Path) -> frozenset[str]:
    """Stems of the files with points (`.npy`) in a folder; none if it is not there."""
    return frozenset(name.rpartition(".")[0] for name in _files(folder, (".npy",)))


def picture_folders(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Every folder below one (and itself) that holds pictures, with their names; masks and landmarks are left out."""
    below: dict[str, list[str]] = {}
    for path in walk(folder).pictures:
        parent, _, name = path.rpartition("/")
        below.setdefault(parent, []).append(name)
    for parent, names in below.items():
        if not NO_FACES & set(parent.split("/")):
            yield folder / parent, _by_frame(names)


def _by_frame(names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: (frame_number(name.rpartition(".")[0]), name))


def _files(folder: Path, suffixes: tuple[str, ...]) -> list[str]:
    if not folder.is_dir():
        return []
    return [entry.name for entry in entries(folder) if entry.name.lower().endswith(suffixes)]
