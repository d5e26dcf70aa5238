"""Boxes over sampled frames → tracks: which boxes are the same person's. Pure functions on boxes and histograms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.faces.images import ImageArray

POLICIES = ("largest", "all", "longest_track")

Box = NDArray[np.float32]  # (left, top, right, bottom) in pixels of the shown frame


@dataclass
class _Track:
    number: int
    box: Box
    move: NDArray[np.float64]  # of the centre, per sampled frame
    missed: int = 0


@dataclass
class Tracker:
    """Gives every box the number of its track, frame after frame.

    A box continues the track whose last place, or the place where its movement leads, is nearest; pairs are made from
    the nearest on. Both places count, because people who cross keep moving, and people who talk sway to and
    fro. Nothing is assumed about the time between frames.

    Attributes:
        max_move: How far a face may be from either place, over the mean side of both boxes. A face that jumps
            farther is another one.
        max_growth: How many times a box may grow or shrink in side.
        max_missed: For how many frames in a row a face may be missed before its track ends.
    """

    max_move: float = 1.0
    max_growth: float = 2.0
    max_missed: int = 2
    _open: list[_Track] = field(default_factory=list, init=False, repr=False)
    _begun: int = field(default=0, init=False, repr=False)

    def update(self, boxes: Sequence[Box], *, cut: bool = False) -> list[int]:
        """Takes the boxes of the next frame.

        Args:
            boxes: (4,) each.
            cut: The frame is another scene than the one before: all tracks end.

        Returns:
            The track number of each box; numbers count from 0 in order of appearance.
        """
        if cut:
            self._open = []
        matched = self._matched(boxes)
        seen = [matched.get(index) or self._begin(box) for index, box in enumerate(boxes)]
        for track in self._open:
            track.missed += 1
        for track, box in zip(seen, boxes, strict=True):
            if track.missed:  # known before this frame
                track.move = (_centre(box) - _centre(track.box)) / track.missed
            track.box, track.missed = box, 0
        self._open = [track for track in self._open if track.missed <= self.max_missed]
        self._open += [track for track in seen if track not in self._open]
        return [track.number for track in seen]

    def _begin(self, box: Box) -> _Track:
        self._begun += 1
        return _Track(self._begun - 1, box, np.zeros(2))

    def _matched(self, boxes: Sequence[Box]) -> dict[int, _Track]:
        pairs = [
            (cost, place, index)
            for place, track in enumerate(self._open)
            for index, box in enumerate(boxes)
            if (cost := self._cost(track, box)) is not None
        ]
        matched: dict[int, _Track] = {}
        taken: set[int] = set()
        for _, place, index in sorted(pairs):
            if place not in taken and index not in matched:
                matched[index] = self._open[place]
                taken.add(place)
        return matched

    def _cost(self, track: _Track, box: Box) -> float | None:
        sides = _side(track.box), _side(box)
        growth = max(sides) / min(sides)
        way = _centre(box) - _centre(track.box)
        distances = [float(np.linalg.norm(way - move)) for move in (0, track.move * (track.missed + 1))]
        move = min(distances) / (sum(sides) / 2)
        if move > self.max_move or growth > self.max_growth:
            return None
        return move + float(np.log(growth))


def link(frames: Sequence[Sequence[Box]]) -> list[list[int]]:
    """Track numbers of the boxes of several frames, by a `Tracker` as it comes.

    Example:
        >>> left, right = np.array([0, 0, 40, 40]), np.array([100, 0, 140, 40])
        >>> link([[left], [right, left + 5], [right]])
        [[0], [1, 0], [1]]
    """
    tracker = Tracker()
    return [tracker.update(boxes) for boxes in frames]


def largest(boxes: Sequence[Box]) -> int:
    """Index of the largest of at least one box; of equals the first."""
    return max(range(len(boxes)), key=lambda index: _side(boxes[index]))


def longest_track(frames: Sequence[Sequence[Box]], tracks: Sequence[Sequence[int]]) -> int | None:
    """Number of the track that is there in most frames; of equals that with most area, then the first.

    Args:
        frames: The boxes of each frame.
        tracks: Their track numbers, as `link` gives them.

    Returns:
        None if there is no box at all.
    """
    totals: dict[int, tuple[int, float]] = {}
    for boxes, numbers in zip(frames, tracks, strict=True):
        for box, number in zip(boxes, numbers, strict=True):
            length, area = totals.get(number, (0, 0.0))
            totals[number] = (length + 1, area + _side(box) ** 2)
    return max(sorted(totals), key=totals.__getitem__, default=None)


def is_cut(before: ImageArray, after: ImageArray, *, threshold: float = 0.4) -> bool:
    """Whether two images differ so much in their colours that the scene must have changed between them.

    Args:
        before: (H, W, 3) uint8.
        after: (H, W, 3) uint8, of any size.
        threshold: Distance (Bhattacharyya, 0 to 1) of the colour histograms above which it is a cut. Heads
            that move before a resting camera give up to .08, light that changes by 16 of 255 steps .26, and nine in
            ten pairs of portraits more than .4.
    """
    first, second = (_colours(image) for image in (before, after))
    return bool(cv2.compareHist(first, second, cv2.HISTCMP_BHATTACHARYYA) > threshold)


def _colours(image: ImageArray) -> NDArray[np.float32]:
    """Histogram of 8×8×8 colours whose bins overlap: a wall that gets a little lighter is still the same wall."""
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.int16)
    lights = np.concatenate([small + shift for shift in (-12, -4, 4, 12)])
    lights = np.clip(lights, 0, 255).astype(np.uint8)
    return np.asarray(cv2.calcHist([lights], [0, 1, 2], None, [8] * 3, [0, 256] * 3), dtype=np.float32)


def _centre(box: Box) -> NDArray[np.float64]:
    return np.array([box[0] + box[2], box[1] + box[3]], dtype=np.float64) / 2


def _side(box: Box) -> float:
    return float(np.sqrt(max(box[2] - box[0], 1.0) * max(box[3] - box[1], 1.0)))
