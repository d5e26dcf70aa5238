"""How far figures would move with other videos: intervals, and paired differences, from one set of resamples.

Frames of one video are alike, so videos are drawn, not frames (a cluster bootstrap); and they are drawn within each
class, so that every resample has as many real and fake videos as the data set.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.evaluation.scored import ScoredSet

CONFIDENCE = 0.95
_FEWEST = 2  # videos of a class that is there: one alone never changes

FiguresOf = Callable[[NDArray[np.number]], dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class Resampled:
    """A figure, and what it is in each resample.

    Attributes:
        value: With every row counted once.
        draws: (R,) float64; nan where the figure means nothing, or where there were too few videos to draw from.
        ends: Of its interval, where a formula covers better than percentiles; None: the percentiles.
    """

    value: float
    draws: NDArray[np.float64]
    ends: tuple[float, float] | None = None

    def interval(self) -> dict[str, float | None]:
        """The value with `ends`, or the middle 95 % of the resamples (percentiles); None where there is no number."""
        if self.ends is not None:
            return {"value": _number(self.value), "low": self.ends[0], "high": self.ends[1]}
        drawn = self.draws[np.isfinite(self.draws)]
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(drawn, (tail, 1 - tail)).tolist() if len(drawn) else (None, None)
        return {"value": _number(self.value), "low": low, "high": high}

    def minus(self, other: Resampled) -> Resampled:
        """The difference, resample by resample: it needs the same draws on the same rows."""
        return Resampled(self.value - other.value, self.draws - other.draws)

    def difference(self) -> dict[str, float | None]:
        """For a difference: its interval and `p`, how often resamples fall on the other side of 0.

        `p` is twice the share of resamples that are 0 or of the other sign, at least 2 / (R + 1) since no number of
        resamples shows that it is 0: a bootstrap p-value, two-sided.
        """
        drawn = self.draws[np.isfinite(self.draws)]
        p = None
        if len(drawn) and np.isfinite(self.value):
            other = int((drawn * np.sign(self.value) <= 0).sum())
            p = min(1.0, 2 * (other + 1) / (len(drawn) + 1))
        return {**self.interval(), "p": p}


def video_draws(video_labels: NDArray[np.int64], resamples: int, *, seed: int, name: str = "") -> NDArray[np.uint16]:
    """How often each video is drawn in each resample: with replacement, within its class.

    Args:
        video_labels: (V,) 0 real, 1 fake.
        resamples: R, at least 1.
        seed: The same seed, name and labels give the same draws.
        name: Of the data set, so that two of them are drawn independently.

    Returns:
        (R, V) counts.

    Raises:
        UserError: Less than one resample.
    """
    if resamples < 1:
        raise UserError(f"resamples={resamples}: expected at least 1; intervals are steady from about 1000")
    random = np.random.default_rng([seed, zlib.crc32(name.encode())])
    counts = np.zeros((resamples, len(video_labels)), dtype=np.uint16)
    for label in (0, 1):
        videos = np.flatnonzero(video_labels == label)
        for line in counts if len(videos) else ():
            drawn = random.integers(0, len(videos), len(videos))
            line[videos] = np.bincount(drawn, minlength=len(videos))
    return counts


def resampled(
    figures_of: FiguresOf, draws: NDArray[np.uint16], video_labels: NDArray[np.int64]
) -> dict[str, Resampled]:
    """Figures with their resamples.

    Args:
        figures_of: Weights of the videos (R, V) → name → (R,), such as `weighted_figures` with `columns`.
        draws: (R, V) of `video_draws`.
        video_labels: (V,) of the videos that have rows; -1 for those that have none here. A class with a single video
            gets no interval, since it would be too narrow.
    """
    plain = figures_of(np.ones((1, draws.shape[1])))
    numbers = np.bincount(video_labels[video_labels >= 0], minlength=2)
    if ((numbers > 0) & (numbers < _FEWEST)).any() or not numbers.any():
        return {name: Resampled(float(value[0]), np.full(len(draws), np.nan)) for name, value in plain.items()}
    moved = figures_of(draws)
    return {name: Resampled(float(value[0]), moved[name]) for name, value in plain.items()}


def average(parts: Sequence[Resampled]) -> Resampled:
    """The plain mean over data sets; their draws are independent, so that resamples are averaged one by one."""
    if len(parts) == 1:
        return parts[0]
    return Resampled(
        float(np.mean([part.value for part in parts])), np.asarray(np.mean([part.draws for part in parts], axis=0))
    )


def same_rows(one: ScoredSet, other: ScoredSet) -> bool:
    """Whether two checkpoints scored the same pictures in the same order, as a paired comparison needs."""
    return (
        list(one.paths) == list(other.paths)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.videos, other.videos)
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
