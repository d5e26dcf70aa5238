"""Landmarks → one 2×3 matrix that levels, crops, augments and resizes, for images and landmarks alike.

The 68 landmarks are numbered as in dlib: 0–16 jaw, 17–26 brows, 27–35 nose, 36–41 the eye on the left of the image,
42–47 the eye on its right, 48–67 mouth.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.errors import UserError, require_choice
from addnet.faces.images import ImageArray

LEFT_EYE, RIGHT_EYE = slice(36, 42), slice(42, 48)
EYES, NOSE, MOUTH = slice(36, 48), slice(27, 36), slice(48, 68)
CROPS = ("image", "face", "template")
# where the centres of the eyes, the tip of the nose and the corners of the mouth lie in a square of side 1: the five
# landmarks of ArcFace (Deng et al. 2019), to hundredths
TEMPLATE = np.array([(0.34, 0.46), (0.66, 0.46), (0.5, 0.64), (0.37, 0.82), (0.63, 0.82)])
_NOSE_TIP, _MOUTH_CORNERS = 30, (48, 54)
SIDES = (32, 1024)  # pixels a side that a network may be trained for; beyond, each image takes over half a GB of memory

# (68,) indices that reorder the landmarks of a mirrored face, so that "the eye on the left" stays on the left.
MIRRORED = np.array(
    [
        *range(16, -1, -1),
        *range(26, 16, -1),
        *range(27, 31),
        *range(35, 30, -1),
        *(45, 44, 43, 42, 47, 46, 39, 38, 37, 36, 41, 40),
        *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65),
    ]
)

Landmarks = NDArray[np.float32]
Matrix = NDArray[np.float64]


def require_side(size: int) -> int:
    """Returns `data.image_size` if a network can be trained at this size.

    Raises:
        UserError: It is too small or too large.
    """
    if not SIDES[0] <= size <= SIDES[1]:
        raise UserError(f"data.image_size={size} is out of range; use {SIDES[0]} to {SIDES[1]:,} pixels")
    return size


@dataclass(frozen=True)
class Jitter:
    """A change on top of the plain crop, drawn by augmentation; the defaults change nothing.

    Attributes:
        angle: Rotation in degrees, counter-clockwise as seen.
        scale: Factor on the size of the content.
        shift: Movement to the right and down, in sides of the output.
        flip: Mirrors left and right.
    """

    angle: float = 0.0
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    flip: bool = False


@dataclass(frozen=True)
class Geometry:
    """Which part of an image the network sees, and how it is rotated.

    Attributes:
        size: Side of the square output in pixels.
        align: Rotates so that the line between the eyes is level (if there are landmarks).
        crop: `image` keeps the whole image (for face crops), `face` crops a square around the landmarks, `template` a
            square that brings eyes, nose and mouth to the positions of `TEMPLATE`, as GenD and DeepfakeBench do.
        margin: Side of the square over the longer side of the landmarks' box (`face`), or over that of the template.
    """

    size: int = 299
    align: bool = True
    crop: str = "image"
    margin: float = 1.3

    def __post_init__(self) -> None:
        require_choice("crop", self.crop, CROPS)
        if self.size < 32:
            raise UserError(f"size={self.size} is too small for the network; at least 32 pixels are needed")
        if self.margin <= 0:
            raise UserError(f"margin={self.margin} must be positive; 1.3 is usual")

    def matrix(self, shape: tuple[int, ...], landmarks: Landmarks | None, jitter: Jitter | None = None) -> Matrix:
        """The matrix from image pixels to output pixels (both at pixel centres).

        Args:
            shape: (H, W, ...) of the image.
            landmarks: (68, 2) in image pixels, or None if no face was found: the whole image, unrotated.
            jitter: Additional augmentation.

        Returns:
            (2, 3) float64.
        """
        jitter = jitter or Jitter()
        roll = self._roll(landmarks) if self.align and landmarks is not None else 0.0
        centre, side = self.square(shape, landmarks, roll)
        scale = self.size / side * jitter.scale
        angle = math.radians(roll - jitter.angle)
        cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
        mirror = -1 if jitter.flip else 1
        matrix = np.array([[mirror * cos, mirror * sin, 0.0], [-sin, cos, 0.0]])
        middle = (self.size - 1) / 2 + np.array(jitter.shift) * self.size
        matrix[:, 2] = middle - matrix[:, :2] @ centre
        return matrix

    def square(
        self, shape: tuple[int, ...], landmarks: Landmarks | None, roll: float = 0.0
    ) -> tuple[NDArray[np.float64], float]:
        """Centre (x, y) and side, in image pixels, of the square that becomes the output.

        Args:
            shape: (H, W, ...) of the image.
            landmarks: (68, 2) in image pixels, or None for the whole image.
            roll: Rotation of the square in degrees, as returned by `roll_degrees`.
        """
        height, width = shape[:2]
        if self.crop == "image" or landmarks is None:
            return np.array([(width - 1) / 2, (height - 1) / 2]), float(max(width, height))
        if self.crop == "template":
            placed = template_in(landmarks)
            return placed.centre, placed.side * self.margin
        turn = _rotation(-roll)
        level = landmarks @ turn.T
        low, high = level.min(axis=0), level.max(axis=0)
        centre = ((low + high) / 2) @ turn
        return centre.astype(np.float64), float((high - low).max()) * self.margin

    def _roll(self, landmarks: Landmarks) -> float:
        return template_in(landmarks).roll if self.crop == "template" else roll_degrees(landmarks)


class SquarePlace(NamedTuple):
    """Position, size and rotation of a square in an image.

    Attributes:
        centre: (x, y) in pixels.
        side: In pixels.
        roll: Rotation in degrees, as returned by `roll_degrees`.
    """

    centre: NDArray[np.float64]
    side: float
    roll: float


def template_in(landmarks: Landmarks) -> SquarePlace:
    """Finds the square of `TEMPLATE` by the similarity transform that best fits five landmarks (least squares).

    Args:
        landmarks: (68, 2) in image pixels.
    """
    eyes = landmarks[LEFT_EYE].mean(axis=0), landmarks[RIGHT_EYE].mean(axis=0)
    five = np.stack([*eyes, landmarks[_NOSE_TIP], *landmarks[list(_MOUTH_CORNERS)]]).astype(np.float64)
    # (5,) points as complex numbers, so that one complex factor rotates and scales
    found, wanted = five @ (1, 1j), TEMPLATE @ (1, 1j)
    offset = found - found.mean()
    factor = np.vdot(offset, wanted - wanted.mean()) / max(float(np.vdot(offset, offset).real), 1e-12)
    side = 1 / max(abs(factor), 1e-12)
    centre = found.mean() + (0.5 + 0.5j - wanted.mean()) * np.exp(-1j * np.angle(factor)) * side
    return SquarePlace(np.array([centre.real, centre.imag]), float(side), -math.degrees(float(np.angle(factor))))


def _rotation(degrees: float) -> NDArray[np.float64]:
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def roll_degrees(landmarks: Landmarks) -> float:
    """Angle of the line between the eyes in degrees; positive if the eye on the right is lower."""
    across = landmarks[RIGHT_EYE].mean(axis=0) - landmarks[LEFT_EYE].mean(axis=0)
    return math.degrees(math.atan2(across[1], across[0]))


def warp_image(image: ImageArray, matrix: Matrix, size: int, *, out: ImageArray | None = None) -> ImageArray:
    """Warps an image once; parts outside the image are filled by reflection.

    An image that shrinks to less than two thirds is downsampled by averaging first: sampling it directly would alias
    high frequencies, the very traces that the detector looks for.

    Args:
        image: (H, W, 3) uint8.
        matrix: (2, 3) from `Geometry.matrix`.
        size: Side S of the output.
        out: (S, S, 3) uint8 that receives the result.

    Returns:
        (S, S, 3) uint8.
    """
    scale = math.sqrt(abs(_area(matrix)))
    if scale < 2 / 3:
        height, width = image.shape[:2]
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        factor = np.array([width / small[0], height / small[1]])
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        # pixel centres: x_large = factor · (x_small + ½) − ½
        offset = matrix[:, :2] @ ((factor - 1) / 2) + matrix[:, 2]
        matrix = np.column_stack([matrix[:, :2] * factor, offset])
    image, matrix, border = _seen(image, matrix, size)
    four = cv2.cvtColor(image, cv2.COLOR_RGB2RGBA)  # OpenCV warps four channels a third faster than three
    warped = cv2.warpAffine(four, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=border)
    return np.asarray(cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB, dst=out), dtype=np.uint8)


def _seen(image: ImageArray, matrix: Matrix, size: int) -> tuple[ImageArray, Matrix, int]:
    """The visible part of an image, extended by reflection, with the matrix and the border mode for that part.

    OpenCV warps faster with a constant border, which is then never visible.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = _extent(matrix, size)
    above, below, before, behind = (max(0, pad) for pad in (-top, bottom - height, -left, right - width))
    if max(above, below, before, behind) > 2 * size:  # far outside: most of the output is filled in
        return image, matrix, cv2.BORDER_REFLECT_101
    if above or below or before or behind:  # otherwise a large image would be copied for a small part of it
        bordered = cv2.copyMakeBorder(image, above, below, before, behind, cv2.BORDER_REFLECT_101)
        image = np.asarray(bordered, dtype=np.uint8)
    top, left = max(0, top), max(0, left)
    part = image[top : bottom + above, left : right + before]
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ (left - before, top - above)
    return part, moved, cv2.BORDER_CONSTANT


def _extent(matrix: Matrix, size: int) -> tuple[int, int, int, int]:
    """The box of the image that the output shows, in whole pixels: left, top, right, bottom (last two exclusive)."""
    last = size - 1
    ends = []
    for across, down, start in cv2.invertAffineTransform(matrix).tolist():  # plain numbers: faster, once per sample
        ends.append((start + last * (min(across, 0) + min(down, 0)), start + last * (max(across, 0) + max(down, 0))))
    (left, right), (top, bottom) = ends
    return math.floor(left) - 1, math.floor(top) - 1, math.ceil(right) + 2, math.ceil(bottom) + 2


def _area(matrix: Matrix) -> float:
    """The area that one pixel is mapped to, negative if the image is mirrored: the determinant."""
    (a, b, _), (c, d, _) = matrix.tolist()
    return float(a * d - b * c)


def map_landmarks(landmarks: Landmarks, matrix: Matrix) -> Landmarks:
    """Maps (68, 2) landmarks by the matrix of their image; they are renumbered if it mirrors the image."""
    mapped = landmarks @ matrix[:, :2].T + matrix[:, 2]
    if _area(matrix) < 0:
        mapped = mapped[MIRRORED]
    return mapped.astype(np.float32)


def spread(findings: Sequence[Landmarks]) -> float:
    """Largest mean distance of the first of several sets of landmarks to the others, over the distance of the eyes."""
    first = findings[0]
    between = float(np.linalg.norm(first[LEFT_EYE].mean(axis=0) - first[RIGHT_EYE].mean(axis=0)))
    farthest = max(float(np.linalg.norm(first - other, axis=1).mean()) for other in findings[1:])
    return farthest / max(between, 1.0)


def plausible(landmarks: Landmarks, shape: tuple[int, ...]) -> bool:
    """Whether 68 landmarks look like an upright face that fills a crop, by the order and proportions of its parts.

    Args:
        landmarks: (68, 2) in pixels.
        shape: (H, W, ...) of the image.
    """
    height, width = shape[:2]
    level = landmarks @ _rotation(-roll_degrees(landmarks)).T
    left, right = level[LEFT_EYE].mean(axis=0), level[RIGHT_EYE].mean(axis=0)
    nose, mouth = level[30], level[MOUTH].mean(axis=0)
    between = float(right[0] - left[0])
    eyes_y = float((left[1] + right[1]) / 2)
    inside = ((landmarks >= 0) & (landmarks < [width, height])).all(axis=1).mean()
    return bool(
        abs(roll_degrees(landmarks)) < 60
        and 0.12 * width < between < 0.8 * width
        and eyes_y < nose[1] < mouth[1]
        and 0.5 * between < mouth[1] - eyes_y < 3 * between
        and inside > 0.6
    )
