"""Shares of pictures with their intervals, where there is nothing to resample: few errors, or none."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Z = 1.959963984540054  # of a two-sided 95 % interval


WRONG = ("real_called_fake", "fake_called_real")


def error_rates(
    probabilities: NDArray[np.float64],
    labels: NDArray[np.int64],
    units: NDArray[np.int64],
    *,
    threshold: float,
) -> dict[str, dict[str, Any] | None]:
    """How often real rows are called fake, and fake ones real.

    Args:
        probabilities: (N,) of fake.
        labels: (N,) 0 real, 1 fake.
        units: (N,) number of the source of each row, or of its video.
        threshold: Above it a row is called fake.

    Returns:
        Each of `WRONG` → how many (`count`) `of` how many rows, their share (`value`) and its 95 % interval (`low`,
        `high`), Wilson's for as many rows as there are units: frames of a video are alike. None without such rows.
    """
    called = probabilities > threshold
    return {wrong: _rate_of(called != label, labels == label, units) for label, wrong in enumerate(WRONG)}


def _rate_of(wrong: NDArray[np.bool_], own: NDArray[np.bool_], units: NDArray[np.int64]) -> dict[str, Any] | None:
    if not own.any():
        return None
    return rate(int(wrong[own].sum()), int(own.sum()), rows=len(np.unique(units[own])))


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


def wilson(hits: float, total: float) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927), which has a width also where no error was seen.

    Args:
        hits: How many of `total`; fractions where rows count for less than one.
        total: At least 1.

    Returns:
        Lower and upper end, in [0, 1].

    Example:
        >>> [round(end, 4) for end in wilson(0, 100)]
        [0.0, 0.037]
    """
    share, spread = hits / total, _Z**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)
