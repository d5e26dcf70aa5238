"""How far metrics would move with other videos: intervals, and paired differences, from one set of resamples.

Frames of one video are alike, and so are a video and the fakes made of it: whole sources are drawn where they are
known, else whole videos (a cluster bootstrap); those with real videos alone, with fake ones alone and with both apart,
so that every resample has as many of each as the data set.
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
_FEWEST = 2  # units of a class that is there: one alone never changes
_AT_ONCE = 4_000_000  # counts of a chunk
_KEPT = 20_000_000  # counts that are kept instead of being drawn again: 40 MB
_UNEVEN = 300  # units from which on it makes no difference how evenly they carry a metric

MetricsOf = Callable[[NDArray[np.number]], dict[str, NDArray[np.float64]]]


@dataclass(frozen=True)
class ResampledMetric:
    """A metric, and what it is in each resample.

    Attributes:
        value: With every row counted once.
        draws: (R,) float64; nan where the metric means nothing, or where there were too few videos to draw from.
        method: Of its interval; None: the percentiles of the draws, as for differences.
        by: What carries it; None without `method`.
    """

    value: float
    draws: NDArray[np.float64]
    method: Method | None = None
    by: Support | None = None

    def interval(self) -> dict[str, float | None]:
        """The value with the ends of its 95 % interval; None where there is no number."""
        drawn = self.draws[np.isfinite(self.draws)]
        ends: tuple[float | None, float | None] = (None, None)
        if self.method is not None and self.by is not None and len(drawn) > 1 and np.isfinite(self.value):
            few = self.by.units / (self.by.units - 1)  # resamples spread less than samples do
            ends = self.method.ends(self.value, float(drawn.std(ddof=1)) * few**0.5, self.by)
        elif len(drawn):
            low, high = np.quantile(drawn, ((1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2)).tolist()
            ends = low, high
        return {"value": _number(self.value), "low": ends[0], "high": ends[1]}

    def minus(self, other: ResampledMetric) -> ResampledMetric:
        """The difference, resample by resample: it needs the same draws on the same rows."""
        return ResampledMetric(self.value - other.value, self.draws - other.draws)

    def difference(self) -> dict[str, Any]:
        """For a difference: its interval and `p`, how often resamples fall on the other side of 0.

        `p` is twice the share of resamples that are 0 or of the other sign, a bootstrap p-value, two-sided. It is at
        least 2 / (R + 1), since no number of resamples shows that it is 0; `p_at_most` says that it is that bound.
        """
        drawn = self.draws[np.isfinite(self.draws)]
        p, bound = None, False
        if len(drawn) and np.isfinite(self.value):
            other = int((drawn * np.sign(self.value) <= 0).sum())
            p, bound = min(1.0, 2 * (other + 1) / (len(drawn) + 1)), other == 0
        return {**self.interval(), "p": p, "p_at_most": bound}


@dataclass(frozen=True)
class Units:
    """What is drawn whole: the sources of a data set, or where these aren't known its videos.

    Attributes:
        of_video: (V,) the unit of each video.
        strata: (U,) what each is drawn among: units with real videos alone, with fake ones alone, with both.
    """

    of_video: NDArray[np.int64]
    strata: NDArray[np.int64]

    @classmethod
    def of(cls, scored: ScoredSet) -> Units:
        """In the order of their names, so that the order of rows makes no difference."""
        names = np.asarray(list(scored.video_ids if scored.sources is None else scored.sources)).astype(str)
        if scored.sources is None and len(set(names.tolist())) < len(names):  # names are not known
            names = np.char.zfill(np.arange(len(names)).astype(str), len(str(len(names))))
        _, of_video = np.unique(names, return_inverse=True)
        classes = [np.bincount(of_video, scored.video_labels == label) > 0 for label in (0, 1)]
        return cls(of_video, classes[0] * REALS + classes[1] * FAKES)


@dataclass(frozen=True)
class Draws:
    """How often each unit is drawn in each resample: with replacement, within its stratum.

    They are made when they are asked for, each from an address of its own, so that a million units take no more memory
    than a few resamples of them.

    Args:
        strata: (U,) what each unit is drawn among.
        resamples: R, at least 1.
        seed: The same seed, name and strata give the same draws.
        name: Of the data set, so that two of them are drawn independently.

    Raises:
        UserError: Less than one resample.
    """

    strata: NDArray[np.int64]
    resamples: int
    seed: int
    name: str = ""

    def __post_init__(self) -> None:
        if self.resamples < 1:
            raise UserError(f"resamples={self.resamples}: expected at least 1; intervals are steady from about 1000")

    def __len__(self) -> int:
        return self.resamples

    def chunks(self) -> list[slice]:
        """Resamples that are looked at together, in their order."""
        step = max(1, _AT_ONCE // max(len(self.strata), 1))
        return [slice(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    def of(self, lines: slice) -> NDArray[np.uint16]:
        """(r, U) counts of some resamples."""
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
    """Metrics with their resamples.

    Args:
        metrics_of: Weights of the units (r, U) → name → (r,), such as `weighted.calling` gives.
        draws: Of the units.
        columns: (N,) the unit of each row.
        labels: (N,) 0 real, 1 fake. A class with a single unit gets no interval, since it would be too narrow.
    """
    plain = metrics_of(np.ones((1, len(draws.strata))))
    numbers = [len(np.unique(columns[labels == label])) for label in (0, 1)]
    if any(0 < number < _FEWEST for number in numbers) or not any(numbers):
        return {name: ResampledMetric(float(value[0]), np.full(len(draws), np.nan)) for name, value in plain.items()}

    def of_chunk(lines: slice) -> dict[str, NDArray[np.float64]]:
        return metrics_of(draws.of(lines))

    first, *others = draws.chunks()
    parts = [of_chunk(first)]
    if others:
        with ThreadPoolExecutor(cores()) as pool:  # NumPy lets go of the interpreter where there is much to do
            parts += pool.map(of_chunk, others)
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
    """What carries each metric, by leaving out one unit after another where there are few."""
    known = dict.fromkeys(names, Support(units, units - 1))
    uneven = [name for name in names if TABLE[name].interval.evenness]
    if uneven and len(members) <= _UNEVEN:
        weights = np.ones((len(members), len(strata)))
        weights[np.arange(len(members)), members] = 0
        without = metrics_of(weights)
        known |= {name: Support(units, min(units - 1, freedom(without[name], strata[members]))) for name in uneven}
    return known


def average(parts: Sequence[ResampledMetric]) -> ResampledMetric:
    """The plain mean over data sets; their draws are independent, so that resamples are averaged one by one."""
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
