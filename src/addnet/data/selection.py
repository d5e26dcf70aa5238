"""Selects the records of training, validation and test from data sets, without opening their files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.data.groups import grouped_by, told_apart, united_groups
from addnet.data.held_method import hold_back
from addnet.data.leaks import Line, refuse_leaks, refuse_same_videos, refuse_torn
from addnet.data.left_out import read_left_out, without
from addnet.data.sources import Source
from addnet.data.splits import carve_test, carve_validation, limit, require_both_classes, require_usable
from addnet.errors import UserError
from addnet.index.records import REAL, UNLABELLED, Records
from addnet.wording import count

log = logging.getLogger(__name__)


def select(
    train: Sequence[Source],
    test: Sequence[Source] | None,
    *,
    val_fraction: float,
    allow_overlap: bool,
    limits: Mapping[str, int | None],
    seed: int,
    val: Sequence[Source] | None = None,
    test_fraction: float | None = None,
    blended: Collection[str] = (),
    leave_out: str | None = None,
    held_method: str | None = None,
    records_of: Callable[[Source], Records] = Source.records,
) -> dict[str, Records]:
    """Selects the records of each split.

    Validation is the `val` split of the data sets in `train`; if one has no such split, validation is carved out of
    its training images by group. From other data sets that `val` names, it is the first split of `VALIDATION` that
    they have; validation splits of training data sets that `val` doesn't name are ignored. Groups of any of these data
    sets that have source videos in common are merged.

    Args:
        train: Data sets whose training images are trained on.
        test: Data sets whose test images are tested on; None: there is no test.
        val_fraction: Share of the training images that becomes validation if a data set has no validation split.
        allow_overlap: Only warns about groups that are in both training and test.
        limits: Approximate limit on the number of images of each split.
        seed: Decides which groups are carved out for validation and which are left out.
        val: Data sets to choose checkpoints on; None: those of `train`.
        test_fraction: Share of the training images that is held out for testing if there are no test images; see
            `with_test`.
        blended: Splits whose fakes are made of their real images; their given fakes are left out.
        leave_out: A list of images that are left out of training; see `read_left_out`.
        held_method: A method that is held out for the test; see `hold_back`.
        records_of: Data set → its images.

    Raises:
        UserError: A split is empty or lacks a class, a group is in two of training, validation and test, a video is
            in several groups, or two data sets have a video with the same id.
    """
    whole = {source: records_of(source) for source in dict.fromkeys([*train, *(val or []), *(test or [])])}
    # even without a test in this run: the images of a later evaluation must not be trained on
    whole |= with_test({source: whole[source] for source in (train if test is None else test)}, test_fraction)
    _refuse_nothing(whole, train, val, test)
    line = Line(whole)
    if len(whole) > 1:
        whole = {source: told_apart(records) for source, records in whole.items()}
        refuse_same_videos(whole.values())
    lists = _lists(whole, train, val)
    split = [source for source in train if (val is None or source in val) and not len(lists[source])]
    kept = Records.concat(_part(whole[source], "train") for source in train if source not in split)
    rest = Records.concat(_part(whole[source], "train") for source in split)
    tested = Records.concat(_part(whole[source], "test") for source in test or [])
    kept, rest, listed, tested = united_groups([kept, rest, Records.concat(lists.values()), tested])
    how: dict[str, Any] = {"allow_overlap": allow_overlap, "line": line}
    refuse_torn(Records.concat([kept, rest, listed, tested]), **how)
    refuse_leaks(Records.concat([kept, rest]), tested, ("train", "test"), **how)
    refuse_leaks(listed, tested, ("val", "test"), **how)
    refuse_leaks(kept, listed, ("train", "val"), **how)
    carving: dict[str, Any] = {"seed": seed, "allow_overlap": allow_overlap, "blended": blended}
    trained, validated = _with_validation(kept, rest, listed, val_fraction, **carving)
    splits = {"train": trained, "val": validated} | ({} if test is None else {"test": tested})
    splits |= {name: splits[name].take(splits[name].labels == REAL) for name in blended}
    if held_method is not None:
        splits = hold_back(splits, held_method)
    if leave_out is not None:  # validation keeps them, so that runs with and without a list are compared on the same
        splits["train"] = without(splits["train"], read_left_out(leave_out), file=leave_out)
    require_usable({"train": splits["train"], "val": splits["val"]}, blended=blended)
    return {name: limit(part, limits[name], seed=seed) for name, part in splits.items()}


def _lists(
    whole: Mapping[Source, Records], train: Sequence[Source], val: Sequence[Source] | None
) -> dict[Source, Records]:
    """The validation images that each data set has without carving; those of other data sets keep their split."""
    lists = {}
    for source in train if val is None else val:
        split = "val" if source in train else source.validation_split(whole[source])
        lists[source] = _part(whole[source], split)
        if split == "test":
            log.warning(
                "%s has only test images: checkpoints are chosen on these, so the metrics of a test on them would be "
                "too good",
                source.named,
            )
    for source in train:
        if source not in lists and (unused := int(whole[source].having("split", "val").sum())):
            log.info(
                "%s: its own validation split (%s) is not used, because data.val names other data sets",
                *(source.named, count(unused, "image")),
            )
    return lists


def _with_validation(
    kept: Records, rest: Records, listed: Records, fraction: float, *, blended: Collection[str], **carving: Any
) -> tuple[Records, Records]:
    """Training and validation records of data sets with a validation split (`kept`, `listed`) and without (`rest`).

    Records of `rest` that share a group with `kept` or `listed` follow it; validation is carved out of the others.
    """
    require_both_classes(Records.concat([kept, rest]), "train", hint="none are there", blended=blended)
    in_train, in_val = (_of_groups(rest, part.names("group_id")) for part in (kept, listed))
    kept = Records.concat([kept, rest.take(in_train)])
    listed = Records.concat([listed, rest.take(in_val & ~in_train).replaced(split="val")])
    rest = rest.take(~in_train & ~in_val)
    if len(rest) or not len(listed):
        carved, val = _carved(rest, fraction, blended=blended, **carving)
        return Records.concat([kept, carved]), Records.concat([listed, val])
    return kept, listed


def _carved(records: Records, fraction: float, *, allow_overlap: bool, **how: Any) -> tuple[Records, Records]:
    """Carves out validation by group; with overlap allowed and too few groups, by video, and failing that by image."""
    try:
        return carve_validation(records, fraction, **how)
    except UserError as error:
        if not allow_overlap:
            raise
        log.warning("%s; validation shares groups with training, so its metrics are too good", error)
    try:
        return carve_validation(grouped_by(records, "video_id"), fraction, **how)
    except UserError:
        return carve_validation(grouped_by(records, "path"), fraction, **how)


def _of_groups(records: Records, groups: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether each record is in one of these groups."""
    names = records.names("group_id")
    return np.isin(records.numbers("group_id"), [number for number, name in enumerate(names) if name in set(groups)])


def select_test(
    test: Sequence[Source],
    *,
    limit_to: int | None,
    seed: int,
    test_fraction: float | None = None,
    held_method: str | None = None,
    records_of: Callable[[Source], Records] = Source.records,
) -> Records:
    """Selects the test records of data sets, for an evaluation without training.

    Args:
        test: The data sets.
        limit_to: Approximate limit on the number of images.
        seed: Decides which groups are left out.
        test_fraction: Share of the training images that is held out for testing; selects the same groups as `select`.
        held_method: The only method whose fakes are tested.
        records_of: Data set → its images.

    Raises:
        UserError: A data set has no test images, or two have a video with the same id.
    """
    parts = []
    whole = with_test({source: records_of(source) for source in dict.fromkeys(test)}, test_fraction)
    for source, records in whole.items():
        part = _part(records, "test")
        if not len(part):
            raise UserError(_no_test([source]))
        parts.append(told_apart(part) if len(test) > 1 else part)
    refuse_same_videos(parts)
    tested = Records.concat(parts)
    if held_method is not None:
        tested = hold_back({"test": tested}, held_method)["test"]
    return limit(tested, limit_to, seed=seed)


def with_test(whole: Mapping[Source, Records], fraction: float | None) -> dict[Source, Records]:
    """Gives each data set test images: if it has none, a share of the groups of `train` is held out.

    The choice of groups depends only on their names, so that runs with different seeds, and evaluations of their
    checkpoints, use the same images.

    Raises:
        UserError: All data sets have test images, or one has too few groups to hold any out.
    """
    if fraction is None:
        return dict(whole)
    lacking = [source for source, records in whole.items() if "test" not in records.names("split")]
    if not lacking:
        raise UserError(
            f"data.test_fraction={fraction} is not needed, because there are test images; use data.test_fraction=null"
        )
    result = dict(whole)
    for source in lacking:
        train, test = carve_test(_part(whole[source], "train"), fraction)
        rest = whole[source].take(~whole[source].having("split", "train"))
        result[source] = Records.concat([train, rest, test])
        log.warning(
            "%s: there are no test images; %d of %s of train, with %s, are held out for testing "
            "(data.test_fraction=%g), the same for every seed",
            *(source.named, len(test.names("group_id"))),
            count(len(test.names("group_id")) + len(train.names("group_id")), "group"),
            *(count(len(test), "image"), fraction),
        )
    return result


def _refuse_nothing(
    whole: Mapping[Source, Records],
    train: Sequence[Source],
    val: Sequence[Source] | None,
    test: Sequence[Source] | None,
) -> None:
    """Raises if there are no images for training, validation or testing."""
    if not any(whole[source].having("split", "train").any() for source in train):
        if all((whole[source].labels == UNLABELLED).all() for source in train):
            raise UserError(
                f"{_named(train)} has no labels (`addnet prepare input=…` adds none) and can't be trained "
                "on. Put labelled files into FOLDER/train/real and FOLDER/train/fake, and use data.data_dir=FOLDER"
            )
        raise UserError(
            f"{_named(train)} has no training images; train on another data set, and name this one in data.test"
        )
    if lacking := [s for s in val or [] if s not in train and not s.validation_split(whole[s])]:
        raise UserError(
            f"{_named(lacking)} has no labelled images to choose checkpoints on; name another data set in data.val"
        )
    if test is not None and not any(whole[source].having("split", "test").any() for source in test):
        raise UserError(_no_test(test))


def _no_test(sources: Sequence[Source]) -> str:
    return (
        f"{_named(sources)} has no test images; hold out a fifth of the groups of train with data.test_fraction=0.2, "
        "name another data set with data.test=[LAYOUT:FOLDER], or train without a test with test=false"
    )


def _named(sources: Sequence[Source]) -> str:
    return ", ".join(source.named for source in sources)


def _part(records: Records, split: str) -> Records:
    return records.take(records.having("split", split))
