"""Records → usable records with their faces; unusable files are listed and counted, and too many of them refused."""

from __future__ import annotations

import csv
import hashlib
import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.framing import Framing
from addnet.faces.geometry import Landmarks
from addnet.faces.landmarks import STEPS
from addnet.index.faces import CHECKED, GIVEN, FaceIndex
from addnet.index.landmarks import ChosenPoints
from addnet.index.records import CLASS_NAMES, Record, Records
from addnet.index.storage import Storage
from addnet.untrusted.texts import shown
from addnet.wording import count

_NAMED = 10
_LONGEST = 200  # characters of a path or a reason in a message
_MEASURED = 2000  # images that `framing` measures
_ON_THE_FLY = "on the fly"
_FOUND = pa.schema(
    [
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("size", pa.int64()),
        ("step", pa.string()),
        ("reason", pa.string()),
    ]
)


@dataclass
class UsableRecords:
    """The usable records of one split.

    Attributes:
        records: The N records whose files are intact.
        landmarks: (68, 2) of each image, None without a face.
        shapes: (N, 2) height and width of each image.
        sizes: (N,) size of each file in bytes.
        steps: Number of images by landmarker step.
        found_by: (N,) landmarker step of each image.
        skipped: Path and reason of each skipped file.
    """

    records: Records
    landmarks: Sequence[Landmarks | None]
    shapes: NDArray[np.int64]
    sizes: NDArray[np.int64]
    steps: dict[str, int]
    found_by: pa.Array
    skipped: list[tuple[str, str]] = field(default_factory=list)

    def videos_by_dataset(self) -> dict[str, NDArray[np.int64]]:
        """Numbers of the videos of each data set, by its name."""
        which, videos = self.records.numbers("dataset"), self.records.numbers("video_id")
        names = self.records.names("dataset")
        return {name: np.unique(videos[which == number]) for number, name in enumerate(names)}

    @property
    def with_landmarks(self) -> NDArray[np.bool_]:
        """(N,) whether the landmarks of each image are known."""
        return np.asarray(pc.not_equal(self.found_by, "none"), dtype=bool)

    def framing(self) -> Framing | None:
        """Position and size of faces, measured on a sample of the images; None if no landmarks are known."""
        some = np.unique(np.linspace(0, len(self.records) - 1, _MEASURED).round().astype(int))
        known = [(landmarks, self.shapes[row]) for row in some if (landmarks := self.landmarks[row]) is not None]
        return Framing.of([landmarks for landmarks, _ in known], [shape for _, shape in known])


def usable(
    records: Sequence[Record], indexes: Mapping[str, FaceIndex], *, verify: Collection[str] = frozenset()
) -> UsableRecords:
    """Looks up records in the indexes of their folders.

    Args:
        records: The requested records.
        indexes: Index of each `root` of the records.
        verify: Roots whose files are checked; files that no longer exist or have another size are skipped.
    """
    records = Records.of(records)
    which, folders = records.numbers("root"), records.names("root")
    rows = np.full(len(records), -1, dtype=np.int64)  # row of each record in the index of its folder
    order, parts = [np.empty(0, dtype=np.int64)], [_FOUND.empty_table()]
    for number, folder in enumerate(folders):
        chosen, index = np.flatnonzero(which == number), indexes[folder]
        rows[chosen] = index.find(records.take(chosen).paths)
        known = index.rows.select(_FOUND.names).take(pa.array(rows[chosen], mask=rows[chosen] < 0))
        parts.append(known.cast(_FOUND))
        order.append(chosen)
    # the parts are in the order of the folders; back to that of the records
    columns = pa.concat_tables(parts).take(pa.array(np.argsort(np.concatenate(order))))
    reasons = pc.if_else(pc.is_null(columns["size"]), "not in the index", columns["reason"])
    if verify:
        reasons = pc.coalesce(reasons, pa.array(_changes(records, columns["size"].to_pylist(), verify), pa.string()))
    bad = np.asarray(reasons.is_valid())
    good = np.flatnonzero(~bad)
    kept = columns.take(pa.array(good))
    step = kept["step"].combine_chunks()
    found_by = pc.if_else(pc.equal(step, CHECKED), _ON_THE_FLY, step).dictionary_encode()
    steps = Counter(found_by.to_pylist())
    return UsableRecords(
        records.take(good),
        ChosenPoints([indexes[folder].landmarks for folder in folders], which[good], rows[good]),
        np.stack([kept["height"].to_numpy(), kept["width"].to_numpy()], axis=1).astype(np.int64),
        kept["size"].to_numpy(),
        dict(steps),
        found_by,
        list(zip(records.take(bad).paths.to_pylist(), reasons.filter(pa.array(bad)).to_pylist(), strict=True)),
    )


def _changes(records: Records, sizes: Sequence[int | None], roots: Collection[str]) -> list[str | None]:
    """How each file has changed since it was indexed; None if it hasn't, or isn't checked."""
    folders, which, storage = records.names("root"), records.numbers("root"), Storage()
    changes: list[str | None] = [None] * len(records)
    where = (records.table[name].to_pylist() for name in ("offset", "length"))
    for number, (path, size, offset, length) in enumerate(zip(records.paths, sizes, *where, strict=True)):
        folder = folders[which[number]]
        if folder in roots and size is not None:
            file = os.path.join(folder, path.as_py())  # noqa: PTH118 - once an image
            changes[number] = _change(storage, file, offset, length, size)
    return changes


def _change(storage: Storage, path: str, offset: int, length: int, size: int) -> str | None:
    try:
        now, _ = storage.stat(path, offset, length)
    except UserError as error:
        return str(error)
    return None if now == size else f"changed since it was indexed: {now} bytes instead of {size}"


def refuse_too_many_bad(
    skipped: Sequence[tuple[str, str]], total: int, *, max_fraction: float, kind: str = "images"
) -> None:
    """Raises before work is wasted on a damaged data set.

    Args:
        skipped: Path and reason of each unusable file.
        total: Number of all files.
        max_fraction: Largest share of unusable files that is accepted.
        kind: Plural noun for the files.

    Raises:
        UserError: All files, or more than `max_fraction` of them, are unusable; the message lists them.
    """
    if not total or (len(skipped) < total and len(skipped) <= max_fraction * total):
        return
    than = "which is all of them" if len(skipped) == total else f"more than data.max_bad_fraction={max_fraction:g}"
    lines = [f"  {shown(path, most=_LONGEST)}: {shown(reason, most=_LONGEST)}" for path, reason in skipped[:_NAMED]]
    if len(skipped) > _NAMED:
        lines.append(f"  and {len(skipped) - _NAMED:,} more")
    raise UserError(
        f"{len(skipped):,} of {count(total, kind.removesuffix('s'), kind)} "
        f"{'is' if len(skipped) == 1 else 'are'} unusable, {than}:\n"
        + "\n".join(lines)
        + "\nRepair or remove them"
        + ("." if len(skipped) == total else ", or raise data.max_bad_fraction.")
    )


def describe(splits: dict[str, UsableRecords]) -> list[str]:
    """Describes each split in a line: images by class, videos, groups, faces by step, skipped files."""
    lines = []
    for name, part in splits.items():
        counts = Counter(part.records.labels.tolist())
        classes = ", ".join(f"{counts[label]} {title}" for label, title in enumerate(CLASS_NAMES) if counts[label])
        videos, groups = (len(part.records.names(field)) for field in ("video_id", "group_id"))
        order = [step for step in (GIVEN, *STEPS, _ON_THE_FLY) if step in part.steps]
        faces = ", ".join(f"{step} {part.steps[step]}" for step in order)
        lines.append(
            f"{name}: {count(len(part.records), 'image')} ({classes or 'unlabelled'}), "
            f"{count(videos, 'video')}, {count(groups, 'group')}; "
            f"faces: {faces}" + (f"; skipped: {len(part.skipped)}" if part.skipped else "")
        )
        if part.steps.get("none"):
            lines.append(f"{name}: {count(part.steps['none'], 'image')} without a face: mask of ones")
    return lines


def origins(part: UsableRecords) -> list[str]:
    """The data sets of a validation split, each with its own name for that part if it isn't `val`."""
    pairs = _pairs(part.records, "dataset", "split")
    return [dataset if split == "val" else f"{dataset} (its {split} part)" for dataset, split in pairs]


def _pairs(records: Records, one: str, other: str) -> list[tuple[str, str]]:
    """The distinct combinations of values of two columns."""
    numbers = np.unique(np.stack([records.numbers(one), records.numbers(other)]), axis=1)
    return [(records.names(one)[i], records.names(other)[j]) for i, j in numbers.T.tolist()]


def counts(splits: Mapping[str, UsableRecords]) -> dict[str, dict[str, int]]:
    """Counts of each split: images by class, videos, groups, skipped files."""
    result = {}
    for name, part in splits.items():
        labels = Counter(part.records.labels.tolist())
        classes = {title: labels[label] for label, title in enumerate(CLASS_NAMES)}
        names = {f"{what}s": len(part.records.names(f"{what}_id")) for what in ("video", "group")}
        result[name] = {"images": len(part.records), **classes, **names, "skipped": len(part.skipped)}
    return result


def write_skipped(splits: dict[str, UsableRecords], file: Path) -> Path | None:
    """Writes the skipped files with their reasons as CSV; returns None if there are none."""
    rows = [(name, path, reason) for name, part in splits.items() for path, reason in part.skipped]
    if not rows:
        return None
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(("split", "path", "reason"))
        writer.writerows(rows)
    return file


def fingerprint(splits: dict[str, UsableRecords]) -> str:
    """SHA-256 over path, size, label and group of every usable image, in order."""
    digest = hashlib.sha256()
    for name, part in sorted(splits.items()):
        groups = part.records.table["group_id"].cast(pa.string())
        columns = (part.records.paths, part.sizes.tolist(), part.records.labels.tolist(), groups)
        for path, size, label, group in zip(*columns, strict=True):
            digest.update(repr((name, path.as_py(), size, label, group.as_py())).encode())
    return digest.hexdigest()
