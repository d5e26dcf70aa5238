"""Assesses scores of checkpoints on data sets: one plain dictionary with every number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from addnet.errors import UserError
from addnet.evaluation.bootstrap import ResampledMetric, average, same_rows
from addnet.evaluation.calibration import BINS
from addnet.evaluation.decision import LEVELS, Decision
from addnet.evaluation.groups import group_numbers
from addnet.evaluation.intervals import CONFIDENCE
from addnet.evaluation.levels import CHOSEN, PLAIN, ResampledSet, level_numbers
from addnet.evaluation.likelihood import likelihood_numbers
from addnet.evaluation.paired import PAIRED, pair_counts
from addnet.evaluation.scored import ScoredSet
from addnet.evaluation.table import CALLED

FORMAT = 1
CROSS = ("auroc", "ap", "eer", PAIRED, f"balanced_accuracy/{CHOSEN}")
COMPARED = (*PLAIN, *(f"{name}/{CHOSEN}" for name in CALLED))
GROUP_LEVELS = ("frame", "video")

Scored = Mapping[str, Mapping[str, ScoredSet]]
Decisions = Mapping[str, Mapping[str, Any] | None]
_Found = dict[str, dict[str, dict[str, ResampledMetric]]]  # set → level → metric


def assess(
    scored: Scored, decisions: Decisions, *, resamples: int = 1000, seed: int = 0, likelihood: bool = False
) -> dict[str, Any]:
    """Evaluates every checkpoint on every data set, with 95 % intervals, averages and paired differences.

    Args:
        scored: Checkpoint → data set → scores. All other checkpoints are compared with the first.
        decisions: Checkpoint → its "decision" (level → threshold and temperature from validation), or None.
        resamples: Number of resamples of the bootstrap over sources or videos.
        seed: Seed of the bootstrap.
        likelihood: Whether to calibrate likelihood ratios too, which requires scikit-learn (extra `lr`).

    Returns:
        Plain dictionaries, lists, numbers and None (for an undefined number), ready for `json.dumps`: "settings",
        "checkpoints" (decision, sets, average), "cross_dataset", "differences".

    Raises:
        UserError: There is nothing to evaluate, or a threshold is out of range.
    """
    if not scored or not all(scored.values()):
        raise UserError("nothing to evaluate: give at least one checkpoint with at least one data set")
    found: dict[str, _Found] = {}
    checkpoints: dict[str, Any] = {}
    levels = _levels_of(scored)
    for checkpoint, sets in scored.items():
        found[checkpoint], checkpoints[checkpoint] = {}, {}
        by_level = {level: Decision.of(decisions.get(checkpoint), level) for level in levels}
        if not all(rows.is_probability for rows in sets.values()):
            by_level = {level: decision.of_any_numbers() for level, decision in by_level.items()}
        numbers = {}
        for name, rows in sets.items():
            drawn = ResampledSet.of(rows, resamples=resamples, seed=seed)
            numbers[name], found[checkpoint][name] = _of_set(drawn, by_level)
            if likelihood:
                numbers[name]["likelihood"] = likelihood_numbers(drawn, seed=seed)
        checkpoints[checkpoint] = {
            "decision": {level: decision.plain() for level, decision in by_level.items()},
            "sets": numbers,
            "average": _averages(found[checkpoint]),
        }
    return {
        "format": FORMAT,
        "settings": {"resamples": resamples, "seed": seed, "confidence": CONFIDENCE, "bins": BINS},
        "checkpoints": checkpoints,
        "cross_dataset": _cross_dataset(found, levels),
        "differences": _differences(scored, found, levels),
    }


def _levels_of(scored: Scored) -> list[str]:
    """The `LEVELS` that every set has: weighting by confidence needs scores that are probabilities."""
    if all(rows.is_probability for sets in scored.values() for rows in sets.values()):
        return list(LEVELS)
    return [level for level in LEVELS if level != "video_confidence"]


def _of_set(
    drawn: ResampledSet, by_level: Mapping[str, Decision]
) -> tuple[dict[str, Any], dict[str, dict[str, ResampledMetric]]]:
    scored = drawn.scored
    numbers: dict[str, Any] = {"counts": _counts(scored), "pairs": pair_counts(scored), "levels": {}, "groups": {}}
    found = {}
    for level, decision in by_level.items():
        here = drawn.at(level)
        found[level] = here.metrics(decision)
        numbers["levels"][level] = level_numbers(here, found[level], decision)
        if level in GROUP_LEVELS:
            numbers["groups"][level] = group_numbers(here, decision)
    return numbers, found


def _counts(scored: ScoredSet) -> dict[str, int]:
    counts: dict[str, int] = {}
    for what, labels in (("images", scored.labels), ("videos", scored.video_labels)):
        counts |= {what: len(labels), f"real_{what}": int((labels == 0).sum()), f"fake_{what}": int(labels.sum())}
    return counts


def _averages(found: _Found) -> dict[str, Any]:
    return {
        level: {name: _average(found, level, name) for name in first}
        for level, first in next(iter(found.values())).items()
    }


def _average(found: _Found, level: str, name: str) -> dict[str, Any]:
    """The mean over the data sets that have the metric: with a single class there is no AUROC."""
    parts = [levels[level][name] for levels in found.values() if np.isfinite(levels[level][name].value)]
    if not parts:
        return {"value": None, "low": None, "high": None, "over": 0}
    return {**average(parts).interval(), "over": len(parts)}


def _cross_dataset(found: Mapping[str, _Found], level_names: Sequence[str]) -> dict[str, Any]:
    """Level → metric → checkpoint → its value on each data set, and their average."""
    return {
        level: {
            name: {
                checkpoint: {
                    "sets": {which: levels[level][name].interval() for which, levels in sets.items()},
                    "average": _average(sets, level, name),
                }
                for checkpoint, sets in found.items()
            }
            for name in CROSS
        }
        for level in level_names
    }


def _differences(scored: Scored, found: Mapping[str, _Found], levels: Sequence[str]) -> dict[str, Any]:
    """Checkpoint → its differences from the first one, on each data set and on average."""
    reference, *others = scored
    return {other: _to_reference(scored, found, levels, other, reference) for other in others}


def _to_reference(
    scored: Scored, found: Mapping[str, _Found], level_names: Sequence[str], other: str, reference: str
) -> dict[str, Any]:
    differences: _Found = {}
    left_out = []
    for name, rows in scored[other].items():
        if name not in scored[reference] or not same_rows(rows, scored[reference][name]):
            left_out.append(name)
            continue
        mine, theirs = found[other][name], found[reference][name]
        differences[name] = {
            level: {metric: mine[level][metric].minus(theirs[level][metric]) for metric in COMPARED}
            for level in level_names
        }
    return {
        "reference": reference,
        "sets": {
            name: {
                level: {metric: value.difference() for metric, value in here.items()} for level, here in levels.items()
            }
            for name, levels in differences.items()
        },
        "average": _mean_difference(differences, level_names) if differences else {},
        "not_the_same_rows": left_out,
    }


def _mean_difference(differences: _Found, level_names: Sequence[str]) -> dict[str, Any]:
    nothing = {"value": None, "low": None, "high": None, "p": None}
    means: dict[str, Any] = {}
    for level in level_names:
        means[level] = {}
        for metric in COMPARED:
            every = [levels[level][metric] for levels in differences.values()]
            parts = [part for part in every if np.isfinite(part.value)]
            means[level][metric] = {**(average(parts).difference() if parts else nothing), "over": len(parts)}
    return means
