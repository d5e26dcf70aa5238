"""Metrics of a ranking for many weightings of its rows at once, exact with ties."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.table import RANKED, Curve
from addnet.finite import require_finite

_AT_ONCE = 1_000_000  # numbers in one array: 8 MB, so that a few of them stay in the cache

_Array = NDArray[np.float64]
Metrics = Callable[[NDArray[np.number]], dict[str, _Array]]  # (R, C) weights → name → (R,)


def ranked_metrics(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """The metrics of a ranking; see `ranking`.

    Args:
        probabilities: (N,) of fake.
        labels: (N,) 0 real, 1 fake.
        weights: (R, C), one weighting a line, not negative.
        columns: (N,) the column of each row, for rows of a video that share their weight; by default its own, C = N.

    Returns:
        Each of `RANKED` → (R,) float64; nan in lines in which a class has no weight.
    """
    return ranking(probabilities, labels, columns=columns)(weights)


def ranking(
    probabilities: _Array,
    labels: NDArray[np.int64],
    *,
    columns: NDArray[np.int64] | None = None,
    only: Collection[str] = RANKED,
) -> Metrics:
    """The metrics of a ranking, of rows that are sorted once, for any weights.

    Args:
        probabilities: (N,) of fake.
        labels: (N,) 0 real, 1 fake.
        columns: (N,) the column of each row in the weights; by default its own.
        only: Names of `RANKED` that are wanted.

    Returns:
        (R, C) weights → each of these, (R,); nan in lines in which a class has no weight.

    Raises:
        UserError: A probability isn't a finite number.
    """
    require_finite(probabilities)
    order = np.argsort(-probabilities, kind="stable")
    of_rows = order if columns is None else columns[order]
    starts = np.flatnonzero(np.diff(probabilities[order], prepend=np.inf))  # of each run of equal scores
    fake = labels[order] == 1

    def metrics(weights: NDArray[np.number]) -> dict[str, _Array]:
        found = {name: np.full(len(weights), np.nan) for name in only}
        for lines in _chunks(len(weights), len(order)) if len(order) else ():
            drawn = weights[lines].astype(np.float64)[:, of_rows]
            fakes = _steps(drawn * fake, starts)
            reals = _steps(drawn * ~fake, starts)
            both = (fakes[:, -1] > 0) & (reals[:, -1] > 0)
            at = Curve(fakes[both], reals[both])
            for name in only:
                found[name][lines][both] = RANKED[name](at)
        return found

    return metrics


def curve(probabilities: _Array, labels: NDArray[np.int64]) -> Curve:
    """The ranking of rows that all weigh 1, such as ROC and precision-recall curves show: (1, T) parts.

    Args:
        probabilities: (N,) of fake.
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
    """(r, N) weights → (r, G + 1) their sums above each threshold, the first one above all scores."""
    sums = np.zeros((len(weights), len(starts) + 1))
    np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1, out=sums[:, 1:])
    return sums
