"""Every metric for many weightings of the rows at once: resamples of a bootstrap, or ones for the plain metric."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.ranking import Metrics, ranking
from addnet.evaluation.table import CALLED, SAID, Confusion
from addnet.finite import require_finite

_AT_ONCE = 2_000_000  # numbers of the weights turned into float64 at a time

_Array = NDArray[np.float64]


def weighted_metrics(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    threshold: float = 0.5,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """Computes all metrics of the table.

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
        weights: (R, C) nonnegative weights, one weighting per line.
        threshold: An image is called fake above it.
        columns: (N,) the column of each row in the weights; by default each row has its own column, and C = N.

    Returns:
        Name → (R,) float64; NaN where a metric is undefined.
    """
    given = (probabilities, labels)
    return (
        ranking(*given, columns=columns)(weights)
        | calling(*given, threshold=threshold, columns=columns)(weights)
        | saying(*given, columns=columns)(weights)
    )


def calling(
    probabilities: _Array,
    labels: NDArray[np.int64],
    *,
    threshold: float,
    columns: NDArray[np.int64] | None = None,
) -> Metrics:
    """Metrics of the verdicts at a threshold as a function of the weights.

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
        threshold: An image is called fake above it.
        columns: (N,) the column of each row in the weights; by default each row has its own column.

    Returns:
        A function: (R, C) weights → each of `CALLED` → (R,) values; NaN in lines without weight. Balanced accuracy is
        NaN in lines with a single class, F1 in lines without fakes.

    Raises:
        UserError: A probability isn't finite.
    """
    require_finite(probabilities)
    called, fake = probabilities > threshold, labels == 1
    # (N, 4) one-hot: true negative, false positive, false negative, true positive
    sums_of = _summing(np.stack([~called & ~fake, called & ~fake, ~called & fake, called & fake], axis=1), columns)

    def metrics(weights: NDArray[np.number]) -> dict[str, _Array]:
        at = Confusion(*sums_of(weights).T)
        return {name: of_confusion(at) for name, of_confusion in CALLED.items()}

    return metrics


def saying(probabilities: _Array, labels: NDArray[np.int64], *, columns: NDArray[np.int64] | None = None) -> Metrics:
    """Metrics of the probabilities as a function of the weights.

    Args:
        probabilities: (N,) probability of fake; for log loss clipped to 1e-15 from 0 and 1.
        labels: (N,) 0 real, 1 fake.
        columns: (N,) the column of each row in the weights; by default each row has its own column.

    Returns:
        A function: (R, C) weights → each of `SAID` → (R,) values; NaN in lines without weight.

    Raises:
        UserError: A probability isn't finite.
    """
    require_finite(probabilities)
    # (N, K) values of each metric side by side, after a column of ones that sums the weights
    parts = [metric.values(probabilities, labels) for metric in SAID.values()]
    ends = np.cumsum([1, *(part.shape[1] for part in parts)])
    sums_of = _summing(np.column_stack([np.ones(len(labels)), *parts]), columns)

    def metrics(weights: NDArray[np.number]) -> dict[str, _Array]:
        sums = sums_of(weights)
        means = np.divide(sums, sums[:, :1], out=np.full_like(sums, np.nan), where=sums[:, :1] > 0)
        between = zip(SAID.items(), pairwise(ends), strict=True)
        return {name: metric.of_means(means[:, start:end]) for (name, metric), (start, end) in between}

    return metrics


def _summing(values: NDArray[Any], columns: NDArray[np.int64] | None) -> Callable[[NDArray[np.number]], _Array]:
    """(N, K) values of rows → a function: (R, C) weights → (R, K) weighted sums. Rows are summed by column once."""
    values = np.asarray(values, dtype=np.float64)
    if columns is not None:
        values = np.stack([np.bincount(columns, part) for part in values.T], axis=1)

    def sums_of(weights: NDArray[np.number]) -> _Array:
        used = weights[:, : len(values)]  # columns after the last one that has rows don't contribute
        step = max(1, _AT_ONCE // max(used.shape[1], 1))
        return np.concatenate([used[at : at + step].astype(np.float64) @ values for at in range(0, len(used), step)])

    return sums_of
