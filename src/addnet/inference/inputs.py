"""Names given by a user → images, videos, and files that can't be scored."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO, VIDEO_SUFFIXES, head_of, kind_of, what_else
from addnet.faces.walk import FolderContents, walk

_MAGIC = "*?["
_ANY_DEPTH = "**"


@dataclass(frozen=True)
class Inputs:
    """Files to be scored.

    Attributes:
        images: Images in the order in which they were named; those of a folder are sorted.
        videos: Videos in the same order.
        left_out: Files in folders that are neither, or can't be read, with the reason.
        notes: Files in folders that were skipped because they are junk, or were found a second time.
    """

    images: tuple[Path, ...]
    videos: tuple[Path, ...]
    left_out: tuple[tuple[Path, str], ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str]) -> Inputs:
        """Finds the files that are named.

        Args:
            names: Each a file, a folder (searched recursively) or a glob pattern.

        Raises:
            UserError: No file is named, or a name matches nothing.
        """
        if not names:
            raise UserError("no file is named; name an image, a video, a folder or a pattern such as faces/*.jpg")
        parts = [_named(name) for name in names]
        files = dict.fromkeys(file for part in parts for file in (*part.images, *part.videos))
        videos = dict.fromkeys(file for file in files if kind_of(file) == VIDEO)
        left_out = {file: reason for part in parts for file, reason in part.left_out if file not in files}
        return cls(
            tuple(file for file in files if file not in videos),
            tuple(videos),
            tuple(left_out.items()),
            tuple(note for part in parts for note in part.notes),
        )

    def __len__(self) -> int:
        return len(self.images) + len(self.videos) + len(self.left_out)


def _named(name: str) -> Inputs:
    path = Path(name).expanduser()
    if path.is_dir():
        return _in_folder(path)
    if path.exists():
        return Inputs((path,), ())
    if any(sign in name for sign in _MAGIC):
        if found := _matching(path):
            return Inputs(tuple(found), ())
        raise UserError(f"no file matches {name}")
    raise UserError(f"{name}: no such file or folder")


def _in_folder(folder: Path) -> Inputs:
    found = walk(folder, evidence=True)
    if not found.images and not found.videos:
        kinds = ", ".join((*IMAGE_SUFFIXES, *VIDEO_SUFFIXES))
        why = "; ".join(found.notes()) or f"it is empty; looked for {kinds}"
        raise UserError(f"{folder} holds no images and no videos: {why}")
    others = [(folder / name, _why(folder / name)) for name in found.others]
    lost = [(folder / left.name, left.reason) for left in found.left_out if not left.elsewhere]
    there = FolderContents(folder, junk=found.junk, left_out=[left for left in found.left_out if left.elsewhere])
    images, videos = (tuple(folder / name for name in names) for names in (found.images, found.videos))
    return Inputs(images, videos, (*others, *lost), tuple(f"{folder}: {note}" for note in there.notes()))


def _why(file: Path) -> str:
    if not os.access(file, os.R_OK):
        return "cannot be read: no permission"
    return f"neither an image nor a video{what_else(head_of(file))}"


def _matching(pattern: Path) -> list[Path]:
    """Returns the files that match a pattern; `**` searches folders as `walk` does, without following cycles."""
    if _ANY_DEPTH not in pattern.parts:
        matches = sorted(glob.glob(str(pattern)))  # noqa: PTH207 - Path.glob takes no absolute pattern
        return [Path(file) for file in matches if Path(file).is_file()]
    first = next(number for number, part in enumerate(pattern.parts) if any(sign in part for sign in _MAGIC))
    start, rest = Path(*pattern.parts[:first]), pattern.parts[first:]
    found = walk(start, evidence=True)
    names = sorted([*found.images, *found.videos, *found.others])
    return [start / name for name in names if _fits(tuple(name.split("/")), rest)]


def _fits(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == _ANY_DEPTH:
        return any(_fits(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _fits(parts[1:], pattern[1:])
