"""How many images there are, by split, data set, method and class."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from addnet import wording
from addnet.data.audit.issues import ERROR, EXAMPLES, INFO, WARNING, Issue
from addnet.data.audit.overlap import rows_of
from addnet.data.audit.scan import ImageSignals
from addnet.index.records import CLASS_NAMES, FAKE, REAL, Records

_FEW = 0.2


@dataclass(frozen=True)
class BalanceRow:
    """One row of the table: a split, data set, method and class, with the numbers of images, videos and groups."""

    split: str
    dataset: str
    method: str
    label: str
    images: int
    videos: int
    groups: int


def count(records: Records) -> list[BalanceRow]:
    """Images, videos and groups by split, data set, method and class."""
    fields = ("split", "dataset", "method")
    names = [records.names(field) for field in fields]
    columns = [*(records.numbers(field) for field in fields), records.labels.astype(np.int64) + 1]
    sizes = (*(max(1, len(part)) for part in names), len(CLASS_NAMES) + 1)
    codes = np.ravel_multi_index(tuple(columns), sizes)  # (N,) one number for each combination of the four
    videos, groups = records.numbers("video_id"), records.numbers("group_id")
    order = np.argsort(codes, kind="stable")
    kinds, starts = np.unique(codes[order], return_index=True)
    rows = []
    for kind, part in zip(kinds, np.split(order, starts[1:]), strict=True):
        split, dataset, method, label = (int(n) for n in np.unravel_index(kind, sizes))
        texts = (names[0][split], names[1][dataset], names[2][method], ("unknown", *CLASS_NAMES)[label])
        rows.append(BalanceRow(*texts, len(part), len(np.unique(videos[part])), len(np.unique(groups[part]))))
    return rows


def spread(records: Records) -> dict[str, dict[str, list[int]]]:
    """Smallest, median and largest number of frames per video and of videos per group, by split."""
    found = {}
    for split in records.names("split"):
        rows = rows_of(records, split)
        videos, groups = records.numbers("video_id")[rows], records.numbers("group_id")[rows]
        frames = np.unique(videos, return_counts=True)[1]
        pairs = np.unique(np.stack([groups, videos]), axis=1)[0]
        found[split] = {
            "frames a video": _three(frames),
            "videos a group": _three(np.unique(pairs, return_counts=True)[1]),
        }
    return found


def _three(counts: Any) -> list[int]:
    return [int(counts.min()), round(float(np.median(counts))), int(counts.max())]


def balance_issues(records: Records, *, blended: Collection[str] = ()) -> list[Issue]:
    """Splits with one class (error) or with few images of one (info), and missing splits (warning).

    Args:
        records: The images.
        blended: Splits whose fakes are made from their real images.
    """
    issues = []
    labels = records.labels
    for split in records.names("split"):
        counts = [int((labels[rows_of(records, split)] == label).sum()) for label in (REAL, FAKE)]
        if split == "predict" or (split in blended and counts[REAL]):
            continue
        if min(counts) == 0:
            text = f"{split} holds {counts[0]:,} real and {counts[1]:,} fake images: no metric is meaningful there"
            issues.append(Issue("single_class", ERROR, text, sum(counts), "Add images of the other class."))
        elif min(counts) < _FEW * sum(counts):
            text = f"{split} holds {counts[0]:,} real and {counts[1]:,} fake images"
            remedy = "Judge by AUROC or balanced accuracy, and train with data.balance=sampler or loss_weight."
            issues.append(Issue("imbalance", INFO, text, min(counts), remedy))
    missing = [split for split in ("train", "test") if split not in records.names("split")]
    if missing:
        text = f"there are no {' and no '.join(missing)} images: nothing could be compared across splits"
        remedy = "Audit data sets that belong together in one run."
        issues.append(Issue("missing_split", WARNING, text, len(missing), remedy))
    return issues


def readability_issues(records: Records, signals: ImageSignals) -> list[Issue]:
    """Images that cannot be read, and those that are all of one colour."""
    issues = []
    if signals.failures:
        examples = [f"{records[row].path}: {reason}" for row, reason in signals.failures[:EXAMPLES]]
        text = f"{wording.count(len(signals.failures), 'image')} cannot be read"
        remedy = "Copy them again or delete them; training leaves them out. audit.json lists all of them."
        issues.append(Issue("unreadable", WARNING, text, len(signals.failures), remedy, examples))
    flat = np.flatnonzero(signals["flat"] & signals.readable)
    if len(flat):
        examples = [records[int(row)].path for row in flat[:EXAMPLES]]
        alone = wording.count(
            len(flat), "image is all of one colour; it was", "images are all of one colour; they were"
        )
        text = f"{alone} not compared by perceptual hash"
        issues.append(Issue("flat", INFO, text, len(flat), "Look at them; most show no face.", examples))
    return issues
