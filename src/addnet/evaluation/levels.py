"""All metrics of one data set at one level (images, or videos aggregated in one of three ways)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.bootstrap import Draws, ResampledMetric, Units, resampled
from addnet.evaluation.decision import LEVELS, Decision
from addnet.evaluation.metrics import Scores, counts_of_calls
from addnet.evaluation.paired import PAIRED, resampled_shares
from addnet.evaluation.ranking import Metrics, ranking
from addnet.evaluation.rates import WRONG, error_rates
from addnet.evaluation.scored import ScoredSet, by_video
from addnet.evaluation.table import CALLED, LOGGED, RANKED, SAID, TABLE
from addnet.evaluation.undecided import undecided_numbers
from addnet.evaluation.weighted import calling, saying

CHOSEN, HALF = "chosen", "half"  # the threshold from validation, and 0.5
_CALIBRATED = tuple(f"{name}_calibrated" for name in SAID)
PLAIN = (*RANKED, PAIRED, *SAID, *_CALIBRATED)
# Chance differences within bins inflate the calibration error, and inflate that of a resample twice: its percentiles
# lie above the true error and often above the value itself, and contain neither.
WITHOUT_INTERVAL = ("ece", "ece_calibrated")


@dataclass(frozen=True)
class ResampledSet:
    """A data set with resamples, which all levels and checkpoints share.

    Attributes:
        scored: One row per image, or per video at the levels of videos.
        units: The units that are drawn whole.
        draws: Draws of the units.
    """

    scored: ScoredSet
    units: Units
    draws: Draws

    @classmethod
    def of(cls, scored: ScoredSet, *, resamples: int, seed: int) -> ResampledSet:
        """Draws by seed, names and labels only: the draws are the same for each checkpoint and in any order of rows."""
        units = Units.of(scored)
        return cls(scored, units, Draws(units.strata, resamples, seed, scored.name))

    def at(self, level: str) -> ResampledSet:
        """The same data set at another of `LEVELS`; itself if each image is its own video."""
        how = LEVELS[level]
        single = len(self.scored) == len(self.scored.video_ids) and (how != "confidence" or self.scored.is_probability)
        return self if how is None or single else replace(self, scored=by_video(self.scored, how))

    @cached_property
    def columns(self) -> NDArray[np.int64]:
        """(N,) the unit of each row."""
        return self.units.of_video[self.scored.videos]

    def metrics(self, decision: Decision) -> dict[str, ResampledMetric]:
        """Each of `PLAIN`, and each of `CALLED` as `<name>/chosen` and `<name>/half`; NaN if a metric is undefined.

        Metrics in `WITHOUT_INTERVAL` have no resamples, and so neither intervals nor p-values of differences. A metric
        that requires more real sources than the data set has is undefined.
        """
        scored, nothing = self.scored, ResampledMetric(np.nan, np.full(len(self.draws), np.nan))
        values = dict.fromkeys((*PLAIN, *(f"{name}/{at}" for name in CALLED for at in (CHOSEN, HALF))), nothing)
        values |= self._as_scored
        given = (scored.probabilities, scored.labels)
        for at, threshold in thresholds(scored, decision).items():
            if threshold is not None:
                called = self._resampled(calling(*given, threshold=threshold, columns=self.columns))
                values |= {f"{name}/{at}": value for name, value in called.items()}
        if decision.temperature is not None:
            probabilities = decision.probabilities(scored.probabilities)
            after = self._resampled(saying(probabilities, scored.labels, columns=self.columns))
            values |= {f"{name}_calibrated": value for name, value in after.items()}
        return values | {name: replace(values[name], draws=nothing.draws) for name in WITHOUT_INTERVAL}

    @cached_property
    def _as_scored(self) -> dict[str, ResampledMetric]:
        """The metrics that don't depend on a decision."""
        scored = self.scored
        values = self._resampled(ranking(scored.probabilities, scored.labels, columns=self.columns))
        if scored.is_probability:
            values |= self._resampled(saying(scored.probabilities, scored.labels, columns=self.columns))
        reals = len(np.unique(self.columns[scored.labels == 0]))
        values = {name: value for name, value in values.items() if TABLE[name].reals <= reals}
        return values | {PAIRED: resampled_shares(scored, self.units, self.draws)}

    def _resampled(self, metrics_of: Metrics) -> dict[str, ResampledMetric]:
        return resampled(metrics_of, self.draws, self.columns, self.scored.labels)


def thresholds(scored: ScoredSet, decision: Decision) -> dict[str, float | None]:
    """The chosen threshold, and 0.5 if scores are probabilities; None for a threshold that doesn't exist."""
    chosen = decision.threshold if decision.has_threshold else None
    return {CHOSEN: chosen, HALF: 0.5 if scored.is_probability else None}


def level_numbers(drawn: ResampledSet, found: Mapping[str, ResampledMetric], decision: Decision) -> dict[str, Any]:
    """The numbers of one level as plain values, as in `evaluation.json`."""
    scored, units = drawn.scored, drawn.columns
    called = {}
    for at, threshold in thresholds(scored, decision).items():
        given = (scored.probabilities, scored.labels, units)
        errors = dict.fromkeys(WRONG)
        if threshold is not None:
            errors = error_rates(*given, decision=decision if at == CHOSEN else decision.at(threshold))
        called[at] = {
            "threshold": threshold,
            "stated": decision.stated if at == CHOSEN else "0.5",
            "origin": decision.origin if at == CHOSEN else "half",
            "metrics": {name: found[f"{name}/{at}"].interval() for name in CALLED},
            "confusion": None if threshold is None else counts_of_calls(*given[:2], threshold=threshold),
            "errors": errors,
        }
    return {
        "metrics": {name: found[name].interval() for name in PLAIN},
        "temperature": decision.temperature,
        "limits": list(decision.limits),
        "calibration": decision.calibration,
        "called": called,
        "undecided": undecided_numbers(scored, decision) if decision.has_threshold and len(scored) else None,
    }


def brief_metrics(
    scored: ScoredSet,
    decision: Mapping[str, Any] | None = None,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Metrics at frame and video level under flat names, for one step of a robustness ladder.

    Args:
        scored: Scores of the step, one row per image.
        decision: Decision of the checkpoint.
        resamples: Number of resamples.
        seed: Seed of the draws.

    Returns:
        `frame/auroc`, `video/balanced_accuracy` (at the checkpoint's threshold) … → value, low and high.
    """
    drawn = ResampledSet.of(scored, resamples=resamples, seed=seed)
    metrics: dict[str, dict[str, float | None]] = {}
    for level in ("frame", "video"):
        found = drawn.at(level).metrics(Decision.of(decision, level))
        metrics |= {f"{level}/{name}": found[name].interval() for name in (*RANKED, PAIRED, *SAID)}
        metrics |= {f"{level}/{name}": found[f"{name}/{CHOSEN}"].interval() for name in CALLED}
    return metrics


def draws_of_test(scores: Scores, *, resamples: int = 200, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """The metrics of a test in each resample of its videos, for intervals across runs.

    Args:
        scores: Scores of a test set; every run on it gets the same draws.
        resamples: Number of resamples R.
        seed: Seed of the draws.

    Returns:
        `test/frame/auroc` … → (R,), at a threshold of 0.5 like the test of a training; empty if a video has images of
        both classes.
    """
    labels = scores.labels.cpu().numpy().astype(np.int64)
    ids, videos = np.unique(scores.videos.cpu().numpy(), return_inverse=True)
    shares = np.bincount(videos, weights=labels) / np.bincount(videos)
    if ((shares > 0) & (shares < 1)).any():
        return {}
    probabilities = scores.probabilities.double().cpu().numpy()
    faces = None if scores.faces is None else scores.faces.cpu().numpy()
    sources = None
    if scores.sources is not None:
        sources = np.zeros(len(ids), dtype=np.int64)
        sources[videos] = scores.sources.cpu().numpy()
    scored = ScoredSet("test", probabilities, labels, videos, [""] * len(labels), ids.tolist(), {}, faces, sources)
    drawn = ResampledSet.of(scored, resamples=resamples, seed=seed)
    draws = {}
    for level in ("frame", "video"):
        found = drawn.at(level).metrics(Decision())
        paired = [PAIRED] if np.isfinite(found[PAIRED].value) else []
        for name in [*LOGGED, *paired]:
            metric = found.get(name) or found[f"{name}/{HALF}"]
            draws[f"test/{level}/{name}"] = metric.draws
    return draws
