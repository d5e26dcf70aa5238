"""68 landmarks → the attention mask of ADDNet (Zi et al. 2020, figure 4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError, require_choice
from addnet.faces.geometry import (
    EYES,
    LEFT_EYE,
    MOUTH,
    NOSE,
    RIGHT_EYE,
    Geometry,
    Landmarks,
)
from addnet.faces.images import ImageArray
from addnet.faces.landmarks import Landmarker
from addnet.faces.views import view

PARTS = ("face", "organs")
EYE_HULLS = {"joint": (EYES,), "separate": (LEFT_EYE, RIGHT_EYE)}
_SUBPIXEL_BITS = 4
_SMALL_SIGMA = 3  # pixels: smallest sigma that a wide blur may have on the reduced canvas
_REACH = 32  # sides: landmarks farther outside are clipped; OpenCV would fill their hulls line by line, for seconds
_UNIT = 100  # grey levels that stand for 1: hulls are filled in 8 bits

Mask = NDArray[np.float32]


class Attention(NamedTuple):
    """What `AttentionMask()(image)` returns.

    Attributes:
        image: (S, S, 3) uint8, with the eyes level.
        mask: (S, S) float32 in [0, 1], of the levelled image.
        landmarks: (68, 2) float32 in pixels of the levelled image, or None if no face was found (the mask is then all
            ones).
    """

    image: ImageArray
    mask: Mask
    landmarks: Landmarks | None


@dataclass(frozen=True)
class AttentionMask:
    """Draws the mask that directs the network to where face swaps leave traces.

    Face mask: hull of all landmarks. Organ mask: hulls of eyes, nose and mouth. Each is filled with 1 and blurred;
    their sum, divided by its maximum, is the mask: about 0.5 on the cheeks and 1 on the organs.

    Attributes:
        parts: Which of `face` and `organs` are drawn; an empty list gives a mask of ones.
        eyes: `joint`, one hull around both eyes, or `separate`, one hull for each (as in the authors' figure).
        face_blur: Sigma of the face mask's blur over the image's side (the authors' thumbnails show 3.3 %).
        organ_blur: Sigma of the organ mask's blur over the image's side.

    Example:
        >>> from addnet.faces import AttentionMask
        >>> AttentionMask(parts=()).draw(None, 4).min()
        np.float32(1.0)
    """

    parts: Sequence[str] = PARTS
    eyes: str = "joint"
    face_blur: float = 0.033
    organ_blur: float = 0.033

    def __post_init__(self) -> None:
        unknown = [part for part in self.parts if part not in PARTS]
        if isinstance(self.parts, str) or unknown:
            raise UserError(f"parts={self.parts!r} is not valid; use a list of {', '.join(PARTS)}, or an empty one")
        require_choice("eyes", self.eyes, EYE_HULLS)
        for name in ("face_blur", "organ_blur"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise UserError(f"{name}={getattr(self, name)} must lie in [0, 0.5] (a fraction of the side)")
        object.__setattr__(self, "parts", tuple(self.parts))  # a list from YAML would not hash

    def settings(self) -> dict[str, Any]:
        """Returns the arguments as plain values, to be stored in a checkpoint."""
        return asdict(self) | {"parts": list(self.parts)}

    def __call__(self, image: ImageArray) -> Attention:
        """Finds the face in an image, levels its eyes and draws its mask; the longer side keeps its length.

        Args:
            image: (H, W, 3) uint8, RGB.
        """
        found = self._landmarker(image).landmarks
        size = max(image.shape[:2])
        level, landmarks = view(image, found, Geometry(size=size))
        return Attention(level, self.draw(landmarks, size), landmarks)

    @cached_property
    def _landmarker(self) -> Landmarker:
        return Landmarker(face_crops=False)  # nothing is known about the image

    def draw(self, landmarks: Landmarks | None, size: int) -> Mask:
        """Draws the mask of landmarks that are already level.

        Args:
            landmarks: (68, 2) in pixels of the output; they may lie outside. None: no face, a mask of ones, since
                a mask of zeros would suppress all features.
            size: Side S of the output.

        Returns:
            (S, S) float32 in [0, 1].
        """
        mask = _enlarged(self.draw_small(landmarks, size), size)
        return np.asarray(mask / mask.max(), dtype=np.float32)

    def draw_small(self, landmarks: Landmarks | None, size: int) -> Mask:
        """Draws the mask without enlarging it or dividing it by its maximum, which the device does for a whole batch.

        Args:
            landmarks: (68, 2) in pixels of the output; they may lie outside. None: no face, a mask of ones.
            size: Side S of the enlarged mask, not of this one.

        Returns:
            (s, s) float32, not negative, positive somewhere; `s = side(size)`.
        """
        side = self.side(size)
        if landmarks is None or not self.parts:
            return np.ones((side, side), dtype=np.float32)
        if self.parts == PARTS and self.face_blur == self.organ_blur:
            # blurring is linear, so once is enough; and the organs lie within the hull of all landmarks
            mask = _blurred(_filled([landmarks], size, over=self._organ_hulls(landmarks)), self.face_blur, side)
        else:
            mask = np.sum([self._layer(part, landmarks, size, side) for part in self.parts], axis=0, dtype=np.float32)
        if mask.max() <= 0:  # all landmarks lie outside the image: attend to everything
            return np.ones((side, side), dtype=np.float32)
        return mask

    def side(self, size: int) -> int:
        """Side of the canvas on which a mask of this size is blurred: as small as its narrowest blur allows."""
        return _small_side(size, min((self._blur(part) for part in self.parts), default=0.5))

    def face(self, landmarks: Landmarks, size: int) -> Mask:
        """Draws the hull of all 68 landmarks, blurred: (S, S) float32 in [0, 1]."""
        return _enlarged(self._layer("face", landmarks, size, _small_side(size, self.face_blur)), size)

    def organs(self, landmarks: Landmarks, size: int) -> Mask:
        """Draws the hulls of eyes, nose and mouth, blurred: (S, S) float32 in [0, 1]."""
        return _enlarged(self._layer("organs", landmarks, size, _small_side(size, self.organ_blur)), size)

    def _layer(self, part: str, landmarks: Landmarks, size: int, side: int) -> Mask:
        hulls = [landmarks] if part == "face" else self._organ_hulls(landmarks)
        return _blurred(_filled(hulls, size), self._blur(part), side)

    def _blur(self, part: str) -> float:
        return self.face_blur if part == "face" else self.organ_blur

    def _organ_hulls(self, landmarks: Landmarks) -> list[Landmarks]:
        return [landmarks[organ] for organ in (*EYE_HULLS[self.eyes], NOSE, MOUTH)]


def _filled(groups: Sequence[Landmarks], size: int, *, over: Sequence[Landmarks] = ()) -> NDArray[np.uint8]:
    """Fills hulls with 1, and others over them with 2, to a sixteenth of a pixel; clips parts outside.

    Returns:
        (size, size), in units of 1 / `_UNIT`.
    """
    canvas = np.zeros((size, size), dtype=np.uint8)
    for value, hulls in ((1, groups), (2, over)):
        for landmarks in hulls:
            near = landmarks.clip(-_REACH * size, _REACH * size)
            hull = cv2.convexHull(np.rint(near * 2**_SUBPIXEL_BITS).astype(np.int32))
            cv2.fillConvexPoly(canvas, hull, value * _UNIT, lineType=cv2.LINE_8, shift=_SUBPIXEL_BITS)
    return canvas


def _blurred(canvas: NDArray[np.uint8], blur: float, side: int) -> Mask:
    """Shrinks a canvas and blurs it, so that enlarging it gives a Gaussian blur at full size.

    Averaging and enlarging blur too, each by a known variance; the Gaussian adds the remaining variance. The result
    differs by up to 0.4 % of the maximum from a Gaussian at full size, mostly at edges of hulls; truncating the kernel
    at three sigmas accounts for 0.15 %.

    Args:
        canvas: (S, S) from `_filled`.
        blur: Sigma over S.
        side: Side of the result.
    """
    size = len(canvas)
    factor = size / side
    around = 2 * (round(factor) // 2) + 1  # odd, since an even width would shift the canvas by half a pixel
    if side < size:  # a box filter with subsampling is several times faster than INTER_AREA
        averaged = cv2.blur(canvas, (around, around), borderType=cv2.BORDER_REFLECT)
        canvas = np.asarray(cv2.resize(averaged, (side, side), interpolation=cv2.INTER_LINEAR), dtype=np.uint8)
    values: Mask = np.divide(canvas, _UNIT, dtype=np.float32)
    averaging, enlarging = (around**2 - 1) / 12, (factor**2 - 1) / 6
    sigma = float(np.sqrt((blur * size) ** 2 - averaging - enlarging)) / factor
    if sigma <= 0:
        return values
    width = 2 * int(np.ceil(3 * sigma)) + 1
    # reflected at the outer edge, which lies at the same position on every canvas
    blurred = cv2.GaussianBlur(values, (width, width), sigma, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, dtype=np.float32)


def _enlarged(mask: Mask, size: int) -> Mask:
    if len(mask) == size:
        return mask
    return np.asarray(cv2.resize(mask, (size, size), interpolation=cv2.INTER_LINEAR), dtype=np.float32)


def _small_side(size: int, blur: float) -> int:
    return -(-size // max(1, int(blur * size / _SMALL_SIGMA)))
