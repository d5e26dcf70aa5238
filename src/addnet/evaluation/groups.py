"""Metrics of sub-groups, such as by method, by how the face was found or by size."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.evaluation.bootstrap import ResampledMetric, resampled
from addnet.evaluation.decision import Decision
from addnet.evaluation.levels import ResampledSet
from addnet.evaluation.ranking import ranking
from addnet.evaluation.rates import WRONG, error_rates
from addnet.evaluation.weighted import calling

FEWEST_VIDEOS = 20  # videos that a sub-group needs for meaningful metrics
AGAINST_ALL_REAL = ("method",)  # real images have no method, so fakes of a method are ranked against all of them


def group_numbers(drawn: ResampledSet, decision: Decision) -> dict[str, list[dict[str, Any]]]:
    """Kind → its sub-groups, each with counts, AUROC, accuracy and error rates, with intervals.

    Accuracy is that of the rows of the sub-group at the checkpoint's threshold; for a method, the share of its fakes
    that is detected. AUROC is that of the same rows; for a method, of its fakes against all real rows of the data set.
    Sub-groups of fewer than `FEWEST_VIDEOS` videos have counts only.

    Args:
        drawn: A data set at any level.
        decision: The decision for that level.
    """
    return {
        kind: [_numbers(drawn, decision, kind, name) for name in sorted(set(names), key=_natural)]
        for kind, names in drawn.scored.groups.items()
    }


def _natural(name: str) -> list[int | str]:
    """A sort key by which 64 comes before 128."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)]


def _numbers(drawn: ResampledSet, decision: Decision, kind: str, name: str) -> dict[str, Any]:
    scored = drawn.scored
    mine = np.asarray(scored.groups[kind]) == name
    fake = scored.labels == 1
    ranked = (mine & fake) | ~fake if kind in AGAINST_ALL_REAL and (mine & fake).any() else mine
    videos = len(np.unique(scored.videos[mine]))
    numbers: dict[str, Any] = {
        "name": name,
        "rows": int(mine.sum()),
        "real": int((mine & ~fake).sum()),
        "fake": int((mine & fake).sum()),
        "videos": videos,
        "auroc": _resampled(drawn, ranked, None)["auroc"].interval(),
    } | _called(drawn, decision, mine)
    return numbers if videos >= FEWEST_VIDEOS else _counts_alone(numbers)


def _counts_alone(numbers: dict[str, Any]) -> dict[str, Any]:
    """The numbers of a sub-group without shares and AUROC."""
    nothing = dict.fromkeys(("value", "low", "high"))
    errors = {wrong: rate and {**rate, **nothing} for wrong, rate in numbers["errors"].items()}
    return {**numbers, "auroc": nothing, "accuracy": nothing, "errors": errors}


def _called(drawn: ResampledSet, decision: Decision, mine: NDArray[np.bool_]) -> dict[str, Any]:
    if not decision.has_threshold:
        return {"threshold": None, "accuracy": dict.fromkeys(("value", "low", "high")), "errors": dict.fromkeys(WRONG)}
    scored, threshold = drawn.scored, decision.threshold
    given = (scored.probabilities[mine], scored.labels[mine], drawn.columns[mine])
    return {
        "threshold": threshold,
        "accuracy": _resampled(drawn, mine, threshold)["accuracy"].interval(),
        "errors": error_rates(*given, decision=decision),
    }


def _resampled(drawn: ResampledSet, rows: NDArray[np.bool_], threshold: float | None) -> dict[str, ResampledMetric]:
    """Metrics of some rows: those at a threshold, or without one those of the ranking."""
    scored, columns = drawn.scored, drawn.columns[rows]
    given = (scored.probabilities[rows], scored.labels[rows])
    if threshold is None:
        metrics_of = ranking(*given, columns=columns)
    else:
        metrics_of = calling(*given, threshold=threshold, columns=columns)
    return resampled(metrics_of, drawn.draws, columns, scored.labels[rows])
