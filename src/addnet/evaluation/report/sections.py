"""Builds the document that both reports show, from an evaluation and its scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from addnet.evaluation.assessment import Scored
from addnet.evaluation.levels import CHOSEN
from addnet.evaluation.report import plots
from addnet.evaluation.report.document import Block, Document, Gallery, Paragraph, ReportImage, Section
from addnet.evaluation.report.robustness import Robustness, robustness_section
from addnet.evaluation.report.tables import (
    about_table,
    cross_tables,
    decision_table,
    difference_tables,
    error_table,
    group_tables,
    level_table,
    likelihood_table,
)
from addnet.evaluation.report.texts import DIFFERENCES, ERRORS, LIKELIHOOD, MISTAKES, method_texts, pairs_text, summary
from addnet.evaluation.report.wording import legend, slug
from addnet.evaluation.scored import ScoredSet, by_video
from addnet.wording import count

Mistakes = Sequence[Mapping[str, Any]]
_LEVELS = {"images": "frame", "videos": "video"}


def document(
    evaluation: Mapping[str, Any],
    scored: Scored,
    *,
    robustness: Robustness,
    mistakes: Mistakes,
    about: Mapping[str, Any],
) -> Document:
    """Draws all plots and builds the report.

    Args:
        evaluation: Result of `assess`.
        scored: Checkpoint → data set → scores.
        robustness: Checkpoint → data set → kind of damage → steps, as for `write_report`.
        mistakes: The worst mistakes, as for `write_report`.
        about: Names → values shown at the end.
    """
    sections = [Section("Results", cross_tables(evaluation))]
    if errors := _errors(evaluation["checkpoints"], scored):
        sections.append(errors)
    if evaluation["differences"]:
        sections.append(_differences(evaluation["differences"]))
    sets = list(dict.fromkeys(name for found in scored.values() for name in found))
    parts = [_data_set(evaluation, scored, name, position) for position, name in enumerate(sets, start=1)]
    sections.append(Section("Data sets", [], parts))
    if any(robustness.values()):
        sections.append(robustness_section(robustness, evaluation))
    if mistakes:
        sections.append(_mistakes(mistakes))
    measured: list[Block] = [
        *map(Paragraph, method_texts(evaluation)),
        decision_table(evaluation["checkpoints"]),
    ]
    sections.append(Section("How it was measured", measured))
    if about:
        sections.append(Section("About this evaluation", [about_table(about)]))
    return Document("Evaluation of deepfake detectors", summary(evaluation), sections)


def _errors(checkpoints: Mapping[str, Any], scored: Scored) -> Section | None:
    """Error rates at the thresholds in the checkpoints; None if no checkpoint has one."""
    single = all(len(rows) == len(rows.video_ids) for sets in scored.values() for rows in sets.values())
    tables = [error_table(checkpoints, level) for level in (("frame",) if single else ("video", "frame"))]
    tables = [table for table in tables if table.rows]
    return Section("Error rates", [Paragraph(ERRORS), *tables]) if tables else None


def _differences(differences: Mapping[str, Any]) -> Section:
    left_out = [
        Paragraph(f"{checkpoint} isn't compared on {', '.join(found['not_the_same_rows'])}: the images differ.")
        for checkpoint, found in differences.items()
        if found["not_the_same_rows"]
    ]
    return Section(
        "Differences between checkpoints", [Paragraph(DIFFERENCES), *left_out, *difference_tables(differences)]
    )


def _data_set(evaluation: Mapping[str, Any], scored: Scored, name: str, position: int) -> Section:
    mine = {checkpoint: _levels(found[name]) for checkpoint, found in scored.items() if name in found}
    numbers = {checkpoint: evaluation["checkpoints"][checkpoint]["sets"][name] for checkpoint in mine}
    counts = next(iter(numbers.values()))["counts"]
    amounts = Paragraph(
        f"{count(counts['images'], 'image')} ({counts['real_images']:,} real, {counts['fake_images']:,} fake) "
        f"of {count(counts['videos'], 'video')} ({counts['real_videos']:,} real, {counts['fake_videos']:,} fake)."
    )
    stem = f"{position}-{slug(name)}"
    pairs = Paragraph(pairs_text(next(iter(numbers.values()))["pairs"]))
    blocks: list[Block] = [amounts, pairs, _curves(mine, name, stem)]
    if not _both_classes(mine):
        single = "A single class can't be ranked, so there are no AUROC, AP, EER, TPR and curves."
        blocks = [amounts, Paragraph(single)]
    parts = [
        _checkpoint(checkpoint, levels, numbers[checkpoint], stem=f"{stem}_{number}-{slug(checkpoint)}")
        for number, (checkpoint, levels) in enumerate(mine.items(), start=1)
    ]
    return Section(name, blocks, parts)


def _levels(scored: ScoredSet) -> dict[str, ScoredSet]:
    """The levels that plots show: images, and videos unless each image is its own video."""
    single = len(scored) == len(scored.video_ids)
    return {"images": scored} if single else {"images": scored, "videos": by_video(scored)}


def _both_classes(checkpoints: Mapping[str, Mapping[str, ScoredSet]]) -> bool:
    return any(len(set(levels["images"].labels.tolist())) > 1 for levels in checkpoints.values())


def _curves(checkpoints: Mapping[str, Mapping[str, ScoredSet]], name: str, stem: str) -> Gallery:
    roc = plots.roc_plot(checkpoints, title=f"{legend(name)}: ROC")
    precision = plots.precision_recall_plot(checkpoints, title=f"{legend(name)}: precision and recall")
    return Gallery(
        [
            ReportImage.of_plot(f"roc_{stem}", roc, alt=f"ROC curves on {name}"),
            ReportImage.of_plot(f"pr_{stem}", precision, alt=f"precision-recall curves on {name}"),
        ]
    )


def _checkpoint(name: str, levels: Mapping[str, ScoredSet], numbers: Mapping[str, Any], *, stem: str) -> Section:
    """Tables and plots of one checkpoint on one data set."""
    of_level = {shown: numbers["levels"][_LEVELS[shown]] for shown in levels}
    thresholds = {shown: found["called"][CHOSEN]["threshold"] for shown, found in of_level.items()}
    matrices = {
        f"{shown}, threshold {thresholds[shown]:.3f}": found["called"][CHOSEN]["confusion"]
        for shown, found in of_level.items()
        if thresholds[shown] is not None
    }
    short = legend(name)
    drawn = {"scores": plots.scores_plot(levels, thresholds, title=f"{short}: scores")}
    if matrices:
        drawn["confusion"] = plots.confusion_plot(matrices, title=f"{short}: confusion")
    undecided = {shown: found["undecided"] for shown, found in of_level.items() if found["undecided"]}
    if undecided:
        drawn["undecided"] = plots.undecided_plot(undecided, title=f"{short}: undecided")
    probabilities = all(scored.is_probability for scored in levels.values())
    for shown, scored in levels.items() if probabilities and _both_classes({name: levels}) else ():
        title = f"{short}: reliability, {shown}"
        drawn[f"reliability_{shown}"] = plots.reliability_plot(scored, of_level[shown], title=title)
    images = [
        ReportImage.of_plot(f"{what}_{stem}", figure, alt=f"{what.replace('_', ' of ')}, {name}")
        for what, figure in drawn.items()
    ]
    groups = group_tables(numbers["groups"])
    parts = [Section("Sub-groups", groups)] if groups else []
    if "likelihood" in numbers:
        parts.append(_weight(numbers["likelihood"], levels, short, stem))
    return Section(name, [level_table(numbers["levels"]), Gallery(images)], parts)


def _weight(found: Mapping[str, Any], levels: Mapping[str, ScoredSet], short: str, stem: str) -> Section:
    """The section on likelihood ratios: table, Tippett plot and DET plot."""
    of_level = {shown: found[_LEVELS[shown]] for shown in levels}
    known = {shown: numbers for shown, numbers in of_level.items() if "why_not" not in numbers}
    blocks: list[Block] = [
        Paragraph(LIKELIHOOD),
        likelihood_table({_LEVELS[name]: it for name, it in of_level.items()}),
    ]
    if known:
        drawn = {
            "tippett": plots.tippett_plot(known, title=f"{short}: Tippett"),
            "det": plots.det_plot({shown: levels[shown] for shown in known}, title=f"{short}: DET"),
        }
        blocks.append(
            Gallery(
                [ReportImage.of_plot(f"{what}_{stem}", figure, alt=f"{what} plot") for what, figure in drawn.items()]
            )
        )
    return Section("Weight of evidence", blocks)


def _mistakes(mistakes: Mistakes) -> Section:
    images = []
    for number, mistake in enumerate(mistakes, start=1):
        truth = ("real", "fake")[int(mistake["label"])]
        text = f"{truth}, probability of fake {float(mistake['probability']):.4f}"
        names = [str(mistake[key]) for key in ("path", "set", "checkpoint") if mistake.get(key)]
        caption = f"{text}: {' · '.join(names)}"
        images.append(ReportImage.of_array(f"mistake_{number:02d}", mistake["image"], alt=text, caption=caption))
    return Section("Worst mistakes", [Paragraph(MISTAKES), Gallery(images, wide=True)])
