"""Data sets → the records of training, validation and test, before anything is known about their files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from addnet.data.sources import Source
from addnet.data.splits import carve_validation, check_overlap, limit, overlap_message
from addnet.errors import UserError
from addnet.index.records import Records

log = logging.getLogger(__name__)


def select(
    train: Sequence[Source],
    test: Sequence[Source],
    *,
    val_fraction: float,
    allow_overlap: bool,
    limits: Mapping[str, int | None],
    seed: int,
) -> dict[str, Records]:
    """The records of each split.

    Validation is what the data sets of `train` call so; where one has no such list, it is carved out of its training
    pictures by group.

    Args:
        train: Data sets whose pictures for training are trained on.
        test: Data sets whose pictures for test are tested on.
        val_fraction: Share of the training pictures that becomes validation where there is no list for it.
        allow_overlap: Only warns about groups that are in training and test.
        limits: At most about so many pictures of each split.
        seed: Decides what is carved out and what is left out.

    Raises:
        UserError: A split is empty, a group is in training and test, or two data sets have a video of the same id.
    """
    whole = {source: source.records() for source in dict.fromkeys([*train, *test])}
    if len(whole) > 1:
        whole = {source: _told_apart(records) for source, records in whole.items()}
        _refuse_same_videos(whole.values())
    trained = Records.concat(_part(whole[source], "train") for source in train)
    tested = Records.concat(_part(whole[source], "test") for source in test)
    listed = Records.concat(_part(whole[source], "val") for source in train)
    _refuse_leaks(Records.concat([trained, listed]), tested, allow_overlap=allow_overlap)
    official = set(listed.names("root"))
    to_carve = Records.concat(
        part for source in train if len(part := _part(whole[source], "train")) and part[0].root not in official
    )
    kept = Records.concat(_part(whole[source], "train") for source in train if str(source.root) in official)
    if len(to_carve) or not len(listed):
        carved, val = carve_validation(to_carve, val_fraction, seed=seed)
        trained, listed = Records.concat([kept, carved]), Records.concat([listed, val])
    splits = {"train": trained, "val": listed, "test": tested}
    return {name: limit(part, limits[name], seed=seed) for name, part in splits.items()}


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
        parts.append(_told_apart(part) if len(test) > 1 else part)
    _refuse_same_videos(parts)
    return limit(Records.concat(parts), limit_to, seed=seed)


def _part(records: Records, split: str) -> Records:
    return records.take(pc.equal(records.table["split"].cast(pa.string()), split).to_numpy())


def _refuse_leaks(train: Records, test: Records, *, allow_overlap: bool) -> None:
    if leaks := check_overlap(train, test):
        if not allow_overlap:
            raise UserError(overlap_message(leaks))
        log.warning("%s", overlap_message(leaks))


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


def _told_apart(records: Records) -> Records:
    """Records whose groups carry the name of their data set, unless they do already."""
    groups, names = (records.table[field].cast(pa.string()) for field in ("group_id", "dataset"))
    named = pc.if_else(pc.match_substring(groups, "/"), groups, pc.binary_join_element_wise(names, groups, "/"))
    column = pa.chunked_array(named.chunks, pa.string()).combine_chunks().dictionary_encode()
    table = records.table
    return Records(table.set_column(table.schema.get_field_index("group_id"), "group_id", column))
