"""Refuses leaks between splits and data sets that are used together: shared groups and shared video ids."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import numpy as np

from addnet.data.layouts.doubts import tried_line, typed
from addnet.data.sources import Source
from addnet.data.splits import check_overlap, overlap_message, torn_videos
from addnet.errors import UserError
from addnet.index.records import Records
from addnet.untrusted.texts import shown
from addnet.wording import count

log = logging.getLogger(__name__)


class Line:
    """Suggests overrides that would separate the groups; searches for them only when a message needs them.

    Args:
        whole: The data sets; there are suggestions only for a single one in the folder layout.
    """

    def __init__(self, whole: Mapping[Source, Records]) -> None:
        alone = len(whole) == 1 and all(source.layout == "folder" for source in whole)
        self.source: Source | None = next(iter(whole)) if alone else None
        self.records = whole[self.source] if self.source else Records.of([])

    def groups(self) -> str:
        """An override with which each group is in one split; empty if none was found."""
        return tried_line(self.records) if len(self.records) else ""

    def videos(self) -> str:
        """An override that uses the pattern of the groups for videos; empty if there is no such pattern."""
        pattern = str(self.source.options.get("group_pattern") or "") if self.source else ""
        return typed("data.video_pattern", pattern) if pattern and not set(pattern) & set("'\"$`!") else ""


def refuse_torn(records: Records, *, allow_overlap: bool, line: Line) -> None:
    """Raises, or only warns if overlap is allowed, if a video is in several groups."""
    if not (torn := torn_videos(records)):
        return
    own = records.take(records.numbers("video_id") == records.names("video_id").index(torn[0]))
    groups = own.names("group_id")
    files = [own[int(np.flatnonzero(own.numbers("group_id") == number)[0])].path for number in range(2)]
    typed_line = f"; if they are different videos, add\n  {line.videos()}" if line.videos() else ""
    message = (
        f"{count(len(torn), 'video is', 'videos are')} in several groups, so that their frames could be in training "
        "and in validation: "
        f"{torn[0]} has {shown(files[0])} in {groups[0]!r} and {shown(files[1])} in {groups[1]!r}\n"
        f"Give all frames of a video one group{typed_line}"
    )
    if not allow_overlap:
        raise UserError(message)
    log.warning("%s", message)


def refuse_leaks(one: Records, other: Records, splits: tuple[str, str], *, allow_overlap: bool, line: Line) -> None:
    """Raises, or only warns if overlap is allowed, if two splits have groups in common.

    Args:
        one: The records of one split.
        other: The records of the other split.
        splits: The names of the splits.
        allow_overlap: Warns instead of raising.
        line: Suggests overrides that would separate the groups.

    Raises:
        UserError: The splits have groups in common; the message lists them.
    """
    if leaks := check_overlap(one, other):
        files = [
            shown(part[int(np.flatnonzero(part.numbers("group_id") == part.names("group_id").index(leaks[0]))[0])].path)
            for part in (one, other)
        ]
        message = overlap_message(leaks, splits=splits, examples=files, line="" if allow_overlap else line.groups())
        if not allow_overlap:
            raise UserError(message)
        log.warning("%s", message)


def refuse_same_videos(sets: Iterable[Records]) -> None:
    """Raises if two data sets have a video with the same id: their frames would be scored as one video."""
    homes: dict[str, str] = {}
    for records in sets:
        for root in records.names("root"):
            for video in records.of_root(root).names("video_id"):
                if homes.setdefault(video, root) != root:
                    raise UserError(
                        f"{homes[video]} and {root} both have a video {video!r}; if the data sets are different, "
                        "rename a data folder (or set data.options.dataset for a manifest); if not, name the data set "
                        "once"
                    )
