"""Paths from another machine → local files: the frames that a description names, and their landmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from addnet.data.layouts.bench_json import BenchVideo
from addnet.data.layouts.listing import MissingPart
from addnet.data.layouts.tree import Tree, stem
from addnet.wording import count


class PathFolders:
    """Finds folders below the data folder by the last parts of the paths that a description names.

    Args:
        tree: The data folder.
    """

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found: dict[str, str | None] = {}  # folder as written → folder below the root
        self._cuts: list[int] = []  # how many leading parts had to be dropped so far, tried first
        self._absent: Counter[str] = Counter()  # folder → number of its frames that are missing
        self._content: dict[str, frozenset[str]] = {}
        self._landmarks: dict[str, frozenset[str]] = {}

    def key(self, video: BenchVideo) -> str:
        """A key that is the same in every description: the video's folder, without `frames`, and its name."""
        written = video.frames[0].rpartition("/")[0] if video.frames else video.dataset
        parts = [part for part in PurePosixPath(self._here(written) or written).parts if part != "frames"]
        return "/".join(parts if parts and parts[-1] == video.name else [*parts, video.name])

    def frames(self, video: BenchVideo) -> Iterator[tuple[str, str]]:
        """The frames that exist, each with its landmarks file (empty if there is none), relative to the root."""
        landmarks = video.landmarks or ("",) * len(video.frames)
        for frame, named in zip(video.frames, landmarks, strict=False):
            written, _, name = frame.rpartition("/")
            folder = self._here(written)
            if folder is None or name not in self._names(folder):
                self._absent[folder or written] += 1
                continue
            yield f"{folder}/{name}", self._landmarks_of(folder, name, named)

    def missing(self) -> list[MissingPart]:
        """The frames that descriptions name but that are missing, as one entry."""
        if not self._absent:
            return []
        first = next(iter(self._absent))
        where = count(len(self._absent), "folder")
        what = f"frames that descriptions name: {self._absent.total():,} in {where} like this one"
        return [MissingPart(first, what)]

    def _here(self, written: str) -> str | None:
        if written not in self._found:
            self._found[written] = self._search(written)
        return self._found[written]

    def _search(self, written: str) -> str | None:
        parts = [part for part in PurePosixPath(written).parts if part not in ("/", "..")]
        for cut in (*self._cuts, *range(len(parts))):
            rest = "/".join(parts[cut:])
            if rest and self._tree.has_folder(rest):
                if cut not in self._cuts:
                    self._cuts.append(cut)
                return rest
        return None

    def _names(self, folder: str) -> frozenset[str]:
        if folder not in self._content:
            self._content = {folder: frozenset(name for _, name in self._tree.images(folder))}  # one at a time
        return self._content[folder]

    def _landmarks_of(self, folder: str, name: str, named: str) -> str:
        place, _, file = named.rpartition("/")
        home = self._here(place) if named else _landmarks_folder(folder)
        if home is None:
            return ""
        if home not in self._landmarks:
            self._landmarks = {home: self._tree.landmarks(home)}
        wanted = file.removesuffix(".npy") if named else stem(name)
        return f"{home}/{wanted}.npy" if wanted in self._landmarks[home] else ""


def _landmarks_folder(folder: str) -> str | None:
    """The folder of landmarks that belongs to a folder of frames; None if no part of its path is `frames`."""
    parts = folder.split("/")
    if "frames" not in parts:
        return None
    position = len(parts) - 1 - parts[::-1].index("frames")
    return "/".join([*parts[:position], "landmarks", *parts[position + 1 :]])
