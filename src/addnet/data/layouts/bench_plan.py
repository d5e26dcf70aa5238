"""DeepfakeBench's descriptions may put a video in several splits; the plan chooses one, and finds its sources."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from addnet.data.layouts.bench_json import SPLITS, BenchVideo
from addnet.data.layouts.bench_paths import PathFolders
from addnet.data.layouts.lists import few
from addnet.data.layouts.names import FACEFORENSICS, celeb_origin, group_of, pair_of, scene_of, target_of, united
from addnet.data.layouts.parts import VideoPlace
from addnet.wording import count


class Plan:
    """Assigns each video to one split before any record is made.

    Args:
        folders: Determines which entries are the same video.
    """

    def __init__(self, folders: PathFolders) -> None:
        self._folders = folders
        self._splits: dict[str, str] = {}
        self._groups: dict[str, str] = {}
        self._tested: set[str] = set()
        self._taken: set[str] = set()
        self._several: set[str] = set()
        self._related: list[str] = []

    def add(self, videos: Iterable[BenchVideo]) -> None:
        """Notes the split of each video; test takes precedence over val, and val over train."""
        for video in videos:
            key = self._folders.key(video)
            before = self._splits.setdefault(key, video.split)
            if before != video.split:
                self._several.add(key)
                self._splits[key] = max(before, video.split, key=SPLITS.index)
            written = PurePosixPath(video.frames[0] if video.frames else key).parts
            self._groups.setdefault(key, group_of(written, video.name) or key)

    def settle(self) -> None:
        """Unites groups that share sources and notes which are tested; to be called once all videos are added."""
        names = united(self._groups.values())
        self._groups = {key: names[group] for key, group in self._groups.items()}
        self._tested = {self._groups[key] for key, split in self._splits.items() if split == "test"}

    def take(self, video: BenchVideo) -> VideoPlace | None:
        """Where a video belongs; None if it was taken before, or shares a source with a tested video."""
        key = self._folders.key(video)
        if key in self._taken:
            return None
        self._taken.add(key)
        split, group = self._splits[key], self._groups[key]
        if split != "test" and group in self._tested:
            self._related.append(video.name)
            return None
        return VideoPlace(split, group, self._identity(key))

    def notes(self) -> list[str]:
        """What was done about videos in several splits."""
        notes = []
        if self._several:
            several = count(len(self._several), "video is", "videos are")
            notes.append(f"{several} in several splits; test takes precedence over val, and val over train")
        if self._related:
            what = f"{count(len(self._related), 'video')} of train or val whose source video is tested"
            notes.append(f"left out {what}: {few(self._related)}")
        return notes

    def _identity(self, key: str) -> str:
        name = PurePosixPath(key).name
        if self._groups[key].startswith(f"{FACEFORENSICS}/"):
            return " ".join(pair_of(name) or target_of(name) or ())
        origin = celeb_origin(name) or scene_of(name)
        return " ".join(origin.identities) if origin else ""
