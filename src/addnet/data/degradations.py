"""What pictures go through on their way, at fixed strengths: the ladder that a detector's robustness is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from addnet.data.augment import Photometric
from addnet.data.hook import At, Unwarped
from addnet.errors import UserError, require_choice
from addnet.faces.geometry import Points
from addnet.faces.occlusion import ORGANS, occlude
from addnet.faces.pictures import Picture

# configs/robustness/ladder.yaml shows the same levels
LADDER: Mapping[str, tuple[float, ...]] = {
    "jpeg": (100, 75, 50, 25, 10),
    "blur": (0.25, 0.5, 1.0, 1.5, 2.0),
    "resize": (0.75, 0.5, 0.35, 0.25, 0.15),
    "noise": (2, 5, 10, 20, 40),
    "brightness": (0.5, 0.75, 1.25, 1.5, 2.0),
    "contrast": (0.25, 0.5, 0.75, 1.5, 2.0),
    **dict.fromkeys(ORGANS, (0.5, 0.75, 1.0, 1.25, 1.5)),
}
UNITS: Mapping[str, str] = {
    "jpeg": "quality",
    "blur": "sigma, % of the longer side",
    "resize": "factor, then back",
    "noise": "standard deviation, grey levels",
    "brightness": "factor",
    "contrast": "factor",
    **{organ: f"cover over the size of the {organ}" for organ in ORGANS},
}
_RANGES: Mapping[str, tuple[float, float]] = {
    "jpeg": (1, 100),
    "blur": (0, 20),
    "resize": (0.01, 1),
    "noise": (0, 255),
    "brightness": (0, 10),
    "contrast": (0, 10),
    **dict.fromkeys(ORGANS, (0, 4)),
}


@dataclass(frozen=True)
class Degradation:
    """A hook: one kind of damage at one strength, done to a picture as it lies on disk.

    Attributes:
        kind: A key of `LADDER`.
        level: How strong, in the unit that `UNITS` names.
    """

    kind: str
    level: float

    def __post_init__(self) -> None:
        low, high = _RANGES[require_choice("robustness", self.kind, LADDER)]
        if not low <= self.level <= high:
            unit = UNITS[self.kind]
            raise UserError(f"robustness.{self.kind}={self.level} must lie in [{low:g}, {high:g}] ({unit})")

    def __call__(self, sample: Unwarped, at: At) -> Unwarped:
        """The damaged sample; without points no organ is covered."""
        return sample._replace(picture=self.damaged(sample.picture, sample.points, seed=at.key[2]))

    def damaged(self, picture: Picture, points: Points | None, *, seed: int) -> Picture:
        """The damaged picture.

        Args:
            picture: (H, W, 3) uint8.
            points: (68, 2) in its pixels; without them no organ is covered.
            seed: Of the noise.

        Returns:
            (H, W, 3) uint8.
        """
        if self.kind in ORGANS:
            return picture if points is None else occlude(picture, points, self.kind, scale=self.level)
        if self.kind == "resize":
            return _there_and_back(picture, self.level)
        return self._photometric(max(picture.shape[:2]), seed)(picture)

    def _photometric(self, side: int, seed: int) -> Photometric:
        if self.kind == "jpeg":
            return Photometric(jpeg=round(self.level))
        if self.kind == "blur":
            return Photometric(blur=max(self.level / 100 * side, 0.01))
        if self.kind == "noise":
            return Photometric(noise=self.level, noise_seed=seed)
        return Photometric(brightness=self.level) if self.kind == "brightness" else Photometric(contrast=self.level)


def rungs(kinds: Mapping[str, Sequence[float]]) -> Iterator[Degradation]:
    """Every degradation of some kinds and their levels, in order.

    Raises:
        UserError: A kind is unknown or a level out of range.
    """
    for kind, levels in kinds.items():
        for level in levels:
            yield Degradation(kind, float(level))


def _there_and_back(picture: Picture, factor: float) -> Picture:
    height, width = picture.shape[:2]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = cv2.resize(picture, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
