"""Videos and the folders of images extracted from them, as data sets keep them side by side.

A video `real/0001.mp4` may exist as a file, as a folder of images with its name, or as both. Folders are looked for
next to the video (`real/0001/`), in a folder of frames next to it (`real/frames/0001/`, which is where DeepfakeBench
puts them) and in a mirror of the whole tree (`frames/real/0001/`). Landmarks that DeepfakeBench found are in
`landmarks/` instead of `frames/`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from addnet.data.layouts.tree import NO_FACES, Tree, join, stem
from addnet.errors import require_choice
from addnet.index.records import Record, Records

IMAGE_FOLDERS = ("faces", "images", "frames")
SOURCES = ("auto", "videos", "images")
Places = Callable[[str], Iterable[str]]
_LANDMARKS = "landmarks"
NO_VIDEOS = {*IMAGE_FOLDERS, *NO_FACES, "videos"}


@dataclass(frozen=True)
class VideoCollection:
    """Those of the videos named by a data set that exist.

    Attributes:
        images: Frames of the videos that exist as images.
        videos: Files of videos; none if there are images.
        bare: Paths of videos that are left out because they exist only as files while others exist as images.
        absent: Paths of videos that don't exist at all.
    """

    images: Records
    videos: Records
    bare: list[str]
    absent: list[str]

    def elsewhere(self, root: Path) -> VideoCollection:
        """A copy whose paths are relative to `root` instead of the data folder."""
        return replace(self, images=self.images.replaced(root=str(root)), videos=self.videos.replaced(root=str(root)))


def collect(
    tree: Tree, clips: Iterable[Record], *, source: str = "auto", places: Places | None = None
) -> VideoCollection:
    """Looks for videos as images and as files.

    Args:
        tree: The data folder.
        clips: The videos that the data set names, with the paths that their files have or would have.
        source: `images` or `videos` lists only these; `auto` lists images if there are any, else files.
        places: Folder of a video → folders that may hold a folder with its images, best first; None:
            `image_places`.

    Raises:
        UserError: `source` is unknown, or a folder can't be read.
    """
    require_choice("data.options.source", source, SOURCES)
    named = Records.of(clips)
    taken = np.zeros(len(named), dtype=bool)
    images = Records.of(() if source == "videos" else _images(tree, named, places or image_places, taken))
    rest = named.take(~taken)
    paths = rest.paths.to_pylist()
    exists = np.array([tree.has_file(path) for path in paths], dtype=bool)
    files, absent = rest.take(exists), rest.take(~exists).paths.to_pylist()
    if len(images) or source == "images":
        return VideoCollection(images, Records.of([]), files.paths.to_pylist(), absent)
    return VideoCollection(images, files, [], absent)


def clip_paths(tree: Tree, folder: str) -> list[str]:
    """Paths of the videos in a folder, sorted by name, including those that exist only as images."""
    found: dict[str, str] = {}
    for place in (folder, join(folder, "videos")):
        for name in tree.videos(place):
            found.setdefault(stem(name), join(place, name))
    stems = set(tree.folders(folder) - NO_VIDEOS)
    for name in IMAGE_FOLDERS:
        stems |= tree.folders(join(folder, name)) | tree.folders(join(name, folder))
    for name in stems:
        found.setdefault(name, join(folder, f"{name}.mp4"))
    return [found[name] for name in sorted(found)]


def clip_paths_below(tree: Tree, folder: str, is_clip: Callable[[str], object]) -> list[str]:
    """Paths of the videos in a folder and at any depth below it, folder after folder.

    Args:
        tree: The data folder.
        folder: Where to begin.
        is_clip: Whether a folder's name is that of a video whose images it holds; other folders are searched.
    """
    found: dict[str, None] = {}
    waiting, visited = [folder], set()
    while waiting:
        place = waiting.pop()
        real = os.path.realpath(tree.root / place)
        if real in visited:  # reached a second time, by a link that may lead back
            continue
        visited.add(real)
        found |= dict.fromkeys(p for p in clip_paths(tree, place) if tree.has_file(p) or is_clip(stem(p)))
        inner = tree.folders(place) - (NO_VIDEOS - {"videos"})
        waiting += [join(place, name) for name in sorted(inner, reverse=True) if not is_clip(name)]
    return list(found)


def image_places(folder: str) -> Iterator[str]:
    """Folders that may hold the images of a folder's videos, one folder per video; best first."""
    if folder == "videos" or folder.endswith("/videos"):
        folder = folder.removesuffix("videos").removesuffix("/")
    yield folder
    for images in IMAGE_FOLDERS:
        yield join(folder, images)
        yield join(images, folder)


def _images(tree: Tree, clips: Records, places: Places, taken: NDArray[np.bool_]) -> Iterator[Record]:
    """Frames of the videos in turn; marks in `taken` the videos that have any."""
    folders = {path.rpartition("/")[0] for path in clips.paths.to_pylist()}
    known = {folder: [place for place in places(folder) if tree.folders(place)] for folder in folders}
    if not any(known.values()):
        return
    for position, clip in enumerate(clips):
        folder, name = clip.path.rpartition("/")[0], stem(clip.path)
        for place in known[folder]:
            if name in tree.folders(place):
                for frame in _frames(tree, join(place, name), clip):
                    taken[position] = True
                    yield frame
            if taken[position]:
                break


def _frames(tree: Tree, folder: str, clip: Record) -> Iterator[Record]:
    landmarks_folder, stems = _landmarks(tree, folder)
    for number, name in tree.images(folder):
        given = f"{landmarks_folder}/{stem(name)}.npy" if stem(name) in stems else ""
        yield Record(
            path=f"{folder}/{name}",
            label=clip.label,
            split=clip.split,
            video_id=clip.video_id,
            group_id=clip.group_id,
            dataset=clip.dataset,
            method=clip.method,
            identity=clip.identity,
            frame=number,
            landmarks=given,
        )


def _landmarks(tree: Tree, folder: str) -> tuple[str, frozenset[str]]:
    """Where DeepfakeBench keeps the landmarks of a folder of frames, and the stems of the files there."""
    parts = folder.split("/")
    for position, part in enumerate(parts[:-1]):
        if part in IMAGE_FOLDERS:
            place = "/".join([*parts[:position], _LANDMARKS, *parts[position + 1 :]])
            if tree.has_folder(place):
                return place, tree.landmarks(place)
    place = join(*parts[:-1], _LANDMARKS, parts[-1])  # if the folders of images are next to the videos
    return (place, tree.landmarks(place)) if tree.has_folder(place) else ("", frozenset())
