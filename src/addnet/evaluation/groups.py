"""Figures of sub-groups: by method, by how the face was found, by size."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.bootstrap import Resampled, resampled
from addnet.evaluation.decision import Decision
from addnet.evaluation.levels import Drawn
from addnet.evaluation.ranking import ranked_figures
from addnet.evaluation.rates import WRONG, error_rates
from addnet.evaluation.weighted import called_figures

AGAINST_ALL_REAL = ("method",)  # real pictures have no method: fakes of one are held against all of them


def group_numbers(drawn: Drawn, decision: Decision) -> dict[str, list[dict[str, Any]]]:
    """Kind → its sub-groups, each with counts, AUROC, accuracy and error rates, with intervals.

    Accuracy is that of the rows with that name, at the checkpoint's threshold: for a method, the share of its fakes
    that is found. AUROC is that of the same rows, for a method that of its fakes against all real rows of the data set.

    Args:
        drawn: At any level.
        decision: Of that level.
    """
    return {
        kind: [_numbers(drawn, decision, kind, name) for name in sorted(set(names), key=_natural)]
        for kind, names in drawn.scored.groups.items()
    }


def _natural(name: str) -> list[int | str]:
    """So that 64 comes before 128."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _numbers(drawn: Drawn, decision: Decision, kind: str, name: str) -> dict[str, Any]:
    scored = drawn.scored
    mine = np.fromiter((other == name for other in scored.groups[kind]), dtype=bool, count=len(scored))
    fake = scored.labels == 1
    ranked = (mine & fake) | ~fake if kind in AGAINST_ALL_REAL and (mine & fake).any() else mine
    return {
        "name": name,
        "rows": int(mine.sum()),
        "real": int((mine & ~fake).sum()),
        "fake": int((mine & fake).sum()),
        "videos": len(np.unique(scored.videos[mine])),
        "auroc": _resampled(drawn, ranked, None)["auroc"].interval(),
    } | _called(drawn, decision, mine)


def _called(drawn: Drawn, decision: Decision, mine: NDArray[np.bool_]) -> dict[str, Any]:
    if not decision.has_threshold:
        return {"threshold": None, "accuracy": dict.fromkeys(("value", "low", "high")), "errors": dict.fromkeys(WRONG)}
    scored, threshold = drawn.scored, decision.threshold
    given = (scored.probabilities[mine], scored.labels[mine], scored.videos[mine])
    return {
        "threshold": threshold,
        "accuracy": _resampled(drawn, mine, threshold)["accuracy"].interval(),
        "errors": error_rates(*given, threshold=threshold),
    }


def _resampled(drawn: Drawn, rows: NDArray[np.bool_], threshold: float | None) -> dict[str, Resampled]:
    """Of some rows: thresholded figures, or without a threshold those of the ranking."""
    scored, videos = drawn.scored, drawn.scored.videos[rows]
    video_labels = np.full(len(scored.video_ids), -1, dtype=np.int64)
    video_labels[videos] = scored.labels[rows]

    def figures_of(weights: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
        given = (scored.probabilities[rows], scored.labels[rows], weights)
        if threshold is None:
            return ranked_figures(*given, columns=videos)
        return called_figures(*given, threshold=threshold, columns=videos)

    return resampled(figures_of, drawn.draws, video_labels)
