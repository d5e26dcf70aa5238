"""Which picture is used for what: validation carved out by group, leaks found, sets limited."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from addnet.errors import UserError
from addnet.index.records import CLASS_NAMES, Record

_SHOWN = 20


def carve_validation(records: Sequence[Record], fraction: float, *, seed: int) -> tuple[list[Record], list[Record]]:
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
    groups = _by_group(records)
    wanted = {label: fraction * count for label, count in _classes(records).items()}
    chosen: set[str] = set()
    for group in _shuffled(sorted(groups), seed):
        counts = _classes(groups[group])
        if any(wanted[label] > 0 for label in counts):
            chosen.add(group)
            for label, count in counts.items():
                wanted[label] -= count
    train = [record for record in records if record.group_id not in chosen]
    val = [replace(record, split="val") for record in records if record.group_id in chosen]
    for name, part in (("training", train), ("validation", val)):
        require_both_classes(part, name, hint=f"there are {len(groups)} groups; see data.group_pattern")
    return train, val


def require_both_classes(records: Sequence[Record], name: str, *, hint: str) -> None:
    """Raises a UserError if a set lacks a class: no figure about it would mean anything."""
    counts = _classes(records)
    missing = [CLASS_NAMES[label] for label in range(len(CLASS_NAMES)) if not counts.get(label)]
    if missing:
        raise UserError(f"{name} would have no {' and no '.join(missing)} pictures ({hint})")


def check_overlap(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """Groups that are in both sets, sorted: a detector would recognise them instead of detecting."""
    return sorted({record.group_id for record in train} & {record.group_id for record in test})


def overlap_message(groups: Sequence[str]) -> str:
    """What a leak means and what can be done about it."""
    shown = ", ".join(groups[:_SHOWN]) + (f" and {len(groups) - _SHOWN} more" if len(groups) > _SHOWN else "")
    return (
        f"{len(groups)} groups are in both train and test: {shown}\n"
        "Test figures would be too good. Move them to one side, or tell groups apart with data.group_pattern; "
        "data.allow_overlap=true goes on all the same."
    )


def limit(records: Sequence[Record], number: int | None, *, seed: int) -> list[Record]:
    """At most about `number` records, whole groups in a seeded order, classes as balanced as the groups allow."""
    if number is None or number >= len(records):
        return list(records)
    if number < 2:
        raise UserError(f"a limit of {number} pictures is too small; at least one of each class is needed")
    groups = _by_group(records)
    target = number / max(1, len(_classes(records)))
    counts: Counter[int] = Counter()
    chosen: set[str] = set()
    for group in _shuffled(sorted(groups), seed):
        if any(counts[label] < target for label in _classes(groups[group])):
            chosen.add(group)
            counts.update(_classes(groups[group]))
    return [record for record in records if record.group_id in chosen]


def _by_group(records: Sequence[Record]) -> dict[str, list[Record]]:
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(record.group_id, []).append(record)
    return groups


def _classes(records: Sequence[Record]) -> Counter[int]:
    return Counter(record.label for record in records)


def _shuffled(names: list[str], seed: int) -> list[str]:
    order = np.random.default_rng((seed, 1)).permutation(len(names))
    return [names[i] for i in order]
