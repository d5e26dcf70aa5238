"""All figures of one data set at one level (pictures, or videos aggregated in one of three ways)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.bootstrap import Resampled, resampled, video_draws
from addnet.evaluation.decision import LEVELS, Decision
from addnet.evaluation.metrics import METRICS, Scores
from addnet.evaluation.paired import PAIRED, Sources
from addnet.evaluation.ranking import RANKED, ranked_figures
from addnet.evaluation.rates import WRONG, error_rates
from addnet.evaluation.scored import ScoredSet, by_video
from addnet.evaluation.weighted import CALLED, SAID, called_figures, said_figures

CHOSEN, HALF = "chosen", "half"  # the threshold from validation, and 0.5
_CALIBRATED = tuple(f"{name}_calibrated" for name in SAID)
PLAIN = (*RANKED, PAIRED, *SAID, *_CALIBRATED)
# The error is too large by what chance puts into bins, and that of a resample by as much again: its percentiles lie
# above the true error, often above the value itself, and contain neither.
WITHOUT_INTERVAL = ("ece", "ece_calibrated")


@dataclass(frozen=True)
class Drawn:
    """A data set with the resamples of its videos, which all levels and checkpoints share.

    Attributes:
        scored: One row a picture.
        draws: (R, V) as `bootstrap.video_draws` gives them.
        sources: Draws of whole sources, for pairs.
    """

    scored: ScoredSet
    draws: NDArray[np.uint16]
    sources: Sources

    @classmethod
    def of(cls, scored: ScoredSet, *, resamples: int, seed: int) -> Drawn:
        """Draws from seed, name, videos and labels alone: the same for each checkpoint, in whatever order rows come."""
        order = np.argsort(np.asarray(scored.video_ids), kind="stable")
        draws = np.empty((resamples, len(order)), dtype=np.uint16)
        draws[:, order] = video_draws(scored.video_labels[order], resamples, seed=seed, name=scored.name)
        return cls(scored, draws, Sources.of(scored, resamples=resamples, seed=seed))

    def at(self, level: str) -> Drawn:
        """The same at another of `LEVELS`, with the same draws."""
        how = LEVELS[level]
        return self if how is None else replace(self, scored=by_video(self.scored, how))

    def figures(self, decision: Decision) -> dict[str, Resampled]:
        """Each of `PLAIN`, and those of `CALLED` as `<name>/chosen` and `<name>/half`; nan where there is none.

        Those of `WITHOUT_INTERVAL` have no resamples, so neither intervals nor p of a difference.
        """
        scored = self.scored

        def figures_of(weights: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
            given = (scored.probabilities, scored.labels, weights)
            nothing = np.full(len(weights), np.nan)
            found = ranked_figures(*given, columns=scored.videos) | dict.fromkeys(SAID, nothing)
            if scored.is_probability:
                found |= said_figures(*given, columns=scored.videos)
            for at, threshold in thresholds(scored, decision).items():
                called = dict.fromkeys(CALLED, nothing)
                if threshold is not None:
                    called = called_figures(*given, threshold=threshold, columns=scored.videos)
                found |= {f"{name}/{at}": values for name, values in called.items()}
            return found | _after_calibration(scored, weights, decision)

        found = resampled(figures_of, self.draws, scored.video_labels)
        found[PAIRED] = self.sources.paired_accuracy(scored)
        nothing = np.full(len(self.draws), np.nan)
        return found | {name: replace(found[name], draws=nothing) for name in WITHOUT_INTERVAL}


def thresholds(scored: ScoredSet, decision: Decision) -> dict[str, float | None]:
    """The chosen threshold, and 0.5 where scores are probabilities; None where there is none."""
    chosen = decision.threshold if decision.has_threshold else None
    return {CHOSEN: chosen, HALF: 0.5 if scored.is_probability else None}


def _after_calibration(scored: ScoredSet, weights: NDArray[Any], decision: Decision) -> dict[str, NDArray[np.float64]]:
    if decision.temperature is None:
        return dict.fromkeys(_CALIBRATED, np.full(len(weights), np.nan))
    figures = said_figures(decision.probabilities(scored.probabilities), scored.labels, weights, columns=scored.videos)
    return {f"{name}_calibrated": values for name, values in figures.items()}


def level_numbers(scored: ScoredSet, found: Mapping[str, Resampled], decision: Decision) -> dict[str, Any]:
    """Plain values of one level, as they stand in `evaluation.json`."""
    called = {}
    for at, threshold in thresholds(scored, decision).items():
        given = (scored.probabilities, scored.labels, scored.videos)
        called[at] = {
            "threshold": threshold,
            "stated": decision.stated if at == CHOSEN else "0.5",
            "origin": decision.origin if at == CHOSEN else "half",
            "figures": {name: found[f"{name}/{at}"].interval() for name in CALLED},
            "confusion": None if threshold is None else confusion(scored, threshold),
            "errors": dict.fromkeys(WRONG) if threshold is None else error_rates(*given, threshold=threshold),
        }
    return {
        "figures": {name: found[name].interval() for name in PLAIN},
        "temperature": decision.temperature,
        "limits": list(decision.limits),
        "calibration": decision.calibration,
        "called": called,
    }


def confusion(scored: ScoredSet, threshold: float) -> list[list[int]]:
    """Counts, rows the truth and columns the call, in the order real, fake."""
    cells = 2 * scored.labels + (scored.probabilities > threshold)
    counts: list[list[int]] = np.bincount(cells, minlength=4).reshape(2, 2).tolist()
    return counts


def brief_figures(
    scored: ScoredSet,
    decision: Mapping[str, Any] | None = None,
    *,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, dict[str, float | None]]:
    """Figures at frame and video level under flat names: for one step of a robustness ladder.

    Returns:
        `frame/auroc`, `video/balanced_accuracy` (at the checkpoint's threshold) … → value, low and high.
    """
    drawn = Drawn.of(scored, resamples=resamples, seed=seed)
    figures: dict[str, dict[str, float | None]] = {}
    for level in ("frame", "video"):
        found = drawn.at(level).figures(Decision.of(decision, level))
        figures |= {f"{level}/{name}": found[name].interval() for name in (*RANKED, PAIRED, *SAID)}
        figures |= {f"{level}/{name}": found[f"{name}/{CHOSEN}"].interval() for name in CALLED}
    return figures


def draws_of_test(scores: Scores, *, resamples: int = 200, seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """What the metrics of a test would be with other videos, for intervals across runs.

    Args:
        scores: Of a test set; every run on it gets the same draws.
        resamples: R.
        seed: Of the draws.

    Returns:
        `test/frame/auroc` … → (R,); at a threshold of 0.5, as a training's own test; empty where a video has images of
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
    drawn = Drawn.of(scored, resamples=resamples, seed=seed)
    draws = {}
    for level in ("frame", "video"):
        found = drawn.at(level).figures(Decision())
        paired = [PAIRED] if np.isfinite(found[PAIRED].value) else []
        for name in [*METRICS, *paired]:
            figure = found.get(name) or found[f"{name}/{HALF}"]
            draws[f"test/{level}/{name}"] = figure.draws
    return draws
