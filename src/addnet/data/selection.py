"""Data sets → the records of training, validation and test, before anything is known about their files."""

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
    """The records of each split.

    Validation is what the data sets of `train` call so; where one has no such list, it is carved out of its training
    images by group. Of other data sets that `val` names it is the first of `VALIDATION` that they have, and lists of
    data sets that are trained on and not named there are used for nothing. Groups of all of them that have source
    videos in common are one.

    Args:
        train: Data sets whose images for training are trained on.
        test: Data sets whose images for test are tested on; None: nothing is.
        val_fraction: Share of the training images that becomes validation where there is no list for it.
        allow_overlap: Only warns about groups that are in training and test.
        limits: At most about so many images of each split.
        seed: Decides what is carved out for validation and what is left out.
        val: Data sets that checkpoints are chosen on; None: those of `train`.
        test_fraction: Share of the training images that is kept for testing where nothing is for it; see `with_test`.
        blended: Splits whose fakes are made of their real images; the fakes that they have are left out.
        leave_out: A list of images that are not trained on; see `left_out`.
        held_method: A method that only the test has; see `held_method`.
        records_of: Gives the images of a data set.

    Raises:
        UserError: A split is empty or lacks a class, a group is in two of training, validation and test, a video is
            in several groups, or two data sets have a video of the same id.
    """
    whole = {source: records_of(source) for source in dict.fromkeys([*train, *(val or []), *(test or [])])}
    # also where nothing is tested now: what a later evaluation tests on must not be trained on
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
    if leave_out is not None:  # what is validated stays, so that runs with and without a list are compared on the same
        splits["train"] = without(splits["train"], read_left_out(leave_out), file=leave_out)
    require_usable({"train": splits["train"], "val": splits["val"]}, blended=blended)
    return {name: limit(part, limits[name], seed=seed) for name, part in splits.items()}


def _lists(
    whole: Mapping[Source, Records], train: Sequence[Source], val: Sequence[Source] | None
) -> dict[Source, Records]:
    """What each data set has for validation without any of it being carved out; of others its split stays named."""
    found = {}
    for source in train if val is None else val:
        split = "val" if source in train else source.validation_split(whole[source])
        found[source] = _part(whole[source], split)
        if split == "test":
            log.warning(
                "%s has nothing but images for testing: checkpoints are chosen on these, and metrics of a test on "
                "them would be too good",
                source.named,
            )
    for source in train:
        if source not in found and (left := int(whole[source].having("split", "val").sum())):
            log.info(
                "%s: its own validation, %s, is used for nothing, because data.val names other data sets",
                *(source.named, count(left, "image")),
            )
    return found


def _with_validation(
    kept: Records, rest: Records, listed: Records, fraction: float, *, blended: Collection[str], **carving: Any
) -> tuple[Records, Records]:
    """Training and validation of data sets with lists of their own (`kept`, `listed`) and without (`rest`).

    What shares a group with a list follows it; from what is left validation is carved out.
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
    """Validation carved out by group; by video, then by image, where groups are too few and overlap is allowed."""
    try:
        return carve_validation(records, fraction, **how)
    except UserError as error:
        if not allow_overlap:
            raise
        log.warning("%s; validation shares groups with training, and its metrics are too good", error)
    try:
        return carve_validation(grouped_by(records, "video_id"), fraction, **how)
    except UserError:
        return carve_validation(grouped_by(records, "path"), fraction, **how)


def _of_groups(records: Records, groups: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a record is of one of these groups."""
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
    """The records of the test parts of data sets, for evaluation alone.

    Args:
        test: The data sets.
        limit_to: At most about so many images.
        seed: Decides what is left out.
        test_fraction: As in `select`: the same groups.
        held_method: The only method whose fakes are tested.
        records_of: Gives the images of a data set.

    Raises:
        UserError: A data set has no images for test, or two have a video of the same id.
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
    """Data sets of which each has images for testing: a share of the groups of `train`, where nothing else is.

    Which groups these are follows from their names alone, so that runs of several seeds, and evaluations of their
    checkpoints, are about the same images.

    Raises:
        UserError: All of them have such images, or too few groups for it.
    """
    if fraction is None:
        return dict(whole)
    lacking = [source for source, records in whole.items() if "test" not in records.names("split")]
    if not lacking:
        raise UserError(f"data.test_fraction={fraction}, but there are images for testing; leave it out (null)")
    found = dict(whole)
    for source in lacking:
        train, test = carve_test(_part(whole[source], "train"), fraction)
        rest = whole[source].take(~whole[source].having("split", "train"))
        found[source] = Records.concat([train, rest, test])
        log.warning(
            "%s: nothing is for testing; %d of %s of train, with %s, are kept for it "
            "(data.test_fraction=%g), the same for every seed",
            *(source.named, len(test.names("group_id"))),
            count(len(test.names("group_id")) + len(train.names("group_id")), "group"),
            *(count(len(test), "image"), fraction),
        )
    return found


def _refuse_nothing(
    whole: Mapping[Source, Records],
    train: Sequence[Source],
    val: Sequence[Source] | None,
    test: Sequence[Source] | None,
) -> None:
    """Raises where nothing is for training, for validation or for testing."""
    if not any(whole[source].having("split", "train").any() for source in train):
        if all((whole[source].labels == UNLABELLED).all() for source in train):
            raise UserError(
                f"{_named(train)} has no labels, as `addnet prepare input=…` leaves it, and can't be trained "
                "on. Put what is known into FOLDER/train/real and FOLDER/train/fake; data.data_dir=FOLDER"
            )
        raise UserError(
            f"nothing of {_named(train)} is for training; train on another data set, and name this one in data.test"
        )
    if lacking := [s for s in val or [] if s not in train and not s.validation_split(whole[s])]:
        raise UserError(
            f"{_named(lacking)} has no labelled images to choose checkpoints on; name another data set in data.val"
        )
    if test is not None and not any(whole[source].having("split", "test").any() for source in test):
        raise UserError(_no_test(test))


def _no_test(sources: Sequence[Source]) -> str:
    return (
        f"{_named(sources)} has no images for testing; data.test_fraction=0.2 keeps a fifth of the groups of train "
        "for it, data.test=[LAYOUT:FOLDER] names another data set, test=false trains without"
    )


def _named(sources: Sequence[Source]) -> str:
    return ", ".join(source.named for source in sources)


def _part(records: Records, split: str) -> Records:
    return records.take(records.having("split", split))
