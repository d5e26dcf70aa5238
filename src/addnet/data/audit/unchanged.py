"""Fakes in which hardly anything was changed: nearly the real image of the same frame, under the other label.

Where a generator failed, or almost failed, a fake is its real image saved again. Training then sees the same image as
real and as fake, and a test set with such pairs limits what any detector can reach.

The change of a pair is the largest difference between the two images at 112 × 112 pixels after a blur of 2 pixels,
which hides most traces of saving again, divided by the brightness of the real one: dark images can't differ by much.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.issues import EXAMPLES, INFO, Issue
from addnet.data.audit.pool import over_records
from addnet.data.audit.scan import ImageSignals, Read, read_or_reason
from addnet.data.left_out import COLUMN
from addnet.data.pair_orders import NO_PARTNER, source_sets
from addnet.errors import UserError
from addnet.faces.images import decode_image
from addnet.index.records import FAKE, REAL, Record, Records
from addnet.wording import count

FILE = "unchanged.csv"
_SIDE, _SIGMA = 112, 2.0
MOST = 20_000  # pairs: half a minute on one core
_DARK = 20.0  # grey levels that are added to the brightness, so that black images aren't taken for changed ones


@dataclass(frozen=True)
class UnchangedFakes:
    """Fakes that hardly differ from the real image of their frame.

    Attributes:
        rows: (P, 2) records, the real one first; pairs that differ least first.
        change: (P,) how much they differ.
        pairs: How many pairs of the same frame were compared.
        of: How many such pairs there are.
    """

    rows: NDArray[np.int64]
    change: NDArray[np.float64]
    pairs: int
    of: int


def change(real: NDArray[np.uint8], fake: NDArray[np.uint8]) -> float:
    """How much a fake differs from its real image, at the place where it differs most.

    Args:
        real: (H, W, 3) uint8.
        fake: (h, w, 3) uint8, of any size.

    Example:
        >>> grey = np.full((60, 60, 3), 80, dtype=np.uint8)
        >>> round(change(grey, grey), 2), round(change(grey, grey + 40), 2)
        (0.0, 0.4)
    """
    one, other = (cv2.resize(part, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for part in (real, fake))
    difference = cv2.GaussianBlur(one.astype(np.float32) - other.astype(np.float32), (0, 0), _SIGMA)
    return float(np.abs(difference).max() / (one.mean() + _DARK))


def unchanged_fakes(
    records: Records,
    signals: ImageSignals,
    read: Read,
    *,
    below: float,
    seed: int = 0,
    workers: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> UnchangedFakes:
    """Compares each fake with a real image of the same frame, in at most `MOST` pairs.

    Args:
        records: The images.
        signals: Signals of the images.
        read: Returns the bytes of an image; picklable.
        below: Pairs that differ by less are reported.
        seed: Seed of the choice of pairs, if there are too many.
        workers: Number of processes; default: all cores.
        advance: Called with the number of pairs done since the last call, and with the total.
    """
    every = _pairs(records, signals)
    pairs = every[np.sort(np.random.default_rng(seed).permutation(len(every))[:MOST])]
    reals = {_key(records[fake]): records[real] for real, fake in pairs.tolist()}
    fakes = (records[fake] for fake in pairs[:, 1].tolist())
    found = np.full(len(pairs), np.inf)
    task = _Change(read, reals)
    for number, value in enumerate(over_records(task, fakes, failed=_none, count=len(pairs), workers=workers)):
        found[number] = value
        if advance:
            advance(1, len(pairs))
    order = np.argsort(found, kind="stable")
    order = order[found[order] < below]
    return UnchangedFakes(pairs[order], found[order], len(pairs), len(every))


def unchanged_issues(records: Records, found: UnchangedFakes, *, below: float) -> list[Issue]:
    """One issue for each split that has unchanged fakes."""
    issues = []
    splits = np.asarray(records.names("split"))[records.numbers("split")][found.rows[:, 1]]
    for split in dict.fromkeys(splits.tolist()):
        rows = np.flatnonzero(splits == split)
        text = (
            f"{count(len(rows), 'fake')} of {split} hardly {'differs' if len(rows) == 1 else 'differ'} from the real "
            f"image of the same frame (by less than {below:g}; {found.pairs:,} of {found.of:,} pairs were compared)"
        )
        examples = [
            f"{records[int(real)].path} ~ {records[int(fake)].path} ({found.change[row]:.2f})"
            for row in rows[:EXAMPLES].tolist()
            for real, fake in [found.rows[row]]
        ]
        remedy = f"{FILE} in this folder lists them all; training leaves out the images of a list in data.leave_out."
        issues.append(Issue("unchanged_fake", INFO, text, len(rows), remedy, examples))
    return issues


def write_unchanged(records: Records, found: UnchangedFakes, folder: Path) -> None:
    """Writes the fakes with their changes as a list for `data.leave_out`; removes the one of an earlier audit."""
    file = folder / FILE
    file.unlink(missing_ok=True)
    if not len(found.rows):
        return
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow([COLUMN, "change"])
        writer.writerows(
            [records[int(fake)].path, f"{value:.3f}"] for (_, fake), value in zip(found.rows, found.change, strict=True)
        )


def _pairs(records: Records, signals: ImageSignals) -> NDArray[np.int64]:
    """(P, 2) a real and a fake image of the same source and frame, for each fake that has such a real image."""
    usable = np.flatnonzero(signals.readable & ~signals["flat"])
    part = records.take(usable)
    sets, frames, labels = source_sets(part), part.table["frame"].to_numpy(), part.labels
    reals = {
        (int(sets[row]), int(frames[row])): row
        for row in np.flatnonzero((labels == REAL) & (sets != NO_PARTNER)).tolist()[::-1]
    }
    fakes = np.flatnonzero((labels == FAKE) & (sets != NO_PARTNER)).tolist()
    pairs = [(reals[place], row) for row in fakes if (place := (int(sets[row]), int(frames[row]))) in reals]
    return usable[np.asarray(pairs, dtype=np.int64).reshape(-1, 2)]


def _key(record: Record) -> tuple[str, str]:
    return record.root, record.path


def _none(record: Record, reason: str) -> float:
    return float("inf")


@dataclass(frozen=True)
class _Change:
    read: Read
    reals: Mapping[tuple[str, str], Record]

    def __call__(self, record: Record) -> float:
        """How much a fake differs from its real image; infinity where one of them can't be read."""
        data = [read_or_reason(self.read, one) for one in (self.reals[_key(record)], record)]
        if any(isinstance(part, str) for part in data):
            return float("inf")
        try:
            real, fake = (decode_image(part) for part in data if isinstance(part, bytes))
        except UserError:
            return float("inf")
        return change(real, fake)
