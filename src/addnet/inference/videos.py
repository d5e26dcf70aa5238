"""A video → its faces as the network sees them, one at a time; memory doesn't grow with the video's length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Protocol

from addnet.faces.extraction import extract_faces
from addnet.inference.preprocessing import FaceView, Preprocessing


@dataclass(frozen=True)
class VideoSettings:
    """Selects the frames of a video that are examined, and the people whose faces are scored.

    Attributes:
        every: Examine every n-th frame; None to examine `frames` frames instead.
        frames: Number of frames, evenly spaced over the whole video; not used with `every`.
        policy: `longest_track` follows the person who is visible longest; `all` scores each person, and the one with
            the largest mean score decides; `largest` scores the largest face of each frame, whoever it is.
    """

    every: int | None = None
    frames: int | None = 32
    policy: str = "longest_track"


class FrameFace(NamedTuple):
    """A face of a frame.

    Attributes:
        frame: Number of the frame, from 0.
        time: When it is shown, in seconds; None if the file doesn't say.
        track: Number of the track; a person may have several, see `AboutVideo.people`.
        seen: The face as the network sees it.
    """

    frame: int
    time: float | None
    track: int
    seen: FaceView


@dataclass(frozen=True)
class AboutVideo:
    """What is known about a video once all its faces have been consumed.

    Attributes:
        looked_at: Numbers of the frames that were examined.
        without_face: How many of them have no face.
        people: Track → number of the person, whether or not the policy selects that person.
        notes: Problems of the file.
    """

    looked_at: tuple[int, ...] = ()
    without_face: int = 0
    people: Mapping[int, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


class FrameFaces(Protocol):
    """The faces of a video; once all have been consumed, also what is known about the video."""

    def __iter__(self) -> Iterator[FrameFace]:
        """Each face, in the order of frames."""

    def about(self) -> AboutVideo:
        """Returns what is known about the video once all faces have been consumed."""


class FacesOfVideo:
    """Finds the faces of a video while it is iterated over.

    Args:
        path: The file.
        preprocessing: How faces are cut out and prepared.
        settings: Which frames and whose faces.
        threads: Threads of the decoder.

    Raises:
        UserError: A setting is out of range; while iterating: the file can't be read.
    """

    def __init__(
        self, path: str | Path, preprocessing: Preprocessing, settings: VideoSettings, *, threads: int = 1
    ) -> None:
        self._preprocessing = preprocessing
        crops = preprocessing.crops(every=settings.every, frames=settings.frames, policy=settings.policy)
        self._faces = extract_faces(path, crops, preprocessing.scenes, preprocessing.descriptor, threads=threads)

    def __iter__(self) -> Iterator[FrameFace]:
        for crop in self._faces:
            seen = self._preprocessing.whole(crop.image, crop.face)
            seen = replace(seen, face=replace(crop.face, landmarks=None, box=crop.original_box))
            yield FrameFace(crop.frame, crop.time, crop.track, seen)

    def about(self) -> AboutVideo:
        """Returns what is known about the video once all faces have been consumed."""
        faces, summary = self._faces, self._faces.summary
        if summary is None:
            return AboutVideo()
        return AboutVideo(tuple(faces.looked_at), summary.without_face, faces.people, summary.notes)


class FacesFrom:
    """Faces of a video that were found elsewhere, for example in another process; used like `FacesOfVideo`.

    Args:
        items: From `faces_and_about`.
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
        """Returns what is known about the video once all faces have been consumed."""
        return self._about


def faces_and_about(
    path: str | Path, preprocessing: Preprocessing, settings: VideoSettings, *, threads: int = 1
) -> Iterator[FrameFace | AboutVideo]:
    """Yields the faces of a video, and at the end what is known about it, to be sent between processes.

    Raises:
        UserError: A setting is out of range, or the file can't be read.
    """
    faces = FacesOfVideo(path, preprocessing, settings, threads=threads)
    yield from faces
    yield faces.about()
