"""Paired accuracy: how often the fake of a source scores above its real.

A detector that knows people, cameras or places ranks images of different sources by these; between two of one source
it has only the traces to go by. Both are of one source where they share their `group`.
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
_FEWEST = 2  # sources: one alone never changes

_Floats = NDArray[np.float64]


def shares_in_order(
    probabilities: _Floats, labels: NDArray[np.int64], sources: NDArray[np.int64]
) -> tuple[_Floats, NDArray[np.int64]]:
    """Of each source with both classes, how many of its pairs of a real and a fake row are in the right order.

    With one real and one fake a source, as in DFDC, a share is 1 or 0; with several it is the AUROC within the source,
    so that the four fakes of one real in FaceForensics++ count as one source, and long videos no more than short ones.

    Args:
        probabilities: (N,) of fake, of images or of videos.
        labels: (N,) 0 real, 1 fake.
        sources: (N,) number of the source of each row, from 0.

    Returns:
        (G,) shares, ties counted half, and (G,) numbers of pairs, of the sources in the order of their numbers.

    Example:
        >>> shares_in_order(np.array([0.1, 0.9, 0.5, 0.5]), np.array([0, 1, 0, 1]), np.array([0, 0, 1, 1]))
        (array([1. , 0.5]), array([1, 1]))
    """
    _, ranks = np.unique(probabilities, return_inverse=True)
    order = np.lexsort((ranks, sources))
    sources, ranks, fake = sources[order], ranks[order], labels[order] == 1
    # reals before each row, over all sources: what lies below it in its own is a difference of two of these
    before = np.concatenate([[0], np.cumsum(~fake)])
    is_start = (np.diff(sources, prepend=-1) != 0) | (np.diff(ranks, prepend=-1) != 0)  # of a run of equal scores
    starts, run = np.flatnonzero(is_start), np.cumsum(is_start) - 1
    below = before[starts][run] - before[np.searchsorted(sources, sources, side="left")]
    equal = np.diff(before[np.append(starts, len(fake))])[run]
    count = int(sources.max(initial=-1)) + 1
    right = np.bincount(sources, weights=fake * (below + equal / 2), minlength=count)
    reals, fakes = (np.bincount(sources[kind], minlength=count) for kind in (~fake, fake))
    pairs = reals * fakes
    return right[pairs > 0] / pairs[pairs > 0], pairs[pairs > 0]


def shares_of(scored: ScoredSet) -> tuple[_Floats, NDArray[np.int64]]:
    """`shares_in_order` of images, or of videos by `by_video`; the sources in the order of their names."""
    _, of_videos = np.unique(np.asarray(scored.sources), return_inverse=True)
    return shares_in_order(scored.probabilities, scored.labels, of_videos[scored.videos])


def resampled_shares(scored: ScoredSet, units: Units, draws: Draws) -> ResampledMetric:
    """The mean over sources of `shares_in_order`, with its interval; nan where no source has both classes.

    Args:
        scored: At any level.
        units: Of its data set.
        draws: Of the units, which are sources where these are known.
    """
    nothing = np.full(len(draws), np.nan)
    shares = shares_of(scored)[0] if scored.sources is not None else np.zeros(0)
    if not len(shares):
        return ResampledMetric(math.nan, nothing)
    value = float(shares.mean())
    if len(shares) < _FEWEST:
        return ResampledMetric(value, nothing)
    both = units.strata == BOTH  # as many in each resample
    moved = np.concatenate([draws.of(lines)[:, both] @ shares for lines in draws.chunks()])
    return ResampledMetric(value, moved / len(shares), SHARE, _carried(shares))


def _carried(shares: _Floats) -> Support:
    """All sources alike where each has one pair; with several, fewer degrees of freedom where few have most errors."""
    known: float = len(shares) - 1
    if not np.isin(shares, (0, 1)).all():
        known = min(known, freedom((shares.sum() - shares) / known, np.zeros(len(shares), dtype=np.int64)))
    return Support(len(shares), known)


def paired_metrics(scores: Scores) -> dict[str, float]:
    """Paired accuracy of a training's own test, by its name; nothing where no source has both classes.

    Args:
        scores: Of images or of videos.
    """
    if scores.sources is None:
        return {}
    parts = (scores.probabilities.double(), scores.labels, scores.sources)
    shares, _ = shares_in_order(*(part.cpu().numpy() for part in parts))
    return {PAIRED: float(shares.mean())} if len(shares) else {}


def pair_counts(scored: ScoredSet) -> dict[str, Any]:
    """What paired accuracy is about: sources, those with both classes, their pairs of images, or why there is none.

    Returns:
        "sources" (None: not known), "with_both", "pairs", and "why_not": in words, empty where there are pairs.
    """
    if scored.sources is None:
        return {"sources": None, "with_both": 0, "pairs": 0, "why_not": "it is not known which images share a source"}
    _, pairs = shares_of(scored)
    number = len(set(scored.sources))
    none = "" if len(pairs) else "no source (group) has both real and fake images"
    return {"sources": number, "with_both": len(pairs), "pairs": int(pairs.sum()), "why_not": none}
