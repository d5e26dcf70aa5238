"""A canvas for painting soft-edged shapes, given in face units, on a float RGB image."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

_SHIFT = 4  # fractional bits of OpenCV's drawing coordinates: a precision of 1/16 pixel


class Canvas:
    """Paints shapes on an image; widths and blurs are in face units too, so that images of any size look alike.

    Args:
        pixels: (H, W, 3) float32 RGB in [0, 1], painted in place.
        to_pixels: (2, 3) matrix from face units to pixels.
    """

    def __init__(self, pixels: NDArray[np.float32], to_pixels: Array) -> None:
        self.pixels = pixels
        self.to_pixels = to_pixels
        self.unit = float(np.hypot(*to_pixels[:, 0]))

    def fill(
        self,
        shape: Array,
        colour: ArrayLike,
        *,
        opacity: float = 1.0,
        blur: float = 0.0,
        clip: Array | None = None,
        tint: bool = False,
    ) -> None:
        """Fills the polygon `shape`, restricted to the polygon `clip`.

        Args:
            shape: (N, 2) corners in face units.
            colour: RGB in [0, 1], or an image of the canvas' size that shows through the shape.
            opacity: Opacity of the colour, in [0, 1].
            blur: Sigma of the soft edge, in face units.
            clip: (N, 2) polygon outside which nothing is painted.
            tint: Multiplies by the colour instead of covering, so that the shading underneath stays visible.
        """
        corner, alpha = self._mask(shape, blur, closed=True, width=0.0)
        if clip is not None and alpha.size:
            alpha = alpha * self._drawn(clip, corner, alpha.shape, width=0.0, closed=True)
        self._blend(corner, alpha * np.float32(opacity), colour, tint)

    def stroke(
        self,
        line: Array,
        colour: ArrayLike,
        *,
        width: float,
        opacity: float = 1.0,
        blur: float = 0.0,
        tint: bool = False,
    ) -> None:
        """Draws an open line.

        Args:
            line: (N, 2) vertices in face units.
            colour: RGB in [0, 1].
            width: Width of the line, in face units.
            opacity: Opacity of the colour, in [0, 1].
            blur: Sigma of the soft edge, in face units.
            tint: Multiplies by the colour instead of covering.
        """
        corner, alpha = self._mask(line, blur, closed=False, width=width)
        self._blend(corner, alpha * np.float32(opacity), colour, tint)

    def _blend(self, corner: tuple[int, int], alpha: NDArray[np.float32], colour: ArrayLike, tint: bool) -> None:
        window = np.s_[corner[1] : corner[1] + alpha.shape[0], corner[0] : corner[0] + alpha.shape[1]]
        under = self.pixels[window]
        over = np.broadcast_to(np.asarray(colour, np.float32), self.pixels.shape)[window]
        under += alpha[..., None] * (under * over - under if tint else over - under)

    def _mask(
        self, shape: Array, blur: float, *, closed: bool, width: float
    ) -> tuple[tuple[int, int], NDArray[np.float32]]:
        """Top left corner (x, y) of the affected window, and the coverage (h, w) within it, in [0, 1]."""
        sigma = blur * self.unit
        points = shape @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]
        margin = 2 + 3 * sigma + width * self.unit
        height, wide = self.pixels.shape[:2]
        low = np.floor(points.min(axis=0) - margin).astype(int).clip(0, (wide, height))
        high = np.ceil(points.max(axis=0) + margin).astype(int).clip(0, (wide, height))
        corner = (int(low[0]), int(low[1]))
        extent = (int(high[1] - low[1]), int(high[0] - low[0]))
        if min(extent) <= 0:
            return corner, np.zeros((0, 0), np.float32)
        cover = self._drawn(shape, corner, extent, width=width, closed=closed)
        return corner, np.asarray(cv2.GaussianBlur(cover, (0, 0), sigma), np.float32) if sigma > 0.3 else cover

    def _drawn(
        self, shape: Array, corner: tuple[int, int], extent: tuple[int, ...], *, width: float, closed: bool
    ) -> NDArray[np.float32]:
        points = shape @ self.to_pixels[:, :2].T + self.to_pixels[:, 2] - corner
        whole = np.rint(points * 2**_SHIFT).astype(np.int32)
        cover = np.zeros(extent, np.uint8)
        if closed:
            cv2.fillPoly(cover, [whole], 255, cv2.LINE_AA, _SHIFT)
        else:
            cv2.polylines(cover, [whole], False, 255, max(1, round(width * self.unit)), cv2.LINE_AA, _SHIFT)
        return np.asarray(cover, np.float32) / np.float32(255)


def smooth(points: ArrayLike, *, closed: bool = False, steps: int = 6) -> Array:
    """Catmull-Rom curve through points (N, 2), sampled `steps` times between neighbours."""
    knots = np.asarray(points, np.float64)
    ends = (knots[-1:], knots[:2]) if closed else (2 * knots[:1] - knots[1:2], 2 * knots[-1:] - knots[-2:-1])
    padded = np.concatenate([ends[0], knots, ends[1]])
    a, b, c, d = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.linspace(0, 1, steps, endpoint=False)[None, :, None]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    return np.concatenate([curve.reshape(-1, 2), knots[:1] if closed else knots[-1:]])


def shifted(points: Array, x: float, y: float) -> Array:
    """One point (2,) or several (N, 2), moved by (x, y)."""
    return np.asarray(points + np.array([x, y]))


def ellipse(centre: ArrayLike, radii: tuple[float, float], *, corners: int = 32) -> Array:
    """Polygon (corners, 2) of an upright ellipse."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    return np.asarray(centre) + np.stack([np.cos(angle), np.sin(angle)], axis=1) * radii
