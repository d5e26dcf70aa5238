"""Measurements of a detector that is to be released → key metrics for its description, and tables for its card."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from addnet.evaluation.levels import CHOSEN
from addnet.evaluation.paired import PAIRED
from addnet.evaluation.rates import WRONG, rate
from addnet.evaluation.report.document import Block, Paragraph, ReportTable, Section, TableCell
from addnet.evaluation.report.markdown import in_sections
from addnet.evaluation.report.robustness import robustness_table
from addnet.evaluation.report.tables import group_tables
from addnet.evaluation.report.texts import ERRORS, INTERVALS, method_texts
from addnet.evaluation.report.wording import metric_name, rate_cell, value_cell
from addnet.inference.answers import Answer
from addnet.wording import count

_LEVEL_OF = {"image": "frame", "video": "video"}  # kind of an answer → level
_UNITS = {"frame": "images", "video": "videos"}
_RANKED = ("auroc", PAIRED)
_PREDICTED = (
    "On files that are all real, scored as by addnet predict: faces are found and cut out of whole photographs and "
    "videos. Files without a verdict don't count in the rates."
)


def of_real_files(name: str, answers: Iterable[Answer], *, class_names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the false positive rates on files that are all real, separately for images and videos.

    Args:
        name: Name of the set of files.
        answers: The detector's answers about them.
        class_names: In the order of the labels.

    Returns:
        One entry per level: `name`, `level`, `errors`, and `without_verdict`, the number of files without a verdict.
    """
    found = []
    for kind, level in _LEVEL_OF.items():
        own = [answer.verdict for answer in answers if answer.kind == kind]
        called = [verdict for verdict in own if verdict in class_names]
        if not own:
            continue
        wrong = rate(called.count(class_names[1]), len(called)) if called else None
        entry = {"name": name, "level": level, "errors": dict(zip(WRONG, (wrong, None), strict=True))}
        found.append(entry | {"without_verdict": len(own) - len(called)})
    return found


def of_test_sets(evaluation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Returns the key metrics of each test set, for the description of a detector.

    Args:
        evaluation: The evaluation of one checkpoint, as in `evaluation.json`.

    Returns:
        One entry per test set: `name`, `level` (`video` if videos have several images), `errors`, `auroc`,
        `paired_accuracy`.
    """
    entries = []
    for name, found in _sets(evaluation):
        level = _level(found)
        numbers = found["levels"][level]
        ranked = {metric: numbers["metrics"][metric] for metric in _RANKED}
        entries.append({"name": name, "level": level, "errors": numbers["called"][CHOSEN]["errors"], **ranked})
    return entries


def measured_sections(evaluation: Mapping[str, Any], real: Sequence[Mapping[str, Any]]) -> str:
    """Returns the part of a card with the measured metrics of a detector.

    Args:
        evaluation: The evaluation of one checkpoint, as in `evaluation.json`.
        real: From `of_real_files`.

    Returns:
        Markdown.
    """
    blocks: list[Block] = [_test_table(of_test_sets(evaluation))]
    if real:
        blocks += [Paragraph(_PREDICTED), _real_table(real)]
    sets = _sets(evaluation)
    parts = [Section(f"On {name}, part by part", list(_parts(evaluation, name, found))) for name, found in sets]
    texts = [method_texts(evaluation)[0], INTERVALS, ERRORS]
    return in_sections([Section("Measured", [*blocks, *map(Paragraph, texts)], parts)], images="")


def _sets(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    (checkpoint,) = evaluation["checkpoints"].values()
    yield from checkpoint["sets"].items()


def _level(found: Mapping[str, Any]) -> str:
    """Returns `video` if videos have several images, which are alike and so not independent; else `frame`."""
    return "frame" if found["counts"]["images"] == found["counts"]["videos"] else "video"


def _test_table(entries: Sequence[Mapping[str, Any]]) -> ReportTable:
    rows = [
        [
            TableCell(entry["name"]),
            TableCell(_UNITS[entry["level"]]),
            *(rate_cell(entry["errors"][wrong]) for wrong in WRONG),
            *(value_cell(entry[metric]) for metric in _RANKED),
        ]
        for entry in entries
    ]
    return ReportTable(["test set", "of", *map(metric_name, (*WRONG, *_RANKED))], rows, texts=2)


def _real_table(real: Sequence[Mapping[str, Any]]) -> ReportTable:
    rows = [
        [
            TableCell(entry["name"]),
            TableCell(_UNITS[entry["level"]]),
            rate_cell(entry["errors"][WRONG[0]]),
            TableCell(f"{entry['without_verdict']:,}"),
        ]
        for entry in real
    ]
    return ReportTable(["real files", "of", metric_name(WRONG[0]), "without a verdict"], rows, texts=2)


def _parts(evaluation: Mapping[str, Any], name: str, found: Mapping[str, Any]) -> Iterator[Block]:
    """Yields the size, the subgroups and the robustness ladder of one test set."""
    counts = found["counts"]
    yield Paragraph(f"{count(counts['images'], 'image')} of {count(counts['videos'], 'video')}.")
    yield from group_tables({"frame": found["groups"].get("frame", {})})
    if any(name in sets for sets in evaluation["robustness"].values()):
        yield robustness_table(evaluation["robustness"], evaluation, name)
