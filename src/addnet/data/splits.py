"""Divides images between splits: carves out validation by group, finds leaks, limits the number of images."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from addnet.data.layouts.names import united
from addnet.errors import UserError
from addnet.index.records import CLASS_NAMES, FAKE, Record, Records
from addnet.wording import count

log = logging.getLogger(__name__)

_MOST_NAMED = 20
_METRICS = {"val": "Validation"}
AIMS = {"train": "training", "val": "validation", "test": "testing"}


def carve_validation(
    records: Sequence[Record], fraction: float, *, seed: int, blended: Collection[str] = ()
) -> tuple[Records, Records]:
    """Divides training records into training and validation, in whole groups.

    Groups are taken in a seeded order; one is taken if it has a class of which validation lacks images.

    Args:
        records: Training records.
        fraction: Share of the images of each class that validation should get.
        seed: Decides the order of the groups.
        blended: Splits whose fakes are made of their real images; see `require_both_classes`.

    Returns:
        Training records and validation records (their `split` changed to `val`), in their original order.

    Raises:
        UserError: One of the two would lack a class.
    """
    return _carve(records, fraction, "val", key="data.val_fraction", address=(seed, 1), blended=blended)


def carve_test(records: Sequence[Record], fraction: float) -> tuple[Records, Records]:
    """Divides training records into training and test as `carve_validation` does, but independently of the seed.

    Raises:
        UserError: One of the two would lack a class.
    """
    return _carve(records, fraction, "test", key="data.test_fraction", address=(0, 2))


def _carve(
    records: Sequence[Record],
    fraction: float,
    split: str,
    *,
    key: str,
    address: tuple[int, int],
    blended: Collection[str] = (),
) -> tuple[Records, Records]:
    if not 0 < fraction < 1:
        raise UserError(f"{key}={fraction} must be between 0 and 1; {0.1 if split == 'val' else 0.2} is usual")
    records = Records.of(records)
    groups, counts = _groups(records)
    wanted = fraction * counts.sum(axis=0)  # (classes,) images that the new split still lacks
    chosen = np.zeros(len(counts), dtype=bool)
    for group in _shuffled(len(counts), address):
        if (wanted[counts[group] > 0] > 0).any():
            chosen[group] = True
            wanted -= counts[group]
    taken = chosen[groups]
    train, part = records.take(~taken), records.take(taken).replaced(split=split)
    for name, some in (("train", train), (split, part)):
        hint = f"groups: {len(counts)}; see data.group_pattern"
        require_both_classes(some, name, hint=hint, blended=blended)
    return train, part


def require_both_classes(records: Sequence[Record], split: str, *, hint: str, blended: Collection[str] = ()) -> None:
    """Raises a UserError if a split lacks a class, because its metrics would be meaningless.

    Args:
        records: The records of the split.
        split: `train`, `val` or `test`.
        hint: Details for the message, such as the number of groups.
        blended: Splits whose fakes are made of their real images, so that they need no given fakes.
    """
    needed = CLASS_NAMES[:1] if split in blended else CLASS_NAMES
    present = set(Records.of(records).labels.tolist())
    missing = [name for label, name in enumerate(needed) if label not in present]
    if not missing:
        return
    remedy = ""
    if missing == [CLASS_NAMES[FAKE]] and "train" in blended:
        remedy = "; use data.val_fakes=self_blended to make fakes of its real images"
    elif missing == [CLASS_NAMES[FAKE]] and split == "train":
        remedy = "; use data.fakes=self_blended data.val_fakes=self_blended to make fakes of the real images"
    raise UserError(f"{AIMS[split]} would have no {' and no '.join(missing)} images ({hint}){remedy}")


def one_class(records: Sequence[Record], name: str) -> str:
    """A warning about the metrics of a set that has only one class; empty if it has both or none."""
    present = set(Records.of(records).labels.tolist()) & set(range(len(CLASS_NAMES)))
    if len(present) != 1:
        return ""
    only = CLASS_NAMES[present.pop()]
    return (
        f"{name} has only {only} images: accuracy refers to these alone, and there is no AUROC, AP or EER, which "
        "need both classes"
    )


def require_usable(
    splits: Mapping[str, Sequence[Record]],
    *,
    left_out: Mapping[str, int] | None = None,
    blended: Collection[str] = (),
) -> None:
    """The final check of training and of `data check`: whether each split can be used for its purpose.

    Args:
        splits: The records of each split.
        left_out: The number of unusable files of each split that were left out.
        blended: Splits whose fakes are made of their real images.

    Raises:
        UserError: A split is empty, or training or validation lacks a class.
    """
    for name, part in splits.items():
        if name == "test" and (warning := one_class(part, name)):
            log.warning("%s", warning)
        elif name in AIMS:
            number = (left_out or {}).get(name, 0)
            bad = count(number, "unusable file was", "unusable files were")
            hint = f"after {bad} left out" if number else "both are needed"
            require_both_classes(part, name, hint=hint, blended=blended)


def torn_videos(records: Records) -> list[str]:
    """Videos whose images are in several groups, so that they could be in training and in validation."""
    videos, groups = records.numbers("video_id"), records.numbers("group_id")
    spread = int(groups.max(initial=0)) + 1
    # the distinct (video, group) combinations, as one number each; a video that occurs twice is in two groups
    whole, counts = np.unique(np.unique(videos * spread + groups) // spread, return_counts=True)
    names = records.names("video_id")
    return [names[video] for video in whole[counts > 1]]


def check_overlap(train: Sequence[Record], test: Sequence[Record]) -> list[str]:
    """The groups that are in both sets, sorted: a detector could recognise their people instead of detecting fakes.

    Groups with different names that have source videos in common count as one, with the name that `united` gives it.
    """
    one, other = (Records.of(records).names("group_id") for records in (train, test))
    names = united([*one, *other])
    return sorted({names[group] for group in one} & {names[group] for group in other})


def overlap_message(
    groups: Sequence[str], *, splits: tuple[str, str] = ("train", "test"), examples: Sequence[str] = (), line: str = ""
) -> str:
    """The message about a leak: what it means and how to fix it.

    Args:
        groups: The groups that are in both splits.
        splits: The names of the splits.
        examples: A file of the first group in each split.
        line: Overrides that separate the groups.
    """
    shown = ", ".join(groups[:_MOST_NAMED]) + (
        f" and {len(groups) - _MOST_NAMED} more" if len(groups) > _MOST_NAMED else ""
    )
    what = f"{groups[0]} has {' and '.join(examples)}. " if examples else ""
    remedy = f"if they are unrelated, add\n  {line}\n" if line else "see data.group_pattern; "
    return (
        f"{count(len(groups), 'group is', 'groups are')} in both {' and '.join(splits)}: {shown}\n"
        f"{what}{_METRICS.get(splits[1], 'Test')} metrics would be too good. Move them to one of the two; {remedy}"
        "data.allow_overlap=true continues in spite of this."
    )


def limit(records: Sequence[Record], number: int | None, *, seed: int) -> Records:
    """Selects about `number` records: whole groups in a seeded order, with classes as balanced as the groups allow."""
    records = Records.of(records)
    if number is None or number >= len(records):
        return records
    if number < 2:
        raise UserError(f"a limit of {count(number, 'image')} is too small; at least one of each class is needed")
    groups, counts = _groups(records)
    target = number / max(1, int((counts.sum(axis=0) > 0).sum()))
    taken = np.zeros(counts.shape[1])
    chosen = np.zeros(len(counts), dtype=bool)
    for group in _shuffled(len(counts), (seed, 1)):
        if (taken[counts[group] > 0] < target).any():
            chosen[group] = True
            taken += counts[group]
    return records.take(chosen[groups])


def _groups(records: Records) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(N,) number of each record's group, in alphabetical order, and (groups, classes) the number of images of each."""
    groups = records.numbers("group_id")
    classes, labels = np.unique(records.labels, return_inverse=True)
    counts = np.zeros((int(groups.max(initial=-1)) + 1, len(classes)))
    np.add.at(counts, (groups, labels), 1)
    return groups, counts


def _shuffled(number: int, address: tuple[int, int]) -> list[int]:
    order: list[int] = np.random.default_rng(address).permutation(number).tolist()
    return order
