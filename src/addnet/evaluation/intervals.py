"""The ends of 95 % intervals, from the spread of resamples and the number of sources that support a metric.

Percentiles of resamples are too narrow if there are few videos or few errors: they contained a true AUROC of 0.99 in
only 70 of 100 simulated data sets of 10 real and 10 fake videos. The methods here were chosen by that simulation
(`scripts/coverage.py`, docs/evaluation.md).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_TAIL = (1 + CONFIDENCE) / 2

Ends = tuple[float, float]


@dataclass(frozen=True)
class Support:
    """The amount of independent data that supports a metric.

    Attributes:
        units: Number of sources, or videos, of the class that has fewer of them; at least 2.
        freedom: Degrees of freedom of the metric's spread.
    """

    units: int
    freedom: float

    @property
    def reach(self) -> float:
        """Half the width of an interval in units of the spread: Student's quantile."""
        return _quantile(self.freedom)


@dataclass(frozen=True)
class Method:
    """How an interval is computed.

    Attributes:
        ends: Value, spread and support → lower and upper end.
        evenness: Whether the degrees of freedom depend on how evenly units contribute to the metric (see `freedom`),
            and not only on their number.
    """

    ends: Callable[[float, float, Support], Ends]
    evenness: bool = False


def wilson(hits: float, total: float, *, reach: float | None = None) -> Ends:
    """The 95 % interval of a share (Wilson 1927), which has a positive width even if no error was observed.

    Args:
        hits: Number of hits among `total`; may be fractional if rows count less than one.
        total: Number of trials, at least 1.
        reach: Half the width in standard deviations; None is the quantile of the normal distribution.

    Returns:
        Lower and upper end, in [0, 1].

    Example:
        >>> [round(end, 4) for end in wilson(0, 100)]
        [0.0, 0.037]
    """
    reach = _quantile(math.inf) if reach is None else reach
    share, spread = hits / total, reach**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = reach / (1 + spread) * math.sqrt(max(share * (1 - share), 0.0) / total + spread / (4 * total))
    return max(0.0, middle - half), min(1.0, middle + half)


def _share(value: float, spread: float, by: Support) -> Ends:
    """Wilson's interval for the number of independent rows with the same spread (Kish's effective sample size)."""
    number = value * (1 - value) / spread**2 if spread > 0 else 0.0
    return wilson(value * number, number, reach=by.reach) if number > 0 else _without_errors(value, by)


def _area(value: float, spread: float, by: Support) -> Ends:
    """An interval that is symmetric in the logit of the area, by the delta method."""
    if not 0 < value < 1 or spread <= 0:
        return _without_errors(value, by)
    half = by.reach * spread / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-(math.log(value / (1 - value)) + step))) for step in (-half, half))
    return low, high


def _amount(value: float, spread: float, by: Support) -> Ends:
    """An interval that is symmetric in the logarithm, for a metric above 0 without an upper bound."""
    half = by.reach * spread / value if value > 0 else 0.0
    return value * math.exp(-half), value * math.exp(half)


def _without_errors(value: float, by: Support) -> Ends:
    """Wilson's interval with each unit as one trial, for a metric without spread because nothing or all is wrong."""
    return wilson(value * by.units, by.units)


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit  # slow to import, and not needed for inference

    return float(stdtrit(freedom, _TAIL))


SHARE, AREA, AMOUNT = Method(_share), Method(_area, evenness=True), Method(_amount)


def freedom(without: NDArray[np.float64], strata: NDArray[np.int64]) -> float:
    """Degrees of freedom of a metric's spread, fewer if a few units contribute most of it (Satterthwaite).

    Args:
        without: (U,) the metric without each unit in turn.
        strata: (U,) the stratum of each unit.

    Returns:
        At least 1; U - 1 if there is one stratum and the contributions are distributed normally.
    """
    total, doubt = 0.0, 0.0  # variance of the metric, and the variance of that estimate / 2
    for stratum in np.unique(strata):
        own = without[strata == stratum]
        number = len(own)
        moved = own - own.mean()
        square = float((moved**2).sum())
        if number < 2 or square <= 0:
            continue
        variance = square * (number - 1) / number
        kurtosis = number * float((moved**4).sum()) / square**2
        total += variance
        doubt += variance**2 * max(kurtosis - 1, 2 * number / (number - 1)) / number
    return max(1.0, 2 * total**2 / doubt) if doubt > 0 else math.inf
