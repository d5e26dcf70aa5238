"""Error rates with their intervals, without resamples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.decision import UNDECIDED, Decision
from addnet.evaluation.intervals import SHARE, Support, wilson

WRONG = ("real_called_fake", "fake_called_real")
UNDECIDED_OF = ("real_undecided", "fake_undecided")


def error_rates(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    *,
    decision: Decision,
) -> dict[str, dict[str, Any] | None]:
    """How often real rows are called fake and fake rows real, and how many of each are undecided.

    Args:
        probabilities: (N,) probability of fake.
        labels: (N,) 0 real, 1 fake.
        units: (N,) number of the source of each row, or of its video.
        decision: A decision with a threshold.

    Returns:
        Each of `WRONG`, and each of `UNDECIDED_OF` if there are two thresholds → number of errors (`count`) and of rows
        (`of`), their share (`value`) and its 95 % interval (`low`, `high`): Wilson's, for the number of independent
        rows with the same spread. None if there are no rows of the class.
    """
    called = decision.called(probabilities)
    rates = {wrong: _rate_of(called == 1 - label, labels == label, units) for label, wrong in enumerate(WRONG)}
    if decision.real_up_to is not None:
        for label, name in enumerate(UNDECIDED_OF):
            rates[name] = _rate_of(called == UNDECIDED, labels == label, units)
    return rates


def _rate_of(wrong: NDArray[np.bool_], own: NDArray[np.bool_], units: NDArray[np.int64]) -> dict[str, Any] | None:
    if not own.any():
        return None
    _, columns = np.unique(units[own], return_inverse=True)
    rows, errors = np.bincount(columns), np.bincount(columns, wrong[own])  # per unit: its rows, and its errors
    plain = rate(int(errors.sum()), len(columns), rows=len(rows))
    if len(rows) < 2:
        return plain
    # standard error of a ratio of sums over units
    spread = math.sqrt(len(rows) / (len(rows) - 1) * ((errors - plain["value"] * rows) ** 2).sum()) / len(columns)
    low, high = SHARE.ends(plain["value"], spread, Support(len(rows), len(rows) - 1))
    return {**plain, "low": low, "high": high}


def rate(count: int, of: int, *, rows: int | None = None) -> dict[str, Any]:
    """An error rate as plain values: `count`, `of`, `value`, `low`, `high`.

    Args:
        count: Number of errors.
        of: Number of rows, at least 1.
        rows: Number of independent rows, for the interval; None counts all.
    """
    rows = of if rows is None else rows
    low, high = wilson(count / of * rows, rows)
    return {"count": count, "of": of, "value": count / of, "low": low, "high": high}
