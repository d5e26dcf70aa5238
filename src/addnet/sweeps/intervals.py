"""How far a mean over seeds may be off: Student's t over the seeds, with the sampling of test videos on top.

The two are different chances. Seeds move the weights and not the test set; another test set would move every run alike.
Half-widths of both are added in quadrature, at the same confidence.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from scipy.special import stdtr, stdtrit

CONFIDENCE = 0.95
_STEPS = 50  # bisections: about what a float can tell apart


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and what is known of its error.

    Attributes:
        mean: Over the seeds.
        sd: Sample standard deviation over the seeds; NaN for one seed.
        seeds: How many.
        sampling: Variance of the mean over draws of test videos; NaN where none are known.
    """

    mean: float
    sd: float
    seeds: int
    sampling: float = math.nan

    @classmethod
    def of(cls, values: Sequence[float], sampling: float = math.nan) -> Estimate:
        """From a value for each seed; at least one."""
        sd = statistics.stdev(values) if len(values) > 1 else math.nan
        return cls(statistics.fmean(values), sd, len(values), sampling)

    @property
    def is_sampled(self) -> bool:
        """Whether the sampling of test videos is known."""
        return math.isfinite(self.sampling)

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Of the interval around the mean; NaN for one seed, or where nothing varies at all."""
        video = self.sampling if self.is_sampled else 0.0
        if self.seeds < 2 or (self.sd == 0 and video == 0):
            return math.nan
        t, z = (float(stdtrit(freedom, (1 + confidence) / 2)) for freedom in (self.seeds - 1, math.inf))
        return math.sqrt(t**2 * self.sd**2 / self.seeds + z**2 * video)

    def p_value(self) -> float:
        """Two-sided, of a mean of 0: 1 minus the confidence at which the interval just reaches it.

        NaN where there is no interval, except that a difference of nothing but zeros is none.
        """
        if not math.isfinite(self.half_width()):
            return 1.0 if self.seeds > 1 and self.mean == 0 else math.nan
        if not self.is_sampled or not self.sampling:
            return float(2 * stdtr(self.seeds - 1, -abs(self.mean) / self.sd * math.sqrt(self.seeds)))
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.half_width(middle) < abs(self.mean) else (low, middle)
        return 1 - low


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979); those that are NaN stay so and count as comparisons.

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
