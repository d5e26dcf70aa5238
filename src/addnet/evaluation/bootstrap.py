"""Cluster bootstrap: intervals of metrics and paired differences, from one set of resamples.

Frames of one video are similar, and so are a video and the fakes made from it. Therefore whole sources are drawn if
they are known, otherwise whole videos. Sources with real videos only, with fake videos only and with both are drawn
separately (strata), so that every resample has as many of each as the data set.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.evaluation.intervals import CONFIDENCE, Method, Support, freedom
from addnet.evaluation.scored import ScoredSet
from addnet.evaluation.table import TABLE
from addnet.pool.loop import cores

REALS, FAKES = 1, 2  # strata of units
BOTH = REALS + FAKES
_FEWEST = 2  # units that a class needs for an interval: a single one is in every resample
_AT_ONCE = 1_000_000  # counts per chunk, so that there is work for every core
_KEPT = 20_000_000  # up to this many counts (40 MB) are kept instead of being drawn again
_UNEVEN = 300  # with more units it makes no difference how evenly they contribute to a metric

MetricsOf = Callable[[NDArray[np.number]], dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class ResampledMetric:
    """A metric and its values in the resamples.

    Attributes:
        value: The metric with every row counted once.
        draws: (R,) float64; NaN where the metric is undefined, or everywhere if there are too few videos to draw from.
        method: How its interval is computed; None uses the percentiles of the draws, as for differences.
        by: The support of the metric; None without `method`.
    """

    value: float
    draws: NDArray[np.float64]
    method: Method | None = None
    by: Support | None = None

    def interval(self) -> dict[str, float | None]:
        """The value and the ends of its 95 % interval; None for an undefined number."""
        drawn = self.draws[np.isfinite(self.draws)]
        ends: tuple[float | None, float | None] = (None, None)
        if self.method is not None and self.by is not None and len(drawn) > 1 and np.isfinite(self.value):
            few = self.by.units / (self.by.units - 1)  # corrects for resamples spreading less than new samples would
            ends = self.method.ends(self.value, float(drawn.std(ddof=1)) * few**0.5, self.by)
        elif len(drawn):
            low, high = np.quantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)).tolist()
            ends = low, high
        return {"value": _number(self.value), "low": ends[0], "high": ends[1]}

    def minus(self, other: ResampledMetric) -> ResampledMetric:
        """The difference, resample by resample; both metrics must have the same draws on the same rows."""
        return ResampledMetric(self.value - other.value, self.draws - other.draws)

    def difference(self) -> dict[str, Any]:
        """For a difference: its interval and its two-sided bootstrap p-value `p`.

        `p` is twice the share of resamples in which the difference is 0 or has the opposite sign. It is at least
        2 / (R + 1), since no number of resamples can show that it is 0; `p_at_most` is True if it equals that bound.
        """
        drawn = self.draws[np.isfinite(self.draws)]
        p, bound = None, False
        if len(drawn) and np.isfinite(self.value):
            other = int((drawn * np.sign(self.value) <= 0).sum())
            p, bound = min(1.0, 2 * (other + 1) / (len(drawn) + 1)), other == 0
        return {**self.interval(), "p": p, "p_at_most": bound}


@dataclass(frozen=True)
class Units:
    """The units that are drawn whole: the sources of a data set, or its videos if the sources aren't known.

    Attributes:
        of_video: (V,) the unit of each video.
        strata: (U,) the stratum of each unit: `REALS` (only real videos), `FAKES` (only fake ones) or `BOTH`.
    """

    of_video: NDArray[np.int64]
    strata: NDArray[np.int64]

    @classmethod
    def of(cls, scored: ScoredSet) -> Units:
        """The units of a data set, in the order of their names, so that the order of rows makes no difference."""
        names = np.asarray(list(scored.video_ids if scored.sources is None else scored.sources)).astype(str)
        if scored.sources is None and len(set(names.tolist())) < len(names):  # not names: use the numbers of videos
            names = np.char.zfill(np.arange(len(names)).astype(str), len(str(len(names))))
        _, of_video = np.unique(names, return_inverse=True)
        classes = [np.bincount(of_video, scored.video_labels == label) > 0 for label in (0, 1)]
        return cls(of_video, classes[0] * REALS + classes[1] * FAKES)


@dataclass(frozen=True)
class Draws:
    """How often each unit is drawn in each resample: with replacement, within its stratum.

    Resamples are drawn on demand, each from its own seed, so that a million units take no more memory than a few of
    their resamples.

    Args:
        strata: (U,) the stratum of each unit.
        resamples: R, at least 1.
        seed: The same seed, name and strata give the same draws.
        name: Name of the data set, so that draws of different data sets are independent.

    Raises:
        UserError: `resamples` is less than 1.
    """

    strata: NDArray[np.int64]
    resamples: int
    seed: int
    name: str = ""

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise UserError(f"resamples={self.resamples}: expected at least 1; intervals are stable from about 1000")

    def __len__(self) -> int:
        return self.resamples

    def chunks(self) -> list[slice]:
        """The slices of resamples that are processed together, in order."""
        step = max(1, _AT_ONCE // max(len(self.strata), 1))
        return [slice(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    def of(self, lines: slice) -> NDArray[np.uint16]:
        """(r, U) how often each unit is drawn in the resamples of a slice."""
        if len(self) * len(self.strata) <= _KEPT:
            return self._every[lines]
        return self._drawn(lines)

    @cached_property
    def _every(self) -> NDArray[np.uint16]:
        return self._drawn(slice(0, len(self)))

    @cached_property
    def _members(self) -> list[NDArray[np.int64]]:
        return [np.flatnonzero(self.strata == stratum) for stratum in np.unique(self.strata)]

    def _drawn(self, lines: slice) -> NDArray[np.uint16]:
        counts = np.zeros((lines.stop - lines.start, len(self.strata)), dtype=np.uint16)
        for line, number in zip(counts, range(lines.start, lines.stop), strict=True):
            random = np.random.default_rng([self.seed, zlib.crc32(self.name.encode()), number])
            for units in self._members:
                line[units] = np.bincount(random.integers(0, len(units), len(units)), minlength=len(units))
        return counts


def resampled(
    metrics_of: MetricsOf, draws: Draws, columns: NDArray[np.int64], labels: NDArray[np.int64]
) -> dict[str, ResampledMetric]:
    """Computes metrics and their values in the resamples.

    Args:
        metrics_of: Weights of the units (r, U) → name → (r,), such as `weighted.calling` returns.
        draws: Draws of the units.
        columns: (N,) the unit of each row.
        labels: (N,) 0 real, 1 fake. If a class has a single unit there are no intervals: they would be too narrow.
    """
    plain = metrics_of(np.ones((1, len(draws.strata))))
    numbers = [len(np.unique(columns[labels == label])) for label in (0, 1)]
    if any(0 < number < _FEWEST for number in numbers) or not any(numbers):
        return {name: ResampledMetric(float(value[0]), np.full(len(draws), np.nan)) for name, value in plain.items()}

    def of_chunk(lines: slice) -> dict[str, NDArray[np.float64]]:
        return metrics_of(draws.of(lines))

    with ThreadPoolExecutor(cores()) as pool:  # NumPy releases the GIL in long operations
        parts = list(pool.map(of_chunk, draws.chunks()))
    moved = {name: np.concatenate([part[name] for part in parts]) for name in plain}
    units = min(number for number in numbers if number)
    carried = _carried(metrics_of, list(plain), draws.strata, np.unique(columns), units)
    return {
        name: ResampledMetric(float(value[0]), moved[name], TABLE[name].interval, carried[name])
        for name, value in plain.items()
    }


def _carried(
    metrics_of: MetricsOf, names: Sequence[str], strata: NDArray[np.int64], members: NDArray[np.int64], units: int
) -> dict[str, Support]:
    """The support of each metric; if there are few units, from the metric without each of them in turn."""
    known = dict.fromkeys(names, Support(units, units - 1))
    uneven = [name for name in names if TABLE[name].interval.evenness]
    if uneven and len(members) <= _UNEVEN:
        weights = np.ones((len(members), len(strata)))
        weights[np.arange(len(members)), members] = 0  # line i leaves out unit members[i]
        without = metrics_of(weights)
        known |= {name: Support(units, min(units - 1, freedom(without[name], strata[members]))) for name in uneven}
    return known


def average(parts: Sequence[ResampledMetric]) -> ResampledMetric:
    """The unweighted mean over data sets; their draws are independent, so resamples are averaged one by one."""
    if len(parts) == 1:
        return parts[0]
    value, draws = np.mean([part.value for part in parts]), np.mean([part.draws for part in parts], axis=0)
    by = [part.by for part in parts if part.by is not None]
    least = Support(min(one.units for one in by), min(one.freedom for one in by)) if len(by) == len(parts) else None
    return ResampledMetric(float(value), np.asarray(draws), parts[0].method, least)


def same_rows(one: ScoredSet, other: ScoredSet) -> bool:
    """Whether two checkpoints scored the same images in the same order, as a paired comparison needs."""
    return (
        list(one.paths) == list(other.paths)
        and np.array_equal(one.labels, other.labels)
        and np.array_equal(one.videos, other.videos)
    )


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
