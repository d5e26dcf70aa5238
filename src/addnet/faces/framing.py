"""How faces are framed in a detector's training images, so that other faces are cropped the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError
from addnet.faces.crops import CropSettings
from addnet.faces.geometry import Landmarks

_ROOM = 1.1  # images up to this factor tighter or wider than the training images are used without cropping


@dataclass(frozen=True)
class Framing:
    """Where faces lie in images, in units of the longer side of the box around the 68 landmarks.

    Attributes:
        margin: Median of the image's longer side (`CropSettings.margin` for crops made by this program).
        offset: Median offset of the image's centre to the right of and below the box's centre.
        low: 1 % of the images have a smaller margin.
        high: 1 % of the images have a larger margin.
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
            landmarks: (68, 2) in pixels, for each image.
            shapes: (height, width) of each image.

        Returns:
            The framing; None if there are no images.
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
        """Restores a framing from the plain values that `values` returns.

        Raises:
            UserError: A value is missing, is not a number or is out of range.
        """
        try:
            margin, low, high = (float(values[name]) for name in ("margin", "low", "high"))
            across, down = (float(value) for value in values["offset"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"{values!r} does not describe how faces are framed; expected {cls()}") from error
        if not (0 < low <= margin <= high < 100 and abs(across) < 10 and abs(down) < 10):
            raise UserError(f"{values!r}: these margins and offsets are impossible for images of faces")
        return cls(margin, (across, down), low, high)

    def values(self) -> dict[str, Any]:
        """Returns plain values, to be stored in a checkpoint."""
        return asdict(self) | {"offset": list(self.offset)}

    def fits(self, landmarks: Landmarks, shape: tuple[int, ...]) -> bool:
        """Whether a face is framed as in the measured images, so that the image needs no cropping.

        Args:
            landmarks: (68, 2) in pixels.
            shape: (H, W, ...) of the image.
        """
        _, side = box_of(landmarks)
        return self.low / _ROOM <= max(shape[:2]) / side <= self.high * _ROOM


@dataclass(frozen=True)
class FramedCrops(CropSettings):
    """Settings of crops in which faces are framed as in the measured images.

    Attributes:
        framing: The framing of those images.
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
