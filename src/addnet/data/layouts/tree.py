"""Names in a data folder, each folder read once; and the parts of file names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.formats import IMAGE_SUFFIXES, VIDEO_SUFFIXES
from addnet.faces.walk import NO_FACES as NOT_WALKED
from addnet.faces.walk import entries, walk
from addnet.untrusted.places import leads_out
from addnet.untrusted.texts import shown

NO_FACES = NOT_WALKED | {"models"}  # folders next to the images that hold no faces
_NUMBER = re.compile(r"(?:^|[_\-. ]|frame)(\d+)$", re.IGNORECASE)


class Tree:
    """Names below a data folder; each folder is read once, because checking single files is slow over a network.

    Args:
        root: The data folder; all paths are relative to it, with forward slashes.

    Raises:
        UserError: The data folder doesn't exist.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._names: dict[str, tuple[frozenset[str], frozenset[str]]] = {}
        if not self.root.is_dir():
            raise UserError(f"data.data_dir={root}: no such folder")

    def files(self, folder: str = "") -> frozenset[str]:
        """Names of the files in a folder; none if there is no such folder."""
        return self._read(folder)[0]

    def folders(self, folder: str = "") -> frozenset[str]:
        """Names of the folders in a folder."""
        return self._read(folder)[1]

    def videos(self, folder: str = "") -> list[str]:
        """Names of the video files in a folder, sorted."""
        return sorted(name for name in self.files(folder) if name.lower().endswith(VIDEO_SUFFIXES))

    def has_file(self, path: str) -> bool:
        """Whether there is a file at this path."""
        folder, _, name = path.rpartition("/")
        return name in self.files(folder)

    def has_folder(self, path: str) -> bool:
        """Whether there is a folder at this path."""
        folder, _, name = path.rpartition("/")
        return name in self.folders(folder)

    def images(self, folder: str) -> list[tuple[int, str]]:
        """(frame number, name) of the images in a folder, in the order of the video. Not cached: there are many."""
        names = self.list_files(folder)
        return sorted((frame_number(name), name) for name in names if name.lower().endswith(IMAGE_SUFFIXES))

    def landmarks(self, folder: str) -> frozenset[str]:
        """Stems of the files with landmarks (`.npy`) in a folder. Not cached."""
        return frozenset(stem(name) for name in self.list_files(folder) if name.lower().endswith(".npy"))

    def holds_images(self, folder: str) -> bool:
        """Whether some folder in a folder holds images of faces."""
        return any(self.images(join(folder, name)) for name in sorted(self.folders(folder) - NO_FACES))

    def image_folders(self, folder: str) -> Iterator[tuple[str, list[tuple[int, str]]]]:
        """Each folder at or below this one that holds images of faces, with their (frame number, name)."""
        below: dict[str, list[str]] = {}
        for path in walk(self.root / folder).images:
            parent, _, name = path.rpartition("/")
            below.setdefault(parent, []).append(name)
        for parent, names in below.items():
            if NO_FACES.isdisjoint(parent.split("/")):
                yield join(folder, parent), sorted((frame_number(name), name) for name in names)

    def list_files(self, folder: str) -> list[str]:
        """Names in a folder that is read only once; they are not cached."""
        return [entry.name for entry in self._entries(folder)]

    def _read(self, folder: str) -> tuple[frozenset[str], frozenset[str]]:
        if folder not in self._names:
            found = [(entry.name, entry.is_dir()) for entry in self._entries(folder)]
            files = frozenset(name for name, is_folder in found if not is_folder)
            self._names[folder] = files, frozenset(name for name, is_folder in found if is_folder)
        return self._names[folder]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        if "\0" in folder or leads_out(self.root, folder):  # a name from a list
            raise UserError(
                f"{shown(folder)}, which a list names, lies outside of {self.root}; get the list from the source of "
                "the data set"
            )
        try:
            return entries(self.root / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise UserError(f"cannot read {self.root / folder}: {error.strerror or error}") from error


def frame_number(name: str) -> int:
    """Number at the end of an image's name; -1 if there is none.

    Example:
        >>> frame_number("0012.png"), frame_number("000_003_frame7.jpg"), frame_number("seed0188.png")
        (12, 7, -1)
    """
    match = _NUMBER.search(stem(name))
    return int(match.group(1)) if match else -1


def stem(path: str) -> str:
    """Name of a file without folder and suffix.

    Example:
        >>> stem("fake/0001_fake.mp4")
        '0001_fake'
    """
    name = path.rpartition("/")[2]
    return name.rpartition(".")[0] or name


def join(*parts: str) -> str:
    """Joins parts, some of which may be empty, into a relative path."""
    return "/".join(part for part in parts if part)
