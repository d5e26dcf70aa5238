"""Ranking metrics for many weightings of the rows at once, with exact handling of ties."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.table import RANKED, Curve
from addnet.finite import require_finite

_AT_ONCE = 1_000_000  # numbers in one array: 8 MB, so that a few arrays fit in the CPU cache

_Array = NDArray[np.float64]
Metrics = Callable[[NDArray[np.number]], dict[str, _Array]]  # (R, C) weights → name → (R,)


def ranked_metrics(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """Computes ranking metrics; see `ranking`.

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
        weights: (R, C) nonnegative weights, one weighting per line.
        columns: (N,) the column of each row in the weights, for rows of a video that share their weight; by default
            each row has its own column, and C = N.

    Returns:
        Each of `RANKED` → (R,) float64; NaN in lines in which a class has no weight.
    """
    return ranking(probabilities, labels, columns=columns)(weights)


def ranking(
    probabilities: _Array,
    labels: NDArray[np.int64],
    *,
    columns: NDArray[np.int64] | None = None,
    only: Collection[str] = RANKED,
) -> Metrics:
    """Ranking metrics as a function of the weights; the rows are sorted only once.

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
        columns: (N,) the column of each row in the weights; by default each row has its own column.
        only: Names of `RANKED` to compute.

    Returns:
        A function: (R, C) weights → name → (R,) values; NaN in lines in which a class has no weight.

    Raises:
        UserError: A probability isn't finite.
    """
    require_finite(probabilities)
    order = np.argsort(-probabilities, kind="stable")  # (N,) rows from the highest score to the lowest
    of_rows = order if columns is None else columns[order]  # (N,) the column of each sorted row
    starts = np.flatnonzero(np.diff(probabilities[order], prepend=np.inf))  # (G,) start of each run of equal scores
    fake = labels[order] == 1

    def metrics(weights: NDArray[np.number]) -> dict[str, _Array]:
        values = {name: np.full(len(weights), np.nan) for name in only}
        for lines in _chunks(len(weights), len(order)) if len(order) else ():
            drawn = weights[lines].astype(np.float64)[:, of_rows]
            fakes = _steps(drawn * fake, starts)
            reals = _steps(drawn * ~fake, starts)
            both = (fakes[:, -1] > 0) & (reals[:, -1] > 0)
            at = Curve(fakes[both], reals[both])
            for name in only:
                values[name][lines][both] = RANKED[name](at)
        return values

    return metrics


def curve(probabilities: _Array, labels: NDArray[np.int64]) -> Curve:
    """The curve of rows that all have weight 1, for ROC and precision-recall plots; its arrays are (1, T).

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
    """
    order = np.argsort(-probabilities, kind="stable")
    starts = np.flatnonzero(np.diff(probabilities[order], prepend=np.inf))
    fake = (labels[order] == 1)[None].astype(np.float64)
    return Curve(_steps(fake, starts), _steps(1 - fake, starts))


def _chunks(lines: int, rows: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // max(rows, 1))
    return (slice(start, start + step) for start in range(0, lines, step))


def _steps(weights: _Array, starts: NDArray[np.intp]) -> _Array:
    """(r, N) weights → (r, G + 1) their sums above each threshold; the first threshold is above all scores."""
    sums = np.zeros((len(weights), len(starts) + 1))
    np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1, out=sums[:, 1:])
    return sums
