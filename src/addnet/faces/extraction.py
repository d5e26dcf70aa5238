"""A video file → face crops: sampling, detection, tracking, cropping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from addnet.errors import UserError
from addnet.faces.crops import CropSettings, FaceCrop, crop_name, cut_face, save_crop
from addnet.faces.decoding import length, size_of
from addnet.faces.descriptors import FaceDescriptor
from addnet.faces.images import ImageArray
from addnet.faces.landmarks import Face, Landmarker
from addnet.faces.people import people_of
from addnet.faces.tracks import Box, Tracker, is_cut, largest, longest_track
from addnet.faces.videos import Frame, NotIntactError, Video
from addnet.untrusted.limits import Limits, prolong

__all__ = ["CropSettings", "FaceCrop", "VideoFaces", "VideoSummary", "crop_name", "extract_faces", "save_crop"]

_KEPT = 64 << 20  # bytes of crops held until the longest track is known; beyond, frames are decoded a second time
_LOOK = CropSettings(size=150)  # pixels of the crop that a descriptor is computed from


@dataclass(frozen=True)
class VideoSummary:
    """The faces found in a video, as counts.

    Attributes:
        sampled: Frames that were sampled.
        faces: Faces found in them.
        crops: Faces that the policy kept.
        without_face: Frames in which no face was found.
        tracks: Tracks that the faces belong to.
        steps: Faces by the step of the landmarker that found them.
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
    """The faces of one frame and their tracks, without the image."""

    number: int
    faces: list[Face]
    tracks: list[int]

    def boxes(self) -> list[Box]:
        return [face.box for face in self.faces if face.box is not None]


class VideoFaces(Iterator[FaceCrop]):
    """The crops of one video, made lazily.

    Memory doesn't grow with the length of the video: `largest` and `all` crop each frame as it is read.
    `longest_track` is known only at the end, so boxes and landmarks are kept, and all crops as long as they fit within
    64 MB; beyond that, the frames of the longest track are decoded a second time.

    Attributes:
        summary: Counts over the video; None until the last crop has been taken.
        people: The person that each track belongs to, available with the summary. Without a descriptor, each track is
            a person of its own.
        looked_at: Numbers of the frames sampled so far.
    """

    def __init__(
        self,
        path: str | Path,
        settings: CropSettings,
        landmarker: Landmarker,
        descriptor: FaceDescriptor | None = None,
        *,
        threads: int = 1,
    ) -> None:
        self.summary: VideoSummary | None = None
        self.people: dict[int, int] = {}
        self._path = Path(path)
        self._video = Video(self._path, threads)
        self._threads = threads
        self._settings = settings
        self._landmarker = landmarker
        self._descriptor = descriptor
        self._notes: tuple[str, ...] = ()
        self._forget()
        self._crops = self._run()

    def _forget(self) -> None:
        """Nothing was seen so far."""
        self.looked_at: list[int] = []
        self._looks: dict[int, FaceCrop] = {}  # track → its largest face
        self._tracks: list[list[int]] = []  # track numbers of each sampled frame
        self._steps: Counter[str] = Counter()
        self._without_face = 0

    def __next__(self) -> FaceCrop:
        """Returns the next crop, in the order of frames and, within a frame, of size."""
        return next(self._crops)

    def _run(self) -> Iterator[FaceCrop]:
        prolong(self._time)
        crops = 0
        for crop in self._longest() if self._settings.policy == "longest_track" else self._at_once():
            crops += 1
            yield crop
        self._tell_people()
        self.summary = VideoSummary(
            sampled=len(self.looked_at),
            faces=self._steps.total(),
            crops=crops,
            without_face=self._without_face,
            tracks=len(self.people),
            steps=dict(self._steps),
            notes=(*self._video.notes, *self._notes),
        )

    def _time(self, limits: Limits) -> float:
        """Seconds that this video may take beyond the limit of any file."""
        every, frames = self._settings.every, self._settings.frames
        return limits.more_for_video(lasts=length(self._path), size=size_of(self._path), every=every, frames=frames)

    def _at_once(self) -> Iterator[FaceCrop]:
        for frame, sighting in self._sightings(self._frames()):
            kept = range(len(sighting.faces))
            if self._settings.policy == "largest" and sighting.faces:
                index = largest(sighting.boxes())
                kept = range(index, index + 1)
            for index in kept:
                yield cut_face(frame, sighting.faces[index], sighting.tracks[index], settings=self._settings)

    def _frames(self) -> Iterator[Frame]:
        every = self._settings.every
        return self._video.frames(every=every, count=self._settings.frames if every is None else None)

    def _seen_and_crops(self) -> tuple[list[_Sighting], list[FaceCrop] | None]:
        """What is in all sampled frames, and the crops of it."""
        if self._settings.every is None and self._settings.frames:
            try:
                return self._seen_in(self._video.frames_of_intact(self._settings.frames))
            except NotIntactError:
                self._forget()
        return self._seen_in(self._frames())

    def _seen_in(self, frames: Iterator[Frame]) -> tuple[list[_Sighting], list[FaceCrop] | None]:
        """What is in some frames, and the crops of it; None if they take too much memory."""
        seen: list[_Sighting] = []
        crops: list[FaceCrop] = []
        few = True
        for frame, sighting in self._sightings(frames):
            seen.append(sighting)
            if few:
                pairs = zip(sighting.faces, sighting.tracks, strict=True)
                crops += [cut_face(frame, face, track, settings=self._settings) for face, track in pairs]
                few = sum(crop.image.nbytes for crop in crops) <= _KEPT
                crops = crops if few else []
        return seen, crops if few else None

    def _longest(self) -> Iterator[FaceCrop]:
        seen, crops = self._seen_and_crops()
        self._tell_people()
        people = [[self.people[track] for track in sighting.tracks] for sighting in seen]
        person = longest_track([sighting.boxes() for sighting in seen], people)
        if crops is not None:
            yield from (crop for crop in crops if self.people[crop.track] == person)
            return
        wanted = {
            sighting.number: (sighting.faces[numbers.index(person)], sighting.tracks[numbers.index(person)])
            for sighting, numbers in zip(seen, people, strict=True)
            if person is not None and person in numbers
        }
        for frame in self._video.frames_at(wanted):
            yield cut_face(frame, *wanted[frame.number], settings=self._settings)

    def _tell_people(self) -> None:
        """Determines which tracks belong to one person, once all faces have been seen."""
        looks = {}
        if self._descriptor and len(self._looks) > 1:
            try:
                looks = {track: self._descriptor(crop.image, crop.face) for track, crop in self._looks.items()}
            except UserError as error:
                self._notes = (f"people are distinguished by position alone: {error}",)
        self._looks.clear()
        self.people = self.people or people_of(self._tracks, looks)

    def _sightings(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, _Sighting]]:
        tracker = Tracker()
        before: ImageArray | None = None
        for frame, faces in self._searched(frames):
            sighting = _Sighting(frame.number, faces, [])
            cut = before is not None and is_cut(before, frame.image)
            sighting.tracks.extend(tracker.update(sighting.boxes(), cut=cut))
            before = frame.image
            self.looked_at.append(frame.number)
            self._without_face += not sighting.faces
            self._steps.update(face.step for face in sighting.faces)
            self._tracks.append(sighting.tracks)
            if self._descriptor:
                self._remember(frame, sighting)
            yield frame, sighting

    def _searched(self, frames: Iterator[Frame]) -> Iterator[tuple[Frame, list[Face]]]:
        """Frames and their faces, found while the next frame is decoded if there is a core for that."""
        if self._threads == 1:
            yield from ((frame, self._landmarker.all_faces(frame.image)) for frame in frames)
            return
        with ThreadPoolExecutor(1) as pool:  # a single thread: dlib's detector can't be shared
            before: tuple[Frame, Future[list[Face]]] | None = None
            for frame in frames:
                found = pool.submit(self._landmarker.all_faces, frame.image)
                if before:
                    yield before[0], before[1].result()
                before = frame, found
            if before:
                yield before[0], before[1].result()

    def _remember(self, frame: Frame, sighting: _Sighting) -> None:
        """Keeps the largest face of each track."""
        for face, track in zip(sighting.faces, sighting.tracks, strict=True):
            known = self._looks.get(track)
            if face.box is not None and (known is None or largest([known.original_box, face.box])):
                self._looks[track] = cut_face(frame, face, track, settings=_LOOK)


def extract_faces(
    path: str | Path,
    settings: CropSettings,
    landmarker: Landmarker,
    descriptor: FaceDescriptor | None = None,
    *,
    threads: int = 1,
) -> VideoFaces:
    """Finds, tracks and crops the faces of a video.

    Args:
        path: A video file.
        settings: Which frames are sampled, which faces are kept and how large the crops are.
        landmarker: Use `face_crops=False` for videos of scenes, so that no whole frame is taken for a face.
        descriptor: Recognises a person after a cut or a gap; None: people are distinguished by position alone.
        threads: Threads of the decoder, see `Video`; with more than one, faces are found meanwhile.

    Returns:
        An iterator over crops; its `summary` is available once it is exhausted.

    Raises:
        UserError: While iterating, if the file is unusable for one of the reasons that `decoding.decoded` lists.
    """
    return VideoFaces(path, settings, landmarker, descriptor, threads=threads)
