"""The scores of a detector on a data set: one row per image, or one per video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError, require_choice
from addnet.evaluation.calibration import checked
from addnet.finite import require_finite

AGGREGATIONS = ("mean", "max", "confidence")
SCALES = ("probability", "logit", "any")  # scales of scores in files; a `ScoredSet` holds probabilities or any numbers


@dataclass(frozen=True)
class ScoredSet:
    """The scores of one data set, checked on creation.

    Args:
        name: Name of the data set, as reports show it.
        probabilities: (N,) probability of fake in [0, 1], or other scores as `scale` says.
        labels: (N,) 0 real, 1 fake; the same for all rows of a video.
        videos: (N,) number of the video of each row; every number from 0 to V - 1 occurs.
        paths: N names of images.
        video_ids: V names of videos.
        groups: Kind of sub-group ("method", "size", …) → its name for each of the N rows.
        faces: (N,) whether a face was found; None if every row has one, or if it isn't known.
        sources: (V,) name or number of the source of each video (its group), the same for a real one and its fakes.
            None if not known.
        scale: `probability`, or `any` for finite numbers that are higher for fakes and of which only the order counts.

    Raises:
        UserError: Lengths differ, values are out of range or not finite (then paths are named), a video is both real
            and fake, or the numbers of videos have gaps.
    """

    name: str
    probabilities: NDArray[np.float64]
    labels: NDArray[np.int64]
    videos: NDArray[np.int64]
    paths: Sequence[str]
    video_ids: Sequence[str]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    faces: NDArray[np.bool_] | None = None
    sources: Sequence[str] | NDArray[np.int64] | None = None
    scale: str = "probability"

    def __post_init__(self) -> None:
        if len(self.paths) == len(self.probabilities):
            require_finite(self.probabilities, self.paths, of=self.name)
        scores, labels = checked(self.probabilities, self.labels, any_number=not self.is_probability)
        videos = np.asarray(self.videos, dtype=np.int64)
        for name, value in (("probabilities", scores), ("labels", labels), ("videos", videos)):
            object.__setattr__(self, name, value)
        lengths = {"videos": len(videos), "paths": len(self.paths)} | {k: len(v) for k, v in self.groups.items()}
        if self.faces is not None:
            object.__setattr__(self, "faces", np.asarray(self.faces, dtype=bool))
            lengths["faces"] = len(self.faces)
        for what, length in lengths.items():
            if length != len(scores):
                raise UserError(f"{self.name}: {length} {what} for {len(scores)} scores; give one per row")
        if not np.array_equal(np.unique(videos), np.arange(len(self.video_ids))):
            raise UserError(
                f"{self.name}: videos are numbered {np.unique(videos)[:5].tolist()} …, but have "
                f"{len(self.video_ids)} names; number them from 0 without gaps (numpy.unique, return_inverse)"
            )
        if self.sources is not None and len(self.sources) != len(self.video_ids):
            raise UserError(
                f"{self.name}: {len(self.sources)} sources for {len(self.video_ids)} videos; give one per video"
            )
        self._check_classes()

    def _check_classes(self) -> None:
        fakes = np.bincount(self.videos, weights=self.labels, minlength=len(self.video_ids))
        rows = np.bincount(self.videos, minlength=len(self.video_ids))
        both = np.flatnonzero((fakes > 0) & (fakes < rows))
        if len(both):
            raise UserError(
                f"{self.name}: video {self.video_ids[both[0]]!r} has real and fake images; "
                "give real and fake images different video ids"
            )

    def __len__(self) -> int:
        return len(self.probabilities)

    @property
    def is_probability(self) -> bool:
        """Whether scores are probabilities of fake."""
        return self.scale == "probability"

    @property
    def video_labels(self) -> NDArray[np.int64]:
        """(V,) label of each video: 0 real, 1 fake."""
        labels = np.zeros(len(self.video_ids), dtype=np.int64)
        labels[self.videos] = self.labels
        return labels

    @property
    def counted(self) -> NDArray[np.float64]:
        """(N,) 1 if a row counts in the score of its video: rows with a face, or all rows of a video without any."""
        if self.faces is None:
            return np.ones(len(self))
        with_face = np.bincount(self.videos, weights=self.faces, minlength=len(self.video_ids))
        return np.where(with_face[self.videos] > 0, self.faces, 1.0)


def by_video(scored: ScoredSet, how: str = "mean") -> ScoredSet:
    """Aggregates scores by video: row v is video v, so `scored.videos` gives the row of each image.

    Args:
        scored: Scores with one row per image.
        how: `mean` of the probabilities; `max`, the highest; or `confidence`, the mean weighted by |2 p - 1|, so that
            undecided images count little (the plain mean if all are at 0.5). Only rows with a face count, unless a
            video has none.

    Returns:
        Scores with video ids as paths, and with the groups that don't differ within a video.

    Raises:
        UserError: `how` is unknown, or it is `confidence` and the scores aren't probabilities.

    Example:
        >>> frames = ScoredSet("a", np.array([0.5, 0.9, 0.2]), np.array([1, 1, 0]), np.array([0, 0, 1]),
        ...     ["f1", "f2", "g1"], ["f", "g"])
        >>> [by_video(frames, how).probabilities.tolist() for how in AGGREGATIONS]
        [[0.7, 0.2], [0.9, 0.2], [0.9, 0.2]]
    """
    require_choice("aggregation", how, AGGREGATIONS)
    count = len(scored.video_ids)
    counted = scored.counted
    if how == "confidence" and not scored.is_probability:
        raise UserError(
            f"{scored.name}: aggregation by confidence needs probabilities, but its scores aren't; use mean or max"
        )
    if how == "max":
        probabilities = np.full(count, -np.inf)
        rows = np.flatnonzero(counted > 0)
        np.maximum.at(probabilities, scored.videos[rows], scored.probabilities[rows])
    else:
        probabilities = _weighted_mean(scored, counted)
        if how == "confidence":
            weights = counted * np.abs(2 * scored.probabilities - 1)
            decided = np.bincount(scored.videos, weights=weights, minlength=count) > 0
            probabilities = np.where(decided, _weighted_mean(scored, weights), probabilities)
    videos, ids = np.arange(count, dtype=np.int64), list(scored.video_ids)
    if scored.is_probability:  # a mean of numbers in [0, 1] may lie outside by a rounding error
        probabilities = np.clip(probabilities, 0, 1)
    own = (scored.video_labels, videos, ids, ids, _groups(scored))
    return ScoredSet(scored.name, probabilities, *own, sources=scored.sources, scale=scored.scale)


def _weighted_mean(scored: ScoredSet, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    count = len(scored.video_ids)
    total = np.bincount(scored.videos, weights=weights * scored.probabilities, minlength=count)
    weight = np.bincount(scored.videos, weights=weights, minlength=count)
    return np.divide(total, weight, out=np.zeros(count), where=weight > 0)


def _groups(scored: ScoredSet) -> dict[str, list[str]]:
    kept = {}
    for kind, names in scored.groups.items():
        by_row: list[str] = [""] * len(scored.video_ids)
        for video, name in zip(scored.videos.tolist(), names, strict=True):
            by_row[video] = name
        if all(by_row[video] == name for video, name in zip(scored.videos.tolist(), names, strict=True)):
            kept[kind] = by_row
    return kept


def grouped_alike(scored: Mapping[str, Mapping[str, ScoredSet]]) -> dict[str, dict[str, ScoredSet]]:
    """Scores of detectors with the sub-groups of the first one, if they are of the same images.

    Detectors that see different parts of an image measure a different brightness in it, but the metrics of a sub-group
    should be of the same images for all detectors.

    Args:
        scored: Name of the detector → data set → scores.
    """
    first = next(iter(scored.values()), {})
    return {
        name: {
            which: replace(rows, groups=first[which].groups)
            if which in first and list(rows.paths) == list(first[which].paths)
            else rows
            for which, rows in sets.items()
        }
        for name, sets in scored.items()
    }
