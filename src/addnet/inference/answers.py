"""A detector's answer about an image or a video, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from addnet.untrusted.texts import in_data
from addnet.wording import count

if TYPE_CHECKING:  # the processes that find faces don't need this import
    from addnet.evaluation import Decision

NO_FACE, UNUSABLE, UNDECIDED = "no face", "unusable", "undecided"
UNLIKE = "unlike its training images"
FACE_IN = 0.1  # smallest share of the examined frames with a face for a verdict on a video


@dataclass(frozen=True)
class FaceAnswer:
    """One face of an image, or of a frame.

    Attributes:
        verdict: Name of the class, or `undecided`.
        score: The network's probability of fake, which is compared with the threshold.
        probability: The probability of fake calibrated on validation, no more extreme than validation can support.
        step: How the face was found; `none` where an image without a face was scored on request.
        box: (left, top, right, bottom) in pixels of the image or frame; None without a face.
        frame: Number of the frame, from 0; None in an image.
        time: When the frame is shown, in seconds; None in an image, or where the file doesn't say.
        track: Number of the person in a video, from 0 in order of appearance; None in an image.
        reason: Why the verdict is undecided; empty otherwise.
    """

    verdict: str
    score: float
    probability: float
    step: str
    box: tuple[float, float, float, float] | None = None
    frame: int | None = None
    time: float | None = None
    track: int | None = None
    reason: str = ""


@dataclass(frozen=True)
class Answer:
    """The answer about one file or image.

    Attributes:
        verdict: Name of the class, `undecided`, `no face` or `unusable`.
        score: The network's probability of fake. In an image: the largest score of its faces. In a video: the largest
            mean score of a person over the frames. None without a verdict.
        probability: The probability of fake calibrated on validation, no more extreme than validation can support.
        threshold: A score above it is called fake.
        path: The file; empty for an image that was passed as an array.
        kind: `image`, `video`, or `file` for anything else.
        faces: Each face that has a score.
        reason: Why it isn't called real or fake; empty if it is.
        people: Number of faces found in an image, or of people in the frames of a video. Larger than the number of
            those with a score where only one is scored.
        track: Number of the person whose score decides about a video; None in an image, and without a score.
        frames: Number of frames of a video that were examined.
        frames_without_face: Number of those frames in which no face was found.
        looked_at: Numbers of those frames.
        notes: Problems of a video file, such as `truncated after frame 57: …`.
        log10_lr: log10 of the likelihood ratio of the score, fake against real; None where it wasn't computed.
        evidence: The likelihood ratio in words, with its bounds; empty where it wasn't computed.
    """

    verdict: str
    score: float | None
    probability: float | None
    threshold: float
    path: str = ""
    kind: str = "image"
    faces: tuple[FaceAnswer, ...] = ()
    reason: str = ""
    people: int = 0
    track: int | None = None
    frames: int = 0
    frames_without_face: int = 0
    looked_at: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    log10_lr: float | None = None
    evidence: str = ""

    @property
    def deciding(self) -> tuple[FaceAnswer, ...]:
        """The faces of the person whose score decides; all faces of an image."""
        return tuple(face for face in self.faces if face.track == self.track)

    @property
    def worst(self) -> FaceAnswer | None:
        """The face with the largest score among those that decide; None without one."""
        return max(self.deciding, key=lambda face: face.score, default=None)

    @property
    def by_whom(self) -> str:
        """The track that decides, in brackets; empty where there is only one person, and in an image."""
        return f" (track {self.track})" if self.people > 1 and self.track is not None else ""

    @property
    def others(self) -> int:
        """Number of people, or of faces in an image, that were not scored because only one is."""
        return self.people - (len(self.faces) if self.track is None else len(by_track(self.faces)))

    def as_dict(self) -> dict[str, Any]:
        """Returns the answer as plain values, for JSON."""
        texts = {"path": in_data(self.path), "reason": in_data(self.reason), "notes": tuple(map(in_data, self.notes))}
        return asdict(self) | texts


def by_track(faces: Sequence[FaceAnswer]) -> Mapping[int, list[FaceAnswer]]:
    """Groups the faces of a video by the person's number, in the order of frames."""
    tracks: dict[int, list[FaceAnswer]] = {}
    for face in faces:
        tracks.setdefault(face.track or 0, []).append(face)
    return tracks


def between(decision: Decision) -> str:
    """Says why a score between the two thresholds isn't called real or fake."""
    return (
        f"the score lies between {decision.real_up_to:.4f} and {decision.threshold:.4f}, where validation had too many "
        "real and too many fake ones"
    )


def too_few(seen: int, looked_at: int) -> str:
    """Says why a video with a face in too few of its frames isn't called real or fake; empty if there are enough.

    Example:
        >>> too_few(2, 32), too_few(4, 32)
        ('a face in 2 of 32 frames examined; a verdict needs one in at least a tenth of them', '')
    """
    if seen >= FACE_IN * looked_at:
        return ""
    return f"a face in {seen} of {looked_at} frames examined; a verdict needs one in at least a tenth of them"


def unlike_in_frames(faces: Sequence[FaceAnswer]) -> str:
    """Says why a video isn't called real or fake if most of its frames are unlike those of training; else empty.

    Args:
        faces: The faces of the person who decides.
    """
    outside = [face for face in faces if face.reason.startswith(UNLIKE)]
    if 2 * len(outside) <= len(faces):
        return ""
    middle = outside[len(outside) // 2]
    where = f"in {len(outside)} of {count(len(faces), 'frame')} with a face, such as frame {middle.frame}"
    return middle.reason.replace(UNLIKE, f"{UNLIKE} {where}", 1)


def unusable(path: str, reason: str, *, threshold: float, kind: str = "image") -> Answer:
    """Returns the answer about a file that can't be read."""
    return Answer(UNUSABLE, None, None, threshold, path, kind, reason=reason)


def not_finite(broken: int, total: int) -> str:
    """Says why there is no verdict where scores of the network aren't finite.

    Example:
        >>> not_finite(2, 3)
        "the network's score of 2 of 3 faces isn't a finite number: its weights are damaged or its values overflow"
    """
    which = f"{broken} of {total} faces" if total > 1 else "this face"
    return f"the network's score of {which} isn't a finite number: its weights are damaged or its values overflow"
