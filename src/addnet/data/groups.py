"""Groups of several data sets: kept separate if only their names match, merged if they share source videos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from addnet.data.layouts.names import united
from addnet.index.records import Records


def united_groups(parts: Sequence[Records]) -> list[Records]:
    """Merges groups that have source videos in common, across all parts.

    Args:
        parts: All records that are used together, such as training, validation and test.
    """
    names = united(name for records in parts for name in records.names("group_id"))
    return [_renamed(records, names) for records in parts]


def told_apart(records: Records) -> Records:
    """Puts the name of the data set in front of each group, unless it is there already."""
    groups, names = (records.table[field].cast(pa.string()) for field in ("group_id", "dataset"))
    named = pc.if_else(pc.match_substring(groups, "/"), groups, pc.binary_join_element_wise(names, groups, "/"))
    return _grouped(records, named)


def grouped_by(records: Records, field: str) -> Records:
    """Groups records by the values of another field, such as `video_id`."""
    return _grouped(records, records.table[field].cast(pa.string()))


def _renamed(records: Records, names: Mapping[str, str]) -> Records:
    """Renames groups; returns the same object if no name changes."""
    before = records.names("group_id")
    after = [names[name] for name in before]
    if before == after:
        return records
    return _grouped(records, pa.array(after, pa.string()).take(pa.array(records.numbers("group_id"))))


def _grouped(records: Records, groups: pa.Array | pa.ChunkedArray) -> Records:
    column = groups.combine_chunks() if isinstance(groups, pa.ChunkedArray) else groups
    table = records.table
    return Records(table.set_column(table.schema.get_field_index("group_id"), "group_id", column.dictionary_encode()))
