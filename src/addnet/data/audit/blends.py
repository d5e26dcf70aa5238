"""Do simple signals tell self-blends from the real images they are made from? Measured on what a network would get."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet import wording
from addnet.data.audit.issues import INFO, WARNING, Issue
from addnet.data.audit.overlap import rows_of
from addnet.data.audit.pool import over_records
from addnet.data.audit.scan import ImageSignals, Read
from addnet.data.audit.scores import Score, score_numbers
from addnet.data.audit.signals import describe_content
from addnet.data.donors import Donors
from addnet.data.fakes import Recipe, SelfBlends
from addnet.data.hook import SamplePosition, UnwarpedSample
from addnet.errors import UserError
from addnet.faces.geometry import Geometry, Landmarks
from addnet.faces.images import ImageArray, check_bytes
from addnet.faces.landmarks import Landmarker
from addnet.faces.views import view
from addnet.index.records import FAKE, REAL, Record, Records

SIGNALS = ("brightness", "contrast", "saturation", "sharpness", "size as JPEG", "JPEG blocks")
STAGES = ("blended", "seen")
_QUALITY = 90  # of the JPEG whose size is measured
_BLOCK = 8  # pixels of a JPEG block
_CHUNK = 16
_MANY = 0.2  # share of images without landmarks above which something is wrong
_REMEDY = (
    "The network learns this instead of the blend. Use blend=sbi unchanged, or look for the difference on the sheet of "
    "blends that a run draws."
)


@dataclass(frozen=True)
class Blending:
    """How training would make fakes.

    Attributes:
        recipe: How an image is blended with itself or with another person's image.
        geometry: What part of it the network sees.
        splits: Splits in which fakes are made.
        donors: Probability of blending with another person's image.
    """

    recipe: Recipe
    geometry: Geometry
    splits: Collection[str]
    donors: float = 0.0


@dataclass(frozen=True)
class BlendedSplit:
    """How well simple signals tell the self-blends of a split from their real images.

    Attributes:
        split: Name of the split.
        looked_at: Number of real images chosen.
        blended: How many of them could be blended: those with landmarks.
        scores: By signal and stage (`STAGES`): of images as they come out of the blend, and as the network sees them.
    """

    split: str
    looked_at: int
    blended: int
    scores: dict[str, dict[str, Score]]

    @property
    def worst(self) -> float:
        """The highest AUROC of all; 0.5 if there is none."""
        return max([0.5, *(score.auroc for stages in self.scores.values() for score in stages.values())])

    def numbers(self) -> dict[str, Any]:
        """Its fields, for JSON."""
        scores = {
            name: {stage: score.plain() for stage, score in stages.items()} for name, stages in self.scores.items()
        }
        return {"split": self.split, "looked_at": self.looked_at, "blended": self.blended, "scores": scores}


def blended_splits_of(
    records: Records,
    signals: ImageSignals,
    read: Read,
    blending: Blending,
    *,
    landmarker: Landmarker,
    most: int,
    resamples: int,
    seed: int,
    workers: int | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> list[BlendedSplit]:
    """Blends real images as the first epoch of a training would, and scores each signal alone.

    Args:
        records: The images; those that training would carve out for validation are in the split `val`.
        signals: Signals of the images; unreadable ones are left out.
        read: Returns the bytes of an image; picklable.
        blending: How fakes are made.
        landmarker: Finds the landmarks.
        most: At most this many real images per split, chosen by `seed`.
        resamples: How often groups are resampled for the confidence intervals.
        seed: Seed of the choice, the blends and the resampling.
        workers: Number of processes; default: all cores.
        advance: Called with the number of images done since the last call, and with the total.
    """
    usable = signals.readable & (records.labels == REAL)
    sides = {}
    for split in sorted(set(blending.splits) & set(records.names("split"))):
        rows = rows_of(records, split)
        sides[split] = np.sort(np.random.default_rng((seed, 6)).permutation(rows[usable[rows]])[:most])
    total = sum(map(len, sides.values()))
    found = []
    for split, rows in sides.items():
        how: dict[str, Any] = {"count": len(rows), "workers": workers, "chunk": _CHUNK}
        chosen = records.take(rows)
        landmarks = list(over_records(_Find(read, landmarker), chosen, failed=_no_face, **how))
        task = _BlendSignals(read, chosen, landmarks, blending, seed)
        measured = np.empty((len(rows), *_SHAPE), dtype=np.float32)
        for number, values in enumerate(over_records(task, chosen, failed=_nothing, **how)):
            measured[number] = values
            if advance:
                advance(1, total)
        groups = records.numbers("group_id")[rows]
        found.append(_scored(split, measured, groups, resamples=resamples, seed=seed))
    return found


def blend_issues(found: list[BlendedSplit], *, warn_auroc: float) -> list[Issue]:
    """A warning for each signal that tells blends from real images."""
    issues = []
    for split in found:
        for name, stages in split.scores.items():
            high = {stage: score for stage, score in stages.items() if score.auroc > warn_auroc}
            if not high:
                continue
            each = ", ".join(f"{score.auroc:.3f} as {stage}" for stage, score in high.items())
            text = f"{name} alone tells self-blends of {split.split} from their real images: AUROC {each}"
            kind = "blend_" + name.lower().replace(" ", "_")
            issues.append(Issue(kind, WARNING, text, split.blended, _REMEDY))
        if bare := split.looked_at - split.blended:
            text = f"{wording.count(bare, 'real image')} of {split.split} can't be blended: no landmarks were found"
            remedy = "They are left out of training; check whether they show faces."
            issues.append(Issue("not_blended", WARNING if bare > _MANY * split.looked_at else INFO, text, bare, remedy))
    return issues


_SHAPE = (len(STAGES), 2, len(SIGNALS))  # of one image: stages, real and fake, signals


@dataclass(frozen=True)
class _Find:
    """Finds the landmarks of a real image; None if there are none, or if the image can't be read."""

    read: Read
    landmarker: Landmarker

    def __call__(self, record: Record) -> Landmarks | None:
        try:
            return self.landmarker(check_bytes(self.read(record))).landmarks
        except (OSError, UserError):
            return None


def _no_face(record: Record, reason: str = "") -> None:
    return None


class _BlendSignals:
    """Signals of a real image and its blend: `_SHAPE` float32, NaN where there is no blend."""

    def __init__(
        self, read: Read, records: Records, landmarks: list[Landmarks | None], blending: Blending, seed: int
    ) -> None:
        self._read = read
        self._landmarks = landmarks
        self._geometry = blending.geometry
        self._seed = seed
        self._records = records
        self._numbers = {(record.root, record.path): number for number, record in enumerate(records)}
        donors = Donors(
            blending.donors,
            rows=np.flatnonzero([found is not None for found in landmarks]),
            landmarks=landmarks,
            groups=records.numbers("group_id"),
            read=self._image,
        )
        self._blends = SelfBlends(blending.recipe, donors if blending.donors else None)

    def __call__(self, record: Record) -> NDArray[np.float32]:
        number = self._numbers[record.root, record.path]
        landmarks = self._landmarks[number]
        if landmarks is None:
            return _nothing(record)
        at = SamplePosition(number, (self._seed, 0, zlib.crc32(record.path.encode()), 0))
        try:
            halves = self._blends.blend(UnwarpedSample(self._image(number), landmarks, REAL), at)[:2]
        except (OSError, UserError):
            return _nothing(record)
        seen = [view(half, landmarks, self._geometry).image for half in halves]
        return np.array([[_signals(half) for half in stage] for stage in (halves, seen)], dtype=np.float32)

    def _image(self, number: int) -> ImageArray:
        return check_bytes(self._read(self._records[number]))


def _nothing(record: Record, reason: str = "") -> NDArray[np.float32]:
    return np.full(_SHAPE, np.nan, dtype=np.float32)


def _signals(image: ImageArray) -> list[float]:
    """The numbers that `SIGNALS` names."""
    grey = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), dtype=np.uint8)
    content = describe_content(image, grey)
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    levels = grey.astype(np.int16)
    blocks = np.mean([_blocks(levels), _blocks(levels.T)])
    return [*(float(content[name]) for name in SIGNALS[:4]), float(len(encoded)), float(blocks)]


def _blocks(grey: NDArray[np.int16]) -> float:
    """How much larger steps between columns are at the borders of JPEG blocks, for any grid offset, than elsewhere."""
    steps = np.abs(np.diff(grey, axis=1)).mean(axis=0)  # (W - 1,) mean step from each column to the next
    whole = len(steps) // _BLOCK * _BLOCK
    if not whole:
        return 1.0
    by_place = steps[:whole].reshape(-1, _BLOCK).mean(axis=0)  # (8,) by position within a block
    return float(by_place.max() / max(float(np.median(by_place)), 1e-3))


def _scored(
    split: str, measured: NDArray[np.float32], groups: NDArray[np.int64], *, resamples: int, seed: int
) -> BlendedSplit:
    known = np.isfinite(measured).all(axis=(1, 2, 3))
    # values: (images, *_SHAPE); each image counts twice, as real and as fake, in the same group
    values, both = measured[known], np.repeat(groups[known], 2)
    labels = np.tile(np.array([REAL, FAKE], dtype=np.int64), len(values))
    scores: dict[str, dict[str, Score]] = {}
    for place, name in enumerate(SIGNALS if len(values) else ()):
        scores[name] = {
            stage: score_numbers(values[:, at, :, place].ravel(), labels, both, resamples=resamples, seed=seed)
            for at, stage in enumerate(STAGES)
        }
    return BlendedSplit(split, len(measured), len(values), scores)
