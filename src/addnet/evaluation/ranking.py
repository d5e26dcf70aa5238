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
    ends, fake = _run_ends(probabilities[order]), labels[order] == 1
    fakes_above, reals_above = (np.cumsum(own)[ends] for own in (fake, ~fake))
    needed = _needed(fakes_above)
    fakes_at, reals_at = (np.append(0, above[needed]) for above in (fakes_above, reals_above))

    def metrics(weights: NDArray[np.number]) -> dict[str, _Array]:
        values = {name: np.full(len(weights), np.nan) for name in only}
        for lines in _chunks(len(weights), len(order)) if len(order) else ():
            fakes = _sums(weights[lines], of_rows[fake], fakes_at)
            reals = _sums(weights[lines], of_rows[~fake], reals_at)
            both = (fakes[:, -1] > 0) & (reals[:, -1] > 0)
            at = Curve(fakes, reals) if both.all() else Curve(fakes[both], reals[both])
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
    ends, fake = np.append(0, _run_ends(probabilities[order]) + 1), labels[order] == 1
    sums = (np.append(0.0, np.cumsum(own))[ends] for own in (fake, ~fake))
    return Curve(*(above[None] for above in sums))


def _run_ends(scores: _Array) -> NDArray[np.intp]:
    """(G,) the last row of each run of equal scores, of sorted scores."""
    return np.flatnonzero(np.append(np.diff(scores) != 0, True)) if len(scores) else np.empty(0, dtype=np.intp)


def _needed(fakes_above: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(G,) whether a run of equal scores is a corner of the curve: it or the next one has fakes, or it is the last.

    Between corners the curve runs straight through reals alone, which no metric depends on.
    """
    has_fakes = np.diff(fakes_above, prepend=0) > 0
    return np.asarray(has_fakes | np.append(has_fakes[1:], True)) if len(has_fakes) else has_fakes


def _chunks(lines: int, rows: int) -> Iterator[slice]:
    step = max(1, _AT_ONCE // max(rows, 1))
    return (slice(start, start + step) for start in range(0, lines, step))


def _sums(weights: NDArray[np.number], columns: NDArray[np.int64], counts: NDArray[np.intp]) -> _Array:
    """(r, C) weights, columns of sorted rows → (r, T) sums over the first `counts` rows."""
    sums = np.zeros((len(weights), len(columns) + 1))
    np.cumsum(np.take(weights, columns, axis=1), axis=1, dtype=np.float64, out=sums[:, 1:])
    return np.take(sums, counts, axis=1)
