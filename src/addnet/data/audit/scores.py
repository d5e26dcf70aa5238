"""How well one number tells two classes apart, with an interval that knows of groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from addnet.finite import require_finite

FOLDS = 5
_PRIOR = 2.0  # pictures of average class added to each category

Rows = NDArray[np.int64]


def auroc(values: ArrayLike, labels: ArrayLike) -> float:
    """The chance that a random fake has a larger value than a random real; ties count half.

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
    numbers = np.asarray(values)
    require_finite(numbers)
    return _Ranking(numbers, np.asarray(labels), None).value(None)


@dataclass(frozen=True)
class Score:
    """How well a signal alone tells fake from real.

    Attributes:
        auroc: 0.5 for not at all, 1 for always; direction-free unless the signal is categorical.
        low: Lower end of the 95 % interval over resampled groups.
        high: Upper end.
        larger_in: `fake` or `real`; empty for categories.
        pictures: How many were scored.
    """

    auroc: float
    low: float
    high: float
    larger_in: str
    pictures: int

    def plain(self) -> dict[str, Any]:
        """Its fields, for JSON: what is undefined becomes null."""
        numbers = {name: getattr(self, name) for name in ("auroc", "low", "high")}
        rounded = {name: None if math.isnan(value) else round(value, 4) for name, value in numbers.items()}
        return {**rounded, "larger_in": self.larger_in, "pictures": self.pictures}


def score_numbers(values: ArrayLike, labels: Rows, groups: Rows, *, resamples: int, seed: int) -> Score:
    """Scores a numeric signal; pictures without a value (NaN) are left out."""
    numbers = np.asarray(values, dtype=np.float64)
    known = np.isfinite(numbers)
    ranking = _Ranking(numbers[known], labels[known], None)
    value = ranking.value(None)
    low, high = _interval(ranking, groups[known], resamples, seed)
    if value < 0.5:
        return Score(1 - value, 1 - high, 1 - low, "real", int(known.sum()))
    return Score(value, low, high, "fake", int(known.sum()))


def score_categories(codes: Rows, labels: Rows, groups: Rows, *, resamples: int, seed: int) -> Score:
    """Scores a signal without an order, such as which JPEG tables a picture has.

    The score of a picture is the share of fakes among pictures of its category in *other* groups (5 folds of groups),
    so that a category of one group's own tells nothing. AUROC is taken within each fold and averaged: between folds,
    shares differ the wrong way round by construction.
    """
    folds = _folds(groups, seed)
    count = int(codes.max()) + 1 if len(codes) else 1
    flat = folds * count + codes
    totals = np.bincount(flat, minlength=FOLDS * count).reshape(FOLDS, count)
    fakes = np.bincount(flat, weights=labels, minlength=FOLDS * count).reshape(FOLDS, count)
    others, other_fakes = totals.sum(axis=0) - totals, fakes.sum(axis=0) - fakes
    average = other_fakes.sum(axis=1, keepdims=True) / np.maximum(1, others.sum(axis=1, keepdims=True))
    rates = (other_fakes + _PRIOR * average) / (others + _PRIOR)
    ranking = _Ranking(rates[folds, codes], labels, folds)
    low, high = _interval(ranking, groups, resamples, seed)
    return Score(ranking.value(None), low, high, "", len(codes))


def _folds(groups: Rows, seed: int) -> Rows:
    numbers, inverse = np.unique(groups, return_inverse=True)
    order = np.random.default_rng((seed, 2)).permutation(len(numbers))
    return np.asarray(order[inverse] % FOLDS if len(groups) else inverse, dtype=np.int64)


class _Ranking:
    """Values sorted once, so that AUROC with any weights costs one pass."""

    def __init__(self, values: NDArray[Any], labels: NDArray[Any], strata: Rows | None) -> None:
        self.strata = np.zeros(len(values), dtype=np.int64) if strata is None else strata
        order = np.lexsort((values, self.strata))
        sorted_values, sorted_strata = values[order], self.strata[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (sorted_values[1:] != sorted_values[:-1]) | (sorted_strata[1:] != sorted_strata[:-1])
        ranks = np.cumsum(new) - 1
        self.size = int(ranks[-1]) + 1 if len(ranks) else 0
        self.stratum = sorted_strata[new]
        codes = np.empty(len(order), dtype=np.int64)
        codes[order] = ranks
        self.rows = [np.flatnonzero(labels == label) for label in (0, 1)]
        self.codes = [codes[rows] for rows in self.rows]

    def value(self, weights: NDArray[np.float64] | None) -> float:
        """AUROC with (N,) weights, averaged over strata by their number of pairs; NaN without a pair."""
        real, fake = (
            np.bincount(codes, None if weights is None else weights[rows], minlength=self.size).astype(np.float64)
            for codes, rows in zip(self.codes, self.rows, strict=True)
        )
        strata = int(self.stratum.max()) + 1 if self.size else 1
        reals, fakes = (np.bincount(self.stratum, part, minlength=strata) for part in (real, fake))
        below = np.cumsum(real) - real / 2 - (np.cumsum(reals) - reals)[self.stratum]
        pairs = float((reals * fakes).sum())
        return float((fake * below).sum() / pairs) if pairs else math.nan


def _interval(ranking: _Ranking, groups: Rows, resamples: int, seed: int) -> tuple[float, float]:
    """95 % of the AUROCs of as many groups drawn with replacement."""
    numbers, inverse = np.unique(groups, return_inverse=True)
    if resamples < 1 or len(numbers) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng((seed, 3))
    shares = np.full(len(numbers), 1 / len(numbers))
    drawn = [ranking.value(rng.multinomial(len(numbers), shares).astype(np.float64)[inverse]) for _ in range(resamples)]
    known = np.array([value for value in drawn if not math.isnan(value)])
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
