"""Where guessed videos and groups are doubtful: the warnings, with a tested pattern as the remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.index.records import CLASS_NAMES, Records
from addnet.untrusted.texts import shown
from addnet.wording import count

_MANY = 8  # images of a class; with fewer, a guess is not doubted
_SHARE = 0.5  # share of a class in one group above which the guess is doubted
_SEVERAL = 3  # videos of each class that a coarser pattern must leave
_TRIED = 5000  # images that a pattern is tried on
_LITERAL = re.compile(r"[\w-]*[_-]", re.ASCII)  # needs no quoting
_COARSER = (r"([^/_]+)_[^/]*$", r"([^/-]+)-[^/]*$", r"([^/ ]+) [^/]*$", r"([A-Za-z]+)\d[^/]*$")


def doubts(records: Records, counted: Sequence[bool], *, videos_given: bool, groups_given: bool) -> list[str]:
    """What may have been guessed wrongly about images of a folder data set, one sentence each.

    Args:
        records: The images.
        counted: (N,) which images are guessed to be separate videos because nothing marks their number as a frame's.
        videos_given: Whether the user gave a pattern for videos.
        groups_given: Whether the user gave a pattern for groups.
    """
    found = [_large_groups(records)]
    if not videos_given:
        found.append(_lone_images(records, counted, groups_given=groups_given))
    return [doubt for doubt in found if doubt]


def _large_groups(records: Records) -> str:
    """Groups that hold most of the training images of a class, so that hardly any validation is left."""
    trained = _of_split(records, "train")
    shares, groups, rows = [], [], []
    for label, name in enumerate(CLASS_NAMES):
        own = np.flatnonzero(trained.labels == label)
        size = np.bincount(trained.numbers("group_id")[own], minlength=1)  # (groups,) images of this class in each
        if len(own) >= _MANY and size.max() > _SHARE * len(own):
            shares.append(f"{size.max():,} of {len(own):,} {name}")
            groups.append(trained.names("group_id")[int(size.argmax())])
            rows.append(int(own[trained.numbers("group_id")[own] == size.argmax()][-1]))
    if not shares:
        return ""
    line = tried_line(records)
    remedy = f"if each shows a different video, type {line}" if "(.+)" in line else f"if that is wrong, type {line}"
    return (
        f"{' and '.join(shares)} images for training are in one group, {' and '.join(dict.fromkeys(groups))}, such "
        f"as {_examples(trained.take(rows))}; {remedy if line else 'set data.group_pattern to separate them'}"
    )


def _lone_images(records: Records, counted: Sequence[bool], *, groups_given: bool) -> str:
    """Images that are each guessed to be a separate video."""
    if len(records) < _MANY:
        return ""
    chosen = np.asarray(counted, dtype=bool)
    if chosen.sum() > _SHARE * len(records):
        if groups_given:
            return ""
        some = records.take(chosen)
        return (
            f"{count(len(some), 'image')} such as {_examples(some)} each count as a separate video and group: nothing "
            "in their names says which video they show. If some are frames of one video, put the frames of each video "
            f"into a separate folder{_coarser(some)}"
        )
    if len(records.names("video_id")) < len(records):
        return ""
    return (
        f"every video has one image: names such as {_examples(records)} don't end in a frame number. If several "
        f"images show one video, put the images of each video into a separate folder{_coarser(records)}"
    )


def _coarser(records: Records) -> str:
    """Advice on a pattern that puts more images into one video but leaves several videos; empty if none does."""
    some = sample(records)
    trained = some.numbers("split") == _number(some.names("split"), "train")
    for pattern in coarser_patterns():
        found = searched_rows(some, pattern)
        if found is None:
            continue
        counts = [len(np.unique(found[trained & (some.labels == label)])) for label in np.unique(some.labels)]
        videos = len({(label, text) for label, text in zip(some.labels.tolist(), found.tolist(), strict=True)})
        if min(counts) >= _SEVERAL and videos < len(some.names("video_id")):
            return f", or type {typed('data.video_pattern', pattern)}, which finds {str(found[0])!r} in {_first(some)}"
    return ""


def sample(records: Records) -> Records:
    """The records that patterns are tried on, evenly spaced."""
    return records.take(np.unique(np.linspace(0, len(records) - 1, _TRIED).round().astype(np.int64)))


def coarser_patterns() -> tuple[str, ...]:
    """Patterns that match what precedes the last separator, or the first digit."""
    return _COARSER


def tried_line(records: Records) -> str:
    """Overrides that separate the groups of these images so that training accepts them; empty if none was found.

    Every image matches, each group is in one split only, each class has several groups, and none divides a video.
    """
    for pattern in finer_patterns(records):
        groups = searched_rows(records, pattern)
        if groups is None or not _useful(records, groups):
            continue
        if _is_finer(groups, records.numbers("video_id")):
            return f"{typed('data.group_pattern', pattern)} {typed('data.video_pattern', pattern)}"
        return typed("data.group_pattern", pattern)
    return ""


def typed(key: str, pattern: str) -> str:
    """An override as it can be typed in a shell."""
    from addnet.overrides import to_type  # imports Hydra's grammar, which listing doesn't need

    return to_type(key, pattern)


def finer_patterns(records: Records) -> Iterator[str]:
    """Patterns that make smaller groups, the coarsest first."""
    stems = [PurePosixPath(path.as_py()).stem for path in records.paths]
    start = _LITERAL.match(_common_start(stems))
    if start and len(start[0]) < min(map(len, stems)):
        yield rf"{re.escape(start[0])}(\d+)"
        yield rf"{re.escape(start[0])}([^/_.-]+)"
    yield from (r"([^/_]+_[^/_]+)_[^/]*$", r"[^/]+/[^/]+/(.+)/", r"([^/]+)\.\w+$", "(.+)")


def _common_start(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)
    same = (number for number, (one, other) in enumerate(zip(first, last, strict=False)) if one != other)
    return first[: next(same, len(first))]


def searched_rows(records: Records, pattern: str) -> NDArray[np.str_] | None:
    """(N,) what a pattern finds in each path; None unless it finds something in all."""
    search = re.compile(pattern).search
    found = [match[1] if (match := search(path.as_py())) else None for path in records.paths]
    return None if None in found or "" in found else np.asarray(found, dtype=np.str_)


def _useful(records: Records, groups: NDArray[np.str_]) -> bool:
    """Whether groups are in one split only, and several of each class are for training."""
    splits = records.numbers("split")
    if _is_finer(splits, np.unique(groups, return_inverse=True)[1]):
        return False
    trained = splits == _number(records.names("split"), "train")
    labels = records.labels[trained]
    return all(len(np.unique(groups[trained][labels == label])) > 1 for label in np.unique(labels))


def _is_finer(one: NDArray[Any], other: NDArray[np.int64]) -> bool:
    """Whether rows that are equal in `other` differ in `one`."""
    codes = np.unique(one, return_inverse=True)[1].astype(np.int64)
    # one number for each pair of values; more pairs than values of `other` mean that one of them is divided
    return len(np.unique(codes + other * (int(codes.max(initial=0)) + 1))) > len(np.unique(other))


def _of_split(records: Records, split: str) -> Records:
    return records.take(records.numbers("split") == _number(records.names("split"), split))


def _number(names: Sequence[str], name: str) -> int:
    return names.index(name) if name in names else -1


def _first(records: Records) -> str:
    return shown(records[0].path)


def _examples(records: Records) -> str:
    return " and ".join(dict.fromkeys((_first(records), shown(records[len(records) - 1].path))))
