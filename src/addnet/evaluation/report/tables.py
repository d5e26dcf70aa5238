"""Builds the tables of a report from the numbers of an evaluation."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from addnet.evaluation.assessment import COMPARED, CROSS
from addnet.evaluation.decision import ORIGINS, Decision
from addnet.evaluation.levels import CHOSEN, HALF
from addnet.evaluation.paired import PAIRED
from addnet.evaluation.rates import UNDECIDED_OF, WRONG
from addnet.evaluation.report.document import ReportTable, TableCell
from addnet.evaluation.report.wording import (
    LEVEL_NAMES,
    NOTHING,
    interval,
    metric_name,
    number,
    p_value,
    rate_cell,
    small,
    value_cell,
)
from addnet.evaluation.table import CALLED, RANKED, SAID

_KINDS = {"rows": "images", "videos": "videos", "real": "real", "fake": "fake"}
_VIDEO_KINDS = {"rows": "videos", "real": "real", "fake": "fake"}


def cross_tables(evaluation: Mapping[str, Any], levels: Iterable[str] = ("video", "frame")) -> list[ReportTable]:
    """One table per metric, checkpoints down and data sets across; with a single data set, one with metrics across."""
    checkpoints = evaluation["checkpoints"]
    sets = list(dict.fromkeys(name for found in checkpoints.values() for name in found["sets"]))
    tables = []
    for level in levels:
        found = evaluation["cross_dataset"][level]
        at = {name: found["decision"][level]["threshold"] for name, found in checkpoints.items()}
        shown = [
            name for name in CROSS if name != PAIRED or any(row["average"]["over"] for row in found[name].values())
        ]
        if len(sets) > 1:
            tables += [_cross_table(found[name], name, level, sets=sets, at=at) for name in shown]
            continue
        rows = [
            [
                TableCell(checkpoint),
                *(_cross_cell(found[name][checkpoint], name, sets[0], at[checkpoint]) for name in shown),
            ]
            for checkpoint in checkpoints
        ]
        head = ["checkpoint", *map(metric_name, shown)]
        tables.append(ReportTable(head, rows, title=f"{sets[0]}, {LEVEL_NAMES[level]}"))
    return tables


def _cross_table(
    found: Mapping[str, Any], name: str, level: str, *, sets: Sequence[str], at: Mapping[str, float]
) -> ReportTable:
    rows = []
    for checkpoint, row in found.items():
        cells = [_cross_cell(row, name, which, at[checkpoint]) for which in sets]
        over = row["average"]["over"]
        mean = value_cell(row["average"])
        some = f"over {over} of {len(sets)} sets" if over not in (0, len(sets)) else ""
        rows.append([TableCell(checkpoint), *cells, TableCell(mean.text, small(mean.small, some))])
    return ReportTable(["checkpoint", *sets, "average"], rows, title=f"{metric_name(name)}, {LEVEL_NAMES[level]}")


def _cross_cell(row: Mapping[str, Any], name: str, which: str, threshold: float) -> TableCell:
    found = row["sets"].get(which, {"value": None})
    return value_cell(found, threshold=threshold if name.endswith(CHOSEN) else None)


def level_table(levels: Mapping[str, Any]) -> ReportTable:
    """All metrics of one checkpoint on one data set: metrics down, levels across; rows without numbers are left out."""
    rows = [[TableCell(metric_name(name)), *_across(levels, name)] for name in (*RANKED, PAIRED)]
    for at in (CHOSEN, HALF):
        if at == HALF and all(_same_threshold(level) for level in levels.values()):
            continue
        for name in CALLED:
            cells = [
                value_cell(level["called"][at]["metrics"][name], threshold=level["called"][at]["threshold"])
                for level in levels.values()
            ]
            rows.append([TableCell(metric_name(name), _origin(levels, at)), *cells])
        for wrong in WRONG:
            cells = [rate_cell(level["called"][at]["errors"][wrong]) for level in levels.values()]
            rows.append([TableCell(metric_name(wrong), _origin(levels, at)), *cells])
    names = [name + ending for name in SAID for ending in ("", "_calibrated")]
    rows += [[TableCell(metric_name(name)), *_across(levels, name)] for name in names]
    rows = [row for row in rows if any(cell.text != NOTHING for cell in row[1:])]
    return ReportTable(["", *(LEVEL_NAMES[level] for level in levels)], rows)


def _origin(levels: Mapping[str, Any], at: str) -> str:
    """Where the thresholds of a row come from; other origins than the first with the names of their levels."""
    if at == HALF:
        return "threshold 0.5"
    by_origin: dict[str, list[str]] = {}
    for level, found in levels.items():
        by_origin.setdefault(found["called"][at]["origin"], []).append(LEVEL_NAMES[level])
    first, *others = by_origin
    rest = [f"{ORIGINS[origin]} ({'; '.join(by_origin[origin])})" for origin in others]
    return "; ".join([f"threshold {ORIGINS[first]}" if first != "none" else Decision.stated, *rest])


def _across(levels: Mapping[str, Any], name: str) -> list[TableCell]:
    return [value_cell(level["metrics"][name]) for level in levels.values()]


def _same_threshold(level: Mapping[str, Any]) -> bool:
    return bool(level["called"][CHOSEN]["threshold"] == level["called"][HALF]["threshold"])


def error_table(checkpoints: Mapping[str, Any], level: str) -> ReportTable:
    """How often each checkpoint is wrong at its own threshold, by data set, class and method.

    Args:
        checkpoints: "checkpoints" of `evaluation.json`.
        level: One of `LEVELS`, such as `video`.
    """
    found: dict[tuple[str, str], dict[str, TableCell]] = {}
    for checkpoint, numbers in checkpoints.items():
        for name, levels in numbers["sets"].items():
            for what, rate in _errors(levels, level):
                found.setdefault((name, what), {})[checkpoint] = rate_cell(rate)
    rows = [
        [TableCell(name), TableCell(what), *(cells.get(checkpoint, TableCell(NOTHING)) for checkpoint in checkpoints)]
        for (name, what), cells in found.items()
    ]
    at = [checkpoint["decision"][level]["stated"] for checkpoint in checkpoints.values()]
    head = [f"{name}, above {stated}" for name, stated in zip(checkpoints, at, strict=True)]
    return ReportTable(["data set", "errors", *head], rows, texts=2, title=LEVEL_NAMES[level].capitalize())


def _errors(levels: Mapping[str, Any], level: str) -> Iterator[tuple[str, Mapping[str, Any] | None]]:
    """Yields the errors at a level in words, with their rates: of both classes, then of each method."""
    called = levels["levels"][level]["called"][CHOSEN]["errors"]
    methods = levels["groups"].get(level, {}).get("method", [])
    for wrong, kind in zip(WRONG, ("real", "fake"), strict=True):
        undecided = UNDECIDED_OF[WRONG.index(wrong)]
        for name in (wrong, undecided):
            if called.get(name) is not None:
                yield metric_name(name), called[name]
        groups = [group for group in methods if group[kind]]
        for group in groups if len(groups) > 1 else ():
            yield f"{metric_name(wrong)}: {group['name'] or kind}", group["errors"][wrong]


def likelihood_table(levels: Mapping[str, Mapping[str, Any]]) -> ReportTable:
    """Cost and bounds of the likelihood ratios by level, or why there are none."""
    rows = []
    for level, found in levels.items():
        if "why_not" in found:
            rows.append([TableCell(LEVEL_NAMES[level]), TableCell(found["why_not"]), *[TableCell(NOTHING)] * 3])
            continue
        ends = f"{found['low']:+.2f} to {found['high']:+.2f}"
        costs = (TableCell(number(found[name])) for name in ("cllr", "cllr_min"))
        rows.append([TableCell(LEVEL_NAMES[level]), TableCell(found["population"]), *costs, TableCell(ends)])
    return ReportTable(["", "calibrated on", "Cllr", "minimum of Cllr", "bounds of log10 LR"], rows, texts=2)


def group_tables(groups: Mapping[str, Mapping[str, list[Mapping[str, Any]]]]) -> list[ReportTable]:
    """One table for each kind of sub-group and level."""
    tables = []
    for level, kinds in groups.items():
        counted = _KINDS if level == "frame" else _VIDEO_KINDS
        for kind, found in kinds.items():
            rows = [
                [
                    TableCell(group["name"] or (NOTHING if group["fake"] else "real")),
                    *(TableCell(f"{group[key]:,}") for key in counted),
                    value_cell(group["auroc"]),
                    value_cell(group["accuracy"], threshold=group["threshold"]),
                    *(rate_cell(group["errors"][wrong]) for wrong in WRONG),
                ]
                for group in found
            ]
            head = [kind, *counted.values(), "AUROC", "accuracy", *map(metric_name, WRONG)]
            tables.append(ReportTable(head, rows, title=f"By {_without_by(kind)}, {LEVEL_NAMES[level]}"))
    return tables


def _without_by(kind: str) -> str:
    return "how the face was found" if kind == "found by" else kind


def difference_tables(differences: Mapping[str, Any], levels: Iterable[str] = ("video", "frame")) -> list[ReportTable]:
    """Each checkpoint minus the first one: metrics down, data sets across."""
    tables = []
    for checkpoint, found in differences.items():
        sets = found["sets"]
        for level in levels if sets else ():
            columns = [*sets.values()] + ([found["average"]] if len(sets) > 1 else [])
            rows = [
                [TableCell(_compared(name)), *(_difference_cell(part[level][name]) for part in columns)]
                for name in COMPARED
            ]
            rows = [row for row in rows if any(cell.text != NOTHING for cell in row[1:])]
            head = ["", *sets, *(["average"] if len(sets) > 1 else [])]
            title = f"{checkpoint} minus {found['reference']}, {LEVEL_NAMES[level]}"
            tables.append(ReportTable(head, rows, title=title))
    return tables


def _compared(name: str) -> str:
    return metric_name(name) + (", own threshold" if name.endswith(CHOSEN) else "")


def _difference_cell(found: Mapping[str, Any]) -> TableCell:
    if found["value"] is None:
        return TableCell(NOTHING)
    return TableCell(f"{found['value']:+.4f}", small(interval(found), p_value(found)))


def decision_table(checkpoints: Mapping[str, Any]) -> ReportTable:
    """The threshold and the temperature of each checkpoint at each level."""
    rows = []
    for checkpoint, found in checkpoints.items():
        for level, decision in found["decision"].items():
            cells = (LEVEL_NAMES[level], decision["stated"], _probabilities(decision))
            rows.append([TableCell(checkpoint), *map(TableCell, cells)])
    return ReportTable(["checkpoint", "level", "called fake above", "probabilities"], rows, texts=4)


def _probabilities(decision: Mapping[str, Any]) -> str:
    """Temperature and limits of one level in words."""
    temperature, (low, high) = decision["temperature"], decision["limits"]
    text = decision["calibration"] if temperature is None else f"temperature {temperature:.4f}"
    return text if (low, high) == (0.0, 1.0) else f"{text}; between {low:.3f} and {high:.3f}"


def about_table(about: Mapping[str, Any]) -> ReportTable:
    """Further information about the evaluation, one row per name."""

    def in_words(value: Any) -> str:
        if isinstance(value, Mapping):
            return ", ".join(f"{name} {in_words(part)}" for name, part in value.items())
        return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)

    return ReportTable(
        ["", ""], [[TableCell(str(name)), TableCell(in_words(value))] for name, value in about.items()], texts=2
    )
