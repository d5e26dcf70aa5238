"""Data sets that are a handful of folders, each with the videos of one class and method, split by official lists.

A part is such a folder. Its videos are in `videos/` or in the folder itself; images that were extracted from them are
in `faces/`, `images/` or `frames/` or in the folder itself, one folder per video, with landmarks of DeepfakeBench's
preprocessing in `landmarks/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from addnet.data.layouts.frames import IMAGE_FOLDERS, SOURCES, VideoCollection, clip_paths, collect
from addnet.data.layouts.listing import Listing
from addnet.data.layouts.lists import ListFindings, few
from addnet.data.layouts.tree import Tree, join, stem
from addnet.errors import require_choice
from addnet.index.records import CLASS_NAMES, Record, Records
from addnet.wording import count

UNLISTED = "that no official list names"


@dataclass(frozen=True, slots=True)
class Part:
    """One folder with videos or images of one class and method.

    Attributes:
        path: Relative to the data folder.
        label: 0 real, 1 fake.
        method: How the videos were made, or where real ones come from.
        key: What stands between data set and video in video ids; default: the method.
    """

    path: str
    label: int
    method: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class VideoPlace:
    """Where a video belongs.

    Attributes:
        split: `train`, `val` or `test`.
        group_id: What must not be split up.
        identity: Ids of the persons shown or inserted, separated by blanks.
    """

    split: str
    group_id: str
    identity: str = ""


Placing = Callable[[Part, str], "VideoPlace | str"]
_LEFT_OUT = ""  # the split of videos that have no place


def list_parts(tree: Tree, parts: Sequence[Part], place: Placing, *, dataset: str, source: str) -> Listing:
    """Lists the videos or images of several folders.

    Args:
        tree: The data folder.
        parts: Which folders.
        place: Returns where a video (named without its suffix) belongs, or why it is left out.
        dataset: Name of the data set.
        source: `videos`, `images`, or `auto`: of each part its images if there are any, else its videos.

    Raises:
        UserError: An unknown `source`, or a folder can't be read.
    """
    require_choice("data.options.source", source, SOURCES)
    findings, collected = ListFindings(), []
    found = {part: _found(tree, part, place, dataset, source, findings) for part in parts}
    classes = {part.label for part, some in found.items() if some}
    for part, some in found.items():
        if some:
            collected.append(some)
        else:
            kind = "videos or images" if source == "auto" else source
            what = f"{CLASS_NAMES[part.label]} {kind} ({part.method})"
            findings.lacks(part.path, what, needed=part.label not in classes)
    for part, some in found.items():
        if some and some.bare:
            bare = count(len(some.bare), "video has", "videos have")
            findings.notes.append(f"{part.path}: {bare} no folder with images: {few(list(map(stem, some.bare)))}")
    return findings.listing(replace(some, bare=[], absent=[]) for some in collected)


def _found(
    tree: Tree, part: Part, place: Placing, dataset: str, source: str, findings: ListFindings
) -> VideoCollection | None:
    """The videos of a part that exist and have a place; None if none exist. Those without a place are noted."""
    reasons: dict[str, str] = {}
    paths = {stem(path): path for path in clip_paths(tree, part.path)}

    def clips() -> Iterator[Record]:
        for video, path in paths.items():
            where = place(part, video)
            if not isinstance(where, VideoPlace):
                reasons[video] = where
                where = VideoPlace(_LEFT_OUT, "")
            yield Record(
                path=path,
                label=part.label,
                split=where.split,
                video_id=f"{dataset}/{part.key or part.method}/{video}",
                group_id=where.group_id,
                dataset=dataset,
                method=part.method,
                identity=where.identity,
            )

    some = collect(tree, clips(), source=source, places=lambda _: _image_place(tree, part))
    if not len(some.images) + len(some.videos):
        return None
    for reason, videos in _left_out(some, reasons).items():
        findings.notes.append(f"{part.path}: left out {count(len(videos), 'video')} {reason}: {few(videos)}")
    return replace(some, images=_placed(some.images), videos=_placed(some.videos))


def _left_out(found: VideoCollection, reasons: Mapping[str, str]) -> dict[str, list[str]]:
    """Reason → names of the videos that exist but have no place."""
    names = {name for part in (found.images, found.videos) for name in _placed(part, False).names("video_id")}
    by_reason: dict[str, list[str]] = {}
    for video in sorted(name.rpartition("/")[2] for name in names):
        by_reason.setdefault(reasons[video], []).append(video)
    return by_reason


def _placed(records: Records, placed: bool = True) -> Records:
    """The records that have a place, or those that have none."""
    left_out = np.asarray(pc.equal(records.table["split"], _LEFT_OUT).to_numpy(), dtype=bool)
    return records.take(~left_out if placed else left_out)


def _image_place(tree: Tree, part: Part) -> list[str]:
    """The one folder that holds images of a part's videos: kinds of images aren't mixed."""
    places = (*(join(part.path, name) for name in IMAGE_FOLDERS), part.path)
    return next(([place] for place in places if tree.holds_images(place)), [])
