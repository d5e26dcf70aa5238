"""Do the same people act in two splits? Nearest faces across splits, compared with nearest faces within training.

A distance below 0.6 is dlib's own rule for two images of one person. It is meant for a single pair: a face compared
with thousands has many chances to meet a stranger that near. Among portraits of 530 different people, 68 % have
somebody within 0.6, 3.4 % within 0.5 and 0.4 % (one pair) within 0.45 or 0.4. Hence `STRICT`, and hence the comparison
with the distances between training faces of *different groups*. The result is a suspicion, not a proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.issues import EXAMPLES, INFO, WARNING, Issue
from addnet.data.audit.overlap import rows_of, split_pairs
from addnet.data.audit.pool import over_records
from addnet.data.audit.scan import ImageSignals, Read
from addnet.errors import UserError
from addnet.faces.descriptors import SAME_PERSON, FaceDescriptor
from addnet.faces.images import check_bytes
from addnet.faces.landmarks import Landmarker
from addnet.index.records import REAL, Record, Records
from addnet.wording import count

STRICT = 0.4
_CHUNK = 16
_NOTHING = 9.0  # farther than any two faces

Rows = NDArray[np.int64]
Distances = NDArray[np.float32]


@dataclass(frozen=True)
class Actors:
    """Nearest faces from one split to another, and within the first.

    Attributes:
        between: Names of the splits, such as `("train", "test")`.
        rows: (N, 2) records: the nearest face in the first split for each face of the second, and that face; nearest
            pairs first.
        across: (N,) distances of these pairs.
        within: (M,) distance of each face of the first split to the nearest face of another group there.
        looked_at: Number of images chosen in each split.
        found: In how many of these a face was found.
    """

    between: tuple[str, str]
    rows: Rows
    across: Distances
    within: Distances
    looked_at: tuple[int, int]
    found: tuple[int, int]

    def numbers(self) -> dict[str, Any]:
        """The numbers that the report keeps."""
        sides = {"across": self.across, "within": self.within}
        return {
            "between": self.between,
            "looked_at": self.looked_at,
            "found": self.found,
            **{f"{name}_quantiles": _quantiles(values) for name, values in sides.items()},
            **{
                f"{name}_below_{limit}": below(v, limit) for name, v in sides.items() for limit in (STRICT, SAME_PERSON)
            },
        }


def below(distances: Distances, limit: float) -> float:
    """Share of faces whose nearest face is closer than `limit`; 0, not NaN, without faces."""
    return round(float((distances < limit).mean()), 4) if len(distances) else 0.0


def actors(
    records: Records,
    signals: ImageSignals,
    read: Read,
    *,
    images_per_group: int = 1,
    most: int = 2000,
    label: int = REAL,
    seed: int = 0,
    model: str | None = None,
    landmark_model: str | None = None,
    face_crops: bool = True,
    workers: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[Actors]:
    """Compares faces of each pair of splits.

    Args:
        records: The images.
        signals: Signals of the images; unreadable ones are left out.
        read: Returns the bytes of an image; picklable.
        images_per_group: At most this many images of each group.
        most: At most this many images per split, chosen by `seed`.
        label: Class of the images; real by default, because a fake shows a mixture of two people.
        seed: Seed of the choice.
        model: File of a face recognition network to use instead of the packaged one.
        landmark_model: File of a 68-landmark model to use instead of the packaged one.
        face_crops: See `Landmarker`.
        workers: Number of processes; default: all cores.
        advance: Called with the number of images done since the last call, and with the total.
    """
    task = _Describe(read, Landmarker(landmark_model, face_crops=face_crops), FaceDescriptor(model))
    usable = signals.readable & (records.labels == label)
    splits = sorted({split for pair in split_pairs(records) for split in pair})
    sides = [rows_of(records, split) for split in splits]
    sides = [_chosen(records, rows[usable[rows]], images_per_group, most, seed) for rows in sides]
    chosen = np.concatenate([np.empty(0, dtype=np.int64), *sides])
    descriptors = np.empty((len(chosen), 128), dtype=np.float32)  # of all splits, one split after another
    found = over_records(task, records.take(chosen), failed=_nobody, count=len(chosen), workers=workers, chunk=_CHUNK)
    for number, descriptor in enumerate(found):
        descriptors[number] = descriptor
        if advance:
            advance(1, len(chosen))
    faces, start = {}, 0
    for split, rows in zip(splits, sides, strict=True):
        described = descriptors[start : start + len(rows)]
        known = np.isfinite(described[:, 0])
        faces[split] = (rows[known], described[known], len(rows))
        start += len(rows)
    return [_compared(records, faces, pair) for pair in split_pairs(records)]


def _chosen(records: Records, rows: Rows, per_group: int, most: int, seed: int) -> Rows:
    shuffled = np.random.default_rng((seed, 4)).permutation(rows)
    groups = records.numbers("group_id")[shuffled]
    # place: (rows,) rank of each shuffled row within its group, so that `place < per_group` keeps that many of each
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.append(True, np.diff(groups[order]) != 0)) if len(rows) else order
    lengths = np.diff(np.append(starts, len(order)))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.repeat(starts, lengths)
    return np.sort(shuffled[place < per_group][:most])


@dataclass(frozen=True)
class _Describe:
    """Descriptor of an image: (128,) float32, NaN where no face was found."""

    read: Read
    landmarker: Landmarker
    descriptor: FaceDescriptor

    def __call__(self, record: Record) -> NDArray[np.float32]:
        try:
            image = check_bytes(self.read(record))
        except (OSError, UserError):  # it could be read a moment ago
            return _nobody(record)
        face = self.landmarker(image)
        return _nobody(record) if face.landmarks is None else self.descriptor(image, face)


def _nobody(record: Record, reason: str = "") -> NDArray[np.float32]:
    return np.full(128, np.nan, dtype=np.float32)


def _compared(
    records: Records, faces: dict[str, tuple[Rows, NDArray[np.float32], int]], between: tuple[str, str]
) -> Actors:
    groups = records.numbers("group_id")
    (rows, known, looked_at), (other_rows, others, others_looked_at) = (faces[split] for split in between)
    across, nearest = _nearest(others, known, groups[other_rows], groups[rows])
    within, _ = _nearest(known, known, groups[rows], groups[rows])
    order = np.argsort(across, kind="stable")[: len(across) if len(known) else 0]
    pairs = np.stack([rows[nearest[order]], other_rows[order]], axis=1) if len(order) else np.empty((0, 2), np.int64)
    counts = (looked_at, others_looked_at)
    return Actors(between, pairs, across[order], within[within < _NOTHING], counts, (len(rows), len(other_rows)))


def _nearest(
    faces: NDArray[np.float32], gallery: NDArray[np.float32], groups: Rows, gallery_groups: Rows
) -> tuple[Distances, Rows]:
    """Distance and position of the nearest face of another group, for each face."""
    # (faces, gallery) squared distances as |a|² + |b|² - 2ab, which needs no (faces, gallery, 128) array
    squares = (faces**2).sum(axis=1)[:, None] + (gallery**2).sum(axis=1)[None] - 2 * faces @ gallery.T
    distances = np.sqrt(np.maximum(squares, 0))
    distances[groups[:, None] == gallery_groups[None]] = _NOTHING
    if not len(gallery):
        return np.full(len(faces), _NOTHING, np.float32), np.zeros(len(faces), np.int64)
    return distances.min(axis=1).astype(np.float32), distances.argmin(axis=1)


def _quantiles(values: Distances) -> dict[str, float]:
    if not len(values):
        return {}
    quantiles = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95)
    return {f"{q:g}": round(float(np.quantile(values, q)), 4) for q in quantiles}


def actor_issues(records: Records, found: list[Actors]) -> list[Issue]:
    """A warning where faces across splits are within `STRICT`, an info where they are only within dlib's limit."""
    issues = []
    for pair in found:
        near, strict = (int((pair.across < limit).sum()) for limit in (SAME_PERSON, STRICT))
        if not near:
            continue
        one, other = pair.between
        faces = count(len(pair.across), "face")
        text = (
            f"{strict:,} of {faces} of {other} are within {STRICT} of a face of another group "
            f"in {one}, {near:,} within {SAME_PERSON}: probably the same people (within {one}: "
            f"{below(pair.within, STRICT):.1%} and {below(pair.within, SAME_PERSON):.1%} of the faces)"
        )
        remedy = "This is a suspicion: check it by eye. If it holds, test metrics are about known people: report that."
        rows = pair.rows[:EXAMPLES]
        examples = [
            f"{records[int(a)].path} ~ {records[int(b)].path} (distance {d:.2f})"
            for (a, b), d in zip(rows, pair.across, strict=False)
        ]
        issues.append(Issue("same_actor", WARNING if strict else INFO, text, near, remedy, examples))
    return issues
