"""Data sets → the records of training, validation and test, before anything is known about their files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.data.groups import grouped_by, told_apart, united_groups
from addnet.data.sources import Source
from addnet.data.splits import carve_validation, check_overlap, limit, overlap_message
from addnet.errors import UserError
from addnet.index.records import Records

log = logging.getLogger(__name__)


def select(
    train: Sequence[Source],
    test: Sequence[Source] | None,
    *,
    val_fraction: float,
    allow_overlap: bool,
    limits: Mapping[str, int | None],
    seed: int,
) -> dict[str, Records]:
    """The records of each split.

    Validation is what the data sets of `train` call so; where one has no such list, it is carved out of its training
    pictures by group. Groups of all of them that have source videos in common are one.

    Args:
        train: Data sets whose pictures for training are trained on.
        test: Data sets whose pictures for test are tested on; None: nothing is.
        val_fraction: Share of the training pictures that becomes validation where there is no list for it.
        allow_overlap: Only warns about groups that are in training and test.
        limits: At most about so many pictures of each split.
        seed: Decides what is carved out and what is left out.

    Raises:
        UserError: A split is empty, a group is in training and in test or a list for validation, or two data sets have
            a video of the same id.
    """
    whole = {source: source.records() for source in dict.fromkeys([*train, *(test or [])])}
    if len(whole) > 1:
        whole = {source: told_apart(records) for source, records in whole.items()}
        _refuse_same_videos(whole.values())
    parts = {name: [_part(whole[source], name) for source in train] for name in ("train", "val")}
    official = [len(listed) > 0 for listed in parts["val"]]
    kept = Records.concat(part for part, has_list in zip(parts["train"], official, strict=True) if has_list)
    rest = Records.concat(part for part, has_list in zip(parts["train"], official, strict=True) if not has_list)
    tested = Records.concat(_part(whole[source], "test") for source in test or [])
    kept, rest, listed, tested = united_groups([kept, rest, Records.concat(parts["val"]), tested])
    _refuse_leaks(Records.concat([kept, rest, listed]), tested, ("train", "test"), allow_overlap=allow_overlap)
    _refuse_leaks(kept, listed, ("train", "val"), allow_overlap=allow_overlap)
    trained, val = _with_validation(kept, rest, listed, val_fraction, seed=seed, allow_overlap=allow_overlap)
    splits = {"train": trained, "val": val} | ({} if test is None else {"test": tested})
    return {name: limit(part, limits[name], seed=seed) for name, part in splits.items()}


def _with_validation(
    kept: Records, rest: Records, listed: Records, fraction: float, *, seed: int, allow_overlap: bool
) -> tuple[Records, Records]:
    """Training and validation of data sets with lists of their own (`kept`, `listed`) and without (`rest`).

    What shares a group with a list follows it; from what is left validation is carved out.
    """
    in_train, in_val = (_of_groups(rest, part.names("group_id")) for part in (kept, listed))
    kept = Records.concat([kept, rest.take(in_train)])
    listed = Records.concat([listed, rest.take(in_val & ~in_train).replaced(split="val")])
    rest = rest.take(~in_train & ~in_val)
    if len(rest) or not len(listed):
        carved, val = _carved(rest, fraction, seed=seed, allow_overlap=allow_overlap)
        return Records.concat([kept, carved]), Records.concat([listed, val])
    return kept, listed


def _carved(records: Records, fraction: float, *, seed: int, allow_overlap: bool) -> tuple[Records, Records]:
    """Validation carved out by group; by video, then by picture, where groups are too few and overlap is allowed."""
    try:
        return carve_validation(records, fraction, seed=seed)
    except UserError as error:
        if not allow_overlap:
            raise
        log.warning("%s; validation shares groups with training, and its figures are too good", error)
    try:
        return carve_validation(grouped_by(records, "video_id"), fraction, seed=seed)
    except UserError:
        return carve_validation(grouped_by(records, "path"), fraction, seed=seed)


def _of_groups(records: Records, groups: Sequence[str]) -> NDArray[np.bool_]:
    """(N,) whether a record is of one of these groups."""
    names = records.names("group_id")
    return np.isin(records.numbers("group_id"), [number for number, name in enumerate(names) if name in set(groups)])


def select_test(test: Sequence[Source], *, limit_to: int | None, seed: int) -> Records:
    """The records of the test parts of data sets, for evaluation alone.

    Args:
        test: The data sets.
        limit_to: At most about so many pictures.
        seed: Decides what is left out.

    Raises:
        UserError: A data set has no pictures for test, or two have a video of the same id.
    """
    parts = []
    for source in dict.fromkeys(test):
        part = _part(source.records(), "test")
        if not len(part):
            raise UserError(f"{source.data_dir or source.index} has no pictures for test")
        parts.append(told_apart(part) if len(test) > 1 else part)
    _refuse_same_videos(parts)
    return limit(Records.concat(parts), limit_to, seed=seed)


def _part(records: Records, split: str) -> Records:
    return records.take(pc.equal(records.table["split"].cast(pa.string()), split).to_numpy())


def _refuse_leaks(one: Records, other: Records, splits: tuple[str, str], *, allow_overlap: bool) -> None:
    if leaks := check_overlap(one, other):
        message = overlap_message(leaks, splits=splits)
        if not allow_overlap:
            raise UserError(message)
        log.warning("%s", message)


def _refuse_same_videos(sets: Iterable[Records]) -> None:
    """Frames of two videos with one id would be scored as one."""
    homes: dict[str, str] = {}
    for records in sets:
        for root in records.names("root"):
            for video in records.of_root(root).names("video_id"):
                if homes.setdefault(video, root) != root:
                    raise UserError(
                        f"{homes[video]} and {root} both have a video {video!r}; if they are different ones, rename a "
                        "data folder (or set data.options.dataset of a manifest), else name the data set once"
                    )
