"""Makes a deepfake of a picture by the equation of face swapping, O = t · (E − A) + g · A.

`t` is the target, `g` the generated face, `A` a blurred face mask and `E` all ones (Zi et al. 2020, section 4).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from addnet.data.synthetic.anatomy import Points

Picture = NDArray[np.uint8]

_COARSE = 24  # nodes per side on which the warp is computed; between them it is interpolated


def swap_face(
    target: Picture, target_points: Points, *, source: Picture, source_points: Points, resolution: int = 32
) -> Picture:
    """Puts the source's face on the target.

    Args:
        target: (H, W, 3) uint8 RGB, the picture whose face is replaced.
        target_points: (68, 2) its landmarks in pixels.
        source: (h, w, 3) uint8 RGB, the picture that gives the face.
        source_points: (68, 2) its landmarks in pixels.
        resolution: Width in pixels at which the generator knows a face; finer detail is lost.

    Returns:
        (H, W, 3) uint8 RGB; equal to the target wherever `blend_mask` is 0.
    """
    mask = blend_mask(target_points, target.shape[:2])
    face = warp_face(source, source_points, target_points, shape=target.shape[:2])
    face = limit_resolution(face, target_points, resolution=resolution)
    face = match_colours(face, target, mask)
    alpha = mask[..., None]
    return np.rint(target * (1 - alpha) + face * alpha).astype(np.uint8)


def blend_mask(points: Points, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Blurred mask of the face's inside: (H, W) float32 in [0, 1], 0 beyond the jaw and above the brows."""
    hull = cv2.convexHull(points.astype(np.float32)).astype(np.float64)
    sigma = 0.035 * float(np.ptp(points[:17], axis=0).max())
    filled = np.zeros(shape, np.uint8)
    cv2.fillPoly(filled, [np.rint(hull * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)
    reach = 2 * round(2 * sigma) + 1
    inside = cv2.erode(filled, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach)))
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), sigma), np.float32) / 255


def warp_face(source: Picture, source_points: Points, target_points: Points, *, shape: tuple[int, ...]) -> Picture:
    """Moves the source's landmarks onto the target's by a thin-plate spline: (H, W, 3) uint8 for shape (H, W)."""
    height, width = shape
    x, y = np.meshgrid(np.linspace(0, width - 1, _COARSE), np.linspace(0, height - 1, _COARSE))
    nodes = np.stack([x.ravel(), y.ravel()], axis=1)
    moved = _spline(target_points.astype(np.float64), source_points.astype(np.float64), nodes)
    lattice = moved.reshape(_COARSE, _COARSE, 2).astype(np.float32)
    step = np.float32((_COARSE - 1) / (width - 1)), np.float32((_COARSE - 1) / (height - 1))
    to_lattice = np.array([[step[0], 0, 0], [0, step[1], 0]], np.float32)
    dense = cv2.warpAffine(lattice, to_lattice, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    moved_face = cv2.remap(source, dense, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(moved_face, np.uint8)


def _spline(knots: NDArray[np.float64], values: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Thin-plate spline (Bookstein 1989) through (N, 2) knots with (N, 2) values, read at (M, 2) places.

    The small ridge keeps it smooth where knots nearly coincide, as those of closed lips do.
    """
    scale = float(np.ptp(knots, axis=0).max())

    def basis(at: NDArray[np.float64]) -> NDArray[np.float64]:
        square = ((at[:, None] - knots[None]) ** 2).sum(axis=-1) / scale**2
        return np.asarray(square * np.log(square + 1e-12))

    count = len(knots)
    plane = np.column_stack([np.ones(count), knots / scale])
    system = np.block([[basis(knots) + 1e-3 * np.eye(count), plane], [plane.T, np.zeros((3, 3))]])
    weights = np.linalg.solve(system, np.concatenate([values, np.zeros((3, 2))]))
    return np.asarray(basis(places) @ weights[:count] + np.column_stack([np.ones(len(places)), places / scale]) @ weights[count:])


def limit_resolution(face: Picture, points: Points, *, resolution: int) -> Picture:
    """Squeezes the picture until its face is `resolution` pixels wide, and enlarges it again."""
    factor = min(1.0, resolution / float(np.ptp(points[:17], axis=0).max()))
    height, width = face.shape[:2]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    squeezed = cv2.resize(face, small, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(squeezed, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)


def match_colours(face: Picture, target: Picture, mask: NDArray[np.float32]) -> Picture:
    """Gives the face the target's mean and deviation in Lab, both weighed by the mask (Reinhard et al. 2001)."""
    weights = mask.astype(np.float64)[..., None] / max(float(mask.sum()), 1e-6)
    lab, wanted = (cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float64) for picture in (face, target))
    moments = [(mean := (weights * p).sum((0, 1)), np.sqrt((weights * (p - mean) ** 2).sum((0, 1)))) for p in (lab, wanted)]
    (mean, spread), (goal, width) = moments
    matched = (lab - mean) * (width / np.maximum(spread, 1e-6)) + goal
    return np.asarray(cv2.cvtColor(np.rint(matched).clip(0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB), np.uint8)
