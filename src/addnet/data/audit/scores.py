"""How well a single signal separates two classes, with a confidence interval over groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from addnet.evaluation.ranking import ranking
from addnet.evaluation.table import ratio

FOLDS = 5
_AUROC = ("auroc",)
_AT_ONCE = 1_000_000  # draws
_PRIOR = 2.0  # images of average class added to each category

Rows = NDArray[np.int64]


def auroc(values: ArrayLike, labels: ArrayLike) -> float:
    """The probability that a random fake has a larger value than a random real image; ties count half.

    Args:
        values: (N,) finite numbers.
        labels: (N,) 0 real, 1 fake.

    Returns:
        In [0, 1]; NaN if a class is missing.

    Raises:
        UserError: A value isn't a finite number.

    Example:
        >>> auroc([1.0, 2.0, 2.0, 3.0], [0, 0, 1, 1])
        0.875
    """
    numbers, classes = np.asarray(values, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    return float(ranking(numbers, classes, only=_AUROC)(np.ones((1, len(numbers))))["auroc"][0])


@dataclass(frozen=True)
class Score:
    """How well a signal alone tells fake from real.

    Attributes:
        auroc: 0.5 for not at all, 1 for always; direction-free unless the signal is categorical.
        low: Lower end of the 95 % interval over resampled groups.
        high: Upper end.
        larger_in: `fake` or `real`; empty for categories.
        images: How many were scored.
    """

    auroc: float
    low: float
    high: float
    larger_in: str
    images: int

    def plain(self) -> dict[str, Any]:
        """Its fields, for JSON: what is undefined becomes null."""
        numbers = {name: getattr(self, name) for name in ("auroc", "low", "high")}
        rounded = {name: None if math.isnan(value) else round(value, 4) for name, value in numbers.items()}
        return {**rounded, "larger_in": self.larger_in, "images": self.images}


def score_numbers(values: ArrayLike, labels: Rows, groups: Rows, *, resamples: int, seed: int) -> Score:
    """Scores a numeric signal; images without a value (NaN) are left out."""
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    strata = np.zeros(int(known.sum()), dtype=np.int64)
    value, low, high = _scored(numbers[known], labels[known], strata, groups[known], resamples=resamples, seed=seed)
    if value < 0.5:
        return Score(1 - value, 1 - high, 1 - low, "real", int(known.sum()))
    return Score(value, low, high, "fake", int(known.sum()))


def score_categories(codes: Rows, labels: Rows, groups: Rows, *, resamples: int, seed: int) -> Score:
    """Scores a signal without an order, such as which JPEG tables an image has.

    The score of an image is the share of fakes among images of its category in *other* groups (5 folds of groups), so
    that a category that only one group has carries no information. AUROC is computed within each fold and averaged:
    across folds, shares differ in the wrong direction by construction.
    """
    folds = _folds(groups, seed)
    # (FOLDS, categories) numbers of images and of fakes in each fold, then in all other folds
    count = int(codes.max()) + 1 if len(codes) else 1
    flat = folds * count + codes
    totals = np.bincount(flat, minlength=FOLDS * count).reshape(FOLDS, count)
    fakes = np.bincount(flat, weights=labels, minlength=FOLDS * count).reshape(FOLDS, count)
    others, other_fakes = totals.sum(axis=0) - totals, fakes.sum(axis=0) - fakes
    average = other_fakes.sum(axis=1, keepdims=True) / np.maximum(1, others.sum(axis=1, keepdims=True))
    rates = (other_fakes + _PRIOR * average) / (others + _PRIOR)
    value, low, high = _scored(rates[folds, codes], labels, folds, groups, resamples=resamples, seed=seed)
    return Score(value, low, high, "", len(codes))


def _folds(groups: Rows, seed: int) -> Rows:
    numbers, inverse = np.unique(groups, return_inverse=True)
    order = np.random.default_rng((seed, 2)).permutation(len(numbers))
    return np.asarray(order[inverse] % FOLDS if len(groups) else inverse, dtype=np.int64)


def _scored(
    values: NDArray[np.float64], labels: Rows, strata: Rows, groups: Rows, *, resamples: int, seed: int
) -> tuple[float, float, float]:
    """AUROC within strata, weighted by their numbers of pairs, and its 95 % interval over resampled groups."""
    numbers, columns = np.unique(groups, return_inverse=True)
    parts = []
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        metrics_of = ranking(values[rows], labels[rows], columns=columns[rows], only=_AUROC)
        counts = [np.bincount(columns[rows], labels[rows] == label, len(numbers)) for label in (0, 1)]
        parts.append((metrics_of, np.stack(counts, axis=1)))

    def aurocs(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        # weights: (r, groups) how often each group is drawn in each resample; returns (r,)
        total, pairs = np.zeros(len(weights)), np.zeros(len(weights))
        for metrics_of, counts in parts:
            own = (weights @ counts).prod(axis=1)
            total += np.where(own > 0, own * metrics_of(weights)["auroc"], 0)
            pairs += own
        return ratio(total, pairs)

    value = float(aurocs(np.ones((1, len(numbers))))[0])
    if resamples < 1 or len(numbers) < 2:
        return value, math.nan, math.nan
    if all(np.ptp(values[strata == stratum]) == 0 for stratum in np.unique(strata)):
        return value, value, value  # as in data sets whose images all have one size: every resample says the same
    drawn = np.concatenate([aurocs(weights) for weights in _draws(len(numbers), resamples=resamples, seed=seed)])
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return value, math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return value, float(low), float(high)


def _draws(groups: int, *, resamples: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """(r, groups) how often each group is drawn, with replacement, for some resamples at a time."""
    random = np.random.default_rng((seed, 3))
    step = max(1, _AT_ONCE // groups)
    for start in range(0, resamples, step):
        drawn = random.integers(groups, size=(min(step, resamples - start), groups))
        yield np.stack([np.bincount(line, minlength=groups) for line in drawn]).astype(np.float64)
