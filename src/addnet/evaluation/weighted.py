"""Every figure for many weightings of the rows at once: resamples of a bootstrap, or ones for the plain figure."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.calibration import BINS, bin_of
from addnet.evaluation.ranking import RANKED, ranked_figures
from addnet.finite import require_finite

CALLED = ("balanced_accuracy", "accuracy", "f1")
SAID = ("log_loss", "ece")
FIGURES = (*RANKED, *CALLED, *SAID)
_TINY = 1e-15  # as in metrics.binary_metrics
_AT_ONCE = 2_000_000  # numbers of the weights turned into float64 at a time

_Array = NDArray[np.float64]


def weighted_figures(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    threshold: float = 0.5,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """All of `FIGURES`; arguments and result as in `ranked_figures`, the threshold as in `called_figures`."""
    return (
        ranked_figures(probabilities, labels, weights, columns=columns)
        | called_figures(probabilities, labels, weights, threshold=threshold, columns=columns)
        | said_figures(probabilities, labels, weights, columns=columns)
    )


def called_figures(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    threshold: float,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """Balanced accuracy, accuracy and F1 of fakes.

    Args:
        probabilities: (N,) of fake.
        labels: (N,) 0 real, 1 fake.
        weights: (R, C), one weighting a line, not negative.
        threshold: Above it a picture is called fake.
        columns: (N,) the column of each row; by default its own, C = N.

    Returns:
        Each of `CALLED` → (R,); nan in lines without weight. Balanced accuracy is nan in lines with one class only, F1
        in those without fakes (`metrics.binary_metrics`, which follows a training, has numbers there).

    Raises:
        UserError: A probability isn't a finite number.
    """
    require_finite(probabilities)
    called, fake = probabilities > threshold, labels == 1
    cells = np.stack([~called & ~fake, called & ~fake, ~called & fake, called & fake], axis=1)
    tn, fp, fn, tp = _sums(cells, weights, columns).T
    reals, fakes = tn + fp, fn + tp
    return {
        "balanced_accuracy": (_ratio(tn, reals) + _ratio(tp, fakes)) / 2,
        "accuracy": _ratio(tn + tp, reals + fakes),
        "f1": np.where(fakes > 0, _ratio(2 * tp, 2 * tp + fp + fn), np.nan),
    }


def said_figures(
    probabilities: _Array,
    labels: NDArray[np.int64],
    weights: NDArray[np.number],
    *,
    columns: NDArray[np.int64] | None = None,
) -> dict[str, _Array]:
    """Log loss and calibration error.

    The calibration error sorts the probabilities of fake into 15 bins of equal width; it is the mean, weighted by what
    lies in each bin, of |mean probability - share of fakes|. (The variant that asks how sure the detector was of its
    own call, whichever it was, gives other numbers.)

    Args:
        probabilities: (N,) of fake; for log loss kept 1e-15 away from 0 and 1.
        labels: (N,) 0 real, 1 fake.
        weights: (R, C), one weighting a line, not negative.
        columns: (N,) the column of each row; by default its own, C = N.

    Returns:
        Each of `SAID` → (R,); nan in lines without weight.

    Raises:
        UserError: A probability isn't a finite number.
    """
    require_finite(probabilities)
    safe = np.clip(probabilities, _TINY, 1 - _TINY)
    loss = -np.where(labels == 1, np.log(safe), np.log1p(-safe))
    in_bin = bin_of(probabilities)[:, None] == np.arange(BINS)
    values = np.column_stack([np.ones(len(loss)), loss, in_bin * (probabilities - labels)[:, None]])
    sums = _sums(values, weights, columns)
    return {"log_loss": _ratio(sums[:, 1], sums[:, 0]), "ece": _ratio(np.abs(sums[:, 2:]).sum(axis=1), sums[:, 0])}


def _sums(values: NDArray[Any], weights: NDArray[np.number], columns: NDArray[np.int64] | None) -> _Array:
    """(N, K) values of rows → (R, K) their weighted sums; rows are summed by column first, which is cheap."""
    values = np.asarray(values, dtype=np.float64)
    if columns is not None:
        values = np.stack([np.bincount(columns, part, minlength=weights.shape[1]) for part in values.T], axis=1)
    step = max(1, _AT_ONCE // max(weights.shape[1], 1))
    parts = [weights[start : start + step].astype(np.float64) @ values for start in range(0, len(weights), step)]
    return np.concatenate(parts)


def _ratio(part: _Array, whole: _Array) -> _Array:
    found: _Array = np.divide(part, whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return found
