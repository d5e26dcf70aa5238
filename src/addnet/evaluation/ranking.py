"""Figures of a ranking for many weightings of its rows at once, exact with ties."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from addnet.finite import require_finite

RANKED = ("auroc", "ap", "eer", "tpr_at_1_fpr", "tpr_at_5_fpr")
_LIMITS = {"tpr_at_1_fpr": 0.01, "tpr_at_5_fpr": 0.05}
_AT_ONCE = 1_000_000  # numbers in one array: 8 MB, so that a few of them stay in the cache

_Array = NDArray[np.float64]


def ranked_figures(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """AUROC, AP, EER and TPR at 1 % and 5 % FPR.

    AP is the sum of precision times the steps of recall. EER is where FPR and FNR meet on the ROC curve, linear between
    its points, as in `metrics.equal_error_rate`. TPR at 1 % FPR is the largest TPR of a threshold whose FPR is at most
    1 %: a point that can be used, nothing in between.

    Args:
        probabilities: (N,) of fake.
        labels: (N,) 0 real, 1 fake.
        weights: (R, C), one weighting a line, not negative.
        columns: (N,) the column of each row, for rows of a video that share their weight; by default its own, C = N.

    Returns:
        Each of `RANKED` → (R,) float64; nan in lines in which a class has no weight.

    Raises:
        UserError: A probability isn't a finite number.
    """
    require_finite(probabilities)
    found = {name: np.full(len(weights), np.nan) for name in RANKED}
    if not len(probabilities):
        return found
    order = np.argsort(-probabilities, kind="stable")
    columns = order if columns is None else columns[order]
    starts = np.flatnonzero(np.diff(probabilities[order], prepend=np.inf))  # of each run of equal scores
    fake = labels[order] == 1
    for lines in _chunks(len(weights), len(order)):
        drawn = weights[lines].astype(np.float64)[:, columns]
        fakes = _steps(drawn * fake, starts)
        reals = _steps(drawn * ~fake, starts)
        both = (fakes[:, -1] > 0) & (reals[:, -1] > 0)
        for name, values in _of_counts(fakes[both], reals[both]).items():
            found[name][lines][both] = values
    return found


def _chunks(lines: int, rows: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // max(rows, 1))
    return (slice(start, start + step) for start in range(0, lines, step))


def _steps(weights: _Array, starts: NDArray[np.intp]) -> _Array:
    """(r, N) weights → (r, G + 1) their sums above each threshold, the first one above all scores."""
    sums = np.zeros((len(weights), len(starts) + 1))
    np.cumsum(np.add.reduceat(weights, starts, axis=1), axis=1, out=sums[:, 1:])
    return sums


def _of_counts(fakes: _Array, reals: _Array) -> dict[str, _Array]:
    """(r, G + 1) weights of fakes and reals called fake → each figure, (r,)."""
    gained = np.diff(fakes, axis=1)
    called = fakes[:, 1:] + reals[:, 1:]
    precision = np.divide(fakes[:, 1:], called, out=np.zeros_like(called), where=called > 0)
    ap = (gained * precision).sum(axis=1) / fakes[:, -1]
    area = (np.diff(reals, axis=1) * (fakes[:, 1:] + fakes[:, :-1])).sum(axis=1) / 2
    fpr, tpr = reals / reals[:, -1:], fakes / fakes[:, -1:]
    figures = {"auroc": area / (fakes[:, -1] * reals[:, -1]), "ap": ap, "eer": _eer(fpr, tpr)}
    for name, limit in _LIMITS.items():
        last = (fpr <= limit).sum(axis=1) - 1
        figures[name] = np.take_along_axis(tpr, last[:, None], axis=1)[:, 0]
    return figures


def _eer(fpr: _Array, tpr: _Array) -> _Array:
    gap = fpr + tpr - 1  # FPR − FNR: grows from −1 to 1
    after = np.clip((gap < 0).sum(axis=1), 1, gap.shape[1] - 1)[:, None]
    (low, high), (start, end) = (
        (np.take_along_axis(values, after - 1, axis=1), np.take_along_axis(values, after, axis=1))
        for values in (gap, fpr)
    )
    share = np.divide(-low, high - low, out=np.zeros_like(low), where=high > low)
    return np.asarray((start + share * (end - start))[:, 0])
