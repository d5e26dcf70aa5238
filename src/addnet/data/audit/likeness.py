"""Near-identical images across splits: the same image saved again, or the same scene.

What a distance between perceptual hashes means, as measured:

- The same portrait saved at JPEG quality 60 or 30, at half or double size, at 64 × 64, with other contrast, blurred or
  with noise: 4 bits at most, for 533 of 533. 30 grey levels brighter: 531. A border of 2 % cut off: 217.
- Two of 533 portraits of different people: 1 pair of 141,778 within 4 bits, 28 within 8.
- Two frames of different DFDC videos, 500 × 9,000 pairs: 9 within 4 bits, all of one person in one room, some of them
  the same moment made darker; 30 within 6 bits, of which 2 or 3 are not.

Hence the default of 4. Whether such a pair is the *same* image is then decided by the images themselves: the
correlation of their detail (64 × 64, minus a Gaussian blur of 2 pixels) was at least .93 for 107 portraits saved again
as above, at most .88 for the DFDC pairs across splits, and .80 to 1.00 for consecutive frames of a video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.audit.issues import ERROR, EXAMPLES, INFO, WARNING, Issue
from addnet.data.audit.near import NearPairs, near_pairs
from addnet.data.audit.overlap import rows_of, split_pairs
from addnet.data.audit.scan import ImageSignals, Read
from addnet.errors import UserError
from addnet.faces.images import decode_image
from addnet.index.records import FAKE, REAL, Records
from addnet.wording import count

SAME_DETAIL = 0.9
_SIDE, _SIGMA = 64, 2.0

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Likeness:
    """Near pairs between two sets of images.

    Attributes:
        between: Names of the sets, such as `("train", "test")`.
        rows: (P, 2) records, nearest first.
        distances: (P,) differing bits of their hashes.
        detail: (Q,) correlation of detail of the first Q pairs; the others were not opened.
        images: Number of images of each set that have a near one in the other.
        complete: Whether all near pairs were found.
    """

    between: tuple[str, str]
    rows: Rows
    distances: NDArray[np.uint8]
    detail: NDArray[np.float64]
    images: tuple[int, int]
    complete: bool

    @property
    def same(self) -> Rows:
        """Positions of the pairs that are the same image."""
        return np.flatnonzero(self.detail >= SAME_DETAIL)

    def numbers(self) -> dict[str, Any]:
        """The numbers that the report keeps."""
        bits = np.bincount(self.distances).tolist()
        return {
            "between": self.between,
            "images": self.images,
            "pairs": len(self.rows),
            "pairs_by_bits": bits,
            "looked_at": len(self.detail),
            "same": len(self.same),
            "complete": self.complete,
        }


def across_splits(
    records: Records, signals: ImageSignals, read: Read, *, distance: int, look_at: int = 2000
) -> list[Likeness]:
    """Near pairs of images of different groups in two splits.

    Args:
        records: The images.
        signals: Signals of the images.
        read: Returns the bytes of an image.
        distance: At most this many bits may differ.
        look_at: How many of the nearest pairs are opened again, to distinguish copies from scenes.
    """
    usable = signals.readable & ~signals["flat"]
    found = []
    for one, other in split_pairs(records):
        sides = [rows[usable[rows]] for rows in (rows_of(records, one), rows_of(records, other))]
        pairs, rows = _between(records, signals, sides, distance)
        detail = np.array([_detail(records, read, pair) for pair in rows[:look_at]])
        found.append(Likeness((one, other), rows, pairs.distances, detail, pairs.images, pairs.complete))
    return found


def within_splits(
    records: Records, signals: ImageSignals, read: Read, *, distance: int, look_at: int = 2000
) -> list[Likeness]:
    """Near pairs of images of different groups within a split; takes the arguments of `across_splits`."""
    usable = signals.readable & ~signals["flat"]
    found = []
    for split in records.names("split"):
        rows = rows_of(records, split)
        rows = rows[usable[rows]]
        pairs, both = _between(records, signals, [rows, rows], distance, within=True)
        detail = np.array([_detail(records, read, pair) for pair in both[:look_at]])
        found.append(Likeness((split, split), both, pairs.distances, detail, pairs.images, pairs.complete))
    return found


def across_labels(records: Records, signals: ImageSignals, *, distance: int) -> list[Likeness]:
    """Near pairs of a real and a fake of different groups within a split."""
    usable = signals.readable & ~signals["flat"]
    labels = records.labels
    found = []
    for split in records.names("split"):
        rows = rows_of(records, split)
        sides = [rows[usable[rows] & (labels[rows] == label)] for label in (REAL, FAKE)]
        pairs, both = _between(records, signals, sides, distance)
        found.append(Likeness((split, split), both, pairs.distances, np.empty(0), pairs.images, pairs.complete))
    return found


def _between(
    records: Records, signals: ImageSignals, sides: list[Rows], distance: int, *, within: bool = False
) -> tuple[NearPairs, Rows]:
    hashes, groups = signals["phash"], records.numbers("group_id")
    left, right = sides
    pairs = near_pairs(
        hashes[left], hashes[right], distance, left_groups=groups[left], right_groups=groups[right], within=within
    )
    return pairs, np.stack([left[pairs.left], right[pairs.right]], axis=1)


def _detail(records: Records, read: Read, pair: Rows) -> float:
    try:
        one, other = (detail(decode_image(read(records[int(row)]))) for row in pair)
    except (OSError, UserError):  # it could be read a moment ago
        return 0.0
    return float((one * other).sum())


def detail(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(64, 64) what a blur removes from the shrunk grey image, scaled to unit length."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    high = small - cv2.GaussianBlur(small, (0, 0), _SIGMA)
    return np.asarray(high / max(1e-6, float(np.linalg.norm(high))), dtype=np.float32)


_ACROSS = {
    "copy": ("same_image_two_splits", ERROR, "Delete one of each, or give both one group."),
    "scene": (
        "same_scene_two_splits",
        WARNING,
        "Look at the sheet of pairs. If they come from one recording, give both one group.",
    ),
}
_WITHIN = {
    "copy": (
        "same_image_two_groups",
        WARNING,
        "Validation is carved out by group and may share them with training. Delete one of each, or give both one "
        "group.",
    ),
    "scene": (
        "same_scene_two_groups",
        INFO,
        "Validation is carved out by group and may share their recordings with training.",
    ),
}
_MEANING = {
    "copy": "they also agree in detail: one image saved twice, or a still moment of one recording",
    "scene": "they differ in detail: likely one recording, or one person at one place",
}


def likeness_issues(
    records: Records, *, across: list[Likeness], within: list[Likeness], labels: list[Likeness]
) -> list[Issue]:
    """Copies and scenes across splits and between the groups of a split, and near pairs of two labels."""
    issues = []
    for found in (*across, *within):
        alike = np.setdiff1d(np.arange(len(found.rows)), found.same)
        for what, chosen in (("copy", found.same), ("scene", alike)):
            if len(chosen):
                issues.append(_pair_issue(records, found, what, chosen))
    issues += [_label_issue(records, found) for found in labels if len(found.rows)]
    return issues + [_crowd(found) for found in (*across, *within) if not found.complete]


def _pair_issue(records: Records, found: Likeness, what: str, chosen: Rows) -> Issue:
    one, other = found.between
    kind, severity, remedy = (_WITHIN if one == other else _ACROSS)[what]
    where = f"within {one}" if one == other else f"across {one} and {other}"
    images = len(np.unique(found.rows[chosen, 1]))
    counted = f"{count(len(chosen), 'pair')} of nearly identical images, of different groups, {where};"
    affected = "" if one == other else f" ({count(images, f'image of {other} is', f'images of {other} are')} affected)"
    examples = [_example(records, found, int(pair)) for pair in chosen[:EXAMPLES]]
    return Issue(kind, severity, f"{counted} {_MEANING[what]}{affected}", len(chosen), remedy, examples)


def _label_issue(records: Records, found: Likeness) -> Issue:
    number = count(len(found.rows), "pair")
    text = f"{number} of nearly identical real and fake images, of different groups, in {found.between[0]}"
    remedy = "Usual where a fake was made from a recording that is in another group; one group should then hold both."
    examples = [_example(records, found, pair) for pair in range(min(EXAMPLES, len(found.rows)))]
    return Issue("near_two_labels", INFO, text, len(found.rows), remedy, examples)


def _crowd(found: Likeness) -> Issue:
    text = f"too many images of {' and '.join(dict.fromkeys(found.between))} are alike to compare all pairs"
    remedy = "Look for black, blurred or repeated images; the numbers of near pairs are lower bounds."
    return Issue("crowd", WARNING, text, len(found.rows), remedy)


def _example(records: Records, found: Likeness, pair: int) -> str:
    one, other = (records[int(row)].path for row in found.rows[pair])
    detail = f", detail {found.detail[pair]:.2f}" if pair < len(found.detail) else ""
    return f"{one} ~ {other} ({found.distances[pair]} bits{detail})"
