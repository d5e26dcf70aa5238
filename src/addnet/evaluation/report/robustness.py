"""The section on robustness: how metrics fall as images get worse, as curves and a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from addnet.evaluation.report.document import Gallery, Paragraph, ReportImage, ReportTable, Section, TableCell
from addnet.evaluation.report.plots import robustness_plot
from addnet.evaluation.report.wording import legend, metric_name, slug, value_cell
from addnet.wording import count

Steps = Sequence[Mapping[str, Any]]
Robustness = Mapping[str, Mapping[str, Mapping[str, Steps]]]
_CLEAN = "clean"  # a kind of its own in the input: unchanged images
_LEVELS = {"images": "frame", "videos": "video"}
_METRICS = ("auroc", "accuracy")  # the first one that is defined: with a single class there is no AUROC


def robustness_section(robustness: Robustness, evaluation: Mapping[str, Any]) -> Section:
    """One part per data set, with a plot for each kind of damage.

    Args:
        robustness: Checkpoint → data set → kind of damage → steps, each with "label" and "metrics" (`frame/auroc` and
            `video/auroc` → value, low, high). The kind "clean" is the step that curves start from; its "images" and
            "videos" are their numbers. Without it, curves start from the metrics of the evaluation.
        evaluation: Result of `assess`.
    """
    sets = list(dict.fromkeys(name for found in robustness.values() for name in found))
    text = (
        "Test images were degraded step by step and scored as usual. Curves start at the unchanged images; bands, if "
        "shown, are 95 % intervals."
    )
    parts = [_of_set(robustness, evaluation, name, number) for number, name in enumerate(sets, start=1)]
    return Section("Robustness", [Paragraph(text)], parts)


def robustness_table(robustness: Robustness, evaluation: Mapping[str, Any], name: str) -> ReportTable:
    """The table of one data set: the metric at each step.

    Args:
        robustness: Checkpoint → data set → kind of damage → steps, as for `robustness_section`.
        evaluation: Result of `assess`.
        name: Name of the data set.
    """
    found, clean = _climbed(robustness, evaluation, name)
    return _table(found, clean, _kinds(found), _metric(found))


def _climbed(
    robustness: Robustness, evaluation: Mapping[str, Any], name: str
) -> tuple[dict[str, dict[str, Steps]], dict[str, Mapping[str, Any]]]:
    """For one data set, by checkpoint: the steps of each kind of damage, and the step without damage."""
    found = {checkpoint: dict(sets[name]) for checkpoint, sets in robustness.items() if name in sets}
    clean = {
        checkpoint: _clean(kinds.pop(_CLEAN, None), evaluation, checkpoint, name) for checkpoint, kinds in found.items()
    }
    return found, clean


def _kinds(found: Mapping[str, Mapping[str, Steps]]) -> list[str]:
    return list(dict.fromkeys(kind for by_kind in found.values() for kind in by_kind))


def _of_set(robustness: Robustness, evaluation: Mapping[str, Any], name: str, position: int) -> Section:
    found, clean = _climbed(robustness, evaluation, name)
    kinds, metric = _kinds(found), _metric(found)
    lowest = _lowest(found, clean, metric)
    images = []
    for kind in kinds:
        curves = {
            checkpoint: {
                shown: [
                    (step["label"], step["metrics"].get(f"{level}/{metric}", {}))
                    for step in (clean[checkpoint], *by_kind[kind])
                ]
                for shown, level in _LEVELS.items()
            }
            for checkpoint, by_kind in found.items()
            if kind in by_kind
        }
        drawn = robustness_plot(curves, title=f"{legend(name)}: {kind}", metric=metric_name(metric), lowest=lowest)
        stem = f"robustness_{position}-{slug(name, kind)}"
        images.append(ReportImage.of_plot(stem, drawn, alt=f"{metric_name(metric)} against {kind} on {name}"))
    return Section(name, [*_counts(clean), Gallery(images), _table(found, clean, kinds, metric)])


def _counts(clean: Mapping[str, Mapping[str, Any]]) -> Iterator[Paragraph]:
    """The number of images and videos, which may be fewer than in the other sections."""
    step = next(iter(clean.values()))
    if "images" in step:
        yield Paragraph(
            f"{count(step['images'], 'image')} of {count(step['videos'], 'video')}, the same at every step."
        )


def _clean(given: Any, evaluation: Mapping[str, Any], checkpoint: str, name: str) -> Mapping[str, Any]:
    if given:
        step = given[0] if isinstance(given, Sequence) else given
        return {**step, "label": _CLEAN}
    levels = evaluation["checkpoints"].get(checkpoint, {}).get("sets", {}).get(name, {}).get("levels", {})
    metrics: dict[str, Any] = {}
    for level in _LEVELS.values():
        if level in levels:
            called = levels[level]["called"]["chosen"]["metrics"]
            metrics |= {f"{level}/{key}": value for key, value in (levels[level]["metrics"] | called).items()}
    return {"metrics": metrics, "label": _CLEAN}


def _metrics(found: Mapping[str, Mapping[str, Steps]], metric: str) -> Iterator[Mapping[str, Any]]:
    for by_kind in found.values():
        for steps in by_kind.values():
            for step in steps:
                yield from (step["metrics"].get(f"{level}/{metric}", {}) for level in _LEVELS.values())


def _metric(found: Mapping[str, Mapping[str, Steps]]) -> str:
    for metric in _METRICS:
        if any(each.get("value") is not None for each in _metrics(found, metric)):
            return metric
    return _METRICS[0]


def _lowest(found: Mapping[str, Mapping[str, Steps]], clean: Mapping[str, Any], metric: str) -> float:
    """Lower end of all axes of a data set, so that they can be compared: the lowest value rounded down to tenths."""
    every = {checkpoint: {**kinds, _CLEAN: [clean[checkpoint]]} for checkpoint, kinds in found.items()}
    values = [each[key] for each in _metrics(every, metric) for key in ("value", "low") if each.get(key) is not None]
    return max(0.0, np.floor(10 * min(values)) / 10) if values else 0.0


def _table(
    found: Mapping[str, Mapping[str, Steps]], clean: Mapping[str, Any], kinds: Sequence[str], metric: str
) -> ReportTable:
    several = len(found) > 1
    head = ["damage", "step"]
    head += [f"{checkpoint}, {shown}" if several else shown for checkpoint in found for shown in _LEVELS]
    rows = [[TableCell("none"), TableCell(_CLEAN), *_cells([clean[checkpoint] for checkpoint in found], metric)]]
    for kind in kinds:
        longest = max((by_kind.get(kind, ()) for by_kind in found.values()), key=len)
        for number, step in enumerate(longest):
            steps = [by_kind.get(kind, ())[number : number + 1] for by_kind in found.values()]
            known = [part[0] if part else {"metrics": {}} for part in steps]
            rows.append([TableCell(kind), TableCell(step["label"]), *_cells(known, metric)])
    return ReportTable(head, rows, texts=2, title=f"{metric_name(metric)} at each step", folded=True)


def _cells(steps: Sequence[Mapping[str, Any]], metric: str) -> list[TableCell]:
    nothing = {"value": None}
    return [
        value_cell(step["metrics"].get(f"{level}/{metric}", nothing)) for step in steps for level in _LEVELS.values()
    ]
