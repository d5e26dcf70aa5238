"""What a detector says about an image or a video, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from addnet.untrusted.texts import in_data
from addnet.wording import count

if TYPE_CHECKING:  # processes that find faces need none of it
    from addnet.evaluation import Decision

NO_FACE, UNUSABLE, UNDECIDED = "no face", "unusable", "undecided"
UNLIKE = "unlike its training images"
FACE_IN = 0.1  # of the frames that were looked at, for a verdict on a video


@dataclass(frozen=True)
class FaceAnswer:
    """One face of an image, or of a frame.

    Attributes:
        verdict: Name of the class, or `undecided`.
        score: The network's probability of fake, which the threshold is for.
        probability: The same, as validation calibrated it, and no more extreme than validation can support.
        step: How the face was found; `none` where an image without a face was scored on demand.
        box: (left, top, right, bottom) in pixels of the image or frame; None without a face.
        frame: Number of the frame, from 0; None in an image.
        time: When the frame is shown, in seconds; None in an image, or where the file doesn't say.
        track: Number of the person in a video, from 0 in order of appearance; None in an image.
        reason: Why it is undecided; empty if it isn't.
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
    """What is said about one file or image.

    Attributes:
        verdict: Name of the class, `undecided`, `no face` or `unusable`.
        score: The network's probability of fake: of the face with the largest, in an image; of the person with the
            largest mean over the frames, in a video. None without a verdict.
        probability: The same, as validation calibrated it, and no more extreme than validation can support.
        threshold: Above which a score is called fake.
        path: The file; empty for an image that was handed over.
        kind: `image` or `video`; `file` for what is neither.
        faces: Each face that has a score.
        reason: Why it isn't called real or fake; empty if it is.
        people: Faces found in an image, or people in the frames of a video: more than have a score where one counts.
        track: Of the person whose score decides about a video; None in an image, and without a score.
        frames: Frames of a video that were looked at.
        frames_without_face: Those of them in which no face was found.
        looked_at: Numbers of those frames.
        notes: What is wrong with a video, such as `truncated after frame 57: …`.
        log10_lr: The likelihood ratio of the score, for fake against real; None where none was asked for.
        evidence: The same in words, with its bounds; empty without.
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
        """The faces of the person whose score decides; all of an image."""
        return tuple(face for face in self.faces if face.track == self.track)

    @property
    def worst(self) -> FaceAnswer | None:
        """The face that speaks most for fake, of those that decide."""
        return max(self.deciding, key=lambda face: face.score, default=None)

    @property
    def by_whom(self) -> str:
        """Who decides, in brackets; empty where there is but one, and in an image."""
        return f" (track {self.track})" if self.people > 1 and self.track is not None else ""

    @property
    def others(self) -> int:
        """How many people, or faces of an image, have no score because another one counts."""
        return self.people - (len(self.faces) if self.track is None else len(by_track(self.faces)))

    def as_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        told = {"path": in_data(self.path), "reason": in_data(self.reason), "notes": tuple(map(in_data, self.notes))}
        return asdict(self) | told


def by_track(faces: Sequence[FaceAnswer]) -> Mapping[int, list[FaceAnswer]]:
    """Faces of a video by the person's number, in the order of frames."""
    tracks: dict[int, list[FaceAnswer]] = {}
    for face in faces:
        tracks.setdefault(face.track or 0, []).append(face)
    return tracks


def between(decision: Decision) -> str:
    """Why a score isn't called real or fake where the thresholds leave room between them."""
    return (
        f"the score lies between {decision.real_up_to:.4f} and {decision.threshold:.4f}, where validation saw too many "
        "of both"
    )


def too_few(seen: int, looked_at: int) -> str:
    """Why a video isn't called real or fake where a face is in few of its frames; empty where it is in enough.

    Example:
        >>> too_few(2, 32), too_few(4, 32)
        ('a face in 2 of 32 frames that were looked at; a verdict needs one in a tenth of them', '')
    """
    if seen >= FACE_IN * looked_at:
        return ""
    return f"a face in {seen} of {looked_at} frames that were looked at; a verdict needs one in a tenth of them"


def unlike_in_frames(faces: Sequence[FaceAnswer]) -> str:
    """Why a video isn't called real or fake where most of its frames are unlike those of training; else empty.

    Args:
        faces: Of the person who decides.
    """
    outside = [face for face in faces if face.reason.startswith(UNLIKE)]
    if 2 * len(outside) <= len(faces):
        return ""
    middle = outside[len(outside) // 2]
    where = f"in {len(outside)} of {count(len(faces), 'frame')} with a face, such as frame {middle.frame}"
    return middle.reason.replace(UNLIKE, f"{UNLIKE} {where}", 1)


def unusable(path: str, reason: str, *, threshold: float, kind: str = "image") -> Answer:
    """What is said about a file that can't be read."""
    return Answer(UNUSABLE, None, None, threshold, path, kind, reason=reason)


def not_finite(broken: int, total: int) -> str:
    """Why there is no verdict where the network's answer isn't a number.

    Example:
        >>> not_finite(2, 3)
        "the network's score of 2 of 3 faces isn't a finite number: its weights are damaged or its numbers overflow"
    """
    which = f"{broken} of {total} faces" if total > 1 else "this face"
    return f"the network's score of {which} isn't a finite number: its weights are damaged or its numbers overflow"
