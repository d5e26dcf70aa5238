"""An audit as a folder: `report.md`, `audit.json` and plots."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from addnet import wording
from addnet.data.audit.actors import STRICT
from addnet.data.audit.balance import count, spread
from addnet.data.audit.confounds import Confound
from addnet.data.audit.examine import Audit
from addnet.data.audit.issues import Issue, count_by_severity
from addnet.data.audit.likeness import Likeness
from addnet.data.audit.plots import confound_plot, faces_plot, hash_plot, pairs_plot
from addnet.data.audit.scan import Read
from addnet.data.audit.scores import Score
from addnet.data.audit.unchanged import write_unchanged
from addnet.faces.descriptors import SAME_PERSON
from addnet.untrusted.texts import in_markdown

REPORT, NUMBERS = "report.md", "audit.json"
_PAIRS = 12  # on a sheet


def write_report(found: Audit, folder: Path, read: Read, *, name: str) -> Path:
    """Writes everything into a folder; plots of an earlier audit that this one lacks are deleted.

    Returns:
        The path of `report.md`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("audit_*.png"):
        old.unlink()
    plots, bits = _plots(found, read)
    for stem, figure in plots.items():
        figure.savefig(folder / f"audit_{stem}.png", dpi=90)
    numbers = {"name": name, **found.numbers(), "nearest_by_bits": bits}
    (folder / NUMBERS).write_text(json.dumps(numbers, indent=1, default=_json) + "\n", encoding="utf-8")
    if found.unchanged is not None:
        write_unchanged(found.records, found.unchanged, folder)
    report = folder / REPORT
    report.write_text("\n".join(_lines(found, name, list(plots))) + "\n", encoding="utf-8")
    return report


def _json(value: Any) -> Any:
    if isinstance(value, (np.integer, np.floating)):
        return value.item()
    raise TypeError(f"{type(value)} cannot be written to {NUMBERS}")


def _plots(found: Audit, read: Read) -> tuple[dict[str, Figure], dict[str, list[int]]]:
    settings = found.settings
    nearest, bits = hash_plot(found.records, found.signals, distance=settings.distance, seed=settings.seed)
    plots = {
        "confounds": confound_plot(found.records, found.signals, found.confounds),
        "nearest": nearest,
        "faces": faces_plot(found.actors),
    }
    for pairs in (*found.across, *found.within):
        if len(pairs.rows):
            plots[f"near_{'_'.join(pairs.between)}"] = _near_sheet(found, pairs, read)
    for people in found.actors:
        captions = [f"{distance:.2f}" for distance in people.across[:_PAIRS]]
        if captions:
            title = "nearest faces, with their distances"
            sheet = pairs_plot(found.records, people.rows[:_PAIRS], captions, read, between=people.between, title=title)
            plots[f"faces_{'_'.join(people.between)}"] = sheet
    return {stem: figure for stem, figure in plots.items() if figure}, bits


def _near_sheet(found: Audit, pairs: Likeness, read: Read) -> Figure:
    shown = pairs.rows[:_PAIRS]
    captions = [
        f"{bits} bits, detail {detail:.2f}" for bits, detail in zip(pairs.distances, pairs.detail, strict=False)
    ]
    title = f"nearly identical, of different groups: {' and '.join(pairs.between)}"
    return pairs_plot(found.records, shown, captions[: len(shown)], read, between=pairs.between, title=title)


def _lines(found: Audit, name: str, plots: list[str]) -> Iterator[str]:
    counts = count_by_severity(found.issues)
    yield f"# Audit of {in_markdown(name)}\n"
    yield (
        f"{wording.count(len(found.records), 'image')}: "
        + ", ".join(f"{n} {_plural(s, n)}" for s, n in counts.items())
        + ".\n"
    )
    yield from _issue_lines(found.issues)
    yield from _count_lines(found)
    yield from _confound_lines(found)
    yield from _near_lines(found)
    yield from _actor_lines(found)
    yield from _blend_lines(found)
    yield "\n## Plots\n"
    for stem in plots:
        yield f"![{stem.replace('_', ' ')}](audit_{stem}.png)\n"


def _plural(severity: str, number: int) -> str:
    return severity if number == 1 or severity == "info" else f"{severity}s"


def _issue_lines(issues: list[Issue]) -> Iterator[str]:
    yield "## Findings\n"
    if not issues:
        yield "Nothing was found.\n"
    for issue in issues:
        yield f"- **{issue.severity}** `{issue.kind}`: {in_markdown(issue.text)}."
        yield f"  *{in_markdown(issue.remedy)}*"
        yield from (f"  - {in_markdown(example)}" for example in issue.examples)


def _count_lines(found: Audit) -> Iterator[str]:
    yield "\n## Content\n"
    yield "| split | data set | method | class | images | videos | groups |"
    yield "|---|---|---|---|---:|---:|---:|"
    for row in count(found.records):
        yield (
            f"| {row.split} | {in_markdown(row.dataset)} | {in_markdown(row.method or '–')} | {row.label} "
            f"| {row.images:,} | {row.videos:,} | {row.groups:,} |"
        )
    yield ""
    for split, parts in spread(found.records).items():
        ranges = "; ".join(f"{what}: {low} to {high}, median {middle}" for what, (low, middle, high) in parts.items())
        yield f"- {split}: {ranges}"


def _confound_lines(found: Audit) -> Iterator[str]:
    splits = list(dict.fromkeys(split for confound in found.confounds for split in confound.scores))
    if not splits:
        return
    yield "\n## Does a single signal tell the class?\n"
    yield "AUROC of each signal alone, whichever class has the larger values: 0.5 is chance, 1 is perfect. In brackets:"
    yield "the 95 % confidence interval over resampled groups. Categories (¹) are scored by their share of fakes in"
    yield "other groups.\n"
    yield "| signal | " + " | ".join(splits) + " |"
    yield "|---|" + "---|" * len(splits)
    for confound in found.confounds:
        name = confound.signal.name + (" ¹" if confound.signal.categories else "")
        cells = (_cell(confound, split) for split in splits)
        yield f"| {name} | " + " | ".join(cells) + " |"


def _blend_lines(found: Audit) -> Iterator[str]:
    if not found.blends:
        return
    yield "\n## Does a single signal tell self-blends from their real images?\n"
    yield "AUROC of each signal alone: of images as they come out of the blend, and as the network sees them."
    for blends in found.blends:
        yield f"\n{blends.split}: {blends.blended:,} of {blends.looked_at:,} real images blended.\n"
        yield "| signal | blended | seen |"
        yield "|---|---|---|"
        for name, stages in blends.scores.items():
            yield f"| {name} | {_score(stages['blended'])} | {_score(stages['seen'])} |"


def _cell(confound: Confound, split: str) -> str:
    return _score(confound.scores.get(split))


def _score(score: Score | None) -> str:
    if score is None or math.isnan(score.auroc):
        return "–"
    interval = "" if math.isnan(score.low) else f" [{score.low:.3f}, {score.high:.3f}]"
    larger = f", larger in {score.larger_in}" if score.larger_in and score.auroc > 0.5 else ""
    return f"{score.auroc:.3f}{interval}{larger}"


def _near_lines(found: Audit) -> Iterator[str]:
    yield "\n## Near-identical images\n"
    yield f"Pairs of different groups whose perceptual hashes differ in at most {found.settings.distance} of 64 bits;"
    yield "`same` of them agree in detail too. Images with the same hash are listed once.\n"
    yield "| between | pairs | same | images | all found |"
    yield "|---|---:|---:|---:|---|"
    for pairs in (*found.across, *found.within):
        yield (
            f"| {' and '.join(pairs.between)} | {len(pairs.rows):,} | {len(pairs.same):,} "
            f"| {pairs.images[0]:,} and {pairs.images[1]:,} | {'yes' if pairs.complete else 'no'} |"
        )


def _actor_lines(found: Audit) -> Iterator[str]:
    if not found.actors:
        return
    yield "\n## The same people\n"
    yield "Distance of each face to the nearest face of another group; dlib takes a pair below 0.6 for one person.\n"
    for pair in found.actors:
        one, other = pair.between
        found_in = (f"{pair.found[side]:,} of {pair.looked_at[side]:,} in {pair.between[side]}" for side in (0, 1))
        yield f"Faces found: {', '.join(found_in)}.\n"
        numbers = pair.numbers()
        yield f"| from | to | 1 % | 5 % | 25 % | median | 75 % | 95 % | below {STRICT:g} | below {SAME_PERSON:g} |"
        yield "|---|---|" + "---:|" * 8
        for what, source in (("across", other), ("within", one)):
            quantiles = " | ".join(f"{value:.3f}" for value in numbers[f"{what}_quantiles"].values())
            shares = " | ".join(f"{numbers[f'{what}_below_{limit}']:.1%}" for limit in (STRICT, SAME_PERSON))
            yield f"| {source} | {one} | {quantiles} | {shares} |"
