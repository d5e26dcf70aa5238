"""Estimates the means and differences of variants, with confidence intervals, from rows and scores in `results/`.

The intervals cover two sources of chance: the seed and the sampling of the test set. Sources are resampled with all
their images, real and fake, so that the intervals account for the dependence between these. Differences are paired
over seeds and over sources.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.evaluation.paired import shares_in_order
from addnet.evaluation.ranking import ranking
from addnet.study.results import Results, Row, TestScores
from addnet.sweeps.intervals import Estimate

RESAMPLES = 1000
AUROC, PAIRED = "auroc", "paired_accuracy"

Draws = NDArray[np.float64]


@dataclass
class Variant:
    """All finished cells of a variant.

    Attributes:
        rows: Rows of the results by seed.
        draws: Metric → seed → its values in resamples of the sources, (R,); empty if nothing was tested.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    draws: dict[str, dict[str, Draws]] = field(default_factory=dict)

    def values(self, metric: str) -> dict[str, float]:
        """Returns a metric, such as `test/frame/auroc`, by seed."""
        return {seed: float(row[metric]) for seed, row in self.rows.items() if row[metric]}

    def estimate(self, metric: str) -> Estimate | None:
        """Estimates the mean of a metric over seeds; None without a value."""
        values = self.values(metric)
        return Estimate.of(list(values.values()), _variance([self._of(metric)], list(values))) if values else None

    def minus(self, other: Variant, metric: str) -> Estimate | None:
        """Estimates the mean difference over common seeds, from the same resamples; None without common seeds."""
        mine, theirs = self.values(metric), other.values(metric)
        seeds = [seed for seed in mine if seed in theirs]
        if not seeds:
            return None
        variance = _variance([self._of(metric), other._of(metric)], seeds)
        return Estimate.of([mine[seed] - theirs[seed] for seed in seeds], variance)

    def _of(self, metric: str) -> dict[str, Draws]:
        split, _, name = metric.split("/")
        return self.draws.get(name, {}) if split == "test" else {}


def variants(results: Results, size: str) -> dict[str, Variant]:
    """Collects the results of all variants of a size.

    Raises:
        UserError: Cells were tested on different images, or the seeds of a variant were trained with different
            configs.
    """
    by_name: dict[str, Variant] = {}
    names: tuple[str, ...] = ()
    for row in results.rows():
        if row["size"] != size:
            continue
        variant = by_name.setdefault(row["variant"], Variant())
        if any(other["config"] != row["config"] for other in variant.rows.values()):
            raise UserError(f"{row['variant']} of {size} has rows of several configs; remove the outdated ones")
        variant.rows[row["seed"]] = row
        if (scored := results.scores(row)) is not None:
            names = names or scored.names
            if scored.names != names:
                raise UserError(
                    f"{row['variant']}, seed {row['seed']}, was not tested on the same sources as the others"
                )
            for metric, draws in drawn(scored).items():
                variant.draws.setdefault(metric, {})[row["seed"]] = draws
    return by_name


def drawn(scored: TestScores) -> dict[str, Draws]:
    """Resamples the sources of a test; returns AUROC and paired accuracy, (R,) each.

    The resamples are the same for all cells.

    Example:
        >>> sources, labels, scores = [0, 0, 1, 1], [0, 1, 0, 1], [0.1, 0.9, 0.2, 0.7]
        >>> scored = TestScores(np.array(sources), np.array(labels), np.array(scores), ("a", "b"))
        >>> {name: float(draws.mean()) for name, draws in drawn(scored).items()}
        {'auroc': 1.0, 'paired_accuracy': 1.0}
    """
    counts = _counts(len(scored.names))  # (R, G) weights of the sources; an image has the weight of its source
    auroc = ranking(scored.scores, scored.labels, columns=scored.sources, only=(AUROC,))(counts)[AUROC]
    metrics = {AUROC: auroc}
    shares, _ = shares_in_order(scored.scores, scored.labels, scored.sources)
    # shares: (G,) share of correctly ordered pairs (real, fake) within each source
    if len(shares) == len(scored.names):  # every source has both classes
        metrics[PAIRED] = counts @ shares / len(shares)
    return metrics


def comparisons(found: Mapping[str, Variant], pairs: Iterable[tuple[str, str]], metric: str) -> dict[str, Estimate]:
    """Estimates the differences of variants to their references, as far as both have results."""
    made: dict[str, Estimate] = {}
    for name, reference in pairs:
        if name in found and reference in found and name != reference:
            difference = found[name].minus(found[reference], metric)
            if difference is not None:
                made[name] = difference
    return made


@cache
def _counts(sources: int) -> NDArray[np.uint16]:
    """Returns how often each source occurs in each resample: (R, G)."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, sources, (RESAMPLES, sources))
    return np.stack([np.bincount(line, minlength=sources) for line in drawn]).astype(np.uint16)


def _variance(sides: Sequence[Mapping[str, Draws]], seeds: Sequence[str]) -> float:
    """Returns the variance, over resampled sources, of a mean over seeds or a difference of two such means.

    NaN if a seed has no resamples.
    """
    means = []  # for each side, the mean over seeds in each resample: (R,)
    for side in sides:
        if not all(seed in side for seed in seeds):
            return math.nan
        means.append(np.mean([side[seed] for seed in seeds], axis=0))
    values = means[0] if len(means) == 1 else means[0] - means[1]
    finite = values[np.isfinite(values)]
    return float(np.var(finite, ddof=1)) if len(finite) > 1 else math.nan
