"""How faces lie in the images that a detector learned from, so that faces elsewhere are cut out alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.crops import CropSettings
from addnet.faces.geometry import Landmarks

_ROOM = 1.1  # images a little tighter or wider than those of training are still taken as they are


@dataclass(frozen=True)
class Framing:
    """Where the face is in an image, measured in longer sides of the box around its 68 landmarks.

    Attributes:
        margin: Longer side of the image, in the middle (`CropSettings.margin` for crops that were made here).
        offset: How far the image's centre lies right of and below that of the box, in the middle.
        low: Below this margin lie 1 % of the images.
        high: Above this margin lie 1 % of the images.
    """

    margin: float = CropSettings.margin
    offset: tuple[float, float] = (0.0, 0.0)
    low: float = CropSettings.margin
    high: float = CropSettings.margin

    @classmethod
    def of(
        cls, landmarks: Sequence[Landmarks], shapes: Sequence[tuple[int, int]] | NDArray[np.int64]
    ) -> Framing | None:
        """Measures images.

        Args:
            landmarks: (68, 2) in pixels of each.
            shapes: (height, width) of each.

        Returns:
            None without images.
        """
        if not len(landmarks):
            return None
        centres, sides = zip(*(box_of(each) for each in landmarks), strict=True)
        side, sizes = np.asarray(sides), np.asarray(shapes, dtype=np.float64)
        margins = sizes.max(axis=1) / side
        offsets = ((sizes[:, ::-1] - 1) / 2 - np.asarray(centres)) / side[:, None]
        low, margin, high = np.quantile(margins, [0.01, 0.5, 0.99])
        across, down = np.median(offsets, axis=0)
        return cls(float(margin), (float(across), float(down)), float(low), float(high))

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Framing:
        """What `values` gave.

        Raises:
            UserError: Something is missing, or no number.
        """
        try:
            margin, low, high = (float(values[name]) for name in ("margin", "low", "high"))
            across, down = (float(value) for value in values["offset"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{values!r} says nothing about how faces lie in images; expected {cls()}") from error
        if not (0 < low <= margin <= high < 100 and abs(across) < 10 and abs(down) < 10):
            raise UserError(f"{values!r}: these margins and offsets are none of images with faces in them")
        return cls(margin, (across, down), low, high)

    def values(self) -> dict[str, Any]:
        """As plain values, to be kept in a checkpoint."""
        return asdict(self) | {"offset": list(self.offset)}

    def fits(self, landmarks: Landmarks, shape: tuple[int, ...]) -> bool:
        """Whether a face lies in an image as in those that were measured, so that the image needs no cutting.

        Args:
            landmarks: (68, 2) in pixels.
            shape: (H, W, ...) of the image.
        """
        _, side = box_of(landmarks)
        return self.low / _ROOM <= max(shape[:2]) / side <= self.high * _ROOM


@dataclass(frozen=True)
class FramedCrops(CropSettings):
    """Crops in which faces lie as in the images that were measured.

    Attributes:
        framing: Of those images.
    """

    framing: Framing = Framing()

    def square(self, shape: tuple[int, ...], landmarks: Landmarks) -> tuple[NDArray[np.float64], float]:
        """Centre (x, y) and side of the square around a face, in pixels of the image."""
        centre, side = box_of(landmarks)
        return centre + np.asarray(self.framing.offset) * side, side * self.framing.margin


def box_of(landmarks: Landmarks) -> tuple[NDArray[np.float64], float]:
    """Centre (x, y) and longer side, in pixels, of the upright box around (68, 2) landmarks."""
    low, high = landmarks.min(axis=0).astype(np.float64), landmarks.max(axis=0).astype(np.float64)
    return (low + high) / 2, float((high - low).max())
