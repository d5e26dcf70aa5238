"""Boxes over sampled frames → tracks: which boxes belong to the same person, by boxes and colour histograms alone."""

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
    """Assigns every box to a track, frame by frame.

    A box continues the track whose last or predicted position is nearest; pairs are matched in order of distance. Both
    positions count, because people who cross paths keep moving, whereas people who talk sway back and forth. Nothing
    is assumed about the time between frames.

    Attributes:
        max_move: How far a face may be from the nearer position, over the mean side of both boxes. A face that jumps
            farther is a different one.
        max_growth: Largest factor by which the side of a box may grow or shrink.
        max_missed: For how many frames in a row a face may be missed before its track ends.
    """

    max_move: float = 1.0
    max_growth: float = 2.0
    max_missed: int = 2
    _open: list[_Track] = field(default_factory=list, init=False, repr=False)
    _begun: int = field(default=0, init=False, repr=False)

    def update(self, boxes: Sequence[Box], *, cut: bool = False) -> list[int]:
        """Assigns the boxes of the next frame to tracks.

        Args:
            boxes: (4,) each.
            cut: The frame belongs to a different scene than the one before: all tracks end.

        Returns:
            The track number of each box; tracks are numbered from 0 in order of appearance.
        """
        if cut:
            self._open = []
        matched = self._matched(boxes)
        seen = [matched.get(index) or self._begin(box) for index, box in enumerate(boxes)]
        for track in self._open:
            track.missed += 1
        for track, box in zip(seen, boxes, strict=True):
            if track.missed:  # the track began before this frame
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
        # distances from the last and from the predicted position
        distances = [float(np.linalg.norm(way - move)) for move in (0, track.move * (track.missed + 1))]
        move = min(distances) / (sum(sides) / 2)
        if move > self.max_move or growth > self.max_growth:
            return None
        return move + float(np.log(growth))


def link(frames: Sequence[Sequence[Box]]) -> list[list[int]]:
    """Track numbers of the boxes of several frames, by a `Tracker` with default settings.

    Example:
        >>> left, right = np.array([0, 0, 40, 40]), np.array([100, 0, 140, 40])
        >>> link([[left], [right, left + 5], [right]])
        [[0], [1, 0], [1]]
    """
    tracker = Tracker()
    return [tracker.update(boxes) for boxes in frames]


def largest(boxes: Sequence[Box]) -> int:
    """Index of the largest box, the first if there are several; needs at least one box."""
    return max(range(len(boxes)), key=lambda index: _side(boxes[index]))


def longest_track(frames: Sequence[Sequence[Box]], tracks: Sequence[Sequence[int]]) -> int | None:
    """Number of the track that appears in the most frames; ties are broken by total area, then by order.

    Args:
        frames: The boxes of each frame.
        tracks: Their track numbers, as `link` returns them.

    Returns:
        The track number; None if there are no boxes.
    """
    totals: dict[int, tuple[int, float]] = {}
    for boxes, numbers in zip(frames, tracks, strict=True):
        for box, number in zip(boxes, numbers, strict=True):
            length, area = totals.get(number, (0, 0.0))
            totals[number] = (length + 1, area + _side(box) ** 2)
    return max(sorted(totals), key=totals.__getitem__, default=None)


def is_cut(before: ImageArray, after: ImageArray, *, threshold: float = 0.4) -> bool:
    """Whether the colours of two images differ so much that the scene must have changed between them.

    Args:
        before: (H, W, 3) uint8.
        after: (H, W, 3) uint8, of any size.
        threshold: Distance (Bhattacharyya, 0 to 1) of the colour histograms above which there is a cut. Moving heads
            in front of a static camera reach .08, a change of light by 16 of 255 levels .26, and nine in ten pairs of
            portraits more than .4.
    """
    first, second = (_colours(image) for image in (before, after))
    return bool(cv2.compareHist(first, second, cv2.HISTCMP_BHATTACHARYYA) > threshold)


def _colours(image: ImageArray) -> NDArray[np.float32]:
    """Histogram of 8×8×8 colours with overlapping bins, so that slight changes of brightness hardly change it."""
    small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA).astype(np.int16)
    lights = np.concatenate([small + shift for shift in (-12, -4, 4, 12)])
    lights = np.clip(lights, 0, 255).astype(np.uint8)
    return np.asarray(cv2.calcHist([lights], [0, 1, 2], None, [8] * 3, [0, 256] * 3), dtype=np.float32)


def _centre(box: Box) -> NDArray[np.float64]:
    return np.array([box[0] + box[2], box[1] + box[3]], dtype=np.float64) / 2


def _side(box: Box) -> float:
    return float(np.sqrt(max(box[2] - box[0], 1.0) * max(box[3] - box[1], 1.0)))
