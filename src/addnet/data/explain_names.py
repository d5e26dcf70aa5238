"""Shows which video and which group each file of a folder is assigned to, and what other patterns would assign."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from addnet.data.check import report
from addnet.data.layouts.doubts import coarser_patterns, finer_patterns, sample, searched_rows, typed
from addnet.data.layouts.folder import list_folder
from addnet.index.records import CLASS_NAMES, Records
from addnet.untrusted.texts import in_markup
from addnet.wording import count

_KINDS = 12  # most kinds of names shown
_PATTERNS = 8  # most patterns shown for either key
_COMMON = (r"([^/_.\- ]+)[^/]*$", r"([^/]+)/[^/]+$")  # the first word of a name; its folder
_KEYS = {"data.video_pattern": "video_id", "data.group_pattern": "group_id"}


def explain_names(
    folder: Path, console: Console, *, group_pattern: str | None = None, video_pattern: str | None = None
) -> None:
    """Prints the videos and groups to which the names in a folder data set are assigned.

    Args:
        folder: The data set.
        console: The console to print to.
        group_pattern: Pattern for groups; see `list_folder`.
        video_pattern: Pattern for videos; see `list_folder`.

    Raises:
        UserError: There are no files, or a pattern doesn't match.
    """
    listing = list_folder(folder, group_pattern=group_pattern, video_pattern=video_pattern)
    report(listing, title=str(folder), console=console)
    for records in (listing.images, listing.videos):
        if not len(records):
            continue
        console.print(_kinds_table(records))
        for key in _KEYS if records is listing.images else ["data.group_pattern"]:
            _print_patterns(records, key, console)


def shape_of(path: str) -> str:
    """The form of a name: each run of digits becomes 0, each run of letters a.

    Example:
        >>> shape_of("train/real/abc_0012.png")
        'train/real/a_0.png'
    """
    *folders, name = path.split("/")
    stem, dot, suffix = name.rpartition(".")
    built = re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", "/".join([*folders[2:], stem or suffix])))
    return "/".join([*folders[:2], built]) + (f"{dot}{suffix}" if stem else "")


def _kinds_table(records: Records) -> Table:
    """A table of the forms of names, the most frequent first, with examples and their videos and groups."""
    rows: dict[str, list[int]] = {}
    for row, path in enumerate(records.paths.to_pylist()):
        rows.setdefault(shape_of(path), []).append(row)
    table = Table(title="videos and groups by form of name (digits: 0, letters: a)")
    for name in ("form", "files", "example", "video", "group"):
        table.add_column(name, overflow="fold", justify="right" if name == "files" else "left")
    ranked = sorted(rows.items(), key=lambda item: -len(item[1]))
    for shape, own in ranked[:_KINDS]:
        for number, row in enumerate(dict.fromkeys((own[0], own[-1]))):
            record = records[row]
            video = record.video_id.partition("/")[2]
            first = [shape, f"{len(own):,}"] if not number else ["", ""]
            table.add_row(*map(in_markup, [*first, record.path, video, record.group_id]))
    if len(ranked) > _KINDS:
        table.caption = f"and {count(len(ranked) - _KINDS, 'other form')} of names"
    return table


def _print_patterns(records: Records, key: str, console: Console) -> None:
    some = sample(records)
    now = len(some.names(_KEYS[key]))
    what = "videos" if key == "data.video_pattern" else "groups"
    part = "" if len(some) == len(records) else f" (in {len(some):,} of these files, evenly spaced)"
    table = Table(title=f"{what}: {now:,} now; what other patterns would find{part}")
    table.add_column("argument", overflow="fold")
    table.add_column(what, justify="right")
    table.add_column("match in the first and the last file", overflow="fold")
    for pattern, found in _found(some):
        table.add_row(
            in_markup(typed(key, pattern)),
            f"{_number(some, found, key):,}",
            in_markup(" and ".join(dict.fromkeys((str(found[0]), str(found[-1]))))),
        )
    if table.row_count:
        console.print(table)


def _found(records: Records) -> Iterator[tuple[str, NDArray[np.str_]]]:
    """Yields the patterns that match every file, with the matches; of several with the same grouping, the first."""
    seen: set[bytes] = set()
    for pattern in dict.fromkeys([*_COMMON, *coarser_patterns(), *finer_patterns(records)]):
        found = searched_rows(records, pattern)
        if found is None:
            continue
        codes = np.unique(found, return_inverse=True)[1].tobytes()
        if codes not in seen and len(seen) < _PATTERNS:
            seen.add(codes)
            yield pattern, found


def _number(records: Records, found: Sequence[str] | NDArray[np.str_], key: str) -> int:
    """The number of videos or groups that a pattern makes; the same video name in both classes counts as two."""
    if key == "data.group_pattern":
        return len(set(found))
    return len({(CLASS_NAMES[label], text) for label, text in zip(records.labels.tolist(), found, strict=True)})
