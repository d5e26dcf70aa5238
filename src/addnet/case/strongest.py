"""The faces with the highest scores, kept as the network sees them, so that their scores can be explained."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from addnet.inference.answers import Answer
from addnet.inference.detector import Detector, VideoAnswer
from addnet.inference.preprocessing import FaceView
from addnet.inference.videos import AboutVideo, FrameFace, FrameFaces

MOST = 3  # faces per file


class StrongFace(NamedTuple):
    """A face with a high score.

    Attributes:
        score: The network's probability of fake.
        seen: The face as the network sees it.
        frame: Number of the frame; None in an image.
        time: When it is shown, in seconds; None in an image, or where the file doesn't say.
    """

    score: float
    seen: FaceView
    frame: int | None = None
    time: float | None = None


def strongest_of_image(answer: Answer, seen: Sequence[FaceView]) -> list[StrongFace]:
    """Returns the faces of an image with the highest scores, the highest first."""
    faces = (StrongFace(scored.score, face) for scored, face in zip(answer.faces, seen, strict=True))
    return sorted(faces, key=attrgetter("score"), reverse=True)[:MOST]


class StrongestFaces:
    """Scores videos, and keeps the faces with the highest scores of the person who decides about the last one.

    Only a few faces of each track are kept, however long the video is.

    Args:
        detector: The detector.

    Attributes:
        faces: Faces of the last video, the highest score first; empty without a face.
    """

    def __init__(self, detector: Detector) -> None:
        self.detector = detector
        self.faces: list[StrongFace] = []
        self._waiting: dict[int, FrameFace] = {}
        self._kept: dict[int, list[StrongFace]] = {}

    def watch(self, frames: FrameFaces, *, path: str) -> VideoAnswer:
        """Runs `Detector.watch`, and keeps the faces with the highest scores.

        Raises:
            UserError: The file can't be read.
        """
        self.faces, self._waiting, self._kept = [], {}, {}
        watched = self.detector.watch(_FaceRecorder(frames, self._waiting), path=path, by=self._scores)
        people, person = frames.about().people, watched.answer.track
        own = (face for track, kept in self._kept.items() if people.get(track) == person for face in kept)
        self.faces = sorted(own, key=attrgetter("score"), reverse=True)[:MOST]
        return watched

    def _scores(self, seen: Sequence[FaceView]) -> NDArray[np.float64]:
        scores = self.detector.scores_at_once(seen)
        for face, score in zip(seen, scores.tolist(), strict=True):
            crop = self._waiting.pop(id(face))
            if np.isfinite(score):
                kept = [*self._kept.get(crop.track, []), StrongFace(score, face, crop.frame, crop.time)]
                self._kept[crop.track] = sorted(kept, key=attrgetter("score"), reverse=True)[:MOST]
        return scores


class _FaceRecorder(FrameFaces):
    """Faces of a video, each of which is stored until it has a score."""

    def __init__(self, frames: FrameFaces, waiting: dict[int, FrameFace]) -> None:
        self._frames, self._waiting = frames, waiting

    def __iter__(self) -> Iterator[FrameFace]:
        for crop in self._frames:
            self._waiting[id(crop.seen)] = crop  # the reference keeps the id unique
            yield crop

    def about(self) -> AboutVideo:
        return self._frames.about()
