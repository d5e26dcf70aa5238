"""Names in a data folder, each folder read once; and what names of files tell."""

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

NO_FACES = NOT_WALKED | {"models"}  # lie beside the images and are none
_NUMBER = re.compile(r"(?:^|[_\-. ]|frame)(\d+)$", re.IGNORECASE)


class Tree:
    """Names below a data folder; each folder is read once, because asking for single files is slow over a network.

    Args:
        root: The data folder; all paths are relative to it, with forward slashes.

    Raises:
        UserError: The data folder is not there.
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
        """(frame number, name) of the images in a folder, in the order of the video. Not kept: they are many."""
        names = self.list_files(folder)
        return sorted((frame_number(name), name) for name in names if name.lower().endswith(IMAGE_SUFFIXES))

    def landmarks(self, folder: str) -> frozenset[str]:
        """Stems of the files with landmarks (`.npy`) in a folder. Not kept."""
        return frozenset(stem(name) for name in self.list_files(folder) if name.lower().endswith(".npy"))

    def holds_images(self, folder: str) -> bool:
        """Whether some folder in a folder holds images of faces."""
        return any(self.images(join(folder, name)) for name in sorted(self.folders(folder) - NO_FACES))

    def image_folders(self, folder: str) -> Iterator[tuple[str, list[tuple[int, str]]]]:
        """Every folder below one (and itself) that holds images, once, with what `images` gives; faces alone."""
        below: dict[str, list[str]] = {}
        for path in walk(self.root / folder).images:
            parent, _, name = path.rpartition("/")
            below.setdefault(parent, []).append(name)
        for parent, names in below.items():
            if NO_FACES.isdisjoint(parent.split("/")):
                yield join(folder, parent), sorted((frame_number(name), name) for name in names)

    def list_files(self, folder: str) -> list[str]:
        """Names in a folder that is looked at once only and not kept in memory."""
        return [entry.name for entry in self._entries(folder)]

    def _read(self, folder: str) -> tuple[frozenset[str], frozenset[str]]:
        if folder not in self._names:
            found = [(entry.name, entry.is_dir()) for entry in self._entries(folder)]
            files = frozenset(name for name, is_folder in found if not is_folder)
            self._names[folder] = files, frozenset(name for name, is_folder in found if is_folder)
        return self._names[folder]

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        if "\0" in folder or leads_out(self.root, folder):  # a name out of a list
            raise UserError(
                f"{shown(folder)}, which a list names, lies outside of {self.root}; take the list from where the data "
                "set comes from"
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
    """A relative path of parts, of which some may be empty."""
    return "/".join(part for part in parts if part)
