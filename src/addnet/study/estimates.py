"""Rows and scores of `results/` → what may be said of a variant: means and differences with their intervals.

Two chances are in an interval: other seeds, and other sources of the test set. A source is drawn with all its images,
the real ones and the fakes, so that intervals know that they belong together. Differences are paired over both.
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
from addnet.evaluation.ranking import ranked_metrics
from addnet.study.results import Results, Row, TestScores
from addnet.sweeps.intervals import Estimate

RESAMPLES = 1000
AUROC, PAIRED = "auroc", "paired_accuracy"

Draws = NDArray[np.float64]


@dataclass
class Variant:
    """All finished cells of a variant.

    Attributes:
        rows: By seed.
        draws: Metric → seed → what it is with other sources, (R,); empty where nothing was tested.
    """

    rows: dict[str, Row] = field(default_factory=dict)
    draws: dict[str, dict[str, Draws]] = field(default_factory=dict)

    def values(self, metric: str) -> dict[str, float]:
        """A metric by seed, such as `test/frame/auroc`."""
        return {seed: float(row[metric]) for seed, row in self.rows.items() if row[metric]}

    def estimate(self, metric: str) -> Estimate | None:
        """Its mean over seeds, with what is known of its error; None without a value."""
        values = self.values(metric)
        return Estimate.of(list(values.values()), _variance([self._of(metric)], list(values))) if values else None

    def minus(self, other: Variant, metric: str) -> Estimate | None:
        """The mean difference over the seeds of both, from the same sources; None where they have none in common."""
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
    """Everything that is known of the variants of a size.

    Raises:
        UserError: Two cells were tested on other images, or seeds of one variant were trained by other configs.
    """
    found: dict[str, Variant] = {}
    names: tuple[str, ...] = ()
    for row in results.rows():
        if row["size"] != size:
            continue
        variant = found.setdefault(row["variant"], Variant())
        if any(other["config"] != row["config"] for other in variant.rows.values()):
            raise UserError(f"{row['variant']} of {size} has rows of several configs; remove those out of date")
        variant.rows[row["seed"]] = row
        if (scored := results.scores(row)) is not None:
            names = names or scored.names
            if scored.names != names:
                raise UserError(f"{row['variant']}, seed {row['seed']}, was tested on other sources than the others")
            for metric, draws in drawn(scored).items():
                variant.draws.setdefault(metric, {})[row["seed"]] = draws
    return found


def drawn(scored: TestScores) -> dict[str, Draws]:
    """What AUROC and paired accuracy of a test are with other sources: (R,) each; the same draws for all cells.

    Example:
        >>> scored = Scored(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1]), np.array([0.1, 0.9, 0.2, 0.7]), ("a", "b"))
        >>> {name: float(draws.mean()) for name, draws in drawn(scored).items()}
        {'auroc': 1.0, 'paired_accuracy': 1.0}
    """
    counts = _counts(len(scored.names))
    auroc = ranked_metrics(scored.scores, scored.labels, counts, columns=scored.sources)[AUROC]
    found = {AUROC: auroc}
    shares, _ = shares_in_order(scored.scores, scored.labels, scored.sources)
    if len(shares) == len(scored.names):  # every source has both classes
        found[PAIRED] = counts @ shares / len(shares)
    return found


def comparisons(found: Mapping[str, Variant], pairs: Iterable[tuple[str, str]], metric: str) -> dict[str, Estimate]:
    """Differences of variants to their references, of those of which something is known."""
    made: dict[str, Estimate] = {}
    for name, reference in pairs:
        if name in found and reference in found and name != reference:
            difference = found[name].minus(found[reference], metric)
            if difference is not None:
                made[name] = difference
    return made


@cache
def _counts(sources: int) -> NDArray[np.uint16]:
    """(R, G) how often each source is drawn."""
    random = np.random.default_rng(0)
    drawn = random.integers(0, sources, (RESAMPLES, sources))
    return np.stack([np.bincount(line, minlength=sources) for line in drawn]).astype(np.uint16)


def _variance(sides: Sequence[Mapping[str, Draws]], seeds: Sequence[str]) -> float:
    """Over other sources, of a mean over seeds or of a mean difference; nan where a seed has no draws."""
    means = []
    for side in sides:
        if not all(seed in side for seed in seeds):
            return math.nan
        means.append(np.mean([side[seed] for seed in seeds], axis=0))
    values = means[0] if len(means) == 1 else means[0] - means[1]
    finite = values[np.isfinite(values)]
    return float(np.var(finite, ddof=1)) if len(finite) > 1 else math.nan
