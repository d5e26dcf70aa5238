"""Confidence intervals of a mean over seeds: Student's t over the seeds, plus the sampling of test videos.

The two sources of chance are independent. The seed changes the weights and not the test set; another test set would
change the metrics of all runs together. The half-widths of both are added in quadrature, at the same confidence.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95
_STEPS = 50  # bisections, about the resolution of a float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its uncertainty.

    Attributes:
        mean: Mean over the seeds.
        sd: Sample standard deviation over the seeds; NaN for one seed.
        seeds: Number of seeds.
        sampling: Variance of the mean over resamples of the test videos; NaN if unknown.
    """

    mean: float
    sd: float
    seeds: int
    sampling: float = math.nan

    @classmethod
    def of(cls, values: Sequence[float], sampling: float = math.nan) -> Estimate:
        """Makes an estimate from one value per seed; at least one value."""
        sd = statistics.stdev(values) if len(values) > 1 else math.nan
        return cls(statistics.fmean(values), sd, len(values), sampling)

    @property
    def is_sampled(self) -> bool:
        """Whether the variance over test videos is known."""
        return math.isfinite(self.sampling)

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Returns the half-width of the confidence interval; NaN for one seed or if both variances are 0."""
        video = self.sampling if self.is_sampled else 0.0
        if self.seeds < 2 or (self.sd == 0 and video == 0):
            return math.nan
        # quantiles of Student's t and, for infinite degrees of freedom, of the normal distribution
        t, z = (float(stdtrit(freedom, (1 + confidence) / 2)) for freedom in (self.seeds - 1, math.inf))
        return math.sqrt(t**2 * self.sd**2 / self.seeds + z**2 * video)

    def p_value(self) -> float:
        """Returns the two-sided p-value for a mean of 0: 1 minus the confidence at which the interval reaches 0.

        NaN if there is no interval; but 1 if the values of two or more seeds are all 0.
        """
        if not math.isfinite(self.half_width()):
            return 1.0 if self.seeds > 1 and self.mean == 0 else math.nan
        if not self.is_sampled or not self.sampling:
            return float(2 * stdtr(self.seeds - 1, -abs(self.mean) / self.sd * math.sqrt(self.seeds)))
        low, high = 0.0, 1.0  # the confidence at which half_width equals |mean|, by bisection
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.half_width(middle) < abs(self.mean) else (low, middle)
        return 1 - low


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrects p-values for multiple comparisons (Holm 1979); NaN stays NaN and counts as a comparison.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    corrected = list(p_values)
    largest = 0.0
    known = sorted((p, at) for at, p in enumerate(p_values) if math.isfinite(p))
    for rank, (p, at) in enumerate(known):
        largest = min(1.0, max(largest, p * (len(p_values) - rank)))
        corrected[at] = largest
    return corrected
