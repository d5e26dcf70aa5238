"""A video file → face crops: sampling, detection, tracks, cutting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from addnet.faces.crops import CropSettings, FaceCrop, crop_name, cut_face, save_crop
from addnet.faces.landmarks import Face, LandmarkDetector
from addnet.faces.pictures import Picture
from addnet.faces.tracks import Box, Tracker, is_cut, largest, longest_track
from addnet.faces.videos import Frame, Video

__all__ = ["CropSettings", "FaceCrop", "VideoFaces", "VideoSummary", "crop_name", "extract_faces", "save_crop"]


@dataclass(frozen=True)
class VideoSummary:
    """What a video gave.

    Attributes:
        sampled: Frames that were looked at.
        faces: Faces found in them.
        crops: Faces that the policy kept.
        without_face: Frames in which no face was found.
        tracks: Tracks that the faces belong to.
        steps: Faces by the step of the detector that found them.
        notes: What is wrong with the file, such as `truncated after frame 57: …`.
    """

    sampled: int
    faces: int
    crops: int
    without_face: int
    tracks: int
    steps: dict[str, int]
    notes: tuple[str, ...]


class _Sighting(NamedTuple):
    """The faces of one frame and their tracks, without the picture."""

    number: int
    faces: list[Face]
    tracks: list[int]

    def boxes(self) -> list[Box]:
        return [face.box for face in self.faces if face.box is not None]


class VideoFaces(Iterator[FaceCrop]):
    """The crops of one video, made while they are asked for.

    Memory doesn't grow with the video: `largest` and `all` cut each frame as it is read. `longest_track` is known only
    at the end, so boxes and points are kept and the frames of that track are decoded once more.

    Attributes:
        summary: What the video gave; None until the last crop was taken.
    """

    def __init__(self, path: str | Path, settings: CropSettings, detector: LandmarkDetector) -> None:
        self.summary: VideoSummary | None = None
        self._video = Video(Path(path))
        self._settings = settings
        self._detector = detector
        self._steps: Counter[str] = Counter()
        self._tracks: set[int] = set()
        self._sampled = self._without_face = 0
        self._crops = self._run()

    def __next__(self) -> FaceCrop:
        """The next crop, in the order of frames and, within a frame, of size."""
        return next(self._crops)

    def _run(self) -> Iterator[FaceCrop]:
        crops = 0
        for crop in self._longest() if self._settings.policy == "longest_track" else self._at_once():
            crops += 1
            yield crop
        self.summary = VideoSummary(
            sampled=self._sampled,
            faces=self._steps.total(),
            crops=crops,
            without_face=self._without_face,
            tracks=len(self._tracks),
            steps=dict(self._steps),
            notes=self._video.notes,
        )

    def _at_once(self) -> Iterator[FaceCrop]:
        for frame, sighting in self._sightings():
            kept = range(len(sighting.faces))
            if self._settings.policy == "largest" and sighting.faces:
                index = largest(sighting.boxes())
                kept = range(index, index + 1)
            for index in kept:
                yield cut_face(frame, sighting.faces[index], sighting.tracks[index], settings=self._settings)

    def _longest(self) -> Iterator[FaceCrop]:
        seen = [sighting for _, sighting in self._sightings()]
        track = longest_track([sighting.boxes() for sighting in seen], [sighting.tracks for sighting in seen])
        wanted = {
            sighting.number: sighting.faces[sighting.tracks.index(track)]
            for sighting in seen
            if track is not None and track in sighting.tracks
        }
        for frame in self._video.frames_at(wanted):
            yield cut_face(frame, wanted[frame.number], track or 0, settings=self._settings)

    def _sightings(self) -> Iterator[tuple[Frame, _Sighting]]:
        tracker = Tracker()
        before: Picture | None = None
        every = self._settings.every
        for frame in self._video.frames(every=every, count=self._settings.frames if every is None else None):
            sighting = _Sighting(frame.number, self._detector.all_faces(frame.picture), [])
            cut = before is not None and is_cut(before, frame.picture)
            sighting.tracks.extend(tracker.update(sighting.boxes(), cut=cut))
            before = frame.picture
            self._sampled += 1
            self._without_face += not sighting.faces
            self._steps.update(face.step for face in sighting.faces)
            self._tracks.update(sighting.tracks)
            yield frame, sighting


def extract_faces(path: str | Path, settings: CropSettings, detector: LandmarkDetector) -> VideoFaces:
    """Finds, follows and cuts the faces of a video.

    Args:
        path: A video file.
        settings: Which frames, whose faces, how large.
        detector: With `face_crops=False` for videos of scenes, so that no frame as a whole is taken for a face.

    Returns:
        An iterator over crops; its `summary` is there when it is exhausted.

    Raises:
        UserError: While iterating: the file is unusable, for the reasons that `decoding.decoded` has.
    """
    return VideoFaces(path, settings, detector)
