"""Walks over folders: visits each real folder and file once and reports what it skips."""

from __future__ import annotations

import logging
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from addnet.errors import shortened
from addnet.faces.formats import IMAGE, VIDEO, kind_of
from addnet.untrusted.files import kind_in_words
from addnet.untrusted.texts import oddity, shown
from addnet.wording import count

log = logging.getLogger(__name__)

JUNK = frozenset(  # left behind by operating systems, cloud storage and notebooks; compared in lower case
    (
        *("__macosx", "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "lost+found"),
        *("$recycle.bin", "system volume information", "__pycache__"),
        *("thumbs.db", "ehthumbs.db", "desktop.ini"),
    )
)
NO_FACES = frozenset({"masks", "landmarks"})  # folders that accompany the images of data sets and hold no faces
_MOST_NAMED = 3


class SkippedFile(NamedTuple):
    """A file or folder that is not read.

    Attributes:
        name: Relative to the folder that was walked, with forward slashes.
        reason: Why.
        elsewhere: Its content is found under another name.
    """

    name: str
    reason: str
    elsewhere: bool = False


@dataclass
class FolderContents:
    """The files below a folder. Names are relative to it, with forward slashes, files before subfolders.

    Attributes:
        folder: The folder.
        images: Names of images.
        videos: Names of videos.
        others: Names of files that are neither images nor videos, by suffix and by content.
        left_out: Links, folders and files that were not read.
        junk: How many junk files and folders were skipped, by name; all hidden ones as `hidden`.
    """

    folder: Path
    images: list[str] = field(default_factory=list)
    videos: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    left_out: list[SkippedFile] = field(default_factory=list)
    junk: Counter[str] = field(default_factory=Counter)

    def notes(self) -> list[str]:
        """What was skipped, in sentences."""
        notes = []
        if self.others:
            suffixes = Counter(Path(name).suffix.lower() or "without a suffix" for name in self.others)
            counts = ", ".join(f"{shown(suffix)} {number:,}" for suffix, number in suffixes.most_common())
            one, many = "file is neither an image nor a video", "files are neither images nor videos"
            notes.append(f"{count(len(self.others), one, many)}: {counts}")
        if self.left_out:
            few = "; ".join(f"{shown(left.name)}: {left.reason}" for left in self.left_out[:_MOST_NAMED])
            more = len(self.left_out) - _MOST_NAMED
            notes.append(f"left out: {few}" + (f"; and {more:,} more" if more > 0 else ""))
        if self.junk:
            counts = ", ".join(f"{shown(name)} {number:,}" for name, number in self.junk.most_common())
            notes.append(f"left out, as system and tool files: {counts}")
        return notes


def walk(folder: str | Path, *, evidence: bool = False) -> FolderContents:
    """Finds all images and videos below a folder.

    Links are followed after everything that really lies below the folder has been read. Files and folders reached a
    second time, by a link or under another name, are listed in `left_out`, and so are links to folders that contain the
    folder itself.

    Args:
        folder: The folder.
        evidence: Nothing may be missed: also reads folders of masks, files whose names tables can't hold (not UTF-8,
            control characters), and files under each of their names.
    """
    found = FolderContents(Path(folder))
    kinds = {IMAGE: found.images, VIDEO: found.videos, None: found.others}
    for name in _Walk(found, evidence).files():
        kinds[kind_of(found.folder / name)].append(name)
    found.left_out.sort()
    return found


def iter_images(folder: str | Path) -> Iterator[Path]:
    """Yields the images below a folder, those of a folder before those of its subfolders; see `walk`."""
    yield from (Path(folder, name) for name in walk(folder).images)


def iter_videos(folder: str | Path) -> Iterator[Path]:
    """Yields the videos below a folder, those of a folder before those of its subfolders; see `walk`."""
    yield from (Path(folder, name) for name in walk(folder).videos)


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Lists the entries of one folder, without junk and names that tables can't hold; the latter are logged.

    Raises:
        OSError: The folder can't be read.
    """
    with os.scandir(folder) as found:
        kept = [entry for entry in found if not is_junk(entry.name)]
    if odd := [f"{shown(entry.name)} {why}" for entry in kept if (why := oddity(entry.name))]:
        log.warning("%s: left out for their names: %s", folder, shortened(odd, limit=_MOST_NAMED))
        kept = [entry for entry in kept if not oddity(entry.name)]
    return kept


def is_junk(name: str) -> bool:
    """Whether a file or folder was left behind by systems and tools, or is hidden.

    Example:
        >>> is_junk("@eaDir"), is_junk(".DS_Store"), is_junk("real")
        (True, True, False)
    """
    return name.startswith(".") or name.lower() in JUNK


class _Walk:
    """The state of one walk: folders met and their names, files found, links still to be followed."""

    def __init__(self, found: FolderContents, evidence: bool) -> None:
        self._found = found
        self._evidence = evidence
        self._met: dict[tuple[int, int], str] = {}
        self._links: list[str] = []
        self._names: list[str] = []
        self._inodes = array("Q")

    def files(self) -> list[str]:
        """Returns the names of the files, each once, sorted."""
        above = {_identity(parent) for parent in self._found.folder.resolve().parents}
        self._read_below("")
        for link in self._links:  # grows while links lead to folders that contain links
            self._follow(link, above)
        twice: frozenset[str] = frozenset() if self._evidence else self._met_twice()
        names = (name for name in self._names if name not in twice)
        return sorted(names, key=_order)

    def _leave(self, name: str, reason: str, *, elsewhere: bool = False) -> None:
        self._found.left_out.append(SkippedFile(name, reason, elsewhere))

    def _read_below(self, start: str) -> None:
        """Reads a folder and all its real subfolders; links are collected for later."""
        waiting = [start]
        while waiting:
            name = waiting.pop()
            try:
                self._met[_identity(self._found.folder / name)] = name
                with os.scandir(self._found.folder / name) as entries:
                    inner = [self._entry(name, entry) for entry in sorted(entries, key=_name)]
                waiting += [folder for folder in reversed(inner) if folder]
            except OSError as error:
                self._leave(name or ".", f"cannot be read: {error.strerror or error}")

    def _entry(self, folder: str, entry: os.DirEntry[str]) -> str | None:
        """Records a file or link; returns the name if it is a folder to be read."""
        name = f"{folder}/{entry.name}" if folder else entry.name
        if is_junk(entry.name):
            self._found.junk["hidden" if entry.name.startswith(".") else entry.name] += 1
        elif not self._evidence and (why := oddity(entry.name)):
            self._leave(name, f"the name {why}; rename it")
        elif not self._evidence and entry.name.lower() in NO_FACES and entry.is_dir():
            self._leave(name, f"a folder of {entry.name.lower()}, not of faces")
        elif entry.is_symlink():
            self._links.append(name)
        elif entry.is_dir(follow_symlinks=False):
            if (first := self._met.get(_identity(Path(entry.path)))) is None:
                return name
            self._leave(name, f"the same folder as {shown(first or '.')}", elsewhere=True)
        elif entry.is_file(follow_symlinks=False):
            self._names.append(name)
            self._inodes.append(entry.inode())
        else:
            self._leave(
                name, f"{kind_in_words(entry.stat(follow_symlinks=False).st_mode)}, neither a file nor a folder"
            )
        return None

    def _follow(self, link: str, above: Iterable[tuple[int, int]]) -> None:
        path = self._found.folder / link
        try:
            stat = path.stat()
        except OSError as error:
            self._leave(link, f"a broken link ({error.strerror or error})")
            return
        identity = (stat.st_dev, stat.st_ino)
        if path.is_file():
            self._names.append(link)
            self._inodes.append(stat.st_ino)
        elif not path.is_dir():
            self._leave(link, f"a link to {kind_in_words(stat.st_mode)}, neither a file nor a folder")
        elif identity in self._met:
            first = shown(self._met[identity] or ".")
            self._leave(link, f"a link to {first}, which has been read already", elsewhere=True)
        elif identity in above:
            self._leave(link, "a link to a folder that contains this one")
        else:
            self._read_below(link)

    def _met_twice(self) -> frozenset[str]:
        """Names of files that were found before under another name."""
        inodes = np.frombuffer(self._inodes, dtype=np.uint64) if self._inodes else np.empty(0, np.uint64)
        kinds, kind, counts = np.unique(inodes, return_inverse=True, return_counts=True)
        first: dict[tuple[int, int], str] = {}
        twice = set()
        # equal inode numbers prove nothing, as some file systems give all files the same; such files are checked again
        for position in np.flatnonzero(counts[kind] > 1).tolist() if len(kinds) else []:
            name = self._names[position]
            identity = _identity(self._found.folder / name)
            if first.setdefault(identity, name) != name and identity[1]:
                self._leave(name, f"the same file as {shown(first[identity])}", elsewhere=True)
                twice.add(name)
        return frozenset(twice)


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _name(entry: os.DirEntry[str]) -> str:
    return entry.name


def _order(name: str) -> tuple[tuple[bool, str], ...]:
    *folders, file = name.split("/")
    return (*((True, folder) for folder in folders), (False, file))
