"""Which picture is used for what: validation carved out by group, leaks found, sets limited."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.index.records import CLASS_NAMES, Record, Records

_SHOWN = 20
_FIGURES = {"val": "Validation"}


def carve_validation(records: Sequence[Record], fraction: float, *, seed: int) -> tuple[Records, Records]:
    """Splits training records into training and validation, whole groups at a time.

    Groups are taken in a seeded order while a class they hold is short of its share.

    Args:
        records: Training records.
        fraction: Share of the pictures of each class that validation should get.
        seed: Decides the order of the groups.

    Returns:
        Training records and validation records (their `split` changed to `val`), in the order given.

    Raises:
        UserError: One of the two would lack a class.
    """
    if not 0 < fraction < 1:
        raise UserError(f"data.val_fraction={fraction} must lie between 0 and 1; 0.1 is usual")
    records = Records.of(records)
    groups, counts = _groups(records)
    wanted = fraction * counts.sum(axis=0)
    chosen = np.zeros(len(counts), dtype=bool)
    for group in _shuffled(len(counts), seed):
        if (wanted[counts[group] > 0] > 0).any():
            chosen[group] = True
            wanted -= counts[group]
    in_val = chosen[groups]
    train, val = records.take(~in_val), records.take(in_val).replaced(split="val")
    for name, part in (("training", train), ("validation", val)):
        require_both_classes(part, name, hint=f"there are {len(counts)} groups; see data.group_pattern")
    return train, val


def require_both_classes(records: Sequence[Record], name: str, *, hint: str) -> None:
    """Raises a UserError if a set lacks a class: no figure about it would mean anything."""
    present = set(Records.of(records).labels.tolist())
    missing = [name for label, name in enumerate(CLASS_NAMES) if label not in present]
    if missing:
        raise UserError(f"{name} would have no {' and no '.join(missing)} pictures ({hint})")


def one_class(records: Sequence[Record], name: str) -> str:
    """What can't be measured where a set has one class alone, in words; empty if it has both or none."""
    present = set(Records.of(records).labels.tolist()) & set(range(len(CLASS_NAMES)))
    if len(present) != 1:
        return ""
    here = CLASS_NAMES[present.pop()]
    return (
        f"{name} has {here} pictures alone: accuracy is that of {here} ones, and there is no AUROC, AP or EER, which "
        "compare both classes"
    )


def check_overlap(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """Groups that are in both sets, sorted: a detector would recognise them instead of detecting."""
    return sorted(set(Records.of(train).names("group_id")) & set(Records.of(test).names("group_id")))


def overlap_message(groups: Sequence[str], *, splits: tuple[str, str] = ("train", "test")) -> str:
    """What a leak means and what can be done about it."""
    shown = ", ".join(groups[:_SHOWN]) + (f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")
    figures = _FIGURES.get(splits[1], "Test")
    return (
        f"{len(groups)} groups are in both {' and '.join(splits)}: {shown}\n"
        f"{figures} figures would be too good. Move them to one side, or tell groups apart with "
        "data.group_pattern; data.allow_overlap=true goes on all the same."
    )


def limit(records: Sequence[Record], number: int | None, *, seed: int) -> Records:
    """At most about `number` records, whole groups in a seeded order, classes as balanced as the groups allow."""
    records = Records.of(records)
    if number is None or number >= len(records):
        return records
    if number < 2:
        raise UserError(f"a limit of {number} pictures is too small; at least one of each class is needed")
    groups, counts = _groups(records)
    target = number / max(1, int((counts.sum(axis=0) > 0).sum()))
    taken = np.zeros(counts.shape[1])
    chosen = np.zeros(len(counts), dtype=bool)
    for group in _shuffled(len(counts), seed):
        if (taken[counts[group] > 0] < target).any():
            chosen[group] = True
            taken += counts[group]
    return records.take(chosen[groups])


def _groups(records: Records) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N,) number of each record's group, groups in alphabetical order, and (groups, classes) how many of each."""
    groups = records.numbers("group_id")
    classes, labels = np.unique(records.labels, return_inverse=True)
    counts = np.zeros((int(groups.max(initial=-1)) + 1, len(classes)))
    np.add.at(counts, (groups, labels), 1)
    return groups, counts


def _shuffled(number: int, seed: int) -> list[int]:
    order: list[int] = np.random.default_rng((seed, 1)).permutation(number).tolist()
    return order
