"""A video → its faces as the network sees them, one after the other, in memory that doesn't grow with its length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from addnet.errors import UserError
from addnet.faces.decoding import length
from addnet.faces.extraction import extract_faces
from addnet.inference.preprocessing import Preprocessing, Seen
from addnet.pool import streamed


@dataclass(frozen=True)
class VideoSettings:
    """Which frames of a video are looked at, and whose faces.

    Attributes:
        every: Every n-th frame; None to look at `frames` frames instead.
        frames: How many, evenly spaced over the whole video; not used with `every`.
        policy: `largest` face of each frame, faces of the `longest_track`, or `all`.
    """

    every: int | None = None
    frames: int | None = 32
    policy: str = "largest"


class FrameFace(NamedTuple):
    """A face of a frame.

    Attributes:
        frame: Number of the frame, from 0.
        time: When it is shown, in seconds; None if the file doesn't say.
        track: Number of the person, in order of appearance; 0 for all, if the policy looks for one person.
        seen: The face as the network sees it.
    """

    frame: int
    time: float | None
    track: int
    seen: Seen


class FrameFaces(Protocol):
    """The faces of a video, and after the last what is known about it."""

    def __iter__(self) -> Iterator[FrameFace]:
        """Each face, in the order of frames."""

    def about(self) -> dict[str, Any]:
        """The keys `frames`, `frames_without_face` and `notes` of an `Answer`."""


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
        self._one = settings.policy != "all"
        crops = preprocessing.crops(every=settings.every, frames=settings.frames, policy=settings.policy)
        self._faces = extract_faces(path, crops, preprocessing.scenes)

    def __iter__(self) -> Iterator[FrameFace]:
        for crop in self._faces:
            seen = self._preprocessing.whole(crop.picture, crop.face)
            seen = replace(seen, face=replace(crop.face, points=None, box=crop.original_box))
            yield FrameFace(crop.frame, crop.time, 0 if self._one else crop.track, seen)

    def about(self) -> dict[str, Any]:
        """What is known about the video, once all faces were taken."""
        summary = self._faces.summary
        if summary is None:
            return {}
        counts = {"frames": summary.sampled, "frames_without_face": summary.without_face}
        return counts | {"notes": summary.notes}


class FacesOfVideoApart:
    """The same as `FacesOfVideo`, found in a process of its own, which a broken file may take down.

    Args:
        path: The file.
        preprocessing: How faces are cut out and seen.
        settings: Which frames, whose faces.
        max_seconds: A longer video is refused before a frame of it is decoded; None: of any length.

    Raises:
        UserError: While iterating: a setting is out of range, or the file can't be read, is too long or kills the
            process.
    """

    def __init__(
        self,
        path: str | Path,
        preprocessing: Preprocessing,
        settings: VideoSettings,
        *,
        max_seconds: float | None = None,
    ) -> None:
        self._what = path, preprocessing, settings, max_seconds
        self._about: dict[str, Any] = {}

    def __iter__(self) -> Iterator[FrameFace]:
        for item in streamed(_faces_and_about, *self._what):
            if isinstance(item, FrameFace):
                yield item
            else:
                self._about = item

    def about(self) -> dict[str, Any]:
        """What is known about the video, once all faces were taken."""
        return self._about


def _faces_and_about(
    path: str | Path, preprocessing: Preprocessing, settings: VideoSettings, max_seconds: float | None
) -> Iterator[FrameFace | dict[str, Any]]:
    if max_seconds is not None and (seconds := length(Path(path))) > max_seconds:
        raise UserError(f"video of {seconds:.0f} seconds; at most {max_seconds:g} are taken")
    faces = FacesOfVideo(path, preprocessing, settings)
    yield from faces
    yield faces.about()
