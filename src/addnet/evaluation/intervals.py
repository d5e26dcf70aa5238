"""Where the ends of a 95 % interval lie, by how far resamples spread and by how many sources carry a metric.

Percentiles of resamples are too narrow where there are few videos or few errors: a true AUROC of 0.99 lay within them
in 70 of 100 simulated data sets of 10 real and 10 fake videos. What is used instead was chosen by that simulation
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
    """By how much a metric is carried.

    Attributes:
        units: Sources, or videos, of the class that has fewer of them; at least 2.
        freedom: Degrees of freedom of its spread.
    """

    units: int
    freedom: float

    @property
    def reach(self) -> float:
        """How many spreads an interval reaches to either side: Student's quantile."""
        return _quantile(self.freedom)


@dataclass(frozen=True)
class Method:
    """How an interval is made.

    Attributes:
        ends: Value, spread and what carries it → lower and upper end.
        evenness: Whether `freedom` is to tell how evenly units carry the metric (see `freedom`), instead of how many
            there are.
    """

    ends: Callable[[float, float, Support], Ends]
    evenness: bool = False


def wilson(hits: float, total: float, *, reach: float | None = None) -> Ends:
    """The 95 % interval of a share (Wilson 1927), which has a width also where no error was seen.

    Args:
        hits: How many of `total`; fractions where rows count for less than one.
        total: At least 1.
        reach: In standard deviations; None: that of the normal distribution.

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
    """Wilson's, for as many rows as would spread as far if each told something of its own (Kish's effective number)."""
    number = value * (1 - value) / spread**2 if spread > 0 else 0.0
    return wilson(value * number, number, reach=by.reach) if number > 0 else _without_errors(value, by)


def _area(value: float, spread: float, by: Support) -> Ends:
    """Symmetric in the logit of the area, by the delta method."""
    if not 0 < value < 1 or spread <= 0:
        return _without_errors(value, by)
    half = by.reach * spread / (value * (1 - value))
    low, high = (1 / (1 + math.exp(-(math.log(value / (1 - value)) + step))) for step in (-half, half))
    return low, high


def _amount(value: float, spread: float, by: Support) -> Ends:
    """Symmetric in the logarithm, of what is above 0 without a limit."""
    half = by.reach * spread / value if value > 0 else 0.0
    return value * math.exp(-half), value * math.exp(half)


def _without_errors(value: float, by: Support) -> Ends:
    """Where nothing spreads since nothing went wrong, or all: as if each unit told one thing."""
    return wilson(value * by.units, by.units)


def _quantile(freedom: float) -> float:
    from scipy.special import stdtrit  # slow to import, and not needed to ask a detector

    return float(stdtrit(freedom, _TAIL))


SHARE, AREA, AMOUNT = Method(_share), Method(_area, evenness=True), Method(_amount)


def freedom(without: NDArray[np.float64], strata: NDArray[np.int64]) -> float:
    """Degrees of freedom of a metric's spread, fewer where few units carry most of it (Satterthwaite).

    Args:
        without: (U,) the metric when each unit is left out.
        strata: (U,) what each unit is drawn among.

    Returns:
        At least 1; U - 1 where the contributions of one stratum are spread like a normal distribution.
    """
    total, doubt = 0.0, 0.0
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
