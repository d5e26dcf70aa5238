"""What two splits, or two labels, have in common and must not: videos, groups, identities, files."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.issues import ERROR, EXAMPLES, INFO, WARNING, Issue
from addnet.data.audit.scan import ImageSignals
from addnet.data.splits import torn_videos
from addnet.index.records import Records
from addnet.wording import count

_SPLIT_ORDER = ("train", "val", "test")
_NAMED = {
    "video_id": (
        "same_video",
        ERROR,
        "videos",
        "Frames of one video are nearly the same image: move each video to one split.",
    ),
    "group_id": (
        "same_group",
        ERROR,
        "groups",
        "Move each group to one split, or separate groups with data.group_pattern.",
    ),
    "identity": (
        "same_identity",
        WARNING,
        "identities",
        "Test metrics hold for known people only: report that, or split by identity.",
    ),
}

Rows = NDArray[np.int64]


def split_pairs(records: Records) -> list[tuple[str, str]]:
    """The pairs of splits that must share nothing: train before val before test."""
    known = [name for name in _SPLIT_ORDER if name in records.names("split")]
    return list(combinations(known, 2))


def rows_of(records: Records, split: str) -> Rows:
    """Positions of the records of a split."""
    names = records.names("split")
    if split not in names:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(records.numbers("split") == names.index(split))


def shared_names(records: Records) -> list[Issue]:
    """Videos, groups and identities that are in two splits."""
    issues = []
    for field in _NAMED:
        names, tokens, owners = _tokens(records, field)
        for one, other in split_pairs(records):
            sides = [np.unique(tokens[np.isin(owners, rows_of(records, split))]) for split in (one, other)]
            shared = np.intersect1d(sides[0], sides[1])
            if len(shared):
                issues.append(_named_issue(field, [names[token] for token in shared], (one, other)))
    return issues


def torn(records: Records) -> list[Issue]:
    """Videos that are in several groups: a validation carved out by group may share them with training."""
    found = torn_videos(records)
    if not found:
        return []
    text = f"{count(len(found), 'video is', 'videos are')} in several groups"
    return [Issue("torn_video", ERROR, text, len(found), "Give all frames of a video one group.", found[:EXAMPLES])]


def _tokens(records: Records, field: str) -> tuple[list[str], Rows, Rows]:
    """The names of a field, which of them occur, and the record of each occurrence; empty ones are left out."""
    # a field may hold several names (identities): `flat` lists those of each distinct text one after another, from
    # `starts`, `lengths` of them; `widths`: (N,) how many each record has
    texts, numbers = records.names(field), records.numbers(field)
    parts = [text.split() if field == "identity" else [text] if text else [] for text in texts]
    names = sorted({name for part in parts for name in part})
    position = {name: number for number, name in enumerate(names)}
    lengths = np.array([len(part) for part in parts], dtype=np.int64)
    flat = np.array([position[name] for part in parts for name in part], dtype=np.int64)
    starts = np.cumsum(lengths) - lengths
    widths = lengths[numbers] if len(numbers) else numbers
    owners = np.repeat(np.arange(len(records)), widths)
    within = np.arange(len(owners)) - np.repeat(np.cumsum(widths) - widths, widths)
    return names, flat[np.repeat(starts[numbers] if len(numbers) else numbers, widths) + within], owners


def _named_issue(field: str, shared: list[str], splits: tuple[str, str]) -> Issue:
    kind, severity, what, remedy = _NAMED[field]
    text = f"{len(shared):,} {what} are in both {splits[0]} and {splits[1]}"
    return Issue(kind, severity, text, len(shared), remedy, shared[:EXAMPLES])


def identical_files(records: Records, signals: ImageSignals) -> list[Issue]:
    """Files with the same bytes: in two splits, under two labels, or merely twice."""
    sets = _IdenticalSets(signals)
    splits, labels = records.numbers("split"), records.labels.astype(np.int64)
    groups = records.numbers("group_id")
    known = labels[sets.rows]
    two_labels = sets.differ(known) & (sets.least(known) >= 0)
    two_splits = sets.differ(splits[sets.rows])
    rest = ~two_labels & ~two_splits
    two_groups = rest & sets.differ(groups[sets.rows])
    return [
        issue
        for issue in (
            _identical_issue(records, sets, two_labels, "same_file_two_labels", ERROR, "under two labels"),
            _identical_issue(records, sets, two_splits, "same_file_two_splits", ERROR, "in two splits"),
            _identical_issue(records, sets, two_groups, "same_file_two_groups", WARNING, "in two groups of a split"),
            _identical_issue(records, sets, rest & ~two_groups, "same_file", INFO, "within a group"),
        )
        if issue
    ]


_IDENTICAL_REMEDY = {
    "same_file_two_labels": "One of the labels is wrong; the images cannot be learned. Delete or relabel them.",
    "same_file_two_splits": "Delete the copy from training, and find out how it got there: others may be less exact.",
    "same_file_two_groups": "A validation set carved out by group may share them with training: give both one group.",
    "same_file": "They count twice in training; delete the copies if that is not intended.",
}


class _IdenticalSets:
    """Sets of two and more files with the same bytes."""

    def __init__(self, signals: ImageSignals) -> None:
        # equal digests form runs; `rows` lists the records of all runs of two or more, from `starts`, `counts` of them
        readable = np.flatnonzero(signals.readable)
        digests = signals["digest"][readable]
        order = np.lexsort((readable, digests[:, 1], digests[:, 0]))
        digests = digests[order]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (digests[1:] != digests[:-1]).any(axis=1)
        counts = np.diff(np.append(np.flatnonzero(new), len(order)))
        repeated = np.repeat(counts > 1, counts)
        self.rows: Rows = readable[order[repeated]]
        self.counts = counts[counts > 1]
        self.starts = np.cumsum(self.counts) - self.counts

    def least(self, values: Rows) -> Rows:
        """The smallest value in each set; `values` belong to `rows`."""
        return np.minimum.reduceat(values, self.starts) if len(self.starts) else np.empty(0, dtype=np.int64)

    def differ(self, values: Rows) -> NDArray[np.bool_]:
        """Whether a set holds more than one value."""
        return np.asarray(self.least(values) != -self.least(-values))


def _identical_issue(
    records: Records, sets: _IdenticalSets, chosen: NDArray[np.bool_], kind: str, severity: str, where: str
) -> Issue | None:
    if not chosen.any():
        return None
    images = int(sets.counts[chosen].sum())
    examples = []
    for number in np.flatnonzero(chosen)[:EXAMPLES]:
        rows = sets.rows[sets.starts[number] :][: sets.counts[number]]
        examples.append(" = ".join(records[int(row)].path for row in _telling(records, rows)))
    text = f"{count(images, 'file')} in {count(int(chosen.sum()), 'set')} have the same bytes {where}"
    return Issue(kind, severity, text, images, _IDENTICAL_REMEDY[kind], examples)


def _telling(records: Records, rows: Rows) -> list[int]:
    """Two or three files of a set: the first, then preferably those that differ from it in split or label."""
    first = records[int(rows[0])]
    others = sorted(
        (int(row) for row in rows[1:200]),
        key=lambda row: (records[row].split == first.split) + (records[row].label == first.label),
    )
    return [int(rows[0]), *others[:2]]
