"""Shares of errors with their intervals, without resamples."""

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
    """How often real rows are called fake, fake ones real, and how many of each are undecided, if any can be.

    Args:
        probabilities: (N,) of fake.
        labels: (N,) 0 real, 1 fake.
        units: (N,) number of the source of each row, or of its video.
        decision: With a threshold.

    Returns:
        Each of `WRONG`, and of `UNDECIDED_OF` where there are two thresholds, → how many (`count`) `of` how many rows,
        their share (`value`) and its 95 % interval (`low`, `high`), Wilson's for as many rows as would be as steady if
        frames of a video weren't alike. None without such rows.
    """
    called = decision.called(probabilities)
    found = {wrong: _rate_of(called == 1 - label, labels == label, units) for label, wrong in enumerate(WRONG)}
    if decision.real_up_to is not None:
        for label, name in enumerate(UNDECIDED_OF):
            found[name] = _rate_of(called == UNDECIDED, labels == label, units)
    return found


def _rate_of(wrong: NDArray[np.bool_], own: NDArray[np.bool_], units: NDArray[np.int64]) -> dict[str, Any] | None:
    if not own.any():
        return None
    _, columns = np.unique(units[own], return_inverse=True)
    rows, errors = np.bincount(columns), np.bincount(columns, wrong[own])
    found = rate(int(errors.sum()), len(columns), rows=len(rows))
    if len(rows) < 2:
        return found
    spread = math.sqrt(len(rows) / (len(rows) - 1) * ((errors - found["value"] * rows) ** 2).sum()) / len(columns)
    low, high = SHARE.ends(found["value"], spread, Support(len(rows), len(rows) - 1))
    return {**found, "low": low, "high": high}


def rate(count: int, of: int, *, rows: int | None = None) -> dict[str, Any]:
    """A share of errors as plain values: `count`, `of`, `value`, `low`, `high`.

    Args:
        count: Errors.
        of: Among so many, at least 1.
        rows: That say something of their own, for the interval; None: all.
    """
    rows = of if rows is None else rows
    low, high = wilson(count / of * rows, rows)
    return {"count": count, "of": of, "value": count / of, "low": low, "high": high}
