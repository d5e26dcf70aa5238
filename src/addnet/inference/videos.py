"""A video → its faces as the network sees them, one after the other, in memory that doesn't grow with its length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from addnet.faces.extraction import extract_faces
from addnet.inference.preprocessing import FaceView, Preprocessing


@dataclass(frozen=True)
class VideoSettings:
    """Which frames of a video are looked at, and whose faces.

    Attributes:
        every: Every n-th frame; None to look at `frames` frames instead.
        frames: How many, evenly spaced over the whole video; not used with `every`.
        policy: `longest_track` follows the person who is there longest; `all` scores each, and the most suspicious
            decides; `largest` takes the largest face of each frame, whosever it is.
    """

    every: int | None = None
    frames: int | None = 32
    policy: str = "longest_track"


class FrameFace(NamedTuple):
    """A face of a frame.

    Attributes:
        frame: Number of the frame, from 0.
        time: When it is shown, in seconds; None if the file doesn't say.
        track: Of the person, who may have several: see `AboutVideo.people`.
        seen: The face as the network sees it.
    """

    frame: int
    time: float | None
    track: int
    seen: FaceView


@dataclass(frozen=True)
class AboutVideo:
    """What is known about a video once all its faces were taken.

    Attributes:
        looked_at: Numbers of the frames that were looked at.
        without_face: In how many of them no face was found.
        people: The person that each track is of, whether the policy takes that person's faces or not.
        notes: What is wrong with the file.
    """

    looked_at: tuple[int, ...] = ()
    without_face: int = 0
    people: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class FrameFaces(Protocol):
    """The faces of a video, and after the last what is known about it."""

    def __iter__(self) -> Iterator[FrameFace]:
        """Each face, in the order of frames."""

    def about(self) -> AboutVideo:
        """What is known about the video, once all faces were taken."""


class FacesOfVideo:
    """Finds the faces of a video while it is iterated over.

    Args:
        path: The file.
        preprocessing: How faces are cut out and seen.
        settings: Which frames, whose faces.

    Raises:
        UserError: A setting is out of range; while iterating: the file can't be read.
    """

    def __init__(self, path: str | Path, preprocessing: Preprocessing, settings: VideoSettings) -> None:
        self._preprocessing = preprocessing
        crops = preprocessing.crops(every=settings.every, frames=settings.frames, policy=settings.policy)
        self._faces = extract_faces(path, crops, preprocessing.scenes, preprocessing.descriptor)

    def __iter__(self) -> Iterator[FrameFace]:
        for crop in self._faces:
            seen = self._preprocessing.whole(crop.image, crop.face)
            seen = replace(seen, face=replace(crop.face, landmarks=None, box=crop.original_box))
            yield FrameFace(crop.frame, crop.time, crop.track, seen)

    def about(self) -> AboutVideo:
        """What is known about the video, once all faces were taken."""
        faces, summary = self._faces, self._faces.summary
        if summary is None:
            return AboutVideo()
        return AboutVideo(tuple(faces.looked_at), summary.without_face, faces.people, summary.notes)


class FacesFrom:
    """The same as `FacesOfVideo`, found elsewhere, such as in another process.

    Args:
        items: Of `faces_and_about`.
    """

    def __init__(self, items: Iterable[FrameFace | AboutVideo]) -> None:
        self._items = items
        self._about = AboutVideo()

    def __iter__(self) -> Iterator[FrameFace]:
        for item in self._items:
            if isinstance(item, FrameFace):
                yield item
            else:
                self._about = item

    def about(self) -> AboutVideo:
        """What is known about the video, once all faces were taken."""
        return self._about


def faces_and_about(
    path: str | Path, preprocessing: Preprocessing, settings: VideoSettings
) -> Iterator[FrameFace | AboutVideo]:
    """The faces of a video, and at the end what is known about it: what travels between processes.

    Raises:
        UserError: As `FacesOfVideo`.
    """
    faces = FacesOfVideo(path, preprocessing, settings)
    yield from faces
    yield faces.about()
