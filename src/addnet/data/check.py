"""Checks a data folder: the files found, and what is missing and where it was expected."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from addnet.config import plain
from addnet.data.fakes import blended_splits
from addnet.data.layouts import Listing
from addnet.data.named import ChosenSources, configured
from addnet.data.selection import select, select_test
from addnet.data.sources import INDEX, Source, left_alone
from addnet.data.splits import AIMS
from addnet.errors import UserError
from addnet.index.records import CLASS_NAMES, Records
from addnet.untrusted.texts import in_markup, shown, shown_lines
from addnet.wording import count

_LABELS = len(CLASS_NAMES) + 1
Codes = NDArray[np.int64]
Listings = Mapping[Source, Listing]


class CheckRow(NamedTuple):
    """Counts for one split, class and method.

    Attributes:
        split: `train`, `val` or `test`.
        label: `real`, `fake` or `unlabelled`.
        method: The method that made the images; empty if unknown.
        files: Number of images or videos.
        videos: Number of distinct videos.
        groups: Number of distinct groups.
    """

    split: str
    label: str
    method: str
    files: int
    videos: int
    groups: int


def rows(records: Records) -> Iterator[CheckRow]:
    """Counts by split, class and method, sorted by these."""
    splits, methods = records.names("split"), records.names("method")
    labels = records.labels.astype(np.int64) + 1  # 0 unlabelled, 1 real, 2 fake
    # (N,) one number for each combination of split, label and method; divmod below takes it apart
    codes = (records.numbers("split") * _LABELS + labels) * max(len(methods), 1) + records.numbers("method")
    kinds, kind, files = np.unique(codes, return_inverse=True, return_counts=True)
    counts = [files, *(_different(kind, records.numbers(name)) for name in ("video_id", "group_id"))]
    result = []
    for position, code in enumerate(kinds.tolist()):
        rest, method = divmod(code, max(len(methods), 1))
        split, label = divmod(rest, _LABELS)
        name = CLASS_NAMES[label - 1] if label else "unlabelled"
        result.append(CheckRow(splits[split], name, methods[method], *(int(count[position]) for count in counts)))
    yield from sorted(result, key=lambda row: (_order(row.split), row.label != CLASS_NAMES[0], row.method))


def problems(listing: Listing) -> list[str]:
    """The reasons why neither training nor testing is possible; empty if one of them is."""
    reasons = [f"missing: {missing.path}, {missing.what}" for missing in listing.missing if missing.needed]
    if not len(listing.images) and not len(listing.videos):
        reasons.append("neither images nor videos that belong to a split")
    return reasons


def warnings(listing: Listing) -> Iterator[str]:
    """Yields what works but may surprise: splits with only one class, groups in both train and test."""
    if len(listing.images) and len(listing.videos):
        yield left_alone(listing)
    for kind, records in (("images", listing.images), ("videos", listing.videos)):
        for split, lacking in _lacking(records).items():
            yield f"{split} has no {' and no '.join(lacking)} {kind}"
        if shared := _shared_groups(records):
            yield (
                f"{count(shared, 'group is', 'groups are')} in both train and test: metrics would be too good ({kind})"
            )


def report(listing: Listing, *, title: str, console: Console) -> None:
    """Prints what was found, what is missing, the notes and the doubtful guesses."""
    for kind, records in (("images", listing.images), ("videos", listing.videos)):
        if len(records):
            console.print(_table(list(rows(records)), title=f"{title}: {kind}", kind=kind))
    for missing in listing.missing:
        style = "red" if missing.needed else "yellow"
        _say(console, f"missing: {shown(missing.path)}, {missing.what}", style=style)
    for note in (*warnings(listing), *listing.notes):
        _say(console, f"note: {note}")
    for doubt in listing.doubts:
        _say(console, f"doubtful: {doubt}", style="yellow")


def _say(console: Console, text: str, *, style: str | None = None) -> None:
    console.print(shown_lines(text), style=style, markup=False, highlight=False)


def verdict(data: Mapping[str, Any], chosen: ChosenSources, listings: Listings, *, no_test: bool = False) -> str:
    """Says what the data sets can be used for, by the same checks that start a training or an evaluation.

    Args:
        data: The `data` node, as plain values.
        chosen: The data sets.
        listings: The files found in each.
        no_test: Whether the training ends without a test.

    Raises:
        UserError: Training would be refused; if no images are for training, evaluation would be.
    """
    for listing in listings.values():
        if reasons := problems(listing):
            raise UserError("; ".join(reasons))

    def records_of(source: Source) -> Records:
        return _served(listings[source]).replaced(root=str(source.data_root if source.data_dir else source.index))

    how: dict[str, Any] = {"test_fraction": data["test_fraction"], "seed": data["seed"], "records_of": records_of}
    how |= {"held_method": data["held_method"]}
    limits = {name: data[f"limit_{name}"] for name in ("train", "val", "test")}
    train, val, test = chosen
    if all("predict" in _served(listings[source]).names("split") for source in train):
        return _ready(listings, "predicted")
    if any("train" in _served(listings[source]).names("split") for source in train):
        more = {"val_fraction": data["val_fraction"], "allow_overlap": data["allow_overlap"], "limits": limits}
        more |= {"blended": blended_splits(data["fakes"], data["val_fakes"]), "leave_out": data["leave_out"]}
        splits = select(train, None if no_test else test, val=val, **more, **how)
        return f"{_ready(listings, 'trained')}\n{_counts(splits)}"
    tested = {"test": select_test(test, limit_to=limits["test"], **how)}
    return (
        f"{_ready(listings, 'tested')}; none of them are for training: train on another data set and name this one in "
        f"data.test\n{_counts(tested)}"
    )


def _lacking(records: Records) -> dict[str, list[str]]:
    """The missing classes of each labelled split that lacks one."""
    result = {}
    for number, split in enumerate(records.names("split")):
        present = set(np.unique(records.labels[records.numbers("split") == number]).tolist())
        lacking = [name for label, name in enumerate(CLASS_NAMES) if label not in present]
        if lacking and -1 not in present:
            result[split] = lacking
    return result


def _served(listing: Listing) -> Records:
    return listing.images if len(listing.images) else listing.videos


def _ready(listings: Listings, aim: str) -> str:
    start = "incomplete, but usable" if any(listing.missing for listing in listings.values()) else "complete"
    if all(len(listing.images) for listing in listings.values()):
        return f"{start}: images are ready to be {aim} on"
    return f"{start}: videos are ready to be {aim} on; faces are cropped from them first, by `addnet prepare` or then"


def _counts(splits: Mapping[str, Records]) -> str:
    parts = [
        f"{AIMS[name]} {len(part):,} in {count(len(part.names('group_id')), 'group')}"
        for name, part in splits.items()
        if name in AIMS
    ]
    return f"images used: {', '.join(parts)}"


def main(cfg: DictConfig) -> int:
    """Checks the data folders of a config and prints the result; returns the command's exit code.

    Raises:
        UserError: No data folder is set, or the layout can't read it.
    """
    console = Console(soft_wrap=True) if not sys.stdout.isatty() else Console()
    data = plain(cfg.data)
    chosen = configured(data)
    listings = {}
    for source in chosen.sources:
        title = f"{source.layout} in {source.named}"
        listings[source] = Listing(images=source.records()) if source.layout == INDEX else source.found
        report(listings[source], title=title, console=console)
    try:
        _say(console, verdict(data, chosen, listings, no_test=not cfg.get("test", True)))
    except UserError as error:
        _say(console, f"not ready: {error}", style="red")
        return 1
    return 0


def _table(found: Sequence[CheckRow], *, title: str, kind: str) -> Table:
    table = Table(title=in_markup(title))
    for name in ("split", "class", "method"):
        table.add_column(name)
    for name in (kind, "videos", "groups") if kind == "images" else (kind, "groups"):
        table.add_column(name, justify="right")
    for row in found:
        counts = (row.files, row.videos, row.groups) if kind == "images" else (row.files, row.groups)
        table.add_row(*map(in_markup, (row.split, row.label, row.method or "-")), *(f"{number:,}" for number in counts))
    return table


def _different(kind: Codes, numbers: Codes) -> Codes:
    """The number of distinct values in `numbers` for each kind."""
    spread = int(numbers.max(initial=0)) + 1
    pairs = np.unique(kind.astype(np.int64) * spread + numbers)
    return np.bincount(pairs // spread)


def _order(split: str) -> int:
    known = ("train", "val", "test")
    return known.index(split) if split in known else len(known)


def _shared_groups(records: Records) -> int:
    splits, groups = np.asarray(records.numbers("split")), records.numbers("group_id")
    names = records.names("split")
    train, test = (groups[splits == (names.index(name) if name in names else -1)] for name in ("train", "test"))
    return len(np.intersect1d(train, test))
