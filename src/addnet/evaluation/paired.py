"""Paired accuracy: how often the fake of a source scores above the real one of the same source.

A detector can rank images of different sources by their people, cameras or places; between two images of one source it
can only use traces of manipulation. Images are of one source if they share their `group`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.bootstrap import BOTH, Draws, ResampledMetric, Units
from addnet.evaluation.intervals import SHARE, Support, freedom
from addnet.evaluation.metrics import Scores
from addnet.evaluation.scored import ScoredSet

PAIRED = "paired_accuracy"
_FEWEST = 2  # sources needed for an interval: a single one is in every resample

_Floats = NDArray[np.float64]


def shares_in_order(
    probabilities: _Floats, labels: NDArray[np.int64], sources: NDArray[np.int64]
) -> tuple[_Floats, NDArray[np.int64]]:
    """For each source with both classes, the share of its pairs of a real and a fake row that are ranked correctly.

    With one real and one fake row per source, as in DFDC, a share is 1 or 0; with several rows it is the AUROC within
    the source. So the four fakes of one real video in FaceForensics++ count as one source, and long videos count no
    more than short ones.

    Args:
        probabilities: (N,) probability of fake, of images or of videos.
        labels: (N,) 0 real, 1 fake.
        sources: (N,) number of the source of each row, from 0.

    Returns:
        (G,) shares, where ties count half, and (G,) numbers of pairs; the sources are in the order of their numbers.

    Example:
        >>> shares_in_order(np.array([0.1, 0.9, 0.5, 0.5]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
        (array([1. , 0.5]), array([1, 1]))
    """
    _, ranks = np.unique(probabilities, return_inverse=True)
    order = np.lexsort((ranks, sources))
    sources, ranks, fake = sources[order], ranks[order], labels[order] == 1
    # (N + 1,) number of reals before each row, over all sources; counts within a source are differences of two of these
    before = np.concatenate([[0], np.cumsum(~fake)])
    # (N,) whether a row starts a run of equal scores within its source; then the run of each row
    is_start = (np.diff(sources, prepend=-1) != 0) | (np.diff(ranks, prepend=-1) != 0)
    starts, run = np.flatnonzero(is_start), np.cumsum(is_start) - 1
    # (N,) number of reals of the same source that score below each row, and that score the same
    below = before[starts][run] - before[np.searchsorted(sources, sources, side="left")]
    equal = np.diff(before[np.append(starts, len(fake))])[run]
    count = int(sources.max(initial=-1)) + 1
    right = np.bincount(sources, weights=fake * (below + equal / 2), minlength=count)
    reals, fakes = (np.bincount(sources[kind], minlength=count) for kind in (~fake, fake))
    pairs = reals * fakes
    return right[pairs > 0] / pairs[pairs > 0], pairs[pairs > 0]


def shares_of(scored: ScoredSet) -> tuple[_Floats, NDArray[np.int64]]:
    """`shares_in_order` of images, or of videos from `by_video`; the sources are in the order of their names."""
    _, of_videos = np.unique(np.asarray(scored.sources), return_inverse=True)
    return shares_in_order(scored.probabilities, scored.labels, of_videos[scored.videos])


def resampled_shares(scored: ScoredSet, units: Units, draws: Draws) -> ResampledMetric:
    """The mean over sources of `shares_in_order`, with its resamples; NaN if no source has both classes.

    Args:
        scored: Scores at any level.
        units: Units of the data set.
        draws: Draws of the units, which are sources if these are known.
    """
    nothing = np.full(len(draws), np.nan)
    shares = shares_of(scored)[0] if scored.sources is not None else np.zeros(0)
    if not len(shares):
        return ResampledMetric(math.nan, nothing)
    value = float(shares.mean())
    if len(shares) < _FEWEST:
        return ResampledMetric(value, nothing)
    both = units.strata == BOTH  # their number is the same in each resample
    moved = np.concatenate([draws.of(lines)[:, both] @ shares for lines in draws.chunks()])
    return ResampledMetric(value, moved / len(shares), SHARE, _carried(shares))


def _carried(shares: _Floats) -> Support:
    """Support of the mean: with several pairs per source, fewer degrees of freedom if few sources have most errors."""
    known: float = len(shares) - 1
    if not np.isin(shares, (0, 1)).all():
        known = min(known, freedom((shares.sum() - shares) / known, np.zeros(len(shares), dtype=np.int64)))
    return Support(len(shares), known)


def paired_metrics(scores: Scores) -> dict[str, float]:
    """Paired accuracy by its name, for the metrics of training; empty if no source has both classes.

    Args:
        scores: Scores of images or of videos.
    """
    if scores.sources is None:
        return {}
    parts = (scores.probabilities.double(), scores.labels, scores.sources)
    shares, _ = shares_in_order(*(part.cpu().numpy() for part in parts))
    return {PAIRED: float(shares.mean())} if len(shares) else {}


def pair_counts(scored: ScoredSet) -> dict[str, Any]:
    """Counts behind paired accuracy: sources, those with both classes and their pairs of images, or why there are none.

    Returns:
        "sources" (None if not known), "with_both", "pairs", and "why_not": a reason in words, empty if there are pairs.
    """
    if scored.sources is None:
        return {"sources": None, "with_both": 0, "pairs": 0, "why_not": "it is not known which images share a source"}
    _, pairs = shares_of(scored)
    number = len(set(scored.sources))
    none = "" if len(pairs) else "no source (group) has both real and fake images"
    return {"sources": number, "with_both": len(pairs), "pairs": int(pairs.sum()), "why_not": none}
