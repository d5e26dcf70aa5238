"""Records → usable records with their faces; what is not usable is listed, counted and, if too much, refused."""

from __future__ import annotations

import csv
import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from addnet.errors import UserError
from addnet.faces.geometry import Points
from addnet.faces.landmarks import STEPS
from addnet.faces.scan import Finding, outcome
from addnet.index.faces import FaceIndex
from addnet.index.records import CLASS_NAMES, Record
from addnet.progress import show_progress

log = logging.getLogger(__name__)

_SHOWN = 20


@dataclass
class Usable:
    """The records of one split that can be served.

    Attributes:
        records: Those whose files are whole.
        points: (68, 2) of each, None without a face.
        shapes: (height, width) of each.
        steps: Pictures by detector step.
        skipped: Path and reason of the files that are left out.
    """

    records: list[Record]
    points: list[Points | None]
    shapes: list[tuple[int, int]]
    steps: dict[str, int]
    skipped: list[tuple[str, str]] = field(default_factory=list)


def progress_bar(findings: Iterable[Finding], total: int) -> Iterator[Finding]:
    """Shows how far the search for faces is, with the time left and the counts by step."""
    return show_progress(findings, total, outcome=outcome, title="finding faces")


def usable(records: Sequence[Record], index: FaceIndex) -> Usable:
    """Looks the records up in an index that holds them all."""
    kept: list[Record] = []
    points: list[Points | None] = []
    shapes: list[tuple[int, int]] = []
    skipped: list[tuple[str, str]] = []
    steps: Counter[str] = Counter()
    for record in records:
        entry = index[record.path]
        if entry.reason:
            skipped.append((record.path, entry.reason))
            continue
        kept.append(record)
        points.append(entry.face.points if entry.face else None)
        shapes.append(entry.shape)
        steps[entry.face.step if entry.face else "on the fly"] += 1
    return Usable(kept, points, shapes, dict(steps), skipped)


def refuse_too_many_bad(skipped: Sequence[tuple[str, str]], total: int, *, max_fraction: float) -> None:
    """Stops before work is lost on a damaged data set.

    Raises:
        UserError: More than `max_fraction` of the files are unusable; the text lists them.
    """
    if not total or len(skipped) <= max_fraction * total:
        return
    lines = [f"  {path}: {reason}" for path, reason in skipped[:_SHOWN]]
    if len(skipped) > _SHOWN:
        lines.append(f"  and {len(skipped) - _SHOWN} more")
    raise UserError(
        f"{len(skipped)} of {total} pictures are unusable, more than data.max_bad_fraction={max_fraction:g}:\n"
        + "\n".join(lines)
        + "\nRepair or remove them, or raise data.max_bad_fraction."
    )


def describe(splits: dict[str, Usable]) -> list[str]:
    """One line a split: pictures by class, videos, groups, faces by step, files left out."""
    lines = []
    for name, part in splits.items():
        labels = Counter(record.label for record in part.records)
        classes = ", ".join(
            f"{labels[label]} {CLASS_NAMES[label]}" for label in range(len(CLASS_NAMES)) if labels[label]
        )
        videos = len({record.video_id for record in part.records})
        groups = len({record.group_id for record in part.records})
        order = [step for step in (*STEPS, "on the fly") if step in part.steps]
        faces = ", ".join(f"{step} {part.steps[step]}" for step in order)
        lines.append(
            f"{name}: {len(part.records)} pictures ({classes or 'unlabelled'}), {videos} videos, {groups} groups; "
            f"faces: {faces}; skipped: {len(part.skipped)}"
        )
        if part.steps.get("none"):
            lines.append(f"{name}: {part.steps['none']} pictures without a face get a mask of ones")
    return lines


def write_skipped(splits: dict[str, Usable], file: Path) -> Path | None:
    """Lists the files that are left out with the reason, as CSV; None if there are none."""
    rows = [(name, path, reason) for name, part in splits.items() for path, reason in part.skipped]
    if not rows:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("split", "path", "reason"))
        writer.writerows(rows)
    return file


def fingerprint(splits: dict[str, Usable], index: FaceIndex) -> str:
    """SHA-256 over path, size, label and split of every picture served, in order."""
    digest = hashlib.sha256()
    for name, part in sorted(splits.items()):
        for record in part.records:
            row = (name, record.path, index[record.path].size, record.label, record.group_id)
            digest.update(repr(row).encode())
    return digest.hexdigest()
