"""Data sets that are a handful of folders, each with the videos of one class and method: listed in one way.

A part is such a folder. Its videos lie in `videos/` or in itself; pictures that were taken from them lie in
`faces/`, `images/` or `frames/` beside them or in itself, one folder a video, with points of DeepfakeBench's
preprocessing in `landmarks/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from addnet.data.layouts.files import (
    NO_FACES,
    folders_in,
    frame_number,
    pictures_in,
    points_in,
    require_folder,
    videos_in,
)
from addnet.data.layouts.listing import Listing, Missing
from addnet.errors import require_choice
from addnet.index.records import CLASS_NAMES, Record, Records
from addnet.wording import count

SOURCES = ("auto", "videos", "pictures")
PICTURE_FOLDERS = ("faces", "images", "frames")
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Part:
    """One folder with videos or pictures of one class and method.

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
class Place:
    """Where a video belongs.

    Attributes:
        split: `train`, `val` or `test`.
        group_id: What must not be split up.
        identity: Who is to be seen or was put in, separated by blanks.
    """

    split: str
    group_id: str
    identity: str = ""


Placing = Callable[[Part, str], "Place | str"]
UNLISTED = "named by no official list"


@dataclass(frozen=True, slots=True)
class _Scan:
    """One part, with the place of each of its videos looked up."""

    root: Path
    part: Part
    dataset: str
    place: Placing
    left_out: dict[str, list[str]] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        return self.root / self.part.path

    def picture_folder(self) -> Path | None:
        """Where pictures lie, one folder a video; None if there are none."""
        places = (*(self.folder / name for name in PICTURE_FOLDERS), self.folder)
        return next((place for place in places if any(_with_pictures(place))), None)

    def video_folder(self) -> Path | None:
        """Where videos lie; None if there are none."""
        return next((place for place in (self.folder / "videos", self.folder) if videos_in(place)), None)

    def videos(self, folder: Path) -> Iterator[Record]:
        below = folder.relative_to(self.root).as_posix()
        for name in videos_in(folder):
            video = name.rpartition(".")[0]
            if place := self._placed(video):
                yield self._record(f"{below}/{name}", video, place)

    def pictures(self, folder: Path) -> Iterator[Record]:
        below = folder.relative_to(self.root).as_posix()
        for video, names in _with_pictures(folder):
            if not (place := self._placed(video)):
                continue
            points = points_in(self.folder / "landmarks" / video)
            for name in names:
                stem = name.rpartition(".")[0]
                found = f"{self.part.path}/landmarks/{video}/{stem}.npy" if stem in points else ""
                path = f"{below}/{video}/{name}"
                yield self._record(path, video, place, frame=frame_number(stem), landmarks=found)

    def notes(self) -> Iterator[str]:
        for reason, names in self.left_out.items():
            yield f"{self.part.path}: left out {count(len(names), 'video')} {reason}: {shown(names)}"

    def videos_without(self, pictures: Path) -> Iterator[str]:
        """Says which videos nobody took pictures from."""
        extracted = set(folders_in(pictures))
        names = [name.rpartition(".")[0] for name in videos_in(self.video_folder() or pictures)]
        if bare := [name for name in names if name not in extracted]:
            having = count(len(bare), "video has", "videos have")
            yield f"{self.part.path}: {having} no folder with pictures: {shown(bare)}"

    def _placed(self, video: str) -> Place | None:
        place = self.place(self.part, video)
        if isinstance(place, Place):
            return place
        self.left_out.setdefault(place, []).append(video)
        return None

    def _record(self, path: str, video: str, place: Place, *, frame: int = -1, landmarks: str = "") -> Record:
        return Record(
            path,
            self.part.label,
            place.split,
            f"{self.dataset}/{self.part.key or self.part.method}/{video}",
            place.group_id,
            self.dataset,
            self.part.method,
            place.identity,
            frame,
            landmarks=landmarks,
        )


def list_parts(root: Path, parts: Sequence[Part], place: Placing, *, dataset: str, source: str) -> Listing:
    """Lists the videos or pictures of several folders.

    Args:
        root: The data folder.
        parts: Which folders.
        place: Tells where a video (named without its suffix) belongs, or why it is left out.
        dataset: Name of the data set.
        source: `videos`, `pictures`, or `auto`: of each part its pictures if there are any, else its videos.

    Raises:
        UserError: The data folder is not there, or an unknown `source`.
    """
    require_choice("data.options.source", source, SOURCES)
    require_folder(root)
    scans = [_Scan(root, part, dataset, place) for part in parts]
    pictured = [(scan, folder) for scan in scans if source != "videos" and (folder := scan.picture_folder())]
    rest = [scan for scan in scans if scan not in [scan for scan, _ in pictured]]
    filmed = [(scan, folder) for scan in rest if source != "pictures" and (folder := scan.video_folder())]
    pictures = Records.of(record for scan, folder in pictured for record in scan.pictures(folder))
    videos = Records.of(record for scan, folder in filmed for record in scan.videos(folder))
    present = [scan for scan, _ in (*pictured, *filmed)]
    missing = _missing([scan.part for scan in scans if scan not in present], present, source)
    notes = [note for scan in present for note in scan.notes()]
    notes += [note for scan, folder in pictured for note in scan.videos_without(folder)]
    return Listing(pictures, videos, missing, notes)


def shown(names: Sequence[str]) -> str:
    """The first few of many names, for a message."""
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _with_pictures(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The folders that hold pictures, each with the names of its pictures."""
    for name in folders_in(folder):
        if name not in NO_FACES and (pictures := pictures_in(folder / name)):
            yield name, pictures


def _missing(absent: Sequence[Part], present: Sequence[_Scan], source: str) -> list[Missing]:
    kind = "videos or pictures" if source == "auto" else source
    classes = {scan.part.label for scan in present}
    return [
        Missing(part.path, f"{CLASS_NAMES[part.label]} {kind} ({part.method})", needed=part.label not in classes)
        for part in absent
    ]
