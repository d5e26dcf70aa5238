"""One picture of a data set: where it is and what is known about it."""

from __future__ import annotations

from dataclasses import dataclass

CLASS_NAMES = ("real", "fake")
REAL, FAKE = 0, 1
UNLABELLED = -1


@dataclass(frozen=True, slots=True)
class Record:
    """One picture.

    Attributes:
        path: Relative to the data folder, with forward slashes.
        label: 0 real, 1 fake, -1 unknown (prediction).
        split: `train`, `val`, `test` or `predict`.
        video_id: `dataset/class/video`; pictures that share it are frames of one video.
        group_id: What must not be split up: source video or identity.
        dataset: Name of the data set.
    """

    path: str
    label: int
    split: str
    video_id: str
    group_id: str
    dataset: str
