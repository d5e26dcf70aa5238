"""Descriptions of DeepfakeBench put a video in several splits; this decides on one, and on what it was made of."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from addnet.data.layouts.bench_json import SPLITS, BenchVideo
from addnet.data.layouts.bench_paths import Folders
from addnet.data.layouts.names import celeb_group, celeb_origin, pair_group, pair_of, scene_group, scene_of
from addnet.data.layouts.parts import Place, shown

_FROM_FACEFORENSICS = {"FaceForensics++", "DF40_train", "ff"}


class Plan:
    """One split for each video, found before any record is made.

    Args:
        folders: Tells which entries are the same video.
    """

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._splits: dict[str, str] = {}
        self._pairs: dict[str, str] = {}
        self._from_faceforensics: set[str] = set()
        self._tested: set[str] = set()
        self._taken: set[str] = set()
        self._several: set[str] = set()
        self._related: list[str] = []

    def add(self, videos: Iterable[BenchVideo]) -> None:
        """Notes the split of each video; of several, the last of train, val, test."""
        for video in videos:
            key = self._folders.key(video)
            before = self._splits.setdefault(key, video.split)
            if before != video.split:
                self._several.add(key)
                self._splits[key] = max(before, video.split, key=SPLITS.index)
            ids = pair_of(video.name)
            if ids and video.frames and not _FROM_FACEFORENSICS.isdisjoint(PurePosixPath(video.frames[0]).parts):
                self._from_faceforensics.add(key)
                if len(ids) > 1:
                    self._pairs |= dict.fromkeys(ids, pair_group(*ids))

    def settle(self) -> None:
        """Notes which groups are tested, once all videos are known."""
        self._tested = {self._group(key) for key, split in self._splits.items() if split == "test"}

    def take(self, video: BenchVideo) -> Place | None:
        """Where a video belongs; None if it was taken before, or is related to a tested one."""
        key = self._folders.key(video)
        if key in self._taken:
            return None
        self._taken.add(key)
        split, group = self._splits[key], self._group(key)
        if split != "test" and group in self._tested:
            self._related.append(video.name)
            return None
        return Place(split, group, self._identity(key))

    def notes(self) -> list[str]:
        """What was done about videos in several splits."""
        notes = []
        if self._several:
            notes.append(f"{len(self._several)} videos are in several splits; test comes before val, val before train")
        if self._related:
            what = f"{len(self._related)} videos of train or val whose source video is tested"
            notes.append(f"left out {what}: {shown(self._related)}")
        return notes

    def _group(self, key: str) -> str:
        name = PurePosixPath(key).name
        if key in self._from_faceforensics:
            return self._pairs.get(name[:3], key)
        if scene := scene_of(name):
            return scene_group(scene.source)
        if celeb_origin(name) or "YouTube-real" in key.split("/"):
            return celeb_group(name)
        return key

    def _identity(self, key: str) -> str:
        name = PurePosixPath(key).name
        if key in self._from_faceforensics:
            return " ".join(pair_of(name) or ())
        origin = celeb_origin(name) or scene_of(name)
        return " ".join(origin.identities) if origin else ""
