"""Makes a deepfake of an image by the equation of face swapping, O = t · (E − A) + g · A.

`t` is the target, `g` the generated face, `A` a blurred face mask and `E` all ones (Zi et al. 2020, sec. 4).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.canvas import Array
from addnet.data.synthetic.portraits import ImageArray, Landmarks

Mask = NDArray[np.float32]

_LATTICE = 20  # nodes per side at which the warp is computed; it is interpolated between them
_STIFFNESS = 1e-3  # keeps the warp smooth where landmarks nearly coincide, such as those of closed lips


def swap_face(
    target: ImageArray, target_landmarks: Landmarks, *, source: ImageArray, source_landmarks: Landmarks, resolution: int
) -> ImageArray:
    """Puts the source's face on the target.

    Args:
        target: (H, W, 3) uint8 RGB, the image whose face is replaced.
        target_landmarks: (68, 2) float32, landmarks of the target in pixels.
        source: (h, w, 3) uint8 RGB, the image from which the face is taken.
        source_landmarks: (68, 2) float32, landmarks of the source in pixels.
        resolution: Width in pixels at which the generator produces a face; finer detail is lost.

    Returns:
        (H, W, 3) uint8 RGB; equal to the target wherever `blend_mask` is 0.
    """
    mask = blend_mask(target_landmarks, target.shape[:2])
    face = warp_face(source, source_landmarks, target_landmarks, shape=target.shape[:2])
    face = limit_resolution(face, target_landmarks, resolution=resolution)
    face = match_colours(face, target, mask)
    alpha = mask[..., None]
    return np.asarray(np.rint(target * (1 - alpha) + face * alpha), np.uint8)


def blend_mask(landmarks: Landmarks, shape: tuple[int, ...]) -> Mask:
    """Blurred mask from brows to chin: (H, W) float32 in [0, 1], fading out at the hull of the landmarks."""
    sigma = 0.035 * _face_width(landmarks)
    hull = cv2.convexHull(np.rint(landmarks * 16).astype(np.int32))
    filled = np.zeros(shape, np.uint8)
    cv2.fillPoly(filled, [hull], 255, cv2.LINE_AA, 4)
    reach = 2 * round(2 * sigma) + 1
    inside = cv2.erode(filled, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), sigma), np.float32) / np.float32(255)


def warp_face(
    source: ImageArray, source_landmarks: Landmarks, target_landmarks: Landmarks, *, shape: tuple[int, ...]
) -> ImageArray:
    """Warps the source by a thin-plate spline so that its landmarks match the target's: (H, W, 3) for shape (H, W)."""
    height, width = shape
    x, y = np.meshgrid(np.linspace(0, width - 1, _LATTICE), np.linspace(0, height - 1, _LATTICE))
    nodes = np.stack([x.ravel(), y.ravel()], axis=1)
    moved = _spline(target_landmarks.astype(np.float64), source_landmarks.astype(np.float64), nodes)
    lattice = moved.reshape(_LATTICE, _LATTICE, 2).astype(np.float32)
    to_lattice = np.array([[(_LATTICE - 1) / (width - 1), 0, 0], [0, (_LATTICE - 1) / (height - 1), 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    dense = cv2.warpAffine(lattice, to_lattice, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    across, down = (np.ascontiguousarray(dense[..., axis]) for axis in (0, 1))
    return np.asarray(cv2.remap(source, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _spline(knots: Array, values: Array, places: Array) -> Array:
    """Thin-plate spline (Bookstein 1989) through knots (N, 2) with values (N, 2), evaluated at places (M, 2)."""
    scale = float(np.ptp(knots, axis=0).max())

    def rows(at: Array) -> tuple[Array, Array]:
        square = ((at[:, None] - knots) ** 2).sum(axis=-1) / scale**2
        return square * np.log(square + 1e-12), np.column_stack([np.ones(len(at)), at / scale])

    bend, plane = rows(knots)
    system = np.block([[bend + _STIFFNESS * np.eye(len(knots)), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    return np.asarray(np.hstack(rows(places)) @ weights)


def limit_resolution(face: ImageArray, landmarks: Landmarks, *, resolution: int) -> ImageArray:
    """Shrinks the image until its face is `resolution` pixels wide, and enlarges it again."""
    factor = min(1.0, resolution / _face_width(landmarks))
    height, width = face.shape[:2]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    shrunk = cv2.resize(face, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def match_colours(face: ImageArray, target: ImageArray, mask: Mask) -> ImageArray:
    """Matches mean and deviation of the face to the target's, in Lab under the mask (Reinhard et al. 2001)."""
    lab, wanted = (cv2.cvtColor(image, cv2.COLOR_RGB2LAB).astype(np.float32) for image in (face, target))
    (mean, spread), (goal, width) = (_moments(image, mask) for image in (lab, wanted))
    matched = (lab - mean) * (width / np.maximum(spread, 1e-6)) + goal
    return np.asarray(cv2.cvtColor(np.rint(matched).clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)


def _moments(image: Mask, mask: Mask) -> tuple[Mask, Mask]:
    """(3,) mean and (3,) deviation of an image's channels, weighted by the mask."""
    weights = (mask / max(float(mask.sum()), 1e-6))[..., None]
    mean = (weights * image).sum(axis=(0, 1))
    return mean, np.sqrt((weights * (image - mean) ** 2).sum(axis=(0, 1)))


def _face_width(landmarks: Landmarks) -> float:
    """Widest extent of the jaw, landmarks 0-16, in pixels."""
    return float(np.ptp(landmarks[:17], axis=0).max())
